"""Closure and step: the configurations before the next byte, and after it."""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner
from grammars.kernels.frames import (
    _alloc,
    _copy_frame,
    _i32,
    _is_unique,
    _joined,
    _mix,
    _new_array,
    _new_object,
    _note,
    _refresh_array,
    _refresh_object,
    _with_extra,
    _with_property,
)
from grammars.kernels.layout import *
from grammars.kernels.lr import _lr_close
from grammars.kernels.pointers import _i4
from grammars.kernels.spelling import _decode
from grammars.kernels.values import (
    _exponent_alive,
    _is_fresh,
    _repeats,
    _step_terminal,
    _term_alive,
    _with_item,
    _word_alive,
)

# ------------------------------------------------------------------------------------------------------- closure


@inner
def _bit_of(q, f, c):
    """The bit of a configuration in X_SEEN."""
    return (_mix(_mix(_mix(0, q), f), c) >> 40) & (64 * SEEN_WORDS - 1)


@inner
def _emit(mat, scr, base, count, q, n, f, c, d):
    """Add a configuration to the set at `base` unless it is there.

    Of a large set X_SEEN has a bit for each configuration (several may share it): one whose bit is not set is new.
    A set grows from nothing, here alone, so at FEW it is read; and again where another one was grown in between.
    """
    new = False
    if count >= FEW:
        if count == FEW or scr[X_SET] != base or scr[X_SIZE] != count:
            for w in range(SEEN_WORDS):
                scr[X_SEEN + w] = 0
            for k in range(count):
                place = _bit_of(scr[base + CFG * k], scr[base + CFG * k + 2], scr[base + CFG * k + 3])
                scr[X_SEEN + (place >> 6)] |= np.int64(1) << (place & 63)
            scr[X_SET] = base
            scr[X_SIZE] = count
        place = _bit_of(q, f, c)
        new = (scr[X_SEEN + (place >> 6)] >> (place & 63)) & 1 == 0
    at = base + CFG * count
    if not new:
        at = base
        for _ in range(count):
            if scr[at] == q and scr[at + 1] == n and scr[at + 2] == f and scr[at + 3] == c and scr[at + 4] == d:
                return count
            at += CFG
    if at + CFG > scr.size:
        mat[M_STATUS] = GROW_SCR
        return count
    if count >= MOST_CONFIGURATIONS:
        mat[M_STATUS] = OUT_OF_FUEL
        return count
    scr[at] = q
    scr[at + 1] = n
    scr[at + 2] = f
    scr[at + 3] = c
    scr[at + 4] = d
    if count >= FEW:
        place = _bit_of(q, f, c)
        scr[X_SEEN + (place >> 6)] |= np.int64(1) << (place & 63)
        scr[X_SIZE] = count + 1
    return count + 1


