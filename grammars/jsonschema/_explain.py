"""Why a schema has no instance: the place, and the few keywords that exclude each other there.

Runs only after emptiness is established. The clash is a minimal core: keywords are left out one at a time as long as
what remains is still empty; where the core is a required property without any value, the search goes on inside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from grammars.errors import GuidedError, UnsatisfiableSchema, shorten
from grammars.jsonschema._atoms import (
    ARRAY,
    BOOLEAN,
    FALSE,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    TRUE,
    Atom,
    Item,
    ObjectGroup,
    Or,
    Sid,
)

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler
    from grammars.schema_ir import Ref

__all__ = ["unsatisfiable"]

_NOUNS = {NULL: "null", BOOLEAN: "boolean", NUMBER: "number", STRING: "string", ARRAY: "array", OBJECT: "object"}
_CORE_LIMIT = 60


def unsatisfiable(compiler: SchemaCompiler, ref: Ref) -> UnsatisfiableSchema:
    """The error for an empty `ref`."""
    return _Search(compiler).at(ref, None)


class _Search:
    def __init__(self, compiler: SchemaCompiler) -> None:
        self._compiler = compiler
        self._seen: set[Ref] = set()

    def at(self, ref: Ref, required: str | None) -> UnsatisfiableSchema:
        compiler = self._compiler
        place = compiler.pointer(ref)
        remedy = "Remove one of them."
        if required is not None:
            remedy = f'Remove one of them, or take "{required}" out of "required".'
        if ref in self._seen:
            return UnsatisfiableSchema(
                place,
                "each instance must contain another one of its own kind, without end",
                "Make the property that leads back to it optional, or allow another type beside it.",
            )
        self._seen.add(ref)
        if ref == compiler.NEVER:
            return UnsatisfiableSchema(place, '"false" admits nothing', "Remove it, or what requires a value here.")
        members = compiler.members(ref)
        types = compiler.types(members)
        if not types:
            parts = self._type_clash(members)
            return UnsatisfiableSchema(place, f"{' and '.join(parts)} leave{'s' * (len(parts) == 1)} no type", remedy)
        bit = max(b for b in _NOUNS if b & types)
        core = self._core(bit, self._items(bit, members))
        inner = self._inside(core, place)
        if inner is not None:
            return inner
        keywords = list(dict.fromkeys(_text(item, compiler) for item in core))
        places = [item.where for item in core if isinstance(item, Atom) and item.kind != "group"]
        if len(keywords) == 1:
            return UnsatisfiableSchema(_common(places) or place, f"{keywords[0]} leaves no {_NOUNS[bit]}", remedy)
        clash = ", ".join(keywords[:-1]) + f" and {keywords[-1]} leave no {_NOUNS[bit]}"
        return UnsatisfiableSchema(_common(places) or place, clash, remedy)

    def _items(self, bit: int, members: Iterable[Sid]) -> list[Item]:
        """The single keywords behind `members`, through references and allOf."""
        items: list[Item] = []
        stack, seen = list(members)[::-1], set()
        while stack:
            item: Item = stack.pop()
            if not isinstance(item, int) or item & 1:
                items.append(item)
            elif item != TRUE and item not in seen:
                seen.add(item)
                facts = self._compiler.facts(item)
                stack.extend(facts.items(bit)[::-1] if facts.types & bit else [FALSE])  # type: ignore[arg-type]
        return items

    def _core(self, bit: int, items: list[Item]) -> list[Item]:
        if len(items) > _CORE_LIMIT or not self._empty(bit, items):
            return items
        for item in list(items):
            fewer = [other for other in items if other is not item]
            if self._empty(bit, fewer):
                items = fewer
        return items

    def _empty(self, bit: int, items: list[Item]) -> bool:
        try:
            return self._compiler.none_inhabited(bit, items)
        except GuidedError:
            return False

    def _inside(self, core: list[Item], place: str) -> UnsatisfiableSchema | None:
        """Where the clash is a required property whose value is empty: the clash in there."""
        required = [item for item in core if isinstance(item, Atom) and item.kind == "required"]
        groups = [item.value for item in core if isinstance(item, Atom) and isinstance(item.value, ObjectGroup)]
        if len(required) != 1 or len(required) + len(groups) != len(core):
            return None
        name = required[0].value
        ref = self._compiler.ref_of(sid for group in groups for sid in self._compiler.lookup(group, name))
        if ref != self._compiler.NEVER:
            return self.at(ref, name)
        return UnsatisfiableSchema(
            place,
            f'"required" asks for "{name}", which {" and ".join(_forbids(group, name) for group in groups)} forbids',
            f'Declare "{name}" in "properties", or take it out of "required".',
        )

    def _type_clash(self, members: Iterable[Sid]) -> list[str]:
        found: list[str] = []
        stack, seen = list(members), set()
        while stack:
            sid = stack.pop()
            if sid & 1 or sid == TRUE or sid in seen:
                continue
            seen.add(sid)
            schema = self._compiler.schema_of(sid)
            found += [_keyword(name, schema[name]) for name in ("type", "enum", "const", "not") if name in schema]
            stack.extend(item for item in self._compiler.facts(sid).common if isinstance(item, int))
        return list(dict.fromkeys(found)) or ['"false"']


def _forbids(group: ObjectGroup, name: str) -> str:
    if name in group.properties:
        return '"properties"'
    return '"additionalProperties": false' if group.additional == FALSE else '"patternProperties"'


def _keyword(name: str, value: Any) -> str:
    return f'"{name}": {shorten(json.dumps(value, default=str), 60)}'


def _text(item: Item, compiler: SchemaCompiler) -> str:
    if isinstance(item, int):
        return '"not"' if item & 1 else '"false"'
    if isinstance(item, Or):
        return f'"{item.where.rsplit("/", 1)[-1]}"'
    if item.kind == "group":
        return '"properties"' if isinstance(item.value, ObjectGroup) else '"items"'
    name = item.where.rsplit("/", 1)[-1]
    if item.kind == "integer":
        return '"type": "integer"'
    if item.kind == "in":
        values = list(item.value.values())
        if name == "pattern":
            return _keyword(name, f"^({'|'.join(values)})$" if len(values) > 1 else f"^{values[0]}$")
        return _keyword(name, values[0] if name == "const" else values)
    if item.kind in ("unique", "contains", "names"):
        return f'"{name}"'
    return _keyword(name, [item.value] if item.kind == "required" else item.value)


def _common(places: list[str]) -> str | None:
    """The schema object in which all these keywords stand, if it is one."""
    parents = {place.rsplit("/", 1)[0] for place in places}
    return parents.pop() if len(parents) == 1 else None
