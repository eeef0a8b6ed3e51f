"""Counting items by what they match: conjuncts with `contains` and "some item is S" -> item automata.

A counter asks that `low` to `high` of the items from index `start` on match a schema S. A state is (index, counts),
each saturated where more makes no difference. The next item belongs to one class for each combination of S and not-S
over the counters that are not settled; empty classes are no edges. Counts only grow, so the one kind of cycle is a
self-loop, and states that no continuation tells apart are merged in one pass from the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from grammars.errors import UnsupportedSchema
from grammars.jsonschema._atoms import Sid
from grammars.schema_ir import ItemState, Ref

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler

__all__ = ["Counter", "ItemAutomaton", "Plain"]

STATES_LIMIT = 4_000
_RAW_LIMIT = 20_000
_SELF, _DEAD = -1, -2


class Counter(NamedTuple):
    """From `low` to `high` (None: any number) of the items from index `start` on match `sid`."""

    start: int
    sid: Sid
    low: int
    high: int | None
    where: str


class Plain(NamedTuple):
    """An automaton without a choice, in the form of `schema_ir.ArrayValue`."""

    prefix: tuple[Ref, ...]
    items: Ref | None
    low: int
    high: int | None


_State = tuple[int, ...]


class _Leaf(NamedTuple):
    """Items in all of `sids` lead to `after` (None: there are such items, but they are one too many)."""

    sids: tuple[Sid, ...]
    after: _State | None


class _Split(NamedTuple):
    """The items in all of `sids`: those that match one more schema and those that do not (None: there are none)."""

    sids: tuple[Sid, ...]
    matching: _Leaf | _Split | None
    other: _Leaf | _Split | None


_Classes = _Leaf | _Split | None


class ItemAutomaton:
    """Arrays of `low` to `high` items, item i in `sids_at(i)` (the same from index `settled` on), under counters."""

    def __init__(
        self,
        sids_at: Callable[[int], Sequence[Sid]],
        settled: int,
        low: int,
        high: int | None,
        counters: Sequence[Counter],
        compiler: SchemaCompiler,
    ) -> None:
        self._sids_at, self._counters, self._compiler = sids_at, counters, compiler
        self._low, self._high = low, high
        self._last = max([settled, low, 0 if high is None else high, *(counter.start for counter in counters)])
        self._start: _State = (0,) * (1 + len(counters))

    def inhabited(self) -> bool:
        """Can some array be closed?"""
        stack, seen = [self._start], {self._start}
        while stack:
            state = stack.pop()
            if self._accepting(state):
                return True
            for after in reversed(list(_targets(self._classes_at(state)))):  # those that match come first
                if after not in seen:
                    self._bound(len(seen), _RAW_LIMIT)
                    seen.add(after)
                    stack.append(after)
        return False

    def build(self) -> tuple[ItemState, ...] | Plain:
        """The automaton, or the plain form where that is enough. There must be an array."""
        classes: dict[_State, _Classes] = {}
        stack = [self._start]
        while stack:
            state = stack.pop()
            if state not in classes:
                self._bound(len(classes), _RAW_LIMIT)
                classes[state] = self._classes_at(state)
                stack.extend(_targets(classes[state]))
        states: list[ItemState] = []
        numbers: dict[_State, int] = {}
        known: dict[ItemState, int] = {}
        for state in sorted(classes, key=sum, reverse=True):
            numbers[state] = _SELF
            edges = self._edges(classes[state], numbers)
            built = ItemState(self._accepting(state), tuple(sorted(edge for edge in edges if edge[1] != _DEAD)))
            if not built.accepting and all(after == _SELF for _, after in built.edges):
                numbers[state] = _DEAD
                continue
            place = _repeated(built, states)
            if place is None:
                place = known.setdefault(built, len(states))
                if place == len(states):
                    states.append(built)
            numbers[state] = place
        order = _order(states, numbers[self._start])
        self._bound(len(order), STATES_LIMIT)
        return _plain(states, order) or tuple(
            ItemState(
                states[place].accepting,
                tuple((ref, order[place if after == _SELF else after]) for ref, after in states[place].edges),
            )
            for place in order
        )

    def _bound(self, count: int, limit: int) -> None:
        if count > limit:
            counter = self._counters[0]
            keyword = "contains" if counter.where.endswith("contains") else "not"
            problem = f"takes more than {limit:,} states to count the items that match"
            raise UnsupportedSchema(counter.where, keyword, problem, "Lower the bounds that meet here.")

    def _accepting(self, state: _State) -> bool:
        if state[0] < self._low:
            return False
        return all(count >= counter.low for count, counter in zip(state[1:], self._counters, strict=True))

    def _classes_at(self, state: _State) -> _Classes:
        index = state[0]
        if self._high is not None and index >= self._high:
            return None
        return self._split(tuple(self._sids_at(index)), state, (min(index + 1, self._last),))

    def _split(self, sids: tuple[Sid, ...], state: _State, after: _State) -> _Classes:
        """The classes of items in `sids`; the first counters have had their look and lead to `after`."""
        compiler = self._compiler
        compiler.spend(1)
        if compiler.is_empty(compiler.ref_of(sids)):
            return None
        while len(after) < len(state):
            count, counter = state[len(after)], self._counters[len(after) - 1]
            if state[0] >= counter.start and (counter.high is not None or count < counter.low):
                break
            after = (*after, count)
        else:
            return _Leaf(sids, after)
        matching = (*sids, counter.sid)
        if counter.high is None or count < counter.high:
            yes = self._split(matching, state, (*after, count + 1))
        else:
            yes = None if compiler.is_empty(compiler.ref_of(matching)) else _Leaf(matching, None)
        return _Split(sids, yes, self._split((*sids, counter.sid ^ 1), state, (*after, count)))

    def _edges(self, classes: _Classes, numbers: dict[_State, int]) -> list[tuple[Ref, int]]:
        """The classes as edges; where all of a class leads to one state, it is one edge."""
        if classes is None:
            return []
        if isinstance(classes, _Leaf):
            after = _DEAD if classes.after is None else numbers[classes.after]
            return [(self._compiler.ref_of(classes.sids), after)]
        edges = self._edges(classes.matching, numbers) + self._edges(classes.other, numbers)
        if len({after for _, after in edges}) == 1:
            return [(self._compiler.ref_of(classes.sids), edges[0][1])]
        return edges


def _targets(classes: _Classes) -> Iterator[_State]:
    if isinstance(classes, _Split):
        yield from _targets(classes.matching)
        yield from _targets(classes.other)
    elif classes is not None and classes.after is not None:
        yield classes.after


def _repeated(built: ItemState, states: list[ItemState]) -> int | None:
    """A state that loops where `built` leads to it, and is the same otherwise."""
    for place in dict.fromkeys(after for _, after in built.edges if after >= 0):
        edges = tuple(sorted((ref, _SELF if after == place else after) for ref, after in built.edges))
        if states[place] == ItemState(built.accepting, edges):
            return place
    return None


def _order(states: list[ItemState], start: int) -> dict[int, int]:
    """The states that can be reached, numbered from the start on."""
    order = {start: 0}
    queue = [start]
    for place in queue:
        for _, after in states[place].edges:
            if after >= 0 and after not in order:
                order[after] = len(order)
                queue.append(after)
    return order


def _plain(states: list[ItemState], order: dict[int, int]) -> Plain | None:
    """The automaton as prefix, items and bounds, if it is a chain."""
    chain = [states[place] for place in order]
    if any(len(state.edges) > 1 for state in chain):
        return None
    low = next(place for place, state in enumerate(chain) if state.accepting)
    if not all(state.accepting for state in chain[low:]):
        return None
    prefix = [state.edges[0][0] for state in chain if state.edges]
    if len(prefix) == len(chain):  # the last one loops
        items, high = prefix.pop(), None
    else:
        items, high = None, len(prefix)
        if len(prefix) > 1 and prefix[-1] == prefix[-2]:
            items = prefix[-1]
    while prefix and prefix[-1] == items:
        prefix.pop()
    return Plain(tuple(prefix), items, low, high)
