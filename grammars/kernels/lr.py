"""Stacks of an LR parser as frames: shifts, reductions, and which terminals can still come.

A frame of kind K_LR is one state of the parser; the frames below it are its stack. A terminal that ends is shifted
(OP_SHIFT): reductions take frames off, as many ways as the table has. What may come next (OP_LEX) depends on the whole
stack, since a table's look-ahead is merged over many stacks: so each new top knows the set of terminals that its stack
really leads to a shift of, found by following the reductions. Only those are begun, hence nothing that ends nowhere.

An LR table in LR (int32), offsets from its start:
    L_STATES.. counts; L_ACT [S*T] place of a list (count, then targets, or -1 - rule), 0: none; L_GOTO [S*N], -1: none
    L_RULES [R*2] symbols to take off, nonterminal; L_SHIFTS [S*W*2] terminals that are shifted, in words of 60 bits
    as pairs of 30; L_REDS [S] place of a list (count, then rule and its terminals as W pairs); L_CONTEXT [S] number
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner
from grammars.kernels.frames import _alloc, _i32, _i64, _mix, _note
from grammars.kernels.layout import *
from grammars.kernels.pointers import _i4


@inner
def _lr_frame(mat, table, state, parent, outer, words):
    """A stack with `state` on top of `parent`; which terminals can come is not known yet."""
    g = _alloc(mat, F_BITS + words)
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
    mat[g + F_X] = _mix(mat[parent + F_X] if parent != outer else outer, state)
    return g


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
                h = _lr_frame(mat, table, ctx[OUT2], p, mat[g + F_B], words)
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
    g = _lr_frame(mat, table, state, parent, outer, words)
    if mat[M_STATUS] != OK:
        return g
    for i in range(count):
        f = scr[base + CFG * i + 2]
        if mat[f + F_KIND] == K_LR and mat[f + F_X] == mat[g + F_X] and mat[f + F_B] == outer:
            mat[M_TOP] = top
            return f
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
                scr[sp + 1] = _lr_frame(mat, table, ctx[OUT2], p, mat[f + F_B], words)
                scr[sp] = n
                sp += 2
        if mat[M_STATUS] != OK:
            return sp
    return sp
