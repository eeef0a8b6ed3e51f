"""Which bytes may follow a set of configurations that are all within literals: what a walk need not step."""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner
from grammars.kernels.frames import _i32, _listed, _mix, _note
from grammars.kernels.layout import *
from grammars.kernels.pointers import _i4, _lowest, _u1
from grammars.kernels.step import _usable

MOST_EDGES = 64  # of one place in a literal: where more may follow, all children are stepped


@inner
def _first_byte(symbol):
    """The first byte of a character in UTF-8."""
    if symbol < 0x80:
        return symbol
    if symbol < 0x800:
        return 0xC0 | symbol >> 6
    return 0xE0 | symbol >> 12 if symbol < 0x10000 else 0xF0 | symbol >> 18


@inner
def _bytes_of_edges(ctx, s, spelled, one, two, three, four):
    """Add the bytes that may follow in state s of a literal trie to 256 bits; `spelled`: its edges are characters."""
    st, edge = _i32(ctx, ST), _i32(ctx, EDGE)
    first = _i4(st, 6 * s)
    for k in range(first, first + _i4(st, 6 * s + 1)):
        b = _i4(edge, 2 * k)
        if spelled:
            b = _first_byte(b)
        bit = np.int64(1) << (b & 63)
        if b < 64:
            one |= bit
        elif b < 128:
            two |= bit
        elif b < 192:
            three |= bit
        else:
            four |= bit
    if spelled:
        two |= np.int64(1) << 28  # a backslash: each character may be escaped
    return one, two, three, four


@inner
def _bytes_ahead(ctx, mat, scr, base, count):
    """Whether only a few bytes may follow a set, each in the words of a literal; and which, as 256 bits."""
    st, node = _i32(ctx, ST), _i32(ctx, NODE)
    one, two, three, four = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for c in range(count):
        at = base + c * CFG
        s = -scr[at] - 1
        spelled = False
        if s < 0:
            op = _i4(node, 4 * scr[at + 1])
            if op != OP_KEY and op != OP_DTRIE:
                return False, one, two, three, four
            if op == OP_KEY:
                if mat[scr[at + 2] + F_FLAGS] & OPEN:
                    return False, one, two, three, four
                _note(mat, scr[at + 2], 2)
            spelled = ctx[S_ANY] != 0
            if scr[at + 3] >> 32 != 0:
                return False, one, two, three, four  # within a character
            s = (scr[at + 3] & 0xFFFFFFFF) - 1
            if s < 0:
                continue
            if _i4(st, 6 * s + 2) >= 0:
                one |= np.int64(1) << 34  # the quote that ends it
        if _i4(st, 6 * s + 1) > MOST_EDGES:
            return False, one, two, three, four
        one, two, three, four = _bytes_of_edges(ctx, s, spelled, one, two, three, four)
    return True, one, two, three, four


@inner
def _literal(ctx, mat, scr, at):
    """The state of the literal trie in which a configuration stands, whose edges are bytes; -1: it does not."""
    if scr[at] < 0:
        return -scr[at] - 1
    if _i4(_i32(ctx, NODE), 4 * scr[at + 1]) != OP_KEY or ctx[S_ANY] != 0 or mat[scr[at + 2] + F_FLAGS] & OPEN:
        return np.int64(-1)
    _note(mat, scr[at + 2], 2)
    return scr[at + 3] - 1


@inner
def _only_way(ctx, scr, at, s):
    """The edge along which a configuration goes on that stands in state s of a literal if there is but one; else -1."""
    st = _i32(ctx, ST)
    if s < 0 or _i4(st, 6 * s + 1) != 1 or (scr[at] >= 0 and _i4(st, 6 * s + 2) >= 0):
        return np.int64(-1)
    return np.int64(_i4(st, 6 * s))


