"""Fast and slow: a small model writes, and asks a large one for the tokens it is unsure of (FS-GEN, Zhang et al. 2024).

A router reads the small model's distribution over the allowed tokens, so what a constraint forces is never asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch

from processors.errors import GenerationError
from processors.evidence.contrast import keep_only, plausible, shift
from processors.forward import Call, ForwardPass, SteeringProcessor

__all__ = ["ConsultProcessor", "entropy_bits"]

Router = Literal["threshold", "margin", "entropy", "always"]
_DEFAULTS: dict[str, float] = {"threshold": 0.5, "margin": 0.2, "entropy": 2.0, "always": 0.0}


def entropy_bits(logp: torch.Tensor) -> torch.Tensor:
    """Entropy of log-probabilities [rows, V] in bits, [rows, 1]."""
    return -(logp.exp() * logp).nan_to_num(nan=0.0).sum(dim=-1, keepdim=True) / math.log(2)


class ConsultProcessor(SteeringProcessor):
    """`generate` runs the small model; rows that the router sends on get the scores of `large` (arXiv 2406.12295).

    `router` and its `limit` (a number, or one for each prompt; default in brackets):
        "threshold"  asks when the best token's probability is below limit (0.5)
        "margin"     when half the distance of the best two is below limit (0.2)
        "entropy"    when the entropy exceeds limit bits (2)
        "always"
    `beta` 1: the large model decides (the paper's oracle); else S + beta * (L - S) on the tokens at least
    `plausibility` as likely as the large model's best: below 1 an average, above 1 a contrast. Rows that need not ask
    keep their scores, bit for bit. The large model works off what it has missed when it is asked next; it runs for all
    rows of a batch when one of them asks. `consulted` and `steps` count rows.
    """

    keeps_mass = True

    def __init__(
        self,
        large: Any,
        *,
        router: Router = "threshold",
        limit: float | Sequence[float] | None = None,
        beta: float = 1.0,
        plausibility: float = 0.1,
        inputs: Any = None,
    ) -> None:
        super().__init__(large=ForwardPass(large, inputs))
        if router not in _DEFAULTS:
            raise GenerationError(f"router={router!r} is unknown", f"Use one of {', '.join(_DEFAULTS)}.")
        if router == "always" and limit is not None:
            raise GenerationError('router="always" has no limit', "Leave limit= out.")
        self.router = router
        self.limit = self.setting("limit", _DEFAULTS[router] if limit is None else limit, 0.0)
        self.beta = self.setting("beta", beta, 0.0)
        self.plausibility = self.setting("plausibility", plausibility, 0.0, 1.0)
        self.consulted = self.steps = 0

    def asks(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        """Rows that ask the large model, bool [rows, 1]."""
        limit = call.setting(self.limit)
        if self.router == "always":
            return torch.ones_like(limit, dtype=torch.bool)
        if self.router == "entropy":
            return entropy_bits(logp) > limit
        best = logp.topk(min(2, logp.shape[1]), dim=-1).values.exp()
        if self.router == "threshold":
            return best[:, :1] < limit
        return (best[:, :1] - best[:, 1:2]) / 2 < limit

    def idle(self, call: Call) -> torch.Tensor | bool:
        asking = self.asks(call, call.over_allowed(call.scores)) & (call.allowed.sum(dim=-1, keepdim=True) > 1)
        self.steps += call.rows
        self.consulted += int(asking.sum())
        return ~asking if bool(asking.any()) else True

    def steer(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        large = call.logprobs("large")
        if self.beta.single == 1:
            return large
        mixed = logp + call.setting(self.beta) * shift(large, logp)
        return keep_only(mixed, plausible(large, call.setting(self.plausibility)))
