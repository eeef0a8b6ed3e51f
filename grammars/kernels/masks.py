"""Masks: which tokens may come next in a matcher's state; remembered under exactly what computing them looked at.

A remembered mask is one copy of a row. A new one unites the tier-1 rows of the state's terminals, walks on from their
frontiers, and walks literal tries and closed sets of keys from the root (`walk`).
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner, kernel
from grammars.kernels.distance import FAR, _forget_seen, _limit_inside
from grammars.kernels.entries import _note_word, _unite
from grammars.kernels.frames import _context, _i32, _i64, _mix, _note
from grammars.kernels.heavy import _heavy, _try_out
from grammars.kernels.keys import _key
from grammars.kernels.layout import *
from grammars.kernels.parsed import _set_aside
from grammars.kernels.pointers import I32, I64, _fence, _i4, _pointer32, _pointer64, _seize, carray
from grammars.kernels.values import MARGIN
from grammars.kernels.walk import _walk


@inner
def _probe(keys, key):
    place = _mix(0, key) & (keys.size - 1)
    while keys[place] != 0 and keys[place] != key:
        place = (place + 1) & (keys.size - 1)
    return place


@inner
def _remember(ctx, mat, configurations, count, acc, row, rise):
    """Copy the row into the store and enter it under what computing it looked at, with what its tokens may need.

    What they may need may depend on more: behind a comma, which keys are left. Then that has an entry of its own, and
    the row's says how closely one has to look for it (`RISE_CLOSER` + look).
    """
    keys, values = _i64(ctx, MKEY), _i64(ctx, MVAL)
    words = ctx[S_WORDS]
    room = _i64(ctx, ROOM)
    for look in range(mat[M_LOOK]):
        key = _key(ctx, mat, configurations, count, acc, look)
        place = _probe(keys, key)
        if keys[place] == 0:
            values[place] = DEEPER
            _fence()
            keys[place] = key
            room[R_MEMO] -= 1
    closer = mat[M_PRICED] if rise != RISE_UNKNOWN and mat[M_PRICED] > mat[M_LOOK] else np.int64(0)
    key = _key(ctx, mat, configurations, count, acc, mat[M_LOOK])
    place = _probe(keys, key)
    before = values[place] >> ADDRESS_BITS if keys[place] != 0 else np.int64(0)
    if RISE_CLOSER <= before < RISE_UNKNOWN and rise != RISE_UNKNOWN:
        closer = max(closer, before - RISE_CLOSER)
    if closer >= RISE_UNKNOWN - RISE_CLOSER:
        rise = np.int64(RISE_UNKNOWN)
    elif closer > 0:
        _remember_rise(ctx, mat, configurations, count, acc, closer, rise)
        rise = RISE_CLOSER + closer
    if keys[place] == 0:
        values[place] = _store(mat, room, _i64(ctx, SCR), row, words) | (rise << ADDRESS_BITS)
        _fence()
        keys[place] = key
        room[R_MEMO] -= 1
    elif rise < before or (closer > 0 and before != RISE_UNKNOWN):
        values[place] = (values[place] & ((1 << ADDRESS_BITS) - 1)) | (rise << ADDRESS_BITS)


@inner
def _store(mat, room, scr, row, words):
    """Keep a row; its address. One of few words that are not 0 becomes a list of these: number, then (index, word).

    Most masks within literals and keys are so: less to write to memory that was not touched before, and to copy. Where
    the walk has listed them (M_TOUCHED), the row need not be looked through.
    """
    some = mat[M_TOUCHED]
    if some < 0:
        some = _list_words(scr, row, words)
    if some < 0 or 4 * some + 4 > words:
        address = room[R_NEXT]
        store = carray(_pointer32(address), (words,))
        for w in range(words):
            store[w] = row[w]
        room[R_NEXT] += 4 * words
        room[R_ROWS] -= 1
        return address
    size = 2 * some + 2
    if room[R_LEFT] < size:
        room[R_SPARE], room[R_LEFT] = room[R_NEXT], words
        room[R_NEXT] += 4 * words
        room[R_ROWS] -= 1
    address = room[R_SPARE]
    store = carray(_pointer32(address), (size,))
    store[0] = some
    for k in range(some):
        w = scr[WORK + k]
        store[2 * k + 2] = w
        store[2 * k + 3] = row[w]
    room[R_SPARE] += 4 * size
    room[R_LEFT] -= size
    return address | SHORT


@inner
def _list_words(scr, row, words):
    """List the words of a row that are not 0, from WORK on; their number, or -1: they are many."""
    some, w = np.int64(0), np.int64(0)
    while w < words:
        stop = min(w + 64, words)
        union = np.int64(0)
        for k in range(w, stop):
            union |= row[k]
        if union != 0:
            for k in range(w, stop):
                if row[k] != 0:
                    if some >= CORRECTED or 4 * some + 8 > words:
                        return np.int64(-1)
                    scr[WORK + some] = k
                    some += 1
        w = stop
    return some


@inner
def _write_row(row, address, words):
    """Write a row that is kept."""
    if address & SHORT:
        for w in range(words):
            row[w] = 0
        some = np.int64(_i4(address - SHORT, 0))
        for k in range(1, some + 1):
            row[_i4(address - SHORT, 2 * k)] = _i4(address - SHORT, 2 * k + 1)
    else:
        known = carray(_pointer32(address), (words,))
        for w in range(words):
            row[w] = known[w]


@inner
def _rise_key(ctx, mat, configurations, count, acc, look):
    """Where what a row's tokens may need is entered by itself."""
    return _mix(_key(ctx, mat, configurations, count, acc, look), 0x52495345) | 1


