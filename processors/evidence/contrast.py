"""Contrasts of two distributions: the shared arithmetic, and ICD, induce-then-contrast decoding.

Distributions are log-probabilities [rows, V] over the allowed tokens, -inf elsewhere. Differences are only formed where
both are finite, because -inf - (-inf) is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from processors.errors import GenerationError
from processors.forward import Call, ForwardPass, SteeringProcessor

__all__ = ["ICDProcessor", "amateur_pass", "difference", "jensen_shannon", "plausible"]

_BANNED = float("-inf")


def plausible(logp: torch.Tensor, alpha: torch.Tensor | float) -> torch.Tensor:
    """V_head, bool [rows, V]: logp >= the row's best + ln alpha. alpha [rows, 1] or a number from 0 (all) to 1 (best).

    Adaptive plausibility (Li et al. 2022, arXiv 2210.15097, eq. 3), relative to the best *allowed* token.
    """
    cut = torch.as_tensor(alpha, dtype=logp.dtype, device=logp.device).log()
    return (logp >= logp.amax(dim=-1, keepdim=True) + cut) & (logp > _BANNED)


def difference(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """p - q; where p is -inf that, where only q is -inf 0: nothing is known that speaks against the token."""
    return torch.where((p > _BANNED) & (q > _BANNED), p - q, torch.where(p > _BANNED, 0.0, p))


def jensen_shannon(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """JSD of two log-distributions [rows, V], [rows, 1] in nats, from 0 to ln 2; no clamping is needed."""
    middle = torch.logaddexp(p, q) - math.log(2)

    def half(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > _BANNED, x.exp() * difference(x, middle), 0.0).sum(dim=-1, keepdim=True)

    return (0.5 * (half(p) + half(q))).clamp(0.0, math.log(2))


def amateur_pass(model: Any, amateur: Any, inputs: Any, layers: tuple[int, ...] = ()) -> ForwardPass:
    """The amateur's pass: another model (its prompt is `inputs`, or that of `generate`), or a prompt for `model`."""
    if callable(getattr(amateur, "forward", None)):
        return ForwardPass(amateur, inputs, layers=layers)
    if amateur is None or inputs is not None:
        raise GenerationError(
            "no amateur" if amateur is None else "two prompts for the amateur",
            "Give amateur=, a weaker model, or a prompt under which the same model errs.",
        )
    return ForwardPass(model, amateur, layers=layers)


class ICDProcessor(SteeringProcessor):
    """F = beta * lp - lp_amateur on the plausible tokens (Zhang et al. 2023, arXiv 2312.15710).

    `amateur`: a model (made to hallucinate) or a prompt for `model` under which it does; `amateur_inputs`: an amateur
    model's own prompt. `beta` >= 0 and `plausibility` in [0, 1]: numbers, or one for each prompt. With the model itself
    as amateur and beta 1 all plausible tokens are equal: that is what the formula says.
    """

    def __init__(
        self,
        model: Any,
        amateur: Any,
        *,
        amateur_inputs: Any = None,
        beta: float | Sequence[float] = 1.0,
        plausibility: float | Sequence[float] = 0.1,
    ) -> None:
        super().__init__(amateur=amateur_pass(model, amateur, amateur_inputs))
        self.beta = self.setting("beta", beta, 0.0)
        self.plausibility = self.setting("plausibility", plausibility, 0.0, 1.0)

    def steer(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        contrast = difference(weighted(call.setting(self.beta), logp), call.logprobs("amateur"))
        return contrast.masked_fill(~plausible(logp, call.setting(self.plausibility)), _BANNED)


def weighted(weight: torch.Tensor, logp: torch.Tensor) -> torch.Tensor:
    """weight * logp with banned tokens left alone (0 * -inf is NaN)."""
    return torch.where(logp > _BANNED, weight * logp, logp)
