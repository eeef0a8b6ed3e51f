"""`Branching`: a model as its own small tree machine: nodes are added level by level and keep their keys and values.

What draft models need: forward new nodes under any node seen so far, with the cache growing by slots and a mask that
shows each node its prefix and its ancestors; later the cache is cut back to the tokens that were committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from guided.speculation.passes import cut

__all__ = ["Branching"]


class Branching:
    """A causal model over one sequence and a tree below it. Any cache of plain keys and values will do."""

    def __init__(self, model: Any, cache: Any = None) -> None:
        self.model = model
        if cache is None:
            from transformers import DynamicCache

            cache = DynamicCache(config=model.config)
        self.cache = cache
        import inspect

        parameters = inspect.signature(model.forward).parameters
        self._cache_name = "cache" if "cache" in parameters else "past_key_values"
        self._keeps = "logits_to_keep" in parameters
        self.ids: list[int] = []  # tokens whose keys and values are cached, in order
        self._tree: list[tuple[int, int]] = []  # (parent slot, depth) of nodes behind them; slots count from 0

    @torch.no_grad()
    def follow(self, ids: Sequence[int]) -> torch.Tensor:
        """Be at the end of `ids`: cut back to what is common, read the rest; logits [V] after the last token."""
        common = 0
        limit = min(len(self.ids), len(ids) - 1)
        while common < limit and self.ids[common] == ids[common]:
            common += 1
        cut(self.cache, len(self.ids) + len(self._tree) - common)
        self._tree.clear()
        new = torch.tensor([list(ids[common:])], device=self.model.device)
        positions = torch.arange(common, len(ids), device=self.model.device)[None]
        logits = self._forward(new, positions, None, 1)
        self.ids = list(ids)
        return logits[-1]

    @torch.no_grad()
    def grow(self, tokens: Sequence[int], parents: Sequence[int]) -> torch.Tensor:
        """Add nodes: `parents` are slots of earlier nodes, -1 for the end of `ids`; logits [nodes, V] after each."""
        old, length = len(self._tree), len(self.ids)
        for parent in parents:
            self._tree.append((parent, 1 if parent < 0 else self._tree[parent][1] + 1))
        mask = torch.zeros((1, 1, len(tokens), length + len(self._tree)), dtype=torch.bool)
        mask[..., :length] = True
        for row in range(len(tokens)):
            slot = old + row
            while slot >= 0:
                mask[0, 0, row, length + slot] = True
                slot = self._tree[slot][0]
        positions = torch.tensor([[length - 1 + self._tree[old + row][1] for row in range(len(tokens))]])
        device = self.model.device
        new = torch.tensor([list(tokens)], device=device)
        attend: torch.Tensor = mask.to(device)
        if self.model.config._attn_implementation != "sdpa":
            attend = torch.where(attend, 0.0, torch.finfo(self.model.dtype).min).to(self.model.dtype)
        return self._forward(new, positions.to(device), attend, len(tokens))

    def drop(self) -> None:
        """Forget the tree."""
        cut(self.cache, len(self._tree))
        self._tree.clear()

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor, mask: Any, keep: int) -> torch.Tensor:
        kwargs: dict[str, Any] = {"input_ids": ids, "position_ids": positions, self._cache_name: self.cache}
        if mask is not None:
            kwargs["attention_mask"] = mask
        if self._keeps:
            kwargs["logits_to_keep"] = keep
        logits: torch.Tensor = self.model(**kwargs, use_cache=True).logits[0, -keep:]
        return logits.float()
