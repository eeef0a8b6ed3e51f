"""VDGD, description-grounded decoding: of the candidates, what the description makes likely (Ghosh et al. 2024).

The paper ranks a candidate v by the divergence of its one-hot distribution from the model's distributions p_j at the
description's tokens. KL(onehot(v) || p_j) = -ln p_j(v), so its logit is a vector that never changes:

    g(v) = max_j ln p_j(v)  ("min", the paper's)      mean_j ("mean")      sum_j ("sum")

computed once; a step costs no forward pass. Any grounding text serves, also what a vision-language model wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from processors.errors import GenerationError
from processors.evidence.contrast import keep_only, plausible
from processors.forward import Call, Prompt, SteeringProcessor

__all__ = ["VDGDProcessor"]

Reduction = Literal["min", "mean", "sum"]


class VDGDProcessor(SteeringProcessor):
    """(1 - mix) * lp + mix * scale * g on the candidates (arXiv 2405.15683, algorithm 1; mix = 1 is the paper's).

    `description`: its ids, one for each prompt or one for all; `context`: what the model read before it; without
    it the first token has no distribution. Where an image stood before it: `description_logits`, float [tokens, V]
    or a list of them, such as the stacked `logits` of `generate(output_logits=True)`.
    Candidates: tokens at least `alpha` as likely as the best, and with `top_p` also within that nucleus at
    `temperature` (the authors' code: alpha=0, top_p=0.5, temperature=0.5). `mix`, `alpha`: numbers, or one a prompt.
    `scale`: the authors' code divides by V, which makes candidates equal; ours is 1.
    """

    def __init__(
        self,
        model: Any = None,
        description: Any = None,
        *,
        context: Any = None,
        description_logits: torch.Tensor | Sequence[torch.Tensor] | None = None,
        alpha: float | Sequence[float] = 0.1,
        top_p: float | None = None,
        temperature: float = 0.5,
        reduction: Reduction = "min",
        mix: float | Sequence[float] = 1.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        if reduction not in ("min", "mean", "sum"):
            raise GenerationError(f"reduction={reduction!r} is unknown", 'Use "min", "mean" or "sum".')
        if top_p is not None and not 0 < top_p <= 1:
            raise GenerationError(f"top_p={top_p} is out of range", "It is a share of probability, above 0 to 1.")
        if temperature <= 0:
            raise GenerationError(f"temperature={temperature} is out of range", "It is above 0.")
        if (description_logits is None) == (description is None):
            raise GenerationError("one description is needed", "Give description=, or description_logits=.")
        if description_logits is None:
            if model is None:
                raise GenerationError("description= needs the model", "Give model=, or description_logits=.")
            rows = _teacher_forced(model, Prompt.of(description), None if context is None else Prompt.of(context))
        else:
            if context is not None:
                raise GenerationError("context= goes with description=, not with description_logits=")
            given = description_logits
            tensors = [given] if isinstance(given, torch.Tensor) and given.dim() == 2 else list(given)
            rows = [logits.float().log_softmax(dim=-1) for logits in tensors]
        self._agree(len(rows), "descriptions")
        reduce = {"min": lambda lp: lp.amax(dim=0), "mean": lambda lp: lp.mean(dim=0), "sum": lambda lp: lp.sum(dim=0)}
        self.grounding = torch.stack([reduce[reduction](lp) for lp in rows])  # g: [descriptions, V]
        self.alpha = self.setting("alpha", alpha, 0.0, 1.0)
        self.mix = self.setting("mix", mix, 0.0, 1.0)
        self.top_p, self.temperature, self.scale = top_p, temperature, scale

    def idle(self, call: Call) -> torch.Tensor | bool:
        if self.top_p is not None or 0 not in self.mix.values or 0 not in self.alpha.values:
            return False
        return (call.setting(self.mix) == 0) & (call.setting(self.alpha) == 0)

    def steer(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        candidates = plausible(logp, call.setting(self.alpha))
        if self.top_p is not None:
            candidates &= _nucleus(logp / self.temperature, self.top_p)
        if self.grounding.device != logp.device:
            self.grounding = self.grounding.to(logp.device)
        owner = torch.from_numpy(call.owner) if len(self.grounding) > 1 else torch.zeros(call.rows, dtype=torch.int64)
        g = self.grounding[owner.to(logp.device), : logp.shape[1]]
        g = torch.nn.functional.pad(g, (0, logp.shape[1] - g.shape[1]), value=float(self.grounding.min()))
        mix = call.setting(self.mix)
        out = (1 - mix) * logp.nan_to_num(neginf=0.0) + mix * self.scale * g
        return keep_only(out, candidates)


@torch.no_grad()
def _teacher_forced(model: Any, description: Prompt, context: Prompt | None) -> list[torch.Tensor]:
    """ln p_j [tokens, V] at each token of each description that has a token before it."""
    found = []
    if context is not None and context.count not in (1, description.count):
        raise GenerationError(f"{context.count} contexts for {description.count} descriptions", "Give one for each.")
    device = model.get_input_embeddings().weight.device
    for r in range(description.count):
        ids = description.ids[r][description.mask[r] == 1]
        before = torch.empty(0, dtype=torch.int64)
        if context is not None:
            at = r if context.count > 1 else 0
            before = context.ids[at][context.mask[at] == 1]
        if len(ids) + len(before) < 2:
            raise GenerationError("a description of one token tells nothing", "Give a longer one, or its context=.")
        logits = model(torch.cat([before, ids])[None].to(device)).logits[0].float().log_softmax(dim=-1)
        found.append(logits[max(len(before) - 1, 0) : -1])
    return found


def _nucleus(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """bool [rows, V]: the fewest best tokens whose probabilities reach top_p; at least one."""
    values, order = logits.log_softmax(dim=-1).exp().sort(dim=-1, descending=True)
    before = values.cumsum(dim=-1) - values
    return torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, (before < top_p) & (values > 0))
