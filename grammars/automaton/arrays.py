"""Arrays that grow by doubling and can be handed to kernels by address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["GrowArray", "Moves", "address"]


def address(array: npt.NDArray[Any]) -> int:
    """Memory address of a C-contiguous array (the caller keeps the array alive)."""
    return int(array.__array_interface__["data"][0])


class Moves:
    """How often any of some arrays that grow together, under one lock, has got another address: asked at each new state
    of a terminal, where to compare all addresses would cost as much as the rest of the question."""

    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n = 0


class GrowArray:
    """A numpy array with room to spare. `data` may be replaced by `extend`: read it anew after growing, which `moves`
    counts."""

    __slots__ = ("address", "data", "fill", "moves", "n")

    def __init__(self, dtype: Any, capacity: int = 64, fill: int = 0, moves: Moves | None = None) -> None:
        # pages of zeros cost nothing until they are written to
        self.data: npt.NDArray[Any] = np.full(capacity, fill, dtype) if fill else np.zeros(capacity, dtype)
        self.address = address(self.data)
        self.n = 0
        self.fill = fill
        self.moves = Moves() if moves is None else moves

    def reserve(self, extra: int) -> None:
        """Make room for `extra` more entries."""
        need = self.n + extra
        if need > self.data.size:
            size = max(need, 2 * self.data.size)
            grown = np.empty(size, self.data.dtype) if self.fill else np.zeros(size, self.data.dtype)
            if self.fill:
                grown[self.n :] = self.fill
            grown[: self.n] = self.data[: self.n]
            self._move(grown)

    def renew(self) -> None:
        """Continue in a copy: who knows the old address sees no later change."""
        self._move(self.data.copy())

    def _move(self, data: npt.NDArray[Any]) -> None:
        self.data = data
        self.address = address(data)
        self.moves.n += 1

    def extend(self, values: Sequence[int] | npt.NDArray[Any]) -> int:
        """Append; returns the index of the first new entry."""
        first, count = self.n, len(values)
        if first + count > self.data.size:
            self.reserve(count)
        self.data[first : first + count] = values
        self.n += count
        return first
