"""Lean layers: a decoder layer over few tokens in a third of the calls.

On a CPU a pass over a handful of tokens spends as long between the matrix products as in them: some eighty small
operations and module calls a layer. A layer of the common kind (RMS norm, rotary grouped-query attention, gated
feed-forward: Llama, Mistral, Qwen2) does the same in thirty:

    norms       one fused operation each
    rotation    x cos + roll(x) sin', with the sign of the half that is negated put into sin' once a pass
    attention   query heads that share keys and values are laid behind each other, [b, shared, group x n, d], under
                the mask repeated as often; transformers repeats keys and values instead as soon as there is a mask
    products    as `narrow` chose them, without module calls

`lean_layers(model, products)` puts this in place of the layers' `forward` for the time of a block. A layer is taken
only if it consists of exactly the known parts, without hooks, in float32 on the CPU, and if on random input it gives
what its own `forward` gives; so a change in transformers costs speed and nothing else. Whatever is not a pass of few
tokens over a cache (and a layer whose parts were exchanged meanwhile) goes to the layer's own `forward`.
"""

from __future__ import annotations

import inspect
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from transformers.activations import SiLUActivation

from guided.speculation.narrow import Product, Products
from guided.speculation.skinny import LANES, skinny
from guided.speculation.whole import OneLayer, WholeLayer, plain_layer

__all__ = ["MOST", "lean_layers"]

MOST = 64  # tokens
_TOLERANCE = 1e-4  # of the largest activation
_lock = threading.RLock()
_patched: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()  # model -> [blocks, layers]
_judged: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
_PARTS = {"input_layernorm", "post_attention_layernorm", "self_attn", "mlp"}


def _known(layer: Any) -> bool:
    """Whether a layer has exactly the parts that are understood, none with hooks or a `forward` of its own."""
    if dict(layer.named_children()).keys() != _PARTS:
        return False
    attention, mlp = layer.self_attn, layer.mlp
    if dict(attention.named_children()).keys() != {"q_proj", "k_proj", "v_proj", "o_proj"}:
        return False
    if not {"gate_proj", "up_proj", "down_proj"} <= dict(mlp.named_children()).keys() <= {
        "gate_proj", "up_proj", "down_proj", "act_fn",
    }:  # fmt: skip
        return False
    wanted = {"cache", "past_key_values"} & inspect.signature(type(layer).forward).parameters.keys()
    norms = (layer.input_layernorm, layer.post_attention_layernorm)
    return (
        bool(wanted)
        and all(hasattr(norm, "variance_epsilon") and norm.weight.dtype == torch.float32 for norm in norms)
        and all(type(m) is torch.nn.Linear for m in [*attention.children(), mlp.gate_proj, mlp.up_proj, mlp.down_proj])
        and not any(
            m._forward_hooks or m._forward_pre_hooks or m._compiled_call_impl is not None or "forward" in m.__dict__
            for m in layer.modules()
        )
        and all(p.dtype == torch.float32 and p.device.type == "cpu" and p.is_contiguous() for p in layer.parameters())
        and all(type(p) in (torch.nn.Parameter, torch.Tensor) for p in layer.parameters())
    )


def _signed(sin: torch.Tensor) -> torch.Tensor:
    """sin [b, n, d] as [b, 1, n, d] with its first half negated; the same for every layer of a pass."""
    found: torch.Tensor | None = getattr(sin, "_guided_signed", None)
    if found is None:
        half = sin.shape[-1] // 2
        found = torch.cat([-sin[..., :half], sin[..., half:]], -1)[:, None]
        sin._guided_signed = found  # type: ignore[attr-defined]
    return found


def _folded(mask: torch.Tensor, group: int) -> torch.Tensor:
    """A mask [b, 1, n, slots] for `group` heads laid behind each other."""
    found: torch.Tensor | None = getattr(mask, "_guided_folded", None)
    if found is None:
        found = mask.repeat(1, 1, group, 1)
        mask._guided_folded = found  # type: ignore[attr-defined]
    return found


