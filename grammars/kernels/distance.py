"""How many tokens the shortest completion needs at most: what lets a document finish within a limit.

Every estimate is consistent: some next token lowers it by one. Literal text counts the tokens of its best spelling,
terminals count bytes (a byte is at most one token), frames carry the sum of what is still due in them and around.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner, kernel
from grammars.kernels.frames import (
    _cheapest_around,
    _context,
    _fill_cost,
    _i32,
    _i64,
    _is_unique,
    _key_ends,
    _price,
    _refresh_array,
    _refresh_object,
)
from grammars.kernels.layout import *
from grammars.kernels.lr import _lr_cost, _lr_distance, _lr_most
from grammars.kernels.pointers import I64, _i4, _pointer64, carray

FAR = 1 << 40
NEVER_REACHED = 1 << 29


@inner
def _to_fill(ctx, mat, f):
    """Properties beyond the required ones, and those that meet its duties, that the object frame still has to get."""
    ospec = _i32(ctx, OSPEC)
    o = mat[f + F_SPEC]
    due = _i4(ospec, _i4(ospec, o + O_NEED) + mat[f + F_DUTY]) if mat[f + F_DUTY] != 0 else np.int64(0)
    return _i4(ospec, o + O_MIN) - mat[f + F_COUNT] - mat[f + F_A] - due


@inner
def _property_cost(ctx, mat, f, i, suffix):
    """From `suffix` tokens before the end of declared key i (its closing quote included) to the end of the document."""
    ospec = _i32(ctx, OSPEC)
    o = mat[f + F_SPEC]
    n = _i4(ospec, o + O_N)
    cost = suffix + _i4(ospec, o + O_HEAD + P_VCOST * n + i) + mat[f + F_COST]
    needed = _i4(ospec, o + O_HEAD + P_REQ * n + i)
    if needed:
        cost -= _i4(ospec, o + O_HEAD + P_COST * n + i)
    more = _to_fill(ctx, mat, f)
    any_order = _i4(ospec, o + O_FLAGS) & OF_ANY
    if more > 0 and not (needed and any_order):
        cost -= _fill_cost(ctx, mat, f, more, mat[f + F_B], np.int64(-1))
        after = more if needed else more - 1
        cost += _fill_cost(ctx, mat, f, after, _i4(ospec, o + O_HEAD + P_POS * n + i), np.int64(i))
    return cost


@inner
def _paying_cost(ctx, mat, f, q):
    """As `_extra_cost` where undeclared keys have duties: what a key costs is also which of them its values meet."""
    ospec, node, alts, ncost = _i32(ctx, OSPEC), _i32(ctx, NODE), _i32(ctx, ALTS), _i32(ctx, NCOST)
    o = mat[f + F_SPEC]
    need = _i4(ospec, o + O_NEED)
    costs = need + (1 << _i4(ospec, o + O_DUTIES))
    duty, high, more = mat[f + F_DUTY], _i4(ospec, o + O_MAX), _to_fill(ctx, mat, f)
    around = mat[f + F_COST] - _i4(ospec, costs + duty)
    if more > 0:
        around -= _fill_cost(ctx, mat, f, more, mat[f + F_B], np.int64(-1))
    best = np.int64(FAR)
    for label in range(_i4(ospec, o + O_LABELS)):
        key = _key_ends(ctx, o, q, label)
        if key >= NEVER_REACHED:
            continue
        n = _i4(ospec, _i4(ospec, o + O_OTHER) + label)
        several = _i4(node, 4 * n) == OP_ALT
        for k in range(_i4(node, 4 * n + 2) if several else 1):
            m = _i4(alts, _i4(node, 4 * n + 1) + k) if several else n
            rest = duty & ~_i4(node, 4 * m + 1)
            due = _i4(ospec, need + rest)
            if high >= 0 and mat[f + F_COUNT] + 1 + mat[f + F_A] + due > high:
                continue
            cost = key + _i4(ncost, _i4(node, 4 * m + 2)) + _i4(ospec, costs + rest)
            after = more - 1 + _i4(ospec, need + duty) - due  # in declared order no declared key follows
            if after > 0:
                cost += _fill_cost(ctx, mat, f, after, _i4(ospec, o + O_N), np.int64(-1))
            best = min(best, cost)
    return best + around


@inner
def _extra_cost(ctx, mat, f, q):
    """From inside an undeclared key, terminal state q, to the end of the document."""
    ospec, dist = _i32(ctx, OSPEC), _i32(ctx, DIST)
    o = mat[f + F_SPEC]
    if mat[f + F_DUTY] != 0:
        return _paying_cost(ctx, mat, f, q)
    cost = min(_i4(dist, 3 * q), _i4(dist, 3 * q + 1)) + _i4(ospec, o + O_EXTRACOST) + mat[f + F_COST]
    more = _to_fill(ctx, mat, f)
    if more > 0:  # in declared order no declared key follows
        cost -= _fill_cost(ctx, mat, f, more, mat[f + F_B], np.int64(-1))
        cost += _fill_cost(ctx, mat, f, more - 1, _i4(ospec, o + O_N), np.int64(-1))
    return cost


@inner
def _key_cost(ctx, mat, f, low, high, at):
    """Cheapest way on through an available property of [low, high), `at` symbols into its name."""
    ospec, ksuf = _i32(ctx, OSPEC), _i32(ctx, KSUF)
    o = mat[f + F_SPEC]
    n = _i4(ospec, o + O_N)
    best = np.int64(FAR)
    for i in range(low, high):
        if (mat[f + F_BITS + (i >> 6)] >> (i & 63)) & 1:
            best = min(best, _property_cost(ctx, mat, f, i, _i4(ksuf, _i4(ospec, o + O_HEAD + P_SUFFIX * n + i) + at)))
    return best


@inner
def _continuation(ctx, mat, n, f):
    """From control node n under frame f to the end of the document."""
    node = _i32(ctx, NODE)
    op = _i4(node, 4 * n)
    if op == OP_POP:
        return mat[mat[f + F_PARENT] + F_COST]
    if op == OP_KEY or op == OP_ITEM:
        _price(mat, f)
    if op == OP_KEY:
        ospec = _i32(ctx, OSPEC)
        best = _key_cost(ctx, mat, f, 0, _i4(ospec, mat[f + F_SPEC] + O_N), 0)
        if mat[f + F_FLAGS] & OPEN:
            best = min(best, _extra_cost(ctx, mat, f, _i4(ospec, mat[f + F_SPEC] + O_Q)) + 1)
        return best
    if op == OP_ITEM:
        aspec = _i32(ctx, ASPEC)
        a = mat[f + F_SPEC]
        if _i4(aspec, a + A_FLAGS) & AF_STATES:
            return mat[mat[f + F_PARENT] + F_COST] + 1 + _i4(aspec, mat[f + F_B] + AS_ITEMCOST)
        if mat[f + F_COUNT] < _i4(aspec, a + A_MIN):
            return mat[f + F_COST] - 1
        if mat[f + F_COUNT] < _i4(aspec, a + A_PREFIX):
            return mat[f + F_COST] + _i4(aspec, a + A_HEAD + _i4(aspec, a + A_PREFIX) + mat[f + F_COUNT]) + 1
        return mat[f + F_COST] + _i4(aspec, a + A_COST) + 1
    return _i4(_i32(ctx, NCOST), n) + mat[f + F_COST]


@inner
def _partial(phase):
    """Bytes still due in a partly written character."""
    if phase == 0:
        return 0
    if phase >= 12:
        return phase - 11
    if phase >= 8:
        return 12 - phase
    if phase >= 6:
        return 12 - phase
    return 6 - phase


@inner
def _completes(phase, value, symbol):
    """Whether the partial character (see `step._decode`) can become the code point `symbol`."""
    pair = symbol >= 0x10000
    high = 0xD800 + ((symbol - 0x10000) >> 10)
    if phase <= 2:
        return True
    if phase < 6:
        return ((high if pair else symbol) >> (4 * (6 - phase))) == value
    if phase < 8:
        return pair and high == value
    if phase < 12:
        low = (0xDC00 + (symbol & 0x3FF)) >> (4 * (12 - phase))
        return pair and high == (value >> 16) + 0xD800 and low == value & 0xFFFF
    least = 0x10000 if phase == 14 else 0x800 if phase == 13 else 0x80
    return symbol >= least and (symbol >> (6 * (phase - 11))) == value


@inner
def _still_due(phase, symbol):
    """Bytes that the partial character still needs to become `symbol`."""
    if phase == 1 and (symbol in (34, 47, 92) or (8 <= symbol <= 13 and symbol != 11)):
        return 1
    return _partial(phase) + (6 if symbol >= 0x10000 and phase < 6 else 0)


@inner
def _declared_distance(ctx, mat, f, v, phase, value):
    """From state v of a key trie, in a character if phase > 0, through a declared key to the end of the document."""
    best = np.int64(FAR)
    if v < 0:
        return best
    st, edge = _i32(ctx, ST), _i32(ctx, EDGE)
    depth = _i4(st, 6 * v + 5) >> 1
    if phase == 0:
        return _key_cost(ctx, mat, f, _i4(st, 6 * v + 3), _i4(st, 6 * v + 4), depth)
    first = _i4(st, 6 * v)
    for k in range(first, first + _i4(st, 6 * v + 1)):
        symbol, t = _i4(edge, 2 * k), _i4(edge, 2 * k + 1)
        if _completes(phase, value, symbol):
            cost = _key_cost(ctx, mat, f, _i4(st, 6 * t + 3), _i4(st, 6 * t + 4), depth + 1)
            best = min(best, cost + _still_due(phase, symbol))
    return best


@inner
def _limit_inside(ctx, mat, q, n, f, c, budget):
    """How far from the terminal's end a token may leave it under a budget, for `tier1`'s `limit`.

    NO_LIMIT: any token will do. -1: none. UNFIT: tier 1 cannot tell (two ways to end, or characters still due).
    What any token may need goes to M_NEED where there is no limit.
    """
    node, dist = _i32(ctx, NODE), _i32(ctx, DIST)
    if budget < 0:
        return np.int64(NO_LIMIT)
    if mat[f + F_KIND] == K_LR:
        most = _lr_most(ctx, mat, _i64(ctx, SCR), q, n, f)
        if most > budget:
            return np.int64(UNFIT)
        mat[M_NEED] = max(mat[M_NEED], most)
        return np.int64(NO_LIMIT)
    most = _i4(dist, 3 * q + 2) + 1
    if _i4(node, 4 * n) == OP_KEY:
        _price(mat, f)
        ospec = _i32(ctx, OSPEC)
        if mat[f + F_DUTY] != 0:
            most += _i4(ospec, mat[f + F_SPEC] + O_EXTRACOST) + mat[f + F_COST]
            if most > budget or _i4(ospec, mat[f + F_SPEC] + O_MAX) >= 0:  # there may be no room for the nearest key
                return np.int64(UNFIT)
            mat[M_NEED] = max(mat[M_NEED], most)
            return np.int64(NO_LIMIT)
        after = _extra_cost(ctx, mat, f, q) - min(_i4(dist, 3 * q), _i4(dist, 3 * q + 1))
        if most + after <= budget:
            mat[M_NEED] = max(mat[M_NEED], most + after)
            return np.int64(NO_LIMIT)
        # near the limit it matters which keys are taken: patterns and keys written before are left to the walk
        if _i4(ospec, mat[f + F_SPEC] + O_LABELS) > 1 or _i4(dist, 3 * q + 2) > 14 or mat[f + F_X] != 0 or ctx[S_ANY]:
            return np.int64(UNFIT)
    else:
        k = _i4(node, 4 * n + 3)
        short = np.int64(0)
        if k >= 0:
            bounds = _i32(ctx, BOUNDS)
            short = max(np.int64(0), _i4(bounds, k) - c) * _i4(bounds, k + 2)
        after = np.int64(-1)
        following = _i4(node, 4 * n + 2)
        if _i4(dist, 3 * q) < NEVER_REACHED:
            after = _continuation(ctx, mat, following, f)
        two = _i4(dist, 3 * q + 1) < NEVER_REACHED
        if two:
            after = max(after, _continuation(ctx, mat, following + 1, f))
        if most + short + after <= budget:
            mat[M_NEED] = max(mat[M_NEED], most + short + after)
            return np.int64(NO_LIMIT)
        if two or short > 0 or (ctx[S_UNIQUE] and _is_unique(ctx, mat, f)):
            return np.int64(UNFIT)
    return max(np.int64(-1), budget - after)


@inner
def _forget_seen(ctx):
    """Distances of LR stacks that were found before do not hold any more."""
    if ctx[LR + 64] > 2 and ctx[S_COSTED]:
        seen = carray(_pointer64(ctx[SEEN]), (1024,))
        for i in range(512):
            seen[i] = 0


@inner
def _affordable(ctx, mat, scr, base, count, budget):
    """Whether the set at `base` can be finished within the budget, if there is one; M_NEED is kept up."""
    if budget < 0:
        return True
    need = _distance(ctx, mat, scr, base, count)
    mat[M_NEED] = max(mat[M_NEED], need)
    return need <= budget


@inner
def _distance(ctx, mat, scr, base, count):
    """Tokens that the shortest completion of the set at `base` needs at most; 0 where the document may end."""
    if mat[M_ACC]:
        return np.int64(0)
    best = np.int64(FAR)
    node, info, dist, st = _i32(ctx, NODE), _i32(ctx, INFO), _i32(ctx, DIST), _i32(ctx, ST)
    at = base
    for _ in range(count):
        q, n, f = scr[at], scr[at + 1], scr[at + 2]
        if q < 0:
            best = min(best, _i4(_i32(ctx, STCOST), -q - 1) + mat[f + F_COST])
        elif mat[f + F_KIND] == K_LR:
            best = min(best, _lr_distance(ctx, mat, scr, q, n, f))
        elif _i4(node, 4 * n) == OP_TERM:
            due = np.int64(0)
            k = _i4(node, 4 * n + 3)
            if k >= 0:
                bounds = _i32(ctx, BOUNDS)
                due = max(0, _i4(bounds, k) - scr[at + 3])
                if due > 0 and not _i4(info, q) & BOUNDARY:
                    due -= 1
                due *= _i4(bounds, k + 2)
            for label in range(2):
                own = _i4(dist, 3 * q + label)
                if own < (1 << 29):
                    best = min(best, own + due + _continuation(ctx, mat, _i4(node, 4 * n + 2) + label, f))
        else:
            v = (scr[at + 3] & 0xFFFFFFFF) - 1
            phase = (scr[at + 3] >> 32) & 15
            if _i4(node, 4 * n) == OP_KEY:
                _price(mat, f)
                best = min(best, _declared_distance(ctx, mat, f, v, phase, scr[at + 3] >> 36))
                if mat[f + F_FLAGS] & OPEN:
                    # a key that is declared or was written before must go on by a character at least
                    taken = phase > 0 or (v >= 0 and _i4(st, 6 * v + 2) >= 0)
                    extra = mat[f + F_X]
                    while extra != 0 and not taken:
                        taken = mat[extra] == scr[at + 4]
                        extra = mat[extra + 1]
                    best = min(best, _extra_cost(ctx, mat, f, q) + (1 if taken else 0))
            elif v >= 0:
                stcost, edge = _i32(ctx, STCOST), _i32(ctx, EDGE)
                cost = _i4(stcost, v) if phase == 0 else np.int64(FAR)
                if phase > 0:
                    first = _i4(st, 6 * v)
                    for k in range(first, first + _i4(st, 6 * v + 1)):
                        if _completes(phase, scr[at + 3] >> 36, _i4(edge, 2 * k)):
                            due = _still_due(phase, _i4(edge, 2 * k))
                            cost = min(cost, due + _i4(stcost, _i4(edge, 2 * k + 1)))
                best = min(best, cost + mat[f + F_COST])
        at += CFG
    return best


@inner
def _recost(ctx, mat, f):
    """Work out the costs of a frame anew, its parent's being right."""
    if mat[f + F_KIND] == K_OBJ:
        _cheapest_around(mat, f)
        ospec = _i32(ctx, OSPEC)
        o = mat[f + F_SPEC]
        n = _i4(ospec, o + O_N)
        any_order = _i4(ospec, o + O_FLAGS) & OF_ANY
        cost = np.int64(0)
        for i in range(n):
            if _i4(ospec, o + O_HEAD + P_REQ * n + i):
                if any_order:
                    due = (mat[f + F_BITS + (i >> 6)] >> (i & 63)) & 1
                else:
                    due = 1 if _i4(ospec, o + O_HEAD + P_POS * n + i) > mat[f + F_B] else 0
                cost += due * _i4(ospec, o + O_HEAD + P_COST * n + i)
        mat[f + F_MISS] = cost
        _refresh_object(ctx, mat, f)
    elif mat[f + F_KIND] == K_ARR:
        _refresh_array(ctx, mat, f)
    elif mat[f + F_KIND] == K_LR:
        _lr_cost(ctx, mat, f)
    elif mat[f + F_KIND] == K_CALL:
        mat[f + F_COST] = mat[mat[f + F_PARENT] + F_COST] + _i4(_i32(ctx, NCOST), mat[f + F_A])