@inner
def _close(ctx, mat, scr, n, f, base, count):
    """Add the epsilon closure of node n under frame f to the set at `base`; M_ACC is set where the document may end."""
    node = _i32(ctx, NODE)
    roots = _i32(ctx, ROOTS)
    if count == 0:
        mat[M_FRESH], scr[X_BEGUN] = mat[M_TOP], -1
    scr[0] = n
    scr[1] = f
    sp = 2
    while sp > 0:
        sp -= 2
        n = scr[sp]
        f = scr[sp + 1]
        op = _i4(node, 4 * n)
        if op == OP_POP:
            if f < 0:
                f = -f
            else:
                cell = mat[f + F_MORE]
                f = mat[f + F_PARENT]
                while cell != 0:  # all the frames around
                    if sp + 2 > WORK:
                        mat[M_STATUS] = OUT_OF_FUEL
                        return count
                    scr[sp] = n
                    scr[sp + 1] = -mat[cell]
                    sp += 2
                    cell = mat[cell + 1]
            op = OP_DONE
        if op == OP_DONE:
            _note(mat, f, 1)
            kind = mat[f + F_KIND]
            if ctx[S_UNIQUE]:
                if _is_unique(ctx, mat, f):
                    _note(mat, f, 2)
                    f = _with_item(ctx, mat, f)
                    if f < 0:
                        if mat[M_STATUS] != OK:
                            return count
                        continue
                if (kind == K_OBJ or kind == K_ARR) and mat[f + F_WITHIN] != 0 and not mat[f + F_FLAGS] & ADD:
                    if _repeats(ctx, mat, f):
                        continue
                    if mat[M_STATUS] != OK:
                        return count
            if kind == K_OBJ:
                n = _i4(roots, 4 + (mat[f + F_FLAGS] & 3))
            elif kind == K_ARR:
                n = _i4(roots, 12 + (mat[f + F_FLAGS] & 3))
            else:
                n = mat[f + F_A]
                if kind == K_CALL:
                    f = mat[f + F_PARENT]
            op = _i4(node, 4 * n)
        a = _i4(node, 4 * n + 1)
        if op == OP_TERM:
            count = _emit(mat, scr, base, count, a, n, f, 0, 0)
            label = (_i4(_i32(ctx, INFO), a) & LABEL) - 1
            k = _i4(node, 4 * n + 3)
            if label >= 0 and (k < 0 or _i4(_i32(ctx, BOUNDS), k) == 0):
                scr[sp] = _i4(node, 4 * n + 2) + label
                scr[sp + 1] = f
                sp += 2
        elif op == OP_TRIE:
            if not ctx[S_UNIQUE] or not _is_unique(ctx, mat, f) or _word_alive(ctx, mat, f, a):
                count = _emit(mat, scr, base, count, -a - 1, 0, f, 0, 0)
            following = _i4(_i32(ctx, ST), 6 * a + 2)
            if following >= 0:
                scr[sp] = following
                scr[sp + 1] = f
                sp += 2
        elif op == OP_ALT:
            alts = _i32(ctx, ALTS)
            k = _i4(node, 4 * n + 2)
            if sp + 2 * k > WORK:
                mat[M_STATUS] = OUT_OF_FUEL
                return count
            for i in range(k):
                scr[sp] = _i4(alts, a + k - 1 - i)
                scr[sp + 1] = f
                sp += 2
        elif op == OP_OBJ:
            if a > scr[X_BEGUN] or _joined(ctx, mat, scr, base, count, a, f) == 0:
                g = _new_object(ctx, mat, a, f)
                scr[X_BEGUN] = max(scr[X_BEGUN], a)
                scr[sp] = _i4(roots, mat[g + F_FLAGS] & 3)
                scr[sp + 1] = g
                sp += 2
        elif op == OP_ARR:
            g = _new_array(ctx, mat, a, f)
            scr[sp] = _i4(roots, 8 + (mat[g + F_FLAGS] & 3))
            scr[sp + 1] = g
            sp += 2
        elif op == OP_KEY:
            ospec = _i32(ctx, OSPEC)
            o = mat[f + F_SPEC]
            count = _emit(mat, scr, base, count, _i4(ospec, o + O_Q), n, f, _i4(ospec, o + O_TRIE) + 1, 0)
        elif op == OP_DTRIE:
            count = _emit(mat, scr, base, count, _i4(node, 4 * n + 2), n, f, a + 1, 0)
        elif op == OP_ITEM:
            _note(mat, f, 2)
            aspec = _i32(ctx, ASPEC)
            if _i4(aspec, mat[f + F_SPEC] + A_FLAGS) & AF_STATES:
                edges = mat[f + F_B] + AS_HEAD
                k = _i4(aspec, mat[f + F_B] + AS_EDGES)
                if sp + 2 * k > WORK:
                    mat[M_STATUS] = OUT_OF_FUEL
                    return count
                for i in range(k - 1, -1, -1):
                    g = _copy_frame(ctx, mat, f)
                    if mat[M_STATUS] != OK:
                        return count
                    mat[g + F_B] = _i4(aspec, edges + 2 * i + 1)
                    mat[g + F_START] = mat[M_POS]
                    _refresh_array(ctx, mat, g)
                    scr[sp] = _i4(aspec, edges + 2 * i)
                    scr[sp + 1] = g
                    sp += 2
            else:
                g = _copy_frame(ctx, mat, f)
                if mat[M_STATUS] != OK:
                    return count
                mat[g + F_COUNT] += 1
                mat[g + F_START] = mat[M_POS]
                n = mat[f + F_A]
                _refresh_array(ctx, mat, g)
                scr[sp] = n
                scr[sp + 1] = g
                sp += 2
        elif op == OP_FRESH:
            if _is_fresh(ctx, mat, f, a):
                scr[sp] = _i4(node, 4 * n + 2)
                scr[sp + 1] = f
                sp += 2
        elif op == OP_PAY:
            g = _copy_frame(ctx, mat, f)
            if mat[M_STATUS] != OK:
                return count
            mat[g + F_DUTY] &= ~a
            _refresh_object(ctx, mat, g)
            ospec = _i32(ctx, OSPEC)
            o = mat[g + F_SPEC]
            due = _i4(ospec, _i4(ospec, o + O_NEED) + mat[g + F_DUTY])
            high = _i4(ospec, o + O_MAX)
            if high < 0 or mat[g + F_COUNT] + mat[g + F_A] + due <= high:
                scr[sp] = _i4(node, 4 * n + 2)
                scr[sp + 1] = g
                sp += 2
        elif op == OP_CALL:
            g = _alloc(mat, F_BITS)
            if mat[M_STATUS] != OK:
                return count
            for i in range(F_BITS):
                mat[g + i] = 0
            mat[g + F_KIND] = K_CALL
            mat[g + F_PARENT] = f
            mat[g + F_LEVEL] = mat[f + F_LEVEL] + 1
            mat[g + F_A] = _i4(node, 4 * n + 2)
            mat[g + F_H1] = _mix(K_CALL * 77, _i4(node, 4 * n + 2))
            mat[g + F_H2] = mat[g + F_H1]
            mat[g + F_AROUND] = _mix(mat[f + F_H2], mat[f + F_AROUND])
            mat[g + F_COST] = mat[f + F_COST] + (_i4(_i32(ctx, NCOST), _i4(node, 4 * n + 2)) if ctx[S_COSTED] else 0)
            scr[sp] = a
            scr[sp + 1] = g
            sp += 2
        elif op == OP_END:
            mat[M_ACC] = 1
        elif op == OP_PARSE or op == OP_LEX or op == OP_SHIFT:
            sp = _lr_close(ctx, mat, scr, sp, op, n, f, base, count)
        else:
            ctx[OUT0] = n
            mat[M_STATUS] = NEED_NODE
            return count
        if mat[M_STATUS] != OK:
            return count
    return count


