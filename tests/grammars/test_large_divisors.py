"""Numbers whose divisors have many remainders: right by arithmetic, and masked without a state for each remainder."""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
import pytest

from grammars import Matcher, Vocabulary
from grammars.numbers import number_dfa
from tests.grammars.test_numbers import accepts, divides, obeys
from tests.strategies.grammars import Modes, schema_case

LARGE: tuple[dict[str, Any], ...] = (
    {"multiple_of": (12, 77), "not_multiple_of": (8,)},
    {"multiple_of": (44, 13), "not_multiple_of": (9, 10), "minimum": 3},
    {"multiple_of": (10.01,), "not_multiple_of": (9,)},
    {"multiple_of": (1716,), "not_multiple_of": (), "maximum": 10**9},
    {"multiple_of": (), "not_multiple_of": (101, 7)},
)
spellings = pytest.mark.parametrize("spelling", ["canonical", "any"])
large = pytest.mark.parametrize("limits", LARGE, ids=str)


def decimal(value: Fraction) -> str:
    whole, cents = divmod(round(value * 100), 100)
    return str(whole) if not cents else f"{whole}.{cents:02}".rstrip("0")


@spellings
@large
def test_large_divisors_against_arithmetic(limits: dict[str, Any], spelling: str) -> None:
    """Near multiples of all divisors, of parts of them, and beside those."""
    dfa = number_dfa(integer=False, spelling=spelling, **limits)
    common = lcm(*(round(step * 100) for step in (*limits["multiple_of"], *limits["not_multiple_of"])))
    for factor in (0, 1, 2, 5, 90, 4321, 10**9 + 1):
        for part in (1, 2, 3, 4, 7, 8, 11):
            for beside in (0, 1, 100):
                value = Fraction(common * factor // part + beside, 100)
                good = obeys(value, {**limits, "multiple_of": None}) and divides(limits, value)
                assert accepts(dfa, decimal(value)) == good, decimal(value)
                if spelling == "any":
                    assert accepts(dfa, decimal(value) + ("00" if "." in decimal(value) else ".0")) == good


@spellings
@large
def test_distances_of_large_divisors_lead_to_an_end(limits: dict[str, Any], spelling: str) -> None:
    dfa: Any = number_dfa(integer=False, spelling=spelling, **limits)
    for prefix in ("1", "20", "907", "123456", "5.0"):
        state = dfa.start
        for byte in prefix.encode():
            state = dfa.row(state)[byte] if state >= 0 else -1
        while state >= 0 and (near := dfa.distances(state)[0]):
            state = min((t for t in dfa.row(state) if t >= 0), key=lambda t: dfa.distances(t)[0])
            assert dfa.distances(state)[0] < near <= dfa.distances(state)[2]


def schema_of(limits: dict[str, Any]) -> dict[str, Any]:
    parts = [{"multipleOf": step} for step in limits["multiple_of"]]
    parts += [{"not": {"multipleOf": step}} for step in limits["not_multiple_of"]]
    return {"type": "number", "allOf": parts, **{k: v for k, v in limits.items() if k in ("minimum", "maximum")}}


WORDS = ["", *map(str, range(1000)), "00", "007", "0.", ".0", "0.5", "-1", "e1", "12,", "5]", "[", ", ", "1.0,", "01 "]
VOCABULARY = Vocabulary.from_bytes([word.encode() for word in WORDS], eos_ids=0)


@pytest.mark.parametrize("chosen", [Modes("any", "compact"), Modes("any", "any", "any")], ids=str)
@large
def test_masks_of_large_divisors_are_those_of_trying_each_token(limits: dict[str, Any], chosen: Modes) -> None:
    """Each token of three digits leads to a remainder of its own: where any digits may follow, none gets a state."""
    grammar = schema_case({"type": "array", "items": schema_of(limits)}, chosen).grammar()
    matcher = Matcher(grammar, VOCABULARY)
    row = np.zeros(VOCABULARY.words, np.int32)
    for text in ("[", "1", "23", "456", "789", "012"):
        if not matcher.accept_bytes(text.encode()):
            assert "maximum" in limits
            return
        before = len(grammar.program.store)
        matcher.fill_mask(row)
        if "maximum" not in limits:
            assert len(grammar.program.store) - before < 500
        for token in range(1, len(WORDS), 1 if text in ("[", "23") else 7):
            allowed = bool(row[token >> 5] >> (token & 31) & 1)
            assert allowed == (matcher.count_valid((token,)) == 1), WORDS[token]


def test_items_with_large_divisors_differ() -> None:
    """An item that was there before can still be made another one by further digits."""
    schema = {"type": "array", "items": schema_of(LARGE[0]), "uniqueItems": True}
    for chosen in (Modes("any", "compact"), Modes("any", "compact", "any")):
        matcher = Matcher(schema_case(schema, chosen).grammar(), VOCABULARY)
        assert matcher.accept_bytes(b"[924,92")
        row = np.zeros(VOCABULARY.words, np.int32)
        matcher.fill_mask(row)
        four = WORDS.index("4")
        assert row[four >> 5] >> (four & 31) & 1
        assert matcher.accept_bytes(b"4") and not matcher.accept_bytes(b"]") and not matcher.accept_bytes(b",")
        matcher.fill_mask(row)
        found = [t for t in range(1, len(WORDS)) if row[t >> 5] >> (t & 31) & 1]
        assert found == [t for t in range(1, len(WORDS)) if matcher.count_valid((t,)) == 1]
