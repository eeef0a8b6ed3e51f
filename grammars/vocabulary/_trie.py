"""Byte strings to a trie in flat preorder arrays; numpy only, no loop over tokens.

Sits between the readers (which give every token as a slice of one blob of bytes) and `Vocabulary`. The idea: sort
the tokens; a token then opens exactly `length - lcp` new nodes, where `lcp` is what it shares with the token before
it, and those nodes are consecutive in preorder. So node numbers are one cumulative sum, bytes and depths one gather.

Layout: N nodes, node 0 is the root, children of a node in ascending byte order
array    dtype   meaning                             invariant
byte     uint8   byte on the edge into node i        siblings ascend strictly
end      int32   first node after the subtree of i   i < end[i] <= N; skip a subtree: i = end[i]
token    int32   lowest token spelled by the path    -1: none
parent   int32   parent of node i                    parent[i] < i; -1 for the root
depth    int32   length of the path to i             depth[i] = depth[parent[i]] + 1
dup_next int32   [size] next token, same bytes       ascending ids; -1: none

Rejected: a dict of dicts takes seven times as long (and gives no arrays yet). A numba loop over the sorted tokens
would have to be compiled just when a vocabulary is built, the first time in a tokenizer's life.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["TrieArrays", "build_trie"]

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]


class TrieArrays(NamedTuple):
    """The arrays of the table above."""

    byte: UInt8
    end: Int32
    token: Int32
    parent: Int32
    depth: Int32
    dup_next: Int32


def build_trie(data: UInt8, offsets: Int64, size: int) -> TrieArrays:
    """Trie over the non-empty tokens `data[offsets[i]:offsets[i + 1]]`; `dup_next` gets `size` entries.

    Cost: a sort of the tokens and about ten passes over the nodes.
    """
    ids = _sorted_ids(data, offsets)
    starts, lengths = offsets[ids], offsets[ids + 1] - offsets[ids]
    shared = _shared_prefixes(data, starts, lengths)

    opened = lengths - shared  # 0: same bytes as the token before it
    first = np.cumsum(opened) - opened + 1  # the first node that a token opens; the root is 0
    count = int(opened.sum()) + 1
    owner = np.repeat(np.arange(len(ids)), opened)  # the token that opened node i + 1
    within = np.arange(1, count) - first[owner]  # how far into that token's own nodes
    depth = np.zeros(count, dtype=np.int32)
    depth[1:] = within + shared[owner] + 1
    byte = np.zeros(count, dtype=np.uint8)
    byte[1:] = data[starts[owner] + depth[1:] - 1]

    token = np.full(count, -1, dtype=np.int32)
    dup_next = np.full(size, -1, dtype=np.int32)
    if len(ids):
        last = first + opened - 1  # where the path of a distinct token ends
        distinct = opened > 0
        token[last[distinct]] = ids[distinct]
        again = np.flatnonzero(~distinct)
        dup_next[ids[again - 1]] = ids[again]  # the sort is stable: equal bytes stand in order of their ids

    parent = _parents(depth)
    return TrieArrays(byte, _ends(parent, depth), token, parent, depth, dup_next)


def _sorted_ids(data: UInt8, offsets: Int64) -> Int64:
    """Ids of the non-empty tokens, by their bytes, equal bytes by id.

    Eight bytes at a time, from the last to the first: `rank` is the place of a token's rest from byte 8 k on among
    all such rests. Most tokens have one such word, so the passes before the last are short. (Less than
    half the time of `sorted` on byte strings.)
    """
    lengths = np.diff(offsets)
    padded = np.concatenate([data, np.zeros(8, dtype=np.uint8)])
    words_at = np.ndarray((len(data) + 1,), dtype=">u8", buffer=padded, strides=(1,))  # a word from every byte on
    rank = np.zeros(len(lengths), dtype=np.int64)  # 0: nothing left
    ids = np.flatnonzero(lengths)
    for k in range((int(lengths.max(initial=0)) - 1) // 8, -1, -1):
        ids = np.flatnonzero(lengths > 8 * k)
        word = words_at[offsets[ids] + 8 * k].astype(np.uint64)
        here = np.minimum(lengths[ids] - 8 * k, 8)
        cut = (8 * (8 - here)).astype(np.uint64)
        word = (word >> cut) << cut
        rest = here + rank[ids]  # after equal words a shorter token comes first (it ends in zeros), then by the rest
        order = np.lexsort((rest, word))
        ids, word, rest = ids[order], word[order], rest[order]
        new = np.ones(len(ids), dtype=np.int64)
        new[1:] = (word[1:] != word[:-1]) | (rest[1:] != rest[:-1])
        rank[ids] = np.cumsum(new)
    return ids


def _shared_prefixes(data: UInt8, starts: Int64, lengths: Int64) -> Int64:
    """Length of the longest common prefix of each token with the one before it (0 for the first)."""
    shared = np.zeros(len(starts), dtype=np.int64)
    alive = np.arange(1, len(starts))  # tokens still equal to their predecessor after `k` bytes
    k = 0
    while len(alive):
        alive = alive[(lengths[alive] > k) & (lengths[alive - 1] > k)]
        alive = alive[data[starts[alive] + k] == data[starts[alive - 1] + k]]
        k += 1
        shared[alive] = k
    return shared


def _parents(depth: Int32) -> Int32:
    """The parent of a node is the last node before it that is one level higher."""
    count = len(depth)
    nodes = np.arange(count, dtype=np.int64)
    parent = (nodes - 1).astype(np.int32)  # right wherever a path only grows
    jumps = np.flatnonzero(depth[1:] != depth[:-1] + 1) + 1
    if len(jumps):
        key = depth.astype(np.int64) * count + nodes
        key.sort()
        above = np.searchsorted(key, (depth[jumps].astype(np.int64) - 1) * count + jumps) - 1
        parent[jumps] = key[above] % count
    return parent


def _ends(parent: Int32, depth: Int32) -> Int32:
    """A subtree ends where that of its last child ends; deepest level first."""
    count = len(depth)
    end = np.arange(1, count + 1, dtype=np.int32)
    by_level = np.argsort(depth, kind="stable")
    bounds = np.searchsorted(depth[by_level], np.arange(int(depth.max()) + 2))
    for level in range(len(bounds) - 2, 0, -1):
        nodes = by_level[bounds[level] : bounds[level + 1]]
        np.maximum.at(end, parent[nodes], end[nodes])
    return end
