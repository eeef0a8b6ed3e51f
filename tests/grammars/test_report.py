"""The report names every keyword of every place, with the right status."""

from __future__ import annotations

from typing import Any

import pytest

import guided
from grammars.report import Finding, report


def status(findings: tuple[Finding, ...]) -> dict[tuple[str, str], str]:
    return {(finding.pointer, finding.keyword): finding.status for finding in findings}


SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "An order",
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "color": {"type": "string", "format": "color"},
        "a/b": {"if": {"type": "string"}, "then": {"minLength": 1}, "x-ui": 1},
        "never": {"type": "string", "enum": [1, 2]},
        "list": {"type": "array", "items": {"$ref": "#/$defs/n"}, "contains": {"const": 1}, "minContains": 2},
    },
    "$defs": {"n": {"type": "integer", "description": "A count"}},
}


def test_each_keyword_of_each_place_is_named() -> None:
    found = status(guided.check(SCHEMA).findings)
    assert found["", "type"] == found["", "properties"] == found["/properties/id", "format"] == "enforced"
    assert found["", "title"] == found["", "$schema"] == found["/properties/color", "format"] == "annotation"
    assert found["/properties/a~1b", "then"] == found["/properties/list", "minContains"] == "enforced"
    assert found["/properties/a~1b", "x-ui"] == found["/$defs/n", "description"] == "annotation"
    assert found["/properties/never", ""] == "unsatisfiable"
    keywords = sum(len(place) for place in (SCHEMA, *SCHEMA["properties"].values(), SCHEMA["$defs"]["n"]))
    nested = 2 + 2  # if and then; items and contains
    assert len(found) == keywords + nested + 1


def test_a_schema_without_instances_is_a_finding() -> None:
    found = guided.check({"type": "object", "required": ["a"], "properties": {"a": False}})
    assert not found.ok and [finding.status for finding in found.findings] == ["unsatisfiable"]
    assert '"a"' in found.findings[0].how


def test_what_is_refused_is_a_finding() -> None:
    found = guided.check({"properties": {"a": {"pattern": r"(a)\1"}}}).of("unsupported")
    assert found and all("back-reference" in finding.how for finding in found)


def test_siblings_of_a_reference_say_nothing_up_to_draft_7() -> None:
    schema = {"$ref": "#/definitions/a", "type": "string", "definitions": {"a": {}}}
    old = status(report({"$schema": "http://json-schema.org/draft-07/schema#", **schema}).findings)
    assert old["", "type"] == "annotation" and old["", "$ref"] == "enforced"
    assert status(report(schema).findings)["", "type"] == "enforced"


@pytest.mark.parametrize("schema", [True, {}, {"type": "string"}])
def test_satisfiable_schemas_are_ok(schema: Any) -> None:
    assert guided.check(schema).ok


def test_what_the_engine_refuses_is_a_finding() -> None:
    """The front-end alone can do it: one of eight, the others failing in either of two ways, are 1,024 cases."""
    integer = {"type": "integer"}
    branches = [{"required": [f"a{i}"], "properties": {f"a{i}": integer, f"b{i}": integer}} for i in range(8)]
    with pytest.raises(guided.BudgetExceeded):
        guided.compile_json_schema({"type": "object", "oneOf": branches})
    found = guided.check({"type": "object", "oneOf": branches})
    assert not found.ok and "alternatives" in found.of("unsupported")[0].how
