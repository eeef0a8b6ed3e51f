"""Tier 1: the tokens that one terminal state can spell, and the trie nodes where the terminal ends.

One pass over the vocabulary trie under one terminal state, 4 to 6 ns a node that is stepped, once per state and
vocabulary. Sub-tries that are made of characters which change nothing are not stepped: 1 ns a node. Bounds of length
take tokens away from the row without bounds (`cut`), so a string has one pass however long it may be.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner, kernel
from grammars.kernels.entries import _allow, _entry_key
from grammars.kernels.frames import _context, _i32, _i64, _mix, _u8
from grammars.kernels.layout import *
from grammars.kernels.pointers import I32, I64, U8, U16, _i4, _pointer32, _pointer64, _u1, carray
from grammars.kernels.subsets import _ensure


@inner
def _allow_below(row, i, end, ttok, dup):
    """Allow every token of trie nodes [i, end)."""
    for j in range(i, end):
        token = _i4(ttok, j)
        if token >= 0:
            _allow(row, token, dup)


@inner
def _demand(needs, token, due, dup):
    while token >= 0:
        needs[token] = min(due, np.int64(0xFFFE))
        token = _i4(dup, token)


@inner
def _forbid_below(row, needs, i, end, ttok, dup):
    """Take back every token of trie nodes [i, end)."""
    for j in range(i, end):
        token = _i4(ttok, j)
        while token >= 0:
            row[token >> 5] &= ~(np.int32(1) << np.int32(token & 31))
            if needs.size > 0:
                needs[token] = 0xFFFF
            token = _i4(dup, token)


@inner
def _leads(trans, group, q, loops):
    """Groups of bytes of which some are alive in state q, but for those that leave it as it is."""
    leads = np.int64(0)
    for b in range(256):
        if _i4(trans, 256 * q + b) >= 0:
            leads |= np.int64(1) << _u1(group, b)
    return leads & ~loops


@inner
def _scan(ctx, loops, due, row, needs):
    """Allow the tokens that are made of the groups `loops` alone, which leave a state as it is. The characters that any
    of them takes and leaves due, `due` being those of the state."""
    tokens, lengths = carray(_pointer64(ctx[TOKSIG]), (32 * ctx[S_WORDS],)), _u8(ctx, TOKCHARS)
    most, others = np.int64(0), ~loops
    for w in range(ctx[S_WORDS]):
        bits = np.int64(0)
        for b in range(32):
            fits = np.int64(tokens[32 * w + b] & others == 0)
            bits |= fits << b
            most = max(most, _u1(lengths, 32 * w + b) * fits)
        row[w] = np.int32(bits)
    if needs.size > 0:
        for k in range(needs.size):
            if tokens[k] & others == 0:
                needs[k] = _u1(lengths, k) + due
    return most + due


@inner
def _is_alike(steady, state, twin, others, taken):
    """Whether two states take all texts of so many characters of the groups `others`: sub-tries of them are alike."""
    if others & ~(steady[6 * state + 1] & steady[6 * twin + 1]) != 0:
        return False
    return taken <= min(steady[6 * state + 2], steady[6 * twin + 2])


@inner
def _put_item(out, items, node, label, characters):
    if 3 * items + 2 < out.size:
        out[3 * items], out[3 * items + 1], out[3 * items + 2] = node, label, characters
    return items + 1


@kernel
def tier1(
    address, q, low, high, limit, like, horizon, never, old: I32, row: I32, out: I32, levels: I64, needs: U16,
    work: I64, holes: I64, progress: I64,
):  # fmt: skip
    """Write the tokens of state q to `row` (int32[W]) and its frontier to `out` (int32, three words an item).

    low, high: characters still due and still allowed (high -1: no limit). `limit`: only tokens that leave at most so
    many bytes to the terminal's end (NO_LIMIT: all tokens; -1: none). `levels`: int64[4 * (longest + 2)]. `needs`:
    uint16[32 W] for the characters that each token takes or leaves due, size 0 where that is not wanted.
    `like`: a state whose row and needs are given in `row` and `needs`, and whose frontier is `old`: both are walked
    together, only where they can differ: not below a node where no token has more than `horizon` characters.
    `never`: groups of bytes that neither of the two takes between characters. -1: none, `row` is zero.
    work: int64[n, 4], stretches of the trie to walk, ascending: first node, end, state and characters (above 32 bits)
    before it, the other state; of a whole walk (1, N, q, like). holes: as `work`, becomes the nodes at which the row of
    one of the two states was missing; where there are any, the caller computes the rows and calls again with these as
    work, all else as it is. progress: int64[6]: becomes the number of items; whether anything differs from `like`; a
    bound on what any token takes and leaves due (of what is not taken over from `like`); [3] is the number of stretches
    in `work`, and [4] becomes that in `holes`; if it has no room for them, nothing is valid: compute and begin anew.
    [5]: 1: a whole walk of a state without label that some groups leave as it is, of which each token may be looked at
    by itself first; becomes 0, for later calls; 0: else.
    An item: node, label, characters (and bit 30 where the terminal cannot go on), in order of nodes where there was no
    second call. Returns the number of items. They may exceed out.size: begin anew with more room.
    """
    ctx = _context(address)
    trans, info, dist, need = _i32(ctx, TRANS), _i32(ctx, INFO), _i32(ctx, DIST), _i32(ctx, NEED)
    tbyte, tend, ttok, dup = _u8(ctx, TBYTE), _i32(ctx, TEND), _i32(ctx, TTOK), _i32(ctx, TDUP)
    tchars, tmost = _u8(ctx, TCHARS), _u8(ctx, TMOST)
    tsig, steady = _i64(ctx, TSIG), _i64(ctx, STEADY)
    measured = needs.size > 0
    # groups that may lead elsewhere: of tokens without any of them one look at each has told all (`_scan`)
    group, leads, scanned = _u8(ctx, GROUP), np.int64(0), progress[5]
    if scanned:
        leads = _leads(trans, group, q, steady[6 * q])
        progress[5] = 0
        progress[2] = max(progress[2], _scan(ctx, steady[6 * q], _i4(need, q), row, needs))
    items, source, differs, reach = progress[0], 0, progress[1], progress[2]
    depth, done, made, i = 0, 0, 0, np.int64(0)
    levels[2], levels[3] = 0, 0
    tnext = _i32(ctx, TNEXT)
    others = ctx[S_USUAL] & ~never
    while True:
        # a level: terminal state and characters (packed), the other state (-1: dead), end of the subtree; 1: only
        # sub-tries with quoting in them can make a difference, 2: nothing but what leaves q as it is was read so far
        if levels[4 * depth + 3] == 1:
            i = min(np.int64(_i4(tnext, i)), levels[4 * depth + 2])
        if depth == 0 and i >= levels[2]:
            while source < old.size and old[source] < i:
                items = _put_item(out, items, old[source], old[source + 1], old[source + 2])
                source += 3
            if done == progress[3]:
                break
            i, levels[2] = work[4 * done], work[4 * done + 1]
            levels[0], levels[1], levels[3] = work[4 * done + 2], work[4 * done + 3], 2 * scanned
            done += 1
            if levels[1] >= 0 and limit == NO_LIMIT and not measured:
                state, twin = levels[0] & 0xFFFFFFFF, levels[1]
                taken = np.int64(_u1(tmost, 0))
                if _ensure(ctx, state) and _ensure(ctx, twin) and _is_alike(steady, state, twin, others, taken):
                    levels[3] = 1
                    reach = max(reach, (levels[0] >> 32) + taken + steady[6 * state + 3])
            while source < old.size and old[source] < i:
                source += 3
            continue
        if i >= levels[4 * depth + 2]:
            depth -= 1
            continue
        at, twin = levels[4 * depth], levels[4 * depth + 1]
        state, characters = at & 0xFFFFFFFF, at >> 32
        end = _i4(tend, i)
        # items of the other state that lie between the nodes visited stay
        while source < old.size and old[source] < i:
            items = _put_item(out, items, old[source], old[source + 1], old[source + 2])
            source += 3
        if _u1(tmost, i) <= horizon:
            i = end
            continue
        if limit == NO_LIMIT:
            groups, taken = tsig[i], _u1(tmost, i) - _u1(tchars, i) + 1
            loops = groups & ~steady[6 * state] == 0
            most = steady[6 * state + 2]
            is_free = groups & ~steady[6 * state + 1] == 0 and taken <= most and not measured
            if loops:
                reach = max(reach, characters + taken + _i4(need, state))
            elif is_free:
                reach = max(reach, characters + taken + steady[6 * state + 3])
            if twin == state:
                i = end
                continue
            if levels[4 * depth + 3] == 2 and groups & leads == 0:
                i = end
                continue
            if twin >= 0:
                # beside what both take there may be what neither does
                both = steady[6 * state] & steady[6 * twin] | never
                if groups & ~both == 0 and (not measured or _i4(need, state) == _i4(need, twin)):
                    reach = max(reach, characters + taken + _i4(need, state))
                    i = end
                    continue
                both = steady[6 * state + 1] & steady[6 * twin + 1] | never
                if groups & ~both == 0 and not measured and taken <= min(most, steady[6 * twin + 2]):
                    reach = max(reach, characters + taken + steady[6 * state + 3])
                    i = end
                    continue
                strict = steady[6 * state + 4] & steady[6 * twin + 4] | steady[6 * state + 5] & steady[6 * twin + 5]
                strict |= never
                if groups & ~strict == 0 and high < 0 and taken <= steady[6 * twin + 2]:
                    if taken <= most or _u1(tmost, i) < 255:
                        # what the other state takes, but no more characters than `most`
                        reach = max(reach, characters + min(taken, most) + steady[6 * state + 3])
                        if taken > most:
                            for j in range(i, end):
                                if _u1(tchars, j) - _u1(tchars, i) + 1 > most:
                                    _forbid_below(row, needs, j, j + 1, ttok, dup)
                            differs = 1
                        i = end
                        continue
            # characters that change nothing that matters: the sub-trie needs no stepping
            unstepped = False
            if loops:
                unstepped = high < 0 or characters + taken + _i4(need, state) <= high
                if unstepped and measured:
                    due = characters + 1 + _i4(need, state) - _u1(tchars, i)
                    for j in range(i, end):
                        if _i4(ttok, j) >= 0:
                            _demand(needs, _i4(ttok, j), due + _u1(tchars, j), dup)
            else:
                unstepped = is_free and high < 0
            if unstepped:
                _allow_below(row, i, end, ttok, dup)
                differs = 1
                while source < old.size and old[source] < end:
                    source += 3
                i = end
                continue
        b = _u1(tbyte, i)
        following = _i4(trans, state * 256 + b)
        partner = _i4(trans, twin * 256 + b) if twin >= 0 else np.int64(-1)
        if following == -2 and _ensure(ctx, state):
            following = _i4(trans, state * 256 + b)
        if partner == -2 and _ensure(ctx, twin):
            partner = _i4(trans, twin * 256 + b)
        if following == -2 or partner == -2:
            if 4 * made + 3 < holes.size:
                holes[4 * made], holes[4 * made + 1], holes[4 * made + 2], holes[4 * made + 3] = i, end, at, twin
            made += 1
            while source < old.size and old[source] < end:
                source += 3
            i = end
            continue
        ends, fits, final = False, False, False
        if following >= 0:
            word = _i4(info, following)
            final = word & FINAL != 0
            if word & BOUNDARY and not final:
                characters += 1
            ends = word & LABEL != 0 and characters >= low
            fits = final or high < 0 or characters + _i4(need, following) <= high
            fits = fits and (ends or not final)
        if not fits:
            if partner >= 0:
                _forbid_below(row, needs, i, end, ttok, dup)
                differs = 1
                while source < old.size and old[source] < end:
                    source += 3
            i = end
            continue
        token = _i4(ttok, i)
        reach = max(reach, characters + (0 if final else _i4(need, following)))
        if token >= 0 and (limit == NO_LIMIT or _i4(dist, 3 * following) <= limit):
            _allow(row, token, dup)
            if measured:
                due = characters + (0 if final else _i4(need, following))
                if twin >= 0 and needs[token] != due:
                    differs = 1
                _demand(needs, token, due, dup)
        label, end_word = np.int64(-1), characters | ((1 << 30) if final else 0)
        if ends:
            label = (_i4(info, following) & LABEL) - 1
            items = _put_item(out, items, i, label, end_word)
        if twin >= 0:
            # did the other state end here, and in the same way?
            before = np.int64(-1)
            if source < old.size and old[source] == i:
                before = np.int64(old[source + 1])
                if old[source + 2] != end_word:
                    differs = 1
                source += 3
            if before != label or partner < 0:
                differs = 1
        if partner >= 0 and _i4(info, partner) & FINAL:
            partner = np.int64(-1)
        if end > i + 1:
            if not final:
                if not _ensure(ctx, following) or (partner >= 0 and not _ensure(ctx, partner)):
                    # all nodes of the level lack the same row: one hole
                    if 4 * made + 3 < holes.size:
                        holes[4 * made], holes[4 * made + 1] = i + 1, end
                        holes[4 * made + 2], holes[4 * made + 3] = following | (characters << 32), partner
                    made += 1
                    while source < old.size and old[source] < end:
                        source += 3
                    i = end
                    continue
                if partner == following and limit == NO_LIMIT:
                    i = end
                    continue
                depth += 1
                level = 4 * depth
                levels[level], levels[level + 1] = following | (characters << 32), partner
                levels[level + 2], levels[level + 3] = end, 0
                if levels[level - 1] == 2 and following == q and (steady[6 * q] >> _u1(group, b)) & 1:
                    levels[level + 3] = 2
                if partner >= 0 and limit == NO_LIMIT and not measured:
                    taken = np.int64(_u1(tmost, i) - _u1(tchars, i))
                    if _is_alike(steady, following, partner, others, taken):
                        levels[level + 3] = 1
                        reach = max(reach, characters + taken + steady[6 * following + 3])
                i += 1
                continue
            if partner >= 0:
                _forbid_below(row, needs, i + 1, end, ttok, dup)
                differs = 1
                while source < old.size and old[source] < end:
                    source += 3
        i = end
    progress[0], progress[1], progress[2], progress[4] = items, differs, reach, made
    return items


@kernel
def cut(address, needs: U16, items: I32, low, high, row: I32, out: I32):
    """Row and frontier of a state with low..high characters to come (high -1: any), from those without bounds.

    needs, items [n, 3], row: as `tier1` made them, row to be changed. Writes the items that remain to `out` [n, 3];
    returns their number.
    """
    ctx = _context(address)
    ttok, dup = _i32(ctx, TTOK), _i32(ctx, TDUP)
    if high >= 0:
        for w in range(row.size):
            if row[w] != 0:
                bits = np.int64(0)
                for b in range(32):
                    bits |= np.int64(needs[32 * w + b] <= high) << b
                row[w] = np.int32(bits)
    kept = 0
    for k in range(items.size // 3):
        characters = items[3 * k + 2] & 0xFFFFFF
        if characters < low and items[3 * k + 2] >> 30:
            token = _i4(ttok, items[3 * k])
            while token >= 0:
                row[token >> 5] &= ~(np.int32(1) << np.int32(token & 31))
                token = _i4(dup, token)
        if characters >= low and (high < 0 or characters <= high):
            out[3 * kept], out[3 * kept + 1], out[3 * kept + 2] = items[3 * k], items[3 * k + 1], items[3 * k + 2]
            kept += 1
    return kept


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
    """Write node and label of each item [n, 3] to `out` [n, 2]: those with children first, by label, then the others.

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
    -1: too little room.
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
    if mbyte.size < 1 or mtok.size < 2:
        return -1
    mbyte[0] = 0
    mtok[0], mtok[1] = listed, 0
    nodes = 1
    low = np.int64(0) if whole else used
    children = np.int64(0) if whole else used
    for k in range(children):
        x = pool[k]
        y = x + 1
        while y < _i4(tend, x):
            if used >= pool.size:
                return -1
            pool[used] = y
            used += 1
            y = _i4(tend, y)
    if not _sort_by_byte(pool, low, used, tbyte):
        return -1
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
        if nodes >= mbyte.size or 2 * nodes + 1 >= mtok.size or at + 8 > room:
            return -1
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
            y = pool[k] + 1
            while y < _i4(tend, pool[k]):
                if used >= pool.size:
                    return -1
                pool[used] = y
                used += 1
                y = _i4(tend, y)
        if not _sort_by_byte(pool, low, used, tbyte):
            return -1
        depth += 1
        work[at + 4], work[at + 5], work[at + 6], work[at + 7] = low, used, nodes, low
        nodes += 1


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


@kernel
def copy_row(address, row: I32):
    """Write `row` to the packed row at an address."""
    store = carray(_pointer32(address), (row.size,))
    for w in range(row.size):
        store[w] = row[w]
    return 0


@kernel
def rehash(keys: I64, values: I64, new_keys: I64, new_values: I64):
    """Move the entries of one open-addressing table into a larger one (sizes are powers of two)."""
    from_size = keys.size
    for i in range(from_size):
        if keys[i] != 0:
            place = _slot(new_keys, keys[i])
            new_keys[place] = keys[i]
            new_values[place] = values[i]
    return 0


@kernel
def insert(keys: I64, values: I64, key, value):
    """Enter one key; the value first, so that a reader on another thread never sees a key without its value."""
    place = _slot(keys, key)
    values[place] = value
    keys[place] = key
    return 0


@kernel
def enter(keys: I64, values: I64, q, low, high, limit, value):
    """Enter an entry's number; the value first, so that a reader on another thread never sees a key without it."""
    key = _entry_key(q, low, high, limit)
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
