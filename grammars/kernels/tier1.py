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
from grammars.kernels.pointers import I32, I64, U16, _i4, _pointer32, _pointer64, _u1, carray
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
def _below(tmost, tchars, i, longest):
    """A bound on the characters that begin below node i: of 255 and more the trie does not tell, and the bytes of the
    longest token are one."""
    return longest if _u1(tmost, i) == 255 else np.int64(_u1(tmost, i) - _u1(tchars, i))


@inner
def _leads(trans, group, q, loops):
    """Groups of bytes of which some are alive in state q, but for those that leave it as it is."""
    leads = np.int64(0)
    for b in range(256):
        if _i4(trans, 256 * q + b) >= 0:
            # what begins within a character is no UTF-8 by itself
            leads |= np.int64(1) << _u1(group, 255 if 0x80 <= b < 0xC0 else b)
    if _i4(trans, 256 * q + 0xE2) >= 0:
        leads |= np.int64(1) << _u1(group, 0x80)  # U+2028 begins so too
    return leads & ~loops


@inner
def _scan(ctx, loops, due, row, needs):
    """Allow the tokens that are made of the groups `loops` alone, which leave a state as it is. The characters that any
    of them takes and leaves due, `due` being those of the state; of 255 and more the walk finds out how many."""
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
    work, all else as it is. progress: int64[8]: becomes the number of items; whether anything differs from `like`; a
    bound on what any token takes and leaves due (of what is not taken over from `like`); [3] is the number of stretches
    in `work`, and [4] becomes that in `holes`; if it has no room for them, nothing is valid: compute and begin anew.
    [5]: 1: a whole walk of a state without label; 2: which some groups leave as it is, so that each token is looked at
    by itself first; becomes 0, for later calls; 0: else. [6] and [7] become the highest label of an item, and the most
    characters, each with one added (0: no items).
    An item: node, label, characters (and bit 30 where the terminal cannot go on), in order of nodes where there was no
    second call. Returns the number of items. They may exceed out.size: begin anew with more room.
    """
    ctx = _context(address)
    trans, info, dist, need = _i32(ctx, TRANS), _i32(ctx, INFO), _i32(ctx, DIST), _i32(ctx, NEED)
    tbyte, tend, ttok, dup = _u8(ctx, TBYTE), _i32(ctx, TEND), _i32(ctx, TTOK), _i32(ctx, TDUP)
    tchars, tmost = _u8(ctx, TCHARS), _u8(ctx, TMOST)
    tsig, steady = _i64(ctx, TSIG), _i64(ctx, STEADY)
    measured = needs.size > 0
    # groups that may lead elsewhere: of tokens without any of them one look at each has told all (`_scan`), or they are
    # dead
    group, leads, scanned = _u8(ctx, GROUP), np.int64(0), progress[5]
    if scanned:
        leads = _leads(trans, group, q, steady[6 * q])
        progress[5] = 0
        if scanned == 2:
            progress[2] = max(progress[2], _scan(ctx, steady[6 * q], _i4(need, q), row, needs))
    items, source, differs, reach = progress[0], 0, progress[1], progress[2]
    depth, done, made, i = 0, 0, 0, np.int64(0)
    levels[2], levels[3] = 0, 0
    tnext = _i32(ctx, TNEXT)
    others = ctx[S_USUAL] & ~never
    longest, counted_all = ctx[S_LONGEST], _u1(tmost, 0) < 255
    jumps = counted_all and leads & ctx[S_USUAL] == 0
    # up to here lies what begins with a byte that leaves q as it is, while others of its group do not
    unsure = np.int64(0)
    counted = np.int64(_i4(info, q) & BOUNDARY != 0)
    while True:
        # a level: terminal state and characters (packed), the other state (-1: dead), end of the subtree; 1: only
        # sub-tries with quoting in them can make a difference, 2: nothing but what leaves q as it is was read so far
        if levels[4 * depth + 3] == 1 or (levels[4 * depth + 3] == 2 and jumps and i >= unsure):
            i = min(np.int64(_i4(tnext, i)), levels[4 * depth + 2])
        if depth == 0 and i >= levels[2]:
            while source < old.size and old[source] < i:
                items = _put_item(out, items, old[source], old[source + 1], old[source + 2])
                source += 3
            if done == progress[3]:
                break
            i, levels[2] = work[4 * done], work[4 * done + 1]
            levels[0], levels[1], levels[3] = work[4 * done + 2], work[4 * done + 3], 2 if scanned else 0
            done += 1
            if levels[1] >= 0 and limit == NO_LIMIT and not measured:
                state, twin = levels[0] & 0xFFFFFFFF, levels[1]
                taken = _below(tmost, tchars, np.int64(0), longest)
                if _ensure(ctx, state) and _ensure(ctx, twin) and _is_alike(steady, state, twin, others, taken):
                    levels[3] = 1
                    reach = max(reach, (levels[0] >> 32) + taken + steady[6 * state + 3])
            while source < old.size and old[source] < i:
                source += 3
            continue
        if depth == 0 and levels[3] == 2 and counted_all:
            # as long as bytes leave state q as it is no level is entered
            most = np.int64(-1)
            while i < levels[2]:
                if i >= unsure:
                    if jumps:
                        i = min(np.int64(_i4(tnext, i)), levels[2])
                        if i == levels[2]:
                            break
                    if tsig[i] & leads == 0:
                        i = np.int64(_i4(tend, i))
                        continue
                b = _u1(tbyte, i)
                following = _i4(trans, 256 * q + b)
                if following == q and not 0x80 <= b < 0xC0:  # of the trie's characters those begin none
                    token = _i4(ttok, i)
                    most = max(most, counted * _u1(tchars, i))
                    if (steady[6 * q] >> _u1(group, b)) & 1 == 0:
                        unsure = max(unsure, np.int64(_i4(tend, i)))
                    if token >= 0:
                        _allow(row, token, dup)
                        if measured:
                            _demand(needs, token, counted * _u1(tchars, i) + _i4(need, q), dup)
                    i += 1
                elif following == -1:
                    i = np.int64(_i4(tend, i))
                else:
                    break
            if most >= 0:
                reach = max(reach, most + _i4(need, q))
            if i >= levels[2]:
                continue
            begun = 0 if 0x80 <= _u1(tbyte, i) < 0xC0 else 1
            levels[0] = q | (counted * (_u1(tchars, i) - begun) << 32)
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
        below = _below(tmost, tchars, i, longest)
        if _u1(tchars, i) + below <= horizon:
            i = end
            continue
        if limit == NO_LIMIT:
            groups, taken = tsig[i], below + 1
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
            if levels[4 * depth + 3] == 2 and groups & leads == 0 and i >= unsure and _u1(tmost, i) < 255:
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
                unstepped = unstepped and (not measured or _u1(tmost, i) < 255)
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
                    if _is_alike(steady, following, partner, others, below):
                        levels[level + 3] = 1
                        reach = max(reach, characters + below + steady[6 * following + 3])
                i += 1
                continue
            if partner >= 0:
                _forbid_below(row, needs, i + 1, end, ttok, dup)
                differs = 1
                while source < old.size and old[source] < end:
                    source += 3
        i = end
    progress[0], progress[1], progress[2], progress[4] = items, differs, reach, made
    labels, most = np.int64(0), np.int64(0)
    for k in range(min(items, out.size // 3)):
        labels, most = max(labels, out[3 * k + 1] + 1), max(most, (out[3 * k + 2] & 0xFFFFFF) + 1)
    progress[6], progress[7] = labels, most
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
