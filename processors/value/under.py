"""What a constraint hands to the value stage, so that rollouts stay inside what may be written.

Composition binds the two (`FusedProcessor`): a processor with a method `under(constraint)` is replaced by its answer.
At each call the constraint has just masked the same rows, so its cursors stand where the rollouts begin; they are
copied, and the constraint's own never move.

A rollout is only worth reading if it can be finished, so it has a budget: at most `length` tokens, or as many as the
shortest completion takes, and never more than the generation itself has left. Where the constraint cannot tell how much
that is (context-free grammars), rollouts stay inside it and are cut after `length` tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    def limit(self, length: int) -> int:
        """Give every text a budget of about `length` tokens, its end included; the largest that was needed."""
        for i, cursor in enumerate(self._cursors):
            if cursor is not None:
                try:
                    least = cursor.matcher.min_tokens() + 1  # type: ignore[attr-defined]
                except (GrammarError, BudgetExceeded):  # it cannot be told
                    continue
                wanted = max(length, least)
                given = self._left[i]
                self._left[i] = wanted if given is None else min(wanted, given)
        needed = [each for cursor, each in zip(self._cursors, self._left, strict=True) if cursor and each is not None]
        return max([length, *needed])

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
