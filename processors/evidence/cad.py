"""Context-aware decoding: amplify what the context says over what the model remembers.

CAD      p ~ p_c * (p_c / p_0)^alpha        p_c: with the context, p_0: without    (Shi et al. 2023, eq. 2)
AdaCAD   the same with alpha_t = JSD(p_c || p_0), for each row and step            (Wang et al. 2024, eq. 4)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch

from processors.errors import GenerationError
from processors.evidence.contrast import jensen_shannon, keep_only, plausible, shift
from processors.forward import Call, ForwardPass, SteeringProcessor

__all__ = ["AdaCADProcessor", "CADProcessor"]


class CADProcessor(SteeringProcessor):
    """lp_c + alpha * (lp_c - lp_0) (arXiv 2305.14739). One pass of `model` without the context for each token.

    `without_context`: the prompts again with the context left out (mapping with input_ids, tensor, lists), one for each
    prompt or one for all. `alpha`: 0 leaves scores as they are, bit for bit; the paper uses 0.5 for summaries, 1 where
    context and memory clash. `plausibility` in [0, 1] (default 0: off, as in the paper) first drops tokens less likely
    than this share of the best. Both: numbers, or one for each prompt.
    """

    def __init__(
        self,
        model: Any,
        without_context: Any,
        *,
        alpha: float | Sequence[float] = 0.5,
        plausibility: float | Sequence[float] = 0.0,
    ) -> None:
        super().__init__(null=ForwardPass(model, without_context))
        self.alpha = self.setting("alpha", alpha, -1.0)
        self.plausibility = self.setting("plausibility", plausibility, 0.0, 1.0)

    def idle(self, call: Call) -> torch.Tensor | bool:
        return self.alpha.single == 0 or (call.setting(self.alpha) == 0 if 0 in self.alpha.values else False)

    def steer(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        out = logp + call.setting(self.alpha) * shift(logp, call.logprobs("null"))
        if self.plausibility.single == 0:
            return out
        return keep_only(out, plausible(logp, call.setting(self.plausibility)))


class AdaCADProcessor(SteeringProcessor):
    """CAD whose alpha is the distance of the two distributions: none where they agree (arXiv 2409.07394).

    `floor`: alpha is at least this (the paper's warm-up for long answers; a number, or one for each prompt).
    `base`: "nats" as the authors' code (alpha up to ln 2) or "bits" (up to 1). Behind a constraint the
    divergence is that over the allowed tokens, so forced text is left alone.
    """

    def __init__(
        self,
        model: Any,
        without_context: Any,
        *,
        floor: float | Sequence[float] = 0.0,
        base: Literal["nats", "bits"] = "nats",
        plausibility: float | Sequence[float] = 0.0,
    ) -> None:
        super().__init__(null=ForwardPass(model, without_context))
        if base not in ("nats", "bits"):
            raise GenerationError(f"base={base!r} is unknown", 'Use "nats" or "bits".')
        self.floor = self.setting("floor", floor, 0.0)
        self.plausibility = self.setting("plausibility", plausibility, 0.0, 1.0)
        self.base = base

    def steer(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        null = call.logprobs("null")
        alpha = jensen_shannon(logp, null) / (math.log(2) if self.base == "bits" else 1.0)
        alpha = torch.maximum(alpha, call.setting(self.floor))
        out = logp + alpha * shift(logp, null)
        if self.plausibility.single == 0:
            return out
        return keep_only(out, plausible(logp, call.setting(self.plausibility)))
