"""Conjuncts of arrays -> schema_ir.ArrayValue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from grammars.errors import UnsupportedSchema
from grammars.jsonschema._atoms import TRUE, ArrayGroup, Atom, Sid
from grammars.jsonschema._distinct import distinct, enough
from grammars.jsonschema._items import Counter, ItemAutomaton, Plain
from grammars.jsonschema._scalars import literals
from grammars.jsonschema._values import constant_array
from grammars.schema_ir import Alternative, ArrayValue, ItemState, Ref

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler

__all__ = ["arrays", "arrays_inhabited"]


class _Plan:
    """The atoms of one conjunct, merged."""

    __slots__ = ("compiler", "counters", "groups", "high", "late", "length", "low", "single", "unique")

    def __init__(self, atoms: list[Atom], compiler: SchemaCompiler) -> None:
        self.compiler = compiler
        self.low = 0
        self.unique: str | None = None  # where the items are said to differ
        high: int | None = None
        self.groups: list[ArrayGroup] = []
        self.single: dict[int, list[Sid]] = {}
        self.counters: list[Counter] = []
        self.late: list[Atom] = []
        for kind, value, where in atoms:
            if kind == "group":
                self.groups.append(value)
            elif kind == "minitems":
                self.low = max(self.low, value)
            elif kind == "maxitems":
                high = value if high is None else min(high, value)
            elif kind == "item":
                self.single.setdefault(value[0], []).append(value[1])
            elif kind == "unique":
                self.unique = where
            elif kind == "contains" and value[0] == TRUE:
                self.low = max(self.low, value[1])
                if value[2] is not None:
                    high = value[2] if high is None else min(high, value[2])
            elif kind == "contains" and value[1:] == (0, 0):
                self.groups.append(ArrayGroup((), value[0] ^ 1, where))
            elif kind == "contains":
                self.counters.append(Counter(0, value[0], value[1], value[2], where))
            elif kind == "someitem" and value[1] == TRUE:
                self.low = max(self.low, value[0] + 1)
            elif kind == "someitem":
                self.counters.append(Counter(value[0], value[1], 1, None, where))
            else:
                self.late.append(Atom(kind, value, where))
        self.counters = list(dict.fromkeys(self.counters))
        length = max([len(group.prefix) for group in self.groups] + [index + 1 for index in self.single], default=0)
        self.high = high
        self.length = length if high is None else min(length, high)

    def sids_at(self, index: int) -> list[Sid]:
        """What item `index` must satisfy."""
        sids = [group.prefix[index] if index < len(group.prefix) else group.rest for group in self.groups]
        return sids + self.single.get(index, [])

    def ref_at(self, index: int) -> Ref:
        """The reference of item `index`."""
        return self.compiler.ref_of(self.sids_at(index))

    def automaton(self) -> ItemAutomaton:
        """The plan as an automaton over items."""
        counters = self.counters
        if self.unique is not None and self.length == 0:
            counters = [*counters, *self._scarce(tuple(self.sids_at(0)), counters)]
        return ItemAutomaton(self.sids_at, self.length, self.low, self.high, counters, self.compiler)

    def _scarce(self, sids: tuple[Sid, ...], counters: Sequence[Counter]) -> Iterator[Counter]:
        """For items that differ: no more of a class than it has values."""
        compiler = self.compiler
        if compiler.is_empty(compiler.ref_of(sids)):
            return
        if counters:
            yield from self._scarce((*sids, counters[0].sid), counters[1:])
            yield from self._scarce((*sids, counters[0].sid ^ 1), counters[1:])
            return
        values = compiler.values.of(compiler.ref_of(sids))
        if values is not None:
            yield Counter(0, compiler.all_of(sids, self.counters[0].where), 0, len(values), self.counters[0].where)

    def _may_repeat(self) -> bool:
        """Is there room for two equal items?"""
        if self.unique is not None or (self.high is not None and self.high < 2):
            return False
        return not any(self.compiler.is_empty(self.ref_at(index)) for index in range(2))

    def inhabited(self) -> bool:
        """Can each index below the minimum be filled, such that what is counted comes out right?"""
        if self.high is not None and self.low > self.high:
            return False
        is_empty = self.compiler.is_empty
        if any(is_empty(self.ref_at(index)) for index in range(min(self.low, self.length))):
            return False
        if any(atom.kind == "nunique" for atom in self.late) and not self._may_repeat():
            return False
        if self.low > self.length and is_empty(self.ref_at(self.length)):
            return False
        if self.counters:
            automaton = self.automaton()
            if self.unique is None or self.length == 0 or not automaton.inhabited():
                return automaton.inhabited()
            built = automaton.build()
            if not isinstance(built, Plain):
                return True  # with items of few values it is refused later
            items = self.compiler.NEVER if built.items is None else built.items
            return enough(built.prefix, items, built.low, self.unique, self.compiler)
        if self.unique is None or self.low < 2:
            return True
        prefix = [self.ref_at(index) for index in range(min(self.low, self.length))]
        return enough(prefix, self.ref_at(self.length), self.low, self.unique, self.compiler)


def _plan(atoms: list[Atom], compiler: SchemaCompiler) -> _Plan | None:
    """The merged atoms if some array satisfies them."""
    plan = _Plan(atoms, compiler)
    if not plan.inhabited():
        return None
    for kind, value, where in plan.late:
        if kind == "unsupported":
            raise UnsupportedSchema(where, *value)
        problem = 'of "uniqueItems" asks for two equal items, which has no form'
        raise UnsupportedSchema(where, "not", problem, 'Leave "uniqueItems" out of "not" and of branches of "oneOf".')
    return plan


def arrays_inhabited(atoms: list[Atom], compiler: SchemaCompiler) -> bool:
    """Does some array satisfy the atoms? Looks at no more items than must be there."""
    if any(atom.kind == "in" for atom in atoms):
        return bool(literals(atoms, compiler))
    return _plan(atoms, compiler) is not None


def arrays(atoms: list[Atom], compiler: SchemaCompiler) -> list[Alternative]:
    """One ArrayValue, or one for each value of an enum."""
    values = literals(atoms, compiler)
    if values is not None:
        return [constant_array(value, compiler) for value in values]
    plan = _plan(atoms, compiler)
    if plan is None:
        return []
    built = plan.automaton().build() if plan.counters else _straight(plan)
    if plan.unique is None:
        return [ArrayValue(*built) if isinstance(built, Plain) else ArrayValue(states=built)]
    if isinstance(built, Plain):
        return list(distinct(built, plan.unique, compiler))
    return [ArrayValue(states=tuple(_spelled(built, plan, plan.unique)), unique=True)]


def _spelled(states: tuple[ItemState, ...], plan: _Plan, where: str) -> Iterator[ItemState]:
    """The automaton of items that differ; classes of few values have been counted where there is no prefix."""
    values = plan.compiler.values
    for state in states:
        if plan.length and any(values.of(ref) is not None for ref, _ in state.edges):
            raise UnsupportedSchema(where, "uniqueItems", 'has no form beside "contains" and items of few values')
        yield ItemState(state.accepting, tuple((values.spelled(ref), after) for ref, after in state.edges))


def _straight(plan: _Plan) -> Plain:
    """Without counters: as many items as there can be."""
    prefix: list[Ref] = []
    for index in range(plan.length):
        ref = plan.ref_at(index)
        if plan.compiler.is_empty(ref):
            return Plain(tuple(prefix), None, plan.low, index)
        prefix.append(ref)
    items = plan.ref_at(plan.length)
    if (plan.high is not None and plan.high <= len(prefix)) or plan.compiler.is_empty(items):
        return Plain(tuple(prefix), None, plan.low, len(prefix))
    return Plain(tuple(prefix), items, plan.low, plan.high)
