"""Entries of tier 1, as masks find and use them: see `walk`."""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner
from grammars.kernels.frames import _due, _i64, _mix
from grammars.kernels.layout import *
from grammars.kernels.pointers import _i4, _pointer32, carray


@inner
def _allow(row, token, dup):
    while token >= 0:
        row[token >> 5] |= np.int32(1) << np.int32(token & 31)
        token = _i4(dup, token)


@inner
def _allow_noted(mat, scr, row, token, following, dup):
    """The same for a token and its duplicates, the first of which is known, with a list of the words that were 0."""
    while True:
        _note_word(mat, scr, row, token >> 5)
        row[token >> 5] |= np.int32(1) << np.int32(token & 31)
        if following < 0:
            return
        token = following
        following = np.int64(_i4(dup, token))


@inner
def _note_word(mat, scr, row, w):
    """Before a bit of word w is set: if the word is 0, it is listed; M_TOUCHED of them from WORK on, as long as few."""
    noted = mat[M_TOUCHED]
    if noted >= 0 and row[w] == 0:
        mat[M_TOUCHED] = -1
        if noted < CORRECTED:
            scr[WORK + noted] = w
            mat[M_TOUCHED] = noted + 1


@inner
def _forbid_subtree(row, node, end, ttok, dup):
    """Clear every token spelled by trie node `node` or below it."""
    for i in range(node, end):
        token = _i4(ttok, i)
        while token >= 0:
            row[token >> 5] &= ~(np.int32(1) << np.int32(token & 31))
            token = _i4(dup, token)


@inner
def _unite(row, address, words):
    other = carray(_pointer32(address), (words,))
    for w in range(words):
        row[w] |= other[w]


@inner
def _entry_key(q, low, high, limit):
    """Key of a tier-1 entry. A hash: `high` may be any number until it is known what matters of it."""
    key = _mix(_mix((np.int64(q) << 32) + ((limit + 4) << 20) + low, 7), high + 2)
    return key if key != 0 else np.int64(1)


@inner
def _tier1(ctx, q, low, high, limit, last):
    """Entry of terminal state q with low..high characters to come, tokens ending `limit` from the end; or -1.

    `last`: no text follows the terminal, so that the entry needs no frontier (of `.*` it would be the whole trie).
    """
    low, high = _due(ctx, q, low, high, ctx[S_LONGEST])
    if last:
        low |= LAST
    ctx[OUT0], ctx[OUT1], ctx[OUT2], ctx[OUT3] = q, low, high, limit
    keys, values = _i64(ctx, T1KEY), _i64(ctx, T1VAL)
    key = _entry_key(q, low, high, limit)
    place = _mix(0, key) & (keys.size - 1)
    while keys[place] != 0:
        if keys[place] == key:
            # arrays that the entry points into may have grown since this matcher learned their addresses
            return values[place] if _i64(ctx, TIER1)[0] == ctx[S_TIER1] else np.int64(-1)
        place = (place + 1) & (keys.size - 1)
    return -1
