"""What users read when a schema is malformed, contradictory or not supported: place, parties of the clash, remedy."""

from __future__ import annotations

from typing import Any

import pytest

from grammars.errors import BudgetExceeded, SchemaError, UnsatisfiableSchema, UnsupportedSchema
from grammars.jsonschema import SchemaCompiler

AGE = {"type": "integer", "minimum": 18, "maximum": 12}

UNSATISFIABLE: list[tuple[Any, str, list[str]]] = [
    (AGE, "", ['"minimum": 18', '"maximum": 12', "leave no number"]),
    (
        {"type": "object", "properties": {"age": AGE}, "required": ["age"]},
        "/properties/age",
        ['"minimum": 18', '"maximum": 12', 'take "age" out of "required"'],
    ),
    ({"type": "string", "enum": [1, 2]}, "", ['"type": "string"', '"enum": [1, 2]']),
    ({"enum": ["a", "bb"], "minLength": 3}, "", ['"enum": ["a", "bb"]', '"minLength": 3']),
    ({"type": "string", "minLength": 3, "pattern": "^a$"}, "", ['"minLength": 3', '"pattern": "^a$"']),
    ({"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 6}, "", ['"multipleOf": 7', '"maximum": 6']),
    ({"type": "array", "minItems": 3, "maxItems": 2}, "", ['"minItems": 3', '"maxItems": 2', "leave no array"]),
    ({"type": "array", "items": False, "minItems": 1}, "", ['"items"', '"minItems": 1']),
    (
        {"type": "object", "required": ["x"], "additionalProperties": False},
        "",
        ['"required" asks for "x"', '"additionalProperties": false forbids', 'Declare "x"'],
    ),
    (
        {"type": "object", "required": ["r", "l"], "oneOf": [{"required": ["r"]}, {"required": ["l"]}]},
        "",
        ['"oneOf"', '"required": ["r"]', '"required": ["l"]'],
    ),
    ({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}, "", ["without end"]),
    ({"allOf": [{"type": "string"}, {"type": "number"}]}, "", ['"type": "string"', '"type": "number"']),
    (False, "", ["false"]),
    ({"not": {}}, "", ['"not": {} leaves no type']),
]


@pytest.mark.parametrize(("schema", "pointer", "parts"), UNSATISFIABLE)
def test_a_contradiction_names_its_place_and_its_parties(schema: Any, pointer: str, parts: list[str]) -> None:
    with pytest.raises(UnsatisfiableSchema) as caught:
        SchemaCompiler(schema)
    assert caught.value.pointer == pointer
    for part in parts:
        assert part in str(caught.value)


MALFORMED: list[tuple[Any, str, str]] = [
    ({"$ref": "#/nowhere"}, "/$ref", "refers to nothing"),
    ({"$dynamicRef": "#x"}, "/$dynamicRef", "refers to nothing"),
    ({"$ref": "other.json"}, "/$ref", "nothing is fetched"),
    ({"properties": {"a/b": {"$ref": "#/$defs/x"}}, "required": ["a/b"]}, "/properties/a~1b/$ref", "#/$defs/x"),
    ({"type": "strin"}, "/type", "'strin'"),
    ({"properties": []}, "/properties", "an object of schemas"),
    ({"minLength": -1}, "/minLength", "0 or more"),
    ({"type": "string", "pattern": "("}, "/pattern", "offset 0"),
    ({"items": [{}]}, "/items", "prefixItems"),
    ({"required": True}, "/required", "property names"),
    ({"allOf": [{"not": 3}]}, "/allOf/0/not", "int"),
    ({"multipleOf": 0}, "/multipleOf", "above 0"),
    ({"$schema": "http://json-schema.org/draft-04/schema#", "exclusiveMinimum": 3}, "/exclusiveMinimum", "draft 4"),
    ("string", "", "a schema is an object"),
]


@pytest.mark.parametrize(("schema", "pointer", "part"), MALFORMED)
def test_a_malformed_schema_names_its_place(schema: Any, pointer: str, part: str) -> None:
    with pytest.raises(SchemaError) as caught:
        source = SchemaCompiler(schema)
        source.resolve(source.root)
    assert caught.value.pointer == pointer
    assert part in str(caught.value)


UNSUPPORTED: list[tuple[Any, str, str]] = [
    ({"type": "array", "contains": {"type": "null"}, "minContains": 5000}, "/contains", "contains"),
    ({"type": "array", "not": {"uniqueItems": True}}, "/not/uniqueItems", "not"),
    (
        {"allOf": [{"type": "object", "not": {"additionalProperties": {"minLength": i}}} for i in range(1, 10)]},
        "/allOf/0/not",
        "not",
    ),
    ({"type": "string", "pattern": r"(a|b)\1"}, "/pattern", "pattern"),
]


@pytest.mark.parametrize(("schema", "pointer", "keyword"), UNSUPPORTED)
def test_what_cannot_be_enforced_is_refused_by_name(schema: Any, pointer: str, keyword: str) -> None:
    with pytest.raises(UnsupportedSchema) as caught:
        source = SchemaCompiler(schema)
        source.resolve(source.root)
    assert (caught.value.pointer, caught.value.keyword) == (pointer, keyword)


def test_fuel_bounds_the_work() -> None:
    """Twenty independent choices of two keys each, all allowed: a million combinations."""
    choices = [{"oneOf": [{"required": [f"a{i}"]}, {"required": [f"b{i}"]}]} for i in range(20)]
    with pytest.raises(BudgetExceeded, match="fuel"):
        SchemaCompiler({"type": "object", "allOf": choices}, fuel=5_000)
