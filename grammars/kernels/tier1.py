"""Tier 1: the tokens that one terminal state can spell, and the trie nodes where the terminal ends.

One pass over the vocabulary trie under one terminal state, 4 to 6 ns a node, once per state and vocabulary.
"""

from __future__ import annotations

from numba import carray

from grammars.kernels.cache import inner, kernel
from grammars.kernels.frames import _context, _i4, _i32, _mix, _pointer32, _u1, _u8
from grammars.kernels.layout import *
from grammars.kernels.walk import _allow


@inner
def _list_missing(out, missing, q):
    for k in range(missing):
        if out[k] == q:
            return missing
    if missing < out.size:
        out[missing] = q
        missing += 1
    return missing


@kernel
def tier1(address, q, low, high, limit, row, out, levels):
    """Fill `row` (int32[W]) with the tokens of state q, `out` (int32) with the frontier: (node, label) pairs.

    low, high: characters still due and still allowed (high -1: no limit). `limit`: only tokens that leave at most so
    many bytes to the terminal's end (NO_LIMIT: all tokens; -1: none). `levels`: int64[2 * (longest + 2)].
    Returns the number of frontier items; or -1 - k when k states' rows are missing: they are listed in `out`, nothing
    else is valid, and the caller computes them and calls again. Items may exceed out.size: call again with more room.
    """
    ctx = _context(address)
    trans, info, dist = _i32(ctx, TRANS), _i32(ctx, INFO), _i32(ctx, DIST)
    tbyte, tend, ttok, dup = _u8(ctx, TBYTE), _i32(ctx, TEND), _i32(ctx, TTOK), _i32(ctx, TDUP)
    for w in range(row.size):
        row[w] = 0
    missing = 0
    items = 0
    depth = 0
    # a level: terminal state and characters (packed), end of the subtree
    levels[0], levels[1] = q, _i4(tend, 0)
    i = 1
    while True:
        if i >= levels[2 * depth + 1]:
            if depth == 0:
                break
            depth -= 1
            continue
        at = levels[2 * depth]
        state, characters = at & 0xFFFFFFFF, at >> 32
        following = _i4(trans, state * 256 + _u1(tbyte, i))
        if following < 0:
            if following == -2:
                missing = _list_missing(out, missing, state)
            i = _i4(tend, i)
            continue
        word = _i4(info, following)
        fits, ends = True, word & LABEL != 0
        if not word & FINAL:
            fits = high < 0 or characters < high
            if word & BOUNDARY:
                characters += 1
        ends = ends and characters >= low
        if fits and (ends or not word & FINAL):
            if _i4(ttok, i) >= 0 and (limit == NO_LIMIT or _i4(dist, 3 * following) <= limit):
                _allow(row, _i4(ttok, i), dup)
            if ends and missing == 0:
                if 2 * items + 1 < out.size:
                    out[2 * items] = i
                    out[2 * items + 1] = (word & LABEL) - 1
                items += 1
            if _i4(tend, i) > i + 1 and not word & FINAL:
                depth += 1
                levels[2 * depth], levels[2 * depth + 1] = following | (characters << 32), _i4(tend, i)
                i += 1
                continue
        i = _i4(tend, i)
    return -1 - missing if missing else items


