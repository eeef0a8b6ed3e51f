"""What the front-end hands to lowering: shapes, laziness, sharing, pruning."""

from __future__ import annotations

from itertools import product
from typing import Any

import jsonschema
import pytest

from grammars.errors import UnsatisfiableSchema
from grammars.jsonschema import SchemaCompiler
from grammars.jsonschema.membership import contains
from grammars.schema_ir import (
    Alternative,
    ArrayValue,
    LiteralValue,
    NumberValue,
    ObjectValue,
    Property,
    StringValue,
)

DRAFT4 = "http://json-schema.org/draft-04/schema#"
DRAFT7 = "http://json-schema.org/draft-07/schema#"


def root(schema: Any, **options: Any) -> tuple[Alternative, ...]:
    source = SchemaCompiler(schema, **options)
    return source.resolve(source.root).alternatives


def only(schema: Any, **options: Any) -> Any:
    (alternative,) = root(schema, **options)
    return alternative


def test_scalars_of_enum_and_const_are_literals() -> None:
    assert root({"enum": ["a", 1, None, True]}) == (
        LiteralValue(None), LiteralValue(True), LiteralValue(1), LiteralValue("a"),
    )  # fmt: skip
    assert root({"enum": [1, 1.0, True]}) == (LiteralValue(True), LiteralValue(1))
    assert root({"const": "x", "minLength": 1}) == (LiteralValue("x"),)


def test_constant_arrays_and_objects_have_fixed_children() -> None:
    source = SchemaCompiler({"const": {"a": [1]}})
    (value,) = source.resolve(source.root).alternatives
    assert isinstance(value, ObjectValue) and value.additional is None
    (declared,) = value.properties
    assert declared.required and declared.value is not None
    (inner,) = source.resolve(declared.value).alternatives
    assert isinstance(inner, ArrayValue) and (inner.min_items, inner.max_items, inner.items) == (1, 1, None)


def test_all_of_tightens_bounds() -> None:
    schema = {"type": "integer", "minimum": 1, "allOf": [{"minimum": 3, "maximum": 9}, {"exclusiveMaximum": 8}]}
    assert only(schema) == NumberValue(True, 3, None, None, 8)


def test_integer_or_number_is_number() -> None:
    assert only({"type": ["integer", "number"]}) == NumberValue()


def test_draft_4_spells_exclusive_bounds_as_flags() -> None:
    schema = {"$schema": DRAFT4, "type": "number", "minimum": 1, "exclusiveMinimum": True}
    assert only(schema) == NumberValue(exclusive_minimum=1)


def test_up_to_draft_7_a_reference_stands_alone() -> None:
    schema = {"definitions": {"s": {"type": "string"}}, "$ref": "#/definitions/s", "maxLength": 3}
    assert only({**schema, "$schema": DRAFT7}) == StringValue()
    assert only(schema) == StringValue(None, 0, 3)


def test_array_form_of_items_before_2020() -> None:
    value = only({"$schema": DRAFT7, "type": "array", "items": [{"type": "null"}], "additionalItems": False})
    assert (len(value.prefix), value.items, value.max_items) == (1, None, 1)


def test_an_empty_item_ends_the_array_before_it() -> None:
    value = only({"type": "array", "prefixItems": [{"type": "null"}, False, {"type": "null"}]})
    assert (len(value.prefix), value.items, value.max_items) == (1, None, 1)


def test_an_empty_property_must_not_be_written() -> None:
    value = only({"type": "object", "properties": {"a": {"type": "string", "enum": [1]}}})
    assert value.properties == (Property("a", None),) and value.additional is not None


def test_required_names_that_are_not_declared_come_last() -> None:
    value = only({"type": "object", "required": ["z", "a"], "properties": {"b": {}, "a": {}}})
    assert [(declared.name, declared.required) for declared in value.properties] == [
        ("b", False), ("a", True), ("z", True),
    ]  # fmt: skip


def test_equal_scalar_schemas_share_a_reference_whatever_their_descriptions() -> None:
    value = only({"type": "object", "properties": {name: {"type": "string", "title": name} for name in "abc"}})
    assert len({declared.value for declared in value.properties}) == 1