@inner
def _remember_rise(ctx, mat, configurations, count, acc, look, rise):
    keys, values = _i64(ctx, MKEY), _i64(ctx, MVAL)
    key = _rise_key(ctx, mat, configurations, count, acc, look)
    place = _probe(keys, key)
    if keys[place] == 0:
        values[place] = (rise << ADDRESS_BITS) | DEEPER
        _fence()
        keys[place] = key
        room = _i64(ctx, ROOM)
        room[R_MEMO] -= 1
    elif rise > values[place] >> ADDRESS_BITS:
        values[place] = (rise << ADDRESS_BITS) | DEEPER


@inner
def _in_tiers(ctx, mat, at, budget):
    """Whether a configuration's mask comes from tier 1: it stands in a terminal, of one way to end under a budget."""
    node = _i32(ctx, NODE)
    q, n, f = mat[at], mat[at + 1], mat[at + 2]
    if q < 0:
        return False
    op = _i4(node, 4 * n)
    if op == OP_KEY:
        if not mat[f + F_FLAGS] & OPEN or (mat[f + F_X] != 0 and mat[mat[f + F_X] + 3] != 0):
            return False  # closed; or the key must not come to be one that was written and cannot get longer
        if _i4(_i32(ctx, OSPEC), mat[f + F_SPEC] + O_FLAGS) & OF_FINAL:
            return False
    elif op != OP_TERM:
        return False
    return budget < 0 or _limit_inside(ctx, mat, q, n, f, mat[at + 3], budget) != UNFIT


