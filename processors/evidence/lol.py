"""LOL, "lower layer matters": contrast at the last and at a lower layer, refocused on truth (Chen et al. 2024).

    F = F^N + omega * F^m + gamma * R     on V_head of the model
    F^l = beta * lp^l - lp^l_amateur      l = N: the last layer, m: a lower one, by the logit lens
    R   = lp(. | instruction, x) - lp(. | x)

No code of the authors is public, and the fusion weights are not in what could be read: the formula is a reconstruction
from arXiv 2408.08769, and the defaults are ours. With omega = gamma = 0 it is ICD, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from processors.errors import GenerationError
from processors.evidence.contrast import amateur_pass, difference, keep_only, plausible, shift, weighted
from processors.evidence.layers import InnerLayers, candidate_layers, chosen, most_distant
from processors.forward import Call, ForwardPass, LogitLens, SteeringProcessor

__all__ = ["LOLProcessor"]

_CLIP = 20.0  # nats: lower layers are flat or wild, and one token must not decide by e^100


class LOLProcessor(SteeringProcessor):
    """Contrastive decoding at two layers with truthfulness refocusing. See the module for the formula.

    `amateur`: a model with the same number of layers, or a prompt for `model` under which it errs. `layers`: the lower
    layer m, or several candidates of which each row takes the most distant at each step (DoLa's rule), or "low"/"high".
    None: a third of the depth. `instructed`: the prompts again with an instruction to be truthful; without it there is
    no refocusing and `gamma` must be 0. `omega`, `gamma`, `beta`, `plausibility`: numbers, or one for each prompt.

    Cost a token: a pass of the amateur, one of the instructed prompt, and an unembedding a layer and model.
    """

    def __init__(
        self,
        model: Any,
        amateur: Any,
        *,
        layers: Literal["low", "high"] | int | Sequence[int] | None = None,
        instructed: Any = None,
        amateur_inputs: Any = None,
        omega: float | Sequence[float] = 0.3,
        gamma: float | Sequence[float] | None = None,
        beta: float | Sequence[float] = 1.0,
        plausibility: float | Sequence[float] = 0.1,
        inputs: Any = None,
        norm: Any = None,
    ) -> None:
        lens = LogitLens(model, norm)
        numbers = candidate_layers(model, lens, max(1, lens.layers // 3) if layers is None else layers)
        amateur_spec = amateur_pass(model, amateur, amateur_inputs, numbers)
        passes = {"amateur": amateur_spec, "layers": ForwardPass(model, inputs, layers=numbers, spare=True)}
        if instructed is not None:
            passes["instructed"] = ForwardPass(model, instructed)
        super().__init__(**passes)
        if gamma is None:
            gamma = 0.0 if instructed is None else 0.5
        self.omega = self.setting("omega", omega)
        self.gamma = self.setting("gamma", gamma)
        self.beta = self.setting("beta", beta, 0.0)
        self.plausibility = self.setting("plausibility", plausibility, 0.0, 1.0)
        if instructed is None and self.gamma.single != 0:
            raise GenerationError("gamma without an instructed prompt", "Give instructed=, or gamma=0.")
        self.amateur_lens = lens if amateur_spec.model is model else LogitLens(amateur_spec.model)
        if self.amateur_lens.layers <= max(numbers):
            raise GenerationError(
                f"the amateur has {self.amateur_lens.layers} layers, and layer {max(numbers)} was asked for",
                "Give layers= that both models have.",
            )
        self.inner = InnerLayers(model, numbers, lens)

    def steer(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        beta = call.setting(self.beta)
        fused = difference(weighted(beta, logp), call.logprobs("amateur"))
        if self.omega.single != 0:
            fused = fused + call.setting(self.omega) * self._lower(call, logp, beta)
        if self.gamma.single != 0:
            fused = fused + call.setting(self.gamma) * shift(call.logprobs("instructed"), logp)
        return keep_only(fused, plausible(logp, call.setting(self.plausibility)))

    def _lower(self, call: Call, logp: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
        """F^m [rows, V], clipped; 0 at banned tokens."""
        own = self.inner.logprobs(call, "layers")
        index = most_distant(logp, own) if len(own) > 1 else torch.zeros(len(logp), dtype=torch.int64)
        hidden = torch.stack([states.to(logp.device) for states in call.hidden("amateur")], dim=1)
        theirs = hidden[torch.arange(len(logp)), index.to(logp.device)]
        device = call.state("amateur").spec.model.get_input_embeddings().weight.device
        amateur = call.over_allowed(self.amateur_lens.logits(theirs.to(device)))
        lower = weighted(beta, chosen(own, index.to(logp.device)))
        return shift(lower, amateur).clamp(-_CLIP, _CLIP)
