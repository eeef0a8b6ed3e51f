"""Literal tries as kernels read them, made from sorted words."""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import kernel
from grammars.kernels.pointers import I32, I64, U8

__all__ = ["write_trie"]


@kernel
def write_trie(
    symbols: I32, lengths: I32, values: I32, n, inside: U8, marked, number, base, edge_base, work: I64,
    states: I32, edges: I32,
):  # fmt: skip
    """Write the trie of n words to `states` and `edges` (see ST and EDGE in `layout`); how many states it has.

    The words are sorted and distinct: their `symbols` in a row, total of `lengths`. A word's value is its last state's.
    States are numbered from `base` on and edges, one less, from `edge_base`, words from `number`. `inside` has, if
    `marked`, for each word a flag more than symbols: whether the place lies between characters; else all do.
    work: int64[3 * (total + 1) + n]; states: int32[6 * (total + 1)]; edges: int32[2 * total].
    """
    total = np.int64(0)
    for i in range(n):
        total += lengths[i]
    starts = 3 * (total + 1)
    place = np.int64(0)
    for i in range(n):
        work[starts + i] = place
        place += lengths[i]
    # depth, first word and end of each state, in order of creation; children of a state are created together
    work[0], work[1], work[2] = 0, 0, n
    made, state = np.int64(1), np.int64(0)
    while state < made:
        depth, low, high = work[3 * state], work[3 * state + 1], work[3 * state + 2]
        payload, i, first = np.int64(-1), low, made - 1
        if lengths[low] == depth:
            payload = np.int64(values[low])
            i += 1
        while i < high:
            symbol = symbols[work[starts + i] + depth]
            j = i + 1
            while j < high and symbols[work[starts + j] + depth] == symbol:
                j += 1
            edges[2 * made - 2], edges[2 * made - 1] = symbol, base + made
            work[3 * made], work[3 * made + 1], work[3 * made + 2] = depth + 1, i, j
            made += 1
            i = j
        between = np.int64(inside[work[starts + low] + low + depth]) if marked else np.int64(1)
        at = 6 * state
        states[at], states[at + 1], states[at + 2] = edge_base + first, made - 1 - first, payload
        states[at + 3], states[at + 4], states[at + 5] = low + number, high + number, between | depth << 1
        state += 1
    return made
