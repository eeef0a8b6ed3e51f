"""Every rule emits exactly `p`, whatever was drawn: by enumeration of all draws and all accept decisions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from guided.speculation.draft import Draws, Rule
from guided.speculation.rules import optimal_rho, select, typical

RULES: tuple[Rule, ...] = ("recursive", "without_replacement", "k_sequential")


class Branch(Exception):
    """An accept decision that the schedule does not cover yet."""


class Uniform:
    """Stands for r ~ U[0, 1) in `r * x < y`: true with probability min(1, y / x), both ways taken in turn."""

    def __init__(self, schedule: tuple[bool, ...]) -> None:
        self.schedule, self.at, self.weight = schedule, 0, 1.0

    def __call__(self) -> Any:
        return Scaled(self, 1.0)

    def decide(self, chance: float) -> bool:
        if self.at == len(self.schedule):
            raise Branch
        taken = self.schedule[self.at]
        self.at += 1
        self.weight *= chance if taken else 1 - chance
        return taken


class Scaled:
    def __init__(self, source: Uniform, factor: float) -> None:
        self.source, self.factor = source, factor

    def __mul__(self, other: float) -> Scaled:
        return Scaled(self.source, self.factor * other)

    def __lt__(self, other: float) -> bool:
        return self.source.decide(min(1.0, other / self.factor) if self.factor else float(other > 0))


def law(p: torch.Tensor, draws: Draws) -> torch.Tensor:
    """The distribution of the emitted token for fixed draws."""
    total = torch.zeros(len(p), dtype=torch.float64)
    open_schedules: list[tuple[bool, ...]] = [()]
    while open_schedules:
        schedule = open_schedules.pop()
        rand = Uniform(schedule)
        last: list[torch.Tensor] = []

        def sample(weights: torch.Tensor, last: list[torch.Tensor] = last) -> int:
            last.append(weights / weights.sum())
            return -1

        try:
            token = select(p, draws, rand, sample)
        except Branch:
            open_schedules += [(*schedule, True), (*schedule, False)]
            continue
        if rand.weight > 0:
            total += rand.weight * (last[-1] if token < 0 else torch.eye(len(p), dtype=torch.float64)[token])
    return total


def all_draws(q: torch.Tensor, rule: Rule, count: int) -> Iterator[tuple[float, tuple[int, ...]]]:
    for tokens in itertools.product(range(len(q)), repeat=count):
        chance, left = 1.0, q.double().clone()
        for token in tokens:
            chance *= float(left[token] / left.sum()) if left.sum() > 0 else 0.0
            if rule == "without_replacement":
                left[token] = 0
        if chance > 0:
            yield chance, tokens


def random_pair(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Distributions over 4 tokens; zeros here and there, sometimes equal."""
    generator = torch.Generator().manual_seed(seed)
    p, q = torch.rand(4, generator=generator).double() ** 3, torch.rand(4, generator=generator).double() ** 3
    if seed % 3 == 1:
        p[seed % 4] = 0
    if seed % 3 == 2:
        q[seed % 4] = 0
    if seed % 5 == 4:
        q = p.clone()
    if seed % 7 == 3:
        p = torch.eye(4, dtype=torch.float64)[seed % 4]  # a constraint that leaves one token
    return p / p.sum(), q / q.sum()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_rules_emit_p(rule: Rule, count: int) -> None:
    for seed in range(15 if count < 3 else 4):
        p, q = random_pair(seed)
        if rule == "without_replacement" and count > int((q > 0).sum()):
            continue
        emitted = sum(chance * law(p, Draws(rule, q, tokens)) for chance, tokens in all_draws(q, rule, count))
        assert torch.allclose(torch.as_tensor(emitted), p, atol=1e-9), (rule, count, seed)


def test_the_enumeration_can_fail() -> None:
    """Dividing by q instead of what is left of it bends the distribution, and the enumeration sees it."""
    p, q = random_pair(0)
    emitted = sum(
        chance * law(p, Draws("recursive", q, tokens)) for chance, tokens in all_draws(q, "without_replacement", 2)
    )
    assert not torch.allclose(torch.as_tensor(emitted), p, atol=1e-3)


@pytest.mark.parametrize("rule", RULES)
def test_more_draws_are_accepted_more_often(rule: Rule) -> None:
    p, q = random_pair(6)
    shares = []
    for count in (1, 2, 3):
        share = 0.0
        for chance, tokens in all_draws(q, rule, count):
            share += chance * float(sum(law(p, Draws(rule, q, tokens))[list(set(tokens))]))
        shares.append(share)
    assert shares[0] < shares[1] < shares[2]
    assert shares[0] >= float(torch.minimum(p, q).sum()) - 1e-9


def test_equal_distributions_are_always_accepted() -> None:
    p, _ = random_pair(0)
    for rule in RULES:
        for token in range(4):
            assert float(law(p, Draws(rule, p, [token]))[token]) == pytest.approx(1.0)


def test_rho_of_one_draw_is_one() -> None:
    p, q = random_pair(0)
    assert optimal_rho(p, q, 1) == pytest.approx(1.0)
    assert 1.0 <= optimal_rho(p, q, 3) <= 3.0


def test_typical_keeps_the_confident() -> None:
    p = torch.tensor([0.9, 0.05, 0.04, 0.01])
    assert typical(p, [0, 1, 3], epsilon=0.3, delta=0.09) == [0, 1] or typical(p, [0], 0.3, 0.09) == [0]
    flat = torch.full((100,), 0.01)
    assert typical(flat, [0, 7], epsilon=0.3, delta=0.09) == [0, 7]
