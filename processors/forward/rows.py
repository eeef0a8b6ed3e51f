"""`Rows`: sequences seen so far, and from which of them each row of a call goes on.

Nothing tells a processor that beams were permuted, a draft was rolled back or rows were dropped; the ids do. A row's
owner (the prompt of the batch that it belongs to) travels with it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.errors import GenerationError
from processors.kernels.sources import find_sources

__all__ = ["Ids", "Rows"]

Ids = npt.NDArray[np.int64]


class Rows:
    """`ids` [rows, length] of the last call, `owner` [rows]: index of the prompt, `start`: length of the prompt.

    Unless told, row r of a first call belongs to prompt r // (rows / prompts), as `generate` expands them.
    """

    def __init__(self, ids: Ids, start: int, prompts: int = 1, owner: Ids | None = None) -> None:
        rows = ids.shape[0]
        if owner is None and rows % prompts:
            raise GenerationError(
                f"{rows} rows for {prompts} prompts",
                "Give one second prompt for all rows, or one for each prompt of the batch.",
            )
        self.prompts, self.start = prompts, start
        self.ids: Ids = ids.copy()
        self.owner: Ids = np.arange(rows, dtype=np.int64) * prompts // rows if owner is None else owner.copy()
        self.source: Ids = np.arange(rows, dtype=np.int64)

    @property
    def length(self) -> int:
        """Length of the known sequences."""
        return int(self.ids.shape[1])

    def find(self, ids: Ids) -> int:
        """How many ids every row of `ids` shares with a known row, which `source` [rows] then names.

        Nothing else is changed. -1: some row does not even share the prompt.
        """
        rows, length = ids.shape
        if length < self.start:
            return -1
        blocks = self.prompts if rows == len(self.owner) and rows % self.prompts == 0 else 1
        if blocks > 1 and not np.array_equal(self.owner, np.arange(rows) * blocks // rows):
            blocks = 1  # rows of prompts were dropped or exchanged before
        least = self._find(ids, blocks)
        if least < self.start and blocks > 1:
            least = self._find(ids, 1)  # exchanged now
        return least if least >= self.start else -1

    def _find(self, ids: Ids, blocks: int) -> int:
        self.source = np.empty(len(ids), dtype=np.int64)
        common = np.empty(len(ids), dtype=np.int64)
        return int(find_sources(ids, self.ids, self.length, blocks, self.source, common)) >> 1

    @property
    def in_place(self) -> bool:
        """Whether `find` saw each row go on from the row of its own number."""
        return len(self.source) == len(self.owner) and bool((self.source == np.arange(len(self.source))).all())

    def take(self, ids: Ids) -> None:
        """`ids`, which have just been looked for, are now the known sequences."""
        self.owner = self.owner[self.source]
        self.ids = ids.copy()
        self.source = np.arange(len(self.owner), dtype=np.int64)
