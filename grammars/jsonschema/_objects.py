"""Conjuncts of objects -> schema_ir.ObjectValue.

The declared names of all merged schemas are put together; the value of a name must satisfy every schema that applies
to it. The other keys are split by the patterns into disjoint languages, each with the schemas that apply there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grammars.errors import UnsupportedSchema
from grammars.jsonschema._atoms import FALSE, STRING, TRUE, Atom, KeySpec, ObjectGroup, Sid
from grammars.jsonschema._scalars import literals, string_language
from grammars.schema_ir import Alternative, ObjectValue, PatternProperty, Property, Ref

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler
    from grammars.regex import Regex

__all__ = ["expand_somekey", "objects", "objects_inhabited"]


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
        parts = [string_language(atoms, self.compiler) for atoms in self.compiler.split(STRING, self.key_schemas)]
        if any(part is None for part in parts):
            return None
        lists = [part for part in parts if isinstance(part, list)]
        if len(lists) == len(parts):
            return [name for part in lists for name in part]
        union = None
        for part in parts:
            language = self.compiler.one_of(part) if isinstance(part, list) else part
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
        cells: list[tuple[Regex | None, frozenset[str]]] = [(None, frozenset())]
        for pattern in patterns:
            language = compiler.pattern(pattern)
            split: list[tuple[Regex | None, frozenset[str]]] = []
            for cell, matched in cells:
                compiler.spend(1)
                inside = language if cell is None else cell & language
                outside = ~language if cell is None else cell - language
                if cell is None or not inside.is_empty():
                    split.append((inside, matched | {pattern}))
                if not matched or not outside.is_empty():
                    split.append((outside, matched))
            cells = split
        result: list[tuple[Regex, Ref]] = []
        for cell, matched in cells:
            if cell is None or not matched:
                continue
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
        for language, ref in [*patterns, (compiler.none_of(matched), rest)]:
            if not compiler.is_empty(ref):
                if restriction is not None:
                    language = language & restriction
                found += compiler.count_strings(language, self.declared, wanted - found)
                if found >= wanted:
                    return True
        return False


def _plan(atoms: list[Atom], compiler: SchemaCompiler) -> _Plan | None:
    plan = _Plan(atoms, compiler)
    if not plan.inhabited():
        return None
    for atom in plan.late:
        if atom.kind == "unsupported":
            raise UnsupportedSchema(atom.where, *atom.value)
        keyword = {"somekey": "not", "badname": "not"}.get(atom.kind, atom.kind)
        raise UnsupportedSchema(
            atom.where, keyword, "asks for some property outside the schema, which is not supported yet"
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


def expand_somekey(atoms: list[Atom], compiler: SchemaCompiler) -> list[list[Atom]]:
    """The conjunct with each "some key of K has a value in S" spelled out per declared name.

    What is left over is a key that no merged schema declares. Where those are forbidden it cannot be; else the atom
    stays, on its own, in one more conjunct, for the caller to refuse if that conjunct matters.
    """
    for place, (kind, value, where) in enumerate(atoms):
        if kind not in ("somekey", "badname"):
            continue
        others = atoms[:place] + atoms[place + 1 :]
        names, closed, rest = _known(others)
        spec, sid = value if kind == "somekey" else (KeySpec(None, frozenset(), ()), TRUE)
        branches: list[list[Atom]] = []
        for name in names:
            if kind == "badname":
                if compiler.judge.schema_holds(value, name):
                    continue
            elif not compiler.judge.key_fits(spec, name):
                continue
            extra = [Atom("required", name, where)]
            if sid != TRUE:
                extra.append(Atom("value", (name, sid), where))
            branches.append(others + extra)
        result = [full for branch in branches for full in expand_somekey(branch, compiler)]
        if not closed and compiler.ref_of([*rest, sid]) != compiler.NEVER:
            hidden = expand_somekey(others, compiler)
            result.extend([*rest_atoms, Atom("elsewhere", value, where)] for rest_atoms in hidden)
        return result
    return [atoms]


def _known(atoms: list[Atom]) -> tuple[list[str], bool, list[Sid]]:
    """Declared names; whether all other keys are forbidden; the schemas of other keys, when no pattern says more."""
    names: dict[str, None] = {}
    rest: list[Sid] = []
    patterns = False
    for kind, value, _ in atoms:
        if kind == "group":
            names.update(dict.fromkeys(value.properties))
            patterns = patterns or bool(value.patterns)
            rest.append(value.additional)
        elif kind == "required":
            names[value] = None
        elif kind == "value":
            names[value[0]] = None
    if patterns:
        return list(names), False, []
    return list(names), FALSE in rest, rest
