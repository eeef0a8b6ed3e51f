"""Tier 1 of a lexer's component: one walk of the vocabulary for all sets of terminals that can come.

A lexer's terminals compete, so a name under way may still become a keyword; which of them the parser takes next differs
from text to text. So the walk goes under the component with all its terminals and marks each token with the state that
it ends in. A row is then the tokens whose states can become one of the terminals that can come: one pass over the
tokens. What follows the terminals' ends does not depend on the set at all.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner, kernel
from grammars.kernels.frames import _context, _i32, _i64, _u8
from grammars.kernels.layout import *
from grammars.kernels.pointers import I32, I64, U8, U16, _i4, _u1


@inner
def _mark_tokens(marks, listed, count, token, kind, dup):
    while token >= 0:
        marks[token] = kind
        if count < listed.size:
            listed[count] = token
        count += 1
        token = _i4(dup, token)
    return count


@inner
def _put_pair(out, items, label, node):
    if 2 * items + 1 < out.size:
        out[2 * items], out[2 * items + 1] = label, node
    return items + 1


@kernel
def lexed(
    address, kinds: U16, blocked: U8, large, marks: U16, listed: I32, seen: U8, out: I32, levels: I64, work: I64,
    holes: I64, progress: I64,
):  # fmt: skip
    """Write for each token the kind of the state that it ends in to `marks` (uint16[32 W], zero before), and what comes
    below the nodes where a terminal ends to `out` (int32[n, 2]: label, node). `kinds`: of each state; `seen`: of each
    kind whether it occurs; `listed` (int32[n]): the tokens that are marked, as far as there is room.

    A node there is a child of one where the terminal ends, by a byte that may follow the label: `blocked` (uint8[L *
    256]) has 1 where it may not. Where more than `large` nodes lie below such children, -1 - the parent instead.
    work: int64[n, 3], stretches of the trie: first node, end, state before it. holes: as `work`, becomes the stretches
    whose state lacks its row: compute the rows and call again with these as work. progress: int64[4]: items, stretches
    in `work`, and becomes the stretches in `holes`; where these have no room, nothing is valid: begin anew with more;
    tokens marked.
    levels: int64[2 * (longest + 2)]. Returns the number of items; where they exceed `out`: begin anew with more room.
    """
    ctx = _context(address)
    trans, info = _i32(ctx, TRANS), _i32(ctx, INFO)
    tbyte, tend, ttok, dup = _u8(ctx, TBYTE), _i32(ctx, TEND), _i32(ctx, TTOK), _i32(ctx, TDUP)
    tsig, steady = _i64(ctx, TSIG), _i64(ctx, STEADY)
    items, depth, done, made, i = progress[0], 0, 0, 0, np.int64(0)
    count = progress[3]
    levels[1] = 0
    while True:
        if depth == 0 and i >= levels[1]:
            if done == progress[1]:
                break
            i, levels[1], levels[0] = work[3 * done], work[3 * done + 1], work[3 * done + 2]
            done += 1
            continue
        if i >= levels[2 * depth + 1]:
            depth -= 1
            continue
        state = levels[2 * depth]
        end = np.int64(_i4(tend, i))
        if tsig[i] & ~steady[6 * state] == 0:
            # characters that change nothing, and after which nothing else may come: no stepping
            kind = np.int64(kinds[state])
            for j in range(i, end):
                token = np.int64(_i4(ttok, j))
                if token >= 0:
                    seen[kind] = 1
                    count = _mark_tokens(marks, listed, count, token, kind, dup)
            i = end
            continue
        s = np.int64(_i4(trans, state * 256 + _u1(tbyte, i)))
        if s < 0:
            i = end
            continue
        word = _i4(info, s)
        if _i4(ttok, i) >= 0:
            seen[kinds[s]] = 1
            count = _mark_tokens(marks, listed, count, np.int64(_i4(ttok, i)), np.int64(kinds[s]), dup)
        if end == i + 1:
            i = end
            continue
        label = (word & LABEL) - 1
        if label >= 0:
            own = 256 * label
            below = np.int64(0)
            j = i + 1
            if end - i > large:
                while j < end:
                    if blocked[own + _u1(tbyte, j)] == 0:
                        below += _i4(tend, j) - j
                    j = np.int64(_i4(tend, j))
            if below > large:
                items = _put_pair(out, items, label, -1 - i)
            else:
                j = i + 1
                while j < end:
                    if blocked[own + _u1(tbyte, j)] == 0:
                        items = _put_pair(out, items, label, j)
                    j = np.int64(_i4(tend, j))
        if word & FINAL:
            i = end
            continue
        if _i4(trans, s * 256) == -2:
            if 3 * made + 2 < holes.size:
                holes[3 * made], holes[3 * made + 1], holes[3 * made + 2] = i + 1, end, s
            made += 1
            i = end
            continue
        depth += 1
        levels[2 * depth], levels[2 * depth + 1] = s, end
        i += 1
    progress[0], progress[2], progress[3] = items, made, count
    return items


@kernel
def alive_row(marks: U16, alive: U8, row: I32):
    """Pack the row of the tokens whose mark (uint16[32 W]) is alive (uint8 by mark)."""
    for w in range(row.size):
        bits = np.int64(0)
        for b in range(32):
            bits |= np.int64(alive[marks[32 * w + b]]) << b
        row[w] = np.int32(bits)
    return 0


@kernel
def alive_tokens(tokens: I32, marks: U16, alive: U8, row: I32):
    """As `alive_row`, of few tokens: `marks` (uint16[n]) are those of `tokens` (int32[n]); row: zero before."""
    for k in range(tokens.size):
        token = tokens[k]
        row[token >> 5] |= np.int32(alive[marks[k]]) << np.int32(token & 31)
    return 0