@inner
def _edge_by(ctx, scr, at, s, b):
    """The edge of state s of a literal by byte b; -1: there is none, or a key ends with it."""
    st, edge = _i32(ctx, ST), _i32(ctx, EDGE)
    if b == 34 and scr[at] >= 0:
        return np.int64(-1)
    first = np.int64(_i4(st, 6 * s))
    for k in range(first, first + _i4(st, 6 * s + 1)):
        if _i4(edge, 2 * k) == b:
            return np.int64(k)
    return np.int64(-1)


@inner
def _goes_straight(ctx, scr, at, edge):
    """Whether what follows along an edge of a literal is a place within it again and nothing else."""
    s = _i4(_i32(ctx, EDGE), 2 * edge + 1)
    st = _i32(ctx, ST)
    return scr[at] >= 0 or (_i4(st, 6 * s + 1) > 0 and _i4(st, 6 * s + 2) < 0)


@inner
def _straight_on(ctx, mat, scr, at, out, edge):
    """What `_step` along an edge of a literal writes to `out`: 1, or 0: no word there can be written; -1: step."""
    s = np.int64(_i4(_i32(ctx, EDGE), 2 * edge + 1))
    if ctx[S_UNIQUE] != 0 or out + CFG > scr.size or not _goes_straight(ctx, scr, at, edge):
        return np.int64(-1)
    mat[M_ACC] = 0
    mat[M_FUEL] -= 1
    if scr[at] < 0:
        scr[out], scr[out + 1], scr[out + 2], scr[out + 3], scr[out + 4] = -s - 1, 0, scr[at + 2], 0, 0
    else:
        if not _usable(ctx, mat, True, s, scr[at + 2]):
            return np.int64(0)
        scr[out], scr[out + 1], scr[out + 2] = scr[at], scr[at + 1], scr[at + 2]
        scr[out + 3], scr[out + 4] = s + 1, _mix(scr[at + 4], np.int64(_i4(_i32(ctx, EDGE), 2 * edge)) + 1)
    return np.int64(1)


@inner
def _begin_narrow(ctx, scr, at, i, merged, one, two, three, four):
    """From here on only those children of the level at `at`, the first of which is i, whose byte is one of 256 bits."""
    nodes = _i32(ctx, VNODE)
    scr[at + W_KIDS] = 0 if merged else _i4(nodes, 4 * i - 4) << 32 | _i4(nodes, 4 * i)
    scr[at + W_BITS], scr[at + W_BITS + 1], scr[at + W_BITS + 2], scr[at + W_BITS + 3] = one, two, three, four


@inner
def _next_narrow(ctx, scr, at, i, tbyte, tend, merged):
    """The first child from i on, of the level at `at`, whose byte is one of the level's 256 bits; its end: none.

    Children lie far apart in memory. The vocabulary's are looked up in the lists of bytes: what is still to come of the
    list (first << 32 | end) and of the bits is kept in the level, and each leaps over what the other does not have.
    Merged tries are small, their children are gone through.
    """
    if merged:
        stop = scr[at + W_END]
        while i < stop:
            b = np.int64(_u1(tbyte, i))
            if (scr[at + W_BITS + (b >> 6)] >> (b & 63)) & 1:
                return np.int64(i)
            i = np.int64(_i4(tend, i))
        return np.int64(stop)
    kids = _i32(ctx, VKIDS)
    k, stop = scr[at + W_KIDS] >> 32, scr[at + W_KIDS] & 0xFFFFFFFF
    for w in range(4):
        bits = scr[at + W_BITS + w]
        while bits != 0 and k < stop:
            wanted = 64 * w + _lowest(bits)
            k = _listed(ctx, k, stop, wanted)
            if k >= stop:
                break
            child = np.int64(_i4(kids, k))
            b = (child >> 24) & 255
            if b == wanted:
                scr[at + W_BITS + w] = bits ^ (np.int64(1) << (b & 63))
                scr[at + W_KIDS] = (k + 1) << 32 | stop
                return child & 0xFFFFFF
            bits = bits & (np.int64(-1) << (b & 63)) if b < 64 * w + 64 else np.int64(0)
        scr[at + W_BITS + w] = 0
    return np.int64(scr[at + W_END])
