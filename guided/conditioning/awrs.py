"""AWRS: a legal token and an unbiased weight for it, from a few legality checks instead of a mask of the vocabulary.

Order the tokens by log R(t) + Gumbel noise (drawing without replacement) and test them one by one: the first legal one
is an exact draw from R restricted to legal tokens. Its weight estimates the legal mass Z = sum of R over legal tokens:

recursive   rejected r1 .. rk, first legal y; s_j the mass rejected before r_j, q_j = R(r_j) / (1 - s_j). Test one token
            more: f = 1 if it is legal (or there is none), else f = q_y.  Z^ = f prod_j (1 - q_j)
geometric   as if drawn with replacement until `a` acceptances: phantom rejections are geometric.
            Z^ = (a - 1) / (a + rejections - 1); stopped by the M-th rejection after k acceptances: k / (k + M - 1),
            in both cases the chance that the first draw was an acceptance, given how it ended

Both have E[Z^ 1{token = y}] = R(y) 1{y legal} for every y, so particles stay properly weighted.
For constraints whose check is cheap and whose mask is not; this project's own masks cost about as much as three checks.

Source: Lipkin et al. (2025), "Fast Controlled Generation from Language Models with Adaptive Weighted Rejection
Sampling", arXiv 2504.05410.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from guided.conditioning.tree import Float64

__all__ = ["Estimator", "awrs"]

Estimator = Literal["auto", "recursive", "geometric"]
_EXHAUSTED = 1e-9  # mass that counts as nothing left to draw


def awrs(
    probs: Float64,
    is_legal: Callable[[int], bool],
    rng: np.random.Generator,
    *,
    estimator: Estimator = "auto",
    max_accepts: int = 2,
    max_rejects: int | None = None,
) -> tuple[int, float]:
    """(token, weight): a draw from `probs` restricted to legal tokens, with E[weight 1{token=y}] = probs[y] 1{y legal}.

    `probs` float64 [V], a normalised law. (-1, 0.0) when no legal token has any mass, or (geometric only) when
    `max_rejects` rejections came before the first acceptance: such a draw stands for a particle of weight 0.
    `estimator="auto"`: geometric where a limit or more than two accepts ask for it or one token has two thirds of the
    mass, else recursive.

    Errors: `ValueError` for `max_accepts` under 2, an unknown estimator, `max_rejects` with the recursive one (cut
    short, its weights would be too small).
    """
    if max_accepts < 2 or estimator not in ("auto", "recursive", "geometric"):
        raise ValueError(
            f"max_accepts={max_accepts} (at least 2), estimator={estimator!r} (auto, recursive, geometric)"
        )
    if estimator == "recursive" and max_rejects is not None:
        raise ValueError(
            'max_rejects needs estimator="geometric" (or "auto"): the recursive weight cannot be cut short'
        )
    if estimator == "auto":
        often = max_accepts > 2 or max_rejects is not None or float(probs.max()) >= 2 / 3
        estimator = "geometric" if often else "recursive"
    checked: dict[int, bool] = {}

    def legal(token: int) -> bool:
        if token not in checked:
            checked[token] = is_legal(token)
        return checked[token]

    if estimator == "recursive":
        return _recursive(probs, legal, rng)
    return _geometric(probs, legal, rng, max_accepts, max_rejects)


def _in_gumbel_order(probs: Float64, rng: np.random.Generator) -> Iterator[int]:
    """Tokens with mass, as drawn without replacement. Sorted in growing stretches: few are ever looked at."""
    with np.errstate(divide="ignore"):
        keys = np.log(probs) + rng.gumbel(size=len(probs))
    support = int((probs > 0).sum())
    done, size = 0, 16
    while done < support:
        size = min(size, support)
        best = np.argpartition(-keys, size - 1)[:size] if size < len(keys) else np.arange(len(keys))
        best = best[np.argsort(-keys[best], kind="stable")][:size]
        yield from best[done:size].tolist()
        done, size = size, size * 8


def _recursive(probs: Float64, legal: Callable[[int], bool], rng: np.random.Generator) -> tuple[int, float]:
    order = _in_gumbel_order(probs, rng)
    weight, rejected = 1.0, 0.0
    for token in order:
        left = 1.0 - rejected
        if left <= _EXHAUSTED:
            return -1, 0.0
        share = min(float(probs[token]) / left, 1.0)
        if legal(token):
            extra = next(order, None)
            return token, weight * (1.0 if extra is None or legal(extra) else share)
        weight *= 1.0 - share
        rejected += float(probs[token])
    return -1, 0.0


def _geometric(
    probs: Float64, legal: Callable[[int], bool], rng: np.random.Generator, accepts: int, max_rejects: int | None
) -> tuple[int, float]:
    remaining = probs.copy()
    removed: float = 0.0  # mass of rejected tokens, never drawn again but by phantoms
    first, rejections, found = -1, 0, 0
    while found < accepts:
        for token in _in_gumbel_order(remaining, rng):
            left = 1.0 - removed
            if left <= _EXHAUSTED:
                return -1, 0.0
            if removed > 0.0:
                rejections += int(rng.geometric(min(left, 1.0))) - 1
            if max_rejects is not None and rejections >= max_rejects:
                return first, (found / (found + max_rejects - 1) if found else 0.0)
            if legal(token):
                first = token if first < 0 else first
                found += 1
                break
            rejections += 1
            removed += float(probs[token])
            remaining[token] = 0.0
            if max_rejects is not None and rejections >= max_rejects:
                return first, (found / (found + max_rejects - 1) if found else 0.0)
        else:
            return -1, 0.0
    return first, (accepts - 1) / (accepts + rejections - 1)
