"""Conjuncts of objects -> schema_ir.ObjectValue.

The declared names of all merged schemas are put together; the value of a name must satisfy every schema that applies
to it. The other keys are split by the patterns into disjoint languages, each with the schemas that apply there.
"Some key of K has a value in S" is spelled out for the declared names; what is left is a duty of undeclared keys.
"""

from __future__ import annotations

from functools import reduce
from itertools import product
from operator import or_
from typing import TYPE_CHECKING, Any, NamedTuple

from grammars.errors import BudgetExceeded, UnsupportedSchema
from grammars.jsonschema._atoms import FALSE, OBJECT, STRING, TRUE, Atom, ObjectGroup, Sid
from grammars.jsonschema._scalars import literals, string_language
from grammars.jsonschema._values import constant_object
from grammars.schema_ir import Alternative, Choice, ObjectValue, PatternProperty, Property, Ref

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler
    from grammars.regex import Regex

__all__ = ["expand_somekey", "objects", "objects_inhabited", "spell_out_keys"]


_CUT_FUEL = 100
"""Steps for one intersection of two key languages: they cost 0.1 to several ms."""


_CELLS_LIMIT = 200
"""So many ways in which key patterns may overlap: two to the number of patterns, where all of them do."""


_DUTIES_LIMIT = 8
_LISTED = 64
"""A key pattern of up to so many strings stands for the names themselves, where keys have duties."""


class _Duty(NamedTuple):
    """Some undeclared key that matches `inside` (None: any) and none of `without` has a value in `sid`."""

    inside: _Mark | None
    without: tuple[_Mark, ...]
    sid: Sid
    where: str


_Mark = str | int
"""A language of keys: a pattern, or a schema whose strings it holds not (from a denied `propertyNames`)."""


class _Cell(NamedTuple):
    """Undeclared keys to which the same schemas apply; `pays`: (duty, values that meet it)."""

    keys: Regex | None  # None: all keys outside the other cells
    sids: tuple[Sid, ...]
    pays: tuple[tuple[int, Sid], ...]


