"""Masks of the kernels equal those of the plain machine, for every grammar, vocabulary and state."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grammars import Matcher, UnsatisfiableSchema, UnsupportedSchema, Vocabulary, compile_json_schema
from tests.grammars.kernels.walking import Oracle, Row, mask_of, walk
from tests.strategies.grammars import (
    Case,
    Modes,
    byte_vocabulary,
    cases,
    choice_case,
    choice_cases,
    json_vocabularies,
    regex_cases,
    rich_vocabulary,
    schema_case,
    unpacked,
)
from tests.strategies.hard_schemas import HARD_SCHEMAS
from tests.strategies.vocabularies import vocabularies

choices = st.lists(st.integers(0, 1 << 16), max_size=14)


def follow(case: Case, vocab: Vocabulary, entries: list[bytes | None], picks: list[int]) -> None:
    """Walk along the picks and hold everything that the matcher says against the reference machine."""
    try:
        grammar = case.grammar()
    except (UnsatisfiableSchema, UnsupportedSchema):
        assume(False)
    oracle = Oracle(case, vocab, entries)
    matcher = Matcher(grammar, vocab)
    text, taken, rows = b"", list[int](), list[Row]()
    for pick in picks:
        allowed = oracle.check(matcher, text)
        rows.append(mask_of(matcher))
        banned = pick * 31 % vocab.size
        assert matcher.is_allowed(banned) == (banned in allowed)
        assert matcher.accept(banned) == (banned in allowed)
        if banned in allowed:
            matcher.rollback(1)
        words = [token for token in allowed if token not in vocab.eos_ids]
        if not words:
            break
        token = words[pick % len(words)]
        assert matcher.accept(token), f"after {text!r} token {token} {entries[token]!r} is allowed and refused"
        taken.append(token)
        text += entries[token] or b""
    else:
        oracle.check(matcher, text)
        rows.append(mask_of(matcher))
    state = oracle.machine.run(oracle.machine.start(), text)
    assert matcher.forced_bytes()[:8] == oracle.machine.forced(state, 8)
    # another matcher finds the remembered rows, a new grammar computes them again
    for other in (grammar, case.grammar()):
        for row, again in zip(rows, walk(other, vocab, taken), strict=True):
            np.testing.assert_array_equal(row, again)
    assert Matcher(grammar, vocab).count_valid([*taken, vocab.size]) == len(taken)
    # every state can be returned to, and a copy goes its own way
    copy = matcher.copy()
    for row in reversed(rows[:-1]):
        matcher.rollback(1)
        np.testing.assert_array_equal(row, mask_of(matcher))
    np.testing.assert_array_equal(rows[-1], mask_of(copy))


ALL_MODES = [Modes(*three) for three in product(("schema", "any"), ("default", "compact", "any"), ("canonical", "any"))]


@pytest.mark.parametrize("name", HARD_SCHEMAS)
def test_masks_equal_the_reference_on_hard_schemas(name: str) -> None:
    """Walks through each schema in every mode, with a vocabulary of its keys, joined and cut."""
    random = Random(name)
    for chosen in random.sample(ALL_MODES, 4):
        case = schema_case(HARD_SCHEMAS[name], chosen)
        vocab, entries = rich_vocabulary(case.words)
        follow(case, vocab, entries, [random.randrange(1 << 16) for _ in range(12)])


@given(st.data(), cases, choices)
def test_masks_equal_the_reference_on_json_tokens(data: st.DataObject, case: Case, picks: list[int]) -> None:
    vocab, entries = data.draw(json_vocabularies(case.words))
    follow(case, vocab, entries, picks)


@given(vocabularies(), st.one_of(cases, regex_cases, choice_cases), choices)
def test_masks_equal_the_reference_on_random_tokens(
    made: tuple[Vocabulary, list[bytes | None]], case: Case, picks: list[int]
) -> None:
    follow(case, *made, picks)


# -------------------------------------------------------------------------------------------------- bugs that once were


def test_a_literal_with_one_way_on_does_not_fall_through_to_its_siblings() -> None:
    """Where the only way on is missing in the vocabulary, the walk leaves the subtree: `"b` does not spell b."""
    vocab = Vocabulary.from_bytes([None, b'"b', b"b"], [0])
    follow(choice_case(("b", '"a')), vocab, [None, b'"b', b"b"], [0])
    assert unpacked(mask_of(Matcher(choice_case(("b", '"a')).grammar(), vocab))).nonzero()[0].tolist() == [2]


@pytest.mark.parametrize("length", [0, 3, 30])
def test_a_long_token_behind_a_declared_key_leaves_the_keys_beside_it_alone(length: int) -> None:
    """The walk below a declared key's quote has levels of its own, however deep it goes."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "additionalProperties": {"type": "integer"},
    }
    tokens = [None, *(bytes([b]) for b in range(256)), b'a":"' + length * b"x", b'b":1', b'b":"', b'c":1']
    matcher = Matcher(compile_json_schema(schema, property_order="any"), Vocabulary.from_bytes(tokens, [0]))
    assert matcher.accept_bytes(b'{"')
    row = unpacked(mask_of(matcher))
    assert [bool(row[token]) for token in range(257, 261)] == [True, False, True, True]


