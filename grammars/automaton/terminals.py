"""The terminal store: byte automata of all grammars in one table, so that equal terminals are one.

A terminal is any automaton with the small protocol `Terminal` (string contents, numbers, blanks between tokens).
Its states get ids in the store when they are first seen and their rows of 256 targets when a kernel first needs
them; state 0 is the sink. Tier-1 rows belong to (store, vocabulary), hence are shared by every grammar.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Collection, Hashable, Sequence
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
    """A lazily built byte automaton. Every state that `row` names is live.

    It may have three more methods: `shared(state)`, a name under which equal states of several terminals are one;
    `following(state)`, the targets without a row; `distances(state)`, what `TerminalStore.measure` wants to know.
    """

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

    def following(self, state: int) -> Collection[int]:
        """The targets of a state."""
        return self._edges[state].values()

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
        # distances: by terminal, once it is measured; of the states that many share, by their name
        self._distances: dict[Hashable, Callable[[int], tuple[int, int, int]]] = {}
        self._named: dict[Hashable, tuple[int, int, int]] = {}
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
        measured = self._distances.get(terminal.key)
        known_distance = (
            measured(local) if measured is not None else self._named.get(name) if name is not None else None
        )
        self.dist.extend(known_distance or (FAR, FAR, FAR))
        if label >= 0 and not flags:
            # an accepting state outside of string content is final more often than not: find out now
            following = getattr(terminal, "following", None)
            if following is None or not following(local):
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
        and a bound on how far from the nearest of either any later state can be.

        A terminal with `distances` is asked state by state, also for those that are added later. All states of any
        other are visited, in its own numbers: they need not be written out.
        """
        terminal, _ = self._owner[start]
        if terminal.key in self._distances:
            return
        own: Callable[[int], tuple[int, int, int]] | None = getattr(terminal, "distances", None)
        if own is None:
            explored = _explored(terminal)
            own = explored.__getitem__
            shared = getattr(terminal, "shared", None)
            for place, found in explored.items():
                name = None if shared is None else shared(place)
                if name is not None:
                    self._named[name] = found
                    if name in self._shared:
                        self._set_distance(self._shared[name], found)
        self._distances[terminal.key] = own
        for place, q in self._ids[terminal.key].items():
            if q >= 0:
                self._set_distance(q, own(place))

    def _set_distance(self, q: int, found: tuple[int, int, int]) -> None:
        self.dist.data[3 * q : 3 * q + 3] = found


def _explored(terminal: Terminal) -> dict[int, tuple[int, int, int]]:
    """Distances of all states of a terminal."""
    following = getattr(terminal, "following", None)
    before: dict[int, list[int]] = {terminal.start: []}
    order = [terminal.start]
    for state in order:
        for target in set(terminal.row(state)) if following is None else following(state):
            if target >= 0:
                if target not in before:
                    before[target] = []
                    order.append(target)
                before[target].append(state)
    labels = [(state, terminal.label(state)) for state in order]
    columns = []
    for column in (0, 1):
        front = [state for state, label in labels if label >= 0 and min(label, 1) == column]
        reached = dict.fromkeys(front, 0)
        for state in front:
            steps = reached[state] + 1
            for previous in before[state]:
                if previous not in reached:
                    reached[previous] = steps
                    front.append(previous)
        columns.append(reached)
    first, second = columns
    most = max(min(first.get(state, FAR), second.get(state, FAR)) for state in order)
    return {state: (first.get(state, FAR), second.get(state, FAR), most) for state in order}


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
