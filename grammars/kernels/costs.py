"""Costs, the tables behind `distance`: tokens from each node to the end of its value, as a least fixpoint.

A terminal costs its bytes, literal text the tokens of its best spelling in the vocabulary, an object its required
keys, an array its required items. Recursive values start as unreachable and are lowered until nothing changes.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner, kernel
from grammars.kernels.frames import _context, _i32, _key_ends, _trie_child
from grammars.kernels.layout import *
from grammars.kernels.pointers import I8, I32, I64, U8, _i4

NEVER = 1 << 29


@kernel
def spelling_costs(address, text: U8, out: I32):
    """out[i] = fewest tokens that spell text[i:] (uint8), for every i; NEVER where the vocabulary cannot."""
    ctx = _context(address)
    ttok, rootc = _i32(ctx, TTOK), _i32(ctx, ROOTC)
    n = text.size
    out[n] = 0
    for i in range(n - 1, -1, -1):
        best = np.int64(NEVER)
        x = _i4(rootc, np.int64(text[i]))
        j = i + 1
        while x >= 0:
            if _i4(ttok, x) >= 0:
                best = min(best, 1 + np.int64(out[j]))
            if j >= n:
                break
            x = _trie_child(ctx, x, np.int64(text[j]))
            j += 1
        out[i] = best
    return 0


@inner
def _literal_cost(ctx, s, stcost, ncost, stack):
    """Fewest tokens from literal trie state s to the end of the value; states after s are done."""
    ttok, rootc = _i32(ctx, TTOK), _i32(ctx, ROOTC)
    st, edge = _i32(ctx, ST), _i32(ctx, EDGE)
    best = np.int64(NEVER)
    if _i4(st, 6 * s + 2) >= 0:
        best = np.int64(ncost[_i4(st, 6 * s + 2)])
    stack[0], stack[1] = 0, s
    sp = 2
    while sp > 0:
        sp -= 2
        x, t = stack[sp], stack[sp + 1]
        first = _i4(st, 6 * t)
        for k in range(first, first + _i4(st, 6 * t + 1)):
            byte, target = _i4(edge, 2 * k), _i4(edge, 2 * k + 1)
            y = _i4(rootc, byte) if x == 0 else _trie_child(ctx, x, byte)
            if y >= 0:
                if _i4(ttok, y) >= 0:
                    best = min(best, 1 + np.int64(stcost[target]))
                if sp + 2 < stack.size:
                    stack[sp], stack[sp + 1] = y, target
                    sp += 2
    return best


@inner
def _free_cost(ctx, s, stcost, ncost):
    """As `_literal_cost` for a trie over code points, each spelled raw or by its short escape."""
    st, edge = _i32(ctx, ST), _i32(ctx, EDGE)
    best = np.int64(NEVER)
    if _i4(st, 6 * s + 2) >= 0:
        best = 1 + np.int64(ncost[_i4(st, 6 * s + 2)])
    first = _i4(st, 6 * s)
    for k in range(first, first + _i4(st, 6 * s + 1)):
        code = _i4(edge, 2 * k)
        width = 6 if code < 32 else 2 if code == 34 or code == 92 else 1
        if code >= 128:
            width = 2 if code < 2048 else 3 if code < 65536 else 4
        best = min(best, width + np.int64(stcost[_i4(edge, 2 * k + 1)]))
    return best


@inner
def _solve_duties(ctx, o, ncost, table):
    """Write to an object's table what the undeclared keys cost that meet each set of its duties.

    Where the number of keys is bounded, as few of them as possible, so that there is room.
    """
    ospec, node, alts = _i32(ctx, OSPEC), _i32(ctx, NODE), _i32(ctx, ALTS)
    need = _i4(ospec, o + O_NEED)
    size = 1 << _i4(ospec, o + O_DUTIES)
    few = _i4(ospec, o + O_MAX) >= 0
    table[need + size] = 0
    for duty in range(1, size):
        best = np.int64(NEVER)
        for label in range(_i4(ospec, o + O_LABELS)):
            n = _i4(ospec, _i4(ospec, o + O_OTHER) + label)
            key = _key_ends(ctx, o, _i4(ospec, o + O_Q), label)
            several = _i4(node, 4 * n) == OP_ALT
            for k in range(_i4(node, 4 * n + 2) if several else 1):
                m = _i4(alts, _i4(node, 4 * n + 1) + k) if several else n
                rest = duty & ~_i4(node, 4 * m + 1)
                if rest != duty and not (few and _i4(ospec, need + rest) != _i4(ospec, need + duty) - 1):
                    best = min(best, key + 3 + np.int64(ncost[_i4(node, 4 * m + 2)]) + table[need + size + rest])
        table[need + size + duty] = best


@inner
def _object_cost(ctx, ospec, dist, ksuf, o, ncost, table):
    """Write the costs of an object's properties to its table; tokens from after its brace to its end."""
    n = _i4(ospec, o + O_N)
    others = _i4(ospec, o + O_OTHER)
    extra = np.int64(0)
    if _i4(ospec, o + O_FLAGS) & OF_OPEN:
        for k in range(_i4(ospec, o + O_LABELS)):
            extra = max(extra, np.int64(ncost[_i4(ospec, others + k)]))
    fill = np.int64(NEVER)
    total = np.int64(1)
    required = np.int64(0)
    for i in range(n):
        value = _i4(ospec, o + O_HEAD + P_VALUE * n + i)
        if value < 0:
            continue
        own = np.int64(ncost[value])
        table[o + O_HEAD + P_VCOST * n + i] = own
        own = min(np.int64(NEVER), own + 2 + _i4(ksuf, _i4(ospec, o + O_HEAD + P_SUFFIX * n + i)))
        table[o + O_HEAD + P_COST * n + i] = own
        if _i4(ospec, o + O_HEAD + P_REQ * n + i):
            total += own
            required += 1
    if _i4(ospec, o + O_FLAGS) & OF_OPEN:
        q = _i4(ospec, o + O_Q)
        fill = min(np.int64(NEVER), 3 + extra + min(_i4(dist, 3 * q), _i4(dist, 3 * q + 1)))
    table[o + O_EXTRACOST] = extra
    table[o + O_FILLCOST] = fill
    duties = _i4(ospec, o + O_DUTIES)
    due = _i4(ospec, o + O_MIN) - required
    if duties > 0:
        all_due = _i4(ospec, o + O_NEED) + (1 << duties) - 1
        _solve_duties(ctx, o, ncost, table)
        total += np.int64(table[all_due + (1 << duties)])
        due -= _i4(ospec, all_due)
    # The cheapest optional keys that make up the number: as `frames._fill_cost` does, or costs would not only fall.
    last, place = np.int64(-1), np.int64(-1)
    while due > 0:
        best, found = fill, np.int64(-1)
        for i in range(n):
            if _i4(ospec, o + O_HEAD + P_VALUE * n + i) < 0 or _i4(ospec, o + O_HEAD + P_REQ * n + i):
                continue
            own = np.int64(table[o + O_HEAD + P_COST * n + i])
            if own < best and (own > last or (own == last and i > place)):
                best, found = own, np.int64(i)
        if found < 0:
            total += due * best
            break
        total += best
        last, place = best, found
        due -= 1
    return min(np.int64(NEVER), total)


