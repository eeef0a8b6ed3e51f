"""Which bytes may follow a set of configurations that are all within literals: what a walk need not step."""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner
from grammars.kernels.frames import _i32, _note, _u8
from grammars.kernels.layout import *
from grammars.kernels.pointers import _i4, _u1


@inner
def _bytes_ahead(ctx, mat, scr, base, count):
    """Whether only a few bytes may follow a set, each in the words of a literal; and which, as 256 bits."""
    st, edge, node = _i32(ctx, ST), _i32(ctx, EDGE), _i32(ctx, NODE)
    one, two, three, four = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for c in range(count):
        at = base + c * CFG
        s = -scr[at] - 1
        quote = False
        if s < 0:
            if _i4(node, 4 * scr[at + 1]) != OP_KEY or ctx[S_ANY] != 0 or mat[scr[at + 2] + F_FLAGS] & OPEN:
                return False, one, two, three, four
            _note(mat, scr[at + 2], 2)
            s = (scr[at + 3] & 0xFFFFFFFF) - 1
            if s < 0:
                continue
            quote = _i4(st, 6 * s + 2) >= 0
        first, edges = _i4(st, 6 * s), _i4(st, 6 * s + 1)
        if edges > 16:
            return False, one, two, three, four
        for k in range(first, first + edges + (1 if quote else 0)):
            b = _i4(edge, 2 * k) if k < first + edges else np.int64(34)
            bit = np.int64(1) << (b & 63)
            if b < 64:
                one |= bit
            elif b < 128:
                two |= bit
            elif b < 192:
                three |= bit
            else:
                four |= bit
    return True, one, two, three, four


@inner
def _next_narrow(ctx, scr, at, i, tbyte, tend, merged):
    """The first child from i on, of the level at `at`, whose byte is one of the level's 256 bits; its end: none.

    Children lie far apart in memory. The vocabulary's are looked up in the lists of bytes, of which what is still to
    come (first << 32 | end) is kept in the level; those of merged tries, which are small, are gone through.
    """
    if merged:
        stop = scr[at + W_END]
        while i < stop:
            b = np.int64(_u1(tbyte, i))
            if (scr[at + W_BITS + (b >> 6)] >> (b & 63)) & 1:
                return np.int64(i)
            i = np.int64(_i4(tend, i))
        return np.int64(stop)
    bytes_ = _u8(ctx, KBYTE)
    k, stop = scr[at + W_KIDS] >> 32, scr[at + W_KIDS] & 0xFFFFFFFF
    while k < stop:
        b = np.int64(_u1(bytes_, k))
        k += 1
        if (scr[at + W_BITS + (b >> 6)] >> (b & 63)) & 1:
            scr[at + W_KIDS] = k << 32 | stop
            return np.int64(_i4(_i32(ctx, KNODE), k - 1))
    return np.int64(scr[at + W_END])
