"""Feedback that follows the prefix: what a sampler learnt from the tokens that were really chosen.

A sampler with feedback leaves a note at each prefix it is called with, and reads it when the prefix comes back longer
by one token. Beams permute and copy rows, drafts are rolled back, one object serves several generations: the same
book-keeping as for matchers (`processors.prefix`) answers all of that, because a `Track` moves as a matcher does.

    track.accept(token)   the note of the last call judges the token: value -> next value
    track.rollback(n)     n tokens back, values and notes with them
    track.copy()          another sequence with the same past
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from processors.errors import UnsupportedGeneration
from processors.prefix import EXTENDS, FOREIGN, Cursor, Generation

__all__ = ["Follower", "Track"]

_REMEMBERED = 8  # generations that are kept: interleaved loops on one object
_NOTES = 64  # last notes of a track that are kept: so far back may a draft be rejected
_ANY_TOKEN = 1 << 62

Note = Any
Judge = Callable[[float, Note, int], float]


class Track:
    """One sequence's feedback: `value` before the next token, and the notes that judge the tokens to come.

    `judge(value, note, token)` gives the next value; a token without a note (nobody was called at its prefix, or it has
    been forgotten, after `_NOTES` further tokens) leaves the value as it is.
    """

    __slots__ = ("_judge", "_notes", "_values")

    def __init__(self, judge: Judge, start: float) -> None:
        self._judge = judge
        self._values = [start]
        self._notes: list[Note] = [None]

    @property
    def value(self) -> float:
        return self._values[-1]

    @property
    def length(self) -> int:
        """Number of tokens after the prompt."""
        return len(self._values) - 1

    def leave(self, note: Note) -> None:
        """The note for the next token of this prefix; a second call with the same prefix replaces it."""
        self._notes[-1] = note

    def accept(self, token: int) -> bool:
        note = self._notes[-1]
        self._values.append(self.value if note is None else self._judge(self.value, note, token))
        self._notes.append(None)
        if len(self._notes) > _NOTES:
            self._notes[-1 - _NOTES] = None
        return True

    def rollback(self, n_tokens: int) -> None:
        if n_tokens:
            del self._values[-n_tokens:], self._notes[-n_tokens:]

    def copy(self) -> Track:
        other = Track(self._judge, 0.0)
        other._values, other._notes = list(self._values), list(self._notes)
        return other


class Follower:
    """The tracks of all generations of one processor. Thread-safe; `tracks` is called once per call."""

    def __init__(self, judge: Judge, start: float) -> None:
        self._judge, self._start = judge, start
        self._generations: list[Generation] = []  # the last used one first
        self._announced: set[int] = set()
        self._lock = threading.Lock()

    def announce(self) -> None:
        """The next call of this thread begins a new generation."""
        self._announced.add(threading.get_ident())

    def tracks(self, input_ids: torch.Tensor) -> list[Track]:
        """A track for each row of input_ids [rows, length], moved to it."""
        if input_ids.dim() != 2:
            raise UnsupportedGeneration(
                f"input_ids have shape {tuple(input_ids.shape)}: feedback needs whole sequences [rows, length]",
                "Continuous batching (generate_batch, paged caches) shows only the last tokens: use plain generate().",
            )
        ids = np.ascontiguousarray(input_ids.detach().cpu().numpy(), dtype=np.int64)
        with self._lock:
            return [cursor.matcher for cursor in self._generation(ids).cursors]  # type: ignore[union-attr, misc]

    def _generation(self, ids: npt.NDArray[np.int64]) -> Generation:
        thread = threading.get_ident()
        found: Generation | None = None
        if thread not in self._announced:
            best = FOREIGN
            for generation in self._generations:
                fit = generation.compare(ids)
                rank = 2 * fit + (generation.thread == thread) if fit != FOREIGN else FOREIGN
                if rank > best:
                    best, found = rank, generation
                    if fit == EXTENDS and generation.thread == thread:
                        break
        if found is None:
            found = Generation(ids, [self._begin() for _ in range(ids.shape[0])])
            self._announced.discard(thread)
        else:
            found.follow(ids)
            found.thread = thread
            self._generations.remove(found)
        self._generations.insert(0, found)
        del self._generations[_REMEMBERED:]
        return found

    def _begin(self) -> Cursor:
        track: Any = Track(self._judge, self._start)
        return Cursor(track, _ANY_TOKEN)