@inner
def _automaton_cost(aspec, a, ncost, table):
    """Write for each state of an item automaton what the items still due cost; tokens from after the bracket on."""
    changed = True
    while changed:
        changed = False
        s = _i4(aspec, a + A_STATES)
        for _ in range(_i4(aspec, a + A_MIN)):
            best = np.int64(NEVER)
            for k in range(_i4(aspec, s + AS_EDGES)):
                target = _i4(aspec, s + AS_HEAD + 2 * k + 1)
                own = 1 + np.int64(ncost[_i4(aspec, s + AS_HEAD + 2 * k)]) + _i4(aspec, a + A_SLACK)
                best = min(best, own + table[target + AS_COST])
            cost = np.int64(0) if _i4(aspec, s + AS_CLOSES) else best
            if cost < table[s + AS_COST] or best - 1 < table[s + AS_ITEMCOST]:
                changed = True
                table[s + AS_COST], table[s + AS_ITEMCOST] = cost, best - 1
            s += AS_HEAD + 2 * _i4(aspec, s + AS_EDGES)
    return np.int64(1) + table[_i4(aspec, a + A_STATES) + AS_COST]


@inner
def _array_cost(aspec, a, ncost, table):
    """Write the costs of an array's items to its table; tokens from after its bracket to its end."""
    if _i4(aspec, a + A_FLAGS) & AF_STATES:
        return _automaton_cost(aspec, a, ncost, table)
    prefix, items, low = _i4(aspec, a + A_PREFIX), _i4(aspec, a + A_ITEMS), _i4(aspec, a + A_MIN)
    slack = _i4(aspec, a + A_SLACK)
    item = np.int64(ncost[items]) + slack if items >= 0 else np.int64(0)
    table[a + A_COST] = item
    total = np.int64(1)
    for i in range(prefix):
        own = np.int64(ncost[_i4(aspec, a + A_HEAD + i)]) + slack
        table[a + A_HEAD + prefix + i] = own
        if i < low:
            total += own + 1
    if low > prefix:
        total += (low - prefix) * (item + 1)
    return min(np.int64(NEVER), total)


