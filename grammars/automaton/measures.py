"""How far the states of a terminal are from its ends, in bytes: what limits of tokens are computed from.

Beside `terminals`, which keeps what is found here for each state. Small terminals are visited as a whole, large ones
searched from the states that somebody asks for.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

__all__ = ["EXPLORED", "FAR", "Distances", "Fewest", "Nearest", "explored_from", "known_distance"]

FAR = 1 << 30
EXPLORED = 200  # states of a terminal that are visited, all of them; of more only some are searched from

Distances = tuple[int, int, int]
"""Bytes to the nearest end of label 0, to that of another label, and a bound on the nearer one for later states."""


class Nearest:
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


class Fewest:
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


def known_distance(explored: dict[int, Distances], state: int) -> Distances:
    """Of a state that no text reaches, but for its rows (`TerminalStore.endless`): none."""
    return explored.get(state, (FAR, FAR, FAR))


def explored_from(terminal: Any, start: int, limit: int | None) -> dict[int, Distances] | None:
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
