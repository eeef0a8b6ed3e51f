"""`Passes`: the target model over trees of tokens, and its cache.

One pass scores all nodes of one draft a row. Slots of the cache are shared by the rows of a batch, so each row has its
own idea of which slots hold its tokens:

    slots    0 ............ L  L+1 ... L+N-1      the pass writes N slots; slot L + i holds node i
    row 0    pad x x x x . x   n0  n1 ... pad      x: a committed token, `.`: a hole, left by a shorter draft
    row 1    x   x x x x x x   n0  n1 ... nN-1

After the pass `commit` keeps the root and the accepted nodes, moved to the front of the N slots. Keys are cached as
they were rotated, by position and not by slot, so they can be moved. Invariant: a row's committed tokens are all in the
cache but the last one, which is the root of the next draft.

A chain without holes needs no mask at all, a chain with holes a mask of slots, a tree a mask of slots and ancestors
(four dimensions, which `sdpa` and `eager` attention take as they are). Caches that hold more than plain keys and values
(sliding windows, recurrent states) can only drop their end: there all rows advance in step, by chains.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch

from guided.speculation.draft import Draft
from guided.speculation.whole import own_memory

__all__ = ["Passes", "cache_name", "cut"]

_HOLES = 0.25  # share of slots without a token at which the cache is compacted


def cache_name(model_kwargs: dict[str, Any]) -> str:
    """The key under which `generate` hands over the cache: it changed from `past_key_values` to `cache` in 5.24."""
    return "cache" if "cache" in model_kwargs else "past_key_values"


def cut(cache: Any, count: int) -> None:
    """Drop the last `count` slots of every layer of a cache."""
    if count > 0:
        cache.crop(-count)


class Passes:
    """The target over `rows` sequences. `watch_hidden`: keep the final hidden states of each pass."""

    def __init__(self, model: Any, model_kwargs: dict[str, Any], rows: int, *, watch_hidden: bool = False) -> None:
        self.model, self.rows = model, rows
        self._kwargs = model_kwargs
        self.cache_name = cache_name(model_kwargs)
        self.cache: Any = model_kwargs.get(self.cache_name)
        self.length = 0  # slots in use
        self.hidden: torch.Tensor | None = None  # [rows, nodes, d] of the last pass
        self._watch_hidden = watch_hidden
        self._keep_logits = "logits_to_keep" in model_kwargs
        self._full: torch.Tensor | None = None  # bool [rows, slots]: which slots hold a token; None: all of them
        self._next: torch.Tensor  # int64 [rows, 1]: position of the root
        self._before = 0
        self.plain = False  # nothing but keys and values, which may be gathered
        self.branches = False  # trees can be masked
        self.rewinds = True  # what was refused can be cut off again

    # ------------------------------------------------------------------------------------------------ running

    def reads_ahead(self, input_ids: torch.Tensor, generation_config: Any) -> bool:
        """Whether a draft may ride along with the prompt: one row, nothing cached, no padding, keys and values only."""
        mask, positions = self._kwargs.get("attention_mask"), self._kwargs.get("position_ids")
        length = input_ids.shape[1]
        layers = getattr(self.cache, "layers", [])
        return (
            self.rows == 1
            and self._keep_logits
            and bool(layers)
            and all(type(layer).__name__ == "DynamicLayer" for layer in layers)
            and int(self.cache.get_seq_length()) == 0
            and getattr(generation_config, "prefill_chunk_size", None) is None
            and (mask is None or (mask.shape[-1] == length and bool(mask.all())))
            and (positions is None or torch.equal(positions[0].cpu(), torch.arange(length)))
        )

    def prefill(self, input_ids: torch.Tensor, generation_config: Any, ahead: Sequence[int] = ()) -> torch.Tensor:
        """Read the prompts [rows, length], left padded; logits [rows, 1, V] after them.

        `ahead`: tokens of a draft, read behind the prompt where `reads_ahead` says so; then the logits are
        [1, 1 + ahead, V], and `commit` is to be called as after `run`.
        """
        with self._watching():
            if ahead:
                more = torch.tensor([list(ahead)], device=input_ids.device)
                outputs = self.model(
                    input_ids=torch.cat([input_ids, more], dim=-1),
                    use_cache=True,
                    return_dict=True,
                    logits_to_keep=1 + len(ahead),
                    **{self.cache_name: self.cache},
                )
            else:
                outputs = self.model._prefill(input_ids, generation_config, self._kwargs)
        self.cache = outputs[self.cache_name] if self.cache_name in outputs else self.cache
        self.length = int(self.cache.get_seq_length())
        mask = self._kwargs.get("attention_mask")
        positions = self._kwargs.get("position_ids")
        if mask is not None:
            self._full = mask.bool()
            last = self._full.sum(-1, keepdim=True) - 1
        else:
            last = torch.full((self.rows, 1), input_ids.shape[1] - 1, device=input_ids.device)
        self._next = (last if positions is None else positions[..., -1:].reshape(self.rows, 1)) + 1
        layers = getattr(self.cache, "layers", [])
        self.plain = bool(layers) and all(type(layer).__name__ == "DynamicLayer" for layer in layers)
        if self.plain:
            own_memory(self.cache)
        attention = getattr(self.model.config, "_attn_implementation", "")
        self.branches = self.plain and attention in ("sdpa", "eager")
        self.rewinds = bool(getattr(self.cache, "is_croppable", True))
        if not self.plain and self.rewinds:
            self.cache.activate_past_recording()
        if ahead:  # the prompt's last token is the root of the draft
            self._full = None
            self._before, self._next = self.length - len(ahead) - 1, self._next - 1
        logits: torch.Tensor = outputs.logits[:, -1 - len(ahead) :]
        return logits

    def run(self, drafts: Sequence[Draft]) -> torch.Tensor:
        """Score the nodes of each row's draft: logits [rows, nodes, V], rows of smaller drafts filled up behind."""
        size = max(len(draft) for draft in drafts)
        device = self._next.device
        tokens = torch.tensor([[*draft.tokens, *[draft.tokens[0]] * (size - len(draft))] for draft in drafts])
        depth = torch.tensor([[*draft.depth, *[0] * (size - len(draft))] for draft in drafts])
        chains = all(draft.is_chain() for draft in drafts)
        if not chains and not self.branches:
            raise ValueError("this model's cache cannot branch: draft a chain")
        self._before = self.length
        kwargs: dict[str, Any] = {
            "input_ids": tokens.to(device),
            "position_ids": self._next + depth.to(device),
            self.cache_name: self.cache,
            "use_cache": True,
            "return_dict": True,
        }
        if not chains or (self.branches and size > 1):  # transformers would take longer to make a chain's mask
            kwargs["attention_mask"] = self._tree_mask(drafts, size)
        elif self._full is not None:
            ones = torch.ones((self.rows, size), dtype=torch.bool, device=device)
            kwargs["attention_mask"] = torch.cat([self._full, ones], dim=-1).long()
        if self._keep_logits:
            kwargs["logits_to_keep"] = size
        with self._watching():
            outputs = self.model(**kwargs)
        self.length += size
        logits: torch.Tensor = outputs.logits[:, -size:]
        return logits

    def _tree_mask(self, drafts: Sequence[Draft], size: int) -> torch.Tensor:
        """[rows, 1, size, length + size]: each node sees its row's tokens and its own ancestors."""
        device = self._next.device
        mask = torch.zeros((self.rows, 1, size, self.length + size), dtype=torch.bool, device=device)
        mask[..., : self.length] = True if self._full is None else self._full[:, None, None, :]
        trees = torch.zeros((self.rows, size, size), dtype=torch.bool)
        for row, draft in enumerate(drafts):
            tree = trees[row]
            tree[range(size), range(size)] = True
            tree[len(draft) :, 0] = True
            for node in range(1, len(draft)):
                tree[node] |= tree[draft.parents[node]]
        mask[:, 0, :, self.length :] = trees.to(device)
        zero = torch.zeros((), dtype=self.model.dtype, device=device)
        return torch.where(mask, zero, torch.finfo(self.model.dtype).min)

    # ------------------------------------------------------------------------------------------------ committing

    def commit(self, paths: Sequence[Sequence[int]]) -> None:
        """Keep the root and the accepted nodes `paths[row]` (ascending) of each row; forget the rest of the pass."""
        before, written = self._before, self.length - self._before
        kept = [[0, *path] for path in paths]
        longest = max(len(nodes) for nodes in kept)
        if any(nodes != list(range(len(nodes))) for nodes in kept):
            self._gather(kept, longest)
        self._crop(written - longest)
        self.length = before + longest
        counts = torch.tensor([[len(nodes)] for nodes in kept], device=self._next.device)
        self._next = self._next + counts
        ragged = any(len(nodes) != longest for nodes in kept)
        if self._full is not None or ragged:
            full = self._full
            if full is None:
                full = torch.ones((self.rows, before), dtype=torch.bool, device=self._next.device)
            new = torch.arange(longest, device=self._next.device)[None] < counts
            self._full = torch.cat([full, new], dim=-1)
            if ragged and self.plain:
                self._compact()

    def _crop(self, count: int) -> None:
        if count or (self.rewinds and not self.plain):
            self.cache.crop(-count)

    def _gather(self, kept: Sequence[Sequence[int]], longest: int) -> None:
        """Move each row's kept nodes to the front of the slots that the pass wrote."""
        index = torch.tensor([[*nodes, *[0] * (longest - len(nodes))] for nodes in kept]) + self._before
        rows = torch.arange(self.rows)[:, None]
        target = slice(self._before, self._before + longest)
        index = index.to(self._next.device)
        for layer in self.cache.layers:
            if self.rows == 1:
                layer.keys[:, :, target] = layer.keys[:, :, index[0]]
                layer.values[:, :, target] = layer.values[:, :, index[0]]
            else:  # advanced indices around a slice: the indexed dimensions come first, [rows, longest, heads, d]
                layer.keys[:, :, target] = layer.keys[rows, :, index].transpose(1, 2)
                layer.values[:, :, target] = layer.values[rows, :, index].transpose(1, 2)

    def _compact(self) -> None:
        """Where a quarter of the slots is empty in every row: move each row's tokens together, in order."""
        full = self._full
        assert full is not None
        longest = int(full.sum(-1).max())
        if self.length - longest <= _HOLES * self.length:
            return
        index = torch.argsort(~full, dim=-1, stable=True)[:, :longest]
        rows = torch.arange(self.rows, device=index.device)[:, None]
        for layer in self.cache.layers:
            layer.keys = layer.keys[rows, :, index].transpose(1, 2).contiguous()
            layer.values = layer.values[rows, :, index].transpose(1, 2).contiguous()
        self._full = full.gather(1, index)
        self.length = longest

    # ------------------------------------------------------------------------------------------------ watching

    def _watching(self) -> ExitStack:
        stack = ExitStack()
        if self._watch_hidden:

            def note(_module: Any, _inputs: Any, output: Any) -> None:
                hidden = getattr(output, "last_hidden_state", None)
                self.hidden = output[0] if hidden is None else hidden

            handle = self.model.base_model.register_forward_hook(note)
            stack.callback(handle.remove)
        return stack
