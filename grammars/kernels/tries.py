"""The vocabulary's trie: what is measured of it once, and the tries below a frontier laid over each other."""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner, kernel
from grammars.kernels.frames import _context, _i32, _u8
from grammars.kernels.layout import *
from grammars.kernels.pointers import I32, I64, U8, _i4, _u1


@kernel
def measure_trie(
    tbyte: U8, tparent: I32, ttok: I32, dup: I32, group: U8, work: I32, signature: I64, characters: U8, most: U8,
    path: I64, tokens: I64, lengths: U8,
):  # fmt: skip
    """Per trie node: groups of bytes on the paths from it down (int64), characters that begin on the path to it and,
    at most, to a node below (uint8, 255: or more). Per token: groups of bytes on its path (`tokens`, int64) and
    characters that begin on it (`lengths`, uint8); of what is no text they are left as they are. work: int32[N], path:
    int64[N], scratch.

    `group`: uint8[256], the group of each byte that begins a character. That of 255 stands for what is no UTF-8: a byte
    that does not continue what stands before it, and all below it; the bit after it for what does continue it. That of
    0x80 is for U+2028 and U+2029: E2 and E2 80 are in this group and that of E2 where a token ends with them, else in
    neither.
    """
    broken = np.int64(1) << np.int64(group[255])
    work[0], characters[0], most[0], signature[0], path[0] = 0, 0, 0, 0, 0
    for i in range(1, tbyte.size):
        b = np.int64(tbyte[i])
        parent = tparent[i]
        # of the path: continuation bytes due, or 7 where it is spoilt; then the range of the next one
        due, first, last = work[parent] & 7, (work[parent] >> 3) & 255, (work[parent] >> 11) & 255
        now, low, high = np.int64(0), np.int64(0x80), np.int64(0xBF)
        if due == 7 or (due > 0 and not first <= b <= last) or (due == 0 and (0x80 <= b < 0xC2 or b > 0xF4)):
            now = np.int64(7)
        elif due > 0:
            now = np.int64(due - 1)
        elif b >= 0xF0:
            now = np.int64(3)
            low, high = np.int64(0x90 if b == 0xF0 else 0x80), np.int64(0x8F if b == 0xF4 else 0xBF)
        elif b >= 0xE0:
            now = np.int64(2)
            low, high = np.int64(0xA0 if b == 0xE0 else 0x80), np.int64(0x9F if b == 0xED else 0xBF)
        elif b >= 0xC2:
            now = np.int64(1)
        work[i] = now | (low << 3) | (high << 11)
        path[i] = path[parent]
        if now == 7:
            signature[i] = broken
            path[i] |= broken
        else:
            own = broken << np.int64(1) if 0x80 <= b < 0xC0 else np.int64(1) << np.int64(group[b])
            other, lines = np.int64(1) << np.int64(group[0xE2]), np.int64(1) << np.int64(group[0x80])
            if b == 0xE2 or (due == 2 and b == 0x80 and tbyte[parent] == 0xE2):
                own = other | lines if ttok[i] >= 0 else np.int64(0)
            elif due == 2 and tbyte[parent] == 0xE2:
                own = other
            elif due == 1 and tbyte[parent] == 0x80 and tbyte[tparent[parent]] == 0xE2:
                own = lines if b == 0xA8 or b == 0xA9 else other
            signature[i] = own
            if not (b == 0xE2 or (due == 2 and b == 0x80 and tbyte[parent] == 0xE2)):
                path[i] |= own
        characters[i] = min(255, characters[parent] + (0 if 0x80 <= b < 0xC0 else 1))
        most[i] = characters[i]
        token = np.int64(ttok[i])
        while token >= 0:
            tokens[token], lengths[token] = path[i] | signature[i], characters[i]
            token = np.int64(dup[token])
    for i in range(tbyte.size - 1, 0, -1):
        signature[tparent[i]] |= signature[i]
        most[tparent[i]] = max(most[tparent[i]], most[i])
    return 0


