"""Does an instance satisfy an item? Exact, on Python values; enum and const are filtered with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grammars.errors import UnsupportedSchema
from grammars.jsonschema._atoms import (
    ARRAY,
    FALSE,
    TRUE,
    ArrayGroup,
    Atom,
    Item,
    KeySpec,
    ObjectGroup,
    Or,
    Sid,
    exact,
    type_bit,
    value_key,
)
from grammars.jsonschema._unevaluated import Unevaluated, merged

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler

__all__ = ["Judge"]


class Judge:
    """Evaluates items of one compiler on instances."""

    def __init__(self, compiler: SchemaCompiler) -> None:
        self._compiler = compiler
        self._active: set[tuple[Sid, int]] = set()

    def schema_holds(self, sid: Sid, value: Any) -> bool:
        """Is `value` valid against the signed sub-schema?"""
        if sid <= FALSE:
            return sid == TRUE
        if sid & 1:
            return not self.schema_holds(sid ^ 1, value)
        bit = type_bit(value)
        facts = self._compiler.facts(sid)
        if not facts.types & bit:
            return False
        key = (sid, id(value))
        if key in self._active:
            return True  # a schema that refers to itself on the spot adds nothing
        self._active.add(key)
        try:
            return all(self.holds(item, value) for item in facts.items(bit))
        finally:
            self._active.discard(key)

    def holds(self, item: Item, value: Any) -> bool:
        """Does `value`, of the type that `item` speaks about, satisfy it?"""
        if isinstance(item, int):
            return self.schema_holds(item, value)
        if isinstance(item, Or):
            return any(all(self.holds(part, value) for part in branch) for branch in item.branches)
        kind = item.kind
        simple = _SIMPLE.get(kind)
        if simple is not None:
            return bool(simple(value, item.value))
        if kind in ("pattern", "npattern"):
            return self._compiler.languages.found(item.value, value, item.where) == (kind == "pattern")
        if kind in ("format", "content"):
            languages = self._compiler.languages
            language = languages.format(item.value) if kind == "format" else languages.content(*item.value)
            return language is None or language.matches(value)
        if kind in ("nformat", "ncontent"):
            outside = self._compiler.languages.outside(kind[1:], item.value)
            return outside is not None and outside.matches(value)
        if kind in ("unevaluated", "nunevaluated"):
            return self._unevaluated(item.value, value) == (kind == "unevaluated")
        if type_bit(value) == ARRAY:
            return self._array(item, value)
        return self._object(item, value)

    def _array(self, item: Atom, value: list[Any]) -> bool:
        match item.kind, item.value:
            case "group", ArrayGroup(prefix, rest):
                checks = (*prefix, *(rest for _ in range(len(value) - len(prefix))))
                return all(self.schema_holds(sid, part) for sid, part in zip(checks, value, strict=False))
            case "item", (index, sid):
                return index >= len(value) or self.schema_holds(sid, value[index])
            case "someitem", (start, sid):
                return any(self.schema_holds(sid, part) for part in value[start:])
            case (("unique" | "nunique"), _):
                unique = len({value_key(part) for part in value}) == len(value)
                return bool(unique == (item.kind == "unique"))
            case "contains", (sid, low, high):
                count = sum(self.schema_holds(sid, part) for part in value)
                return bool(count >= low and (high is None or count <= high))
        raise self._cannot(item)

    def _object(self, item: Atom, value: dict[str, Any]) -> bool:
        match item.kind, item.value:
            case "group", ObjectGroup() as group:
                return all(
                    self.schema_holds(sid, part)
                    for name, part in value.items()
                    for sid in self._compiler.lookup(group, name)
                )
            case "value", (name, sid):
                return name not in value or self.schema_holds(sid, value[name])
            case "names", sid:
                return all(self.schema_holds(sid, name) for name in value)
            case "badname", (sid, names):
                return not all(name in names or self.schema_holds(sid, name) for name in value)
            case "somekey", (spec, sid):
                return any(self.key_fits(spec, name) and self.schema_holds(sid, part) for name, part in value.items())
        raise self._cannot(item)

    def _unevaluated(self, asked: Unevaluated, value: Any) -> bool:
        done = merged((), (part for part in asked.parts if all(self.holds(item, value) for item in part.when)))
        if done.everything:
            return True
        if asked.bit == ARRAY:
            return all(
                any(self.schema_holds(sid, part) for sid in (asked.sid, *done.matching))
                for part in value[done.prefix :]
            )
        spec = KeySpec(None, tuple(done.names), tuple(done.patterns))
        return all(self.schema_holds(asked.sid, part) for name, part in value.items() if self.key_fits(spec, name))

    def key_fits(self, spec: KeySpec, name: str) -> bool:
        """Is `name` one of the keys that `spec` describes?"""
        found = self._compiler.languages.found
        if spec.pattern is not None and not found(spec.pattern, name):
            return False
        return name not in spec.names and not any(found(other, name) for other in spec.without)

    def _cannot(self, item: Atom) -> UnsupportedSchema:
        keyword, reason = item.value if item.kind == "unsupported" else (item.kind, "")
        return UnsupportedSchema(item.where, keyword, reason)


def _multiple(value: Any, divisor: Any) -> bool:
    if isinstance(value, int) and isinstance(divisor, int):
        return value % divisor == 0
    return exact(value) % exact(divisor) == 0


_SIMPLE: dict[str, Any] = {
    "min": lambda value, bound: value >= bound,
    "max": lambda value, bound: value <= bound,
    "xmin": lambda value, bound: value > bound,
    "xmax": lambda value, bound: value < bound,
    "multiple": _multiple,
    "nmultiple": lambda value, divisor: not _multiple(value, divisor),
    "integer": lambda value, _: value == int(value),
    "ninteger": lambda value, _: value != int(value),
    "minlen": lambda value, bound: len(value) >= bound,
    "maxlen": lambda value, bound: len(value) <= bound,
    "minitems": lambda value, bound: len(value) >= bound,
    "maxitems": lambda value, bound: len(value) <= bound,
    "minprops": lambda value, bound: len(value) >= bound,
    "maxprops": lambda value, bound: len(value) <= bound,
    "required": lambda value, name: name in value,
    "absent": lambda value, name: name not in value,
    "in": lambda value, known: value_key(value) in known,
    "notin": lambda value, known: value_key(value) not in known,
}
