"""Cheap, one-sided emptiness: True only when a set of schemas visibly has no instance.

`oneOf` asks for "this branch and none of the others". Where two branches exclude each other by a discriminating
const, a required name that the other forbids, or disjoint bounds, the denial of the other says nothing and must not be
multiplied out. The look ignores what is disjunctive (an over-approximation) and goes a few levels deep, so it cannot
loop, and costs microseconds; exact emptiness is `SchemaCompiler.is_empty`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from grammars.errors import GuidedError
from grammars.jsonschema._atoms import ARRAY, FALSE, NUMBER, OBJECT, STRING, TRUE, Atom, Item, Or, Sid
from grammars.jsonschema._negate import negate
from grammars.jsonschema._scalars import numbers

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler

__all__ = ["Apart"]

DEPTH = 3
MAX_BRANCHES = 16
_TOGETHER = 20
_PATTERNS = ("pattern", "npattern", "format")
_PATTERNS_LIMIT = 6
_HEAVY = frozenset(["format", "nformat", "content", "ncontent", "unsupported"])


class Apart:
    """Visible emptiness for the sets of one compiler."""

    def __init__(self, compiler: SchemaCompiler) -> None:
        self._compiler = compiler
        self._known: dict[tuple[int, int], bool] = {}
        self._tags: dict[Sid, dict[str, frozenset[Any]]] = {}
        self._enums: dict[Sid, dict[str, tuple[frozenset[Any], bool]]] = {}

    def visibly_empty(self, bit: int, atoms: Sequence[Atom], more: Iterable[Item], depth: int = DEPTH) -> bool:
        """Do the atoms, together with the items `more`, visibly admit no instance of the type?"""
        compiler = self._compiler
        all_atoms = list(atoms)
        todo, seen, choices = list(more), set(), []
        while todo:
            item = todo.pop()
            if isinstance(item, Or):
                choices.append(item)
            elif isinstance(item, int):
                if item == FALSE or item ^ 1 in seen:
                    return True
                if item == TRUE or item in seen:
                    continue
                seen.add(item)
                facts = compiler.facts(item)
                if item & 1:
                    if facts.types & bit and depth:
                        branches = tuple(branch for part in facts.items(bit) for branch in negate(part))
                        choices.append(Or(branches, ""))
                    continue
                if not facts.types & bit:
                    return True
                todo.extend(facts.items(bit))
            else:
                all_atoms.append(item)
        compiler.spend(2 + len(all_atoms) // 2)
        if self._clash(bit, all_atoms, depth):
            return True
        if depth == 0:
            return False
        return any(
            len(choice.branches) <= MAX_BRANCHES
            and all(self.visibly_empty(bit, all_atoms, branch, depth - 1) for branch in choice.branches)
            for choice in choices
        )

    def tags_differ(self, tags: dict[str, frozenset[Any]], sid: Sid) -> bool:
        """Does a schema require one of the tagged names with other values?"""
        own = self._tags.get(sid)
        if own is None:
            own = self._tags[sid] = self.tags(self._together(sid))
        return any(name in tags and tags[name].isdisjoint(values) for name, values in own.items())

    def _together(self, sid: Sid) -> list[Item]:
        """What a schema says of objects, through references and allOf."""
        found: list[Item] = []
        todo, seen = [sid], {sid}
        while todo and len(seen) < _TOGETHER:
            facts = self._compiler.facts(todo.pop())
            if not facts.types & OBJECT:
                return []
            for item in facts.items(OBJECT):
                if not isinstance(item, int):
                    found.append(item)
                elif not item & 1 and item and item not in seen:
                    seen.add(item)
                    todo.append(item)
        return found

    def tags(self, atoms: Iterable[Item]) -> dict[str, frozenset[Any]]:
        """Required names whose declared schema is a plain enum or const of strings or numbers, with these values."""
        found: dict[str, frozenset[Any]] = {}
        own = [atom for atom in atoms if isinstance(atom, Atom)]
        groups = [atom.value.properties for atom in own if atom.kind == "group"]
        for atom in own:
            if atom.kind != "required":
                continue
            for properties in groups:
                sid = properties.get(atom.value, TRUE)
                if sid > FALSE and not sid & 1:
                    values = self._named_values(sid)
                    if values is not None:
                        found[atom.value] = values & found.get(atom.value, values)
        return found

    def enums(self, sid: Sid) -> dict[str, tuple[frozenset[Any], bool]]:
        """Names that a schema gives a plain enum or const of strings or numbers: (these values, is it required?)."""
        known = self._enums.get(sid)
        if known is None:
            known = self._enums[sid] = {}
            items = [item for item in self._together(sid) if isinstance(item, Atom)]
            required = {atom.value for atom in items if atom.kind == "required"}
            for atom in items:
                for name, own in atom.value.properties.items() if atom.kind == "group" else ():
                    values = self._named_values(own) if own > FALSE and not own & 1 else None
                    if values is not None:
                        known[name] = (values & known[name][0] if name in known else values, name in required)
        return known

    def _named_values(self, sid: Sid) -> frozenset[Any] | None:
        """All values that enum or const admit; None where there is neither."""
        facts = self._compiler.facts(sid)
        values: set[Any] = set()
        for bit in (STRING, NUMBER):
            if facts.types & bit:
                items = facts.by_type.get(bit, ())
                named = next((item.value for item in items if isinstance(item, Atom) and item.kind == "in"), None)
                if named is None:
                    return None
                values.update(named)
        return frozenset(values) if not facts.types & ~(STRING | NUMBER) else None

    def set_empty(self, sids: Iterable[Sid], depth: int = DEPTH - 1) -> bool:
        """Do these schemas, taken together, visibly have no instance?"""
        compiler = self._compiler
        ref = compiler.ref_of(sids)
        if ref == compiler.NEVER:
            return True
        if ref == compiler.ANY:
            return False
        key = (ref, depth)
        known = self._known.get(key)
        if known is None:
            members = compiler.members(ref)
            types = compiler.types(members)
            known = all(not types & 1 << place or self._empty_of(1 << place, members, depth) for place in range(6))
            self._known[key] = known
        return known

    def _empty_of(self, bit: int, members: Sequence[Sid], depth: int) -> bool:
        return self.visibly_empty(bit, (), members, depth)

    def _clash(self, bit: int, atoms: list[Atom], depth: int) -> bool:
        values = None
        for atom in atoms:
            if atom.kind == "in":
                values = atom.value.keys() if values is None else values & atom.value.keys()
        if values is not None:
            return not values or self._none_left(atoms)
        if bit == NUMBER:
            try:
                return not numbers(atoms, self._compiler)
            except GuidedError:
                return False
        if bit == STRING:
            return _bounds_clash(atoms, "minlen", "maxlen") or self._languages_clash(atoms)
        if bit == ARRAY:
            return _bounds_clash(atoms, "minitems", "maxitems") or (depth > 0 and self._items_clash(atoms, depth))
        return bit == OBJECT and self._properties_clash(atoms, depth)

    def _languages_clash(self, atoms: list[Atom]) -> bool:
        """Do two patterns exclude each other?"""
        patterns = dict.fromkeys(atom[:2] for atom in atoms if atom.kind in _PATTERNS)
        if not 1 < len(patterns) <= _PATTERNS_LIMIT:
            return False
        disjoint = self._compiler.languages.disjoint
        try:
            return any(disjoint(one, other) for one, other in combinations(sorted(patterns), 2))
        except GuidedError:
            return False

    def _none_left(self, atoms: list[Atom]) -> bool:
        """Enum values, filtered by the atoms that are cheap to evaluate."""
        light = [atom for atom in atoms if atom.kind not in _HEAVY]
        values = next(atom.value for atom in light if atom.kind == "in")
        if len(values) * len(light) > 256:
            return False
        try:
            return not any(all(self._compiler.judge.holds(atom, value) for atom in light) for value in values.values())
        except GuidedError:
            return False

    def _properties_clash(self, atoms: list[Atom], depth: int) -> bool:
        required = dict.fromkeys(atom.value for atom in atoms if atom.kind == "required")
        if _bounds_clash(atoms, "minprops", "maxprops", len(required)):
            return True
        if any(atom.kind == "absent" and atom.value in required for atom in atoms):
            return True
        groups = [atom.value for atom in atoms if atom.kind == "group"]
        single = [atom.value for atom in atoms if atom.kind == "value"]
        for name in required:
            try:
                sids = [sid for group in groups for sid in self._compiler.lookup(group, name)]
            except GuidedError:
                return False
            sids += [sid for other, sid in single if other == name]
            if FALSE in sids or (depth > 0 and len(sids) > 1 and self.set_empty(sids, depth - 1)):
                return True
        return False

    def _items_clash(self, atoms: list[Atom], depth: int) -> bool:
        low = max((atom.value for atom in atoms if atom.kind == "minitems"), default=0)
        groups = [atom.value for atom in atoms if atom.kind == "group"]
        for index in range(min(low, 4)):
            sids = [group.prefix[index] if index < len(group.prefix) else group.rest for group in groups]
            sids += [atom.value[1] for atom in atoms if atom.kind == "item" and atom.value[0] == index]
            if FALSE in sids or (len(sids) > 1 and self.set_empty(sids, depth - 1)):
                return True
        return False


def _bounds_clash(atoms: list[Atom], least: str, most: str, low: int = 0) -> bool:
    low = max([atom.value for atom in atoms if atom.kind == least] + [low])
    return any(atom.kind == most and atom.value < low for atom in atoms)
