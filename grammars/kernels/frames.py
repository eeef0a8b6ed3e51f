"""Frames: what encloses the place where the text stands, as immutable records in the matcher's arena.

An object frame holds which keys can still be written, how many were, and which required ones are missing; an array
frame counts items. A change makes a new record; the parent link stays. `layout` lists the words of a record.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner
from grammars.kernels.layout import *
from grammars.kernels.pointers import _i4, _pointer64, carray


@inner
def _reach(ctx, q, column):
    """A column of `reach` of terminal state q; -1 where nothing is known."""
    at = 3 * q + column
    return _i4(_i32(ctx, REACH), at) if at < ctx[REACH + 64] else np.int64(-1)


@inner
def _due(ctx, q, low, high, longest):
    """Characters still due and still allowed, as far as they matter to a mask of terminal state q (high -1: any)."""
    low = min(max(low, np.int64(0)), longest + 1)
    ends = _reach(ctx, q, 1)
    if 0 <= ends < low:
        low = ends
    if high >= 0:
        most = _reach(ctx, q, 0)
        if 0 <= most <= high:
            high = np.int64(-1)
    return low, high


@inner
def _trie_child(ctx, x, byte):
    """Child of vocabulary trie node x by a byte, or -1."""
    nodes = _i32(ctx, VNODE)
    k, stop = np.int64(_i4(nodes, 4 * x)), np.int64(_i4(nodes, 4 * x + 4))
    k = _listed(ctx, k, stop, byte)
    if k < stop:
        child = np.int64(_i4(_i32(ctx, VKIDS), k))
        if (child >> 24) & 255 == byte:
            return child & 0xFFFFFF
    return np.int64(-1)


@inner
def _listed(ctx, k, stop, byte):
    """The first place in [k, stop) of the lists of children whose byte is not less; stop: there is none."""
    kids = _i32(ctx, VKIDS)
    while k < stop:
        middle = (k + stop) >> 1
        if (_i4(kids, middle) >> 24) & 255 < byte:
            k = middle + 1
        else:
            stop = middle
    return k


@inner
def _context(address):
    return carray(_pointer64(address), (CONTEXT,))


@inner
def _i32(ctx, slot):
    """Address of an int32 array, for `_i4`."""
    return ctx[slot]


@inner
def _u8(ctx, slot):
    """Address of a uint8 array, for `_u1`."""
    return ctx[slot]


@inner
def _i64(ctx, slot):
    return carray(_pointer64(ctx[slot]), (ctx[slot + 64],))


@inner
def _mix(h, value):
    """One round of a 64-bit multiplicative hash with a final xor-shift.

    Unsigned: numba marks signed products as not overflowing, and LLVM takes it at its word.
    """
    x = (np.uint64(h) ^ np.uint64(value)) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(x ^ (x >> np.uint64(29)))


# -------------------------------------------------------------------------------------------------------- frames


@inner
def _alloc(mat, words):
    """Offset of `words` fresh words; on overflow the status says so, and the caller must not write."""
    top = mat[M_TOP]
    if top + words + 64 > mat.size:
        mat[M_STATUS] = GROW_MAT
        return np.int64(0)
    mat[M_TOP] = top + words
    return top


@inner
def _note(mat, f, closely):
    """Remember that the walk looked at frame f: 1 its flags, 2 all of it. Frames made on the walk do not count."""
    if f < mat[M_MARK]:
        look = 2 * (mat[M_LEVEL] - mat[f + F_LEVEL]) + closely
        if look > mat[M_LOOK]:
            mat[M_LOOK] = look


@inner
def _price(mat, f):
    """Remember that what a token may need was read off frame f, all of it, whether the walk looked at it or not."""
    if f < mat[M_MARK]:
        mat[M_PRICED] = max(mat[M_PRICED], 2 * (mat[M_LEVEL] - mat[f + F_LEVEL]) + 2)


@inner
def _fill_cost(ctx, mat, f, more, cursor, besides):
    """Tokens of the cheapest `more` properties that object frame f can still take and that are not required.

    `besides` (name order; -1: none) is not one of them. In declared order only what lies behind position `cursor` is.
    """
    ospec = _i32(ctx, OSPEC)
    o = mat[f + F_SPEC]
    n = _i4(ospec, o + O_N)
    table = o + O_HEAD
    any_order = _i4(ospec, o + O_FLAGS) & OF_ANY
    total, last, place = np.int64(0), np.int64(-1), np.int64(-1)
    while more > 0:
        best, found = np.int64(_i4(ospec, o + O_FILLCOST)), np.int64(-1)  # an undeclared one, of any number
        for i in range(n):
            own = _i4(ospec, table + P_COST * n + i)
            if own > best or own < last or (own == last and i <= place) or (own == best and found >= 0) or i == besides:
                continue
            if _i4(ospec, table + P_VALUE * n + i) < 0 or _i4(ospec, table + P_REQ * n + i):
                continue
            if any_order:
                if (mat[f + F_BITS + (i >> 6)] >> (i & 63)) & 1:
                    best, found = own, np.int64(i)
            elif _i4(ospec, table + P_POS * n + i) > cursor:
                best, found = own, np.int64(i)
        if found < 0:
            return total + more * best
        total += best
        last, place = best, found
        more -= 1
    return total


@inner
def _key_ends(ctx, o, q, label):
    """Tokens from state q of the undeclared keys of object table o to an end of this label, its quote included."""
    if not _i4(_i32(ctx, OSPEC), o + O_ENDS):
        return _i4(_i32(ctx, DIST), 3 * q + (1 if label > 0 else 0))
    at, ends = _i4(_i32(ctx, TOKAT), q), _i32(ctx, TOKENDS)
    for k in range(_i4(ends, at)):
        if _i4(ends, at + 2 + 2 * k) == label:
            return _i4(ends, at + 3 + 2 * k)
    return np.int64(1 << 29)


@inner
def _refresh_object(ctx, mat, f):
    """Flags, available keys and hashes of an object frame whose count, cursor and seen keys are set.

    Any order: the bits hold the keys not yet written; once only required keys fit, optional ones are struck out.
    Declared order: the bits are the positions from the cursor to the next required one.
    """
    ospec = _i32(ctx, OSPEC)
    o = mat[f + F_SPEC]
    n = _i4(ospec, o + O_N)
    words = _i4(ospec, o + O_WORDS)
    flags = _i4(ospec, o + O_FLAGS)
    low, high = _i4(ospec, o + O_MIN), _i4(ospec, o + O_MAX)
    count, missing, duty = mat[f + F_COUNT], mat[f + F_A], mat[f + F_DUTY]
    due = np.int64(0)
    if duty != 0:
        due = _i4(ospec, _i4(ospec, o + O_NEED) + duty)
        missing += due
    table = o + O_HEAD
    tight = high >= 0 and count + missing >= high
    result = 0
    if missing == 0 and count >= low:
        result |= CLOSE
    some = False
    if flags & OF_ANY:
        for w in range(words):
            bits = mat[f + F_BITS + w]
            if tight and bits != 0:
                for i in range(64 * w, min(n, 64 * w + 64)):
                    if _i4(ospec, table + P_REQ * n + i) == 0:
                        bits &= ~(1 << (i - 64 * w))
                mat[f + F_BITS + w] = bits
            some = some or bits != 0
    else:
        for w in range(words):
            mat[f + F_BITS + w] = 0
        first = mat[f + F_B] + 1
        if first < n and not (tight and missing == due):
            limit = _i4(ospec, table + P_LIMIT * n + first)
            last = min(limit, n - 1)
            for position in range(first, last + 1):
                if _i4(ospec, table + P_USABLE * n + position) == 0 or (tight and position != limit):
                    continue
                if not flags & OF_OPEN and count + 1 + _i4(ospec, table + P_AFTER * n + position) < low:
                    continue
                i = _i4(ospec, table + P_PERM * n + position)
                mat[f + F_BITS + (i >> 6)] |= 1 << (i & 63)
                some = True
    if flags & OF_OPEN and (not tight or due > 0) and (flags & OF_ANY or missing == due):
        result |= OPEN
        some = True
    if some:
        result |= ADD
    mat[f + F_FLAGS] = result
    h = _mix(K_OBJ * 77, result & 3)
    mat[f + F_H1] = h
    h = _mix(_mix(h, o), result)
    for w in range(words):
        h = _mix(h, mat[f + F_BITS + w])
    h = _mix(_mix(h, mat[f + F_A] + (duty << 32)), mat[f + F_B])
    if low > 0 or high >= 0:
        h = _mix(h, count)
    if mat[f + F_X] != 0:
        h = _mix(h, mat[mat[f + F_X] + 2])
    mat[f + F_H2] = h
    more = max(0, low - count - missing)
    cost = mat[f + F_MISS]
    if more > 0 and ctx[S_COSTED]:
        cost += _fill_cost(ctx, mat, f, more, mat[f + F_B], np.int64(-1))
    if due > 0:
        cost += _i4(ospec, _i4(ospec, o + O_NEED) + (1 << _i4(ospec, o + O_DUTIES)) + duty)
    mat[f + F_COST] = mat[mat[f + F_PARENT] + F_COST] + 1 + cost


@inner
def _is_unique(ctx, mat, f):
    """Whether f is an array frame whose items must differ."""
    return mat[f + F_KIND] == K_ARR and _i4(_i32(ctx, ASPEC), mat[f + F_SPEC] + A_FLAGS) & AF_UNIQUE != 0


@inner
def _unique_above(ctx, mat, parent):
    """For a frame in `parent`: the nearest array frame around it whose items must differ, 0 if there is none."""
    if _is_unique(ctx, mat, parent):
        return parent
    return mat[parent + F_WITHIN]


@inner
def _new_object(ctx, mat, o, parent):
    ospec = _i32(ctx, OSPEC)
    words = _i4(ospec, o + O_WORDS)
    n = _i4(ospec, o + O_N)
    f = _alloc(mat, F_BITS + words)
    if mat[M_STATUS] != OK:
        return parent
    mat[f + F_KIND] = K_OBJ
    mat[f + F_SPEC] = o
    mat[f + F_PARENT] = parent
    mat[f + F_LEVEL] = mat[parent + F_LEVEL] + 1
    mat[f + F_COUNT] = 0
    mat[f + F_A] = _i4(ospec, o + O_REQ)
    mat[f + F_B] = -1
    mat[f + F_X] = 0
    mat[f + F_DUTY] = (1 << _i4(ospec, o + O_DUTIES)) - 1
    mat[f + F_WITHIN] = _unique_above(ctx, mat, parent)
    mat[f + F_MORE] = 0
    mat[f + F_AROUND] = _mix(mat[parent + F_H2], mat[parent + F_AROUND])
    table = o + O_HEAD
    cost = 0
    for i in range(n):
        if _i4(ospec, table + P_REQ * n + i):
            cost += _i4(ospec, table + P_COST * n + i)
    mat[f + F_MISS] = cost
    for w in range(words):
        mat[f + F_BITS + w] = 0
    if _i4(ospec, o + O_FLAGS) & OF_ANY:
        for i in range(n):
            if _i4(ospec, table + P_USABLE * n + _i4(ospec, table + P_POS * n + i)):
                mat[f + F_BITS + (i >> 6)] |= 1 << (i & 63)
    _refresh_object(ctx, mat, f)
    return f


@inner
def _joined(ctx, mat, scr, base, count, o, parent):
    """The object that another configuration of the set has just begun, now in `parent` too; 0 if there is none.

    Objects of k alternatives nest into k ** depth configurations otherwise. What is within does not depend on what is
    around until the object closes, and then each of the frames around goes on. The cheapest of them is F_PARENT.
    Frames begun since M_FRESH have no copies yet (an object goes on only after a byte), so they may be changed.
    """
    if ctx[S_UNIQUE]:
        return np.int64(0)
    at = base
    for _ in range(count):
        g = scr[at + 2]
        if (
            g >= mat[M_FRESH]
            and mat[g + F_KIND] == K_OBJ
            and mat[g + F_SPEC] == o
            and mat[g + F_COUNT] == 0
            and mat[g + F_LEVEL] == mat[parent + F_LEVEL] + 1
        ):
            first = mat[g + F_PARENT]
            known = first == parent
            cell, several = mat[g + F_MORE], 0
            while cell != 0:
                known = known or mat[cell] == parent
                several += 1
                cell = mat[cell + 1]
            if known:
                return g
            if several >= MOST_AROUND:
                return np.int64(0)
            cell = _alloc(mat, 2)
            if mat[M_STATUS] != OK:
                return g
            mat[cell] = parent
            mat[cell + 1] = mat[g + F_MORE]
            mat[g + F_MORE] = cell
            own = _mix(mat[parent + F_H2], mat[parent + F_AROUND])
            mat[g + F_AROUND] = np.int64(np.uint64(mat[g + F_AROUND]) + np.uint64(own))  # in any order
            _cheapest_around(mat, g)
            return g
        at += CFG
    return np.int64(0)


@inner
def _cheapest_around(mat, g):
    """Make the cheapest of the frames around g its F_PARENT."""
    cell = mat[g + F_MORE]
    while cell != 0:
        first = mat[g + F_PARENT]
        if mat[mat[cell] + F_COST] < mat[first + F_COST]:
            mat[g + F_COST] += mat[mat[cell] + F_COST] - mat[first + F_COST]
            mat[g + F_PARENT] = mat[cell]
            mat[cell] = first
        cell = mat[cell + 1]


@inner
def _copy_frame(ctx, mat, f):
    words = F_BITS
    if mat[f + F_KIND] == K_OBJ:
        words += _i4(_i32(ctx, OSPEC), mat[f + F_SPEC] + O_WORDS)
    g = _alloc(mat, words)
    if mat[M_STATUS] == OK:
        for i in range(words):
            mat[g + i] = mat[f + i]
    return g


@inner
def _with_property(ctx, mat, f, i):
    """The object frame after declared property i (name order) was written."""
    ospec = _i32(ctx, OSPEC)
    o = mat[f + F_SPEC]
    n = _i4(ospec, o + O_N)
    g = _copy_frame(ctx, mat, f)
    if mat[M_STATUS] != OK:
        return f
    mat[g + F_COUNT] += 1
    mat[g + F_BITS + (i >> 6)] &= ~(1 << (i & 63))
    table = o + O_HEAD
    if _i4(ospec, table + P_REQ * n + i):
        mat[g + F_A] -= 1
        mat[g + F_MISS] -= _i4(ospec, table + P_COST * n + i)
    mat[g + F_B] = _i4(ospec, table + P_POS * n + i) if not _i4(ospec, o + O_FLAGS) & OF_ANY else -1
    _refresh_object(ctx, mat, g)
    return g


@inner
def _with_extra(ctx, mat, f, key):
    """The object frame after an undeclared key (its hash) was written; -1 if that key was written before.

    A written key: hash, next, hash of the list, whether some key of the list is not the beginning of a longer one.
    """
    x = mat[f + F_X]
    if x != 0:
        mat[M_VOLATILE] = 1
    while x != 0:
        if mat[x] == UNKNOWN:
            mat[M_EXACT] = 1
            return -1
        if mat[x] == key:
            return -1
        x = mat[x + 1]
    ospec = _i32(ctx, OSPEC)
    o = mat[f + F_SPEC]
    g = _copy_frame(ctx, mat, f)
    x = _alloc(mat, 4)
    if mat[M_STATUS] != OK:
        return -1
    mat[x] = key
    mat[x + 3] = mat[mat[f + F_X] + 3] if mat[f + F_X] != 0 else 0
    mat[x + 1] = mat[f + F_X]
    mat[x + 2] = _mix(mat[mat[f + F_X] + 2] if mat[f + F_X] != 0 else 0, key)
    mat[g + F_X] = x
    mat[g + F_COUNT] += 1
    if not _i4(ospec, o + O_FLAGS) & OF_ANY:
        mat[g + F_B] = _i4(ospec, o + O_N) - 1
    _refresh_object(ctx, mat, g)
    return g


@inner
def _refresh_array(ctx, mat, f):
    """Flags, next item node and hashes of an array frame whose count is set. Counts that no longer matter saturate."""
    aspec = _i32(ctx, ASPEC)
    a = mat[f + F_SPEC]
    own = _mix(K_ARR * 77, a)
    if mat[f + F_X] != 0:
        own = _mix(own, mat[mat[f + F_X] + 2])
    if _i4(aspec, a + A_FLAGS) & AF_STATES:
        s = mat[f + F_B]
        result = CLOSE if _i4(aspec, s + AS_CLOSES) else 0
        if _i4(aspec, s + AS_EDGES) > 0:
            result |= ADD
        mat[f + F_FLAGS] = result
        mat[f + F_COUNT] = 0
        mat[f + F_H1] = _mix(K_ARR * 77, result)
        mat[f + F_H2] = _mix(own, s)
        mat[f + F_COST] = mat[mat[f + F_PARENT] + F_COST] + 1 + _i4(aspec, s + AS_COST)
        if _i4(aspec, a + A_FLAGS) & AF_UNIQUE and mat[f + F_START] >= 0:
            mat[f + F_COST] += RESERVE
        return
    prefix, items = _i4(aspec, a + A_PREFIX), _i4(aspec, a + A_ITEMS)
    low, high = _i4(aspec, a + A_MIN), _i4(aspec, a + A_MAX)
    settled = max(low, prefix)
    count = mat[f + F_COUNT]
    if high < 0 and count > settled:
        count = settled
        mat[f + F_COUNT] = count
    result = 0
    if count >= low:
        result |= CLOSE
    following = items
    if count < prefix:
        following = _i4(aspec, a + A_HEAD + count)
    if following >= 0 and (high < 0 or count < high):
        result |= ADD
    mat[f + F_FLAGS] = result
    mat[f + F_A] = following
    mat[f + F_H1] = _mix(K_ARR * 77, result & 3)
    h = _mix(_mix(own, result), following)
    h = _mix(h, count if count < settled else settled)
    if high >= 0:
        h = _mix(h, min(high - count, ctx[S_LONGEST]))
    mat[f + F_H2] = h
    cost = mat[mat[f + F_PARENT] + F_COST] + 1
    if count < low:
        for i in range(count, min(low, prefix)):
            cost += _i4(aspec, a + A_HEAD + prefix + i) + 1
        if low > max(prefix, count):
            cost += (low - max(prefix, count)) * (_i4(aspec, a + A_COST) + 1)
    if _i4(aspec, a + A_FLAGS) & AF_UNIQUE and mat[f + F_START] >= 0:
        cost += RESERVE
    mat[f + F_COST] = cost


@inner
def _new_array(ctx, mat, a, parent):
    f = _alloc(mat, F_BITS)
    if mat[M_STATUS] != OK:
        return parent
    mat[f + F_KIND] = K_ARR
    mat[f + F_SPEC] = a
    mat[f + F_PARENT] = parent
    mat[f + F_LEVEL] = mat[parent + F_LEVEL] + 1
    mat[f + F_COUNT] = 0
    mat[f + F_X] = 0
    mat[f + F_B] = _i4(_i32(ctx, ASPEC), a + A_STATES)
    mat[f + F_START] = -1
    mat[f + F_WITHIN] = _unique_above(ctx, mat, parent)
    mat[f + F_MORE] = 0
    mat[f + F_AROUND] = _mix(mat[parent + F_H2], mat[parent + F_AROUND])
    _refresh_array(ctx, mat, f)
    return f