MANY = {
    "objects told apart behind a prefix": [
        {
            "type": "object",
            "properties": {"kind": {"const": f"same_{i}"}, f"é{i}": {"type": "boolean"}},
            "required": ["kind"],
            "additionalProperties": False,
        }
        for i in range(12)
    ],
    "words beside an object and a number": [
        {"enum": ["", "a", "ab", "é", "€", "a" * 9, None]},
        {"type": "object", "properties": {"": {"const": 1}, "a": {"const": 2}}, "additionalProperties": False},
        {"type": "integer"},
    ],
    "more ways on than are looked at": [{"enum": [chr(c) for c in range(97, 120)]}, {"enum": ["ab", "b0", "\x7f"]}],
    "closed and open keys": [
        {"type": "object", "properties": {"ab": {"const": 1}}, "additionalProperties": False, "minProperties": 1},
        {"type": "object", "properties": {"ab": {"const": 2}, "b": {"const": 3}}},
    ],
}


@pytest.mark.parametrize("chosen", [Modes(), Modes("any", "any", "canonical"), Modes("any", "any", "any")], ids=str)
@pytest.mark.parametrize("name", MANY)
def test_alternatives_that_go_on_with_few_bytes(name: str, chosen: Modes) -> None:
    """Only those children of a node of the vocabulary are stepped."""
    texts = ('[{"kind":"same_1', '","é1":', '"same_11"', '{"', '""', '"ab"', '"é"', '"€', '1,"b":', 'a"')
    vocab, entries = rich_vocabulary(tuple(map(str.encode, texts)))
    case = schema_case({"type": "array", "items": {"anyOf": MANY[name]}}, chosen)
    for seed in range(4):
        follow(case, vocab, entries, [Random(seed).randrange(1 << 16) for _ in range(12)])


@pytest.mark.parametrize("name", ["😀", "\U0010ffff", "\U00010000"])
def test_characters_beyond_the_first_plane_have_a_spelling_in_two_escapes(name: str) -> None:
    free = Modes("any", "compact", "any")
    high, low = divmod(ord(name) - 0x10000, 1024)
    pair = f'"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04X}"'.encode()
    declared = Matcher(schema_case({"properties": {name: {"const": name}}}, free).grammar(), byte_vocabulary())
    assert declared.accept_bytes(b"{" + pair + b":" + pair + b"}") and declared.is_accepting()
    extra = Matcher(schema_case({}, free).grammar(), byte_vocabulary())
    assert extra.accept_bytes(b'{"' + name.encode() + b'":1,')
    assert not extra.accept_bytes(pair), "the same key again"


@pytest.mark.parametrize("first", [b"\xe0", b"\xf0"])
def test_first_bytes_of_characters_that_no_word_goes_on_with_are_banned(first: bytes) -> None:
    """E0 begins U+0800 and later, F0 U+10000 and later, whatever the bits of the byte alone would allow."""
    matcher = Matcher(schema_case({"enum": ["b", "\u00e9"]}, Modes(spelling="any")).grammar(), byte_vocabulary())
    assert matcher.accept_bytes(b'"')
    assert not unpacked(mask_of(matcher))[first[0]]


# ---------------------------------------------------------------------------------------------------- a real vocabulary


def test_masks_of_a_real_vocabulary_agree_with_accept(llama_tokenizer: Any) -> None:
    """128k tokens, each taken by the stepping kernel, which knows no tiers: the mask holds those that it takes."""
    vocab = Vocabulary.from_tokenizer(llama_tokenizer)
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 5}, "n": {"type": "integer", "maximum": 1200}, "x": {}},
        "additionalProperties": {"type": "array", "items": {"type": "string"}},
    }
    matcher = Matcher(schema_case(schema, Modes("any")).grammar(), vocab)
    for text in (
        b"",
        b"{",
        b'"na',
        b'me": "',
        "ab€".encode(),
        b'", "n":',
        b" 1",
        b', "extra": [',
        b'"\\u00',
        b'1f"], "e',
    ):
        assert not text or matcher.accept_bytes(text)
        found = unpacked(mask_of(matcher))[: vocab.size].tolist()
        assert found == [matcher.is_allowed(token) for token in range(vocab.size)], text


def test_nested_alternatives_do_not_multiply() -> None:
    """An object within each of k alternatives is one object that stands in all of them."""
    options = [{"required": [name]} for name in ("b", "c", "d")]
    schema = {
        "type": "object",
        "additionalProperties": {"$ref": "#"},
        "allOf": [{"anyOf": [option, {"maxProperties": 3}]} for option in options],
    }
    matcher = Matcher(schema_case(schema, Modes("any", "compact")).grammar(), byte_vocabulary())
    for depth in range(30):
        assert matcher.accept_bytes(b'{"%d":' % (depth % 7))
        mask_of(matcher)
    assert matcher.min_tokens() == 32
    assert matcher.accept_bytes(b'{"x":{},"y":{},"z":{}')
    assert not matcher.accept_bytes(b',"u":{}}') and matcher.accept_bytes(b',"b":{},"c":{},"d":{}}')
    assert matcher.accept_bytes(b"}" * 30) and matcher.is_accepting()


@pytest.mark.parametrize("chosen", [Modes(), Modes("any", "compact", "canonical"), Modes("any", "any", "any")], ids=str)
def test_a_key_that_can_only_be_one_written_before_is_not_begun(chosen: Modes) -> None:
    schema = {
        "type": "object",
        "properties": {"ab": {"const": 1}},
        "patternProperties": {"^[a-z]{2}$": {"const": 1}},
        "additionalProperties": False,
    }
    matcher = Matcher(schema_case(schema, chosen).grammar(), byte_vocabulary())
    assert matcher.accept_bytes(b'{"aa":1,"a')
    allowed = set(bytes(unpacked(mask_of(matcher))[:256].nonzero()[0].tolist()))
    assert ord("a") not in allowed and ord("z") in allowed
    assert (ord("b") in allowed) == (chosen.property_order == "any")
