"""Stacks of an LR parser as frames: shifts, reductions, and which terminals can still come.

A frame of kind K_LR is one state of the parser; the frames below it are its stack. A terminal that ends is shifted
(OP_SHIFT): reductions take frames off, as many ways as the table has. What may come next (OP_LEX) depends on the whole
stack, since a table's look-ahead is merged over many stacks: so each new top knows the set of terminals that its stack
really leads to a shift of, found by following the reductions. Only those are begun, hence nothing that ends nowhere.

An LR table in LR (int32), offsets from its start:
    L_STATES.. counts; L_ACT [S*T] place of a list (count, then targets, or -1 - rule), 0: none; L_GOTO [S*N], -1: none
    L_RULES [R*2] symbols to take off, nonterminal; L_SHIFTS [S*W*2] terminals that are shifted, in words of 60 bits
    as pairs of 30; L_REDS [S] place of a list (count, then rule and its terminals as W pairs); L_CONTEXT [S] number
    L_KERNELS [S] place of a list (count, then number and nonterminal of each kernel item); L_CLASSES of obligations

A frame: F_BITS words, the bits of what can come, then for each kernel item and class the tokens from that item's end to
the end of the text (of `recost` and later; see `lrcosts`).
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner
from grammars.kernels.frames import _alloc, _i32, _i64, _mix, _note
from grammars.kernels.layout import *
from grammars.kernels.pointers import _i4, _pointer64, carray

FAR = 1 << 40
LC_NEVER = 1 << 29


@inner
def _lr_frame(ctx, mat, table, state, parent, outer, words):
    """A stack with `state` on top of `parent`; which terminals can come is not known yet."""
    lr = _i32(ctx, LR)
    items = _i4(lr, table + _i4(lr, table + _i4(lr, table + L_KERNELS) + state))
    g = _alloc(mat, F_BITS + words + items * _i4(lr, table + L_CLASSES))
    if mat[M_STATUS] != OK:
        return parent
    for i in range(F_BITS):
        mat[g + i] = 0
    mat[g + F_KIND] = K_LR
    mat[g + F_SPEC] = table
    mat[g + F_PARENT] = parent
    mat[g + F_LEVEL] = mat[parent + F_LEVEL] + 1
    mat[g + F_A] = state
    mat[g + F_B] = outer
    mat[g + F_H1] = _mix(K_LR * 77 + table, state)
    mat[g + F_H2] = mat[g + F_H1]
    # offsets and states are both small: where they are equal, a mix of the two alone is 0, and so is that with state 0
    mat[g + F_X] = _mix(mat[parent + F_X] if parent != outer else _mix(K_LR * 77, outer), state + 1)
    return g


@inner
def _lr_cost(ctx, mat, g):
    """Write what follows the kernel items of stack g costs, from the frame below; the least is its F_COST.

    How they differ is mixed into F_H2, so that frames which look alike let tokens cost alike.
    """
    if ctx[S_COSTED] == 0:
        return
    lr, costs = _i32(ctx, LR), _i32(ctx, LRCOST)
    table, f, outer = mat[g + F_SPEC], mat[g + F_PARENT], mat[g + F_B]
    block = _i4(costs, _i4(lr, table + L_NUMBER))
    classes = _i4(lr, table + L_CLASSES)
    head = F_BITS + _i4(lr, table + L_WORDS)
    lists = table + _i4(lr, table + L_KERNELS)
    own = table + _i4(lr, lists + mat[g + F_A])
    count = _i4(lr, own)
    best = np.int64(FAR)
    if f == outer:
        for c in range(classes):
            cost = _i4(costs, block + _i4(costs, block + LC_END) + c)
            cost = mat[outer + F_COST] + cost if cost < LC_NEVER else np.int64(FAR)
            mat[g + head + c] = cost
            best = min(best, cost)
    else:
        below = table + _i4(lr, lists + mat[f + F_A])
        others = _i4(lr, below)
        exits = block + _i4(costs, block + LC_EXITS) + mat[f + F_A] * _i4(lr, table + L_NONTERMINALS)
        for k in range(count):
            item, left = _i4(lr, own + 1 + 2 * k), _i4(lr, own + 2 + 2 * k)
            known = np.int64(-1)
            for j in range(others):
                if _i4(lr, below + 1 + 2 * j) == item - 1:
                    known = np.int64(j)
            place = np.int64(0)
            if known < 0 and left >= 0:
                place = _i4(costs, exits + left)
            for c in range(classes):
                cost = np.int64(FAR)
                if known >= 0:
                    cost = mat[f + head + known * classes + c]
                elif place != 0:
                    at = block + place + c * others * classes
                    for x in range(others * classes):
                        way = _i4(costs, at + x)
                        if way < LC_NEVER:
                            cost = min(cost, way + mat[f + head + x])
                mat[g + head + k * classes + c] = cost
                best = min(best, cost)
    mat[g + F_COST] = best
    h = mat[g + F_H1]
    for x in range(count * classes):
        h = _mix(h, mat[g + head + x] - best)
    mat[g + F_H2] = h


@inner
def _lr_rest(ctx, mat, g, c):
    """Tokens from stack g, under an obligation of class c, to the end of the text at most."""
    lr, costs = _i32(ctx, LR), _i32(ctx, LRCOST)
    table = mat[g + F_SPEC]
    block = _i4(costs, _i4(lr, table + L_NUMBER))
    classes = _i4(lr, table + L_CLASSES)
    after = g + F_BITS + _i4(lr, table + L_WORDS)
    own = table + _i4(lr, table + _i4(lr, table + L_KERNELS) + mat[g + F_A])
    rest = block + _i4(costs, block + LC_REST)
    best = np.int64(FAR)
    for k in range(_i4(lr, own)):
        item = _i4(lr, own + 1 + 2 * k)
        for c2 in range(classes):
            cost = _i4(costs, rest + (item * classes + c) * classes + c2)
            if cost < LC_NEVER:
                best = min(best, cost + mat[after + k * classes + c2])
    return best


@inner
def _lr_class(ctx, table, duty):
    """Class of an obligation; one that was not known when costs were computed counts as the dearest."""
    lr, costs = _i32(ctx, LR), _i32(ctx, LRCOST)
    block = _i4(costs, _i4(lr, table + L_NUMBER))
    if duty < _i4(costs, block + LC_DUTIES):
        return _i4(costs, block + _i4(costs, block + LC_DUTY) + duty)
    return _i4(lr, table + L_CLASSES) - 1


@inner
def _lr_after(ctx, mat, scr, f, terminal, c):
    """Tokens from where `terminal` was taken on stack f, leaving an obligation of class c, to the end of the text."""
    lr = _i32(ctx, LR)
    table = mat[f + F_SPEC]
    words, columns = _i4(lr, table + L_WORDS), _i4(lr, table + L_TERMINALS)
    top = mat[M_TOP]
    best = np.int64(FAR)
    scr[0] = f
    sp = 1
    while sp > 0:
        sp -= 1
        h = scr[sp]
        act = _i4(lr, table + _i4(lr, table + L_ACT) + mat[h + F_A] * columns + terminal)
        if act == 0:
            continue
        for k in range(_i4(lr, table + act)):
            action = _i4(lr, table + act + 1 + k)
            if action >= 0:
                g = _lr_frame(ctx, mat, table, action, h, mat[f + F_B], words)
                if mat[M_STATUS] != OK:
                    return best
                _lr_cost(ctx, mat, g)
                best = min(best, _lr_rest(ctx, mat, g, c))
            else:
                p = _lr_reduced(ctx, mat, h, -1 - action)
                if mat[M_STATUS] == OK and sp + 2 > WORK:
                    mat[M_STATUS] = OUT_OF_FUEL
                if mat[M_STATUS] == OK:
                    g = _lr_frame(ctx, mat, table, ctx[OUT2], p, mat[f + F_B], words)
                if mat[M_STATUS] != OK:
                    return best
                _lr_cost(ctx, mat, g)
                scr[sp] = g
                sp += 1
    mat[M_TOP] = top
    return best


@inner
def _lr_continuation(ctx, mat, scr, n, f):
    """From control node n, which follows a terminal on stack f, to the end of the text."""
    node = _i32(ctx, NODE)
    first, count = np.int64(-1), np.int64(1)
    if _i4(node, 4 * n) == OP_ALT:
        first, count = _i4(node, 4 * n + 1), _i4(node, 4 * n + 2)
    best = np.int64(FAR)
    for k in range(count):
        m = _i4(_i32(ctx, ALTS), first + k) if first >= 0 else n
        op = _i4(node, 4 * m)
        if op == OP_SHIFT:
            duty = _i4(node, 4 * _i4(node, 4 * m + 2) + 1)
            cost = _lr_after(ctx, mat, scr, f, _i4(node, 4 * m + 1), _lr_class(ctx, mat[f + F_SPEC], duty))
            best = min(best, cost)
        elif op == OP_LEX:
            best = min(best, _lr_rest(ctx, mat, f, _lr_class(ctx, mat[f + F_SPEC], _i4(node, 4 * m + 1))))
        if mat[M_STATUS] != OK:
            return best
    return best


@inner
def _lr_distance(ctx, mat, scr, q, n, f):
    """From terminal state q, of node n on stack f, to the end of the text; in bytes where q was not measured."""
    at = _i4(_i32(ctx, TOKAT), q)
    if at == 0:
        own = _i4(_i32(ctx, DIST), 3 * q)
        return own + _lr_continuation(ctx, mat, scr, _i4(_i32(ctx, NODE), 4 * n + 2), f)
    seen = carray(_pointer64(ctx[SEEN]), (1024,))
    h = _mix(_mix(_mix(_mix(0, q), n), mat[f + F_X]), mat[f + F_COST]) | 1
    slot = _mix(0, h) & 511
    if seen[slot] == h:
        return seen[512 + slot]
    ends, node = _i32(ctx, TOKENDS), _i32(ctx, NODE)
    best = np.int64(FAR)
    for k in range(_i4(ends, at)):
        own = _i4(ends, at + 3 + 2 * k)
        if own >= best:
            break
        best = min(best, own + _lr_continuation(ctx, mat, scr, _i4(node, 4 * n + 2) + _i4(ends, at + 2 + 2 * k), f))
        if mat[M_STATUS] != OK:
            return best
    seen[slot] = h
    seen[512 + slot] = best
    return best


@inner
def _lr_most(ctx, mat, scr, q, n, f):
    """As `_lr_distance`, for any state that a text leads to within the terminal; FAR where one may lead nowhere."""
    at = _i4(_i32(ctx, TOKAT), q)
    if at == 0:
        return np.int64(FAR)
    ends, node = _i32(ctx, TOKENDS), _i32(ctx, NODE)
    most = np.int64(0)
    for k in range(_i4(ends, at)):
        most = max(most, _lr_continuation(ctx, mat, scr, _i4(node, 4 * n + 2) + _i4(ends, at + 2 + 2 * k), f))
        if mat[M_STATUS] != OK:
            return most
    return most + _i4(ends, at + 1)


@inner
def _lr_reduced(ctx, mat, f, rule):
    """The frame below what a rule takes off stack f, and the state to put on it (OUT2)."""
    lr = _i32(ctx, LR)
    table = mat[f + F_SPEC]
    rules = table + _i4(lr, table + L_RULES) + 2 * rule
    p = f
    for _ in range(_i4(lr, rules)):
        p = mat[p + F_PARENT]
    _note(mat, p, 2)
    goto = table + _i4(lr, table + L_GOTO)
    ctx[OUT2] = _i4(lr, goto + mat[p + F_A] * _i4(lr, table + L_NONTERMINALS) + _i4(lr, rules + 1))
    mat[M_FUEL] -= 1
    if mat[M_FUEL] < 0:
        mat[M_STATUS] = OUT_OF_FUEL
    return p


@inner
def _lr_viable(ctx, mat, scr, sp, g):
    """Write which terminals can come on stack g to its bits; scr from sp on is free."""
    lr = _i32(ctx, LR)
    table = mat[g + F_SPEC]
    words = _i4(lr, table + L_WORDS)
    shifts = table + _i4(lr, table + L_SHIFTS)
    reductions = table + _i4(lr, table + L_REDS)
    bits = g + F_BITS
    top = mat[M_TOP]
    n = sp
    scr[n] = g
    for w in range(words):
        mat[bits + w] = 0
        scr[n + 1 + w] = (1 << 60) - 1
    n += 1 + words
    while n > sp:
        n -= 1 + words
        # the entry moves up by one place: pushing overwrites the lower one
        if n + 3 * (1 + words) > WORK:
            mat[M_STATUS] = OUT_OF_FUEL
            return
        f = scr[n]
        state = mat[f + F_A]
        for w in range(words):
            own = shifts + 2 * (state * words + w)
            mat[bits + w] |= (_i4(lr, own) | (_i4(lr, own + 1) << 30)) & scr[n + 1 + w]
        at = table + _i4(lr, reductions + state)
        count = _i4(lr, at)
        at += 1
        left = n + 1
        n += 1 + words
        for _ in range(count):
            some = np.int64(0)
            for w in range(words):
                mask = _i4(lr, at + 1 + 2 * w) | (_i4(lr, at + 2 + 2 * w) << 30)
                mask &= scr[left + w] & ~mat[bits + w]
                scr[n + 1 + w] = mask
                some |= mask
            if some != 0:
                p = _lr_reduced(ctx, mat, f, _i4(lr, at))
                if mat[M_STATUS] != OK:
                    return
                h = _lr_frame(ctx, mat, table, ctx[OUT2], p, mat[g + F_B], words)
                if mat[M_STATUS] != OK:
                    return
                scr[n] = h
                n += 1 + words
                if n + 3 * (1 + words) > WORK:
                    mat[M_STATUS] = OUT_OF_FUEL
                    return
            at += 1 + 2 * words
        # close the gap that the entry left
        for i in range(left - 1, n - 1 - words):
            scr[i] = scr[i + 1 + words]
        n -= 1 + words
    mat[M_TOP] = top


@inner
def _lr_push(ctx, mat, scr, sp, table, state, parent, outer, base, count):
    """The stack with a state more; where the set at `base` has an equal one, that one."""
    words = _i4(_i32(ctx, LR), table + L_WORDS)
    top = mat[M_TOP]
    g = _lr_frame(ctx, mat, table, state, parent, outer, words)
    if mat[M_STATUS] != OK:
        return g
    for i in range(count):
        f = scr[base + CFG * i + 2]
        if mat[f + F_KIND] == K_LR and mat[f + F_X] == mat[g + F_X] and mat[f + F_B] == outer:
            mat[M_TOP] = top
            return f
    _lr_cost(ctx, mat, g)
    _lr_viable(ctx, mat, scr, sp, g)
    return g


@inner
def _lr_lex(ctx, mat, f, duty):
    """Node that reads what can come on stack f under an obligation; -1 and a status where it is not made yet."""
    lr = _i32(ctx, LR)
    table = mat[f + F_SPEC]
    words = _i4(lr, table + L_WORDS)
    context = _i4(lr, table + _i4(lr, table + L_CONTEXT) + mat[f + F_A])
    h = _mix(_mix(table + 1, context), duty)
    for w in range(words):
        h = _mix(h, mat[f + F_BITS + w])
    h = h if h != 0 else 1
    keys, values = _i64(ctx, LEXKEY), _i64(ctx, LEXVAL)
    place = _mix(0, h) & (keys.size - 1)
    while keys[place] != 0:
        if keys[place] == h:
            return values[place]
        place = (place + 1) & (keys.size - 1)
    ctx[OUT0], ctx[OUT1], ctx[OUT2], ctx[OUT3] = table, context, duty, h
    for w in range(words):
        ctx[S_LEX0 + w] = mat[f + F_BITS + w]
    mat[M_STATUS] = NEED_LEX
    return np.int64(-1)


@inner
def _lr_may_end(ctx, mat, f):
    """Whether the text may end on stack f."""
    lr = _i32(ctx, LR)
    end = _i4(lr, mat[f + F_SPEC] + L_TERMINALS) - 1
    return (mat[f + F_BITS + end // 60] >> (end % 60)) & 1 != 0


@inner
def _lr_close(ctx, mat, scr, sp, op, n, f, base, count):
    """What follows OP_SHIFT, OP_LEX or OP_PARSE on the work list of the closure; the new length of the list."""
    node = _i32(ctx, NODE)
    lr = _i32(ctx, LR)
    a, b = _i4(node, 4 * n + 1), _i4(node, 4 * n + 2)
    if op == OP_PARSE:
        g = _lr_push(ctx, mat, scr, sp, a, _i4(lr, a + L_START), f, f, base, count)
        scr[sp] = b
        scr[sp + 1] = g
        return sp + 2
    if op == OP_LEX:
        if b and _lr_may_end(ctx, mat, f):
            outer = mat[f + F_B]
            if mat[outer + F_KIND] == K_ROOT:
                scr[sp] = mat[outer + F_A]
            else:
                scr[sp] = _i4(node, 4 * n + 3)
            scr[sp + 1] = outer
            sp += 2
        following = _lr_lex(ctx, mat, f, a)
        if following >= 0:
            scr[sp] = following
            scr[sp + 1] = f
            sp += 2
        return sp
    table = mat[f + F_SPEC]
    act = table + _i4(lr, table + L_ACT) + mat[f + F_A] * _i4(lr, table + L_TERMINALS) + a
    _note(mat, f, 2)
    if _i4(lr, act) == 0:
        return sp
    at = table + _i4(lr, act)
    for k in range(_i4(lr, at)):
        action = _i4(lr, at + 1 + k)
        if sp + 64 > WORK:
            mat[M_STATUS] = OUT_OF_FUEL
        elif action >= 0:
            scr[sp + 1] = _lr_push(ctx, mat, scr, sp, table, action, f, mat[f + F_B], base, count)
            scr[sp] = b
            sp += 2
        else:
            p = _lr_reduced(ctx, mat, f, -1 - action)
            if mat[M_STATUS] == OK:
                words = _i4(lr, table + L_WORDS)
                g = _lr_frame(ctx, mat, table, ctx[OUT2], p, mat[f + F_B], words)
                if mat[M_STATUS] == OK:
                    _lr_cost(ctx, mat, g)
                scr[sp + 1] = g
                scr[sp] = n
                sp += 2
        if mat[M_STATUS] != OK:
            return sp
    return sp