@kernel
def list_children(tbyte: U8, tparent: I32, tend: I32, ttok: I32, dup: I32, nodes: I32, kids: I32):
    """What a walk down the trie reads of its nodes, together: `nodes` (int32[4 * (N + 2)], zero) and `kids` (int32[N]).

    Of node x: where its children begin in `kids`, ascending, which end where those of x + 1 begin; the end of its
    sub-trie, its token, the first duplicate of that (-1 each). A child is its number and, above it, 8 bits of its byte.
    """
    for x in range(1, tbyte.size):
        nodes[4 * (tparent[x] + 2)] += 1
    for x in range(2, nodes.size // 4):
        nodes[4 * x] += nodes[4 * x - 4]
    for x in range(1, tbyte.size):
        place = 4 * (tparent[x] + 1)
        k = np.int64(nodes[place])
        nodes[place] = k + 1
        kids[k] = np.int32(np.int64(tbyte[x]) << 24 | x)
    for x in range(tbyte.size):
        token = ttok[x]
        nodes[4 * x + 1], nodes[4 * x + 2], nodes[4 * x + 3] = tend[x], token, dup[token] if token >= 0 else -1
    return 0


@kernel
def find_next(signature: I64, tend: I32, usual, out: I32):
    """Of each node of the trie the first one from it on, in preorder, below which are groups not in `usual`; N: none.

    out: int32[N + 1].
    """
    count = np.int64(signature.size)
    out[count] = count
    for i in range(count - 1, -1, -1):
        out[i] = i if signature[i] & ~usual else out[tend[i]]
    return 0


@kernel
def sort_frontier(address, items: I32, large, counts: I64, out: I32):
    """Write node and label of each item [n, 3] to `out` ([n, 2] and what follows): those with children first, by label,
    then the others.

    counts: int64 scratch, zero, two more than there are labels: becomes where the items of each label that have
    children end; the last, how many of them have over `large` nodes below. Returns how many have children.
    """
    ctx = _context(address)
    tend = _i32(ctx, TEND)
    total = items.size // 3
    huge = np.int64(0)
    for k in range(total):
        size = _i4(tend, items[3 * k]) - items[3 * k]
        if size > 1:
            counts[items[3 * k + 1] + 1] += 1
        if size > large:
            huge += 1
    for k in range(1, counts.size - 1):
        counts[k] += counts[k - 1]
    parents = np.int64(counts[counts.size - 2])
    counts[counts.size - 1] = huge
    rest = np.int64(parents)
    for k in range(total):
        node, label = items[3 * k], items[3 * k + 1]
        if _i4(tend, node) > node + 1:
            at = counts[label]
            counts[label] += 1
        else:
            at = rest
            rest += 1
        out[2 * at], out[2 * at + 1] = node, label
    return parents


@kernel
def merge(
    address, front: I32, first, stop, whole, mbyte: U8, mend: I32, mtok: I32, mlist: I32, root, listed, work: I64
):  # fmt: skip
    """Lay the sub-tries below the frontier nodes [first, stop) over each other, in preorder; if `whole`, those of the
    nodes [first, stop) themselves (all are children of such nodes).

    A merged node stands for the trie nodes that the same bytes reach from different frontier nodes; it lists their
    tokens. Written from index 0 of mbyte uint8, mend, mtok [2 a node], mlist, where node `root` and token `listed` of
    all are; work: int64 scratch. Returns the number of nodes (the root first) and, packed above 32 bits, of tokens;
    -1: too little room for what is written; -2: in `work`.
    """
    ctx = _context(address)
    tbyte, tend, ttok, dup = _u8(ctx, TBYTE), _i32(ctx, TEND), _i32(ctx, TTOK), _i32(ctx, TDUP)
    room = work.size // 2
    # pending groups on a stack: work[2k], work[2k+1] = first and stop of a slice of `pool`; pool grows behind
    pool = work[room:]
    used = 0
    for k in range(first, stop):
        if used >= pool.size:
            return -2
        pool[used] = front[2 * k]
        used += 1
    nodes, tokens, depth = 0, 0, 0
    # a level: slice of the children (sorted by byte) still to visit, and the merged node they belong to
    if mbyte.size < 1 or mtok.size < 2:
        return -1
    mbyte[0] = 0
    mtok[0], mtok[1] = listed, 0
    nodes = 1
    low = np.int64(0) if whole else used
    children = np.int64(0) if whole else used
    for k in range(children):
        used = _list_children(pool, used, pool[k], tend)
        if used < 0:
            return -2
    if not _sort_by_byte(pool, low, used, tbyte):
        return -2
    work[0], work[1], work[2], work[3] = low, used, 0, low
    while True:
        at = 4 * depth
        if work[at] >= work[at + 1]:
            mend[work[at + 2]] = root + nodes
            used = work[at + 3]
            if depth == 0:
                return nodes | (tokens << 32)
            depth -= 1
            continue
        # the run of children with the same byte becomes one merged node
        run = work[at]
        byte = _u1(tbyte, pool[run])
        stop_run = run
        if nodes >= mbyte.size or 2 * nodes + 1 >= mtok.size:
            return -1
        if at + 8 > room:
            return -2
        mbyte[nodes] = byte
        mtok[2 * nodes] = listed + tokens
        while stop_run < work[at + 1] and _u1(tbyte, pool[stop_run]) == byte:
            token = _i4(ttok, pool[stop_run])
            while token >= 0:
                if tokens >= mlist.size:
                    return -1
                mlist[tokens] = token
                tokens += 1
                token = _i4(dup, token)
            stop_run += 1
        mtok[2 * nodes + 1] = listed + tokens - mtok[2 * nodes]
        work[at] = stop_run
        low = used
        for k in range(run, stop_run):
            used = _list_children(pool, used, pool[k], tend)
            if used < 0:
                return -2
        if not _sort_by_byte(pool, low, used, tbyte):
            return -2
        depth += 1
        work[at + 4], work[at + 5], work[at + 6], work[at + 7] = low, used, nodes, low
        nodes += 1


@inner
def _list_children(pool, used, x, tend):
    """Put the children of node x behind pool[:used]; the new length, or -1: too little room."""
    y = x + 1
    while y < _i4(tend, x):
        if used >= pool.size:
            return np.int64(-1)
        pool[used] = y
        used += 1
        y = _i4(tend, y)
    return used


@inner
def _sort_by_byte(pool, low, high, tbyte):
    """Sort pool[low:high] by byte, nodes of one byte in the order they are in. Few: by insertion; many: by counting,
    through what lies behind them, with the last 257 words as counters. False: too little room."""
    n = high - low
    if n < 24:
        for k in range(low + 1, high):
            node = pool[k]
            byte = _u1(tbyte, node)
            j = np.int64(k)
            while j > low and _u1(tbyte, pool[j - 1]) > byte:
                pool[j] = pool[j - 1]
                j -= 1
            pool[j] = node
        return True
    counts = pool.size - 257
    if high + n > counts:
        return False
    for b in range(257):
        pool[counts + b] = 0
    for k in range(low, high):
        pool[high + k - low] = pool[k]
        pool[counts + 1 + _u1(tbyte, pool[k])] += 1
    for b in range(256):
        pool[counts + b + 1] += pool[counts + b]
    for k in range(high, high + n):
        at = counts + _u1(tbyte, pool[k])
        pool[low + pool[at]] = pool[k]
        pool[at] += 1
    return True