class _Plan:
    """The atoms of one conjunct, merged; key languages are computed only when asked for."""

    __slots__ = (
        "_cells", "compiler", "declared", "duties", "groups", "high", "key_schemas", "late", "low", "required",
    )  # fmt: skip

    def __init__(self, atoms: list[Atom], compiler: SchemaCompiler) -> None:
        self.compiler = compiler
        self.low, self.high = 0, None
        self.groups: list[ObjectGroup] = []
        self.required: dict[str, str] = {}
        self.duties: list[_Duty] = []
        self.late: list[Atom] = []
        self.key_schemas: list[Sid] = []
        self._cells: tuple[list[_Cell], Regex | None] | None = None
        single: dict[str, list[Sid]] = {}
        for atom in atoms:
            kind, value, where = atom
            if kind == "group":
                self.groups.append(value)
            elif kind == "required":
                self.required[value] = where
            elif kind == "value":
                single.setdefault(value[0], []).append(value[1])
            elif kind == "absent":
                single.setdefault(value, []).append(FALSE)
            elif kind == "minprops":
                self.low = max(self.low, value)
            elif kind == "maxprops":
                self.high = value if self.high is None else min(self.high, value)
            elif kind == "names":
                self.key_schemas.append(value)
            elif kind == "somekey":
                spec, sid = value
                self.duties.append(_Duty(spec.pattern, spec.without, sid, where))
                single.update((name, []) for name in spec.names if name not in single)
            elif kind == "badname":
                self.duties.append(_Duty(value[0], (), TRUE, where))
                single.update((name, []) for name in value[1] if name not in single)
            else:
                self.late.append(atom)
        self.duties = list({duty[:3]: duty for duty in self.duties}.values())
        self.declared = self._declare(single)

    def _declare(self, single: dict[str, list[Sid]]) -> dict[str, Ref]:
        compiler, groups = self.compiler, self.groups
        names = dict.fromkeys(name for group in groups for name in group.properties)
        names.update(dict.fromkeys(single))
        names.update(dict.fromkeys(self.required))
        if self.key_schemas:
            return self._declare_named(names, single)
        if len(groups) == 1 and not single and not groups[0].patterns:
            own, other = groups[0].properties, groups[0].additional
            return {name: compiler.ref_of_one(own.get(name, other)) for name in names}
        return {
            name: compiler.ref_of(
                [sid for group in groups for sid in compiler.lookup(group, name)] + single.get(name, [])
            )
            for name in names
        }

    def _declare_named(self, names: dict[str, None], single: dict[str, list[Sid]]) -> dict[str, Ref]:
        """With `propertyNames`: names that it refuses are forbidden; if it lists names, these are all there are."""
        compiler = self.compiler
        language = key_language(self.key_schemas, compiler)
        if isinstance(language, list):
            names.update(dict.fromkeys(language))
        holds = compiler.judge.schema_holds
        declared = {}
        for name in names:
            fits = all(holds(sid, name) for sid in self.key_schemas)
            sids = [sid for group in self.groups for sid in compiler.lookup(group, name)] + single.get(name, [])
            declared[name] = compiler.ref_of(sids if fits else [FALSE])
        if isinstance(language, list):
            self._cells = ([_Cell(None, (FALSE,), ())], None)
        return declared

    def cells(self) -> tuple[list[_Cell], Regex | None]:
        """(the undeclared keys in disjoint cells, the last of which is "all others"; what restricts keys)."""
        if self._cells is None:
            restriction = key_language(self.key_schemas, self.compiler)
            assert not isinstance(restriction, list)
            self._cells = (self._split_keys(restriction), restriction)
        return self._cells

    def _split_keys(self, restriction: Regex | None) -> list[_Cell]:
        compiler, groups = self.compiler, self.groups
        marks: dict[_Mark, None] = dict.fromkeys(pattern for group in groups for pattern, _ in group.patterns)
        for duty in self.duties:
            marks.update(dict.fromkeys(duty.without if duty.inside is None else (duty.inside, *duty.without)))
        parts: list[tuple[Regex, frozenset[_Mark]]] = []
        for mark in marks:
            parts = self._cut(parts, mark, self._marked(mark))
            if len(parts) > _CELLS_LIMIT:
                remedy = 'Make the patterns in "patternProperties" exclude each other.'
                raise BudgetExceeded("overlapping key patterns", _CELLS_LIMIT, len(parts), remedy)
        if self.duties:  # a cell without keys must not seem to meet any
            parts = [
                part for part in parts if self._has_keys(part[0] if restriction is None else part[0] & restriction)
            ]
        rest = self._cell(None, frozenset())
        common = (compiler.ref_of(rest.sids), rest.pays)
        cells = [self._cell(keys, matched) for keys, matched in parts]
        return [*(cell for cell in cells if (compiler.ref_of(cell.sids), cell.pays) != common), rest]

    def _marked(self, mark: _Mark) -> Regex:
        """The keys that a mark stands for."""
        languages = self.compiler.languages
        if isinstance(mark, str):
            return languages.pattern(mark, self.groups[0].where if self.groups else "")
        good = key_language([mark], self.compiler)
        return languages.none_of([languages.one_of(good) if isinstance(good, list) else good or languages.none_of([])])

    def _cell(self, keys: Regex | None, matched: frozenset[_Mark]) -> _Cell:
        sids = [
            sid
            for group in self.groups
            for sid in [sid for pattern, sid in group.patterns if pattern in matched]
            or ([] if any(p in matched for p, _ in group.patterns) else [group.additional])
        ]
        pays = [
            (place, duty.sid)
            for place, duty in enumerate(self.duties)
            if (duty.inside is None or duty.inside in matched) and matched.isdisjoint(duty.without)
        ]
        return _Cell(keys, tuple(sids), tuple(pays))

    def _cut(
        self, cells: list[tuple[Regex, frozenset[_Mark]]], mark: _Mark, language: Regex
    ) -> list[tuple[Regex, frozenset[_Mark]]]:
        """Disjoint (keys, the marks they bear) with one more mark."""
        spend, result = self.compiler.spend, []
        alone = language
        for cell, matched in cells:
            spend(_CUT_FUEL)
            inside = cell & language
            if inside.is_empty():
                result.append((cell, matched))
                continue
            result.append((inside, matched | {mark}))
            outside = cell - language
            if not outside.is_empty():
                result.append((outside, matched))
            alone = alone - cell
        if not alone.is_empty():
            result.append((alone, frozenset([mark])))
        return result

    def keys_of(self, cell: _Cell) -> Regex:
        """The language of a cell, within what restricts keys."""
        cells, restriction = self.cells()
        language = cell.keys
        if language is None:
            language = self.compiler.languages.none_of(other.keys for other in cells if other.keys is not None)
        return language if restriction is None else language & restriction

    def choices(self, cell: _Cell) -> tuple[Choice, ...]:
        """The values of a cell by the duties they meet; empty ones are left out."""
        compiler = self.compiler
        parts: list[tuple[tuple[Sid, ...], int]] = [(cell.sids, 0)]
        for place, sid in cell.pays:
            following = []
            for sids, pays in parts:
                other = compiler.ref_of((*sids, sid ^ 1))
                if sid == TRUE or compiler.is_empty(other):
                    following.append((sids, pays | 1 << place))
                else:
                    following.append(((*sids, sid), pays | 1 << place))
                    following.append(((*sids, sid ^ 1), pays))
            parts = following
        found = [Choice(compiler.ref_of(sids), pays) for sids, pays in parts]
        return tuple(choice for choice in found if not compiler.is_empty(choice.value))

    def has_keys(self, cell: _Cell) -> bool:
        """Are there undeclared names in a cell?"""
        return (cell.keys is None and self.cells()[1] is None) or self._has_keys(self.keys_of(cell))

    def _has_keys(self, keys: Regex) -> bool:
        names = self.compiler.languages.listed(keys, _LISTED)
        return names is None or any(name not in self.declared for name in names)

    def scarce(self) -> list[str]:
        """The keys of the cells that meet duties and have few of them."""
        found: list[str] = []
        for cell in self.cells()[0]:
            if cell.pays and not (cell.keys is None and self.cells()[1] is None):
                found.extend(self.compiler.languages.listed(self.keys_of(cell), _LISTED) or ())
        return [name for name in found if name not in self.declared]

    def _endless(self, cell: _Cell) -> bool:
        """Are there keys enough in the cell for any number of properties?"""
        if cell.keys is None and len(self.cells()[0]) == 1 and self.cells()[1] is None:
            return True
        return self.compiler.languages.listed(self.keys_of(cell), _MANY) is None

    def _cheapest(self) -> int | None:
        """The least number of undeclared properties that meet all duties; None: nothing does."""
        if len(self.duties) > _DUTIES_LIMIT:
            raise UnsupportedSchema(self.duties[0].where, "not", f"meets more than {_DUTIES_LIMIT} others of its kind")
        endless: set[int] = set()
        scarce: set[int] = set()
        for cell in self.cells()[0]:
            found = {choice.pays for choice in self.choices(cell)} if cell.pays else set()
            pays = found - {0}
            if pays and self.has_keys(cell):
                # where any key of the cell pays all that the cell can, its keys are not used up before they have paid
                (endless if len(found) == 1 or self._endless(cell) else scarce).update(pays)
        if all(any(few & much == few for much in endless) for few in scarce):
            scarce = set()
        price = _cover(endless | scarce, (1 << len(self.duties)) - 1)
        if price is not None and scarce:
            problem = "asks for some key of a pattern with few strings, beside other demands on keys"
            raise UnsupportedSchema(self.duties[0].where, "not", problem, 'Declare these keys in "properties".')
        return price

    def inhabited(self) -> bool:
        """Is there an object with the required properties and enough others?"""
        compiler = self.compiler
        if self.high is not None and (self.high < self.low or self.high < len(self.required)):
            return False
        if any(compiler.is_empty(self.declared[name]) for name in self.required):
            return False
        if self.duties:
            price = self._cheapest()
            if price is None or (self.high is not None and len(self.required) + price > self.high):
                return False
        wanted = self.low - len(self.required)
        if wanted <= 0:
            return True
        for name, ref in self.declared.items():
            if name not in self.required and not compiler.is_empty(ref):
                wanted -= 1
                if wanted <= 0:
                    return True
        found = 0
        for cell in self.cells()[0]:
            if not compiler.is_empty(compiler.ref_of(cell.sids)):
                found += compiler.languages.count(self.keys_of(cell), self.declared, wanted - found)
                if found >= wanted:
                    return True
        return False


