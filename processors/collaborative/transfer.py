"""RAPID's knowledge transfer as a formula: the model reads all, the drafter only what was retrieved (Chen et al. 2025).

    z' = z + eta * T * (q - p)        p = softmax(z / T), q = softmax(z_drafter / T)

One gradient step of T^2 KL(q || softmax(z / T)) on z, of size eta: not a mixing weight, large values overshoot q.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from processors.errors import GenerationError
from processors.forward import Call, ForwardPass, SteeringProcessor

__all__ = ["RapidProcessor"]


class RapidProcessor(SteeringProcessor):
    """Scores of the model that reads the long context, moved towards a drafter that reads the retrieved one.

    `drafter` may be the model itself; `inputs`: the short prompts (arXiv 2502.20330). `eta` >= 0 (a number, or one for
    each prompt): 0 leaves scores as they are, bit for bit. `temperature` is the one `generate` samples with, which
    it applies afterwards. A pass of the drafter over its short prompt for each token; without speculation this is the
    law that RAPID's speculative sampling has.
    """

    def __init__(
        self, drafter: Any, inputs: Any, *, eta: float | Sequence[float] = 10.0, temperature: float = 1.0
    ) -> None:
        super().__init__(drafter=ForwardPass(drafter, inputs))
        if temperature <= 0:
            raise GenerationError(f"temperature={temperature} is out of range", "It is above 0.")
        self.eta = self.setting("eta", eta, 0.0)
        self.temperature = temperature

    def idle(self, call: Call) -> torch.Tensor | bool:
        if 0 not in self.eta.values:
            return False
        return self.eta.single == 0 or call.setting(self.eta) == 0

    def steer(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        p = (logp / self.temperature).softmax(dim=-1)
        q = call.over_allowed(call.logits("drafter") / self.temperature).exp()
        return logp + call.setting(self.eta) * self.temperature * (q - p)
