"""Cheap looks at a schema object, before it is read."""

from __future__ import annotations

import re
from typing import Any

from grammars.jsonschema._reader import ASSERTIONS

__all__ = ["only_ref", "plainly_inhabited", "sharing_key", "surely_inhabited"]

_SCALAR = frozenset(
    """type format pattern minLength maxLength minimum maximum exclusiveMinimum exclusiveMaximum multipleOf const
    contentEncoding contentMediaType""".split()
)
_STRUCTURAL = (
    ASSERTIONS | {"then", "else", "$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "minContains"}
) - _SCALAR
_SIMPLE = (str, int, float, bool)


def sharing_key(schema: dict[str, Any], year: int) -> tuple[Any, ...] | None:
    """Equal keys, equal meaning; None for schemas that are not just a few scalar assertions. () asserts nothing."""
    key: list[Any] = []
    for keyword, value in schema.items():
        if keyword in _SCALAR:
            if value.__class__ not in _SIMPLE:
                return None
            key.append((keyword, value, value.__class__))
        elif keyword in _STRUCTURAL:
            return None
    if not key:
        return ()
    if len(key) > 1:
        key.sort(key=_keyword)
        key.append(year)
    elif key[0][0] != "type":
        key.append(year)
    return tuple(key)


def _keyword(entry: tuple[str, Any, Any]) -> str:
    return entry[0]


def only_ref(schema: dict[str, Any]) -> bool:
    """`$ref` and annotations."""
    return len(schema) == 1 or all(
        keyword == "$ref" or not (keyword in _STRUCTURAL or keyword in _SCALAR) for keyword in schema
    )


_RISKY = frozenset(
    """$ref $dynamicRef $recursiveRef allOf anyOf oneOf not if const enum pattern minLength minimum exclusiveMinimum
    minItems minProperties required contains dependencies dependentRequired dependentSchemas unevaluatedProperties
    unevaluatedItems""".split()
)
_RESTRICTING = frozenset(["format", "contentEncoding", "contentMediaType"])
_TYPES = {"string", "number", "integer", "boolean", "null", "object", "array"}


def surely_inhabited(schema: dict[str, Any]) -> bool:
    """No keyword is present that could leave the schema without any instance."""
    kind = schema.get("type")
    if kind.__class__ is str:
        if kind not in _TYPES:
            return False
    elif kind is not None:
        return False
    if "maxLength" in schema and not _RESTRICTING.isdisjoint(schema):
        return False
    if _RISKY.isdisjoint(schema):
        return True
    if schema.keys() <= _STRING_ONLY and kind == "string":
        if "pattern" in schema:
            return "minLength" not in schema and plainly_inhabited(schema["pattern"])
        enum = schema.get("enum")
        if enum is not None:
            return schema.keys() <= _ENUM_ONLY and bool(enum) and enum[0].__class__ is str
        return "const" not in schema and "minLength" not in schema
    return False


_ANNOTATIONS = frozenset("title description default examples $comment readOnly writeOnly deprecated".split())
_ENUM_ONLY = _ANNOTATIONS | {"type", "enum"}
_STRING_ONLY = _ENUM_ONLY | {"pattern", "minLength"}

_PLAIN = re.compile(
    r"""\^?(?: [^\\^$()\[\]{}*+?|] | \\[dDwWsS.\-/_@+*?(){}\[\]|^$\\:] | \[ (?:[A-Za-z0-9_.@:/, +*]|\\[dws.\-/])+ -? \]
        | (?<=[^\^(|]) [*+?] | (?<=[^\^(|]) \{ [0-9]{1,3} (?:,[0-9]*)? \} )* \$?""",
    re.VERBOSE,
)


def plainly_inhabited(pattern: Any) -> bool:
    """True only for patterns that match some string, as their shape shows; False when unsure."""
    return isinstance(pattern, str) and len(pattern) < 200 and _PLAIN.fullmatch(pattern) is not None