# --------------------------------------------------------------------------------------------------------- steps


@inner
def _child(ctx, v, symbol):
    """Target of the edge `symbol` of literal trie state v, or -1."""
    st = _i32(ctx, ST)
    edge = _i32(ctx, EDGE)
    first = _i4(st, 6 * v)
    k = _i4(st, 6 * v + 1)
    if k <= 8:
        for i in range(first, first + k):
            if _i4(edge, 2 * i) == symbol:
                return _i4(edge, 2 * i + 1)
        return -1
    low, high = first, first + k
    while low < high:
        middle = (low + high) >> 1
        if _i4(edge, 2 * middle) < symbol:
            low = middle + 1
        else:
            high = middle
    if low < first + k and _i4(edge, 2 * low) == symbol:
        return _i4(edge, 2 * low + 1)
    return -1


@inner
def _available(mat, f, low, high):
    """Whether some property in [low, high) of the name order can still be written in object frame f."""
    for w in range(low >> 6, ((high - 1) >> 6) + 1):
        bits = mat[f + F_BITS + w]
        if bits == 0:
            continue
        for i in range(max(low, w * 64), min(high, w * 64 + 64)):
            if (bits >> (i & 63)) & 1:
                return True
    return False


@inner
def _usable(ctx, mat, is_key, v, f):
    """Whether trie state v leads to a word that may be written now."""
    if not is_key:
        return not ctx[S_UNIQUE] or not _is_unique(ctx, mat, f) or _word_alive(ctx, mat, f, v)
    st = _i32(ctx, ST)
    return _i4(st, 6 * v + 4) > _i4(st, 6 * v + 3) and _available(mat, f, _i4(st, 6 * v + 3), _i4(st, 6 * v + 4))


@inner
def _reachable(ctx, mat, is_key, v, f, low, high):
    """Whether some edge of v with a symbol in [low, high] leads to a usable word."""
    st = _i32(ctx, ST)
    edge = _i32(ctx, EDGE)
    for i in range(_i4(st, 6 * v), _i4(st, 6 * v) + _i4(st, 6 * v + 1)):
        if low <= _i4(edge, 2 * i) <= high and _usable(ctx, mat, is_key, _i4(edge, 2 * i + 1), f):
            return True
    return False


