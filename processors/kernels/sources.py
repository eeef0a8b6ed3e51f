"""Which row of the call before does each row go on from: compares of id sequences, no hashing, no guessing.

    array    dtype  shape   meaning
    ids      int64  [R, L]  the sequences of this call
    known    int64  [K, *]  those of the call before, valid up to `known_length`
    source   int64  [R]     row of `known` that shares the longest prefix
    common   int64  [R]     length of that prefix

Cost: about 0.25 ns an id and row where rows keep their places, twice that for permuted beams.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["common_prefix", "find_sources"]

Ids = npt.NDArray[np.int64]

_CHUNK = 64


@numba.njit(cache=True, nogil=True)
def common_prefix(a: Ids, b: Ids, limit: int) -> int:
    """Length of the longest common prefix of a[:limit] and b[:limit]; whole chunks are compared without a branch."""
    at = 0
    while at + _CHUNK <= limit:
        different = np.int64(0)
        left, right = a[at : at + _CHUNK], b[at : at + _CHUNK]
        for i in range(_CHUNK):
            different |= left[i] ^ right[i]
        if different != 0:
            break
        at += _CHUNK
    while at < limit and a[at] == b[at]:
        at += 1
    return at


@numba.njit(cache=True, nogil=True)
def find_sources(ids: Ids, known: Ids, known_length: int, blocks: int, source: Ids, common: Ids) -> int:
    """For each row of `ids` [R, L] the row of `known` [K, *] that shares the longest prefix with it.

    Only rows of the same block are looked at: row r belongs to block r // (R // blocks), and so do known rows. The
    row's own number is tried first, and the first one that leaves at most one new id is taken. Writes `source` and
    `common` (int64 [R]) and gives the least of the common lengths and whether every row kept its place:
    least * 2 + 1 if so, else least * 2.
    """
    rows, length = ids.shape
    size, known_size = rows // blocks, known.shape[0] // blocks
    limit = min(length, known_length)
    enough = min(limit, length - 1)
    least = length
    in_place = rows == known.shape[0]
    for r in range(rows):
        block = r // size
        best, chosen = -1, 0
        own = block * known_size + min(r - block * size, known_size - 1)
        for k in range(-1, known_size):
            s = own if k < 0 else block * known_size + k
            shared = common_prefix(ids[r], known[s], limit)
            if shared > best:
                best, chosen = shared, s
            if best >= enough:
                break
        # A shorter match in another place may be longer by one id, the draft's own next one; both give one state.
        source[r], common[r] = chosen, best
        in_place = in_place and chosen == r
        least = min(least, best)
    return least * 2 + in_place
