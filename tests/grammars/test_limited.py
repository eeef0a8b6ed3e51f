"""A matcher with a limit for its first part: accept, mask and rollback say the same, and some token always remains."""

from __future__ import annotations

import random

import numpy as np
import pytest

from grammars import BudgetExceeded, Marker, Vocabulary, compile_regex
from grammars.combine import compile_until, then
from grammars.limited import LimitedMatcher

PIECES: list[bytes | None] = [*(bytes((byte,)) for byte in range(128)), b"</", b"end>", b"ab", b"</end>7", None, None]
CLOSE, EOS = len(PIECES) - 2, len(PIECES) - 1
VOCABULARY = Vocabulary.from_bytes(PIECES, eos_ids=EOS)


def limited(limit: int, ids: tuple[int, ...] = ()) -> LimitedMatcher:
    marker = Marker("</end>", ids)
    grammar = then(compile_until(marker), compile_regex("[0-9]{1,3}"))
    return LimitedMatcher(grammar, compile_until(marker, rest=True), limit, VOCABULARY)


def allowed(matcher: LimitedMatcher, budget: int | None = None) -> list[int]:
    row = np.zeros(VOCABULARY.words, dtype=np.int32)
    matcher.fill_mask(row, budget)
    return [token for token in range(VOCABULARY.size) if row[token >> 5] >> (token & 31) & 1]


@pytest.mark.parametrize("ids", [(), (CLOSE,)])
@pytest.mark.parametrize("budget", [None, 20])
def test_walks_come_to_the_end_of_the_part_in_time(ids: tuple[int, ...], budget: int | None) -> None:
    rng = random.Random(1)
    for _ in range(30):
        matcher, written = limited(10, ids), []
        while not matcher.is_finished():
            tokens = allowed(matcher, None if budget is None else budget - len(written))
            assert tokens
            if budget is None and len(written) % 4 == 0:
                assert tokens == [token for token in range(VOCABULARY.size) if matcher.is_allowed(token)]
            written.append(rng.choice(tokens))
            assert matcher.accept(written[-1])
        text = b"".join(b"</end>" if token == CLOSE and ids else PIECES[token] or b"" for token in written)
        at = next(i for i in range(len(written) + 1) if b"</end>" in _text(written[:i], ids))
        assert at <= 10 and text.partition(b"</end>")[2].isdigit()
        assert budget is None or len(written) <= budget


def _text(tokens: list[int], ids: tuple[int, ...]) -> bytes:
    return b"".join(b"</end>" if token in ids else PIECES[token] or b"" for token in tokens)


def test_going_back() -> None:
    matcher = limited(10)
    for _ in range(4):
        assert matcher.accept(ord("x"))
    assert not matcher.accept(ord("x")) and matcher.n_tokens == 4  # six bytes of the end are left to write
    other = matcher.copy()
    assert matcher.count_valid([ord("<"), 129, ord("7")]) == 1 and matcher.count_valid([128, 129, ord("7"), EOS]) == 4
    assert matcher.accept(131) and matcher.is_accepting() and not other.is_accepting()
    matcher.rollback(2)
    assert matcher.accept_bytes(b"y") and matcher.n_tokens == 4
    matcher.reset()
    assert matcher.n_tokens == 0 and CLOSE in allowed(matcher)


def test_a_limit_that_nothing_meets() -> None:
    with pytest.raises(BudgetExceeded, match="max_thinking_tokens = 1"):
        limited(1)
