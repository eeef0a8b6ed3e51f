"""SMC: the mean weight is Pr(language), and weighted texts follow the conditional law."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from guided.conditioning.smc import effective_size, smc, systematic
from tests.guided.conditioning import worlds

OPTIONS: list[dict[str, Any]] = [
    {"threshold": 0.0},
    {"threshold": 0.5},
    {"threshold": 1.0},
    {"proposal": "awrs"},
    {"critic": lambda path: 0.3 * len(path) - 0.5 * path.count(3)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=["sis", "half", "always", "awrs", "critic"])
@pytest.mark.parametrize("name", ["corner", "star"])
def test_mean_weight_is_the_mass_of_the_language(tree: Any, name: str, options: dict[str, Any]) -> None:
    """Unbiased: 200 runs of 6 particles, within 5 standard errors. Weighted frequencies: distance below 0.12
    (masking: 0.5)."""
    grown, rng = tree(name), np.random.default_rng(11)
    exact, mass = worlds.exact_law(name)
    estimates, weighted = [], {text: 0.0 for text in exact}
    for _ in range(200):
        found = smc(grown, rng, particles=6, **options)
        estimates.append(np.exp(found.log_evidence))
        for node, share in zip(found.nodes, found.probabilities(), strict=True):
            if node is not None:
                weighted[tuple(node.path()[:-1])] += share * estimates[-1]
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - mass) <= 5 * error + 1e-6
    total = sum(weighted.values())
    assert worlds.distance({text: value / total for text, value in weighted.items()}, exact) < 0.12


def test_masses_are_those_of_the_path(tree: Any) -> None:
    """The product of the reported masses is the weight that importance sampling gives."""
    found = smc(tree("star"), np.random.default_rng(0), particles=5, threshold=0.0)
    for log_weight, masses in zip(found.log_weights, found.masses, strict=True):
        assert log_weight == pytest.approx(np.log(masses).sum())


def test_equal_prefixes_are_scored_once(tree: Any) -> None:
    grown = tree("corner")
    smc(grown, np.random.default_rng(0), particles=50)
    assert grown.passes <= worlds.LIMIT + 1


def test_systematic_resampling_is_unbiased() -> None:
    weights = np.array([0.5, 0.1, 0.25, 0.15])
    points = (np.arange(2000) + 0.5) / 2000
    counts = sum(np.bincount(systematic(weights, point), minlength=4) for point in points)
    np.testing.assert_allclose(counts / 2000, 4 * weights, atol=2e-3)


def test_effective_size() -> None:
    assert effective_size(np.zeros(8)) == pytest.approx(8)
    assert effective_size(np.array([0.0, -np.inf])) == pytest.approx(1)
    assert effective_size(np.array([-np.inf, -np.inf])) == 0.0
