"""Languages of compiled grammars against oracles that know nothing of automata: lists, `re`, `jsonschema`, `json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from grammars import (
    BudgetExceeded,
    Grammar,
    GrammarError,
    Matcher,
    SchemaError,
    UnsatisfiableSchema,
    UnsupportedSchema,
    compile_choice,
    compile_json_schema,
    compile_regex,
)
from tests.strategies import schemas as pools
from tests.strategies.documents import ATOMS, MARKS, key_order_aside, small_documents, valid
from tests.strategies.grammars import byte_vocabulary, json_schemas
from tests.strategies.hard_schemas import HARD_SCHEMAS
from tests.strategies.regexes import plain_patterns, texts

BYTES = byte_vocabulary()


def accepts(grammar: Grammar, text: bytes) -> bool:
    """Whether the whole text is in the language."""
    matcher = Matcher(grammar, BYTES)
    return (not text or matcher.accept_bytes(text)) and matcher.is_accepting()


def language(grammar: Grammar, lexemes: int) -> Iterator[bytes]:
    """The accepted texts of at most `lexemes` marks and atoms (no atom beside another)."""
    matcher = Matcher(grammar, BYTES)

    def go_on(text: bytes, left: int, after_atom: bool) -> Iterator[bytes]:
        if matcher.is_accepting():
            yield text
        for lexeme in (*MARKS, *ATOMS) if left else ():
            is_atom = lexeme in ATOMS
            if not (is_atom and after_atom) and matcher.accept_bytes(lexeme):
                yield from go_on(text + lexeme, left - 1, is_atom)
                matcher.rollback(1)

    return go_on(b"", lexemes, False)


# ---------------------------------------------------------------------------------------------------------- documents

SMALL_SCHEMAS: dict[str, Any] = {
    "anything": True,
    "scalars": {"type": ["string", "integer", "null"]},
    "closed object": {
        "type": "object",
        "properties": {"a": {}, "b": {"type": "integer"}},
        "additionalProperties": False,
    },
    "required": {"type": "object", "required": ["b"], "properties": {"a": {"const": 0}}},
    "undeclared and required": {"type": "object", "required": ["a", "b"]},
    "forbidden key": {"type": "object", "properties": {"a": False}, "minProperties": 1},
    "counts": {"type": "object", "minProperties": 1, "maxProperties": 2, "additionalProperties": {"type": "integer"}},
    "required fills": {"type": "object", "required": ["b"], "properties": {"a": {}, "b": {}}, "maxProperties": 1},
    "patterns": {"patternProperties": {"^a$": {"const": 1}, "^b?$": {"type": "null"}}},
    "few keys": {"type": "object", "patternProperties": {"^[ab]$": {"const": 1}}, "additionalProperties": False},
    "names": {"propertyNames": {"enum": ["a", ""]}, "minProperties": 1, "type": "object"},
    "array": {"type": "array", "items": {"enum": [0, "a"]}, "minItems": 1, "maxItems": 3},
    "tuple": {"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": {"const": None}, "type": "array"},
    "closed tuple": {"prefixItems": [{}, {"const": 1}], "items": False, "minItems": 1, "type": "array"},
    "union": {"anyOf": [{"type": "object", "required": ["a"]}, {"maxProperties": 1, "minItems": 2}, {"const": "b"}]},
    "recursion": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
    "tree": {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"const": 1}}, "additionalProperties": False},
    "constants": {"enum": [{"a": 1, "b": [0]}, {"a": 0}, ["a"], {"b": 0, "a": 1}, 1]},
    "strings": {"type": "string", "maxLength": 0},
    "pattern": {"type": "string", "pattern": "^[^a]$"},
}


def check_language(schema: Any, lexemes: int) -> None:
    """Under full order freedom the language is what jsonschema accepts; with declared order, the same values."""
    expected = {text for text in small_documents(lexemes) if valid(schema, json.loads(text))}
    try:
        free = compile_json_schema(schema, whitespace="compact", property_order="any")
    except UnsatisfiableSchema:
        assert not expected
        return
    except (UnsupportedSchema, BudgetExceeded):
        assume(False)
    found = list(language(free, lexemes))
    assert sorted(found) == sorted(expected)
    ordered = set(language(compile_json_schema(schema, whitespace="compact", property_order="schema"), lexemes))
    assert ordered <= expected
    assert set(map(key_order_aside, ordered)) == set(map(key_order_aside, expected))


@pytest.mark.parametrize("name", SMALL_SCHEMAS)
def test_accepts_exactly_the_valid_documents(name: str) -> None:
    check_language(SMALL_SCHEMAS[name], 9 if name not in ("anything", "union", "patterns") else 7)


@settings(max_examples=max(10, settings().max_examples // 4))
@given(json_schemas | pools.schemas(pools.CORE))
def test_accepts_exactly_the_valid_documents_of_random_schemas(schema: Any) -> None:
    check_language(schema, 7)


def test_declared_order_is_the_order_of_the_schema() -> None:
    schema = {"type": "object", "properties": {"b": {}, "a": {}}, "required": ["a"]}
    grammar = compile_json_schema(schema, property_order="schema", whitespace="compact")
    assert accepts(grammar, b'{"b":0,"a":1,"c":2}')
    assert accepts(grammar, b'{"a":1,"c":2}')
    assert not accepts(grammar, b'{"a":1,"b":0}')
    assert not accepts(grammar, b'{"c":2,"b":0,"a":1}')


def test_declared_order_is_that_of_a_denied_schema_too() -> None:
    """Where `oneOf` denies a closed object its names are declared all the same: not in the order of their hashes."""
    names = [f"{letter}{number}" for number, letter in enumerate("qhzcxomb")]
    closed = {"type": "object", "properties": dict.fromkeys(names, True), "additionalProperties": False}
    schema = {
        "type": "object",
        "properties": {"first": True, "second": True},
        "oneOf": [{"properties": {"first": closed}, "required": ["first"]}, {"required": ["second"]}],
    }
    grammar = compile_json_schema(schema, property_order="schema", whitespace="compact")
    inside = ",".join(f'"{name}":0' for name in [*names, "more"])
    assert accepts(grammar, f'{{"first":{{{inside}}},"second":1}}'.encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_layouts: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({"separators": (",", ":")}),
    st.just({}),
    st.integers(0, 8).map(lambda indent: {"indent": indent}),
    st.just({"indent": "\t"}),
)


@given(json_values, _layouts)
def test_default_modes_accept_whatever_json_dumps_prints(value: Any, layout: dict[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=False, **layout)
    assert accepts(compile_json_schema(True), text.encode())


@given(json_values, st.booleans(), _layouts)
def test_the_full_language_accepts_every_spelling(value: Any, ascii_only: bool, layout: dict[str, Any]) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, **layout).replace("/", "\\/")
    data = re.sub(r"\\u[0-9a-f]{4}", lambda found: "\\u" + found[0][2:].upper(), text).encode()
    free = compile_json_schema(True, property_order="any", whitespace="any", spelling="any")
    assert accepts(free, b" \r" + data + b"\t\n")


REFUSED = (
    *(b"", b" ", b"01", b"+1", b"1.", b".5", b"1e", b"--1", b"nul", b"NULL", b"1 2", b"\x0b1", b"\xef\xbb\xbf1"),
    *(b"'a'", b'"a', b'"\x01"', b'"\\x41"', b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\u0041"', b'"\xff"', b'"\xc0\x80"'),
    *(b'"\xed\xa0\x80"', b"[1,]", b"[,1]", b"[1 2]", b"[1}", b"{,}", b'{"a"}', b'{"a":}', b'{"a":1,}', b"{a:1}"),
    *(b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'{"x":{"a":1,"b":2,"a":3}}'),
    *(b'{"\xc3\xa9":1,"\\u00E9":2}', b'{"\xf0\x9f\x98\x80":1,"\\uD83d\\ude00":2}'),
)


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("freedom", ["schema default canonical", "any any any"])
def test_no_mode_accepts_what_is_no_document(text: bytes, freedom: str) -> None:
    order, whitespace, spelling = freedom.split()
    grammar = compile_json_schema(True, property_order=order, whitespace=whitespace, spelling=spelling)
    assert not accepts(grammar, text)


# -------------------------------------------------------------------------------------------------------------- texts


@given(plain_patterns, st.lists(texts, max_size=8))
def test_regexes_accept_what_re_matches(pattern: str, candidates: list[str]) -> None:
    grammar, oracle = compile_regex(pattern), re.compile(pattern, re.ASCII)
    for text in [*candidates, ""]:
        assert accepts(grammar, text.encode()) == bool(oracle.fullmatch(text)), text


@given(st.lists(st.text('ab"é😀', max_size=4), min_size=1, max_size=6), st.lists(st.text('ab"é😀', max_size=4)))
def test_choices_accept_their_options(options: list[str], others: list[str]) -> None:
    grammar = compile_choice(options)
    for text in [*options, *others, *(option[:-1] for option in options), ""]:
        assert accepts(grammar, text.encode()) == (text in options), text


def test_a_choice_needs_an_option() -> None:
    with pytest.raises(GrammarError):
        compile_choice([])


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(GrammarError):
        compile_regex("[^\\s\\S]")


# ------------------------------------------------------------------------------------------------------------ compile


@pytest.mark.parametrize("option", ["property_order", "whitespace", "spelling", "format"])
def test_unknown_modes_are_named(option: str) -> None:
    with pytest.raises(ValueError, match=f"{option}='loose'"):
        compile_json_schema(True, **{option: "loose"})


def test_text_that_is_no_json_is_a_schema_error() -> None:
    with pytest.raises(SchemaError, match="not JSON"):
        compile_json_schema("{")


def test_schemas_may_be_json_text() -> None:
    assert accepts(compile_json_schema('{"const": [1]}'), b"[1]")


@pytest.mark.parametrize("name", HARD_SCHEMAS)
def test_written_grammars_come_back(name: str) -> None:
    """Same language after to_bytes and from_bytes, modes included."""
    grammar = compile_json_schema(HARD_SCHEMAS[name], property_order="any", spelling="any", whitespace="compact")
    again = Grammar.from_bytes(grammar.to_bytes())
    assert repr(again) == repr(grammar)
    matchers = Matcher(grammar, BYTES), Matcher(again, BYTES)
    for _ in range(20):
        following = matchers[0].next_bytes()
        assert following == matchers[1].next_bytes()
        if not following:
            break
        for matcher in matchers:
            assert matcher.accept_bytes(following[-1:])


def test_other_kinds_of_grammars_come_back() -> None:
    assert accepts(Grammar.from_bytes(compile_regex("a{2}").to_bytes()), b"aa")
    assert accepts(Grammar.from_bytes(compile_choice(["x", "é"]).to_bytes()), "é".encode())
    for rubbish in (b"", b"{}", compile_regex("a").to_bytes()[:-3]):
        with pytest.raises(GrammarError):
            Grammar.from_bytes(rubbish)
