"""Where masks are kept and found: blocks of packed rows that are never moved, and tables from hashes to numbers."""

from __future__ import annotations

import threading
import weakref

import numpy as np
import numpy.typing as npt

from grammars.automaton.arrays import address
from grammars.kernels.tier1 import enter, rehash

__all__ = ["Rows", "Table"]

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

_POOL_BYTES = 64 << 20


class _Pool:
    """Blocks of packed rows, handed on from dropped grammars to new ones: fresh memory costs a page fault per 4 KB."""

    def __init__(self) -> None:
        self._free: dict[int, list[Int32]] = {}
        self._lock = threading.Lock()

    def take(self, size: int) -> Int32:
        with self._lock:
            free = self._free.get(size)
            if free:
                return free.pop()
        return np.empty(size, np.int32)

    def give(self, blocks: list[Int32]) -> None:
        with self._lock:
            for block in blocks:
                free = self._free.setdefault(block.size, [])
                if len(free) * block.nbytes < _POOL_BYTES:
                    free.append(block)


_pool = _Pool()


class Rows:
    """Packed rows in blocks; addresses stay valid as long as this object lives."""

    def __init__(self, words: int) -> None:
        self.words = words
        self._blocks: list[Int32] = []
        weakref.finalize(self, _pool.give, self._blocks)

    def block(self) -> tuple[int, int]:
        """(address, rows) of a further block: 8 rows, later 64."""
        rows = 8 if len(self._blocks) < 16 else 64
        block = _pool.take(rows * self.words)
        self._blocks.append(block)
        return address(block), rows

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(block.nbytes for block in self._blocks)


class Table:
    """Open-addressing table from int64 keys to int64 values, grown by rehashing."""

    def __init__(self, size: int = 256) -> None:
        self.keys: Int64 = np.zeros(size, np.int64)
        self.values: Int64 = np.zeros(size, np.int64)
        self.place = address(self.keys)
        self.n = 0

    def enter(self, q: int, low: int, high: int, limit: int, value: int) -> None:
        """Enter the number of a tier-1 entry."""
        if 2 * self.n >= self.keys.size:
            self.grow()
        enter(self.keys, self.values, q, low, high, limit, value)
        self.n += 1

    def grow(self) -> None:
        """Twice the size, in new arrays: readers of the old ones see what they held."""
        keys, values = np.zeros(2 * self.keys.size, np.int64), np.zeros(2 * self.keys.size, np.int64)
        rehash(self.keys, self.values, keys, values)
        self.keys, self.values = keys, values
        self.place = address(keys)
