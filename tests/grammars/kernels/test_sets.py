"""Sets of configurations as they grow, and rows as they are kept."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from grammars.kernels.cache import kernel
from grammars.kernels.entries import _note_word
from grammars.kernels.layout import CFG, CORRECTED, LEVELS, M_FIRST, M_TOUCHED, R_LEFT, R_NEXT, R_ROWS, R_SPARE, SHORT
from grammars.kernels.masks import _store, _write_row
from grammars.kernels.pointers import I32, I64
from grammars.kernels.step import _emit


@kernel
def grow(mat: I64, scr: I64, bases: I64, offered: I64, counts: I64):
    """Offer configurations to two sets in turns; their sizes are in `counts`."""
    for k in range(bases.size):
        own = bases[k]
        base = LEVELS + own * 4000
        at = CFG * k
        counts[own] = _emit(
            mat, scr, base, counts[own], offered[at], offered[at + 1], offered[at + 2], offered[at + 3], offered[at + 4]
        )
    return 0


@kernel
def keep(mat: I64, room: I64, scr: I64, row: I32, tokens: I32):
    """Keep a row, or, where there are any tokens, the row of these, as a walk lists its words."""
    mat[M_TOUCHED] = -1
    if tokens.size > 0:
        mat[M_TOUCHED] = 0
        for w in range(row.size):
            row[w] = 0
        for k in range(tokens.size):
            _note_word(mat, scr, row, np.int64(tokens[k] >> 5))
            row[tokens[k] >> 5] |= np.int32(1) << np.int32(tokens[k] & 31)
    return _store(mat, room, scr, row, row.size)


@kernel
def give(row: I32, address):
    _write_row(row, address, row.size)
    return 0


@given(st.integers(0, 1 << 32), st.integers(1, 700), st.sampled_from([1, 3, 9, 200]), st.booleans())
def test_sets_hold_each_configuration_once_in_order(seed: int, n: int, spread: int, alternate: bool) -> None:
    random = Random(seed)
    offered = [tuple(random.randrange(-spread, spread + 1) for _ in range(CFG)) for _ in range(n)]
    bases = [random.randrange(2) if alternate else 0 for _ in range(n)]
    mat, scr = np.full(M_FIRST, seed, np.int64), np.full(LEVELS + 8000, seed, np.int64)
    for _ in range(2):  # again where another set stood
        counts = np.zeros(2, np.int64)
        grow(mat, scr, np.array(bases, np.int64), np.array(offered, np.int64).reshape(-1), counts)
        for own in range(2):
            expected = list(dict.fromkeys(c for c, base in zip(offered, bases, strict=True) if base == own))
            at = LEVELS + own * 4000
            assert scr[at : at + CFG * int(counts[own])].reshape(-1, CFG).tolist() == [list(c) for c in expected]
        random.shuffle(offered)


@given(
    st.integers(0, 1 << 32),
    st.integers(1, 4000),
    st.lists(st.integers(0, 400) | st.just(4000), min_size=1, max_size=12),
    st.booleans(),
)
def test_rows_are_given_back_as_they_were_kept(seed: int, words: int, sizes: list[int], listed: bool) -> None:
    random = np.random.default_rng(seed)
    block = np.full((len(sizes) + 1) * words, -1, np.int32)
    room = np.zeros(5, np.int64)
    room[R_NEXT], room[R_ROWS] = block.ctypes.data, len(sizes)
    mat, scr = np.zeros(M_FIRST, np.int64), np.zeros(LEVELS, np.int64)
    rows, kept = [], []
    for size in sizes:
        row, tokens = np.zeros(words, np.int32), np.zeros(0, np.int32)
        row[random.integers(0, words, min(size, words))] = random.integers(-(1 << 31), 1 << 31)
        if listed and size:
            tokens = random.integers(0, 32 * words, size).astype(np.int32)
            row[:] = 0
            np.bitwise_or.at(row, tokens >> 5, np.left_shift(np.int32(1), tokens & 31))
        rows.append(row)
        kept.append(int(keep(mat, room, scr, row.copy(), tokens)))
    assert room[R_ROWS] >= 0 and (block[len(sizes) * words :] == -1).all()
    assert room[R_LEFT] == 0 or room[R_SPARE] + 4 * room[R_LEFT] <= block.ctypes.data + 4 * len(sizes) * words
    for row, address in zip(rows, kept, strict=True):
        found = np.full(words, 77, np.int32)
        give(found, address)
        assert (found == row).all()
        used = np.count_nonzero(row)
        assert bool(address & SHORT) == (4 * used + 4 <= words and used <= CORRECTED)
