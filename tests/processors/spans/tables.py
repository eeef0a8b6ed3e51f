"""A model by its table: log-probabilities of what follows each prefix, and a tokenizer of words."""

from __future__ import annotations

import re
import zlib
from typing import Any

import numpy as np
import torch

from processors.spans.teacher import Teacher


class Words:
    """Tokens are words with the blank before them; the id does not know of the blank. Id 0 is the end."""

    def __init__(self, vocabulary: str) -> None:
        self.words = ["<end>", *vocabulary.split()]

    def __call__(self, text: str, add_special_tokens: bool, return_offsets_mapping: bool = False) -> dict[str, Any]:
        found = list(re.finditer(r"\s*(\S+)", text))
        ids = [self.words.index(match[1]) for match in found]
        return {"input_ids": ids, "offset_mapping": [match.span() for match in found]}


class TableTeacher(Teacher):
    """A teacher whose model is `table(prefix) -> p [V]`."""

    def __init__(self, model: Any, inputs: Any, *, batch: int = 16) -> None:
        self.model, self.batch, self.forwards, self.rows = model, batch, 0, 0
        self._device = torch.device("cpu")

    def _batch(self, texts: list[list[int]]) -> torch.Tensor:
        self.forwards += 1
        self.rows += len(texts)
        self.model.rows = getattr(self.model, "rows", 0) + len(texts)
        longest = max(map(len, texts))
        padded = [text + [0] * (longest - len(text)) for text in texts]
        p = np.array([[self.model(tuple(text[:k])) for k in range(longest + 1)] for text in padded])
        with np.errstate(divide="ignore"):
            return torch.from_numpy(np.log(p))


def random_table(seed: int, width: int, sharp: float = 2.0) -> Any:
    """A conditional distribution for each prefix, drawn from its own seed."""

    def table(prefix: tuple[int, ...]) -> np.ndarray:
        rng = np.random.default_rng((seed, zlib.crc32(bytes(prefix))))
        logits = rng.normal(size=width) * sharp
        p = np.exp(logits - logits.max())
        return p / p.sum()

    return table


def log_p(table: Any, text: list[int]) -> float:
    """ln p of a text, plainly."""
    return float(sum(np.log(table(tuple(text[:k]))[token]) for k, token in enumerate(text)))
