"""`LayerTap`: hidden states of inner layers, from the forward pass that `generate` has just made.

Hooks on the model note the ids of its last forward call and what the asked layers gave for its last positions. A
processor's call finds its position there if the noted ids are its own; otherwise (another model's call, embeddings,
an unknown loop) the answer is None and the caller runs a pass of its own. Hooks go away with the tap.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

import torch

from processors.forward.rows import Ids

__all__ = ["LayerTap"]

_POSITIONS = 32  # of a forward call that are kept: a draft's
_quiet = threading.local()


class quiet:
    """While a side pass runs, taps do not listen."""

    def __enter__(self) -> None:
        self.before = getattr(_quiet, "on", False)
        _quiet.on = True

    def __exit__(self, *_: object) -> None:
        _quiet.on = self.before


class LayerTap:
    """Hidden states of `layers` (1 to n - 1: the output of that layer; 0: the embeddings) of a decoder-only model."""

    def __init__(self, model: Any, layers: tuple[int, ...]) -> None:
        self.layers = layers
        self._note = _Note()
        decoder = model.get_decoder() if hasattr(model, "get_decoder") else model.base_model
        inner = getattr(decoder, "decoder", decoder)
        blocks = next((m for name in ("layers", "h", "blocks") if (m := getattr(inner, name, None)) is not None), None)
        self.listens = blocks is not None
        if blocks is None:
            return
        note = self._note
        handles = [
            model.register_forward_pre_hook(note.begin, with_kwargs=True),
            model.register_forward_hook(note.end),
        ]
        for layer in layers:  # what enters the next block is what this one gave
            handles.append(blocks[layer].register_forward_pre_hook(note.layer(layer), with_kwargs=True))
        weakref.finalize(self, lambda: [handle.remove() for handle in handles])

    def at(self, ids: Ids) -> tuple[torch.Tensor, ...] | None:
        """Hidden states [rows, d] after ids [rows, length], for each layer; None if the last forward was not theirs."""
        found = self._note.ready
        if found is None or found.total < ids.shape[1] or found.thread != threading.get_ident():
            return None
        first = found.total - found.ids.shape[1]
        place = ids.shape[1] - found.total - 1  # from the end
        if ids.shape[1] <= first or len(ids) != found.ids.shape[0] or -place > _POSITIONS:
            return None
        fed = found.ids[:, : ids.shape[1] - first]
        if not torch.equal(fed.cpu(), torch.from_numpy(ids[:, first:])):
            return None
        if any(layer not in found.hidden or found.hidden[layer].shape[1] < -place for layer in self.layers):
            return None
        return tuple(found.hidden[layer][:, place] for layer in self.layers)


class _Forward:
    """One forward call: ids [rows, n] fed, `total` length after them, hidden states by layer."""

    def __init__(self, ids: torch.Tensor, total: int) -> None:
        self.ids, self.total = ids, total
        self.thread = threading.get_ident()
        self.hidden: dict[int, torch.Tensor] = {}


class _Note:
    """What the hooks write. Kept apart from the tap, so that hooks do not keep the tap alive."""

    def __init__(self) -> None:
        self.running: _Forward | None = None
        self.ready: _Forward | None = None

    def begin(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        self.running = None
        ids = kwargs.get("input_ids", args[0] if args else None)
        if getattr(_quiet, "on", False) or not isinstance(ids, torch.Tensor) or kwargs.get("inputs_embeds") is not None:
            return
        cache = kwargs.get("cache")
        cache = kwargs.get("past_key_values") if cache is None else cache
        before = int(cache.get_seq_length()) if cache is not None else 0
        self.running = _Forward(ids, before + int(ids.shape[1]))

    def layer(self, number: int) -> Any:
        def listen(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
            states = args[0] if args else kwargs.get("hidden_states")
            if self.running is not None and isinstance(states, torch.Tensor):
                kept = states[:, -_POSITIONS:].detach()
                self.running.hidden[number] = kept if kept.shape[1] == states.shape[1] else kept.clone()

        return listen

    def end(self, module: Any, args: Any, out: Any) -> None:
        if self.running is not None:
            self.ready, self.running = self.running, None
