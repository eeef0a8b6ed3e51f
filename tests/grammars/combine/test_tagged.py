"""Free text with regions: judged by a plain scan of the text, walks under the mask, and masks of all ones outside."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from grammars import Grammar, GrammarError, Marker, Matcher, Tag, Vocabulary, compile_json_schema, compile_tagged
from grammars.combine import compile_until, marker_grammar, then
from grammars.vocabulary.vocabulary import special_bytes

# 0..127 single characters, then pieces that lie across triggers, then ids without text, then EOS
PIECES: list[bytes | None] = [bytes((byte,)) for byte in range(128)]
PIECES += [b"<to", b'ol>{"', b"}</tool>", b"<tool>", b"\xff", b"ab ", b'a":', None, None, None, None]
OPEN, CLOSE, OTHER, EOS = range(len(PIECES) - 4, len(PIECES))
VOCABULARY = Vocabulary.from_bytes(PIECES, eos_ids=EOS)
CALL = compile_json_schema(
    {"type": "object", "properties": {"a": {"enum": [1, True]}}, "required": ["a"], "additionalProperties": False},
    whitespace="compact",
)


def text_of(tokens: list[int]) -> str:
    named = {OPEN: "<tool>", CLOSE: "</tool>", OTHER: "<other>", EOS: ""}
    return "".join(named.get(t) or (PIECES[t] or b"").decode("latin-1") for t in tokens)


def allowed(matcher: Matcher, budget: int | None = None) -> set[int]:
    row = np.zeros(VOCABULARY.words, dtype=np.int32)
    matcher.fill_mask(row, budget=budget)
    return {token for token in range(VOCABULARY.size) if row[token >> 5] >> (token & 31) & 1}


def regions(text: str) -> list[str] | None:
    """What stands between <tool> and </tool>, None where one is not closed."""
    found = []
    while "<tool>" in text:
        text = text[text.index("<tool>") + 6 :]
        if "</tool>" not in text:
            return None
        found.append(text[: text.index("</tool>")])
        text = text[text.index("</tool>") + 7 :]
    return found


def tool(at_least: int = 0, at_most: int | None = None) -> Grammar:
    tag = Tag(Marker("<tool>", (OPEN,)), CALL, Marker("</tool>", (CLOSE,)))
    return compile_tagged([tag], at_least=at_least, at_most=at_most)


@pytest.mark.parametrize(("low", "high"), [(0, None), (1, 1), (2, None), (0, 2)])
def test_walks_write_valid_regions_only(low: int, high: int | None) -> None:
    matcher, rng = Matcher(tool(low, high), VOCABULARY), random.Random(low)
    favoured = [OPEN, CLOSE, 128, 129, 130, 131]
    for _ in range(40):
        matcher.reset()
        written: list[int] = []
        for left in range(60, 0, -1):
            tokens = allowed(matcher, budget=left)
            assert tokens
            likely = [token for token in favoured if token in tokens]
            written.append(rng.choice(likely if likely and rng.random() < 0.5 else sorted(tokens)))
            assert matcher.accept(written[-1])
            if matcher.is_finished():
                break
        assert matcher.is_finished()
        found = regions(text_of(written))
        assert found is not None and low <= len(found) <= (high or 60), text_of(written)
        assert all(json.loads(region)["a"] in (1, True) for region in found)


def test_free_text_allows_every_token() -> None:
    matcher = Matcher(tool(), VOCABULARY)
    everything = set(range(VOCABULARY.size))
    assert allowed(matcher) == everything
    for token in (ord("x"), OTHER, 132, ord("<"), ord("t")):
        assert matcher.accept(token)
        assert allowed(matcher) == everything
    assert allowed(Matcher(tool(1), VOCABULARY)) == everything - {EOS}


def test_only_tokens_that_go_on_wrongly_after_a_trigger_are_banned() -> None:
    matcher = Matcher(compile_tagged([Tag("<to", "x"), Tag("b ", "y")]), VOCABULARY)
    # "<to" and "ab " complete a trigger and may; "<tool>" goes on with "ol>"
    assert set(range(VOCABULARY.size)) - allowed(matcher) == {131}
    assert matcher.accept(128) and allowed(matcher) == {ord("x")}


def test_a_token_may_end_the_trigger_and_begin_the_region() -> None:
    matcher = Matcher(tool(), VOCABULARY)
    assert matcher.accept(128) and matcher.accept(129) and matcher.forced_bytes() == b'a":'
    assert matcher.accept(134) and matcher.accept(ord("1")) and matcher.accept(130)
    assert allowed(matcher) == set(range(VOCABULARY.size))
    matcher.rollback(2)
    assert allowed(matcher) == {ord("1"), ord("t")}
    other = matcher.copy()
    assert other.accept(ord("t")) and matcher.accept(ord("1"))


def test_special_tokens_begin_and_end_regions() -> None:
    matcher = Matcher(tool(1, 1), VOCABULARY)
    for token in (ord("x"), OPEN, ord("{"), ord('"'), 134, ord("1"), ord("}")):
        assert matcher.accept(token)
    assert allowed(matcher) == {CLOSE, ord("<")}
    assert matcher.accept(CLOSE) and matcher.is_accepting()
    assert not matcher.accept(OPEN) and not matcher.accept(131)
    assert not matcher.accept_bytes(b"<tool>") and matcher.accept_bytes(b"<tool")


def test_nothing_of_a_region_is_special() -> None:
    matcher = Matcher(tool(), VOCABULARY)
    assert matcher.accept(OPEN) and allowed(matcher) == {ord("{")}


def test_until_then() -> None:
    grammar = then(marker_grammar("<think>"), compile_until(Marker("</think>", (CLOSE,))), "\n", CALL)
    matcher = Matcher(grammar, VOCABULARY)
    assert matcher.accept_bytes(b"<think>any </thin") and EOS not in allowed(matcher)
    assert matcher.accept(OTHER) and matcher.accept(CLOSE) and matcher.forced_bytes() == b'\n{"a":'
    again = Matcher(Grammar.from_bytes(grammar.to_bytes()), VOCABULARY)
    assert again.accept_bytes(b'<think></think>\n{"a":1}') and again.is_accepting()


def test_what_is_refused() -> None:
    with pytest.raises(GrammarError, match="two regions have the trigger"):
        compile_tagged([Tag("<a>", "x"), Tag("<a>", "y")])
    with pytest.raises(GrammarError, match="never reached"):
        compile_tagged([Tag("<a", "x"), Tag("<a>", "y")])
    with pytest.raises(GrammarError, match="at least one Tag"):
        compile_tagged([])
    with pytest.raises(GrammarError, match="without text"):
        compile_tagged([Tag("", "x")])
    with pytest.raises(ValueError, match="3 to 2 regions"):
        compile_tagged([Tag("<a>", "x")], at_least=3, at_most=2)


def test_spellings_of_ids_without_text() -> None:
    vocabulary = VOCABULARY.with_specials()
    assert vocabulary is VOCABULARY.with_specials() and vocabulary.size == VOCABULARY.size
    assert vocabulary.token_bytes(OPEN) == special_bytes(OPEN) and vocabulary.token_bytes(EOS) == b""
    assert vocabulary.token_bytes(132) == b"\xff\x00" and vocabulary.token_bytes(65) == b"A"
    assert len({special_bytes(token) for token in range(0, 1 << 21, 997)}) == len(range(0, 1 << 21, 997))
