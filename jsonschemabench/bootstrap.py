"""How sure is a ratio of times? The bootstrap over schemas.

Times of one schema resemble each other, so schemas, not tokens, are drawn with replacement (Efron & Tibshirani 1993,
chapter 8: the independent unit is resampled). Means need the sums of each schema only; percentiles are read off
histograms with 1% wide bins on a log scale, which add up as schemas are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["RATIOS", "ratios"]

Times = npt.NDArray[np.float64]

RATIOS = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
"""Percentiles whose ratios get an interval, besides the mean's."""

BINS_PER_E = 100  # a bin is 1% wide
DRAWS, LEVEL = 400, 0.95


def ratios(
    first: Sequence[Times], other: Sequence[Times], *, draws: int = DRAWS, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """`first` over `other`, each a list of times per schema: for avg, p50, p90, p99 the ratio and its 95% interval."""
    if not first or not any(len(times) for times in first):
        return {}
    weights = np.random.default_rng(seed).multinomial(len(first), [1 / len(first)] * len(first), size=draws)
    weights = weights.astype(np.float32)
    whole = [np.concatenate(side) for side in (first, other)]
    found: dict[str, tuple[float, float, float]] = {}
    sums = [np.array([times.sum() for times in side]) for side in (first, other)]
    drawn = [weights @ side for side in sums]
    found["avg"] = _interval(sums[0].sum() / sums[1].sum(), drawn[0] / np.maximum(drawn[1], 1e-9))
    at = {name: [_quantiles(weights @ counts, share) for counts in map(_histograms, (first, other))]
          for name, share in RATIOS.items()} if len(first) > 1 else {}  # fmt: skip
    for name, share in RATIOS.items():
        exact = float(np.quantile(whole[0], share) / np.quantile(whole[1], share))
        if name in at:
            top, bottom = at[name]
            found[name] = _interval(exact, np.exp((top - bottom) / BINS_PER_E))
        else:
            found[name] = (exact, exact, exact)
    return found


def _interval(ratio: float, drawn: Times) -> tuple[float, float, float]:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(ratio), float(min(low, ratio)), float(max(high, ratio))


def _histograms(side: Sequence[Times]) -> npt.NDArray[np.float32]:
    """[schemas, bins]: bin k counts times t with k <= 100 ln t < k + 1."""
    bins = [(np.log(np.maximum(times, 1.0)) * BINS_PER_E).astype(np.int64) for times in side]
    width = 1 + max((int(places.max()) for places in bins if len(places)), default=0)
    counts = np.zeros((len(side), width), dtype=np.float32)
    for row, places in zip(counts, bins, strict=True):
        row[:] = np.bincount(places, minlength=width)
    return counts


def _quantiles(counts: npt.NDArray[np.float32], share: float) -> Times:
    """The bin in which `share` of each row's mass is reached."""
    running = np.cumsum(counts, axis=1, dtype=np.float64)
    reached: Times = np.argmax(running >= share * running[:, -1:], axis=1).astype(np.float64)
    return reached