@inner
def _compute(ctx, mat, scr, row, budget, configurations, count, acc):
    """Write the mask of the state to `row`; the status is in M_STATUS."""
    words = ctx[S_WORDS]
    top = mat[M_TOP]
    mat[M_LOOK], mat[M_VOLATILE], mat[M_NEED], mat[M_PRICED] = 0, 0, 0, 0
    mat[M_POS] = mat[configurations + CFG * count + E_POS]
    mat[M_HOLE], mat[M_TRUST], mat[M_CHECK], mat[M_TESTS] = 0, 0, 0, 0
    wants = carray(_pointer64(ctx[WANTS]), (1,))
    wants[0] = 0
    if budget >= 0:
        _forget_seen(ctx)
    for w in range(words):
        row[w] = 0
    mat[M_TOUCHED] = 0
    if ctx[S_UNIQUE]:
        if mat[M_POS] + 3 * ctx[S_LONGEST] + MARGIN > ctx[TXT + 64]:
            mat[M_STATUS] = GROW_TXT
            return
        tests = carray(_pointer32(ctx[TESTS]), (words,))
        for w in range(words):
            tests[w] = 0
    base = LEVELS + LEVEL_WORDS * (ctx[S_LONGEST] + 2)
    if base + 2 * CFG * (count + 64) > scr.size:
        mat[M_STATUS] = GROW_SCR
        return
    node = _i32(ctx, NODE)
    light = np.int64(0)
    # Undeclared keys first: they take tokens back, which must not undo what another configuration allows.
    fresh = True
    for i in range(count):
        at = configurations + CFG * i
        q, n, f = mat[at], mat[at + 1], mat[at + 2]
        if q >= 0 and _i4(node, 4 * n) == OP_KEY:
            _note(mat, f, 2)
            if _in_tiers(ctx, mat, at, budget):
                mat[M_TOUCHED] = -1
                target = row
                if not fresh:
                    target = carray(_pointer32(ctx[TMP]), (words,))
                    for w in range(words):
                        target[w] = 0
                for k in range(CFG):
                    scr[base + k] = mat[at + k]
                _heavy(ctx, mat, scr, base, base + CFG, target, budget)
                if not fresh:
                    _unite(row, ctx[TMP], words)
                fresh = False
                if mat[M_STATUS] != OK:
                    return
    for i in range(count):
        at = configurations + CFG * i
        if not _in_tiers(ctx, mat, at, budget):
            for k in range(CFG):
                scr[base + light * CFG + k] = mat[at + k]
            light += 1
    free = base + light * CFG
    for i in range(count):
        at = configurations + CFG * i
        if mat[at] >= 0 and _i4(node, 4 * mat[at + 1]) == OP_TERM and _in_tiers(ctx, mat, at, budget):
            mat[M_TOUCHED] = -1
            for k in range(CFG):
                scr[free + k] = mat[at + k]
            _heavy(ctx, mat, scr, free, free + CFG, row, budget)
            if mat[M_STATUS] != OK and not _set_aside(ctx, mat):
                return
    if light > 0:
        _walk(ctx, mat, scr, 0, base, light, row, budget, False)
        if mat[M_STATUS] != OK:
            return
    mat[M_TOP] = top
    if mat[M_TESTS]:
        mat[M_TOUCHED] = -1
        _try_out(ctx, mat, scr, base, row, budget)
        if mat[M_STATUS] != OK:
            return
        mat[M_TOP] = top
    if acc:
        eos = _i32(ctx, EOS)
        for i in range(ctx[EOS + 64]):
            _note_word(mat, scr, row, _i4(eos, i) >> 5)
            row[_i4(eos, i) >> 5] |= np.int32(1) << np.int32(_i4(eos, i) & 31)


@inner
def _recall(ctx, mat, row, budget, configurations, count, acc):
    """Write the remembered mask of a state to `row`: 1; 0: there is none, 2: there is one, which the budget cuts.

    Other threads may enter masks meanwhile: a key is entered last, and what it stands for is looked at afterwards.
    """
    words = ctx[S_WORDS]
    keys, values = _i64(ctx, MKEY), _i64(ctx, MVAL)
    for look in range(2 * mat[configurations + CFG * count + E_LEVEL] + 3):
        place = _probe(keys, _key(ctx, mat, configurations, count, acc, look))
        if keys[place] == 0:
            return 0
        _fence()
        value = values[place]
        if value != DEEPER:
            rise = value >> ADDRESS_BITS
            if budget >= 0 and RISE_CLOSER <= rise < RISE_UNKNOWN:
                place = _probe(keys, _rise_key(ctx, mat, configurations, count, acc, rise - RISE_CLOSER))
                known_rise = keys[place] != 0
                _fence()
                rise = values[place] >> ADDRESS_BITS if known_rise else np.int64(RISE_UNKNOWN)
            # a token's need is that of the best configuration: what a row says holds for the dearest frame then
            dearest = np.int64(0)
            if budget >= 0:
                for i in range(count):
                    dearest = max(dearest, mat[mat[configurations + CFG * i + 2] + F_COST])
            if budget < 0 or dearest + rise <= budget:
                _write_row(row, value & ((1 << ADDRESS_BITS) - 1), words)
                return 1
            return 2 if rise != RISE_UNKNOWN else 0
    return 0


@kernel
def recall(jobs: I64, first, step):
    """Remembered masks of many matchers: of every `step`-th job, from `first` on.

    jobs [n, 3]: address of a matcher's context (0: none), address of its row; the third word becomes 1 where the row
    was written, else 0. Nothing is written but that, so no lock is needed.
    """
    k = first
    while k < jobs.size // 3:
        address = jobs[3 * k]
        jobs[3 * k + 2] = 0
        if address != 0:
            ctx = _context(address)
            mat = _i64(ctx, MAT)
            current = mat[M_CUR]
            count, acc = mat[current], mat[current + 1]
            row = carray(_pointer32(jobs[3 * k + 1]), (ctx[S_WORDS],))
            if _recall(ctx, mat, row, np.int64(-1), current + 2, count, acc) == 1:
                jobs[3 * k + 2] = 1
        k += step
    return 0


