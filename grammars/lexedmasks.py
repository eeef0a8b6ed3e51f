"""Tier 1 for the terminals of a lexer: of each state one walk of the vocabulary, whichever terminals can come.

Beside `terminalmasks`, which asks here for entries of lexed states. A `Base` is what the walk under a component with
all its terminals found (`kernels.lexed`): of each token a kind, which is a set of terminals that it can become; and by
label the tries below the ends. An entry for a set of terminals that can come takes from it the kinds and labels that
meet the set: 0.1 ms where the walk takes 1 ms, and what the parser expects differs all the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grammars.cfg.terminals import LexTerminal
from grammars.kernels.lexed import alive_row, lexed

if TYPE_CHECKING:
    from grammars.cfg.terminals import Piece
    from grammars.terminalmasks import Tier1

__all__ = ["Lexed"]

_KEPT = 64  # bases: a quarter of a megabyte each
_LARGE = 1500  # nodes below the end of a terminal: from there on they have entries of their own


@dataclass
class Base:
    """What a state of a component makes of the vocabulary below one node."""

    marks: npt.NDArray[np.uint16]  # of each token its kind + 1, 0: dead
    kinds: list[int]  # those that occur
    roots: list[tuple[int, list[int]]]  # label, tries below its ends: merged, or -1 - node
    entries: dict[tuple[bytes, int], int] = field(default_factory=dict)


class Lexed:
    """The bases of a vocabulary and a store, and entries made from them."""

    def __init__(self, tier1: Tier1) -> None:
        self._tier1 = tier1
        self._bases: dict[tuple[int, int, int], Base] = {}
        self._tries: dict[bytes, int] = {}
        self._blocked: dict[int, npt.NDArray[np.uint8]] = {}
        self._out = np.zeros(1 << 14, np.int32)
        self._work, self._holes = np.zeros(3 << 12, np.int64), np.zeros(3 << 12, np.int64)
        self._progress = np.zeros(3, np.int64)
        self._kinds, self._counted = np.zeros(256, np.uint16), 0

    @property
    def nbytes(self) -> int:
        """Bytes of the bases."""
        return sum(base.marks.nbytes for base in list(self._bases.values()))

    def entry(self, q: int, node: int) -> int:
        """Number of the entry of state q below a node of the vocabulary (0: all of it)."""
        store = self._tier1.store
        terminal, place = store.owner_of(q), store.place_of(q)
        piece: Piece = terminal.piece
        base = self._base(piece, place, node)
        viable = terminal.viable & piece.become(place)
        alive = np.zeros(len(piece.kinds) + 1, np.uint8)
        for kind in base.kinds:
            alive[kind + 1] = piece.kinds[kind] & viable != 0
        roots = [(label, root) for label, below in base.roots if piece.ways[label] & viable for root in below]
        key = alive.tobytes().rstrip(b"\0"), hash(tuple(roots))
        known = base.entries.get(key)
        if known is None:
            row = np.zeros(self._tier1.words, np.int32)
            alive_row(base.marks, alive, row)
            known = base.entries[key] = self._tier1.enter_lexed(row, roots)
        return known

    def _base(self, piece: Piece, place: int, node: int) -> Base:
        found = self._bases.pop((piece.serial, place, node), None)
        if found is None:
            found = self._walk(piece, place, node)
        self._bases[piece.serial, place, node] = found
        while len(self._bases) > _KEPT:
            del self._bases[next(iter(self._bases))]
        return found

    def _walk(self, piece: Piece, place: int, node: int) -> Base:
        tier1 = self._tier1
        store = tier1.store
        q = store.state_of(LexTerminal(piece, piece.become(place), place), place)
        store.fill(q)
        marks, seen = np.zeros(32 * tier1.words, np.uint16), np.zeros(len(piece.kinds) + 1, np.uint8)
        large = _LARGE if piece.alone else len(tier1.trie_end)
        fresh = True
        while True:
            kinds, blocked = self._kinds_of_states(), self._bytes_blocked(piece)
            if fresh or len(seen) <= len(piece.kinds):
                marks[:] = 0
                seen = np.zeros(len(piece.kinds) + 65, np.uint8)
                self._progress[:] = 0, 1, 0
                self._work[:3] = node + 1, tier1.trie_end[node], q
                fresh = False
            buffers = self._out, tier1.levels, self._work, self._holes, self._progress
            found = int(lexed(tier1.pointed(), kinds, blocked, large, marks, seen, *buffers))
            holes = int(self._progress[2])
            if 3 * holes > self._holes.size:
                self._work, self._holes = (np.zeros(6 * holes, np.int64) for _ in range(2))
                fresh = True
            elif holes:
                for state in sorted(set(self._holes[2 : 3 * holes : 3].tolist())):
                    store.fill(state)
                self._progress[1] = holes
                self._work, self._holes = self._holes, self._work
            elif 2 * found > self._out.size:
                self._out = np.zeros(4 * found, np.int32)
                fresh = True
            else:
                break
        occurring = np.flatnonzero(seen[1:]).tolist()
        return Base(marks, occurring, self._roots(self._out[: 2 * found].reshape(found, 2)))

    def _kinds_of_states(self) -> npt.NDArray[np.uint16]:
        """Of each lexed state of the store the number of its kind, and 1."""
        store = self._tier1.store
        kinds, known = self._kinds, self._counted
        if len(store) > kinds.size:
            self._kinds = np.zeros(2 * len(store), np.uint16)
            self._kinds[:known] = kinds[:known]
            kinds = self._kinds
        for state in range(known, len(store)):
            terminal = store.owner_of(state)
            if isinstance(terminal, LexTerminal):
                kinds[state] = terminal.piece.kind(store.place_of(state)) + 1
        self._counted = len(store)
        return kinds

    def _bytes_blocked(self, piece: Piece) -> npt.NDArray[np.uint8]:
        """Of each label the bytes that cannot follow it, flat."""
        known = self._blocked.get(piece.serial)
        done = 0 if known is None else len(known) >> 8
        if known is None or done < len(piece.labels):
            found = np.zeros((max(1, len(piece.labels)), 256), np.uint8)
            if known is not None:
                found[:done] = known.reshape(-1, 256)
            for label in range(done, len(piece.labels)):
                own = piece.blocked(label)
                if own is not None:
                    found[label] = own
            known = self._blocked[piece.serial] = found.reshape(-1)
        return known

    def _roots(self, items: npt.NDArray[np.int32]) -> list[tuple[int, list[int]]]:
        """By label the tries below the ends."""
        roots = []
        for label in np.unique(items[:, 0]).tolist():
            nodes = items[items[:, 0] == label, 1]
            below = nodes[nodes < 0].tolist()
            small = np.sort(nodes[nodes >= 0])
            if len(small):
                key = blake2b(small.data, digest_size=16).digest()
                root = self._tries.get(key)
                if root is None:
                    root = self._tries[key] = self._tier1.merged(small)
                below.append(root)
            roots.append((label, below))
        return roots