@kernel
def merge(address, front, first, stop, mbyte, mend, mtok, mlist, work):
    """Lay the sub-tries below the frontier nodes [first, stop) over each other, in preorder.

    A merged node stands for the trie nodes that the same bytes reach from different frontier nodes; it lists their
    tokens. Written from index 0 of mbyte uint8, mend, mtok [2 a node], mlist; work: int64 scratch. Returns the number
    of nodes (the root first) and, packed above 32 bits, of tokens; -1: too little room.
    """
    ctx = _context(address)
    tbyte, tend, ttok, dup = _u8(ctx, TBYTE), _i32(ctx, TEND), _i32(ctx, TTOK), _i32(ctx, TDUP)
    room = work.size // 2
    # pending groups on a stack: work[2k], work[2k+1] = first and stop of a slice of `pool`; pool grows behind
    pool = work[room:]
    used = 0
    for k in range(first, stop):
        if used >= pool.size:
            return -1
        pool[used] = front[2 * k]
        used += 1
    nodes, tokens, depth = 0, 0, 0
    # a level: slice of the children (sorted by byte) still to visit, and the merged node they belong to
    mbyte[0] = 0
    mtok[0], mtok[1] = 0, 0
    nodes = 1
    low = used
    for k in range(used):
        x = pool[k]
        y = x + 1
        while y < _i4(tend, x):
            if used >= pool.size:
                return -1
            pool[used] = y
            used += 1
            y = _i4(tend, y)
    _sort_by_byte(pool, low, used, tbyte)
    work[0], work[1], work[2], work[3] = low, used, 0, low
    while True:
        at = 4 * depth
        if work[at] >= work[at + 1]:
            mend[work[at + 2]] = nodes
            used = work[at + 3]
            if depth == 0:
                return nodes | (tokens << 32)
            depth -= 1
            continue
        # the run of children with the same byte becomes one merged node
        run = work[at]
        byte = _u1(tbyte, pool[run])
        stop_run = run
        if nodes >= mbyte.size or 2 * nodes + 1 >= mtok.size or at + 8 > room:
            return -1
        mbyte[nodes] = byte
        mtok[2 * nodes] = tokens
        while stop_run < work[at + 1] and _u1(tbyte, pool[stop_run]) == byte:
            token = _i4(ttok, pool[stop_run])
            while token >= 0:
                if tokens >= mlist.size:
                    return -1
                mlist[tokens] = token
                tokens += 1
                token = _i4(dup, token)
            stop_run += 1
        mtok[2 * nodes + 1] = tokens - mtok[2 * nodes]
        work[at] = stop_run
        low = used
        for k in range(run, stop_run):
            y = pool[k] + 1
            while y < _i4(tend, pool[k]):
                if used >= pool.size:
                    return -1
                pool[used] = y
                used += 1
                y = _i4(tend, y)
        _sort_by_byte(pool, low, used, tbyte)
        depth += 1
        work[at + 4], work[at + 5], work[at + 6], work[at + 7] = low, used, nodes, low
        nodes += 1


@inner
def _sort_by_byte(pool, low, high, tbyte):
    """Heap sort of pool[low:high] by (byte, node)."""
    n = high - low
    start = n // 2
    end = n
    while end > 1:
        if start > 0:
            start -= 1
        else:
            end -= 1
            pool[low], pool[low + end] = pool[low + end], pool[low]
        root = start
        while 2 * root + 1 < end:
            child = 2 * root + 1
            if child + 1 < end and _order(pool[low + child], tbyte) < _order(pool[low + child + 1], tbyte):
                child += 1
            if _order(pool[low + root], tbyte) >= _order(pool[low + child], tbyte):
                break
            pool[low + root], pool[low + child] = pool[low + child], pool[low + root]
            root = child


@inner
def _order(node, tbyte):
    return (_u1(tbyte, node) << 40) + node


@kernel
def copy_row(address, row):
    """Write `row` to the packed row at an address."""
    store = carray(_pointer32(address), (row.size,))
    for w in range(row.size):
        store[w] = row[w]
    return 0


@kernel
def rehash(keys, values, new_keys, new_values):
    """Move the entries of one open-addressing table into a larger one (sizes are powers of two)."""
    from_size = keys.size
    for i in range(from_size):
        if keys[i] != 0:
            place = _slot(new_keys, keys[i])
            new_keys[place] = keys[i]
            new_values[place] = values[i]
    return 0


@kernel
def insert(keys, values, key, value):
    """Enter one key; the value first, so that a reader on another thread never sees a key without its value."""
    place = _slot(keys, key)
    values[place] = value
    keys[place] = key
    return 0


@inner
def _slot(keys, key):
    place = _mix(0, key) & (keys.size - 1)
    while keys[place] != 0 and keys[place] != key:
        place = (place + 1) & (keys.size - 1)
    return place
