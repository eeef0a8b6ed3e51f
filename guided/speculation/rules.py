"""Verification rules: a token from `p` that agrees with a draft as often as it can.

Each rule takes the model's distribution `p` (processed, constrained, renormalised) and the draws made at a node, and
gives one token, whose law is exactly `p` whatever was drawn. Where a child of the node carries that token, the walk
goes on there. So the rules differ in nothing but how often that happens.

    rule                  draws                     accepted                        else
    (none)                deterministic proposals   t ~ p                           -
    recursive             c1.. ~ q, independent     r < p_k(c_k) / q(c_k)           p_(k+1) = norm([p_k - q]+)
    without_replacement   c_k ~ q without c_1..k-1  r < p_k(c_k) / q_k(c_k)         p_(k+1) = norm([p_k - q_k]+)
    k_sequential          c1.. ~ q, independent     r < p(c_k) / (rho q(c_k))       ~ p - min(q, p/rho) (1-(1-b)^K)/b

When all draws are rejected, the token is drawn from what `p` has become.
Sources: Leviathan et al. 2023 and Chen et al. 2023 (one draw); Miao et al. 2024, Jeon et al. 2024 (recursive, with and
without replacement); Sun et al. 2023 (SpecTr's k-sequential selection, with b = sum min(q, p/rho)).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from guided.speculation.draft import Draws

__all__ = ["draw", "optimal_rho", "select", "typical"]

Uniform = Callable[[], float]
"""A number in [0, 1), anew each time."""


def draw(p: torch.Tensor) -> int:
    """A token from weights `p` float [V], as `generate` draws it."""
    return int(torch.multinomial(p, 1))


def uniform() -> float:
    return float(torch.rand((), dtype=torch.float64))


def select(p: torch.Tensor, draws: Draws, rand: Uniform = uniform, sample: Callable[[torch.Tensor], int] = draw) -> int:
    """A token with law `p` (float [V], sums to 1), one of `draws` where possible.

    `rand` and `sample` are where chance comes in, so that tests can enumerate it.
    """
    p, q = p.double(), draws.q.double()
    if draws.rule == "recursive":
        return _recursive(p, q, draws, rand, sample)
    if draws.rule == "without_replacement":
        return _without_replacement(p, q, draws, rand, sample)
    if draws.rule == "k_sequential":
        return _k_sequential(p, q, draws, rand, sample)
    raise ValueError(f"unknown verification rule {draws.rule!r}")


def _residual(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """norm([p - q]+); `p` itself where nothing is left, which in exact arithmetic is never reached."""
    rest = (p - q).clamp_(min=0)
    total = float(rest.sum())
    return rest / total if total > 1e-12 else p


def _recursive(
    p: torch.Tensor, q: torch.Tensor, draws: Draws, rand: Uniform, sample: Callable[[torch.Tensor], int]
) -> int:
    for token in draws.tokens:
        if rand() * float(q[token]) < float(p[token]):
            return token
        p = _residual(p, q)
    return sample(p)


def _without_replacement(
    p: torch.Tensor, q: torch.Tensor, draws: Draws, rand: Uniform, sample: Callable[[torch.Tensor], int]
) -> int:
    q = q.clone()
    for token in draws.tokens:
        total = float(q.sum())
        if total <= 0:
            break  # q's support is used up
        q /= total
        if rand() * float(q[token]) < float(p[token]):
            return token
        p = _residual(p, q)
        q[token] = 0
    return sample(p)


def _k_sequential(
    p: torch.Tensor, q: torch.Tensor, draws: Draws, rand: Uniform, sample: Callable[[torch.Tensor], int]
) -> int:
    count = len(draws.tokens)
    rho = optimal_rho(p, q, count)
    for token in draws.tokens:
        if rand() * rho * float(q[token]) < float(p[token]):
            return token
    common = torch.minimum(q, p / rho)
    beta = float(common.sum())
    if beta <= 0:
        return sample(p)  # p and q have nothing in common: what is rejected says nothing about p
    rest = (p - common * ((1 - (1 - min(beta, 1.0)) ** count) / beta)).clamp_(min=0)
    total = float(rest.sum())
    return sample(rest / total if total > 1e-12 else p)


def optimal_rho(p: torch.Tensor, q: torch.Tensor, count: int) -> float:
    """The root of 1 - (1 - b(rho))^K = rho b(rho) on [1, K], b(rho) = sum min(q, p / rho): least rejection.

    The left side less the right falls from non-negative at 1 to non-positive at K; bisection takes it to 2^-40 and
    returns the upper end, where the residual is non-negative.
    """
    low, high = 1.0, float(count)
    for _ in range(40):
        if high - low <= 1e-12:
            break
        middle = (low + high) / 2
        beta = float(torch.minimum(q, p / middle).sum())
        if 1 - (1 - min(beta, 1.0)) ** count > middle * beta:
            low = middle
        else:
            high = middle
    return high


def typical(p: torch.Tensor, tokens: list[int], epsilon: float, delta: float) -> list[int]:
    """Which of `tokens` are typical of `p`: p(t) > min(epsilon, delta exp(-H(p))). Lossy: for explicit use only.

    Cai et al. 2024 (Medusa), eq. 4.
    """
    entropy = float(torch.special.entr(p).sum())
    threshold = min(epsilon, delta * float(torch.exp(torch.tensor(-entropy))))
    return [token for token in tokens if float(p[token]) > threshold]
