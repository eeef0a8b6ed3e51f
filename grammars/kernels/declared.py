"""Declared and repeated keys in a row that took every key for an undeclared one: what ends these is put right."""

from __future__ import annotations

import numpy as np

from grammars.kernels.ahead import MOST_EDGES, _begin_narrow, _bytes_of_edges, _next_narrow
from grammars.kernels.cache import inner
from grammars.kernels.distance import _affordable, _declared_distance, _limit_inside
from grammars.kernels.entries import _allow, _forbid_subtree
from grammars.kernels.frames import _i32, _mix, _u8, _with_property
from grammars.kernels.layout import *
from grammars.kernels.pointers import _i4, _u1
from grammars.kernels.spelling import _decode
from grammars.kernels.step import _can_complete, _child, _close, _usable
from grammars.kernels.walk import _put_path, _walk


@inner
def _advance_word(ctx, c, b):
    """Trie position and phase after byte b of a key, whatever may be written: new c, or -1 off the trie."""
    v = (c & 0xFFFFFFFF) - 1
    if v < 0:
        return -1
    if ctx[S_ANY] == 0:
        return _child(ctx, v, b) + 1 if _child(ctx, v, b) >= 0 else -1
    phase, value = _decode((c >> 32) & 15, c >> 36, b)
    if phase < 0:
        return -1
    if phase == 0:
        v = _child(ctx, v, value)
        return v + 1 if v >= 0 else -1
    return (v + 1) | (phase << 32) | (value << 36)


@inner
def _declared_keys(ctx, mat, scr, at, base, row, budget):
    """Put right the tokens that close a declared key, in a row that took every key for undeclared.

    Walks vocabulary and key trie together. Returns how many trie nodes (listed from WORK on) were decided here.
    """
    tbyte, tend, ttok, dup = _u8(ctx, TBYTE), _i32(ctx, TEND), _i32(ctx, TTOK), _i32(ctx, TDUP)
    st, ospec = _i32(ctx, ST), _i32(ctx, OSPEC)
    f = scr[at + 2]
    if scr[at + 3] & 0xFFFFFFFF == 0:
        return 0
    spare = _limit_inside(ctx, mat, scr[at], scr[at + 1], f, scr[at + 3], budget)
    decided = 0
    depth = 0
    level = LEVELS + W_SIZE * (ctx[S_LONGEST] + 2)  # before it are those of the walks that begin in this one
    scr[level + W_BASE], scr[level + W_END], scr[level + W_KIDS] = scr[at + 3], _i4(tend, 0), W_UNSEEN
    i = 1
    while True:
        if i >= scr[level + W_END]:
            if depth == 0:
                return decided
            depth -= 1
            level -= W_SIZE
            continue
        c = scr[level + W_BASE]
        v = (c & 0xFFFFFFFF) - 1
        if scr[level + W_KIDS] == W_UNSEEN:
            scr[level + W_KIDS] = W_EVERY
            if c >> 32 == 0 and _i4(st, 6 * v + 1) <= MOST_EDGES:
                quote, none = np.int64(1) << 34, np.int64(0)  # what ends it, besides
                one, two, three, four = _bytes_of_edges(ctx, v, ctx[S_ANY] != 0, quote, none, none, none)
                _begin_narrow(ctx, scr, level, i, False, one, two, three, four)
        if scr[level + W_KIDS] != W_EVERY:
            i = _next_narrow(ctx, scr, level, i, tbyte, tend, False)
            if i >= scr[level + W_END]:
                continue
        b = _u1(tbyte, i)
        if b == 34 and (c >> 32 == 0 if ctx[S_ANY] else _i4(st, 6 * v + 5) & 1 != 0):
            word = _i4(st, 6 * v + 2)
            if word >= 0:
                if decided >= CORRECTED:
                    return -1
                _forbid_subtree(row, i, _i4(tend, i), ttok, dup)
                scr[WORK + decided] = i
                decided += 1
                if (mat[f + F_BITS + (word >> 6)] >> (word & 63)) & 1:
                    top = mat[M_TOP]
                    o = mat[f + F_SPEC]
                    pos = mat[M_POS]
                    _put_path(ctx, mat, scr, i, pos)
                    g = _with_property(ctx, mat, f, word)
                    mat[M_ACC] = 0
                    made = _close(
                        ctx, mat, scr, _i4(ospec, o + O_HEAD + P_VALUE * _i4(ospec, o + O_N) + word), g, base, 0
                    )
                    if mat[M_STATUS] != OK:
                        return decided
                    if _i4(ttok, i) >= 0 and _affordable(ctx, mat, scr, base, made, budget):
                        _allow(row, _i4(ttok, i), dup)
                    if _i4(tend, i) > i + 1:
                        _walk(ctx, mat, scr, i, base, made, row, budget, False)
                        if mat[M_STATUS] != OK:
                            return decided
                    mat[M_TOP] = top
                    mat[M_POS] = pos
            i = _i4(tend, i)
            continue
        c = _advance_word(ctx, c, b)
        if c >= 0 and _i4(ttok, i) >= 0:
            # inside a declared key: a pattern for the undeclared ones need not know it
            v, phase = (c & 0xFFFFFFFF) - 1, (c >> 32) & 15
            alive = _usable(ctx, mat, True, v, f) if phase == 0 else _can_complete(ctx, mat, True, v, f, phase, c >> 36)
            need = np.int64(0)
            if alive and budget >= 0:
                need = _declared_distance(ctx, mat, f, v, phase, c >> 36)
                mat[M_NEED] = max(mat[M_NEED], need)
            if alive and need <= max(budget, np.int64(0)):
                _allow(row, _i4(ttok, i), dup)
            elif spare >= 0 and phase == 0 and v >= 0 and _i4(st, 6 * v + 2) >= 0 and spare < 2:
                # this key is taken, so it must go on, for which nothing is left
                _forbid_subtree(row, i, i + 1, ttok, dup)
        if c >= 0 and _i4(tend, i) > i + 1:
            depth += 1
            level += W_SIZE
            scr[level + W_BASE], scr[level + W_END], scr[level + W_KIDS] = c, _i4(tend, i), W_UNSEEN
            i += 1
        else:
            i = _i4(tend, i)


