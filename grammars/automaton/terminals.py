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
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from grammars import memory
from grammars.automaton.arrays import GrowArray, Moves, address
from grammars.automaton.measures import EXPLORED, FAR, Distances, Fewest, Nearest, explored_from, known_distance
from grammars.automaton.subsets import Subsets, subsets_of
from grammars.bytegroups import GROUP_OF_BYTE
from grammars.errors import BudgetExceeded
from grammars.kernels import layout as at
from grammars.kernels.layout import BOUNDARY, FINAL
from grammars.kernels.subsets import T_SELF

__all__ = ["FAR", "TableTerminal", "Terminal", "TerminalStore", "current_store"]

_MAX_STATES = 1 << 18
_ROWS, _CHUNK = 1 << 14, 64  # states that arrays can hold before they are replaced; made ready at a time
_NEAR = 8  # rows of a terminal that is written out which are made before they are asked for
_LETTERS = sum(1 << GROUP_OF_BYTE[ord(letter)] for letter in "0azAZ ")


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
        self.edges = edges
        self.labels = labels

    def row(self, state: int) -> list[int]:
        """256 targets."""
        groups, targets = self.classes(state)
        return [targets[group] for group in groups.tolist()]

    def classes(self, state: int) -> tuple[npt.NDArray[np.uint8], list[int]]:
        """A class of each byte, and a target of each class."""
        edges = self.edges[state]
        numbers: dict[int, int] = {}
        groups = bytearray(256)
        for byte, target in edges.items():
            groups[byte] = numbers.setdefault(target, len(numbers) + 1)
        return np.frombuffer(groups, np.uint8), [-1, *numbers]

    def following(self, state: int) -> Collection[int]:
        """The targets of a state."""
        return self.edges[state].values()

    def label(self, state: int) -> int:
        """The label, -1 if the state does not accept."""
        return self.labels.get(state, -1)

    def boundary(self, state: int) -> bool:
        """Never: punctuation has no characters to count."""
        return False


