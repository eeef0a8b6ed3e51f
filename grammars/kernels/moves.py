"""Moves of a matcher: to the start, over a token, back, and a look at what is forced.

A state is a record in the arena: number of configurations, whether the document may end, the configurations, and behind
them the length of the text and keys of its mask. States and frames lie in order of creation, so going back means
cutting the arena off after the earlier state.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner, kernel
from grammars.kernels.frames import _alloc, _context, _i32, _i64, _mix, _u8
from grammars.kernels.keys import _hash_state
from grammars.kernels.layout import *
from grammars.kernels.pointers import U8, _i4, _pointer8, _u1, carray
from grammars.kernels.step import _close, _step
from grammars.kernels.values import MARGIN


@inner
def _enter(ctx, mat, scr, base, count, acc):
    """Write the set at `base` as the matcher's state; its offset, or a status."""
    at = _alloc(mat, 2 + CFG * count + E_SIZE)
    if mat[M_STATUS] != OK:
        return mat[M_STATUS]
    mat[at] = count
    mat[at + 1] = acc
    for i in range(CFG * count):
        mat[at + 2 + i] = scr[base + i]
    mat[at + 2 + CFG * count + E_POS] = mat[M_POS]
    _hash_state(ctx, mat, at + 2, count, acc)
    mat[M_CUR] = at
    return at


@kernel
def start(address):
    """Put the matcher at the start of its grammar; offset of the state, or a status."""
    ctx = _context(address)
    mat, scr = _i64(ctx, MAT), _i64(ctx, SCR)
    roots = _i32(ctx, ROOTS)
    mat[M_TOP] = M_FIRST
    mat[M_STATUS] = OK
    mat[M_FUEL] = ctx[S_FUEL]
    f = _alloc(mat, F_BITS)
    for i in range(F_BITS):
        mat[f + i] = 0
    mat[f + F_KIND] = K_ROOT
    mat[f + F_A] = _i4(roots, 16)
    mat[f + F_H1] = _mix(K_ROOT * 77, _i4(roots, 16))
    mat[f + F_H2] = mat[f + F_H1]
    mat[M_MARK] = mat[M_TOP]
    mat[M_LEVEL] = 0
    mat[M_POS] = 0
    mat[M_HOLE] = 0
    mat[M_TRUST] = 0
    mat[M_ACC] = 0
    base = LEVELS
    count = _close(ctx, mat, scr, _i4(roots, 17), f, base, 0)
    if mat[M_STATUS] != OK:
        return mat[M_STATUS]
    return _enter(ctx, mat, scr, base, count, mat[M_ACC])


@inner
def _load(mat, scr, base):
    current = mat[M_CUR]
    count = mat[current]
    for i in range(CFG * count):
        scr[base + i] = mat[current + 2 + i]
    mat[M_POS] = mat[current + 2 + CFG * count + E_POS]
    mat[M_HOLE] = 0
    return count


@inner
def _advance(ctx, mat, scr, data, first, last):
    """Step bytes [first, last) at address `data`; offset of the new state, or a status with the matcher unchanged."""
    top = mat[M_TOP]
    mat[M_MARK] = 0
    mat[M_STATUS] = OK
    mat[M_FUEL] = ctx[S_FUEL]
    base = LEVELS
    count = _load(mat, scr, base)
    mat[M_ACC] = 0
    half = (scr.size - LEVELS) // 2
    if mat[M_POS] + last - first + MARGIN > ctx[TXT + 64]:
        return np.int64(GROW_TXT)
    text = carray(_pointer8(ctx[TXT]), (ctx[TXT + 64],))
    for i in range(first, last):
        text[mat[M_POS]] = _u1(data, i)
        mat[M_POS] += 1
        out = base + CFG * count if base == LEVELS else LEVELS
        if base == LEVELS and out < LEVELS + half:
            out = LEVELS + half
        count = _step(ctx, mat, scr, base, count, _u1(data, i), out, False)
        base = out
        if mat[M_STATUS] == OK and count == 0 and not mat[M_ACC]:
            mat[M_STATUS] = DEAD
        if mat[M_STATUS] == OK and count * CFG > half - CFG:
            mat[M_STATUS] = GROW_SCR
        if mat[M_STATUS] != OK:
            mat[M_TOP] = top
            return mat[M_STATUS]
    at = _enter(ctx, mat, scr, base, count, mat[M_ACC])
    if at < 0:
        mat[M_TOP] = top
    return at


@kernel
def accept(address, token, data, size):
    """Take one token (or, where `token` is -1, the `size` bytes at address `data`).

    Returns the offset of the new state, which the caller keeps for rollback, or a status with nothing changed.
    """
    ctx = _context(address)
    mat, scr = _i64(ctx, MAT), _i64(ctx, SCR)
    if token < 0:
        return _advance(ctx, mat, scr, data, 0, size)
    offsets = _i32(ctx, TOKOFF)
    if _i4(offsets, token) == _i4(offsets, token + 1):
        return np.int64(DEAD)
    return _advance(ctx, mat, scr, _u8(ctx, TOKBYTE), _i4(offsets, token), _i4(offsets, token + 1))


@kernel
def rollback(address, state, end):
    """Return to the state at offset `state`."""
    ctx = _context(address)
    mat = _i64(ctx, MAT)
    mat[M_CUR] = state
    mat[M_TOP] = state + 2 + CFG * mat[state] + E_SIZE
    return mat[M_TOP]


@kernel
def forced(address, out: U8):
    """Write the bytes that must follow (while exactly one byte may, and the document may not end) to `out` (uint8).

    Returns their number; a status where a part of the grammar is missing. The matcher is unchanged.
    """
    ctx = _context(address)
    mat, scr = _i64(ctx, MAT), _i64(ctx, SCR)
    top, current = mat[M_TOP], mat[M_CUR]
    mat[M_MARK] = 0
    mat[M_STATUS] = OK
    mat[M_FUEL] = ctx[S_FUEL]
    acc = mat[current + 1]
    written = 0
    half = (scr.size - LEVELS) // 2
    base = LEVELS
    count = _load(mat, scr, base)
    if mat[M_POS] + out.size + MARGIN > ctx[TXT + 64]:
        return GROW_TXT
    text = carray(_pointer8(ctx[TXT]), (ctx[TXT + 64],))
    pos = mat[M_POS]
    while not acc and written < out.size:
        other = LEVELS + half if base == LEVELS else LEVELS
        only, choices, kept, kept_acc = -1, 0, np.int64(0), np.int64(0)
        mark = mat[M_TOP]
        mat[M_POS] = pos + written + 1
        for b in range(256):
            top_now = mat[M_TOP]
            text[pos + written] = b
            made = _step(ctx, mat, scr, base, count, b, other, False)
            if mat[M_STATUS] != OK:
                mat[M_TOP] = top
                return mat[M_STATUS]
            if made > 0 or mat[M_ACC]:
                choices += 1
                only = b
                if choices > 1:
                    break
            mat[M_TOP] = top_now
        mat[M_TOP] = mark
        if choices != 1:
            break
        text[pos + written] = only
        kept = _step(ctx, mat, scr, base, count, np.int64(only), other, False)
        kept_acc = mat[M_ACC]
        out[written] = only
        written += 1
        base, count, acc = other, kept, kept_acc
    mat[M_TOP] = top
    return written
