"""JSON Schemas over a tiny vocabulary, with instances that often are just valid or just not.

Names, strings and numbers come from small pools, so that independently drawn schemas and instances meet: the same
property is required here and forbidden there, bounds touch, enums overlap.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

__all__ = ["circular", "drafts", "instances", "scalars", "schemas"]

NAMES = ("a", "b", "c", "ab")
STRINGS = ("", "a", "b", "ab", "abc", "bb")
NUMBERS = (-1, 0, 1, 2, 3, 1.5, 2.0, 0.5)
PATTERNS = ("^a", "b$", "^[ab]+$", "a", "^a?b?$", "^$")
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")


def scalars() -> st.SearchStrategy[Any]:
    """Null, booleans, numbers and strings of the pools."""
    return st.one_of(st.none(), st.booleans(), st.sampled_from(NUMBERS), st.sampled_from(STRINGS))


def instances() -> st.SearchStrategy[Any]:
    """Small JSON values of the pools."""
    return st.recursive(
        scalars(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
        max_leaves=6,
    )


def _keywords(inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    count = st.integers(0, 3)
    several = st.lists(inner, min_size=1, max_size=3)
    some_names = st.lists(st.sampled_from(NAMES), max_size=2, unique=True)
    by_name = st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    return {
        "type": st.sampled_from(TYPES) | st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True),
        "enum": st.lists(instances(), min_size=1, max_size=4),
        "const": instances(),
        "minLength": count,
        "maxLength": count,
        "pattern": st.sampled_from(PATTERNS),
        "minimum": st.sampled_from(NUMBERS),
        "maximum": st.sampled_from(NUMBERS),
        "exclusiveMinimum": st.sampled_from(NUMBERS),
        "exclusiveMaximum": st.sampled_from(NUMBERS),
        "multipleOf": st.sampled_from((1, 2, 3, 0.5)),
        "minItems": count,
        "maxItems": count,
        "items": inner,
        "prefixItems": several,
        "minProperties": count,
        "maxProperties": count,
        "properties": by_name,
        "patternProperties": st.dictionaries(st.sampled_from(PATTERNS), inner, max_size=2),
        "additionalProperties": inner,
        "propertyNames": inner,
        "required": some_names,
        "dependentRequired": st.dictionaries(st.sampled_from(NAMES), some_names, max_size=2),
        "dependentSchemas": st.dictionaries(st.sampled_from(NAMES), inner, max_size=1),
        "anyOf": several,
        "allOf": several,
        "oneOf": several,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "contains": inner,
        "minContains": count,
        "maxContains": count,
        "uniqueItems": st.booleans(),
        "unevaluatedProperties": inner,
        "unevaluatedItems": inner,
        "$ref": st.just("#/$defs/d"),
    }


CORE = (
    "type enum const minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minItems "
    "maxItems items prefixItems properties additionalProperties required anyOf allOf $ref minProperties maxProperties"
).split()
FULL = (*CORE, *"oneOf not if then else patternProperties propertyNames dependentRequired dependentSchemas".split())
COUNTED = (*FULL, "contains", "minContains", "maxContains")

EVALUATED = (
    "type minItems items prefixItems properties additionalProperties required anyOf allOf oneOf not if then else "
    "patternProperties dependentSchemas $ref unevaluatedProperties unevaluatedItems contains"
).split()


def schemas(keywords: tuple[str, ...] | list[str] = FULL) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of draft 2020-12 that use the given keywords; `$ref` goes to a definition `d`, which may be recursive."""

    def extend(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        table = _keywords(inner)
        pairs = st.lists(st.sampled_from(sorted(keywords)), min_size=1, max_size=4, unique=True)
        return pairs.flatmap(lambda chosen: st.fixed_dictionaries({keyword: table[keyword] for keyword in chosen}))

    leaves = st.booleans() | extend(st.booleans() | st.just({"type": "string"})) | st.just({"$ref": "#/$defs/d"})
    nodes = st.recursive(leaves, extend, max_leaves=6)
    return st.builds(_with_definition, extend(nodes), extend(nodes).filter(lambda schema: not circular(schema)))


FORMATS = ("date", "ipv4", "uuid", "no-such-format")
TEXTS = ("2020-02-29", "2019-02-29", "1.2.3.4", "1.2.3", "6e6b7e6a-0000-4000-8000-00000000000A", "{}", "e30=")
SINCE = {
    6: "const contains propertyNames".split(),
    7: "if then else contentEncoding contentMediaType".split(),
    2019: "minContains maxContains dependentRequired dependentSchemas unevaluatedItems unevaluatedProperties".split(),
    2020: "prefixItems $dynamicRef".split(),
}


def drafts(year: int) -> dict[str, st.SearchStrategy[Any]]:
    """The keywords of a draft (4, 6, 7, 2019, 2020) as that draft writes them, with values, one level deep."""
    inner: st.SearchStrategy[Any] = st.booleans() if year > 4 else st.just({"not": {}}) | st.just({})
    inner |= st.fixed_dictionaries({"type": st.sampled_from(TYPES)}) | st.builds(lambda v: {"enum": v}, _few(scalars()))
    if year > 4:
        inner |= st.builds(lambda v: {"const": v}, scalars())
    inner |= st.builds(lambda name: {"required": [name]}, st.sampled_from(NAMES)) | st.just({"$ref": "#/definitions/d"})
    table = _keywords(inner)
    new = {keyword for since, keywords in SINCE.items() if since > year for keyword in keywords}
    table = {keyword: values for keyword, values in table.items() if keyword not in new}
    table |= {
        "format": st.sampled_from(FORMATS),
        "dependencies": st.dictionaries(st.sampled_from(NAMES), inner | _few(st.sampled_from(NAMES)), max_size=2),
        "$ref": st.just("#/definitions/d"),
    }
    if year < 2020:
        table |= {"items": inner | _few(inner), "additionalItems": inner}
    if year == 4:
        table |= {"exclusiveMinimum": st.booleans(), "exclusiveMaximum": st.booleans()}
    if year >= 7:
        table |= {"contentEncoding": st.just("base64"), "contentMediaType": st.just("application/json")}
    if year == 2019:
        table["properties"] |= st.just({"a": {"$recursiveRef": "#"}})
    if year == 2020:
        table["$dynamicRef"] = st.just("#d")
        table["items"] |= st.just({"$dynamicRef": "#d"})
    return table


def _few(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, min_size=1, max_size=3)


def circular(schema: Any) -> bool:
    """Does the definition refer to itself on the spot? Such schemas mean nothing, and `jsonschema` overflows."""
    if not isinstance(schema, dict):
        return False
    inner = [schema[keyword] for keyword in ("not", "if", "then", "else") if keyword in schema]
    inner += [item for keyword in ("allOf", "anyOf", "oneOf") for item in schema.get(keyword, ())]
    return "$ref" in schema or any(map(circular, [*inner, *schema.get("dependentSchemas", {}).values()]))


def _with_definition(schema: dict[str, Any], definition: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "$defs": {"d": definition}}