def _forward(layer: Any, products: Products | None) -> Callable[..., Any]:
    """A lean `forward` for a layer, with the layer's own for everything else."""
    own = layer.forward
    attention, mlp = layer.self_attn, layer.mlp
    first, second = layer.input_layernorm, layer.post_attention_layernorm
    qkv_of = Product([attention.q_proj, attention.k_proj, attention.v_proj], products)
    o_of, down = Product([attention.o_proj], products), Product([mlp.down_proj], products)
    gate_and_up = Product([mlp.gate_proj, mlp.up_proj], products)
    width, index, act, scale = attention.head_dim, attention.layer_idx, mlp.act_fn, attention.scaling
    parts = layer._modules
    code = skinny() if first.weight.shape[0] % LANES == 0 and width % (2 * LANES) == 0 else None
    silu = isinstance(act, torch.nn.SiLU | SiLUActivation) and mlp.gate_proj.out_features % LANES == 0

    whole = None
    biased = any(part.bias is not None for part in (*attention.children(), mlp.gate_proj, mlp.up_proj, mlp.down_proj))
    if code is not None and silu and not biased and attention.q_proj.out_features % (2 * LANES) == 0:
        whole = WholeLayer(layer, code, MOST, qkv_of.reads, o_of.reads, gate_and_up.reads, down.reads)

    def norm_of(norm: Any, x: torch.Tensor) -> torch.Tensor:
        if code is not None and x.is_contiguous():
            return code.norm(x, norm.weight, norm.variance_epsilon)
        return functional.rms_norm(x, (x.shape[1],), norm.weight, norm.variance_epsilon)

    def heads_of(qkv: Sequence[torch.Tensor], batch: int, around: Any) -> list[torch.Tensor]:
        """Queries, keys and values [b, heads, n, d], the first two turned by the angles of their tokens."""
        if code is not None and batch == 1 and all(part.is_contiguous() for part in (*around, *qkv)):
            angles = (around[0], around[1])
            return [code.by_head(part, width, turn) for part, turn in zip(qkv, (angles, angles, None), strict=True)]
        q, k, v = (part.view(batch, -1, part.shape[1] // width, width).transpose(1, 2) for part in qkv)
        cos, sin = around[0][:, None], _signed(around[1])
        return [torch.addcmul(x * cos, x.roll(width // 2, -1), sin) for x in (q, k)] + [v]

    def attend(q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Rows [b x n, heads x d]."""
        batch, heads, count, _ = q.shape
        shared, slots = keys.shape[1], keys.shape[2]
        lie = all(x.stride(3) == 1 and x.stride(2) == width for x in (keys, values))
        told = mask is None or (mask.is_contiguous() and mask.shape[3] == slots and mask.dtype == torch.float32)
        if code is not None and batch == 1 and lie and told and q.is_contiguous():
            return code.attend(q, keys, values, mask, scale)
        group = heads // shared
        out = functional.scaled_dot_product_attention(
            q.reshape(batch, shared, group * count, width),
            keys,
            values,
            attn_mask=None if mask is None else _folded(mask, group),
            scale=scale,
        )
        return out.view(batch, heads, count, width).transpose(1, 2).reshape(batch * count, heads * width)

    def forward(hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        cache = kwargs.get("cache", kwargs.get("past_key_values"))
        around = kwargs.get("position_embeddings")
        mask = kwargs.get("attention_mask")
        batch, count, size = hidden_states.shape
        if (
            args
            or cache is None
            or around is None
            or not 0 < batch * count <= MOST
            or (mask is None and count > 1)
            or (mask is not None and (mask.ndim != 4 or mask.shape[1] != 1))
            or layer.training
            or torch.is_grad_enabled()
            or torch.is_autocast_enabled("cpu")
            or parts["self_attn"] is not attention
            or parts["mlp"] is not mlp
            or torch.compiler.is_compiling()
        ):
            return own(hidden_states, *args, **kwargs)
        x = hidden_states.reshape(batch * count, size)
        if whole is not None and batch == 1 and (slots := plain_layer(cache, index)) is not None:
            out = whole(x, around, slots, mask)
            if out is not None:
                return out.view(1, count, size)
        q, k, v = heads_of(qkv_of(norm_of(first, x)), batch, around)
        keys, values = cache.update(k, v, index)
        x = o_of(attend(q, keys, values, mask))[0].add_(x)
        gate, up = gate_and_up(norm_of(second, x))
        if code is not None and silu and gate.is_contiguous() and up.is_contiguous():
            gate = code.gate(gate, up)
        else:
            gate = act(gate).mul_(up)
        x = down(gate)[0].add_(x)
        return x.view(batch, count, size)

    return forward


def _agrees(layer: Any, lean: Callable[..., Any]) -> bool:
    """Whether the lean forward gives what the layer gives: a tree of three tokens. Asked once for each layer."""
    found = _judged.get(layer)
    if found is None:
        try:
            with torch.no_grad():
                outs = [call(**_trial(layer)) for call in (layer.forward, lean)]
            found = bool((outs[0] - outs[1]).abs().max() <= _TOLERANCE * outs[0].abs().max())
        except Exception:  # whatever the layer asks for that is not understood here: it keeps its own forward
            found = False
        _judged[layer] = found
    return found


def _trial(layer: Any) -> dict[str, Any]:
    """Arguments of a layer: hidden states [1, 3, d], the last two siblings, behind two tokens in a cache."""
    from transformers import DynamicCache

    own = torch.Generator().manual_seed(0)
    size, width = layer.input_layernorm.weight.shape[0], layer.self_attn.head_dim
    angles = torch.rand((1, 3, width // 2), generator=own).repeat(1, 1, 2)
    hidden = torch.tensor([[False] * 3 + [True, True], [False] * 4 + [True], [True, False, False, True, False]])
    cache = DynamicCache()
    heads = layer.self_attn.k_proj.out_features // width
    before = [torch.randn((1, heads, 2, width), generator=own) for _ in range(2)]
    cache.update(before[0], before[1], 0)
    taken = inspect.signature(type(layer).forward).parameters
    return {
        "hidden_states": torch.randn((1, 3, size), generator=own),
        "attention_mask": torch.zeros((1, 1, 3, 5)).masked_fill(hidden, torch.finfo(torch.float32).min),
        "position_ids": torch.tensor([[2, 3, 3]]),
        "position_embeddings": (angles.cos(), angles.sin()),
        "cache" if "cache" in taken else "past_key_values": OneLayer(cache),
        "use_cache": True,
    }


@contextmanager
def lean_layers(model: Any, products: Products | None) -> Iterator[int]:
    """For the time of the block, the model's layers take the short way over few tokens; gives how many do."""
    with _lock:
        found = _patched.get(model)
        if found is None:
            layers = []
            decoder = model.get_decoder() if hasattr(model, "get_decoder") else None
            for layer in getattr(decoder, "layers", None) or []:
                if _known(layer) and _agrees(layer, lean := _forward(layer, products)):
                    layer.forward = lean
                    layers.append(layer)
            found = _patched[model] = [0, layers]
        found[0] += 1
    try:
        yield len(found[1])
    finally:
        with _lock:
            found[0] -= 1
            if not found[0]:
                del _patched[model]
                for layer in found[1]:
                    layer.__dict__.pop("forward", None)
