"""Tier 1: the tokens that one terminal state can spell, and the trie nodes where the terminal ends.

One pass over the vocabulary trie under one terminal state, 4 to 6 ns a node, once per state and vocabulary.
"""

from __future__ import annotations

from grammars.kernels.cache import inner, kernel
from grammars.kernels.frames import _context, _i4, _i32, _u1, _u8
from grammars.kernels.layout import *
from grammars.kernels.masks import _allow


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
def tier1(address, q, low, high, row, out, levels):
    """Fill `row` (int32[W]) with the tokens of state q, `out` (int32) with the frontier: (node, label) pairs.

    low, high: characters still due and still allowed (high -1: no limit). `levels`: int64[2 * (longest + 2)].
    Returns the number of frontier items; or -1 - k when k states' rows are missing: they are listed in `out`, nothing
    else is valid, and the caller computes them and calls again. Items may exceed out.size: call again with more room.
    """
    ctx = _context(address)
    trans, info = _i32(ctx, TRANS), _i32(ctx, INFO)
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
            if _i4(ttok, i) >= 0:
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
    place = _hash(key) & (keys.size - 1)
    while keys[place] != 0 and keys[place] != key:
        place = (place + 1) & (keys.size - 1)
    return place


@inner
def _hash(key):
    h = key * -7046029254386353131
    return h ^ ((h >> 29) & 0x7FFFFFFFF)
