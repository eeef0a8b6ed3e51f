"""`LogitLens`: next-token logits of an inner layer, by the model's own final norm and unembedding.

    z_l = W_U norm(h_l)            h_l: output of layer l, before the final norm (nostalgebraist 2020; DoLa, eq. 1)

`hidden_states[-1]` of transformers is already normalised, so the last layer is never asked for: its logits are the
model's. Heads that do more than a linear map are followed where the configuration says so (soft-capping, scaling).
"""

from __future__ import annotations

from typing import Any

import torch

from processors.errors import GenerationError

__all__ = ["LogitLens"]

_NORMS = ("norm", "final_layernorm", "final_layer_norm", "ln_f", "norm_f")


class LogitLens:
    """Logits [rows, V] float32 from hidden states [rows, d] of any layer but the last of a decoder-only `model`.

    Errors: `GenerationError` for models whose final norm cannot be found (give `norm=`, the module).
    """

    def __init__(self, model: Any, norm: Any = None) -> None:
        self.model = model
        self.layers = int(model.config.get_text_config(decoder=True).num_hidden_layers)
        decoder = model.get_decoder() if hasattr(model, "get_decoder") else model.base_model
        inner = getattr(decoder, "decoder", decoder)  # OPT's decoder stands within its decoder
        self.norm: Any = norm or next((m for name in _NORMS if (m := getattr(inner, name, None)) is not None), None)
        self.head: Any = model.get_output_embeddings()
        if self.norm is None or self.head is None:
            raise GenerationError(
                f"the final norm or the unembedding of {type(model).__name__} cannot be found",
                "Give the module of the final norm as norm=.",
            )
        config = model.config.get_text_config(decoder=True)
        self._cap = getattr(config, "final_logit_softcapping", None)
        self._scale = 1.0 / getattr(config, "logits_scaling", 1.0) * (getattr(config, "logit_scale", None) or 1.0)

    def layer(self, number: int) -> int:
        """`number` counted from the front, checked: 0 the embeddings, n the output of the n-th layer.

        Errors: `GenerationError` for the last layer and beyond.
        """
        found = number + self.layers + 1 if number < 0 else number
        if not 0 <= found < self.layers:
            raise GenerationError(
                f"layer {number} is no inner layer of a model of {self.layers} layers",
                f"Give a number from 0 (the embeddings) to {self.layers - 1}.",
            )
        return found

    @torch.no_grad()
    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """float32 [rows, V] of hidden [rows, d]."""
        logits: torch.Tensor = self.head(self.norm(hidden)).float() * self._scale
        if self._cap:
            logits = torch.tanh(logits / self._cap) * self._cap
        return logits
