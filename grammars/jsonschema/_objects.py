"""Conjuncts of objects -> schema_ir.ObjectValue.

The declared names of all merged schemas are put together; the value of a name must satisfy every schema that applies
to it. The other keys are split by the patterns into disjoint languages, each with the schemas that apply there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grammars.errors import BudgetExceeded, UnsupportedSchema
from grammars.jsonschema._atoms import FALSE, STRING, TRUE, Atom, ObjectGroup, Sid
from grammars.jsonschema._scalars import literals, string_language
from grammars.schema_ir import Alternative, ObjectValue, PatternProperty, Property, Ref

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler
    from grammars.regex import Regex

__all__ = ["expand_somekey", "objects", "objects_inhabited", "spell_out_keys"]


_CUT_FUEL = 100
"""Steps for one intersection of two key languages: they cost 0.1 to several ms."""


_CELLS_LIMIT = 200
"""So many ways in which key patterns may overlap: two to the number of patterns, where all of them do."""


class _Plan:
    """The atoms of one conjunct, merged; key languages are computed only when asked for."""

    __slots__ = ("_keys", "compiler", "declared", "groups", "high", "key_schemas", "late", "low", "required")

    def __init__(self, atoms: list[Atom], compiler: SchemaCompiler) -> None:
        self.compiler = compiler
        self.low, self.high = 0, None
        self.groups: list[ObjectGroup] = []
        self.required: dict[str, str] = {}
        self.late: list[Atom] = []
        self.key_schemas: list[Sid] = []
        self._keys: tuple[list[tuple[Regex, Ref]], Ref, Regex | None] | None = None
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
            else:
                self.late.append(atom)
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
        language = self._key_language()
        if isinstance(language, list):
            names.update(dict.fromkeys(language))
        holds = compiler.judge.schema_holds
        declared = {}
        for name in names:
            fits = all(holds(sid, name) for sid in self.key_schemas)
            sids = [sid for group in self.groups for sid in compiler.lookup(group, name)] + single.get(name, [])
            declared[name] = compiler.ref_of(sids if fits else [FALSE])
        if isinstance(language, list):
            self._keys = ([], compiler.NEVER, None)
        return declared

    def _key_language(self) -> Regex | list[str] | None:
        """What `propertyNames` says: a language, a list of names, or None for every string."""
        if not self.key_schemas:
            return None
        parts = [
            string_language(atoms, self.compiler) for atoms in self.compiler.splitter.split(STRING, self.key_schemas)
        ]
        if any(part is None for part in parts):
            return None
        lists = [part for part in parts if isinstance(part, list)]
        if len(lists) == len(parts):
            return [name for part in lists for name in part]
        union = None
        for part in parts:
            language = self.compiler.languages.one_of(part) if isinstance(part, list) else part
            union = language if union is None or language is None else union | language
        return union

    def keys(self) -> tuple[list[tuple[Regex, Ref]], Ref, Regex | None]:
        """(disjoint pattern languages with their values, the value of all other keys, what restricts keys)."""
        if self._keys is None:
            self._keys = self._split_keys()
        return self._keys

    def _split_keys(self) -> tuple[list[tuple[Regex, Ref]], Ref, Regex | None]:
        compiler, groups = self.compiler, self.groups
        rest = compiler.ref_of([group.additional for group in groups])
        restriction = self._key_language()
        assert not isinstance(restriction, list)
        patterns = list(dict.fromkeys(pattern for group in groups for pattern, _ in group.patterns))
        cells: list[tuple[Regex, frozenset[str]]] = []
        for pattern in patterns:
            cells = self._cut(cells, pattern, compiler.languages.pattern(pattern, groups[0].where))
            if len(cells) > _CELLS_LIMIT:
                remedy = 'Make the patterns in "patternProperties" exclude each other.'
                raise BudgetExceeded("overlapping key patterns", _CELLS_LIMIT, len(cells), remedy)
        result: list[tuple[Regex, Ref]] = []
        for cell, matched in cells:
            ref = compiler.ref_of(
                [
                    sid
                    for group in groups
                    for sid in [sid for pattern, sid in group.patterns if pattern in matched]
                    or ([] if any(p in matched for p, _ in group.patterns) else [group.additional])
                ]
            )
            if ref != rest:
                result.append((cell, ref))
        return result, rest, restriction

    def _cut(
        self, cells: list[tuple[Regex, frozenset[str]]], pattern: str, language: Regex
    ) -> list[tuple[Regex, frozenset[str]]]:
        """Disjoint (keys, the patterns they match) with one more pattern."""
        spend, result = self.compiler.spend, []
        alone = language
        for cell, matched in cells:
            spend(_CUT_FUEL)
            inside = cell & language
            if inside.is_empty():
                result.append((cell, matched))
                continue
            result.append((inside, matched | {pattern}))
            outside = cell - language
            if not outside.is_empty():
                result.append((outside, matched))
            alone = alone - cell
        if not alone.is_empty():
            result.append((alone, frozenset([pattern])))
        return result

    def inhabited(self) -> bool:
        """Is there an object with the required properties and enough others?"""
        compiler = self.compiler
        if self.high is not None and (self.high < self.low or self.high < len(self.required)):
            return False
        if any(compiler.is_empty(self.declared[name]) for name in self.required):
            return False
        wanted = self.low - len(self.required)
        if wanted <= 0:
            return True
        for name, ref in self.declared.items():
            if name not in self.required and not compiler.is_empty(ref):
                wanted -= 1
                if wanted <= 0:
                    return True
        patterns, rest, restriction = self.keys()
        found = 0
        matched = [language for language, _ in patterns]
        for language, ref in [*patterns, (compiler.languages.none_of(matched), rest)]:
            if not compiler.is_empty(ref):
                if restriction is not None:
                    language = language & restriction
                found += compiler.languages.count(language, self.declared, wanted - found)
                if found >= wanted:
                    return True
        return False


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
        if atom.kind == "unsupported":
            raise UnsupportedSchema(atom.where, *atom.value)
        raise UnsupportedSchema(
            atom.where, "not", "asks for some property outside the schema, which is not supported yet"
        )
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
        return [_constant(value, compiler) for value in values]
    plan = _plan(atoms, compiler)
    if plan is None:
        return []
    required, is_empty = plan.required, compiler.is_empty
    if plan.high is not None and plan.high == len(required):
        only = tuple(Property(name, plan.declared[name], True) for name in plan.declared if name in required)
        return [ObjectValue(only, (), None, None, 0, None)]
    patterns, rest, restriction = plan.keys()
    kept = []
    for language, ref in patterns:
        if is_empty(ref):
            restriction = ~language if restriction is None else restriction - language
        else:
            kept.append(PatternProperty(language, ref))
    additional = None if is_empty(rest) else rest
    closed = additional is None and not kept
    properties = []
    for name, ref in plan.declared.items():
        needed = name in required
        empty = not needed and is_empty(ref)
        if not (empty and closed):
            properties.append(Property(name, None if empty else ref, needed))
    low = plan.low if plan.low > len(required) else 0
    return [ObjectValue(tuple(properties), tuple(kept), additional, None if closed else restriction, low, plan.high)]


def _constant(value: dict[str, Any], compiler: SchemaCompiler) -> ObjectValue:
    return ObjectValue(tuple(Property(name, compiler.constant(item), True) for name, item in value.items()))


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
        names, closed, rest = _known(atoms + others)
        names = names - value[0].names if kind == "somekey" else names - value[1]
        judge = compiler.judge
        result: list[list[Atom]] = []
        for name in sorted(names):
            fits = not judge.schema_holds(value[0], name) if kind == "badname" else judge.key_fits(value[0], name)
            if fits:
                extra = [Atom("required", name, where)]
                if kind == "somekey" and value[1] != TRUE:
                    extra.append(Atom("value", (name, value[1]), where))
                result.extend(spell_out_keys(others + extra, atoms, compiler))
        if kind == "badname":
            left, impossible = Atom(kind, (value[0], value[1] | names), where), closed
        else:
            spec, sid = value
            left = Atom(kind, (spec._replace(names=spec.names | names), sid), where)
            impossible = closed or compiler.ref_of([*rest, sid]) == compiler.NEVER
        if not impossible:
            result.extend([left, *more] for more in spell_out_keys(others, atoms, compiler))
        return result
    return [branch]


def expand_somekey(atoms: list[Atom], compiler: SchemaCompiler) -> list[list[Atom]]:
    """A finished conjunct without obligations on keys, as far as these can be stated in other ways."""
    kinds = {atom.kind for atom in atoms}
    if "in" in kinds or kinds.isdisjoint(("somekey", "badname")):
        return [atoms]
    return [full for one in spell_out_keys(atoms, [], compiler) for full in _settle(one, compiler)]


def _settle(atoms: list[Atom], compiler: SchemaCompiler) -> list[list[Atom]]:
    """Turn "some undeclared key" into a number of properties, where any undeclared key does."""
    for place, (kind, value, where) in enumerate(atoms):
        if kind != "somekey":
            continue
        spec, sid = value
        others = atoms[:place] + atoms[place + 1 :]
        names, _, rest = _known(others)
        absent = {atom.value for atom in others if atom.kind == "absent"}
        if spec.pattern is not None or spec.without or not spec.names <= names or len(names - absent) > _SUBSETS:
            continue
        if any(atom.kind == "names" or (atom.kind == "group" and atom.value.patterns) for atom in others):
            continue
        if sid == TRUE or compiler.apart.set_empty([*rest, sid ^ 1]):
            return [full for one in _more_than(names - absent, others, where) for full in _settle(one, compiler)]
    return [atoms]


_SUBSETS = 6
"""Up to so many declared names, "some undeclared key" is spelled out over which of them are present."""


def _more_than(names: set[str], atoms: list[Atom], where: str) -> list[list[Atom]]:
    """One key more than those of `names` that are present."""
    required = {atom.value for atom in atoms if atom.kind == "required"}
    ways: list[list[Atom]] = [[]]
    for name in sorted(names - required):
        ways = [[*way, Atom(kind, name, where)] for way in ways for kind in ("required", "absent")]
    sure = len(required & names)
    return [
        [*atoms, *way, Atom("minprops", 1 + sure + sum(atom.kind == "required" for atom in way), where)] for way in ways
    ]


def _known(atoms: list[Atom]) -> tuple[set[str], bool, list[Sid]]:
    """Declared names; whether all other keys are forbidden; the schemas of other keys, when no pattern says more."""
    names: set[str] = set()
    rest: list[Sid] = []
    patterns = False
    for kind, value, _ in atoms:
        if kind == "group":
            names.update(value.properties)
            patterns = patterns or bool(value.patterns)
            rest.append(value.additional)
        elif kind in ("required", "absent"):
            names.add(value)
        elif kind == "value":
            names.add(value[0])
    if patterns:
        return names, False, []
    return names, FALSE in rest, rest