class TerminalStore:
    """Terminal states of many grammars. Arrays are replaced when they grow; `moves` counts it."""

    def __init__(self, max_states: int = _MAX_STATES) -> None:
        self.max_states = max_states
        rows = min(_ROWS, max_states)
        # memory that nothing was written to yet costs nothing: `_grow` writes what a state begins as
        self.moves = Moves()
        self.trans = GrowArray(np.int32, 256 * rows, moves=self.moves)
        self.info = GrowArray(np.int32, rows, moves=self.moves)
        self.dist = GrowArray(np.int32, 3 * rows, moves=self.moves)
        self.need = GrowArray(np.int32, rows, moves=self.moves)
        self.steady = GrowArray(np.int64, 6 * rows, moves=self.moves)
        self.origin = GrowArray(np.int64, 2 * rows)
        self._grown = (
            (self.trans, 256), (self.info, 1), (self.dist, 3), (self.need, 1), (self.steady, 6), (self.origin, 2)
        )  # fmt: skip
        self._counts = np.zeros(2, np.int64)  # states, and how many there is room for; kernels read and write it
        self.counts_address = address(self._counts)
        self.ctx = np.zeros(at.CONTEXT, np.int64)
        self.address = address(self.ctx)
        self._counted: set[Hashable] = set()
        self._fewest: set[Hashable] = set()
        self._owner: dict[int, tuple[Terminal, int]] = {}
        self._ids: dict[Hashable, dict[int, int]] = {}
        # patterns whose states a kernel makes, by terminal (None: not this one) and by the address that states know
        self._subsets: dict[Hashable, Subsets | None] = {}
        self._heads: dict[int, Subsets] = {}
        # distances: by terminal, once it is measured; of the states that many share, by their name
        self._distances: dict[Hashable, Callable[[int], Distances]] = {}
        self._named: dict[Hashable, Distances] = {}
        self._shared: dict[Hashable, int] = {}
        self.extras: dict[Hashable, object] = {}
        self.tier1: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self.lock = threading.RLock()
        self.make_room(1)
        sink = TableTerminal("sink", [{}], {})
        self.start_of(sink)

    def __len__(self) -> int:
        return int(self._counts[0])

    @property
    def nbytes(self) -> int:
        """Bytes of the tables."""
        return int(self._counts[1]) * sum(width * a.data.itemsize for a, width in self._grown)

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
            self._shared[name] = int(self._counts[0])
        subsets = self._subsets.get(terminal.key)
        if subsets is not None and name is None:
            known = subsets.find(subsets.terminal.name_of(local))
            if known >= 0:
                ids[local] = known
                return known
        self.make_room(1)
        q = int(self._counts[0])
        self._counts[0] = q + 1
        key = terminal.key
        ids[local] = q
        self._owner[q] = terminal, local
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
        elif subsets is not None:
            subsets.adopt(subsets.terminal.name_of(local), q)
        return q

    def _reserve(self, more: int) -> int:
        """Room for so many more states; the id of the first."""
        self.make_room(more)
        count, room = self._counts.tolist()
        if count + more > room:
            raise self._full()
        return int(count)

    def _full(self) -> BudgetExceeded:
        return BudgetExceeded(
            "max_states", self.max_states, remedy="Simplify the patterns, or raise TerminalStore(max_states=...)."
        )

    def make_room(self, more: int) -> None:
        """Room for so many more states, or for fewer where they would be too many; an error if there is none."""
        count, room = self._counts.tolist()
        if count + more <= room:
            return
        if count >= self.max_states:
            raise self._full()
        grown = min(count + more + _CHUNK, self.max_states)
        if 256 * grown > self.trans.data.size:
            rows = min(2 * grown, self.max_states)
            for array, width in self._grown:
                array.n = room * width
                array.reserve(rows * width - array.n)
        self.trans.data[256 * room : 256 * grown] = -2
        self.dist.data[3 * room : 3 * grown] = FAR
        self._counts[1] = grown

    def point(self) -> None:
        """Write to `ctx` where the arrays are now."""
        ctx = self.ctx
        ctx[at.TRANS], ctx[at.INFO], ctx[at.NEED] = self.trans.address, self.info.address, self.need.address
        ctx[at.STEADY], ctx[at.ORIGIN], ctx[at.COUNTS] = self.steady.address, self.origin.address, self.counts_address

    def known_as(self, q: int) -> tuple[Any, int]:
        """The terminal of state q, and its own number there."""
        found = self._owner.get(q)
        if found is None:
            head, k = self.origin.data[2 * q : 2 * q + 2].tolist()
            subsets = self._heads[head]
            local = subsets.terminal.state_at(subsets.place_of(k))
            self._ids[subsets.terminal.key].setdefault(local, q)
            found = self._owner[q] = subsets.terminal, local
        return found

    def owner_of(self, q: int) -> Any:
        """The terminal of state q."""
        return self._heads[int(self.origin.data[2 * q])].terminal if self._is_made_here(q) else self._owner[q][0]

    def _is_made_here(self, q: int) -> bool:
        """Whether a kernel made the state, and nobody asked for its number in the terminal so far."""
        return q not in self._owner

    def place_of(self, q: int) -> int:
        """The number of state q in its terminal."""
        return self.known_as(q)[1]

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
            head, k = self.origin.data[2 * q : 2 * q + 2].tolist()
            if head and self._heads[head].fill(q, k):
                return
            terminal, local = self.known_as(q)
            if type(terminal) is TableTerminal and terminal.key not in self._distances:
                self._fill_written(terminal, local, q)
                return
            if not head and self._by_kernel(terminal):
                self.fill(q)
                return
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

    def _fill_written(self, terminal: TableTerminal, local: int, q: int) -> None:
        """The row of a state of a terminal that is written out."""
        ids, edges, labels = self._ids[terminal.key], terminal.edges, terminal.labels
        own = edges[local]
        count = self._reserve(len(own))
        row = self.trans.data[256 * q : 256 * q + 256]
        row[:] = -1
        if not own:
            self.info.data[q] |= FINAL
        for byte, target in own.items():
            known = ids.get(target)
            if known is None:
                known = ids[target] = count
                count += 1
                self._owner[known] = terminal, target
                self.info.data[known] = labels.get(target, -1) + 1
                if target in labels and not edges[target]:
                    self.info.data[known] |= FINAL
                    self.trans.data[256 * known : 256 * known + 256] = -1
            row[byte] = known
        self._counts[0] = count

    def fill_near(self, q: int) -> None:
        """Compute the row of state q and those of the next few, of a terminal that is written out."""
        with self.lock:
            terminal, local = self.known_as(q)
            ids, near = self._ids[terminal.key], [local]
            for place in near:
                self.fill(ids[place])
                near += [target for target in terminal.edges[place].values() if target not in near]
                if len(near) >= _NEAR:
                    break
            for place in near[1:_NEAR]:
                if place in ids:
                    self.fill(ids[place])

    def fill_all(self, q: int) -> None:
        """Compute the row of state q; where its terminal is written out, those of all states: much less for each."""
        with self.lock:
            terminal = self.owner_of(q)
            if not isinstance(terminal, TableTerminal):
                self.fill(q)
            elif not self.is_filled(q) or len(self._ids[terminal.key]) < len(terminal.edges):
                self._fill_table(terminal)

    def _fill_table(self, terminal: TableTerminal) -> None:
        """Add all states of a terminal that is written out, and compute their rows."""
        ids, edges = self._ids[terminal.key], terminal.edges
        new = [local for local in range(len(edges)) if local not in ids]
        q = self._reserve(len(new))
        self._counts[0] = q + len(new)
        ids.update(zip(new, range(q, q + len(new)), strict=True))
        self._owner.update({q + k: (terminal, local) for k, local in enumerate(new)})
        measured = self._distances.get(terminal.key)
        if measured is not None:
            for local in range(len(edges)):
                self._set_distance(ids[local], self._distance_of(terminal, local, measured))
        states = [ids[local] for local in range(len(edges))]
        places = [states[local] << 8 | byte for local, own in enumerate(edges) for byte in own]
        targets = [states[target] for own in edges for target in own.values()]
        self.trans.data[256 * q : 256 * (q + len(new))] = -1
        for state in states:
            if state < q and not self.is_filled(state):
                self.trans.data[256 * state : 256 * state + 256] = -1
        self.trans.data[np.array(places, np.int64)] = np.array(targets, np.int32)
        labels = terminal.labels
        self.info.data[np.array(states, np.int64)] = [
            labels.get(local, -1) + 1 | (0 if own else FINAL) for local, own in enumerate(edges)
        ]

    def _states(self, terminal: Any) -> list[tuple[int, int]]:
        """(own number, id) of all states of a terminal, those that a kernel made included."""
        ids, subsets = self._ids[terminal.key], self._subsets.get(terminal.key)
        found = [(local, q) for local, q in ids.items() if q >= 0]
        if subsets is not None:
            for q in subsets.states():
                owner, local = self.known_as(q)
                if owner.key == terminal.key:
                    found.append((local, q))
        return found

    def _by_kernel(self, terminal: Any) -> bool:
        """Whether the rows of a terminal's states are made by a kernel; what that takes is set up at the first."""
        key = terminal.key
        if key in self._subsets:
            return False
        if key in self._distances:
            return False
        self._subsets[key] = None  # what it adds to the store meanwhile is Python's
        subsets = self._subsets[key] = subsets_of(self, terminal)
        if subsets is None:
            return False
        self._heads[int(subsets.head[T_SELF])] = subsets
        if key in self._counted:
            subsets.count()
        for local, q in [*self._ids[key].items()]:
            # within a character those that Python made are left to it: there are few, and they lead out at once
            if q >= 0 and terminal.boundary(local):
                subsets.adopt(terminal.name_of(local), q)
        return True

    def count(self, start: int, *, fewest: bool = False) -> bool:
        """Keep `need` for the states of this terminal: its characters are counted beside it. False: it is too large.

        `fewest`: an end can be nearer by more characters than another one, so distances go by characters.
        """
        with self.lock:
            terminal, _ = self.known_as(start)
            if self.is_counted(start) and (not fewest or terminal.key in self._fewest):
                return True
            need: Callable[[int], int] = terminal.need
            subsets = self._subsets.get(terminal.key)
            try:
                found = [(q, need(place)) for place, q in self._states(terminal)]
                if subsets is not None:
                    subsets.count()
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
        if self._is_made_here(q):
            return self.owner_of(q).key in self._counted
        terminal, local = self.known_as(q)
        shared = getattr(terminal, "shared", None)
        return terminal.key in self._counted or (shared is not None and shared(local) is not None)

    def agreement(self, q: int) -> int:
        """Texts of up to so many characters fare the same from q and from `endless`; -1: not known."""
        terminal, local = self.known_as(q)
        ask: Callable[[int], int] | None = getattr(terminal, "agreement", None)
        return -1 if ask is None else ask(local)

    def endless(self, q: int) -> int:
        """A state that is nearly the same as q without its upper counts: q, or one of fewer states."""
        if self._is_made_here(q):
            head, k = self.origin.data[2 * q : 2 * q + 2].tolist()
            if self._heads[head].is_endless(k):
                return q
        terminal, local = self.known_as(q)
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
        if self._is_made_here(q):
            self.fill(q)
            terminal = self.owner_of(q)
        else:
            terminal, local = self.known_as(q)
            steady, shared = getattr(terminal, "steady", None), getattr(terminal, "shared", None)
            if steady is None or shared is None or shared(local) is not None:
                return q
            if not self.is_filled(q):
                self.fill(q)
        loops, groups, most, *_ = self.steady.data[6 * q : 6 * q + 6].tolist()
        name: Hashable = terminal.anything
        wide = self._shared.get(name, q)
        if wide == q:
            return q
        if _LETTERS & ~(loops | (groups if most >= characters else 0)):
            # or where most bytes lead there, as in keys of a few patterns beside all others
            leads = self.trans.data[256 * q : 256 * q + 256]
            return wide if all(leads[byte] == wide for byte in b"atZ e") else q
        return wide

    def never(self, q: int) -> int:
        """Groups of bytes that no text of q's terminal holds."""
        return int(getattr(self.owner_of(q), "never", 0))

    def is_filled(self, q: int) -> bool:
        """Whether the row of q is there."""
        return bool(self.trans.data[256 * q] != -2)

    def measure(self, start: int) -> None:
        """Compute `dist` for all states from `start` on: bytes to the nearest state of label 0, and of a higher one;
        and a bound on how far from the nearest of either any later state can be.

        A terminal with `distances` is asked state by state, also for those that are added later. Of any other all
        states are visited, in its own numbers (they need not be written out), or, where they are many, searched from.
        """
        terminal, _ = self.known_as(start)
        if terminal.key in self._distances:
            return
        own: Callable[[int], Distances] | None = getattr(terminal, "distances", None)
        if terminal.key in self._fewest:
            own = Fewest(terminal)
        elif own is None:
            limit = EXPLORED if hasattr(terminal, "hint") else None
            explored = explored_from(terminal, terminal.start, limit)
            own = Nearest(terminal) if explored is None else partial(known_distance, explored)
        self._distances[terminal.key] = own
        subsets = self._subsets.get(terminal.key)
        if subsets is not None:
            subsets.stop()  # the kernel does not measure
        for place, q in self._states(terminal):
            self._set_distance(q, self._distance_of(terminal, place, own))

    def _distance_of(self, terminal: Terminal, place: int, own: Callable[[int], Distances]) -> Distances:
        """Of a state that many share under a name, the distance goes to all that have or will have it."""
        shared = getattr(terminal, "shared", None)
        name = None if shared is None else shared(place)
        if shared is None or name is None:
            return own(place)
        if name not in self._named:
            for other, found in (explored_from(terminal, place, None) or {}).items():
                known = shared(other)
                self._named[known] = found
                if known in self._shared:
                    self._set_distance(self._shared[known], found)
        return self._named[name]

    def _set_distance(self, q: int, found: Distances) -> None:
        self.dist.data[3 * q : 3 * q + 3] = found


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