def test_a_reference_shares_its_target() -> None:
    source = SchemaCompiler({"type": "object", "properties": {"next": {"$ref": "#"}}})
    (value,) = source.resolve(source.root).alternatives
    assert isinstance(value, ObjectValue) and value.properties[0].value == source.root


def test_overlapping_patterns_are_split_into_disjoint_ones() -> None:
    source = SchemaCompiler({"patternProperties": {"^a": {"type": "integer"}, "b$": {"minimum": 5}}})
    for instance, valid in [
        ({"a": 1}, True), ({"a": "x"}, False), ({"b": "x"}, True), ({"b": 4}, False),
        ({"ab": 5}, True), ({"ab": 4}, False), ({"ab": "x"}, False), ({"c": 0}, True),
    ]:  # fmt: skip
        assert contains(source, instance) is valid
    (value,) = [a for a in source.resolve(source.root).alternatives if isinstance(a, ObjectValue)]
    for name in ("a", "b", "ab", "c"):
        assert sum(pattern.keys.matches(name) for pattern in value.patterns) == (name != "c")


def test_property_names_that_are_listed_become_declared() -> None:
    value = only({"type": "object", "propertyNames": {"enum": ["a", "b"]}, "minProperties": 2})
    assert [declared.name for declared in value.properties] == ["a", "b"]
    assert value.additional is None


def test_one_of_with_a_discriminator_keeps_one_alternative_per_branch() -> None:
    branches = [
        {"properties": {"kind": {"const": str(i)}, "value": {"minimum": i}}, "required": ["kind"]} for i in range(20)
    ]
    assert len(root({"type": "object", "oneOf": branches})) == 20


def test_a_branch_without_discriminator_does_not_multiply_the_others() -> None:
    """One branch of ten lists no values of `kind`: it is told apart from the others value by value."""
    branches: list[Any] = [
        {"properties": {"kind": {"const": str(i)}}, "required": ["kind", f"a{i}", f"b{i}"]} for i in range(9)
    ]
    schema = {"type": "object", "oneOf": [*branches, {"required": ["kind", "x"]}]}
    assert len(root(schema)) < 40
    source, validator = SchemaCompiler(schema), jsonschema.Draft202012Validator(schema)
    for names in (["x"], ["a3", "x"], ["a3", "b3"], ["a3", "b3", "x"], ["a4", "b4", "x"]):
        instance = {"kind": "3", **dict.fromkeys(names, 1)}
        assert contains(source, instance) == validator.is_valid(instance), instance


def test_one_of_required_names_excludes_the_others() -> None:
    source = SchemaCompiler({"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]})
    assert contains(source, {"a": 1}) and contains(source, {"b": 1})
    assert not contains(source, {}) and not contains(source, {"a": 1, "b": 1})


def test_chained_conditions_on_one_property_do_not_multiply() -> None:
    """Fifteen times "if kind is k then ...": seventeen cases, not two to the fifteenth."""
    conditions = [
        {"if": {"properties": {"kind": {"const": str(i)}}}, "then": {"properties": {"v": {"minimum": i}}}}
        for i in range(15)
    ]
    source = SchemaCompiler({"type": "object", "allOf": conditions}, fuel=60_000)
    assert contains(source, {"kind": "7", "v": 7}) and not contains(source, {"kind": "7", "v": 6})
    assert contains(source, {"v": 14}) and not contains(source, {"v": 13})


def test_many_conditions_on_one_property_are_taken_together() -> None:
    """A hundred conditions, three of them on the same value, some asking for the property itself."""
    conditions: list[Any] = [
        {"if": {"properties": {"kind": {"const": str(i)}}}, "then": {"properties": {"v": {"minimum": i}}}}
        for i in range(100)
    ]
    conditions += [
        {"if": {"properties": {"kind": {"enum": ["7", 8]}}, "required": ["kind"]}, "then": {"required": ["w"]}},
        {"if": {"properties": {"kind": {"const": "7"}}, "required": ["kind"]}, "else": {"not": {"required": ["x"]}}},
    ]
    schema = {"type": "object", "allOf": conditions}
    source = SchemaCompiler(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for kind, v, extra in product(["7", "8", 8, "z", None, ...], [6, 7, 8, 99], ["", "w", "x", "wx"]):
        instance = {"v": v, **{name: 0 for name in extra}, **({} if kind is ... else {"kind": kind})}
        assert contains(source, instance) == validator.is_valid(instance), instance


def test_patterns_that_are_words_are_literals() -> None:
    assert root({"type": "string", "pattern": "^abc$"}) == (LiteralValue("abc"),)
    assert root({"type": "string", "pattern": "^(a|b-c|)$"}) == (
        LiteralValue("a"),
        LiteralValue("b-c"),
        LiteralValue(""),
    )
    assert isinstance(only({"type": "string", "pattern": "^a|b$"}), StringValue)
    assert isinstance(only({"type": "string", "pattern": "^a.c$"}), StringValue)


def test_resolving_the_root_reads_no_grandchildren() -> None:
    """Laziness: an error two levels down stays unnoticed until that place is reached."""
    schema = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"minLength": "x"}}}}}
    source = SchemaCompiler(schema)
    assert source.resolve(source.root).pointer == ""


