"""A large model, corrected by the difference of small ones.

    contrastive decoding   (1 + beta) * lp_L - beta * lp_S  on V_head     (Li et al. 2022; O'Brien and Lewis 2023)
    proxy tuning           lp_L + alpha * (lp_tuned - lp_untuned)         (Liu et al. 2024; Mitchell et al. 2023)

`generate` runs the large one; L, S: log-probabilities over the allowed tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from processors.errors import GenerationError
from processors.evidence.contrast import keep_only, plausible, shift
from processors.forward import Call, ForwardPass, SteeringProcessor

__all__ = ["ContrastiveProcessor", "ProxyTuningProcessor"]


class ContrastiveProcessor(SteeringProcessor):
    """`generate` runs the expert; `amateur` is a smaller model of the same family. One pass of it a token.

    `form` "scaled": (1 + beta) * lp_L - beta * lp_S (arXiv 2309.09117; beta 0 leaves scores as they are, bit for bit);
    "difference": lp_L - beta * lp_S (arXiv 2210.15097 with beta 1). `plausibility` in [0, 1]: only tokens at least this
    share as likely as the expert's best. `temperature` of the amateur. `inputs`: the amateur's prompts, if they are not
    those of `generate`. `beta`, `plausibility`: numbers, or one for each prompt.
    """

    def __init__(
        self,
        amateur: Any,
        *,
        beta: float | Sequence[float] = 0.5,
        plausibility: float | Sequence[float] = 0.1,
        temperature: float = 1.0,
        form: Literal["scaled", "difference"] = "scaled",
        inputs: Any = None,
    ) -> None:
        super().__init__(amateur=ForwardPass(amateur, inputs))
        if form not in ("scaled", "difference"):
            raise GenerationError(f"form={form!r} is unknown", 'Use "scaled" or "difference".')
        if temperature <= 0:
            raise GenerationError(f"temperature={temperature} is out of range", "It is above 0.")
        self.beta = self.setting("beta", beta, 0.0)
        self.plausibility = self.setting("plausibility", plausibility, 0.0, 1.0)
        self.temperature, self.form = temperature, form

    def idle(self, call: Call) -> torch.Tensor | bool:
        if self.form != "scaled" or 0 not in self.beta.values:
            return False
        return self.beta.single == 0 or call.setting(self.beta) == 0

    def steer(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        amateur = call.over_allowed(call.logits("amateur") / self.temperature)
        beta = call.setting(self.beta)
        base = logp if self.form == "scaled" else (1 - beta) * logp.nan_to_num(neginf=0.0)
        contrast = base + beta * shift(logp, amateur)
        return keep_only(contrast, plausible(logp, call.setting(self.plausibility)))


class ProxyTuningProcessor(SteeringProcessor):
    """lp_L + alpha * (lp_tuned - lp_untuned): a large model as if it had been tuned as a small one was.

    `generate` runs the large base model; `tuned` and `untuned` are the small model with and without the tuning
    (arXiv 2401.08565; emulated fine-tuning, arXiv 2310.12962). Two passes of small models a token. `alpha` (a number,
    or one for each prompt): 0 leaves scores as they are, bit for bit; negative moves away from the tuning.
    `inputs`: the small models' prompts, if they are not those of `generate`.
    """

    def __init__(self, tuned: Any, untuned: Any, *, alpha: float | Sequence[float] = 1.0, inputs: Any = None) -> None:
        super().__init__(tuned=ForwardPass(tuned, inputs), untuned=ForwardPass(untuned, inputs))
        self.alpha = self.setting("alpha", alpha)

    def idle(self, call: Call) -> torch.Tensor | bool:
        if 0 not in self.alpha.values:
            return False
        return self.alpha.single == 0 or call.setting(self.alpha) == 0

    def steer(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        return logp + call.setting(self.alpha) * shift(call.logprobs("tuned"), call.logprobs("untuned"))
