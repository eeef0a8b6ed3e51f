"""Several disjoint languages as one terminal whose labels tell which of them was read (keys by pattern)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from grammars.regex import ByteDfa

__all__ = ["LabelledDfa"]

_DEAD: tuple[npt.NDArray[np.uint8], list[int]] = np.zeros(256, np.uint8), [-1]


class LabelledDfa:
    """The lazy product of byte automata; a state is live as long as one part is. Label: index of the accepting part."""

    def __init__(self, parts: Sequence[ByteDfa]) -> None:
        self.key: Hashable = ("labelled", *(part.key for part in parts))
        self._parts = parts
        self._ids: dict[tuple[int, ...], int] = {}
        self._places: list[tuple[int, ...]] = []
        self.start = self._id(tuple(part.start for part in parts))

    def _id(self, place: tuple[int, ...]) -> int:
        known = self._ids.get(place)
        if known is None:
            known = self._ids[place] = len(self._places)
            self._places.append(place)
        return known

    def row(self, state: int) -> list[int]:
        """256 targets."""
        groups, targets = self.classes(state)
        return [targets[group] for group in groups.tolist()]

    def classes(self, state: int) -> tuple[npt.NDArray[np.uint8], list[int]]:
        """Of each byte its class, uint8[256]; the target of each class, -1 dead."""
        found = [part.classes(s) if s >= 0 else _DEAD for part, s in zip(self._parts, self._places[state], strict=True)]
        code = found[0][0].astype(np.int64)
        for groups, targets in found[1:]:
            code = np.unique(code, return_inverse=True)[1] * len(targets) + groups
        _, first, classes = np.unique(code, return_index=True, return_inverse=True)
        dead, ids = (-1,) * len(found), []
        for byte in first.tolist():
            place = tuple(targets[groups[byte]] for groups, targets in found)
            ids.append(-1 if place == dead else self._id(place))
        return classes.astype(np.uint8), ids

    def shared(self, state: int) -> Hashable | None:
        """As the only part that is alive, under its label."""
        alive = [i for i, s in enumerate(self._places[state]) if s >= 0]
        if len(alive) != 1:
            return None
        name = self._parts[alive[0]].shared(self._places[state][alive[0]])
        return None if name is None else name if alive[0] == 0 else (name, alive[0])

    @property
    def anything(self) -> Hashable:
        """The name of the state that any text may follow."""
        return self._parts[0].anything

    def steady(self, state: int) -> tuple[int, ...]:
        """What leaves all parts as they are, and what keeps one of them alive (see `ByteDfa.steady`)."""
        alive = [part.steady(s) for part, s in zip(self._parts, self._places[state], strict=True) if s >= 0]
        loops = -1
        for found in alive:
            loops &= found[0]
        _, mask, most, due, *_ = max(alive, key=lambda found: (found[2] >= 24, found[1].bit_count()))
        return loops, mask, most, due, 0, 0

    def need(self, state: int) -> int:
        """Characters due before the nearest end of any part."""
        return min(part.need(s) for part, s in zip(self._parts, self._places[state], strict=True) if s >= 0)

    def label(self, state: int) -> int:
        """Index of the part that accepts, -1 if none does."""
        for i, (part, s) in enumerate(zip(self._parts, self._places[state], strict=True)):
            if s >= 0 and part.label(s) >= 0:
                return i
        return -1

    def boundary(self, state: int) -> bool:
        """As the parts that are alive, which agree."""
        return any(s >= 0 and part.boundary(s) for part, s in zip(self._parts, self._places[state], strict=True))