def test_recursion_through_all_of_ends() -> None:
    schema = {"$defs": {"n": {"allOf": [{"$ref": "#/$defs/n"}, {"type": "integer"}]}}, "$ref": "#/$defs/n"}
    assert only(schema) == NumberValue(True)


@pytest.mark.parametrize("draft", ["4", "7", "2020-12"])
def test_known_formats_are_asserted_by_default(draft: str) -> None:
    schema = {"type": "string", "format": "date"}
    assert not contains(SchemaCompiler(schema, default_draft=draft), "31 May")
    assert contains(SchemaCompiler(schema, default_draft=draft, format="annotate"), "31 May")
    assert contains(SchemaCompiler({"format": "no-such-format"}, default_draft=draft), "31 May")


def test_references_to_other_documents_come_from_the_registry() -> None:
    registry = {"https://example.org/name.json": {"type": "string", "$defs": {"short": {"maxLength": 2}}}}
    schema = {
        "$id": "https://example.org/root.json",
        "properties": {"a": {"$ref": "name.json"}, "b": {"$ref": "name.json#/$defs/short"}, "c": {"$ref": "#local"}},
        "$defs": {"x": {"$anchor": "local", "type": "null"}},
    }
    source = SchemaCompiler(schema, registry=registry)
    assert contains(source, {"a": "abc", "b": "ab", "c": None})
    for wrong in ({"a": 1}, {"b": "abc"}, {"c": 0}):
        assert not contains(source, wrong)


def test_a_nested_id_is_the_base_of_references_below_it() -> None:
    inner = {"$id": "inner.json", "$defs": {"t": {"type": "null"}}, "items": {"$ref": "#/$defs/t"}}
    source = SchemaCompiler({"$id": "https://example.org/", "$defs": {"t": {"type": "string"}}, "items": inner})
    assert contains(source, [[None]]) and not contains(source, [["a"]])


def test_deep_nesting_of_required_properties_is_no_recursion_error() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(500):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    assert isinstance(only(schema), ObjectValue)


def test_a_long_recursion_without_an_end_is_empty_as_a_whole() -> None:
    links = {
        f"d{i}": {"type": "object", "properties": {"a": {"$ref": f"#/$defs/d{(i + 1) % 40}"}}, "required": ["a"]}
        for i in range(40)
    }
    with pytest.raises(UnsatisfiableSchema):
        SchemaCompiler({"$ref": "#/$defs/d0", "$defs": links})
    links["d39"]["type"] = ["object", "null"]
    assert isinstance(only({"$ref": "#/$defs/d0", "$defs": links}), ObjectValue)


def test_many_branches_with_a_discriminator_stay_cheap() -> None:
    branches = [{"properties": {"kind": {"const": i}}, "required": ["kind"]} for i in range(150)]
    assert len(root({"type": "object", "oneOf": branches}, fuel=60_000)) == 150
