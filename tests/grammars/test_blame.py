"""The keyword that bans a continuation, by hand; and that leaving it out makes the continuation possible."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import guided
from grammars.blame import _at, _edited, _tokens, bans, position
from tests.strategies import schemas as strategies

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 3, "pattern": "^[a-z]"},
        "age": {"type": "integer", "minimum": 18},
        "tags": {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2, "maxItems": 2},
        "no": False,
        "link": {"$ref": "#/$defs/link"},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
    "$defs": {"link": {"type": "object", "properties": {"to/from": {"const": "v"}}, "required": ["to/from"]}},
}
TAGGED = {
    "type": "object",
    "anyOf": [
        {"properties": {"kind": {"const": "a"}, "value": {"type": "integer"}}, "required": ["kind"]},
        {"properties": {"kind": {"const": "b"}, "value": {"type": "string"}}, "required": ["kind"]},
    ],
}
CASES: list[tuple[Any, str, str | None, list[str]]] = [
    (PERSON, "", "[", ["/type"]),
    (PERSON, '{"name":', "1", ["/properties/name/type"]),
    (PERSON, '{"name":"', "A", ["/properties/name/pattern"]),
    (PERSON, '{"name":"abc', "d", ["/properties/name/maxLength"]),
    (PERSON, '{"name":"a"', "}", ["/required"]),
    (PERSON, '{"age":1', ",", ["/properties/age/minimum"]),
    (PERSON, '{"', "z", ["/additionalProperties"]),
    (PERSON, '{"n', "o", ["/properties/no"]),
    (PERSON, '{"tags":["x"', "]", ["/properties/tags/minItems"]),
    (PERSON, '{"tags":["x","y"', ",", ["/properties/tags/maxItems"]),
    (PERSON, '{"tags":["', "z", ["/properties/tags/items/enum"]),
    (PERSON, '{"link":{', "}", ["/$defs/link/required"]),
    (PERSON, '{"link":{"to/from":"', "w", ["/$defs/link/properties/to~1from/const"]),
    (TAGGED, '{"kind":"', "c", ["/anyOf"]),
    (TAGGED, '{"kind":"b","value":', "1", ["/anyOf/1/properties/value/type"]),
    ({"oneOf": [{"type": "array"}, {"type": "string", "maxLength": 1}]}, '"a', "b", ["/oneOf/1/maxLength"]),
    ({"anyOf": [{"anyOf": [{"maxLength": 1}, {"const": "ab"}]}, {"const": "x"}]}, '"z', "z", ["/anyOf/0/anyOf/0/maxLength"]),  # noqa: E501
    ({"type": "object", "not": {"required": ["b"]}}, '{"b', '"', ["/not"]),
    ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, '{"a":1', "}", ["/then"]),
    ({"dependentRequired": {"a": ["b"]}}, '{"a":1', "}", ["/dependentRequired"]),
    ({"prefixItems": [True], "items": False}, "[1", ",", ["/items"]),
    ({"propertyNames": {"pattern": "^a"}}, '{"', "b", ["/propertyNames"]),
    ({"patternProperties": {"^a": {"type": "null"}}}, '{"ab":', "1", ["/patternProperties/^a/type"]),
    ({"items": {"type": "string"}, "uniqueItems": True}, '["a","a', '"', ["/uniqueItems"]),
    ({"contains": {"const": 1}, "items": {"type": "integer"}}, "[2", "]", ["/contains"]),
    ({"allOf": [{"format": "date"}, {"type": "string"}]}, '"2023-02-', "3", ["/allOf/0/format"]),
    ({"const": "ab", "type": "string", "maxLength": 2}, '"', "b", ["/const"]),
    ({"type": ["string", "null"], "enum": ["a", None]}, "", "1", ["/type", "/enum"]),
    ({"minimum": 5}, "1", None, ["/minimum"]),
]


@pytest.mark.parametrize(("schema", "text", "more", "wanted"), CASES)
def test_pointers(schema: Any, text: str, more: str | None, wanted: list[str]) -> None:
    found = blamed(schema, text, more)
    assert [ban.pointer for ban in found] == wanted
    assert all(ban.kind == "keyword" for ban in found)


def blamed(schema: Any, text: str, more: str | None, **options: str) -> tuple[Any, ...]:
    options = {"property_order": "any", "whitespace": "any", "spelling": "any", **options}
    recipe = guided.compile_json_schema(schema, **options).recipe
    return bans(recipe, text.encode(), None if more is None else more.encode())


@pytest.mark.parametrize(
    ("text", "more", "option"),
    [('{"', "age", "property_order"), ('{"name":"', "\\u0061", "spelling"), ("{", "\t", "whitespace")],
)
def test_options(text: str, more: str, option: str) -> None:
    (ban,) = blamed(PERSON, text, more, property_order="schema", whitespace="compact", spelling="canonical")
    assert (ban.kind, ban.keyword) == ("option", option) and option in str(ban)


def test_json_itself() -> None:
    (ban,) = blamed(PERSON, "{", "]")
    assert ban.kind == "json" and "JSON" in str(ban)


def test_texts() -> None:
    entries = [b'{"name":', b"1", b'"', b"ab", b"}", None]
    vocabulary = guided.Vocabulary.from_bytes(entries, eos_ids=[5])
    matcher = guided.Matcher(guided.compile_json_schema(PERSON), vocabulary)
    assert matcher.accept(0) and matcher.text() == b'{"name":'
    told = str(matcher.explain(1))
    assert '"type": "string" at /properties/name/type' in told and "banned by" in told
    assert matcher.accept(2) and matcher.accept(3) and matcher.text() == b'{"name":"ab'
    assert '"maxLength": 3 at /properties/name/maxLength' in str(matcher.explain(3))
    assert matcher.accept(2) and '"required": ["name", "age"] at /required' in str(matcher.explain(4))
    assert "incomplete" in str(matcher.explain(5))
    matcher.rollback(2)
    assert matcher.text() == b'{"name":"' and not matcher.explain(0).allowed


def test_other_grammars_have_no_keywords() -> None:
    vocabulary = guided.Vocabulary.from_bytes([b"a", b"b", None], eos_ids=[2])
    found = guided.Matcher(guided.compile_regex("a"), vocabulary).explain(1)
    assert found.bans == () and not found.allowed


@pytest.mark.parametrize(
    ("text", "path", "key"),
    [
        ("", [], None), ("[", [0], None), ("[1", [0], None), ("[1,", [1], None), ('["a', [0], None), ('["a"', [], None),
        ('{"a', [], "a"), ('{"a":', ["a"], None), ('{"a":1', ["a"], None), ('{"a":[1,{"b', ["a", 1], "b"),
        ("{", [], ""), ('{"a":{"b":1}', [], None), ('{"a\\u0062\\', [], "ab"),
        ('{"a":"x","', [], ""), ('{"a":"\\"",', [], ""),
    ],
)  # fmt: skip
def test_positions(text: str, path: list[str | int], key: str | None) -> None:
    assert position(text.encode()) == (path, key)


BYTES = guided.Vocabulary.from_bytes([*(bytes([value]) for value in range(256)), None], eos_ids=[256])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.schemas(), st.lists(st.sampled_from([*b'{}[]",:ab1 -']), max_size=12))
def test_whatever_is_blamed_lifts_the_ban(schema: Any, steps: list[int]) -> None:
    try:
        grammar = guided.compile_json_schema(schema, property_order="any", whitespace="any", spelling="any")
    except guided.GuidedError:
        assume(False)
    matcher = guided.Matcher(grammar, BYTES)
    for step in steps:
        if matcher.accept(step):
            continue
        text, found = matcher.text(), matcher.explain(step).bans
        if found and found[0].kind == "keyword":
            edits = [edit for ban in found if (edit := _tokens(ban.pointer)) is not None]
            assert len(edits) == len(found) and all(_at(schema, edit) is not None for edit in edits)
            options = {"property_order": "any", "whitespace": "any", "spelling": "any"}
            relaxed = guided.Matcher(guided.compile_json_schema(_edited(schema, edits), **options), BYTES)
            assert relaxed.accept_bytes(text + bytes([step])), (schema, text, step, found)
            assert text == matcher.text()
