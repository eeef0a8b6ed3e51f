"""`LayerSkip`: the target without some of its layers drafts for itself (SWIFT; Xia et al. 2024).

Attention and feed-forward parts are skipped separately; the first and the last layer stay. Which ones: random proposals
that are kept when they agree better with what was written, judged in one pass over the last tokens, between drafts.
The draft starts from the target's own cache: nothing is computed twice, and each layer is cut back afterwards.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from guided.drafters.model import Proposals
from guided.speculation.draft import Draft, Draws, Seen, Session, Setup, View

__all__ = ["LayerSkip"]

Part = tuple[int, str]


class LayerSkip:
    """Skip the share `skip` of the parts; draft up to `tokens` tokens, no further than confidence `stop`.

    `search`: rounds between two proposals of another set, 0 to keep the set; `window`: tokens that judge it.
    A set that was found stays with the object.
    """

    needs = frozenset({"cache"})
    name = "layers"

    def __init__(
        self, skip: float = 0.45, tokens: int = 8, stop: float = 0.8, *, search: int = 4, window: int = 32,
        seed: int = 0,
    ) -> None:  # fmt: skip
        if not 0 <= skip < 1:
            raise ValueError("skip is a share in [0, 1)")
        self.skip, self.tokens, self.stop, self.search, self.window = skip, tokens, stop, search, window
        self.random = random.Random(seed)
        self.parts: frozenset[Part] | None = None
        self.score = -1.0

    def start(self, setup: Setup) -> Session:
        layers = find_layers(setup.model)
        if self.parts is None:
            self.parts = self._initial(len(layers))
        return _Skipping(self, setup, layers)

    def _initial(self, layers: int) -> frozenset[Part]:
        """Every second layer, as many parts as the share says."""
        parts = self._all(layers)
        wanted = int(self.skip * len(parts))
        order = sorted(parts, key=lambda part: (part[0] % 2, part[0], part[1]))
        return frozenset(order[:wanted])

    def _all(self, layers: int) -> list[Part]:
        return [(layer, kind) for layer in range(1, layers - 1) for kind in ("attention", "mlp")]

    def another(self, layers: int) -> frozenset[Part]:
        """A neighbour of the set: some parts exchanged for others."""
        parts = self._all(layers)
        current = set(self.parts or ())
        outside = [part for part in parts if part not in current]
        for _ in range(self.random.randint(1, max(1, len(current) // 4))):
            if current and outside:
                gone = self.random.choice(sorted(current))
                new = outside.pop(self.random.randrange(len(outside)))
                current.remove(gone)
                current.add(new)
        return frozenset(current)


def find_layers(model: Any) -> list[Any]:
    """The decoder's layers. Raises ValueError where there are none with `self_attn` and `mlp`."""
    decoder = model.get_decoder() if hasattr(model, "get_decoder") else model.base_model
    layers = list(getattr(decoder, "layers", []))
    if not layers or not all(hasattr(layer, "self_attn") and hasattr(layer, "mlp") for layer in layers):
        raise ValueError("LayerSkip needs a decoder whose layers have self_attn and mlp")
    return layers


class _NoAttention(torch.nn.Module):
    def forward(self, hidden_states: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor, None]:
        return torch.zeros_like(hidden_states), None


class _NoMlp(torch.nn.Module):
    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(hidden_states)


@contextmanager
def skipping(layers: list[Any], parts: frozenset[Part]) -> Iterator[None]:
    """The model without `parts`, for the time of the block: their residual branches add nothing."""
    kept = []
    for layer, kind in parts:
        name = "self_attn" if kind == "attention" else "mlp"
        kept.append((layers[layer], name, getattr(layers[layer], name)))
        setattr(layers[layer], name, _NoAttention() if kind == "attention" else _NoMlp())
    try:
        yield
    finally:
        for layer, name, module in kept:
            setattr(layer, name, module)


def lengths(cache: Any) -> list[int]:
    return [int(layer.get_seq_length()) for layer in cache.layers]


def cut_to(cache: Any, wanted: list[int]) -> None:
    """Cut each layer back to its own length: skipped layers have not grown."""
    for layer, length in zip(cache.layers, wanted, strict=True):
        surplus = int(layer.get_seq_length()) - length
        if surplus > 0:
            layer.crop(-surplus)


class _Skipping:
    def __init__(self, owner: LayerSkip, setup: Setup, layers: list[Any]) -> None:
        self._owner, self._setup, self._layers = owner, setup, layers
        self._proposals = Proposals(setup)
        self._rounds = 0

    @torch.no_grad()
    def propose(self, view: View, draft: Draft, node: int) -> None:
        passes = self._setup.extra.get("passes")
        if passes is None or passes.rows != 1 or not passes.plain:
            return
        owner = self._owner
        cache, before = passes.cache, lengths(passes.cache)
        self._rounds += 1
        if owner.search and self._rounds % owner.search == 0:
            self._try_another(view, passes)
        tokens = view.ids[view.committed - 1 :]  # the root, and forced text after it
        position, matcher, moves = view.committed - 1, view.matcher, 0
        with skipping(self._layers, owner.parts or frozenset()):
            for _ in range(owner.tokens):
                logits = self._forward(passes, tokens, position)[-1]
                position += len(tokens)
                q = self._proposals.q(logits, matcher)
                if q is None:
                    break
                greedy = self._setup.temperature == 0
                token = int(q.argmax()) if greedy else int(torch.multinomial(q, 1))
                if not greedy:
                    draft.draws[node] = Draws("recursive", q, [token])
                node = draft.add(node, token, owner.name)
                if node < 0 or token in self._setup.eos_ids or float(q.max()) < owner.stop:
                    break
                if matcher is not None:
                    if not matcher.accept(token):
                        break
                    moves += 1
                tokens = [token]
        cut_to(cache, before)
        if matcher is not None:
            matcher.rollback(moves)

    def _forward(self, passes: Any, tokens: list[int], position: int) -> torch.Tensor:
        device = self._setup.model.device
        kwargs: dict[str, Any] = {
            "input_ids": torch.tensor([tokens], device=device),
            "position_ids": torch.arange(position, position + len(tokens), device=device)[None],
            passes.cache_name: passes.cache,
            "use_cache": True,
        }
        logits: torch.Tensor = self._setup.model(**kwargs).logits[0].float()
        return logits

    def _try_another(self, view: View, passes: Any) -> None:
        """Judge another set of parts on the last tokens: the share of them that it would have drafted."""
        owner = self._owner
        written = view.ids[: view.committed]
        window = min(owner.window, len(written) - view.prompt_length)
        if window < 8:
            return
        if owner.score < 0:
            owner.score = self._agreement(owner.parts or frozenset(), written, window)
        other = owner.another(len(self._layers))
        score = self._agreement(other, written, window)
        if score > owner.score:
            owner.parts, owner.score = other, score

    def _agreement(self, parts: frozenset[Part], written: list[int], window: int) -> float:
        """Read the window again without `parts`, with a little text before it, in one pass."""
        model = self._setup.model
        tokens = torch.tensor([written[-window - 16 :]], device=model.device)
        with skipping(self._layers, parts):
            logits = model(input_ids=tokens, use_cache=False).logits[0]
        right = logits[-window - 1 : -1].argmax(-1) == tokens[0, -window:]
        return float(right.float().mean())

    def observe(self, seen: Seen) -> None:
        pass
