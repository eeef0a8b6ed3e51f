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
from grammars.kernels.layout import FINAL
from grammars.kernels.lexed import alive_row, alive_tokens, lexed

if TYPE_CHECKING:
    from grammars.cfg.terminals import Piece
    from grammars.terminalmasks import Tier1

__all__ = ["Lexed"]

_KEPT = 64  # bases: a quarter of a megabyte each
_FEW = 4096  # tokens: up to so many a base lists them
_SMALL = 64  # states of a lexer: up to so many, the entries of all are made at once
_ADDED = 256  # states of the store for that; letters of all scripts have thousands
_LARGE = 1500  # nodes below the end of a terminal: from there on they have entries of their own


@dataclass
class Base:
    """What a state of a component makes of the vocabulary below one node."""

    tokens: npt.NDArray[np.int32] | None  # those that are not dead, where they are few; None: marks of all tokens
    marks: npt.NDArray[np.uint16]  # of each of them its kind + 1, 0: dead
    kinds: list[int]  # those that occur
    roots: list[tuple[int, list[int]]]  # label, tries below its ends: merged, or -1 - node
    entries: dict[tuple[bytes, int], int] = field(default_factory=dict)


class Lexed:
    """The bases of a vocabulary and a store, and entries made from them."""

    def __init__(self, tier1: Tier1) -> None:
        self._tier1 = tier1
        self._bases: dict[tuple[int, int, int], Base] = {}
        self._tries: dict[bytes, int] = {}
        self._roots_of: dict[bytes, list[tuple[int, list[int]]]] = {}
        self._ahead: set[int] = set()
        self._blocked: dict[int, npt.NDArray[np.uint8]] = {}
        self._out = np.zeros(1 << 14, np.int32)
        self._work, self._holes = np.zeros(3 << 12, np.int64), np.zeros(3 << 12, np.int64)
        self._progress = np.zeros(4, np.int64)
        self._marks, self._listed = np.zeros(32 * tier1.words, np.uint16), np.zeros(_FEW, np.int32)
        self._kinds, self._counted = np.zeros(256, np.uint16), 0

    @property
    def nbytes(self) -> int:
        """Bytes of the bases."""
        kept = list(self._bases.values())
        return sum(base.marks.nbytes + (0 if base.tokens is None else base.tokens.nbytes) for base in kept)

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
            if base.tokens is None:
                alive_row(base.marks, alive, row)
            else:
                alive_tokens(base.tokens, base.marks, alive, row)
            known = base.entries[key] = self._tier1.enter_lexed(row, roots)
        return known

    def states_ahead(self, starts: list[int]) -> list[int]:
        """States in which a token of the vocabulary can end after some starts, where the lexer is small: texts come to
        most of them, and the masks there need not wait. Those within a character are left out, and the starts, which
        differ from context to context.
        """
        store = self._tier1.store
        found = [q for q in dict.fromkeys(starts) if q not in self._ahead and self._is_small(store.owner_of(q))]
        first, most = len(found), len(store) + _ADDED
        self._ahead.update(found)
        for q in found:
            store.fill(q)
            if len(store) > most:
                break
            for target in set(store.trans.data[256 * q : 256 * q + 256].tolist()):
                if target < 0 or target in self._ahead:
                    continue
                self._ahead.add(target)
                if store.owner_of(target).is_between(store.place_of(target)):
                    found.append(target)
        return [q for q in found[first:] if store.is_filled(q) and not store.info.data[q] & FINAL]

    @staticmethod
    def _is_small(terminal: object) -> bool:
        return isinstance(terminal, LexTerminal) and len(terminal.piece.lexicon.automaton.places) <= _SMALL

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
        marks, seen = self._marks, np.zeros(len(piece.kinds) + 1, np.uint8)
        large = _LARGE if piece.alone else len(tier1.trie_end)
        fresh = True
        while True:
            kinds, blocked = self._kinds_of_states(), self._bytes_blocked(piece)
            if fresh or len(seen) <= len(piece.kinds):
                if self._progress[3]:
                    marks[:] = 0
                seen = np.zeros(len(piece.kinds) + 65, np.uint8)
                self._progress[:] = 0, 1, 0, 0
                self._work[:3] = node + 1, tier1.trie_end[node], q
                fresh = False
            buffers = self._out, tier1.levels, self._work, self._holes, self._progress
            found = int(lexed(tier1.pointed(), kinds, blocked, large, marks, self._listed, seen, *buffers))
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
        tokens, count = None, int(self._progress[3])
        if count <= _FEW:
            tokens = self._listed[:count].copy()
            kept = marks[tokens]
            marks[tokens] = 0
            self._progress[3] = 0
        else:
            kept = marks.copy()
        return Base(tokens, kept, occurring, self._roots(self._out[: 2 * found].reshape(found, 2)) if found else [])

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
        """By label the tries below the ends: the same for states that differ in what comes at once."""
        key = blake2b(items.data, digest_size=16).digest()
        known = self._roots_of.get(key)
        if known is None:
            by_label: dict[int, list[int]] = {}
            for label, node in items.tolist():
                by_label.setdefault(label, []).append(node)
            known = self._roots_of[key] = [
                (label, [*(node for node in nodes if node < 0), *self._trie([node for node in nodes if node >= 0])])
                for label, nodes in sorted(by_label.items())
            ]
        return known

    def _trie(self, nodes: list[int]) -> list[int]:
        """The tries of some nodes laid over each other, of none none."""
        if not nodes:
            return []
        listed = np.array(nodes, np.int32)
        listed.sort()
        key = blake2b(listed.data, digest_size=16).digest()
        root = self._tries.get(key)
        if root is None:
            root = self._tries[key] = self._tier1.merged(listed)
        return [root]
