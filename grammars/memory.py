"""What the process keeps: how much, up to which limit, and what is forgotten first.

Rows of masks take the room, 16 KB each at 128k tokens. They lie with a grammar and vocabulary (`masktable.Binding`) or,
for what all grammars share, with a store of terminals (`masktable.Tier1`). Both report here each block that they take;
past the limit those that have been idle longest forget their rows and compute them anew when they are asked again.
Compiled grammars are kept by the content of their schema, a limited number of them.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import OrderedDict
from typing import Any, Protocol

__all__ = ["LIMIT", "Keeper", "grammars", "set_memory_limit", "stats", "touch"]

LIMIT = 256 << 20  # bytes of rows in a process
_MOST_GRAMMARS = 256


class Keeper(Protocol):
    """Holds rows that can be forgotten."""

    used: int

    @property
    def nbytes(self) -> int:
        """Bytes of rows and of what finds them."""
        ...

    def forget(self) -> bool:
        """Drop them, unless somebody is at work there."""
        ...


class _Ledger:
    def __init__(self) -> None:
        self.limit = LIMIT
        self.keepers: weakref.WeakSet[Any] = weakref.WeakSet()
        self.clock = itertools.count(1)
        self.lock = threading.Lock()
        self.forgotten = 0
        self.total = 0  # when last counted, and what was taken since

    def take(self, keeper: Keeper, size: int) -> None:
        keeper.used = next(self.clock)
        self.total += size
        if self.total > self.limit and self.lock.acquire(blocking=False):
            try:
                self._make_room(keeper)
            finally:
                self.lock.release()

    def _make_room(self, asking: Keeper) -> None:
        """Down to three quarters, so that it is not done for each block."""
        held = [(keeper.used, id(keeper), keeper, keeper.nbytes) for keeper in list(self.keepers)]
        self.total = sum(entry[3] for entry in held)
        for _, _, keeper, size in sorted(held, key=lambda entry: entry[:2]):
            if self.total <= self.limit * 3 // 4:
                break
            if size and keeper is not asking and keeper.forget():
                self.total += keeper.nbytes - size
                self.forgotten += 1


_ledger = _Ledger()


def enlist(keeper: Keeper) -> None:
    """Count a keeper from now on."""
    keeper.used = next(_ledger.clock)
    _ledger.keepers.add(keeper)


def take(keeper: Keeper, size: int) -> None:
    """A keeper has taken so many bytes more: others may have to forget."""
    _ledger.take(keeper, size)


def touch(keeper: Keeper) -> None:
    """A keeper is in use."""
    keeper.used = next(_ledger.clock)


def set_memory_limit(size: int) -> None:
    """Bytes of remembered mask rows in this process (default 256 MB, 16 KB a row at 128k tokens).

    Less makes masks that were forgotten be computed again, 10 to 500 us each; nothing else changes. What one grammar
    in use needs is kept in any case. Raises `ValueError` below 1 MB.
    """
    if size < 1 << 20:
        raise ValueError(f"a limit of {size} bytes holds no rows to speak of: give at least {1 << 20}")
    _ledger.limit = size


class _Grammars:
    """Compiled grammars by the content of what they were compiled from, least recently used ones dropped first."""

    def __init__(self) -> None:
        self._known: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()
        self.hits = 0

    def get(self, key: Any) -> Any:
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
                self.hits += 1
            return found

    def put(self, key: Any, grammar: Any) -> None:
        with self._lock:
            self._known[key] = grammar
            while len(self._known) > _MOST_GRAMMARS:
                self._known.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._known.clear()

    def __len__(self) -> int:
        return len(self._known)


grammars = _Grammars()


def stats() -> dict[str, int]:
    """What the engine holds in this process.

    `limit_bytes`, `row_bytes`: the limit on remembered rows and what they take; `row_holders`: pairs of a grammar and a
    vocabulary, and of shared terminals and a vocabulary; `forgotten`: how often one of them had to drop its rows;
    `terminal_states`, `terminal_bytes`: of the store that new grammars use; `grammars`, `grammar_hits`: compiled
    grammars kept by content, and how often one was found there.
    """
    from grammars.automaton.terminals import current_store

    store = current_store()
    keepers = list(_ledger.keepers)
    return {
        "limit_bytes": _ledger.limit,
        "row_bytes": sum(keeper.nbytes for keeper in keepers),
        "row_holders": len(keepers),
        "forgotten": _ledger.forgotten,
        "terminal_states": len(store),
        "terminal_bytes": store.nbytes,
        "grammars": len(grammars),
        "grammar_hits": grammars.hits,
    }
