"""uniqueItems over few values: the verdicts of `jsonschema`, and no array that runs out of values."""

from __future__ import annotations

from itertools import product
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from grammars.errors import UnsatisfiableSchema, UnsupportedSchema
from grammars.jsonschema import SchemaCompiler
from grammars.jsonschema.membership import contains, equal
from grammars.schema_ir import ArrayValue, Ref

POOL: list[Any] = [None, True, False, 0, 1, 2, 1.0, "a", "b", "c", [], [0], {}, {"k": 1}]
QUIET = settings(suppress_health_check=list(HealthCheck), deadline=None)


def items() -> st.SearchStrategy[Any]:
    return st.sampled_from(
        [
            {"enum": ["a", "b"]}, {"enum": [0, 1, "a"]}, {"const": 1}, {"type": "boolean"}, True, False,
            {"type": ["boolean", "null"]}, {"type": "integer", "minimum": 0, "maximum": 2}, {"type": "string"},
            {"type": ["string", "null"]}, {"type": "string", "maxLength": 0}, {"type": "string", "pattern": "^[ab]$"},
            {"multipleOf": 1, "maximum": 1},
            {"type": "array", "maxItems": 1, "items": {"const": 0}},
            {"type": "object", "properties": {"k": {"const": 1}}, "additionalProperties": False},
        ]
    )  # fmt: skip


def arrays() -> st.SearchStrategy[dict[str, Any]]:
    count = st.integers(0, 4)
    keywords = {
        "prefixItems": st.lists(items(), min_size=1, max_size=3), "minItems": count, "maxItems": count,
        "items": items(), "contains": items(), "minContains": st.integers(0, 2), "maxContains": st.integers(0, 2),
    }  # fmt: skip
    chosen = st.lists(st.sampled_from(sorted(keywords)), max_size=4, unique=True)
    return chosen.flatmap(
        lambda names: st.fixed_dictionaries(
            {"type": st.just("array"), "uniqueItems": st.just(True), **{name: keywords[name] for name in names}}
        )
    )


@QUIET
@given(arrays(), st.lists(st.lists(st.sampled_from(POOL), max_size=5), min_size=10, max_size=20))
def test_verdicts(schema: dict[str, Any], instances: list[Any]) -> None:
    try:
        source = SchemaCompiler(schema)
    except UnsatisfiableSchema:
        source = None
    except UnsupportedSchema:
        assume(False)
    validator = jsonschema.Draft202012Validator(schema)
    instances += [list(pair) for pair in product(POOL[:9], repeat=2)]
    try:
        for instance in instances:
            got = source is not None and contains(source, instance)
            assert got == bool(validator.is_valid(instance)), (schema, instance)
    except UnsupportedSchema:
        assume(False)


@QUIET
@given(arrays())
def test_no_choice_of_values_is_a_dead_end(schema: dict[str, Any]) -> None:
    try:
        source = SchemaCompiler(schema)
        alternatives = source.resolve(source.root).alternatives
    except (UnsatisfiableSchema, UnsupportedSchema):
        assume(False)
    for alternative in alternatives:
        assert isinstance(alternative, ArrayValue)
        _explore(source, alternative, [], 0)


def _explore(source: SchemaCompiler, arrays: ArrayValue, chosen: list[Any], state: int) -> None:
    """Each array that can be begun can be closed or has a next item, and where another is allowed, there is one."""
    if arrays.states:
        closes, edges = arrays.states[state].accepting, arrays.states[state].edges
    else:
        closes, edges = len(chosen) >= arrays.min_items, tuple((ref, 0) for ref in _next(arrays, len(chosen)))
    assert closes or edges, (arrays, chosen)
    if len(chosen) == 5:
        return
    found = 0
    for ref, after in edges:
        values = source.values.of(ref)
        if values is None:
            found += 1  # an endless one always has another value; those of the pool may clash with later indexes
            values = [value for value in POOL[:9] if _holds(source, ref, value)]
        for value in values:
            if not arrays.unique or not any(equal(value, other) for other in chosen):
                found += 1
                _explore(source, arrays, [*chosen, value], after)
    assert found or not edges, (arrays, chosen)


def _next(arrays: ArrayValue, index: int) -> list[Ref]:
    if arrays.max_items is not None and index >= arrays.max_items:
        return []
    ref = arrays.prefix[index] if index < len(arrays.prefix) else arrays.items
    assert ref is not None or index >= arrays.min_items
    return [] if ref is None else [ref]


