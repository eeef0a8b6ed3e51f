"""Numbers that must differ, under any spelling: an exponent that can only make a repetition is not begun."""

from __future__ import annotations

from random import Random

import pytest

from grammars import Matcher, Vocabulary
from grammars.automaton.terminals import current_store
from tests.grammars.kernels.walking import mask_of
from tests.strategies.grammars import Modes, byte_vocabulary, schema_case, unpacked

ANY = Modes("any", "any", "any")
NUMBERS = schema_case({"type": "array", "items": {"type": "number"}, "uniqueItems": True}, ANY)
WORDS = [
    "", *map(chr, range(32, 127)), "00", "000", "0e", "0e5", "e5", "E-", "1e", "1e0", "1e00", "0]", "0,", "e1]", "-0",
    "1e2", "10", "0.0", "e000", "e001", "5e-", "e+0", "0e0,1", "1 ]", "[0,", "[1,1e0", "[[0],[", "[0,0e5", "[1,2",
]  # fmt: skip
VOCABULARY = Vocabulary.from_bytes([word.encode() for word in WORDS], eos_ids=0)


@pytest.mark.parametrize(
    ("begun", "may", "never"),
    [
        ("[0,0", ".", "eE]1"),
        ("[0,-0", ".", "eE]"),
        ("[1,1", ".e0", "],"),
        ("[1,1e00", "123", "0]"),
        ("[1,1e", "0+-5", "]"),
        ("[5,0", ".e],", "1"),
        ("[1,10,1e00", "23", "01]"),
        ("[1,10e-00", "0235],", "1"),
    ],
)
def test_what_may_follow(begun: str, may: str, never: str) -> None:
    matcher = Matcher(NUMBERS.build(current_store()), byte_vocabulary())
    assert matcher.accept_bytes(begun.encode())
    allowed = {chr(token) for token in unpacked(mask_of(matcher)).nonzero()[0].tolist() if token < 128}
    assert set(may) <= allowed and not set(never) & allowed


@pytest.mark.parametrize("items", [{"type": "number"}, {"type": "integer"}, {}], ids=str)
def test_masks_are_those_of_trying_each_token_and_no_text_ends_dead(items: dict[str, str]) -> None:
    case = schema_case({"type": "array", "items": items, "uniqueItems": True}, ANY)
    grammar = case.build(current_store())
    random = Random(5)
    for _ in range(12):
        matcher = Matcher(grammar, VOCABULARY)
        assert matcher.accept_bytes(random.choice((b"[0,", b"[1,10,0,", b"[1,", b"[0, 1e3,", b"[10,100,")))
        for _ in range(7):
            row = unpacked(mask_of(matcher))
            tokens = row.nonzero()[0].tolist()
            assert tokens == [t for t in range(len(WORDS)) if (t and matcher.count_valid((t,)))]
            assert tokens, "no dead end"
            likely = [t for t in tokens if set(WORDS[t]) <= set("01eE.-,")] or tokens
            assert matcher.accept(random.choice(likely))
