"""What a constraint hands to the value stage, so that rollouts stay inside what may be written.

Composition binds the two (`FusedProcessor`): a processor with a method `under(constraint)` is replaced by its answer.
At each call the constraint has just masked the same rows, so its cursors stand where the rollouts begin; they are
copied, and the constraint's own never move.

A rollout is only worth reading if it is finished, and only if the policy was free until then. So it has `length` tokens
to go its own way and, besides them, as many as the shortest completion takes; never more than the generation itself
has left. (Rejected: `length` in all. A document whose shortest end takes most of that is closed after a token or two,
and what the reward then judges is a text that will not be written.) Where the constraint cannot tell the least
(context-free grammars), rollouts stay inside it and are cut after `length` tokens.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch

from grammars.errors import BudgetExceeded, GrammarError
from processors.constraint import ConstraintProcessor
from processors.kernels import Masker
from processors.prefix import Cursor

__all__ = ["Branches", "branch_out"]


class Branches:
    """Texts that go on from the rows of a call, each for itself. None: a row without a constraint.

    `mask` bans what may not follow in logits [n, width]; `advance` takes one token of each; `keep` drops texts.
    """

    def __init__(self, branches: Sequence[tuple[Cursor | None, int | None]], words: int) -> None:
        self._cursors = [cursor for cursor, _ in branches]
        self._left = [left for _, left in branches]
        self._words = words
        self._masker: Any = None
        self._shape = (0, 0)

    def limit(self, length: int) -> list[int]:
        """Give every text `length` tokens and those of its shortest end; how many each may take, its end included."""
        return [self._limit(i, length) for i in range(len(self._cursors))]

    def _limit(self, i: int, length: int) -> int:
        cursor, given = self._cursors[i], self._left[i]
        if cursor is None:
            return length
        try:
            wanted = length + cursor.matcher.min_tokens() + 1  # type: ignore[attr-defined]
        except (GrammarError, BudgetExceeded):  # it cannot be told
            return length
        self._left[i] = wanted if given is None else min(wanted, given)
        return self._left[i] or 0

    def endings(self, eos_ids: Collection[int]) -> list[list[int]]:
        """For each text all of its tokens up to the end, if there is a single way and so nothing to decide; else []."""
        return [self._ending(i, eos_ids) for i in range(len(self._cursors))]

    def _ending(self, i: int, eos_ids: Collection[int]) -> list[int]:
        own, tokens = self._cursors[i], list[int]()
        row, left = np.zeros(self._words, np.int32), self._left[i]
        cursor = own
        while cursor is not None and (left is None or left > len(tokens)):
            cursor.matcher.fill_mask(row, budget=None if left is None else left - len(tokens))
            if (token := _only(row)) is None:
                break
            tokens.append(token)
            if token in eos_ids:
                return tokens
            if cursor is own:
                cursor = cursor.copy()
            cursor.move(cursor.legal, (token,))
        return []

    def advance(self, tokens: Sequence[int]) -> None:
        """One more token for each text."""
        for i, (cursor, token) in enumerate(zip(self._cursors, tokens, strict=True)):
            if cursor is not None:
                cursor.move(cursor.legal, (token,))
                if (left := self._left[i]) is not None:
                    self._left[i] = left - 1

    def keep(self, texts: Sequence[int]) -> None:
        """Go on with these only, in this order."""
        self._cursors = [self._cursors[i] for i in texts]
        self._left = [self._left[i] for i in texts]

    def mask(self, logits: torch.Tensor) -> torch.Tensor:
        """logits float32 [n, width] with -inf for what may not follow. A text that cannot be finished within its budget
        any more (items that must differ may need more than the estimate) goes on without one."""
        if all(cursor is None for cursor in self._cursors):
            return logits
        count, width = logits.shape
        if (count, width) != self._shape or self._masker is None:
            untouched = [cursor is None for cursor in self._cursors]
            self._masker, self._shape = Masker(count, width, self._words, untouched=untouched), (count, width)
        self._masker.before_writing()
        for i, cursor in enumerate(self._cursors):
            if cursor is None:
                continue
            row: np.ndarray[Any, Any] = self._masker.row[i]
            left = self._left[i]
            cursor.matcher.fill_mask(row, budget=left if left is not None and left > 0 else None)
            if left is not None and not row.any():
                self._left[i] = None
                cursor.matcher.fill_mask(row)
        out: torch.Tensor = self._masker.apply(logits)[0]
        return out


def branch_out(constraint: ConstraintProcessor, input_ids: torch.Tensor, rows: Sequence[int]) -> Branches:
    """A text for each of `rows` (indices into input_ids [R, length], repeated ones included), where the row stands."""
    return Branches(constraint.branch(input_ids, rows), constraint.words)


def _only(row: np.ndarray[Any, Any]) -> int | None:
    """The one token of a packed row; None if it has none or several."""
    words = row.nonzero()[0]
    if len(words) != 1 or (bits := int(row[words[0]]) & 0xFFFFFFFF) & (bits - 1):
        return None
    return 32 * int(words[0]) + bits.bit_length() - 1