_MANY = 4_096


def _cover(sets: set[int], wanted: int) -> int | None:
    """The least number of `sets` (bit masks) that together hold all of `wanted`."""
    reached, price = {0}, 0
    while wanted not in reached:
        following = reached | {one | other for one, other in product(reached, sets)}
        if following == reached:
            return None
        reached, price = following, price + 1
    return price


def key_language(sids: list[Sid], compiler: SchemaCompiler) -> Regex | list[str] | None:
    """What schemas of property names say: a language, a list of names, or None for every string."""
    if not sids:
        return None
    parts = [string_language(atoms, compiler) for atoms in compiler.splitter.split(STRING, sids)]
    if any(part is None for part in parts):
        return None
    lists = [part for part in parts if isinstance(part, list)]
    if len(lists) == len(parts):
        return [name for part in lists for name in part]
    languages = [compiler.languages.one_of(part) if isinstance(part, list) else part for part in parts]
    return reduce(or_, languages)


def _plan(atoms: list[Atom], compiler: SchemaCompiler) -> _Plan | None:
    known = compiler.plans.get(id(atoms))
    if known is not None:
        return known[1]  # type: ignore[no-any-return]
    plan = _merge(atoms, compiler)
    if plan is not None:  # "empty" may rest on an assumption within a recursion, "inhabited" never does
        compiler.plans[id(atoms)] = (atoms, plan)
    return plan


