"""The walk of the vocabulary trie under a set of configurations: one `_step` a visited node, 10 to 30 ns, less along a
literal.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.ahead import (
    _begin_narrow,
    _bytes_ahead,
    _edge_by,
    _goes_straight,
    _literal,
    _next_narrow,
    _only_way,
    _straight_on,
)
from grammars.kernels.cache import inner
from grammars.kernels.distance import _affordable
from grammars.kernels.entries import _allow_noted
from grammars.kernels.frames import _i32, _trie_child, _u8
from grammars.kernels.layout import *
from grammars.kernels.marks import _mark, _mark_all
from grammars.kernels.parsed import _begin_walk, _set_aside, _step_parsed
from grammars.kernels.pointers import _i4, _pointer8, _pointer64, _u1, carray
from grammars.kernels.step import _step


@inner
def _put_path(ctx, mat, scr, x, pos):
    """Write the bytes of the path to trie node x to the text at `pos`."""
    if ctx[S_UNIQUE]:
        tbyte, tpar = _u8(ctx, TBYTE), _i32(ctx, TPAR)
        length = 0
        y = x
        while y > 0:
            length += 1
            y = _i4(tpar, y)
        text = carray(_pointer8(ctx[TXT]), (ctx[TXT + 64],))
        mat[M_POS] = pos + length
        y = x
        while y > 0:
            length -= 1
            text[pos + length] = _u1(tbyte, y)
            y = _i4(tpar, y)


@inner
def _allow_all(ctx, mat, scr, i, out, made, row, budget, ttok, dup, merged):
    """Allow the tokens of node i, after which the set at `out` follows."""
    if merged:
        tokens = _i4(ttok, 2 * i + 1)
        if tokens > 0 and _affordable(ctx, mat, scr, out, made, budget):
            first = _i4(ttok, 2 * i)
            for j in range(first, first + tokens):
                token = _i4(dup, j)
                row[token >> 5] |= np.int32(1) << np.int32(token & 31)
    else:
        nodes = _i32(ctx, VNODE)
        token = np.int64(_i4(nodes, 4 * i + 2))
        if token >= 0 and _affordable(ctx, mat, scr, out, made, budget):
            _allow_noted(mat, scr, row, token, np.int64(_i4(nodes, 4 * i + 3)), dup)


@inner
def _child_along(ctx, i, stop, edge, tbyte, tend, merged):
    """The child along an edge of a literal, where the first one is i and they end at `stop`; -1: there is none."""
    symbol = np.int64(_i4(_i32(ctx, EDGE), 2 * edge))
    if i >= stop:
        return np.int64(-1)
    if merged:
        child = np.int64(i)
        while child < stop and _u1(tbyte, child) < symbol:
            child = np.int64(_i4(tend, child))
        return child if child < stop and _u1(tbyte, child) == symbol else np.int64(-1)
    return np.int64(_i4(_i32(ctx, ROOTC), symbol)) if i == 1 else _trie_child(ctx, i - 1, symbol)


@inner
def _walk(ctx, mat, scr, start, base, count, row, budget, merged):
    """Allow every token below trie node `start` that the set at `base` (the state at `start`) can spell.

    With a budget >= 0 only tokens after which the text can be finished with `budget` more tokens. `merged`: the trie
    is one of the merged ones, whose nodes list their tokens.
    """
    tbyte, tend, ttok, dup = _u8(ctx, TBYTE), _i32(ctx, TEND), _i32(ctx, TTOK), _i32(ctx, TDUP)
    if merged:
        tbyte, tend, ttok, dup = _u8(ctx, MBYTE), _i32(ctx, MEND), _i32(ctx, MTOK), _i32(ctx, MLIST)
    depth = 0
    at = LEVELS
    scr[at], scr[at + W_COUNT], scr[at + W_END], scr[at + W_TOP] = base, count, _i4(tend, start), mat[M_TOP]
    scr[at + W_KIDS] = W_UNSEEN
    unique, pos = ctx[S_UNIQUE] != 0, mat[M_POS]
    text = carray(_pointer8(ctx[TXT]), (ctx[TXT + 64],))
    parsed = ctx[S_PARSED] != 0
    closed = carray(_pointer64(ctx[CLOSED]), (C_HEAD,))
    if parsed:
        _begin_walk(ctx)
    i = start + 1
    while True:
        if i >= scr[at + W_END]:
            if depth == 0:
                mat[M_TOP] = scr[LEVELS + W_TOP]
                mat[M_POS] = pos
                return
            depth -= 1
            at -= W_SIZE
            continue
        base, count = scr[at], scr[at + W_COUNT]
        mat[M_TOP] = max(scr[at + W_TOP], closed[C_KEPT]) if parsed else scr[at + W_TOP]
        out = base + count * CFG
        within = _literal(ctx, mat, scr, base) if count == 1 else np.int64(-1)
        literal = _only_way(ctx, scr, base, within)
        made = np.int64(-1)
        if literal >= 0:
            # one literal with one way on: go straight along it, after which the level is done
            child = np.int64(-1)
            if scr[at + W_KIDS] == W_UNSEEN:
                child = _child_along(ctx, i, scr[at + W_END], literal, tbyte, tend, merged)
            if child < 0:
                i = scr[at + W_END]
                continue
            i = child
            scr[at + W_KIDS] = W_DONE
            made = _straight_on(ctx, mat, scr, base, out, literal)
            while made > 0 and not unique:
                literal = _only_way(ctx, scr, out, _literal(ctx, mat, scr, out))
                if literal < 0 or not _goes_straight(ctx, scr, out, literal):
                    break
                _allow_all(ctx, mat, scr, i, out, made, row, budget, ttok, dup, merged)
                end = np.int64(_i4(tend, i) if merged else _i4(_i32(ctx, VNODE), 4 * i + 1))
                child = _child_along(ctx, i + 1, end, literal, tbyte, tend, merged)
                if child < 0:
                    i = end
                    made = np.int64(-2)
                    break
                i = child
                made = _straight_on(ctx, mat, scr, out, out, literal)
            if made == -2:
                continue
        elif not parsed and scr[at + W_KIDS] != W_EVERY:
            # of many alternatives that go on with few bytes only those children are stepped
            if scr[at + W_KIDS] == W_UNSEEN:
                narrow, one, two, three, four = _bytes_ahead(ctx, mat, scr, base, count)
                scr[at + W_KIDS] = W_EVERY
                if narrow:
                    _begin_narrow(ctx, scr, at, i, merged, one, two, three, four)
            if scr[at + W_KIDS] != W_EVERY:
                i = _next_narrow(ctx, scr, at, i, tbyte, tend, merged)
                if i >= scr[at + W_END]:
                    continue
                if within >= 0:
                    literal = _edge_by(ctx, scr, base, within, _u1(tbyte, i))
                    if literal >= 0:
                        made = _straight_on(ctx, mat, scr, base, out, literal)
        end = _i4(tend, i) if merged else _i4(_i32(ctx, VNODE), 4 * i + 1)
        if unique:
            text[pos + depth] = _u1(tbyte, i)
            mat[M_POS] = pos + depth + 1
        if made < 0:
            if parsed:
                made = _step_parsed(ctx, mat, scr, base, count, _u1(tbyte, i), out, i, end, tbyte, tend, budget < 0)
            else:
                made = _step(ctx, mat, scr, base, count, _u1(tbyte, i), out, False)
        if mat[M_STATUS] != OK:
            if not _set_aside(ctx, mat):
                return
            i = end
            continue
        if unique and mat[M_CHECK]:
            # whether these fit depends on text that is not known here
            mat[M_CHECK] = 0
            mat[M_TESTS] = 1
            for j in range(i, end):
                if merged:
                    for k in range(_i4(ttok, 2 * j), _i4(ttok, 2 * j) + _i4(ttok, 2 * j + 1)):
                        _mark(ctx, _i4(dup, k))
                else:
                    _mark_all(ctx, _i4(ttok, j), dup)
        if made > 0 or (made == 0 and mat[M_ACC]):
            _allow_all(ctx, mat, scr, i, out, made, row, budget, ttok, dup, merged)
            if end > i + 1 and made > 0:
                depth += 1
                at += W_SIZE
                scr[at], scr[at + W_COUNT], scr[at + W_END], scr[at + W_TOP] = out, made, end, mat[M_TOP]
                scr[at + W_KIDS] = W_UNSEEN
                i += 1
                continue
        i = end
