"""State follows the prefix: which matcher stands where, found from the ids of a call and nothing else.

A processor is called with whole sequences and is told nothing: beams are permuted and duplicated between calls,
assisted decoding goes back and visits positions again, one object serves several generations. So each call is compared
with the one before, row by row and id by id (a compare of integers: 2 µs for 4,000 ids, which is nothing beside a
forward pass over them), and each row takes over the matcher of the row whose ids it continues:

    ids[r] = ids of row s in the call before, up to `common`, plus at most one new id

In all modes of `generate` each new sequence is a known one, cut anywhere, plus at most one token. Own loops may also
write several tokens at once, all of them legal. A row that fits neither means that this is another generation.

    `Cursor`      one sequence: a matcher and how much of the sequence it has accepted
    `Generation`  the rows of one `generate` call: prompt length, ids of the last call, cursors

Rejected: a map from hashes of prefixes to copied states (the states of each step must be copied and hashed to serve a
rollback that `Matcher.rollback` does for nothing); counting calls (wrong everywhere but in plain greedy search).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from processors.kernels.sources import find_sources

__all__ = ["EXTENDS", "FOREIGN", "LEAPS", "REVISITS", "Cursor", "Generation", "MatcherLike"]

FOREIGN, LEAPS, REVISITS, EXTENDS = range(4)

Ids = npt.NDArray[np.int64]


class MatcherLike(Protocol):
    """What a cursor needs of `grammars.Matcher`."""

    def accept(self, token: int) -> bool: ...
    def rollback(self, n_tokens: int) -> None: ...
    def copy(self) -> Any: ...
    def is_finished(self) -> bool: ...
    def is_accepting(self) -> bool: ...
    def fill_mask(self, row: npt.NDArray[np.int32], budget: int | None = None) -> object: ...


class Cursor:
    """One sequence and its matcher. The matcher has accepted the first `legal` ids after the prompt.

    `legal` falls short of the sequence where an id was refused: after the end, or where a draft or beam sampling wrote
    a banned token. The matcher then waits at the last legal position.
    """

    __slots__ = ("legal", "matcher", "size")

    def __init__(self, matcher: MatcherLike, size: int, legal: int = 0) -> None:
        self.matcher, self.size, self.legal = matcher, size, legal

    def move(self, keep: int, tokens: Sequence[int]) -> None:
        """Go back to the first `keep` ids after the prompt, then on by `tokens`."""
        if self.legal > keep:
            self.matcher.rollback(self.legal - keep)
            self.legal = keep
        if self.legal == keep:
            for token in tokens:
                if not (0 <= token < self.size and self.matcher.accept(token)):
                    break
                self.legal += 1

    def copy(self) -> Cursor:
        return Cursor(self.matcher.copy(), self.size, self.legal)


class Generation:
    """The rows of one generation. `cursors[r]` is None for a row without a constraint.

    `blocks` is the number of prompts when each has its own constraint, else 1: a row never takes a matcher from
    another block.
    """

    __slots__ = (
        "_common",
        "_in_place",
        "_least",
        "_source",
        "blocks",
        "cursors",
        "ids",
        "length",
        "prompt_length",
        "thread",
        "workspace",
    )

    def __init__(self, ids: Ids, cursors: Sequence[Cursor | None], blocks: int = 1) -> None:
        rows, length = ids.shape
        self.prompt_length = self.length = length
        self.blocks = blocks
        self.cursors = list(cursors)
        self.workspace: Any = None  # what the processor keeps for these rows
        self.thread = threading.get_ident()
        self._in_place, self._least = True, length
        self._resize(rows, length)
        self.ids[:, :length] = ids

    def _resize(self, rows: int, length: int) -> None:
        self.ids: Ids = np.empty((rows, length + length // 2 + 256), dtype=np.int64)
        self._source: Ids = np.empty(rows, dtype=np.int64)
        self._common: Ids = np.empty(rows, dtype=np.int64)

    @property
    def generated(self) -> int:
        """Number of ids after the prompt in the last call."""
        written: int = self.length - self.prompt_length
        return written

    def compare(self, ids: Ids) -> int:
        """How `ids` [R, L] go on from the last call: one of the constants below. Nothing is changed.

        EXTENDS  every row is a known one, whole, with at most one id more
        REVISITS every row is a known one, cut somewhere, with at most one id more
        LEAPS    as those, but rows have several new ids, and their matchers take all of them
        FOREIGN  anything else
        """
        rows, length = ids.shape
        if length < self.prompt_length or (rows != len(self.cursors) and self.blocks != 1):
            return FOREIGN
        if rows != len(self._source):
            self._source, self._common = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
        found = find_sources(ids, self.ids, self.length, self.blocks, self._source, self._common)
        least, self._in_place = found >> 1, bool(found & 1)
        self._least = least
        if least < self.prompt_length:
            return FOREIGN
        if least >= length - 1:
            return EXTENDS if least >= self.length else REVISITS
        return LEAPS if self._can_leap(ids) else FOREIGN

    def _can_leap(self, ids: Ids) -> bool:
        for row, (source, common) in enumerate(zip(self._source.tolist(), self._common.tolist(), strict=True)):
            cursor = self.cursors[source]
            if cursor is None or cursor.legal < common - self.prompt_length:
                return False
            probe = cursor.copy()
            probe.move(common - self.prompt_length, ids[row, common:].tolist())
            if probe.legal < ids.shape[1] - self.prompt_length:
                return False
        return True

    def follow(self, ids: Ids) -> None:
        """Take `ids`, which have just been compared, as the next call of this generation."""
        length = ids.shape[1]
        if self._in_place and length == self.length + 1 <= self.ids.shape[1] and self._least == self.length:
            self._append(ids)
        else:
            self._rearrange(ids)
        self.length = length

    def _append(self, ids: Ids) -> None:
        """The common case: every row goes on by one id."""
        at = self.length
        keep = at - self.prompt_length
        for row, cursor in enumerate(self.cursors):
            token = int(ids[row, at])
            self.ids[row, at] = token
            if cursor is not None and cursor.legal == keep:
                cursor.move(keep, (token,))

    def _rearrange(self, ids: Ids) -> None:
        """Rows permuted, duplicated, dropped or cut: move matchers, copy those that several rows go on from."""
        rows, length = ids.shape
        taken: set[int] = set()
        cursors: list[Cursor | None] = []
        for source in self._source.tolist():
            cursor = self.cursors[source]
            cursors.append(cursor.copy() if cursor is not None and source in taken else cursor)
            taken.add(source)
        for row, (cursor, common) in enumerate(zip(cursors, self._common.tolist(), strict=True)):
            if cursor is not None:
                cursor.move(common - self.prompt_length, ids[row, common:].tolist())
        self.cursors = cursors
        if rows != self.ids.shape[0] or length > self.ids.shape[1]:
            self._resize(rows, length)
        self.ids[:, :length] = ids
