"""The walk under a parser: what follows the end of a token is found once, and only where a token of the vocabulary
goes on with it.

A name may end after each of its letters. To take it (`lr`), with all reductions, and to find what can come then costs
a microsecond or more, a byte in a terminal some nanoseconds. So a walk keeps what follows (control node, stack) and the
bytes that it can begin with, and looks at the bytes that the vocabulary goes on with first: after a letter of a name
these are letters nearly always, which would only make the name longer.

For programs that are a parser and nothing else (S_PARSED): there each configuration stands in a terminal without
bounds. CLOSED (int64), of one walk: its number, slots and words in use, the arena's top below which frames are kept;
C_SLOTS pairs (hash of the walk, control node and stack; place, or LACKING); then at each place the configurations'
number, whether the text may end, 256 bits of bytes, the configurations.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner
from grammars.kernels.frames import _i32, _mix
from grammars.kernels.layout import *
from grammars.kernels.pointers import _i4, _pointer64, _u1, carray
from grammars.kernels.step import _close, _emit


@inner
def _set_aside(ctx, mat):
    """Under a parser, list a row, a node or a tier-1 entry that is lacking, so that the walk goes on to others: False
    where it cannot.

    A walk that began anew for each would take a thousand times as long where many names can follow.
    """
    status = mat[M_STATUS]
    if ctx[LR + 64] <= 2 or (status != NEED_ROW and status != NEED_LEX and status != NEED_T1):
        return False
    wants = carray(_pointer64(ctx[WANTS]), (1 + MOST_WANTS * WANT,))
    count = wants[0]
    for k in range(count):
        if wants[1 + WANT * k] == status:
            if status == NEED_ROW and wants[2 + WANT * k] == ctx[OUT0]:
                mat[M_STATUS] = OK
            if status == NEED_LEX and wants[5 + WANT * k] == ctx[OUT3]:
                mat[M_STATUS] = OK
            if status == NEED_T1 and wants[2 + WANT * k] == ctx[OUT0] and wants[3 + WANT * k] == ctx[OUT1]:
                if wants[4 + WANT * k] == ctx[OUT2] and wants[5 + WANT * k] == ctx[OUT3]:
                    mat[M_STATUS] = OK
    if mat[M_STATUS] == OK:
        return True
    if count >= MOST_WANTS:
        mat[M_STATUS] = NEED_MANY
        return False
    at = 1 + WANT * count
    wants[at] = status
    for i in range(4):
        wants[at + 1 + i] = ctx[OUT0 + i]
        wants[at + 5 + i] = ctx[S_LEX0 + i]
    wants[0] = count + 1
    mat[M_STATUS] = OK
    return True


@inner
def _begin_walk(ctx):
    """Forget what was kept: the frames of the walk before are gone."""
    closed = carray(_pointer64(ctx[CLOSED]), (C_SIZE,))
    closed[C_WALK] += 1
    closed[C_KEPT] = 0


@inner
def _following(ctx, mat, scr, n, f, spare):
    """Place in CLOSED of what follows control node n on stack f, or LACKING. scr from `spare` on is free."""
    closed = carray(_pointer64(ctx[CLOSED]), (C_SIZE,))
    h = _mix(_mix(_mix(0, closed[C_WALK]), n), f)  # apart: numbers of walks and nodes are both small
    h = h if h != 0 else np.int64(1)
    slot = _mix(0, h) & (C_SLOTS - 1)
    while closed[C_HEAD + 2 * slot] != 0:
        if closed[C_HEAD + 2 * slot] == h:
            return closed[C_HEAD + 2 * slot + 1]
        slot = (slot + 1) & (C_SLOTS - 1)
    ends = mat[M_ACC]
    mat[M_ACC] = 0
    made = _close(ctx, mat, scr, n, f, spare, 0)
    here, mat[M_ACC] = mat[M_ACC], ends
    if mat[M_STATUS] != OK and mat[M_STATUS] != NEED_ROW and mat[M_STATUS] != NEED_LEX:
        return LACKING
    place = C_HEAD + 2 * C_SLOTS + closed[C_USED]
    if 2 * closed[C_COUNT] >= C_SLOTS or place + C_SET + CFG * made > C_SIZE:
        for k in range(C_HEAD, C_HEAD + 2 * C_SLOTS):
            closed[k] = 0
        closed[C_COUNT], closed[C_USED] = 0, 0
        place = C_HEAD + 2 * C_SLOTS
        slot = _mix(0, h) & (C_SLOTS - 1)
        if place + C_SET + CFG * made > C_SIZE:
            mat[M_STATUS] = OUT_OF_FUEL
            return LACKING
    closed[C_HEAD + 2 * slot], closed[C_HEAD + 2 * slot + 1] = h, LACKING
    closed[C_COUNT] += 1
    if mat[M_STATUS] != OK:
        return LACKING
    closed[C_HEAD + 2 * slot + 1] = place
    closed[C_USED] += C_SET + CFG * made
    closed[C_KEPT] = mat[M_TOP]
    closed[place], closed[place + 1] = made, here
    trans = _i32(ctx, TRANS)
    for w in range(4):
        closed[place + 2 + w] = 0
    for k in range(made):
        for x in range(CFG):
            closed[place + C_SET + CFG * k + x] = scr[spare + CFG * k + x]
        row = scr[spare + CFG * k] * 256
        for b in range(256):
            if _i4(trans, row + b) != -1:
                closed[place + 2 + (b >> 6)] |= np.int64(1) << np.int64(b & 63)
    return place


@inner
def _can_follow(ctx, place, i, end, tbyte, tend):
    """Whether the vocabulary goes on below trie node i with a byte that what is kept at `place` can begin with."""
    closed = carray(_pointer64(ctx[CLOSED]), (C_SIZE,))
    j = i + 1
    while j < end:
        b = np.int64(_u1(tbyte, j))
        if (closed[place + 2 + (b >> 6)] >> (b & 63)) & 1:
            return True
        j = _i4(tend, j)
    return False


@inner
def _add_following(ctx, mat, scr, place, out, produced):
    """Add what is kept at `place` to the set at `out`, on its equal stacks where it has any."""
    closed = carray(_pointer64(ctx[CLOSED]), (C_SIZE,))
    before = produced
    at = place + C_SET
    for _ in range(closed[place]):
        g = closed[at + 2]
        for k in range(before):
            f = scr[out + CFG * k + 2]
            if f == g:
                break
            if mat[f + F_KIND] == K_LR and mat[g + F_KIND] == K_LR and mat[f + F_X] == mat[g + F_X]:
                if mat[f + F_B] == mat[g + F_B]:
                    g = f
                    break
        produced = _emit(mat, scr, out, produced, closed[at], closed[at + 1], g, closed[at + 3], closed[at + 4])
        at += CFG
    return produced


@inner
def _step_parsed(ctx, mat, scr, base, count, b, out, i, end, tbyte, tend, lazy):
    """As `_step`, at trie node i, whose sub-trie ends at `end`; -1: something is lacking that is listed already.

    `lazy`: what follows a token is left out where no token of the vocabulary goes on with it; M_ACC is set where it is
    known that something follows.
    """
    info, node, trans = _i32(ctx, INFO), _i32(ctx, NODE), _i32(ctx, TRANS)
    closed = carray(_pointer64(ctx[CLOSED]), (C_SIZE,))
    mat[M_ACC] = 0
    mat[M_FUEL] -= count
    if mat[M_FUEL] < 0:
        mat[M_STATUS] = OUT_OF_FUEL
        return 0
    produced = 0
    at = base
    for _ in range(count):
        q, n, f = scr[at], scr[at + 1], scr[at + 2]
        at += CFG
        s = _i4(trans, q * 256 + b)
        if s == -2:
            ctx[OUT0] = q
            mat[M_STATUS] = NEED_ROW
            return 0
        if s < 0:
            continue
        word = _i4(info, s)
        if not word & FINAL:
            produced = _emit(mat, scr, out, produced, s, n, f, 0, 0)
        if word & LABEL and (word & FINAL or not lazy or end > i + 1):
            following = _i4(node, 4 * n + 2) + (word & LABEL) - 1
            place = _following(ctx, mat, scr, following, f, out + CFG * produced)
            if mat[M_STATUS] != OK:
                return 0
            if place == LACKING:
                return -1
            if closed[place + 1] or (lazy and closed[place]):
                mat[M_ACC] = 1
            if not lazy or _can_follow(ctx, place, i, end, tbyte, tend):
                produced = _add_following(ctx, mat, scr, place, out, produced)
        if mat[M_STATUS] != OK:
            return 0
    return produced
