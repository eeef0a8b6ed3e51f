"""The terminal store: byte automata of all grammars in one table, so that equal terminals are one.

A terminal is any automaton with the small protocol `Terminal` (string contents, numbers, blanks between tokens).
Its states get ids in the store when they are first seen and their rows of 256 targets when a kernel first needs
them; state 0 is the sink. Tier-1 rows belong to (store, vocabulary), hence are shared by every grammar.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Collection, Hashable, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from grammars import memory
from grammars.automaton.arrays import GrowArray
from grammars.bytegroups import GROUP_OF_BYTE
from grammars.errors import BudgetExceeded
from grammars.kernels.layout import BOUNDARY, FINAL

__all__ = ["FAR", "TableTerminal", "Terminal", "TerminalStore", "current_store"]

FAR = 1 << 30
_MAX_STATES = 1 << 18
_EXPLORED = 200
_LETTERS = sum(1 << GROUP_OF_BYTE[ord(letter)] for letter in "0azAZ ")

Distances = tuple[int, int, int]
"""Bytes to the nearest end of label 0, to that of another label, and a bound on the nearer one for later states."""


class Terminal(Protocol):
    """A lazily built byte automaton. Every state that `row` names is live.

    It may have more: `classes(state)`, a class of each byte and a target of each class; `following(state)`, the targets
    without a row; `shared(state)`, a name under which equal states of several terminals are one; `distances(state)`,
    what `TerminalStore.measure` wants to know; `hint(state)`, about how many bytes there are to an end, where the only
    label is 0; `steady(state)`, over which groups of bytes it stays alive; `never`, the groups that no text holds;
    `anything`, the shared name of the state that any text may follow.
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
        groups, targets = self.classes(state)
        return [targets[group] for group in groups.tolist()]

    def classes(self, state: int) -> tuple[npt.NDArray[np.uint8], list[int]]:
        """A class of each byte, and a target of each class."""
        edges = self._edges[state]
        numbers: dict[int, int] = {}
        groups = bytearray(256)
        for byte, target in edges.items():
            groups[byte] = numbers.setdefault(target, len(numbers) + 1)
        return np.frombuffer(groups, np.uint8), [-1, *numbers]

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
        self.need = GrowArray(np.int32, 512)
        self.steady = GrowArray(np.int64, 3072)
        self._grown = ((self.trans, 256), (self.info, 1), (self.dist, 3), (self.need, 1), (self.steady, 6))
        self._room = min(512, max_states)
        self._counted: set[Hashable] = set()
        self._fewest: set[Hashable] = set()
        self._owner: list[tuple[Terminal, int]] = []
        self._ids: dict[Hashable, dict[int, int]] = {}
        # distances: by terminal, once it is measured; of the states that many share, by their name
        self._distances: dict[Hashable, Callable[[int], Distances]] = {}
        self._named: dict[Hashable, Distances] = {}
        self._shared: dict[Hashable, int] = {}
        self.extras: dict[Hashable, object] = {}
        self.tier1: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self.lock = threading.RLock()
        sink = TableTerminal("sink", [{}], {})
        self.start_of(sink)

    def __len__(self) -> int:
        return len(self._owner)

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        return sum(int(a.data.nbytes) for a in (self.trans, self.info, self.dist, self.need, self.steady))

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
                measured = self._distances.get(terminal.key)
                if measured is not None:
                    self._distance_of(terminal, local, measured)
                return known
            self._shared[name] = len(self._owner)
        q = len(self._owner)
        if q >= self._room:
            self._grow(q)
        key = terminal.key
        ids[local] = q
        self._owner.append((terminal, local))
        label = terminal.label(local)
        flags = BOUNDARY if terminal.boundary(local) else 0
        self.info.data[q] = label + 1 | flags
        if name is not None or key in self._counted:
            need = getattr(terminal, "need", None)
            due = 0 if need is None else need(local)
            if due:
                self.need.data[q] = due
        if name is not None and name in self._named:
            self._set_distance(q, self._named[name])
        measured = self._distances.get(key)
        if measured is not None:
            self._set_distance(q, self._distance_of(terminal, local, measured))
        if label >= 0 and not flags:
            # an accepting state outside of string content is final more often than not: find out now
            following = getattr(terminal, "following", None)
            if following is None or not following(local):
                self.fill(q)
        return q

    def _grow(self, q: int) -> None:
        """Room for state q and as many more."""
        if q >= self.max_states:
            raise BudgetExceeded(
                "max_states", self.max_states, remedy="Simplify the patterns, or raise TerminalStore(max_states=...)."
            )
        self._room = min(2 * q, self.max_states)
        for grown, width in self._grown:
            grown.n = min(grown.data.size, q * width)
            grown.reserve(self._room * width - grown.n)
            grown.n = self._room * width

    def owner_of(self, q: int) -> Any:
        """The terminal of state q."""
        return self._owner[q][0]

    def place_of(self, q: int) -> int:
        """The number of state q in its terminal."""
        return self._owner[q][1]

    def state_of(self, terminal: Terminal, place: int) -> int:
        """Id of a state of a terminal."""
        with self.lock:
            ids = self._ids.setdefault(terminal.key, {-1: -1})
            q = ids.get(place)
            return q if q is not None else self._add(terminal, ids, place)

    def fill(self, q: int) -> None:
        """Compute the row of state q."""
        with self.lock:
            if self.trans.data[256 * q] != -2:
                return
            terminal, local = self._owner[q]
            ids = self._ids[terminal.key]
            classes = getattr(terminal, "classes", None)
            if classes is None:
                group, row = None, terminal.row(local)
            else:
                group, row = classes(local)
            targets = set(row)
            if targets == {-1}:
                self.info.data[q] |= FINAL
                self.trans.data[256 * q : 256 * q + 256] = -1
                return
            steady = getattr(terminal, "steady", None)
            if steady is not None:
                self.steady.data[6 * q : 6 * q + 6] = steady(local)
            self.trans.data[256 * q] = -1  # being filled: an accepting cycle comes back here
            for target in targets:
                if target not in ids:
                    self._add(terminal, ids, target)
            found: Any = [ids[t] for t in row]
            self.trans.data[256 * q : 256 * q + 256] = found if group is None else np.array(found, np.int32)[group]

    def count(self, start: int, *, fewest: bool = False) -> bool:
        """Keep `need` for the states of this terminal: its characters are counted beside it. False: it is too large.

        `fewest`: an end can be nearer by more characters than another one, so distances go by characters.
        """
        with self.lock:
            terminal, _ = self._owner[start]
            if self.is_counted(start) and (not fewest or terminal.key in self._fewest):
                return True
            need: Callable[[int], int] = terminal.need  # type: ignore[attr-defined]
            try:
                found = [(q, need(place)) for place, q in self._ids[terminal.key].items() if q >= 0]
            except BudgetExceeded:
                return False
            self._counted.add(terminal.key)
            for q, due in found:
                self.need.data[q] = due
            if fewest:
                self._fewest.add(terminal.key)
                if self._distances.pop(terminal.key, None) is not None:
                    self.measure(start)
            return True

    def is_counted(self, q: int) -> bool:
        """Whether `need` is kept for the terminal of state q."""
        terminal, local = self._owner[q]
        shared = getattr(terminal, "shared", None)
        return terminal.key in self._counted or (shared is not None and shared(local) is not None)

    def agreement(self, q: int) -> int:
        """Texts of up to so many characters fare the same from q and from `endless`; -1: not known."""
        terminal, local = self._owner[q]
        ask: Callable[[int], int] | None = getattr(terminal, "agreement", None)
        return -1 if ask is None else ask(local)

    def endless(self, q: int) -> int:
        """A state that is nearly the same as q without its upper counts: q, or one of fewer states."""
        terminal, local = self._owner[q]
        ask = getattr(terminal, "endless", None)
        place = local if ask is None else ask(local)
        if place == local:
            return q
        ids = self._ids[terminal.key]
        found = ids.get(place)
        return self._add(terminal, ids, place) if found is None else found

    def universal(self, q: int, characters: int) -> int:
        """The state that any text may follow, where in q nearly any of so many characters may; else q.

        Also q where nobody needed that state so far.
        """
        terminal, local = self._owner[q]
        steady = getattr(terminal, "steady", None)
        shared = getattr(terminal, "shared", None)
        if steady is None or shared is None or shared(local) is not None:
            return q
        loops, groups, most, *_ = self.steady.data[6 * q : 6 * q + 6].tolist() if self.is_filled(q) else steady(local)
        if _LETTERS & ~(loops | (groups if most >= characters else 0)):
            return q
        name: Hashable = terminal.anything  # type: ignore[attr-defined]
        return self._shared.get(name, q)

    def never(self, q: int) -> int:
        """Groups of bytes that no text of q's terminal holds."""
        return int(getattr(self._owner[q][0], "never", 0))

    def is_filled(self, q: int) -> bool:
        """Whether the row of q is there."""
        return bool(self.trans.data[256 * q] != -2)

    def measure(self, start: int) -> None:
        """Compute `dist` for all states from `start` on: bytes to the nearest state of label 0, and of a higher one;
        and a bound on how far from the nearest of either any later state can be.

        A terminal with `distances` is asked state by state, also for those that are added later. Of any other all
        states are visited, in its own numbers (they need not be written out), or, where they are many, searched from.
        """
        terminal, _ = self._owner[start]
        if terminal.key in self._distances:
            return
        own: Callable[[int], Distances] | None = getattr(terminal, "distances", None)
        if terminal.key in self._fewest:
            own = _Fewest(terminal)
        elif own is None:
            limit = _EXPLORED if hasattr(terminal, "hint") else None
            explored = _explored(terminal, terminal.start, limit)
            own = _Nearest(terminal) if explored is None else partial(_known_distance, explored)
        self._distances[terminal.key] = own
        for place, q in [*self._ids[terminal.key].items()]:
            if q >= 0:
                self._set_distance(q, self._distance_of(terminal, place, own))

    def _distance_of(self, terminal: Terminal, place: int, own: Callable[[int], Distances]) -> Distances:
        """Of a state that many share under a name, the distance goes to all that have or will have it."""
        shared = getattr(terminal, "shared", None)
        name = None if shared is None else shared(place)
        if shared is None or name is None:
            return own(place)
        if name not in self._named:
            for other, found in (_explored(terminal, place, None) or {}).items():
                known = shared(other)
                self._named[known] = found
                if known in self._shared:
                    self._set_distance(self._shared[known], found)
        return self._named[name]

    def _set_distance(self, q: int, found: Distances) -> None:
        self.dist.data[3 * q : 3 * q + 3] = found