@kernel
def solve_costs(address, kinds: I8, ncost: I32, stcost: I32, ospec_table: I32, aspec_table: I32, stack: I64):
    """Fill ncost int32[N], stcost int32[S] and the cost columns of the tables; number of rounds.

    kinds: int8[S], 1 a state of a literal trie over bytes, 2 over code points, 0 of a trie of keys.
    """
    ctx = _context(address)
    node, alts, bounds, dist = _i32(ctx, NODE), _i32(ctx, ALTS), _i32(ctx, BOUNDS), _i32(ctx, DIST)
    ospec, aspec, ksuf = _i32(ctx, OSPEC), _i32(ctx, ASPEC), _i32(ctx, KSUF)
    lrcost = _i32(ctx, LRCOST)
    rounds = 0
    changed = True
    while changed and rounds < 10_000:
        changed = False
        rounds += 1
        for s in range(kinds.size - 1, -1, -1):
            if kinds[s] != 0:
                cost = (
                    _literal_cost(ctx, s, stcost, ncost, stack) if kinds[s] == 1 else _free_cost(ctx, s, stcost, ncost)
                )
                if cost < stcost[s]:
                    stcost[s] = cost
                    changed = True
        for n in range(ncost.size):
            op, a, b, c = _i4(node, 4 * n), _i4(node, 4 * n + 1), _i4(node, 4 * n + 2), _i4(node, 4 * n + 3)
            cost = np.int64(NEVER)
            if op == OP_DONE or op == OP_END:
                cost = np.int64(0)
            elif op == OP_TERM:
                due = _i4(bounds, c) * _i4(bounds, c + 2) if c >= 0 else 0
                for label in range(2):
                    if b + label < ncost.size and _i4(dist, 3 * a + label) < NEVER:
                        cost = min(cost, _i4(dist, 3 * a + label) + due + ncost[b + label])
            elif op == OP_TRIE or op == OP_DTRIE:
                cost = np.int64(stcost[a])
            elif op == OP_ALT:
                for k in range(a, a + b):
                    cost = min(cost, np.int64(ncost[_i4(alts, k)]))
            elif op == OP_OBJ:
                cost = _object_cost(ctx, ospec, dist, ksuf, a, ncost, ospec_table)
            elif op == OP_ARR:
                cost = _array_cost(aspec, a, ncost, aspec_table)
            elif op == OP_CALL:
                cost = np.int64(ncost[a]) + ncost[b]
            elif op == OP_PARSE:
                block = _i4(lrcost, _i4(_i32(ctx, LR), a + L_NUMBER))
                cost = _i4(lrcost, block + LC_TOTAL)
            elif op == OP_PAY or op == OP_FRESH:
                cost = np.int64(ncost[b])
            if cost < ncost[n]:
                ncost[n] = cost
                changed = True
    return rounds
