"""Ratios with intervals: known ratios are covered, equal engines give one, few schemas give wide intervals."""

from __future__ import annotations

import numpy as np
import pytest

from jsonschemabench.bootstrap import ratios


def sample(schemas: int, tokens: int, scale: float, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [scale * rng.lognormal(8, 0.7, tokens) * rng.lognormal(0, 0.3) for _ in range(schemas)]


def test_the_true_ratio_lies_inside() -> None:
    """Two independent samples of one distribution, one three times slower (fixed seed)."""
    found = ratios(sample(300, 50, 3.0, 1), sample(300, 50, 1.0, 2))
    assert list(found) == ["avg", "p50", "p90", "p99"]
    for ratio, low, high in found.values():
        assert low <= 3.0 <= high and low <= ratio <= high
        assert high / low < 1.35


def test_paired_times_that_differ_by_a_factor_have_no_doubt() -> None:
    """The same schemas are drawn for both, so a constant factor has an interval of no width (but a bin's)."""
    first = sample(40, 30, 1.0, 3)
    for ratio, low, high in ratios([2 * times for times in first], first).values():
        assert ratio == pytest.approx(2) and high - low < 0.05


def test_more_schemas_narrow_the_interval() -> None:
    widths = []
    for schemas in (20, 500):
        _, low, high = ratios(sample(schemas, 20, 1.0, 4), sample(schemas, 20, 1.0, 5))["avg"]
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_nothing_and_one_schema() -> None:
    assert ratios([], []) == {}
    one = [np.array([4.0, 8.0])]
    assert ratios(one, [np.array([2.0, 4.0])])["p50"] == pytest.approx((2, 2, 2))
