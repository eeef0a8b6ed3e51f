"""Tokens that are tried out one by one at the end of a mask, as bits of TESTS: what they do depends on the text so far.

Used by `walk`, where items must differ; a mark outweighs whatever a row says about the token.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner
from grammars.kernels.frames import _i32, _u8
from grammars.kernels.layout import *
from grammars.kernels.pointers import _i4, _pointer32, _u1, carray


@inner
def _mark(ctx, token):
    """Have the token tried out by itself at the end."""
    tests = carray(_pointer32(ctx[TESTS]), (ctx[S_WORDS],))
    tests[token >> 5] |= np.int32(1) << np.int32(token & 31)


@inner
def _mark_all(ctx, token, dup):
    while token >= 0:
        _mark(ctx, token)
        token = _i4(dup, token)


@inner
def _mark_subtree(ctx, mat, node):
    """Have every token spelled by trie node `node` or below it tried out."""
    tend, ttok, dup = _i32(ctx, TEND), _i32(ctx, TTOK), _i32(ctx, TDUP)
    mat[M_TESTS] = 1
    for i in range(node, _i4(tend, node)):
        _mark_all(ctx, _i4(ttok, i), dup)


@inner
def _in_number(b):
    """Whether the byte can be part of a number."""
    return 48 <= b <= 57 or (b | 32) == 101 or b == 43 or b == 45 or b == 46


@inner
def _mark_exponents(ctx, mat, start, pos):
    """Where the text [start, pos) begins a number: have the tokens tried out that are within its exponent."""
    tbyte, tend, ttok, dup = _u8(ctx, TBYTE), _i32(ctx, TEND), _i32(ctx, TTOK), _i32(ctx, TDUP)
    txt, within = ctx[TXT], False
    while start < pos and _u1(txt, start) <= 32:
        start += 1
    for k in range(start, pos):
        if not _in_number(_u1(txt, k)) or (k == start and (_u1(txt, k) | 32) == 101):
            return
        within = within or (_u1(txt, k) | 32) == 101
    stop, i = np.int64(0), np.int64(1)
    while i < _i4(tend, 0):
        b = _u1(tbyte, i)
        if not _in_number(b):
            i = np.int64(_i4(tend, i))
            continue
        if within or (b | 32) == 101:
            stop = max(stop, _i4(tend, i))
        if i < stop:
            mat[M_TESTS] = 1
            _mark_all(ctx, _i4(ttok, i), dup)
        i += 1
