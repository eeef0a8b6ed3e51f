"""Inner layers as witnesses: their logits from the pass that `generate` makes anyway, and DoLa's contrast.

DoLa   lp_N - lp_M on V_head,  M = argmax over candidate layers of JSD(p_N || p_l)     (Chuang et al. 2023)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from processors.errors import GenerationError
from processors.evidence.contrast import difference, jensen_shannon, keep_only, plausible
from processors.forward import Call, ForwardPass, LogitLens, SteeringProcessor
from processors.forward.tap import LayerTap

__all__ = ["DoLaProcessor", "InnerLayers", "candidate_layers", "most_distant"]

Layers = Literal["low", "high"] | int | Sequence[int]


def candidate_layers(model: Any, lens: LogitLens, layers: Layers) -> tuple[int, ...]:
    """Layer numbers: given ones checked, or every second of the lower or upper half, as DoLa's buckets.

    Models that tie embeddings begin at 2: there the lowest layers only repeat the last token.
    """
    if isinstance(layers, str):
        half, first = lens.layers // 2, 2 if getattr(model.config, "tie_word_embeddings", False) else 0
        if layers not in ("low", "high"):
            raise GenerationError(f"layers={layers!r} is unknown", 'Use "low", "high", a number or several.')
        found = range(first, half, 2) if layers == "low" else range(half, lens.layers, 2)
        return tuple(found) or (half,)
    given = (layers,) if isinstance(layers, int) else tuple(layers)
    if not given:
        raise GenerationError("no layers", "Name at least one.")
    return tuple(lens.layer(number) for number in given)


class InnerLayers:
    """Logits of inner layers of the model that generates: from its own last forward call, else from a pass of ours."""

    def __init__(self, model: Any, layers: tuple[int, ...], lens: LogitLens) -> None:
        self.layers, self.lens = layers, lens
        self.tap = LayerTap(model, layers)

    def logprobs(self, call: Call, name: str) -> list[torch.Tensor]:
        """Log-probabilities [rows, V] over the allowed tokens for each layer; `name` is the pass to fall back on."""
        hidden = self.tap.at(call.ids)
        if hidden is None:
            hidden = call.hidden(name)
        return [call.over_allowed(self.lens.logits(states)) for states in hidden]


def most_distant(logp: torch.Tensor, candidates: list[torch.Tensor]) -> torch.Tensor:
    """For each row the index of the candidate with the greatest JSD from logp [rows, V]: int64 [rows]."""
    return torch.cat([jensen_shannon(logp, each) for each in candidates], dim=1).argmax(dim=1)


def chosen(candidates: list[torch.Tensor], index: torch.Tensor) -> torch.Tensor:
    """Row r of candidate index[r]."""
    return torch.stack(candidates, dim=1)[torch.arange(len(index), device=index.device), index]


class DoLaProcessor(SteeringProcessor):
    """What the last layer says over the inner layer that differs most from it (arXiv 2309.03883, eqs. 1 to 4).

    `model` is the one that generates; its inner layers are read while it runs, so a token costs no second pass, only an
    unembedding for each of `layers`: "low" or "high" (every second of that half), or numbers (0 the embeddings).
    The layer is chosen for each row. `inputs`: the prompt, needed with `inputs_embeds` only. `norm`: see `LogitLens`.
    """

    def __init__(
        self,
        model: Any,
        *,
        layers: Layers = "low",
        plausibility: float | Sequence[float] = 0.1,
        inputs: Any = None,
        norm: Any = None,
    ) -> None:
        lens = LogitLens(model, norm)
        numbers = candidate_layers(model, lens, layers)
        super().__init__(layers=ForwardPass(model, inputs, layers=numbers, spare=True))
        self.inner = InnerLayers(model, numbers, lens)
        self.plausibility = self.setting("plausibility", plausibility, 0.0, 1.0)

    def steer(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        candidates = self.inner.logprobs(call, "layers")
        premature = chosen(candidates, most_distant(logp, candidates))
        head = plausible(logp, call.setting(self.plausibility))
        return keep_only(difference(logp, premature), head)
