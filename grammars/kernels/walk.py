"""The walk of the vocabulary trie under a set of configurations, and the mask of one configuration in a terminal.

Tier 1, per terminal state and vocabulary: the row of tokens that stay inside the terminal or end with it, and the
frontier, the trie nodes where it ends, their sub-tries merged. Tier 2, per state: tier-1 rows and what the walk from
the frontier adds under the real frames. One `_step` a visited node, 10 to 30 ns.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.ahead import (
    MOST_EDGES,
    _bytes_ahead,
    _bytes_of_edges,
    _edge_by,
    _goes_straight,
    _literal,
    _next_narrow,
    _only_way,
    _straight_on,
)
from grammars.kernels.cache import inner
from grammars.kernels.distance import _affordable, _declared_distance, _limit_inside
from grammars.kernels.entries import _allow, _allow_noted, _forbid_subtree, _tier1, _unite
from grammars.kernels.frames import (
    _i32,
    _i64,
    _is_unique,
    _mix,
    _note,
    _trie_child,
    _u8,
    _with_extra,
    _with_property,
)
from grammars.kernels.layout import *
from grammars.kernels.marks import _mark, _mark_all, _mark_exponents, _mark_subtree
from grammars.kernels.parsed import _begin_walk, _set_aside, _step_parsed
from grammars.kernels.pointers import _i4, _pointer8, _pointer32, _pointer64, _u1, carray
from grammars.kernels.spelling import _decode
from grammars.kernels.step import _can_complete, _child, _close, _step, _usable
from grammars.kernels.values import _is_used, _prefix_of, _value_hash


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
                    nodes = _i32(ctx, VNODE)
                    scr[at + W_KIDS] = 0 if merged else _i4(nodes, 4 * i - 4) << 32 | _i4(nodes, 4 * i)
                    scr[at + W_BITS], scr[at + W_BITS + 1] = one, two
                    scr[at + W_BITS + 2], scr[at + W_BITS + 3] = three, four
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
        if made >= 0:
            pass
        elif parsed:
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
    st, ospec, nodes = _i32(ctx, ST), _i32(ctx, OSPEC), _i32(ctx, VNODE)
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
                one, two, three, four = (
                    np.int64(1) << 34,
                    np.int64(0),
                    np.int64(0),
                    np.int64(0),
                )  # the quote that ends it
                one, two, three, four = _bytes_of_edges(ctx, v, ctx[S_ANY] != 0, one, two, three, four)
                scr[level + W_KIDS] = _i4(nodes, 4 * i - 4) << 32 | _i4(nodes, 4 * i)
                scr[level + W_BITS], scr[level + W_BITS + 1] = one, two
                scr[level + W_BITS + 2], scr[level + W_BITS + 3] = three, four
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


@inner
def _heavy(ctx, mat, scr, at, base, row, budget):
    """One configuration in a dense terminal: its tier-1 row and the walk from the frontier. NEED_T1: build it first."""
    node = _i32(ctx, NODE)
    q, n, f = scr[at], scr[at + 1], scr[at + 2]
    is_key = _i4(node, 4 * n) == OP_KEY
    low, high = np.int64(0), np.int64(-1)
    if not is_key and _i4(node, 4 * n + 3) >= 0:
        bounds = _i32(ctx, BOUNDS)
        k = _i4(node, 4 * n + 3)
        low, high = np.int64(_i4(bounds, k)) - scr[at + 3], np.int64(_i4(bounds, k + 1))
        if high >= 0:
            high -= scr[at + 3]
    limit = _limit_inside(ctx, mat, q, n, f, scr[at + 3], budget)
    within = ctx[S_UNIQUE] and (mat[f + F_WITHIN] != 0 or _is_unique(ctx, mat, f))
    last = not is_key and not within and _i4(node, 4 * _i4(node, 4 * n + 2)) == OP_END
    e = _tier1(ctx, q, low, high, limit, last)
    if e < 0:
        mat[M_STATUS] = NEED_T1
        return
    entry, front = _i64(ctx, ENTRY), _i32(ctx, FRONT)
    first, parents, items = entry[8 * e + 1], entry[8 * e + 2], entry[8 * e + 3]
    _unite(row, entry[8 * e], ctx[S_WORDS])
    top = mat[M_TOP]
    mat[M_EXACT] = 0
    root1 = _i32(ctx, ROOT1)
    pos = mat[M_POS]
    if within and not is_key:
        _try_endings(ctx, mat, scr, at, base, first, items)
        if mat[M_STATUS] != OK:
            return
    if ctx[S_UNIQUE]:
        mat[M_POS] = pos + ctx[S_LONGEST]  # a gap: which bytes stand there is not known in a merged trie
        mat[M_HOLE] = mat[M_POS]
    for k in range(entry[8 * e + 4], entry[8 * e + 4] + entry[8 * e + 5]):
        mat[M_TRUST] = f
        made = _frontier_set(ctx, mat, scr, at, _i4(root1, 2 * k), UNKNOWN, base)
        mat[M_TRUST], mat[M_CHECK] = 0, 0
        if mat[M_STATUS] != OK and _set_aside(ctx, mat):
            made = np.int64(0)
        below = _i4(root1, 2 * k + 1)
        if made > 0 and mat[M_STATUS] == OK and below >= 0:
            _walk(ctx, mat, scr, below, base, made, row, budget, True)
        elif made > 0 and mat[M_STATUS] == OK and below <= UNMERGED:
            _walk(ctx, mat, scr, UNMERGED - below, base, made, row, budget, False)
        elif made > 0 and mat[M_STATUS] == OK:
            _lexed_below(ctx, mat, scr, -1 - below, base, made, row, budget)
        mat[M_TOP] = top
        if mat[M_STATUS] != OK:
            return
    if is_key and mat[f + F_DUTY] != 0:
        _take_back(ctx, mat, scr, at, base, first, items, row)
        if mat[M_STATUS] != OK:
            return
    mat[M_POS] = pos
    mat[M_HOLE] = 0
    if not is_key:
        return
    again = mat[M_EXACT]
    decided = _declared_keys(ctx, mat, scr, at, base, row, budget)
    if decided >= 0 and mat[f + F_X] != 0 and mat[M_STATUS] == OK:
        decided = _repeated_keys(ctx, mat, scr, at, first, items, row, decided)
    if decided < 0:
        mat[M_STATUS] = OUT_OF_FUEL
    if mat[M_STATUS] != OK or not again:
        return
    # some token closes this key and another one: once more, with the hash of each key
    mat[M_VOLATILE] = 1
    for k in range(first, first + parents):
        x = _i4(front, 2 * k)
        skip = False
        for j in range(decided):
            skip = skip or scr[WORK + j] == x
        if not skip:
            h = _path_hash(ctx, scr, x, scr[at + 3], scr[at + 4])
            _put_path(ctx, mat, scr, x, pos)
            made = _frontier_set(ctx, mat, scr, at, _i4(front, 2 * k + 1), h, base)
            if made > 0 and mat[M_STATUS] == OK:
                _walk(ctx, mat, scr, x, base, made, row, budget, False)
            mat[M_TOP] = top
            mat[M_POS] = pos
            if mat[M_STATUS] != OK:
                return


@inner
def _lexed_below(ctx, mat, scr, x, base, made, row, budget):
    """Allow the tokens below vocabulary node x after the set at `base`, of a program that is a parser.

    Below such a node (a blank) lies half of the vocabulary, so it has tier-1 entries of its own (x stands in their
    key), and where these lead below another one, that is looked at in turn. scr from `base` on: configurations still to
    be looked at, with their nodes (-1: done) as fifth word.
    """
    root1 = _i32(ctx, ROOT1)
    for k in range(made):
        scr[base + CFG * k + 4] = x
    count = made
    while count > 0:
        at = base + CFG * (count - 1)
        x = scr[at + 4]
        if x < 0:
            count -= 1
            continue
        scr[at + 4] = -1
        free = base + CFG * count
        if free + 2 * CFG > scr.size:
            mat[M_STATUS] = GROW_SCR
            return
        q, n, f = scr[at], scr[at + 1], scr[at + 2]
        if _limit_inside(ctx, mat, q, n, f, np.int64(0), budget) != NO_LIMIT:
            for k in range(CFG - 1):
                scr[free + k] = scr[at + k]
            scr[free + CFG - 1] = 0
            _walk(ctx, mat, scr, x, free, np.int64(1), row, budget, False)
            if mat[M_STATUS] != OK:
                return
            continue
        e = _tier1(ctx, q, np.int64(0), -2 - x, np.int64(NO_LIMIT), False)
        if e < 0:
            mat[M_STATUS] = NEED_T1
            if not _set_aside(ctx, mat):
                return
            continue
        entry = _i64(ctx, ENTRY)
        _unite(row, entry[8 * e], ctx[S_WORDS])
        for k in range(entry[8 * e + 4], entry[8 * e + 4] + entry[8 * e + 5]):
            top = mat[M_TOP]
            free = base + CFG * count
            made = _frontier_set(ctx, mat, scr, at, _i4(root1, 2 * k), UNKNOWN, free)
            if mat[M_STATUS] != OK:
                made = np.int64(0)
                if not _set_aside(ctx, mat):
                    return
            below = _i4(root1, 2 * k + 1)
            if below < 0:
                for m in range(made):
                    scr[free + CFG * m + 4] = -1 - below
                count += made  # their frames stay
                continue
            if made > 0:
                _walk(ctx, mat, scr, below, free, made, row, budget, True)
                if mat[M_STATUS] != OK:
                    return
            mat[M_TOP] = top


@inner
def _take_back(ctx, mat, scr, at, base, first, items, row):
    """Undeclared keys while there are duties: forbid the tokens that end a key after which they could not be met."""
    front, ttok, dup = _i32(ctx, FRONT), _i32(ctx, TTOK), _i32(ctx, TDUP)
    f = scr[at + 2]
    top = mat[M_TOP]
    labels = np.int64(0)
    for k in range(first, first + items):
        labels = max(labels, _i4(front, 2 * k + 1) + 1)
    for label in range(labels):
        mat[M_TRUST] = f
        made = _frontier_set(ctx, mat, scr, at, np.int64(label), UNKNOWN, base)
        mat[M_TRUST], mat[M_CHECK], mat[M_TOP] = 0, 0, top
        if mat[M_STATUS] != OK:
            return
        if made == 0:
            for k in range(first, first + items):
                if _i4(front, 2 * k + 1) == label:
                    _forbid_subtree(row, _i4(front, 2 * k), _i4(front, 2 * k) + 1, ttok, dup)


@inner
def _try_endings(ctx, mat, scr, at, base, first, items):
    """Within an item that must be new: mark the tokens that end the terminal and may finish what is there already."""
    front, ttok, dup = _i32(ctx, FRONT), _i32(ctx, TTOK), _i32(ctx, TDUP)
    f = scr[at + 2]
    top, pos = mat[M_TOP], mat[M_POS]
    mat[M_HOLE] = pos + ctx[S_LONGEST]
    mat[M_POS] = mat[M_HOLE]
    labels = np.int64(0)
    for k in range(first, first + items):
        labels = max(labels, _i4(front, 2 * k + 1) + 1)
    for label in range(labels):
        mat[M_TRUST], mat[M_CHECK] = f, 0
        made = _frontier_set(ctx, mat, scr, at, np.int64(label), UNKNOWN, base)
        unsure = mat[M_CHECK] != 0 or (made == 0 and not mat[M_ACC])
        mat[M_TRUST], mat[M_CHECK], mat[M_TOP] = 0, 0, top
        if mat[M_STATUS] != OK:
            return
        if unsure:
            for k in range(first, first + items):
                if _i4(front, 2 * k + 1) == label:
                    _mark_subtree(ctx, mat, _i4(front, 2 * k))
    mat[M_POS], mat[M_HOLE] = pos, 0
    if not _is_unique(ctx, mat, f):
        return
    _note(mat, f, 2)
    used = mat[f + F_X]
    if used == 0:
        return
    mat[M_VOLATILE] = 1
    if ctx[S_ANY]:
        for k in range(first, first + items):
            _put_path(ctx, mat, scr, _i4(front, 2 * k), pos)
            if _is_used(mat, f, _value_hash(ctx, mat, mat[f + F_START], mat[M_POS])):
                _mark_subtree(ctx, mat, _i4(front, 2 * k))
        mat[M_POS] = pos
        _mark_exponents(ctx, mat, mat[f + F_START], pos)
        return
    txt = ctx[TXT]
    start = mat[f + F_START]
    while used != 0:
        if _prefix_of(txt, used, mat, start, pos):
            # the tokens along the rest of the used item, and all that begin with it
            x = np.int64(0)
            i = mat[used + 4] + pos - start
            while x >= 0 and i < mat[used + 5]:
                x = _trie_child(ctx, x, np.int64(_u1(txt, i)))
                i += 1
                if x >= 0 and i < mat[used + 5]:
                    mat[M_TESTS] = 1
                    _mark_all(ctx, _i4(ttok, x), dup)
            if x > 0:
                _mark_subtree(ctx, mat, x)
        used = mat[used + 1]


@inner
def _try_out(ctx, mat, scr, base, row, budget):
    """Step each marked token from the matcher's state: what is in the row about it does not count."""
    offsets, data = _i32(ctx, TOKOFF), _u8(ctx, TOKBYTE)
    tests = carray(_pointer32(ctx[TESTS]), (ctx[S_WORDS],))
    text = carray(_pointer8(ctx[TXT]), (ctx[TXT + 64],))
    top, pos, current = mat[M_TOP], mat[M_POS], mat[M_CUR]
    count = mat[current]
    half = (scr.size - base) // 2
    for w in range(ctx[S_WORDS]):
        bits = np.int64(tests[w]) & 0xFFFFFFFF
        tests[w] = 0
        if bits == 0:
            continue
        for bit in range(32):
            if not (bits >> bit) & 1:
                continue
            token = 32 * w + bit
            here, made, alive = base, count, True
            for i in range(CFG * count):
                scr[here + i] = mat[current + 2 + i]
            first, last = _i4(offsets, token), _i4(offsets, token + 1)
            for i in range(first, last):
                text[pos + i - first] = _u1(data, i)
                mat[M_POS] = pos + i - first + 1
                there = base + half if here == base else base
                made = _step(ctx, mat, scr, here, made, _u1(data, i), there, False)
                here = there
                if mat[M_STATUS] == OK and CFG * (made + 8) > half:
                    mat[M_STATUS] = GROW_SCR
                if mat[M_STATUS] != OK:
                    return
                if made == 0 and (not mat[M_ACC] or i + 1 < last):
                    alive = False
                    break
            if alive and _affordable(ctx, mat, scr, here, made, budget):
                row[w] |= np.int32(1) << np.int32(bit)
            else:
                row[w] &= ~(np.int32(1) << np.int32(bit))
            mat[M_TOP], mat[M_POS] = top, pos


@inner
def _frontier_set(ctx, mat, scr, at, label, key, base):
    """The set after the terminal of the configuration at `at` ended with `label` (and undeclared key hash `key`)."""
    node = _i32(ctx, NODE)
    n, f = scr[at + 1], scr[at + 2]
    mat[M_ACC] = 0
    if _i4(node, 4 * n) == OP_KEY:
        ospec = _i32(ctx, OSPEC)
        g = _with_extra(ctx, mat, f, key)
        if g < 0:
            return 0
        return _close(ctx, mat, scr, _i4(ospec, _i4(ospec, mat[f + F_SPEC] + O_OTHER) + label), g, base, 0)
    return _close(ctx, mat, scr, _i4(node, 4 * n + 2) + label, f, base, 0)