@inner
def _can_complete(ctx, mat, is_key, v, f, phase, value):
    """Whether the partial character can become one that a usable word of trie state v goes on with."""
    if phase == 1 or phase == 2:
        return _reachable(ctx, mat, is_key, v, f, 0, 0x10FFFF)
    if phase < 6:
        shift = 4 * (6 - phase)
        low, high = value << shift, (value << shift) + (1 << shift) - 1
        if _reachable(ctx, mat, is_key, v, f, low, min(high, 0xFFFF)):
            return True
        low, high = max(low, 0xD800), min(high, 0xDBFF)
        return low <= high and _reachable(
            ctx, mat, is_key, v, f, 0x10000 + ((low - 0xD800) << 10), 0x10000 + ((high - 0xD800) << 10) + 1023
        )
    if phase >= 12:
        shift = 6 * (phase - 11)
        least = 0x10000 if phase == 14 else 0x800 if phase == 13 else 0x80  # shorter forms are not UTF-8
        return _reachable(ctx, mat, is_key, v, f, max(least, value << shift), (value << shift) + (1 << shift) - 1)
    if phase <= 7:
        surrogate = value
        low, high = 0, 1023
    else:
        surrogate = (value >> 16) + 0xD800
        shift = 4 * (12 - phase)
        low, high = (value & 0xFFFF) << shift, ((value & 0xFFFF) << shift) + (1 << shift) - 1
        low, high = max(low, 0xDC00) - 0xDC00, min(high, 0xDFFF) - 0xDC00
    start = 0x10000 + ((surrogate - 0xD800) << 10)
    return _reachable(ctx, mat, is_key, v, f, start + low, start + high)


@inner
def _goes_on(ctx, mat, q):
    """Whether a key in state q of its terminal can get longer. NEED_ROW where that is not known."""
    trans = _i32(ctx, TRANS)
    if _i4(trans, q * 256) == -2:
        ctx[OUT0] = q
        mat[M_STATUS] = NEED_ROW
        return False
    for b in range(255, -1, -1):
        if _i4(trans, q * 256 + b) >= 0 and b != 34:
            return True
    return False


@inner
def _comes_to_nothing(ctx, mat, f, q, v, d):
    """Whether an undeclared key of hash d, in state q of its terminal, can neither end nor get longer.

    It cannot end where it was written before, or is a declared name (state v of the key trie).
    """
    if v >= 0 and _i4(_i32(ctx, ST), 6 * v + 2) >= 0:
        if _i4(_i32(ctx, OSPEC), mat[f + F_SPEC] + O_FLAGS) & OF_FINAL:
            return not _goes_on(ctx, mat, q)
        return False
    used = mat[f + F_X]
    if used == 0 or mat[used + 3] == 0:
        return False
    mat[M_VOLATILE] = 1
    while used != 0:
        if mat[used] == d:
            return not _goes_on(ctx, mat, q)
        used = mat[used + 1]
    return False


