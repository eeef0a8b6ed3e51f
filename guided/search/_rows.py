"""`Rows`: sequences that one model continues; cache, attention mask and positions grow, repeat and permute together."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from processors.forward.caches import select_rows

__all__ = ["Rows"]


class Rows:
    """R sequences of a decoder-only model. `logits` float32 [R, V] is what follows them.

    With `hidden=True`, `state` [R, d] is the last layer's hidden state (after the final norm) of the newest token, and
    `states` [R, L, d] those of the prompt. Padding on the left is told by `mask` [R, L] (None: there is none).
    """

    def __init__(
        self, model: Any, ids: torch.Tensor, mask: torch.Tensor | None = None, *, hidden: bool = False
    ) -> None:
        from transformers import DynamicCache

        accepted = inspect.signature(model.forward).parameters
        self.model, self._hidden = model, hidden
        self._cache_name = "cache" if "cache" in accepted else "past_key_values"
        self._extra = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
        self._positions = "position_ids" in accepted
        self.device = ids.device
        self.mask = (torch.ones_like(ids) if mask is None else mask.long()).to(model.device)
        self._cache: Any = DynamicCache(config=model.config)
        self._length = 0
        self.logits = torch.empty(0)
        self.state = self.states = torch.empty(0)
        self.forwards = 0
        self._run(input_ids=ids.to(model.device))

    def _run(self, **inputs: torch.Tensor) -> None:
        new = next(iter(inputs.values())).shape[1]
        positions = (self.mask.cumsum(-1) - 1).clamp_min(0)[:, self._length :]
        extra = {**self._extra, "position_ids": positions} if self._positions else dict(self._extra)
        out = self.model(
            **inputs,
            **extra,
            **{self._cache_name: self._cache},
            attention_mask=self.mask,
            use_cache=True,
            output_hidden_states=self._hidden,
            return_dict=True,
        )
        self._length += new
        self.forwards += 1
        self.logits = out.logits[:, -1].to(device=self.device, dtype=torch.float32)
        if self._hidden:
            self.states = out.hidden_states[-1].to(device=self.device, dtype=torch.float32)
            self.state = self.states[:, -1]

    def step(self, tokens: torch.Tensor | None = None, *, embeddings: torch.Tensor | None = None) -> torch.Tensor:
        """Append one token (int64 [R]) or one embedding ([R, d]) to each row; gives `logits`."""
        self.mask = torch.nn.functional.pad(self.mask, (0, 1), value=1)
        if embeddings is not None:
            self._run(inputs_embeds=embeddings[:, None].to(self.model.device))
        else:
            assert tokens is not None
            self._run(input_ids=tokens[:, None].to(self.model.device))
        return self.logits

    def select(self, rows: torch.Tensor) -> None:
        """Go on with these rows (indices, any number, in this order)."""
        select_rows(self._cache, rows)
        self.mask = self.mask[rows.to(self.mask.device)]
        self.logits = self.logits[rows]
        if self._hidden:
            self.state = self.state[rows]

    def repeat(self, times: int) -> None:
        """Each row `times` times, its copies side by side."""
        if times > 1:
            self.select(torch.arange(len(self.logits)).repeat_interleave(times))
