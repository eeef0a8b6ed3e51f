"""Every kernel of this package called once, so that numba compiles it now and keeps it on disk."""

from __future__ import annotations

import numpy as np
import torch

from processors.kernels.cpu import NEGATIVE_INFINITY, first_empty
from processors.kernels.masking import Masker
from processors.kernels.sources import find_sources

__all__ = ["warm_up"]


def warm_up() -> None:
    """Compile what `generate` needs beside masks: masking scores of each type, and finding which row continues which.

    Takes some seconds on a new machine, and milliseconds ever after.
    """
    masker = Masker(1, 40, 2)
    masker.rows[:] = -1
    for name in NEGATIVE_INFINITY:
        masker.apply(torch.zeros(1, 40, dtype=getattr(torch, name.removeprefix("torch."))))
    first_empty(masker.rows, np.zeros(1, np.bool_), 40)
    ids, out = np.zeros((1, 3), np.int64), np.zeros(1, np.int64)
    find_sources(ids, ids, 3, 1, out, out.copy())