@inner
def _step_word(ctx, mat, scr, q, n, f, c, d, b, declared_only, base, count):
    """One byte of a key (OP_KEY) or of a freely spelled string out of a list (OP_DTRIE)."""
    node = _i32(ctx, NODE)
    st = _i32(ctx, ST)
    is_key = _i4(node, 4 * n) == OP_KEY
    free = ctx[S_ANY] != 0
    v = (c & 0xFFFFFFFF) - 1
    phase = (c >> 32) & 15
    value = c >> 36
    is_open = False
    if is_key:
        _note(mat, f, 2)
        is_open = (mat[f + F_FLAGS] & OPEN) != 0 and not declared_only
    info = _i32(ctx, INFO)
    if free:
        between = phase == 0
    elif v >= 0:
        between = _i4(st, 6 * v + 5) & 1 != 0
    else:
        between = (_i4(info, q) & BOUNDARY) != 0
    following = _i4(_i32(ctx, TRANS), q * 256 + b) if is_open else -1
    if following == -2:
        ctx[OUT0] = q
        mat[M_STATUS] = NEED_ROW
        return count
    if b == 34 and between:
        word = _i4(st, 6 * v + 2) if v >= 0 else -1
        if word >= 0:
            if not is_key:
                return _close(ctx, mat, scr, word, f, base, count)
            if (mat[f + F_BITS + (word >> 6)] >> (word & 63)) & 1:
                ospec = _i32(ctx, OSPEC)
                o = mat[f + F_SPEC]
                g = _with_property(ctx, mat, f, word)
                return _close(
                    ctx, mat, scr, _i4(ospec, o + O_HEAD + P_VALUE * _i4(ospec, o + O_N) + word), g, base, count
                )
        elif is_open and following >= 0:
            ospec = _i32(ctx, OSPEC)
            g = _with_extra(ctx, mat, f, d)
            if g >= 0:
                if not _goes_on(ctx, mat, q):
                    mat[mat[g + F_X] + 3] = 1
                other = _i4(ospec, mat[f + F_SPEC] + O_OTHER) + (_i4(info, following) & LABEL) - 1
                return _close(ctx, mat, scr, _i4(ospec, other), g, base, count)
        return count
    if free:
        phase, value = _decode(phase, value, b)
        if phase < 0:
            return count
        if phase == 0:
            d = _mix(d, value + 1)
            v = _child(ctx, v, value) if v >= 0 else -1
        alive = v >= 0 and (
            _usable(ctx, mat, is_key, v, f) if phase == 0 else _can_complete(ctx, mat, is_key, v, f, phase, value)
        )
        if phase == 0:
            value = 0
    else:
        d = _mix(d, b + 1)
        v = _child(ctx, v, b) if v >= 0 else -1
        alive = v >= 0 and _usable(ctx, mat, is_key, v, f)
    if is_open and following >= 0:
        if phase == 0 and _comes_to_nothing(ctx, mat, f, following, v, d):
            following = np.int64(-1)
        else:
            alive = True
    if not alive or mat[M_STATUS] != OK:
        return count
    if not is_open:
        following = q
    elif following < 0:
        following = 0
    return _emit(mat, scr, base, count, following, n, f, (v + 1) | (phase << 32) | (value << 36), d)


@inner
def _step(ctx, mat, scr, base, count, b, out, declared_only):
    """Configurations after byte b of the set at `base`, written to `out`; returns their number. Sets M_ACC."""
    info = _i32(ctx, INFO)
    node = _i32(ctx, NODE)
    mat[M_ACC] = 0
    mat[M_FUEL] -= count
    mat[M_FRESH], scr[X_BEGUN] = mat[M_TOP], -1
    produced = 0
    at = base
    for _ in range(count):
        q, n, f = scr[at], scr[at + 1], scr[at + 2]
        if q < 0:
            s = _child(ctx, -q - 1, b)
            if s >= 0:
                st = _i32(ctx, ST)
                alive = not ctx[S_UNIQUE] or not _is_unique(ctx, mat, f) or _word_alive(ctx, mat, f, s)
                if alive and _i4(st, 6 * s + 1) > 0:
                    produced = _emit(mat, scr, out, produced, -s - 1, 0, f, 0, 0)
                if _i4(st, 6 * s + 2) >= 0:
                    produced = _close(ctx, mat, scr, _i4(st, 6 * s + 2), f, out, produced)
        elif _i4(node, 4 * n) != OP_TERM:
            produced = _step_word(ctx, mat, scr, q, n, f, scr[at + 3], scr[at + 4], b, declared_only, out, produced)
        else:
            s, c, ends = _step_terminal(ctx, n, q, scr[at + 3], b)
            if s >= 0:
                word = _i4(info, s)
                if not word & FINAL:
                    alive = True
                    if ctx[S_UNIQUE] and _is_unique(ctx, mat, f):
                        if ctx[S_ANY]:
                            alive = _exponent_alive(ctx, mat, f, s)
                        else:
                            alive = _term_alive(ctx, mat, f, n, s, c)
                    if alive:
                        produced = _emit(mat, scr, out, produced, s, n, f, c, 0)
                if ends:
                    produced = _close(ctx, mat, scr, _i4(node, 4 * n + 2) + (word & LABEL) - 1, f, out, produced)
            elif s == -2:
                ctx[OUT0] = q
                mat[M_STATUS] = NEED_ROW
        if mat[M_STATUS] != OK:
            return 0
        at += CFG
    if mat[M_FUEL] < 0:
        mat[M_STATUS] = OUT_OF_FUEL
    return produced
