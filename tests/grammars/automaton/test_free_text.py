"""Free text up to a trigger, against a plain search for the earliest, longest one."""

from __future__ import annotations

import itertools
import random

from grammars.automaton.free_text import FreeText
from grammars.vocabulary.vocabulary import special_bytes


def accepts(terminal: FreeText, data: bytes) -> bool:
    state = terminal.start
    for byte in data:
        state = terminal.row(state)[byte]
        if state < 0:
            return False
    return terminal.label(state) == 0


def first(units: list[bytes], triggers: list[tuple[int, bytes]]) -> tuple[int, int] | None:
    """Index of the trigger that ends first, and where; the longest of those that end there."""
    data = b"".join(units)
    borders = set(itertools.accumulate(map(len, units)))
    for end in range(1, len(data) + 1):
        found = [
            (len(word), index)
            for index, word in triggers
            if data[:end].endswith(word) and (word[0] != 0xFF or end in borders)
        ]
        if found:
            return max(found)[1], end
    return None


def test_the_first_trigger_counts() -> None:
    rng = random.Random(0)
    words = [b"ab", b"abc", b"ba", b"aab", b"c", b"bcab", special_bytes(5), special_bytes(300)]
    pieces = [b"a", b"b", b"c", b"ab", b"\xff\x00", b"\xc3", special_bytes(5), special_bytes(300), special_bytes(7)]
    for _ in range(600):
        triggers = list(enumerate(rng.sample(words, rng.randint(1, 3))))
        units = [rng.choice(pieces) for _ in range(rng.randrange(9))]
        data = b"".join(units)
        found = first(units, triggers)
        assert accepts(FreeText(triggers), data) == (found is None)
        for index, _ in triggers:
            assert accepts(FreeText(triggers, index), data) == (found == (index, len(data)))