@inner
def _begin(mat):
    """Prepare the arena for a mask of the matcher's state; the state."""
    current = mat[M_CUR]
    mat[M_MARK] = mat[M_TOP]
    mat[M_STATUS] = OK
    mat[M_LEVEL] = mat[current + 2 + CFG * mat[current] + E_LEVEL]
    return current


@kernel
def fill(address, row: I32, budget):
    """Write the mask of the matcher's state into `row`; a status code. For who holds the grammar's rows (R_BUSY).

    `budget` >= 0: only tokens after which at most `budget` more are needed. Masks that the budget cuts are not
    remembered; the others are, together with what their tokens may need at most beyond the cost of their frame.
    """
    ctx = _context(address)
    mat = _i64(ctx, MAT)
    current = _begin(mat)
    found = _recall(ctx, mat, row, budget, current + 2, mat[current], mat[current + 1])
    if found == 1:
        return OK
    return _fill_new(ctx, mat, row, budget, current, found == 2)


@kernel
def fill_alone(address, row: I32):
    """`fill` without a limit. What has to be computed is, if nobody else is at it; else the status is BUSY."""
    ctx = _context(address)
    mat = _i64(ctx, MAT)
    current = _begin(mat)
    if _recall(ctx, mat, row, np.int64(-1), current + 2, mat[current], mat[current + 1]) == 1:
        return OK
    if _seize(ctx[ROOM] + 8 * R_BUSY) != 0:
        return BUSY
    status = _fill_new(ctx, mat, row, np.int64(-1), current, False)
    _let_go(ctx[ROOM] + 8 * R_BUSY)
    return status


@inner
def _let_go(address):
    _fence()
    word = carray(_pointer64(address), (1,))
    word[0] = 0


@kernel
def seize(address):
    """Set the word R_BUSY at an address; what it was. 0: the caller holds the rows now."""
    return _seize(address)


@kernel
def let_go(address):
    """The end of what `seize` began."""
    _let_go(address)
    return 0


@inner
def _fill_new(ctx, mat, row, budget, current, cut):
    """Compute the mask of a state that is not remembered, or (`cut`) of which the budget leaves only a part."""
    scr = _i64(ctx, SCR)
    count, acc = mat[current], mat[current + 1]
    configurations, level, top = current + 2, mat[M_LEVEL], mat[M_TOP]
    mat[M_FUEL] = ctx[S_FUEL]
    room = _i64(ctx, ROOM)
    room[R_TURN] += 1
    mat[M_TURN] = room[R_TURN]
    cheapest = np.int64(FAR)
    for i in range(count):
        cheapest = min(cheapest, mat[mat[configurations + CFG * i + 2] + F_COST])
    if room[R_ROWS] <= 0 or room[R_MEMO] < 2 * level + 8:
        ctx[OUT0] = 2 * level + 8
        return NEED_ROOM
    # first without a limit, to be remembered; then, where the budget cuts the mask, within it
    limit = np.int64(FAR) if budget >= 0 and not cut else budget
    while True:
        _compute(ctx, mat, scr, row, limit, configurations, count, acc)
        mat[M_TOP] = top
        wants = carray(_pointer64(ctx[WANTS]), (1,))
        if mat[M_STATUS] == OK and wants[0] > 0:
            mat[M_STATUS] = NEED_MANY
        if mat[M_STATUS] != OK or (limit == budget and budget >= 0):
            return mat[M_STATUS]
        rise = np.int64(RISE_UNKNOWN)
        if budget >= 0 and mat[M_NEED] < FAR:
            rise = max(np.int64(0), mat[M_NEED] - cheapest)
            if rise >= RISE_CLOSER:
                rise = np.int64(RISE_UNKNOWN)
        if not mat[M_VOLATILE]:
            _remember(ctx, mat, configurations, count, acc, row, rise)
        if budget < 0 or mat[M_NEED] <= budget:
            return OK
        limit = budget
