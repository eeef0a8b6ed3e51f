"""Scores and packed mask rows as `generate` and matchers make them, odd ones included."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

__all__ = ["DTYPES", "mask_rows", "scores_and_rows", "unpack"]

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]
SPECIAL = [float("-inf"), float("inf"), float("nan"), 0.0, -0.0, 1e-40, 65504.0, -1e9]


def unpack(rows: np.ndarray[Any, Any], width: int) -> np.ndarray[Any, Any]:
    """bool [R, width]: bit t % 32 of word t // 32; False beyond the words."""
    bits = np.unpackbits(np.ascontiguousarray(rows).view(np.uint8), axis=1, bitorder="little").astype(bool)
    padded = np.zeros((rows.shape[0], max(width, bits.shape[1])), dtype=bool)
    padded[:, : bits.shape[1]] = bits
    return padded[:, :width]


@st.composite
def mask_rows(draw: st.DrawFn, count: int, words: int) -> np.ndarray[Any, Any]:
    """int32 [count, words]: empty, full, sparse and random words."""
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    rows = random.integers(-(2**31), 2**31, (count, words), dtype=np.int64).astype(np.int32)
    kinds = random.integers(0, 5, (count, words))
    rows[kinds == 0] = 0
    rows[kinds == 1] = -1
    rows[kinds == 2] = 1 << random.integers(0, 31)
    for r in range(count):
        fate = draw(st.sampled_from(["mixed", "mixed", "empty", "full", "one"]))
        if fate != "mixed":
            rows[r] = {"empty": 0, "full": -1, "one": 0}[fate]
            if fate == "one" and words:
                rows[r, random.integers(words)] = -(2**31)
    return rows


@st.composite
def scores_and_rows(draw: st.DrawFn) -> tuple[torch.Tensor, np.ndarray[Any, Any], list[bool]]:
    """Scores [R, V] of any float type with special values, rows [R, W] with W too small, right or too large."""
    count = draw(st.integers(1, 4))
    width = draw(st.one_of(st.integers(1, 70), st.sampled_from([31, 32, 33, 64, 96, 97, 1000, 4100])))
    words = draw(st.sampled_from([(width + 31) // 32, (width + 31) // 32 + 1, max(1, width // 64)]))
    dtype = draw(st.sampled_from(DTYPES))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = random.normal(size=(count, width)) * 5
    odd = random.random((count, width)) < draw(st.sampled_from([0.0, 0.2, 0.9]))
    values[odd] = random.choice(SPECIAL, size=int(odd.sum()))
    for r in range(count):
        if draw(st.integers(0, 3)) == 0:
            values[r] = float("-inf")
    rows = draw(mask_rows(count, words))
    untouched = draw(st.lists(st.sampled_from([False, False, True]), min_size=count, max_size=count))
    return torch.from_numpy(values).to(dtype), rows, untouched
