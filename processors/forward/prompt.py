"""`Prompt`: token ids of one or several prompts, padded on the left, whatever form and padding they came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from processors.errors import GenerationError

__all__ = ["Prompt"]


@dataclass(frozen=True, eq=False)
class Prompt:
    """`ids` int64 [prompts, length] and `mask` int64 of that shape, 0 at padding, which stands on the left."""

    ids: torch.Tensor
    mask: torch.Tensor

    @property
    def count(self) -> int:
        """Number of prompts."""
        return int(self.ids.shape[0])

    @property
    def lengths(self) -> torch.Tensor:
        """Tokens of each prompt, int64 [prompts]."""
        return self.mask.sum(dim=1)

    @classmethod
    def of(cls, given: Any) -> Prompt:
        """A prompt from a mapping with `input_ids` (and `attention_mask`), a tensor or a (nested) list.

        Padding may stand on either side; it is moved to the left. Lists of lists may differ in length.
        Errors: `GenerationError` for anything else, and for a prompt without tokens.
        """
        if isinstance(given, Prompt):
            return given
        mask = None
        if isinstance(given, Mapping):
            if "input_ids" not in given:
                raise GenerationError("the prompt has no input_ids", "Give what the tokenizer returned.")
            given, mask = given["input_ids"], given.get("attention_mask")
        rows = _rows(given)
        kept = rows if mask is None else _masked(rows, _rows(mask))
        if not kept or not all(kept):
            raise GenerationError("a prompt without tokens", "Give each row at least one token, such as BOS.")
        return cls.from_rows(kept)

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[int]]) -> Prompt:
        """From lists of ids of any lengths."""
        length = max(map(len, rows))
        ids = torch.zeros((len(rows), length), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for r, row in enumerate(rows):
            ids[r, length - len(row) :] = torch.tensor(list(row), dtype=torch.int64)
            mask[r, length - len(row) :] = 1
        return cls(ids, mask)

    @classmethod
    def of_padded(cls, ids: torch.Tensor, pad: int | None) -> Prompt:
        """From the ids that `generate` shows, [prompts, length], where leading `pad` tokens tell of padding.

        Where every row begins with `pad` tokens, as many of them as the least padded row has are taken for text (a BOS
        token that is the padding token as well).
        """
        leading = torch.zeros(ids.shape[0], dtype=torch.int64)
        if pad is not None and ids.shape[0] > 1:
            leading = (ids == pad).to(torch.int64).cumprod(dim=1).sum(dim=1)
            leading = leading - leading.min()
        mask = (torch.arange(ids.shape[1])[None, :] >= leading[:, None]).to(torch.int64)
        return cls(ids.to(torch.int64), mask)


def _rows(given: Any) -> list[list[int]]:
    if isinstance(given, torch.Tensor | np.ndarray):
        given = given.tolist()
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise GenerationError(
            f"a prompt cannot be a {type(given).__name__}",
            "Give token ids: a mapping with input_ids, a tensor, a list.",
        )
    rows = [list(row) for row in given] if given and not isinstance(given[0], int) else [list(given)]
    if not all(isinstance(token, int) for row in rows for token in row):
        raise GenerationError("a prompt must be integers, [length] or [prompts, length]")
    return rows


def _masked(rows: list[list[int]], mask: list[list[int]]) -> list[list[int]]:
    if [len(row) for row in rows] != [len(row) for row in mask]:
        raise GenerationError("input_ids and attention_mask of a prompt differ in shape")
    return [
        [token for token, kept in zip(row, bits, strict=True) if kept] for row, bits in zip(rows, mask, strict=True)
    ]
