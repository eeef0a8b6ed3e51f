"""`ForwardPass`: a model and the prompt it sees; `PassState`: its cache in one generation.

A pass gives next-token logits for "its own prompt + what has been generated". It works off what it has not seen yet in
one forward call, however much that is, so steps may be skipped. Cost: one token for each row and generated token.

    rows permuted or duplicated   the cache's rows are selected anew (by content, see `rows`)
    rollback                      the cache is cropped to the longest common prefix
    the same position again       answered from memory, without a forward call (the last `_POSITIONS` are kept)
    a draft ahead                 `prefetch` runs all its positions at once; later calls find them in memory

Models whose cache cannot be cropped (linear attention, Mamba) are run anew from the prompt where cropping is needed.
Encoder-decoders: the prompt goes to the encoder, and all ids of a call to the decoder.
"""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, EncoderDecoderCache

from processors.errors import GenerationError
from processors.forward.caches import select_rows
from processors.forward.prompt import Prompt
from processors.forward.rows import Ids, Rows
from processors.forward.tap import quiet

__all__ = ["Fork", "ForwardPass", "PassState"]

_POSITIONS = 32  # that are remembered for a return, at most
_FLOATS = 16_000_000  # remembered in all, 64 MB


class ForwardPass:
    """A model, and the prompt it reads in place of `generate`'s; None: the same prompt (padding: leading pad tokens).

    `prompt` is what `Prompt.of` takes, for one prompt (used for all rows) or one for each prompt of the batch.
    `layers`: hidden states of these layers are kept as well (0 the embeddings, n the output of the n-th layer; negative
    from the end). `pad`: the padding token of `generate`'s prompt if the model's generation config does not say.
    `spare`: not to be run ahead for a draft, as there is mostly another way.
    """

    def __init__(
        self,
        model: Any,
        prompt: Any = None,
        *,
        layers: tuple[int, ...] = (),
        pad: int | None = None,
        spare: bool = False,
    ) -> None:
        if not callable(getattr(model, "forward", None)) or not hasattr(model, "config"):
            raise GenerationError(f"{type(model).__name__} is not a model of transformers", "Give a loaded model.")
        self.model = model
        self.prompt = None if prompt is None else Prompt.of(prompt)
        self.layers, self.spare = layers, spare
        self.encodes = bool(getattr(model.config, "is_encoder_decoder", False))
        if self.encodes and self.prompt is None:
            raise GenerationError("an encoder-decoder's second pass needs a prompt", "Give the inputs of its encoder.")
        if self.encodes and layers:
            raise GenerationError("inner layers of an encoder-decoder are not supported", "Give a decoder-only model.")
        pads = getattr(getattr(model, "generation_config", None), "pad_token_id", None)
        self.pad = pad if pad is not None else pads
        accepted = inspect.signature(model.forward).parameters
        self.takes_positions = "position_ids" in accepted
        self.takes_kept = "logits_to_keep" in accepted
        self.cache_name = "cache" if "cache" in accepted else "past_key_values"
        self.width = int(model.get_input_embeddings().weight.shape[0])

    @property
    def prompts(self) -> int:
        """Number of prompts that the pass has of its own; 1 if it has none."""
        return 1 if self.prompt is None else self.prompt.count

    def begin(self, ids: Ids, start: int, owner: Ids | None = None) -> PassState:
        """State for a generation whose prompts are ids[:, :start]; `owner` [rows]: which of our prompts each has."""
        return PassState(self, ids, start, owner)


@dataclass
class _Position:
    """What is known after `length` ids: logits [rows, V] float32 and hidden states [rows, d] of the asked layers."""

    length: int
    logits: torch.Tensor
    hidden: tuple[torch.Tensor, ...]

    def select(self, index: torch.Tensor) -> _Position:
        at = index.to(self.logits.device)
        return _Position(self.length, self.logits[at], tuple(h[at] for h in self.hidden))