def _holds(source: SchemaCompiler, ref: Ref, value: Any) -> bool:
    class At:
        root = ref
        resolve = source.resolve

    return contains(At(), value)


@pytest.mark.parametrize(
    ("schema", "most"),
    [
        ({"items": {"enum": ["a", "b", "b"]}}, 2),
        ({"items": {"type": "boolean"}, "maxItems": 5}, 2),
        ({"items": {"type": "integer", "minimum": 1, "maximum": 9}}, 9),
        ({"items": {"type": "string"}}, None),
    ],
)
def test_few_values_bound_the_length(schema: dict[str, Any], most: int | None) -> None:
    source = SchemaCompiler({"type": "array", "uniqueItems": True, **schema})
    (value,) = source.resolve(source.root).alternatives
    assert isinstance(value, ArrayValue) and value.unique and value.max_items == most


def test_more_items_than_values_leave_nothing() -> None:
    for schema in (
        {"items": {"type": "boolean"}, "minItems": 3},
        {"prefixItems": [{"enum": [1, 2]}] * 3, "minItems": 3},
        {"items": {"enum": [1, 2, 3]}, "contains": {"const": 1}, "minContains": 2},
    ):
        with pytest.raises(UnsatisfiableSchema):
            SchemaCompiler({"type": "array", "uniqueItems": True, **schema})


def test_an_endless_index_may_take_what_a_later_one_needs() -> None:
    pair = {"enum": ["a", "b"]}
    source = SchemaCompiler({"type": "array", "uniqueItems": True, "prefixItems": [pair, True, pair], "minItems": 2})
    for instance, valid in [
        (["a", "b"], True),
        (["a", "b", "a"], False),
        (["a", 1, "b", 2], True),
        (["a", 1, "a"], False),
    ]:
        assert contains(source, instance) is valid


def test_values_of_a_recursive_schema_are_endless() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}, "additionalProperties": False}
    source = SchemaCompiler(
        {"$defs": {"n": node}, "type": "array", "uniqueItems": True, "items": {"$ref": "#/$defs/n"}}
    )
    (value,) = source.resolve(source.root).alternatives
    assert isinstance(value, ArrayValue) and value.max_items is None


RECURSIVE: tuple[tuple[Any, list[Any], list[Any]], ...] = (
    ({"type": "array", "uniqueItems": True, "items": {"$ref": "#"}}, [[], [[], [[]]]], [[[], []], [[[], []]]]),
    (
        {
            "anyOf": [
                {"enum": ["a", "b"]},
                {"type": "array", "uniqueItems": True, "items": {"$ref": "#"}, "minItems": 2},
            ]
        },
        [["a", "b"], ["a", "b", ["b", "a"]]],
        [["a", "a"], ["a", "b", ["a", "b"], ["a", "b"]], ["a", ["b", "b"]]],
    ),
)


@pytest.mark.parametrize("schema, valid, invalid", RECURSIVE)
def test_items_that_differ_may_hold_such_arrays_themselves(schema: Any, valid: list[Any], invalid: list[Any]) -> None:
    source = SchemaCompiler(schema)
    assert all(contains(source, instance) for instance in valid)
    assert not any(contains(source, instance) for instance in invalid)


def test_one_of_arrays_of_which_all_differ() -> None:
    """A branch denies that the items of another one differ; where its own do, or there is but one, they always do."""
    names = {"type": "array", "uniqueItems": True, "minItems": 1, "items": {"type": ["string", "object"]}}
    pairs = {"type": "array", "uniqueItems": True, "items": {"type": "object", "required": ["a"]}}
    single = {"type": "array", "maxItems": 3, "prefixItems": [{}], "items": False}
    for schema in ({"oneOf": [names, pairs]}, {"oneOf": [names, single]}, {"oneOf": [pairs, {"type": "null"}, names]}):
        source = SchemaCompiler(schema)
        for instance in (
            [], ["x"], ["x", "x"], ["x", "y"], [{}], [{"a": 1}], [{"a": 1}, {"a": 1}], [{"a": 1}, {"a": 2}],
            [{"a": 1}, "x"], [{}, {}], [1], [1, 1], None,
        ):  # fmt: skip
            expected = jsonschema.Draft202012Validator(schema).is_valid(instance)
            assert contains(source, instance) == expected, instance
