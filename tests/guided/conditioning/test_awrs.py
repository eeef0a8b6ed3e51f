"""AWRS: E[weight 1{token = y}] = R(y) 1{y legal}, by enumerating orders and by simulation."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from guided.conditioning.awrs import awrs

LAW = np.array([0.4, 0.25, 0.2, 0.1, 0.05])


@pytest.mark.parametrize("legal", [{0}, {4}, {1, 3}, {0, 2, 4}, {0, 1, 2, 3, 4}, {3, 4}])
def test_recursive_weights_are_unbiased(monkeypatch: pytest.MonkeyPatch, legal: set[int]) -> None:
    """All 120 orders with their probabilities: exact."""
    mean = np.zeros(5)
    for order in permutations(range(5)):
        probability, left = 1.0, 1.0
        for token in order:
            probability *= LAW[token] / left if left > 1e-12 else 1.0
            left -= LAW[token]

        def fixed(probs: Any, rng: Any, order: Any = order) -> Any:
            return iter(order)

        monkeypatch.setitem(awrs.__globals__, "_in_gumbel_order", fixed)
        token, weight = awrs(LAW, legal.__contains__, np.random.default_rng(0), estimator="recursive")
        mean[token] += probability * weight
    expected = np.where(np.isin(np.arange(5), list(legal)), LAW, 0.0)
    np.testing.assert_allclose(mean, expected, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"estimator": "recursive"},
        {"estimator": "geometric"},
        {"max_accepts": 3},
        {"max_accepts": 2, "max_rejects": 2},
        {"max_accepts": 4, "max_rejects": 3},
    ],
)
@pytest.mark.parametrize("legal", [{1, 3}, {0, 2}])
def test_weights_by_simulation(options: dict[str, Any], legal: set[int]) -> None:
    """2,000 draws; means within 5 standard errors (10 cases of 5 means, false alarms under 1e-4)."""
    rng, count = np.random.default_rng(7), 2000
    values = np.zeros((count, 5))
    for number in range(count):
        token, weight = awrs(LAW, legal.__contains__, rng, **options)
        if weight > 0:
            values[number, token] = weight
    expected = np.where(np.isin(np.arange(5), list(legal)), LAW, 0.0)
    error = values.std(axis=0) / np.sqrt(count)
    assert (np.abs(values.mean(axis=0) - expected) <= 5 * error + 1e-12).all()


def test_a_needle_and_nothing() -> None:
    law = np.array([1 - 1e-6, 1e-6])
    for estimator in ("recursive", "geometric"):
        token, weight = awrs(law, {1}.__contains__, np.random.default_rng(0), estimator=estimator)
        assert token == 1 and 0.0 < weight < 1e-2
        assert awrs(law, set().__contains__, np.random.default_rng(0), estimator=estimator) == (-1, 0.0)


def test_few_checks_where_the_model_obeys() -> None:
    law = np.full(1000, 1e-5)
    law[17] = 1 - law.sum() + 1e-5
    asked: list[int] = []

    def legal(token: int) -> bool:
        asked.append(token)
        return True

    rng = np.random.default_rng(1)
    for _ in range(100):
        awrs(law, legal, rng)
    assert len(asked) <= 200


@pytest.mark.parametrize(
    "options", [{"max_accepts": 1}, {"estimator": "best"}, {"estimator": "recursive", "max_rejects": 3}]
)
def test_useless_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"max_accepts|max_rejects"):
        awrs(LAW, bool, np.random.default_rng(0), **options)
