"""The terminal store: byte automata of all grammars in one table, so that equal terminals are one.

A terminal is any automaton with the small protocol `Terminal` (string contents, numbers, blanks between tokens).
Its states get ids in the store when they are first seen and their rows of 256 targets when a kernel first needs
them; state 0 is the sink. Tier-1 rows belong to (store, vocabulary), hence are shared by every grammar.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from grammars.automaton.arrays import GrowArray
from grammars.errors import BudgetExceeded
from grammars.kernels.layout import BOUNDARY, FINAL

__all__ = ["FAR", "TableTerminal", "Terminal", "TerminalStore", "current_store"]

FAR = 1 << 30
_MAX_STATES = 1 << 18


class Terminal(Protocol):
    """A lazily built byte automaton. Every state that `row` names is live."""

    @property
    def key(self) -> Hashable:
        """Equal keys: the same automaton."""
        ...

    @property
    def start(self) -> int: ...

    def row(self, state: int) -> Sequence[int]:
        """256 targets, -1 where there is none."""
        ...

    def label(self, state: int) -> int:
        """-1: not accepting; else which continuation follows."""
        ...

    def boundary(self, state: int) -> bool:
        """Whether the state lies between two characters of string content."""
        ...


class TableTerminal:
    """A terminal written out as {state: {byte: target}} with labels; for blanks and punctuation."""

    def __init__(self, key: Hashable, edges: Sequence[dict[int, int]], labels: dict[int, int]) -> None:
        self.key = key
        self.start = 0
        self._edges = edges
        self._labels = labels

    def row(self, state: int) -> list[int]:
        """256 targets."""
        row = [-1] * 256
        for byte, target in self._edges[state].items():
            row[byte] = target
        return row

    def label(self, state: int) -> int:
        """The label, -1 if the state does not accept."""
        return self._labels.get(state, -1)

    def boundary(self, state: int) -> bool:
        """Never: punctuation has no characters to count."""
        return False


class TerminalStore:
    """Terminal states of many grammars. Arrays are replaced when they grow; `version` tells when."""

    def __init__(self, max_states: int = _MAX_STATES) -> None:
        self.max_states = max_states
        self.trans = GrowArray(np.int32, 512 * 256, fill=-2)
        self.info = GrowArray(np.int32, 512)
        self.dist = GrowArray(np.int32, 1536, fill=FAR)
        self._owner: list[tuple[Terminal, int]] = []
        self._ids: dict[Hashable, dict[int, int]] = {}
        self._measured: set[int] = set()
        self._shared: dict[Hashable, int] = {}
        self.extras: dict[Hashable, object] = {}
        self.tier1: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self.lock = threading.RLock()
        sink = TableTerminal("sink", [{}], {})
        self.start_of(sink)

    def __len__(self) -> int:
        return len(self._owner)

    def start_of(self, terminal: Terminal) -> int:
        """Id of the start state."""
        with self.lock:
            ids = self._ids.get(terminal.key)
            if ids is None:
                ids = self._ids[terminal.key] = {-1: -1}
            q = ids.get(terminal.start)
            return q if q is not None else self._add(terminal, ids, terminal.start)

    def _add(self, terminal: Terminal, ids: dict[int, int], local: int) -> int:
        shared = getattr(terminal, "shared", None)
        name = shared(local) if shared is not None else None
        if name is not None:
            known = self._shared.get(name)
            if known is not None:
                ids[local] = known
                return known
            self._shared[name] = len(self._owner)
        q = len(self._owner)
        if q >= self.max_states:
            raise BudgetExceeded(
                "max_states", self.max_states, remedy="Simplify the patterns, or raise TerminalStore(max_states=...)."
            )
        ids[local] = q
        self._owner.append((terminal, local))
        self.trans.reserve(256)
        self.trans.n += 256
        label = terminal.label(local)
        flags = BOUNDARY if terminal.boundary(local) else 0
        self.info.extend((label + 1 | flags,))
        self.dist.extend((FAR, FAR, FAR))
        if label >= 0 and not flags:
            # an accepting state outside of string content is final more often than not: find out now
            self.fill(q)
        return q

    def fill(self, q: int) -> None:
        """Compute the row of state q."""
        with self.lock:
            if self.trans.data[256 * q] != -2:
                return
            terminal, local = self._owner[q]
            ids = self._ids[terminal.key]
            row = terminal.row(local)
            targets = set(row)
            if targets == {-1}:
                self.info.data[q] |= FINAL
                self.trans.data[256 * q : 256 * q + 256] = -1
                return
            self.trans.data[256 * q] = -1  # being filled: an accepting cycle comes back here
            for target in targets:
                if target not in ids:
                    self._add(terminal, ids, target)
            self.trans.data[256 * q : 256 * q + 256] = [ids[t] for t in row]

    def fill_near(self, states: Sequence[int], most: int = 24) -> None:
        """Compute the rows of the states and of those next to them, `most` at a time: saves rounds of a kernel."""
        queue = list(states)
        with self.lock:
            for count, q in enumerate(queue):
                if count >= max(most, len(states)):
                    break
                if self.trans.data[256 * q] == -2:
                    self.fill(q)
                    following = set(self.trans.data[256 * q : 256 * q + 256].tolist())
                    queue.extend(t for t in following if t > 0 and self.trans.data[256 * t] == -2)

    def measure(self, start: int) -> None:
        """Compute `dist` for all states from `start` on: bytes to the nearest state of label 0, and of a higher one;
        and a bound on how far from the nearest of either any later state can be."""
        if start in self._measured:
            return
        order, seen = [start], {start}
        for q in order:
            self.fill(q)
            for t in set(self.trans.data[256 * q : 256 * q + 256].tolist()):
                if t >= 0 and t not in seen:
                    seen.add(t)
                    order.append(t)
        before: dict[int, list[int]] = {q: [] for q in order}
        for q in order:
            for t in set(self.trans.data[256 * q : 256 * q + 256].tolist()):
                if t >= 0:
                    before[t].append(q)
        dist = self.dist.data
        nearest = dict.fromkeys(order, FAR)
        for column in (0, 1):
            labels = [(int(self.info.data[q]) & 0xFFFF) - 1 for q in order]
            front = [q for q, label in zip(order, labels, strict=True) if label >= 0 and min(label, 1) == column]
            reached = dict.fromkeys(front, 0)
            for q in front:
                for p in before[q]:
                    if p not in reached:
                        reached[p] = reached[q] + 1
                        front.append(p)
            for q, steps in reached.items():
                dist[3 * q + column] = steps
                nearest[q] = min(nearest[q], steps)
        most = max(nearest.values())
        for q in order:
            dist[3 * q + 2] = min(int(dist[3 * q + 2]), most)
        self._measured.update(order)


_current: list[TerminalStore] = []
_lock = threading.Lock()


def current_store() -> TerminalStore:
    """The store that new grammars use; a fresh one once it holds many states (older ones live with their grammars)."""
    with _lock:
        if not _current or len(_current[0]) > 40_000:
            _current[:] = [TerminalStore()]
        return _current[0]


def row_of(store: TerminalStore, q: int) -> npt.NDArray[Any]:
    """The 256 targets of state q, computed if need be (for references and tests)."""
    store.fill(q)
    return store.trans.data[256 * q : 256 * q + 256]
