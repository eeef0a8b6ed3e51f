"""Conjuncts of numbers: several divisors, denials, and emptiness, against exact arithmetic."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars import Matcher, compile_json_schema
from grammars.errors import UnsatisfiableSchema
from grammars.jsonschema import SchemaCompiler
from grammars.jsonschema.membership import contains
from tests.strategies.grammars import byte_vocabulary

_divisor = st.sampled_from([1, 2, 3, 4, 6, 0.5, 0.25, 0.1, 1.5])
_atom = st.one_of(
    st.builds(lambda v: {"multipleOf": v}, _divisor),
    st.builds(lambda v: {"minimum": v}, st.integers(-4, 4)),
    st.builds(lambda v: {"maximum": v}, st.integers(-4, 8)),
    st.builds(lambda v: {"exclusiveMaximum": v}, st.integers(-4, 8)),
    st.builds(lambda v: {"enum": v}, st.lists(st.integers(-4, 4), min_size=1, max_size=3)),
    st.just({"type": "integer"}),
)
_VALUES = [Fraction(n, 20) for n in range(-120, 181)]


def _holds(atom: dict[str, Any], value: Fraction) -> bool:
    ((name, own),) = atom.items()
    if name == "type":
        return value.denominator == 1
    if name == "enum":
        return value in own
    bound = Fraction(str(own))
    return {
        "multipleOf": (value / bound).denominator == 1 if bound else False,
        "minimum": value >= bound,
        "maximum": value <= bound,
        "exclusiveMaximum": value < bound,
    }[name]


@given(st.lists(_atom, max_size=4), st.lists(_atom, max_size=3))
def test_divisors_and_denials(positive: list[dict[str, Any]], denied: list[dict[str, Any]]) -> None:
    schema = {"type": "number", "allOf": [*positive, *({"not": atom} for atom in denied)]}
    good = {v for v in _VALUES if all(_holds(a, v) for a in positive) and not any(_holds(a, v) for a in denied)}
    try:
        source = SchemaCompiler(schema)
    except UnsatisfiableSchema:
        assert not good
        return
    for value in _VALUES:
        instance = int(value) if value.denominator == 1 else float(Decimal(value.numerator) / value.denominator)
        assert contains(source, instance) == (value in good), instance


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "not": {"multipleOf": 1}},
        {
            "type": "integer",
            "allOf": [{"not": {"multipleOf": 2}}, {"not": {"multipleOf": 3}}],
            "minimum": 2,
            "maximum": 4,
        },
        {"type": "number", "multipleOf": 6, "not": {"multipleOf": 3}},
        {"type": "number", "minimum": 7, "maximum": 7, "not": {"type": "integer"}},
    ],
)
def test_denials_that_leave_nothing(schema: dict[str, Any]) -> None:
    with pytest.raises(UnsatisfiableSchema):
        SchemaCompiler(schema)


def test_an_integer_of_draft_4_is_written_plainly() -> None:
    source = SchemaCompiler({"type": "integer"}, default_draft="4")
    assert contains(source, 1) and not contains(source, 1.0)
    assert contains(SchemaCompiler({"type": "integer"}, default_draft="6"), 1.0)


@pytest.mark.parametrize("text, fits", [("7", False), ("7.0", True), ("70e-1", True), ("7.5", True), ("8.0", False)])
def test_draft_4_takes_what_has_a_point_for_no_integer(text: str, fits: bool) -> None:
    """As the judge does: the value that `json` reads is a float."""
    schema = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "number",
        "not": {"type": "integer"},
        "maximum": 7.9,
    }
    matcher = Matcher(compile_json_schema(schema, spelling="any"), byte_vocabulary())
    assert (matcher.accept_bytes(text.encode()) and matcher.is_accepting()) is fits
    assert jsonschema.Draft4Validator(schema).is_valid(json.loads(text)) is fits


@pytest.mark.parametrize("text, fits", [("7", True), ("7.0", False), ("70e-1", False), ("1", False), ("14", True)])
def test_draft_4_knows_integers_by_their_spelling_in_enums_as_well(text: str, fits: bool) -> None:
    schema = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "integer", "enum": [7, 14.0]}
    matcher = Matcher(compile_json_schema(schema, spelling="any"), byte_vocabulary())
    assert (matcher.accept_bytes(text.encode()) and matcher.is_accepting()) is fits