class _Nearest:
    """Distances of a terminal with one label and too many states to visit: searched when asked for.

    A search ends at the nearest state that accepts or whose distance is known; all states on the way get theirs, so
    each has a successor that is nearer by one. How far later states can be is not known.
    """

    def __init__(self, terminal: Any) -> None:
        self._terminal = terminal
        self._known: dict[int, int] = {}

    def __call__(self, state: int) -> Distances:
        if state not in self._known:
            self._search(state)
        return self._known[state], FAR, FAR

    def _search(self, start: int) -> None:
        """A*, with the hint counted twice: near the shortest way, and straight there among many of one length."""
        known, hint, came = self._known, self._terminal.hint, {start: start}
        heap = [(0, 0, 0, start)]
        while heap:
            _, _, steps, state = heappop(heap)
            left = 0 if self._terminal.label(state) >= 0 else known.get(state)
            if left is not None:
                known[state] = left
                while state != start:
                    state, left = came[state], left + 1
                    known[state] = left
                return
            for target in set(self._terminal.row(state)):
                if target >= 0 and target not in came:
                    came[target] = state
                    rest = known[target] if target in known else hint(target)
                    heappush(heap, (steps + 1 + 2 * rest, -len(came), steps + 1, target))
        raise AssertionError("a live state reaches acceptance")


