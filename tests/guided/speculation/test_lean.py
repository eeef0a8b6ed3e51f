"""Lean layers give what the model's own layers give, over trees and batches, and only where they are understood."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    DynamicCache,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
    StaticCache,
)

from guided.drafters.layers import find_layers, skipping
from guided.speculation import lean, narrow, whole
from guided.speculation.draft import Draft
from guided.speculation.lean import lean_layers
from guided.speculation.passes import Passes
from guided.speculation.skinny import Skinny

SIZES: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip


def build(kind: str, **sizes: int) -> Any:
    torch.manual_seed(0)
    given = SIZES | sizes
    config: Any = {
        "llama": lambda: LlamaConfig(**given),
        "mistral": lambda: MistralConfig(**given, sliding_window=None),
        "qwen2": lambda: Qwen2Config(**given),
        "qwen3": lambda: Qwen3Config(**given),
    }[kind]()
    return AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)


def logits_of(model: Any, rows: int) -> list[torch.Tensor]:
    """A prompt with padding in the second row, a tree, and what follows a path in it."""
    own = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 64, (rows, 9), generator=own)
    mask = torch.ones_like(ids)
    mask[1:, :2] = 0
    kwargs: dict[str, Any] = {
        "cache": DynamicCache(config=model.config), "use_cache": True, "attention_mask": mask,
        "position_ids": (mask.cumsum(-1) - 1).clamp(min=0), "logits_to_keep": 1,
    }  # fmt: skip
    passes = Passes(model, kwargs, rows)
    found = [passes.prefill(ids, model.generation_config)]
    for _ in range(2):
        drafts = []
        for _ in range(rows):
            draft = Draft(7)
            first = draft.add(0, 8, "")
            draft.add(0, 9, "")
            draft.add(draft.add(first, 10, ""), 11, "")
            drafts.append(draft)
        found.append(passes.run(drafts))
        passes.commit([[1, 3]] * rows)
    found.append(passes.run([Draft(12)] * rows))
    return found


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2"])
@pytest.mark.parametrize("rows", [1, 2])
@torch.no_grad()
def test_logits_are_the_models(kind: str, rows: int) -> None:
    model = build(kind)
    expected = logits_of(model, rows)
    with lean_layers(model, None) as count, lean_layers(model, None):
        assert count == 3
        found = logits_of(model, rows)
    for ours, own in zip(found, expected, strict=True):
        assert torch.allclose(ours, own, atol=1e-5)
    assert not any("forward" in layer.__dict__ for layer in find_layers(model))


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2"])
@pytest.mark.parametrize("threads", [1, 2])
@torch.no_grad()
def test_a_layer_in_one_call_gives_the_same_bits(kind: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a prompt's cache, a tree, what is left of it, one token; as the layer's calls one by one would."""
    monkeypatch.setattr(narrow, "_LEAST", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    model = build(kind, hidden_size=64)
    products = narrow.products_of(model)
    if products is None:
        pytest.skip("this processor has no skinny products")
    for shape in products.plans:
        products.plans[shape] = [0, *[narrow.SKINNY] * 32]
    called = []
    run = whole.WholeLayer.__call__

    def counting(self: Any, *given: Any) -> Any:
        called.append(run(self, *given))
        return called[-1]

    monkeypatch.setattr(whole.WholeLayer, "__call__", counting)
    expected = logits_of(model, 1)
    with lean_layers(model, products) as count:
        assert count == 3
        found = logits_of(model, 1)
        monkeypatch.setattr(lean, "plain_layer", lambda *_: None)
        apart = logits_of(model, 1)
    torch.set_num_threads(before)
    covered = [out for out in called[-3 * 3 :] if out is not None]
    assert len(covered) == (0 if kind == "qwen2" else 3 * 3)  # qwen2's products have biases
    for ours, calls, own in zip(found, apart, expected, strict=True):
        assert torch.equal(ours, calls)
        assert torch.allclose(ours, own, atol=1e-5)


@torch.no_grad()
def test_a_cache_grows_in_place_and_may_be_exchanged(own: Skinny) -> None:
    cache = DynamicCache()
    first = torch.randn((1, 2, 5, 16))
    cache.update(first, 2 * first, 0)
    assert whole.plain_layer(cache, 0) is None  # somebody may hold its tensors
    whole.own_memory(cache)
    layer = whole.plain_layer(cache, 0)
    keys, values, used = whole.roomy(layer, 3)
    assert used == 5 and keys.shape[2] >= 8
    assert torch.equal(keys[:, :, :5], first) and torch.equal(values[:, :, :5], 2 * first)
    layer.keys, layer.values = keys[:, :, :8], values[:, :, :8]
    cache.crop(-2)
    assert whole.roomy(layer, keys.shape[2] - 6)[0] is keys  # cut back: the same memory
    assert whole.roomy(layer, keys.shape[2] - 5)[0] is not keys  # no room: more
    layer.keys = layer.keys.clone()
    assert whole.roomy(layer, 1)[0] is not keys
    shallow = copy.copy(cache)
    shallow.layers = [copy.copy(layer)]
    for other in (shallow, copy.deepcopy(cache), DynamicCache(), StaticCache(LlamaConfig(**SIZES), max_cache_len=9)):
        assert whole.plain_layer(other, 0) is None
    cache.update(torch.randn((1, 2, 5, 16)), torch.randn((1, 2, 5, 16)), 0)
    cache.batch_repeat_interleave(2)
    assert whole.plain_layer(cache, 0) is None


@torch.no_grad()
def test_what_is_not_understood_keeps_its_own_forward() -> None:
    with lean_layers(build("qwen3"), None) as count:  # norms of queries and keys
        assert count == 0
    model = build("llama")
    layers = find_layers(model)
    layers[0].self_attn.q_proj.register_forward_hook(lambda *_: None)
    kind = type(layers[1])
    layers[1].__class__ = type("Other", (kind,), {"forward": lambda self, *a, **k: 2 * kind.forward(self, *a, **k)})
    expected = logits_of(model, 1)
    with lean_layers(model, None) as count:
        assert count == 1  # the third layer alone: one has a hook, one does something else
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(logits_of(model, 1), expected, strict=True))


@torch.no_grad()
def test_exchanged_parts_are_used() -> None:
    """Self-speculation takes parts out of layers while they are lean."""
    model = build("llama")
    parts: Any = frozenset({(1, "mlp"), (2, "mlp")})
    with skipping(find_layers(model), parts):
        expected = logits_of(model, 1)
    with lean_layers(model, None), skipping(find_layers(model), parts):
        found = logits_of(model, 1)
    whole = logits_of(model, 1)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))
    assert not torch.allclose(found[1], whole[1], atol=1e-3)


def test_gradients_take_the_models_own_way() -> None:
    model = build("llama").requires_grad_(True)
    with lean_layers(model, None):
        model(input_ids=torch.tensor([[1, 2, 3]]), use_cache=False).logits.sum().backward()
    assert model.model.layers[0].self_attn.q_proj.weight.grad is not None