@inner
def _path_hash(ctx, scr, x, c, h):
    """Hash of the key when trie node x, its closing quote, is reached from a key with decoding state c and hash h."""
    tbyte, tpar = _u8(ctx, TBYTE), _i32(ctx, TPAR)
    path = LEVELS + 2 * W_SIZE * (ctx[S_LONGEST] + 2)
    length = 0
    y = _i4(tpar, x)
    while y > 0:
        scr[path + length] = _u1(tbyte, y)
        length += 1
        y = _i4(tpar, y)
    phase, value = (c >> 32) & 15, c >> 36
    while length > 0:
        length -= 1
        if ctx[S_ANY]:
            phase, value = _decode(phase, value, scr[path + length])
            if phase == 0:
                h = _mix(h, value + 1)
                value = 0
        else:
            h = _mix(h, scr[path + length] + 1)
    return h


@inner
def _repeated_keys(ctx, mat, scr, at, first, items, row, decided):
    """Strike out the tokens that close an undeclared key which this object already has. Returns the decided nodes."""
    tend, ttok, dup, front = _i32(ctx, TEND), _i32(ctx, TTOK), _i32(ctx, TDUP), _i32(ctx, FRONT)
    mat[M_VOLATILE] = 1
    for k in range(first, first + items):
        x = _i4(front, 2 * k)
        h = _path_hash(ctx, scr, x, scr[at + 3], scr[at + 4])
        extra = mat[scr[at + 2] + F_X]
        while extra != 0:
            if mat[extra] == h:
                if decided >= CORRECTED:
                    return -1
                _forbid_subtree(row, x, _i4(tend, x), ttok, dup)
                scr[WORK + decided] = x
                decided += 1
                break
            extra = mat[extra + 1]
    return decided
