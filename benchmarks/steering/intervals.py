"""95% intervals by bootstrap over independent units (prompts, texts), with a fixed seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["interval", "shown"]


def interval(values: Sequence[float], *, draws: int = 4000, seed: int = 0) -> tuple[float, float, float]:
    """Mean of `values` and the 2.5% and 97.5% quantiles of the mean over resampled units."""
    data = np.asarray(values, dtype=float)
    means = np.random.default_rng(seed).choice(data, size=(draws, len(data))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(data.mean()), float(low), float(high)


def shown(values: Sequence[float], digits: int = 3) -> str:
    """`1.234 [1.2, 1.3]`."""
    mean, low, high = interval(values)
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