@inner
def _add_frame(mat, scr, total, f):
    """Enter a frame into the list at LEVELS unless it is there, or is the root; the length of the list."""
    if mat[f + F_KIND] == K_ROOT:
        return total
    for k in range(total):
        if scr[LEVELS + k] == f:
            return total
    scr[LEVELS + total] = f
    return total + 1


@kernel
def recost(address, states: I64):
    """Work out the costs of all frames of the states at the offsets `states` (int64): tables have been filled since."""
    ctx = _context(address)
    mat, scr = _i64(ctx, MAT), _i64(ctx, SCR)
    for s in range(states.size):
        total = np.int64(0)
        if LEVELS + mat[states[s]] + MOST_AROUND + 2 >= scr.size:
            return GROW_SCR
        for k in range(mat[states[s]]):
            total = _add_frame(mat, scr, total, mat[states[s] + 2 + CFG * k + 2])
        done = np.int64(0)
        while done < total:
            f = scr[LEVELS + done]
            total = _add_frame(mat, scr, total, mat[f + F_PARENT])
            cell = mat[f + F_MORE]
            while cell != 0:
                total = _add_frame(mat, scr, total, mat[cell])
                cell = mat[cell + 1]
            done += 1
            if LEVELS + total + MOST_AROUND + 2 >= scr.size:
                return GROW_SCR
        for k in range(1, total):  # by age: what is around a frame was made before it
            f, j = scr[LEVELS + k], k
            while j > 0 and scr[LEVELS + j - 1] > f:
                scr[LEVELS + j] = scr[LEVELS + j - 1]
                j -= 1
            scr[LEVELS + j] = f
        for k in range(total):
            _recost(ctx, mat, scr[LEVELS + k])
    return OK


@kernel
def distance(address):
    """Tokens that the shortest completion of the matcher's state needs at most."""
    ctx = _context(address)
    mat, scr = _i64(ctx, MAT), _i64(ctx, SCR)
    current = mat[M_CUR]
    if LEVELS + CFG * mat[current] > scr.size:
        return np.int64(GROW_SCR)
    for i in range(CFG * mat[current]):
        scr[LEVELS + i] = mat[current + 2 + i]
    mat[M_ACC] = mat[current + 1]
    mat[M_STATUS] = OK
    mat[M_FUEL] = ctx[S_FUEL]
    mat[M_MARK] = 0
    _forget_seen(ctx)
    top = mat[M_TOP]
    best = _distance(ctx, mat, scr, LEVELS, mat[current])
    mat[M_TOP] = top
    return best if mat[M_STATUS] == OK else mat[M_STATUS]