def _merge(atoms: list[Atom], compiler: SchemaCompiler) -> _Plan | None:
    plan = _Plan(atoms, compiler)
    if not plan.inhabited():
        return None
    for atom in plan.late:
        raise UnsupportedSchema(atom.where, *atom.value)
    return plan


def objects_inhabited(atoms: list[Atom], compiler: SchemaCompiler) -> bool:
    """Does some object satisfy the atoms? Follows required properties only, where that decides it."""
    if any(atom.kind == "in" for atom in atoms):
        return bool(literals(atoms, compiler))
    return _plan(atoms, compiler) is not None


def objects(atoms: list[Atom], compiler: SchemaCompiler) -> list[Alternative]:
    """One ObjectValue, or one for each value of an enum."""
    values = literals(atoms, compiler)
    if values is not None:
        return [constant_object(value, compiler) for value in values]
    plan = _plan(atoms, compiler)
    if plan is None:
        return []
    required, is_empty = plan.required, compiler.is_empty
    if plan.high is not None and plan.high == len(required):
        only = tuple(Property(name, plan.declared[name], True) for name in plan.declared if name in required)
        return [ObjectValue(only, (), None, None, 0, None)]
    cells, restriction = plan.cells()
    kept: list[PatternProperty] = []
    additional: Ref | None = None
    additional_choices: tuple[Choice, ...] = ()
    for cell in cells:
        ref = compiler.ref_of(cell.sids)
        empty = is_empty(ref)
        choices = plan.choices(cell) if cell.pays and not empty and plan.has_keys(cell) else ()
        if not any(choice.pays for choice in choices):
            choices = ()
        if cell.keys is None:
            additional, additional_choices = None if empty else ref, choices
        elif empty:
            restriction = ~cell.keys if restriction is None else restriction - cell.keys
        else:
            kept.append(PatternProperty(cell.keys, ref, choices))
    if plan.duties and plan.high is not None:
        room = _Room(len(plan.duties), plan.high - len(required), [*additional_choices, *_choices_of(kept)])
        for pattern in kept:
            if not room.fits(pattern.choices):
                restriction = ~pattern.keys if restriction is None else restriction - pattern.keys
        kept = [PatternProperty(p.keys, p.value, room.useful(p.choices)) for p in kept if room.fits(p.choices)]
        if not room.fits(additional_choices):
            additional = None
        additional_choices = room.useful(additional_choices)
    closed = additional is None and not kept
    properties = []
    for name, ref in plan.declared.items():
        needed = name in required
        empty = not needed and is_empty(ref)
        if not (empty and closed):
            properties.append(Property(name, None if empty else ref, needed))
    low = plan.low if plan.low > len(required) else 0
    return [
        ObjectValue(
            tuple(properties),
            tuple(kept),
            additional,
            None if closed else restriction,
            low,
            plan.high,
            len(plan.duties),
            additional_choices,
        )
    ]


