"""The mask of one configuration in a terminal.

Tier 1, per terminal state and vocabulary: the row of tokens that stay inside the terminal or end with it, and the
frontier, the trie nodes where it ends, their sub-tries merged. Tier 2, per state: tier-1 rows and what the walk from
the frontier adds under the real frames.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner
from grammars.kernels.declared import _declared_keys, _path_hash, _repeated_keys
from grammars.kernels.distance import _affordable, _limit_inside
from grammars.kernels.entries import _forbid_subtree, _tier1, _unite
from grammars.kernels.frames import _i32, _i64, _is_unique, _note, _trie_child, _u8, _with_extra
from grammars.kernels.layout import *
from grammars.kernels.marks import _mark_all, _mark_exponents, _mark_subtree
from grammars.kernels.parsed import _set_aside
from grammars.kernels.pointers import _i4, _pointer8, _pointer32, _u1, carray
from grammars.kernels.step import _close, _step
from grammars.kernels.values import _is_used, _prefix_of, _value_hash
from grammars.kernels.walk import _put_path, _walk


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
