"""Conjuncts of arrays -> schema_ir.ArrayValue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grammars.errors import UnsupportedSchema
from grammars.jsonschema._atoms import FALSE, TRUE, ArrayGroup, Atom, Sid
from grammars.schema_ir import Alternative, ArrayValue, Ref

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler

__all__ = ["arrays", "arrays_inhabited", "expand_someitem"]

SPREAD_LIMIT = 16
"""An "at least one of the items" is spelled out per index up to this many items."""


class _Plan:
    """The atoms of one conjunct, merged."""

    __slots__ = ("high", "late", "low", "prefix", "rest", "unique")

    def __init__(self, atoms: list[Atom], compiler: SchemaCompiler) -> None:
        self.low, self.unique = 0, False
        high: int | None = None
        groups: list[ArrayGroup] = []
        single: dict[int, list[Sid]] = {}
        self.late: list[Atom] = []
        for atom in atoms:
            kind, value, _ = atom
            if kind == "group":
                groups.append(value)
            elif kind == "minitems":
                self.low = max(self.low, value)
            elif kind == "maxitems":
                high = value if high is None else min(high, value)
            elif kind == "item":
                single.setdefault(value[0], []).append(value[1])
            elif kind == "unique":
                self.unique = True
            elif kind == "contains" and value[0] == TRUE:
                self.low = max(self.low, value[1])
                if value[2] is not None:
                    high = value[2] if high is None else min(high, value[2])
            else:
                self.late.append(atom)
        length = max([len(group.prefix) for group in groups] + [index + 1 for index in single], default=0)
        if high is not None:
            length = min(length, high)
        self.high = high
        self.prefix = [
            compiler.ref_of(
                [group.prefix[index] if index < len(group.prefix) else group.rest for group in groups]
                + single.get(index, [])
            )
            for index in range(length)
        ]
        self.rest = compiler.ref_of([group.rest for group in groups])

    def inhabited(self, compiler: SchemaCompiler) -> bool:
        """Can each index below the minimum be filled?"""
        if self.high is not None and self.low > self.high:
            return False
        if any(compiler.is_empty(ref) for ref in self.prefix[: self.low]):
            return False
        return self.low <= len(self.prefix) or not compiler.is_empty(self.rest)


def _plan(atoms: list[Atom], compiler: SchemaCompiler) -> _Plan | None:
    """The merged atoms if some array satisfies them."""
    plan = _Plan(atoms, compiler)
    if not plan.inhabited(compiler):
        return None
    for atom in plan.late:
        _refuse(atom, plan)
    return plan


def _refuse(atom: Atom, plan: _Plan) -> None:
    kind, value, where = atom
    if kind == "unsupported":
        raise UnsupportedSchema(where, *value)
    if kind == "contains" and value[1] == 0 and (value[2] is None or (plan.high is not None and plan.high <= value[2])):
        return
    keyword = {"nunique": "not", "someitem": "not"}.get(kind, kind)
    raise UnsupportedSchema(where, keyword, "needs items to be counted by what they match, which is not supported yet")


def arrays_inhabited(atoms: list[Atom], compiler: SchemaCompiler) -> bool:
    """Does some array satisfy the atoms? Looks at no more items than must be there."""
    if any(atom.kind == "in" for atom in atoms):
        return bool(arrays(atoms, compiler))
    return _plan(atoms, compiler) is not None


def arrays(atoms: list[Atom], compiler: SchemaCompiler) -> list[Alternative]:
    """One ArrayValue, or one for each value of an enum."""
    from grammars.jsonschema._scalars import literals

    values = literals(atoms, compiler)
    if values is not None:
        return [_constant(value, compiler) for value in values]
    plan = _plan(atoms, compiler)
    if plan is None:
        return []
    prefix: list[Ref] = []
    high, items = plan.high, plan.rest
    for ref in plan.prefix:
        if compiler.is_empty(ref):
            return [_finish(prefix, None, plan.low, len(prefix), plan, compiler)]
        prefix.append(ref)
    closed = (high is not None and high <= len(prefix)) or compiler.is_empty(items)
    return [_finish(prefix, None if closed else items, plan.low, len(prefix) if closed else high, plan, compiler)]


def _finish(
    prefix: list[Ref], items: Ref | None, low: int, high: int | None, plan: _Plan, compiler: SchemaCompiler
) -> ArrayValue:
    return ArrayValue(tuple(prefix), items, low, high, plan.unique and (high is None or high > 1))


def _constant(value: list[Any], compiler: SchemaCompiler) -> ArrayValue:
    prefix = tuple(compiler.constant(item) for item in value)
    return ArrayValue(prefix, None, len(prefix), len(prefix))


def expand_someitem(atoms: list[Atom], compiler: SchemaCompiler) -> list[list[Atom]]:
    """The conjunct with each "some item from index i on is S" (and `contains`) spelled out per index, where bounded."""
    if any(atom.kind == "in" for atom in atoms):
        return [atoms]
    for place, (kind, value, where) in enumerate(atoms):
        if kind == "contains" and value[0] != TRUE:
            sid, low, high = value
            if low == 1 and high is None:
                start = 0
            elif low == 0 and high == 0:
                return _replace(atoms, place, [[Atom("group", ArrayGroup((), sid ^ 1, where), where)]], compiler)
            else:
                continue
        elif kind == "someitem":
            start, sid = value
        else:
            continue
        if sid == FALSE:
            return []
        high = min((atom.value for atom in atoms if atom.kind == "maxitems"), default=None)
        for atom in atoms:
            if atom.kind == "group" and atom.value.rest == FALSE:
                high = len(atom.value.prefix) if high is None else min(high, len(atom.value.prefix))
        others = atoms[:place] + atoms[place + 1 :]
        groups = [atom.value for atom in others if atom.kind == "group"]
        declared = max([len(group.prefix) for group in groups] + [start])
        declared = max([declared] + [atom.value[0] + 1 for atom in others if atom.kind == "item"])
        if high is not None and high - start <= SPREAD_LIMIT:
            tail: list[list[Atom]] = []
            declared = high
        elif declared - start <= SPREAD_LIMIT and compiler.apart.set_empty([*(g.rest for g in groups), sid ^ 1]):
            tail = [[Atom("minitems", declared + 1, where)]]  # any further item will do
        else:
            continue
        spread = [[Atom("minitems", i + 1, where), Atom("item", (i, sid), where)] for i in range(start, declared)]
        return _replace(atoms, place, spread + tail, compiler)
    return [atoms]


def _replace(atoms: list[Atom], place: int, branches: list[list[Atom]], compiler: SchemaCompiler) -> list[list[Atom]]:
    others = atoms[:place] + atoms[place + 1 :]
    return [full for branch in branches for full in expand_someitem(others + branch, compiler)]