class PassState:
    """One pass in one generation: cache, ids in the cache, and the last positions' results."""

    def __init__(self, spec: ForwardPass, ids: Ids, start: int, owner: Ids | None = None) -> None:
        self.spec = spec
        self.forwards = 0  # forward calls of the model
        self._begin_at = 0 if spec.encodes else start
        if spec.prompt is not None:
            self._prompt = spec.prompt
            self._rows = Rows(ids[:, :start], start, spec.prompt.count, owner if spec.prompt.count > 1 else None)
        else:  # the prompts of `generate`, each once: beams and several sequences begin alike
            self._prompt, owner = self._prompts_of(ids[:, :start])
            self._rows = Rows(ids[:, :start], start, 1, owner)
        self._mask = torch.empty(0)
        self._lengths = torch.empty(0)
        self._encoder: Any = None
        self._cache: Any = None
        self._cached = self._begin_at  # ids of the rows that the cache holds
        self._memory: list[_Position] = []

    def _prompts_of(self, ids: Ids) -> tuple[Prompt, Ids]:
        """The different prompts of `generate` itself, and for each row which of them it has."""
        if ids.shape[1] == 0:
            raise GenerationError(
                "generate() was called with inputs_embeds, so the prompt's ids are unknown",
                "Give the other model's prompt as inputs=.",
            )
        prompt = Prompt.of_padded(torch.from_numpy(ids.copy()), self.spec.pad)
        table = torch.cat([prompt.ids, prompt.mask], dim=1).numpy()
        _, first, each = np.unique(table, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first)  # as they stand in the batch
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        index = torch.from_numpy(first[order])
        return Prompt(prompt.ids[index], prompt.mask[index]), rank[each.reshape(-1)].astype(np.int64)

    def logits(self, ids: Ids) -> torch.Tensor:
        """float32 [rows, V_of_the_model] after ids [rows, length], on the model's device."""
        return self._at(ids).logits

    def hidden(self, ids: Ids) -> tuple[torch.Tensor, ...]:
        """Hidden states [rows, d] after ids, one for each of the pass's `layers`; the last layer's is normalised."""
        return self._at(ids).hidden

    def prefetch(self, ids: Ids) -> None:
        """Run all positions of ids that are not in memory yet, in one forward call, and keep their results."""
        self._at(ids, all_positions=True)

    def _at(self, ids: Ids, *, all_positions: bool = False) -> _Position:
        length = ids.shape[1]
        common = self._rows.find(ids)
        if common < 0:
            raise GenerationError("these ids do not go on from the prompts of this generation")
        if common == length and self._rows.in_place and (known := self._remembered(length)) is not None:
            return known  # a return to, or a call ahead of, what has been run
        self._arrange(ids, min(common, self._cached))
        return self._remembered(length) or self._run(ids, all_positions)

    def _remembered(self, length: int) -> _Position | None:
        return next((position for position in self._memory if position.length == length), None)

    def _arrange(self, ids: Ids, common: int) -> None:
        """Put rows in the order of `ids`, and forget what they do not share."""
        rows = self._rows
        if self._cache is not None and not rows.in_place:
            index = torch.from_numpy(rows.source)
            self._memory = [position.select(index) for position in self._memory if position.length == ids.shape[1]]
            index = index.to(self._mask.device)
            self._cache.batch_select_indices(index)
            self._mask, self._lengths = self._mask[index], self._lengths[index]
            if self._encoder is not None:
                self._encoder = self._select_encoder(index)
        self._memory = [position for position in self._memory if position.length <= common]
        rows.take(ids)
        if self._cache is not None and common < self._cached:
            self._crop(common)

    def _crop(self, length: int) -> None:
        """Take the ids after `length` out of the cache."""
        if length < self._begin_at or _has_recurrent_layers(self._cache):
            self._cache, self._encoder, self._memory, self._cached = None, None, [], self._begin_at
        else:
            self._cache.crop(length - self._cached)
            self._cached = length

    @torch.no_grad()
    def _run(self, ids: Ids, all_positions: bool) -> _Position:
        length = ids.shape[1]
        if self._cache is not None and self._cached >= length:
            self._crop(length - 1)  # the position's logits have been forgotten: run its last id again
        if self._cache is None:
            self._prefill()
        if length > self._cached:
            new = torch.from_numpy(ids[:, self._cached :].copy()).to(self._mask.device)
            self._feed(new, new.shape[1] if all_positions else 1)
        return self._memory[-1]

    def _feed(self, tokens: torch.Tensor, kept: int) -> None:
        """Append tokens [rows, n] to the cache; remember the results after the last `kept` of them."""
        if not self.spec.encodes:
            mask = self._mask[:, : self._prompt.ids.shape[1] + self._cached - self._begin_at]
            self._mask = torch.cat([mask, mask.new_ones(tokens.shape)], dim=1)
        first = self._lengths + (self._cached - self._begin_at)
        positions = first[:, None] + torch.arange(tokens.shape[1], device=tokens.device)
        found = self._forward(tokens, self._mask, positions, kept)
        self._cached += tokens.shape[1]
        self._remember(self._cached, *found)

    def _prefill(self) -> None:
        """Run the prompts, each once, then give each row its prompt's cache."""
        device = self.spec.model.get_input_embeddings().weight.device
        tokens, mask = self._prompt.ids.to(device), self._prompt.mask.to(device)
        index = torch.from_numpy(self._rows.owner).to(device)
        self._mask, self._lengths = mask[index], mask.sum(dim=1)[index]
        if self.spec.encodes:
            self._encoder = self.spec.model.get_encoder()(input_ids=tokens, attention_mask=mask)
            self._encoder = self._select_encoder(index)
            self._lengths = torch.zeros_like(self._lengths)
            self._cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
            return
        self._cache = _new_cache(self.spec.model)
        logits, hidden = self._forward(tokens, mask, (mask.cumsum(dim=1) - 1).clamp(min=0), 1)
        if not torch.equal(index, torch.arange(len(mask), device=device)):
            self._cache.batch_select_indices(index)
            logits, hidden = logits[index], tuple(h[index] for h in hidden)
        self._remember(self._begin_at, logits, hidden)

    def _forward(
        self, tokens: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, kept: int
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Logits [rows, kept, V] and hidden states [rows, kept, d] after the last tokens; the cache grows."""
        spec, model = self.spec, self.spec.model
        tokens = tokens.clamp(max=spec.width - 1)  # padding after a row's end may be no token of this model
        options: dict[str, Any] = {"attention_mask": mask, spec.cache_name: self._cache, "use_cache": True}
        if spec.encodes:
            options |= {"decoder_input_ids": tokens, "encoder_outputs": self._encoder}
        else:
            options["input_ids"] = tokens
            if spec.takes_positions:
                options["position_ids"] = positions
        if spec.takes_kept:
            options["logits_to_keep"] = kept
        if spec.layers:
            options["output_hidden_states"] = True
        with quiet():
            out = model(**options, return_dict=True)
        self.forwards += 1
        hidden = tuple(_last(out.hidden_states[layer], kept) for layer in spec.layers)
        return _last(out.logits, kept), hidden

    def _remember(self, length: int, logits: torch.Tensor, hidden: tuple[torch.Tensor, ...]) -> None:
        """Keep the results after the last `logits.shape[1]` ids up to `length`."""
        kept = logits.shape[1]
        limit = max(1, min(_POSITIONS, _FLOATS // max(1, logits.shape[0] * logits.shape[2])))
        for at in range(kept):
            here = tuple(h[:, at] for h in hidden)
            self._memory.append(_Position(length - kept + 1 + at, logits[:, at].float(), here))
        del self._memory[: -max(limit, kept)]

    def _select_encoder(self, index: torch.Tensor) -> Any:
        chosen = copy.copy(self._encoder)
        chosen.last_hidden_state = self._encoder.last_hidden_state[index.to(self._mask.device)]
        return chosen

    def fork(self, ids: Ids, repeats: int) -> Fork:
        """A copy of the state after ids [rows, length] to go on from freely, with each row `repeats` times.

        The copy shares no memory that it could change; this state stays as it is. For rollouts.
        """
        at = self._at(ids)
        if self._cached > at.length and _has_recurrent_layers(self._cache):  # ahead, and it cannot be cropped
            self._crop(at.length)
            at = self._run(ids, False)
        return Fork(self, at, repeats)


class Fork:
    """A pass that goes its own way: `step` feeds tokens and gives logits. Made by `PassState.fork`."""

    def __init__(self, state: PassState, at: _Position, repeats: int) -> None:
        self.spec = state.spec
        self.logits = at.logits.repeat_interleave(repeats, dim=0)  # [rows * repeats, V], before any step
        self.hidden = tuple(h.repeat_interleave(repeats, dim=0) for h in at.hidden)  # of the pass's layers
        self._state = copy.copy(state)
        self._state._cache = _copied(state._cache)
        if state._cached > at.length:  # the position was answered from memory, the cache has run ahead along a draft
            self._state._cache.crop(at.length - state._cached)
            self._state._cached = at.length
        if repeats > 1:
            select_rows(self._state._cache, torch.arange(state._mask.shape[0]).repeat_interleave(repeats))
        self._state._mask = state._mask.repeat_interleave(repeats, dim=0)
        self._state._lengths = state._lengths.repeat_interleave(repeats, dim=0)
        if state._encoder is not None:
            index = torch.arange(state._mask.shape[0]).repeat_interleave(repeats)
            self._state._encoder = state._select_encoder(index)

    @torch.no_grad()
    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Append tokens int64 [rows * repeats, n]; logits float32 [rows * repeats, V] after the last of them."""
        self._state._memory = []
        self._state._feed(tokens.to(self._state._mask.device), 1)
        self.logits, self.hidden = self._state._memory[-1].logits, self._state._memory[-1].hidden
        return self.logits

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows only (indices), in this order."""
        state = self._state
        select_rows(state._cache, rows)
        rows = rows.to(state._mask.device)
        state._mask, state._lengths, self.logits = state._mask[rows], state._lengths[rows], self.logits[rows]
        self.hidden = tuple(h[rows] for h in self.hidden)
        if state._encoder is not None:
            state._encoder = state._select_encoder(rows)


def _last(states: torch.Tensor, kept: int) -> torch.Tensor:
    """states[:, -kept:], without holding on to the rest."""
    return states if states.shape[1] == kept else states[:, -kept:].clone()


def _new_cache(model: Any) -> Any:
    """A cache that can be cropped, for all models with attention only: windows are then a matter of the mask."""
    cache = DynamicCache(config=model.config)
    return cache if _has_recurrent_layers(cache) else DynamicCache()


def _has_recurrent_layers(cache: Any) -> bool:
    if isinstance(cache, EncoderDecoderCache):
        return False
    return any("Linear" in type(layer).__name__ for layer in cache.layers)


def _copied(cache: Any) -> Any:
    """A cache whose growth leaves the first one alone; layers that only concatenate need no copy of their tensors."""
    if isinstance(cache, EncoderDecoderCache) or _has_recurrent_layers(cache):
        return copy.deepcopy(cache)
    other = copy.copy(cache)
    other.layers = [copy.copy(layer) for layer in cache.layers]
    return other
