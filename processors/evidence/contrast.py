"""Contrasts of two distributions: the shared arithmetic, and ICD, induce-then-contrast decoding.

Distributions are log-probabilities [rows, V] over the allowed tokens, -inf elsewhere. -inf - (-inf) is NaN, and what it
shall be instead is said by `nan_to_num`: on a CPU that takes a fifteenth of the time of `torch.where`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from processors.errors import GenerationError
from processors.forward import Call, ForwardPass, SteeringProcessor

__all__ = [
    "ICDProcessor",
    "amateur_pass",
    "difference",
    "jensen_shannon",
    "keep_only",
    "plausible",
    "shift",
    "weighted",
]

_BANNED = float("-inf")


def plausible(logp: torch.Tensor, alpha: torch.Tensor | float) -> torch.Tensor:
    """V_head, bool [rows, V]: logp >= the row's best + ln alpha. alpha [rows, 1] or a number from 0 (all) to 1 (best).

    Adaptive plausibility (Li et al. 2022, arXiv 2210.15097, eq. 3), relative to the best *allowed* token.
    """
    cut = torch.as_tensor(alpha, dtype=logp.dtype, device=logp.device).log()
    least = torch.finfo(logp.dtype).min  # banned tokens lie below it
    return logp >= (logp.amax(dim=-1, keepdim=True) + cut).clamp(min=least)


def keep_only(logp: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """logp, and -inf where not kept (bool); an addition, three times as fast as masked_fill on a CPU."""
    return logp + (torch.nn.functional.threshold(kept.to(logp.dtype), 0.5, _BANNED) - 1)


def difference(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """p - q; where p is -inf that, where only q is -inf 0: nothing is known that speaks against the token."""
    return (p - q).nan_to_num(nan=_BANNED, posinf=0.0, neginf=_BANNED)


def shift(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """p - q, and 0 where p or q is -inf: what is added to a log-distribution that has its own -inf."""
    return (p - q).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def jensen_shannon(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """JSD of two log-distributions [rows, V], [rows, 1] in nats, from 0 to ln 2; no clamping is needed."""
    middle = torch.logaddexp(p, q) - math.log(2)

    def half(x: torch.Tensor) -> torch.Tensor:
        return (x.exp() * (x - middle)).nan_to_num(nan=0.0, neginf=0.0).sum(dim=-1, keepdim=True)

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
        return keep_only(contrast, plausible(logp, call.setting(self.plausibility)))


def weighted(weight: torch.Tensor, logp: torch.Tensor) -> torch.Tensor:
    """weight * logp with banned tokens left alone (0 * -inf is NaN)."""
    return (weight * logp).nan_to_num(nan=_BANNED, neginf=_BANNED)
