"""What a schema object asserts, as a hashable value: equal values, equal languages.

Only asked for where a schema meets the denial of another one ("S and not T"): the members of a `oneOf` often repeat the
same sub-schema word for word, and noticing that keeps the denials from multiplying out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grammars.jsonschema._atoms import value_key
from grammars.jsonschema._reader import ASSERTIONS

if TYPE_CHECKING:
    from grammars.jsonschema._nodes import Scope
    from grammars.jsonschema.compiler import SchemaCompiler

__all__ = ["structure"]

_ONE = frozenset(
    """items additionalItems additionalProperties not if then else contains propertyNames unevaluatedItems
    unevaluatedProperties""".split()
)
_MAP = frozenset("properties patternProperties dependentSchemas dependencies".split())
_LIST = frozenset("allOf anyOf oneOf prefixItems items".split())
_KNOWN = ASSERTIONS | _ONE | {"minContains", "maxContains"}
_LIMIT = 300


class _TooLarge(Exception):
    pass


def structure(schema: Any, scope: Scope, compiler: SchemaCompiler) -> Any:
    """A hashable stand-in for the assertions of `schema`; None where it is too large or changes its scope."""
    if scope.dynamic.anchors or scope.dialect.vocabularies is not None:
        return None
    left = [_LIMIT]
    try:
        return (scope.dialect.year, _schema(schema, scope, compiler, left))
    except _TooLarge:
        return None


def _schema(schema: Any, scope: Scope, compiler: SchemaCompiler, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        raise _TooLarge
    if not isinstance(schema, dict):
        return value_key(schema)
    if scope.dialect.id_keyword in schema and schema is not scope.root:
        raise _TooLarge
    parts: list[tuple[str, Any]] = []
    for keyword, value in schema.items():
        if keyword == "$ref" and isinstance(value, str):
            parts.append((keyword, ("sid", compiler.refer(value, scope, ""))))
        elif keyword in ("$dynamicRef", "$recursiveRef"):
            raise _TooLarge
        elif keyword in _MAP and isinstance(value, dict):
            items = ((name, _schema(item, scope, compiler, left)) for name, item in value.items())
            parts.append((keyword, frozenset(items)))
        elif keyword in _LIST and isinstance(value, list):
            parts.append((keyword, tuple(_schema(item, scope, compiler, left) for item in value)))
        elif keyword in _ONE:
            parts.append((keyword, _schema(value, scope, compiler, left)))
        elif keyword in _KNOWN:
            left[0] -= len(value) if isinstance(value, (list, dict)) else 0
            parts.append((keyword, value_key(value)))
    return frozenset(parts)
