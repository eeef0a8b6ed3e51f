"""A Llama in plain numpy, float64, one sequence at a time: the oracle of every method that runs a model.

Shares nothing with torch but the weights: RMS norm, rotary embedding by halves, causal attention, gated feed-forward.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["log_softmax", "logits", "softmax"]

Array = np.ndarray[Any, Any]


def softmax(x: Array) -> Array:
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def log_softmax(x: Array, allowed: Array | None = None) -> Array:
    """ln of softmax among `allowed` (bool, last axis), -inf elsewhere."""
    if allowed is not None:
        x = np.where(allowed, x, -np.inf)
    top = x.max(axis=-1, keepdims=True)
    return x - top - np.log(np.exp(x - top).sum(axis=-1, keepdims=True))


def logits(model: Any, ids: list[int], layer: int | None = None) -> Array:
    """[length, V] of `ids`; with `layer`: the final norm and head on the output of that layer (0: embeddings)."""
    config = model.config
    weights = {name: tensor.detach().double().numpy() for name, tensor in model.state_dict().items()}
    heads, keys = config.num_attention_heads, config.num_key_value_heads
    size = config.hidden_size // heads
    length = len(ids)
    theta = config.rope_parameters["rope_theta"]
    angle = np.arange(length)[:, None] / theta ** (np.arange(0, size, 2) / size)
    cos, sin = np.cos(np.tile(angle, 2)), np.sin(np.tile(angle, 2))

    def norm(x: Array, weight: Array) -> Array:
        return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + config.rms_norm_eps) * weight

    def rotate(x: Array) -> Array:  # [length, heads, size]
        turned = np.concatenate([-x[..., size // 2 :], x[..., : size // 2]], axis=-1)
        return x * cos[:, None] + turned * sin[:, None]

    x = weights["model.embed_tokens.weight"][ids]
    for number in range(config.num_hidden_layers if layer is None else layer):
        part = {
            name.split(".", 3)[3]: weight
            for name, weight in weights.items()
            if name.startswith(f"model.layers.{number}.")
        }
        h = norm(x, part["input_layernorm.weight"])
        q = rotate((h @ part["self_attn.q_proj.weight"].T).reshape(length, heads, size))
        k = rotate((h @ part["self_attn.k_proj.weight"].T).reshape(length, keys, size))
        v = (h @ part["self_attn.v_proj.weight"].T).reshape(length, keys, size)
        k, v = np.repeat(k, heads // keys, axis=1), np.repeat(v, heads // keys, axis=1)
        score = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(size)
        score = np.where(np.tril(np.ones((length, length), dtype=bool)), score, -np.inf)
        attended = np.einsum("hqk,khd->qhd", softmax(score), v).reshape(length, -1)
        x = x + attended @ part["self_attn.o_proj.weight"].T
        h = norm(x, part["post_attention_layernorm.weight"])
        gate = h @ part["mlp.gate_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ part["mlp.up_proj.weight"].T)) @ part["mlp.down_proj.weight"].T
    result: Array = norm(x, weights["model.norm.weight"]) @ weights["lm_head.weight"].T
    return result