class _Fewest:
    """Distances of a terminal whose characters are counted: along a way of the fewest characters, which always fits."""

    def __init__(self, terminal: Any) -> None:
        self._terminal = terminal
        self._known: dict[int, int] = {}

    def __call__(self, state: int) -> Distances:
        known, terminal = self._known, self._terminal
        way = []
        while state not in known:
            if terminal.label(state) >= 0:
                known[state] = 0
                break
            way.append(state)
            due = terminal.need(state)
            state = min(
                {t for t in terminal.row(state) if t >= 0 and terminal.need(t) + terminal.boundary(t) == due},
                key=lambda t: (terminal.label(t) < 0, not terminal.boundary(t), t),
            )
        left = known[state]
        for state in reversed(way):
            left += 1
            known[state] = left
        return left, FAR, FAR


def _known_distance(explored: dict[int, Distances], state: int) -> Distances:
    """Of a state that no text reaches, but for its rows (`TerminalStore.endless`): none."""
    return explored.get(state, (FAR, FAR, FAR))


def _explored(terminal: Terminal, start: int, limit: int | None) -> dict[int, Distances] | None:
    """Distances of all states from `start` on; None if they are more than `limit`."""
    following = getattr(terminal, "following", None)
    before: dict[int, list[int]] = {start: []}
    order = [start]
    for state in order:
        if limit is not None and len(order) > limit:
            return None
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
            memory.grammars.clear()  # they would keep the full one
        return _current[0]


def row_of(store: TerminalStore, q: int) -> npt.NDArray[Any]:
    """The 256 targets of state q, computed if need be (for references and tests)."""
    store.fill(q)
    return store.trans.data[256 * q : 256 * q + 256]