class _Room:
    """Which undeclared keys leave room for those that the duties ask for, where their number is bounded.

    Without it a key could be begun that no ending of makes an object: what it pays is known only when it is complete.
    """

    def __init__(self, duties: int, room: int, choices: list[Choice]) -> None:
        self._all, self._room = (1 << duties) - 1, room
        pays = {choice.pays for choice in choices if choice.pays}
        self._need = [0] * (self._all + 1)
        for pending in range(1, self._all + 1):
            self._need[pending] = 1 + min((self._need[pending & ~one] for one in pays if one & pending), default=room)

    def _leaves(self, pays: int) -> bool:
        return 1 + self._need[self._all & ~pays] <= self._room

    def useful(self, choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
        """The choices that some object has room for."""
        return tuple(choice for choice in choices if self._leaves(choice.pays))

    def fits(self, choices: tuple[Choice, ...]) -> bool:
        """Is there room for a key with these choices (none: it meets no duty)?"""
        return bool(self.useful(choices)) if choices else self._leaves(0)


def _choices_of(patterns: list[PatternProperty]) -> list[Choice]:
    return [choice for pattern in patterns for choice in pattern.choices]


# ------------------------------------------------------------------------------- "some key ..." obligations


def spell_out_keys(branch: list[Atom], atoms: list[Atom], compiler: SchemaCompiler) -> list[list[Atom]]:
    """`branch` with each "some key of K has a value in S" spelled out per name that `atoms` and `branch` declare.

    What is left over is a key that nothing declares. Where those are forbidden it cannot be; else the obligation stays,
    narrowed to the other keys, in one more branch.
    """
    for place, (kind, value, where) in enumerate(branch):
        if kind != "somekey" and kind != "badname":
            continue
        others = branch[:place] + branch[place + 1 :]
        names, closed, rest = _known(atoms + others, compiler)
        few = _few(kind, value, compiler)
        if few is not None:
            names, closed = names | dict.fromkeys(few), True
        told = value[0].names if kind == "somekey" else value[1]
        names = dict.fromkeys(name for name in names if name not in told)
        judge = compiler.judge
        result: list[list[Atom]] = []
        for name in sorted(names):
            fits = not judge.schema_holds(value[0], name) if kind == "badname" else judge.key_fits(value[0], name)
            if fits:
                extra = [Atom("required", name, where)]
                if kind == "somekey" and value[1] != TRUE:
                    extra.append(Atom("value", (name, value[1]), where))
                compiler.spend(1)
                if compiler.apart.visibly_empty(OBJECT, atoms + others + extra, (), 0):
                    continue
                result.extend(spell_out_keys(others + extra, atoms, compiler))
        if kind == "badname":
            left, impossible = Atom(kind, (value[0], (*told, *names)), where), closed
        else:
            spec, sid = value
            left = Atom(kind, (spec._replace(names=(*told, *names)), sid), where)
            impossible = closed or compiler.ref_of([*rest, sid]) == compiler.NEVER
        if not impossible:
            result.extend([left, *more] for more in spell_out_keys(others, atoms, compiler))
        return result
    return [branch]


def _few(kind: str, value: Any, compiler: SchemaCompiler) -> list[str] | None:
    """The keys that an obligation speaks of, where they are few."""
    if kind == "somekey":
        return None if value[0].pattern is None else compiler.languages.few(value[0].pattern, _LISTED)
    bad = key_language([value[0] ^ 1], compiler)
    return bad if bad is None or isinstance(bad, list) else compiler.languages.listed(bad, _LISTED)


def expand_somekey(atoms: list[Atom], compiler: SchemaCompiler) -> list[list[Atom]]:
    """A finished conjunct in which obligations on keys are left for undeclared keys only."""
    kinds = {atom.kind for atom in atoms}
    if "in" in kinds or kinds.isdisjoint(("somekey", "badname")):
        return [atoms]
    result: list[list[Atom]] = []
    for one in spell_out_keys(atoms, [], compiler):
        left = next((atom for atom in one if atom.kind in ("somekey", "badname")), None)
        if left is not None:  # keys of which there are few become declared names too
            names = _Plan(one, compiler).scarce()
            declared = [*one, *(Atom("value", (name, TRUE), left.where) for name in names)]
            result.extend(_settle(full, compiler) for full in spell_out_keys(declared, [], compiler))
        else:
            result.append(one)
    return result


def _settle(atoms: list[Atom], compiler: SchemaCompiler) -> list[Atom]:
    """ "Some undeclared key" as a number of properties, where any undeclared key does and no other is optional."""
    for place, (kind, value, where) in enumerate(atoms):
        if kind != "somekey" or value[0].pattern is not None or value[0].without:
            continue
        spec, sid = value
        others = atoms[:place] + atoms[place + 1 :]
        if any(atom.kind == "names" or (atom.kind == "group" and atom.value.patterns) for atom in others):
            continue
        names, _, rest = _known(others, compiler)
        absent = {atom.value for atom in others if atom.kind == "absent"}
        required = {atom.value for atom in others if atom.kind == "required"}
        if absent | required >= {*names, *spec.names} and (sid == TRUE or compiler.apart.set_empty([*rest, sid ^ 1])):
            return _settle([*others, Atom("minprops", 1 + len(required), where)], compiler)
    return atoms


def _known(atoms: list[Atom], compiler: SchemaCompiler) -> tuple[dict[str, None], bool, list[Sid]]:
    """Declared names, in their order; whether all other keys are forbidden; the schemas of other keys, when no pattern
    says more."""
    names: dict[str, None] = {}
    rest: list[Sid] = []
    key_schemas: list[Sid] = []
    patterns: dict[str, None] = {}
    for kind, value, _ in atoms:
        if kind == "group":
            names.update(dict.fromkeys(value.properties))
            patterns.update((pattern, None) for pattern, _ in value.patterns)
            rest.append(value.additional)
        elif kind in ("required", "absent"):
            names[value] = None
        elif kind == "value":
            names[value[0]] = None
        elif kind == "names":
            key_schemas.append(value)
    for pattern in patterns:
        names.update(dict.fromkeys(compiler.languages.few(pattern, _LISTED) or ()))
    listed = key_language(key_schemas, compiler)
    if isinstance(listed, list):
        return names | dict.fromkeys(listed), True, []
    if patterns:
        return names, False, []
    return names, FALSE in rest, rest
