"""A layer in one call: norms, products, attention and gating of a few tokens without coming back to Python.

With weights in few bits the products of a pass over one token take less than what thirty layers of Python calls and
small tensors do. `WholeLayer` keeps a program for each number of rows: the words of `wholecode`, which hardly change
from pass to pass. Keys and values are written where they are to lie: the cache's tensors become the beginning of larger
ones, so that a pass appends to them instead of copying them (`roomy`). That is done to caches that were told to `own`
their memory, because whoever holds the tensors of a cache that was cut back since would see them overwritten; a copy of
such a cache, shallow or deep, is another one, and has not been told.

It gives what `lean`'s calls give, to the last bit. Whatever it does not cover (batches, biases, a product that BLAS
does better, a cache of another kind) it leaves to them.
"""

from __future__ import annotations

import ctypes
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from guided.speculation.productwords import ATTEND_WORDS, ATTENTION, KIND, LANES, SEGMENT
from guided.speculation.skinny import Packed, Skinny, attention_blocks, product_words
from guided.speculation.wholecode import WHOLE_WORDS, place_of

__all__ = ["OneLayer", "WholeLayer", "own_memory", "roomy"]

_SPARE = 64  # slots that a cache's tensors get beyond what is asked for, and an eighth of that
Weights = Callable[[int], Sequence[torch.Tensor | Packed | None]]
_CALL = [place_of("attend") + 1 + ATTENTION - KIND + ATTEND_WORDS.index(name) for name in ATTEND_WORDS]
_K, _V, _MASK, _SCORES, _T, _K_HEAD, _V_HEAD = (
    _CALL[ATTEND_WORDS.index(name)] for name in ("K", "V", "mask", "scores", "T", "K_head", "V_head")
)
_O_OUT = place_of("o") + 1 + SEGMENT - KIND + 2  # where the product writes its rows
_X_AT, _OUT, _COS, _SIN, _K_TO, _V_TO, _ROOM = (place_of(name) for name in ("x", "out", "cos", "sin", "k", "v", "room"))


class OneLayer:
    """A cache for one layer, whatever its number."""

    def __init__(self, cache: Any) -> None:
        self.cache = cache
        own_memory(cache)

    def update(self, keys: torch.Tensor, values: torch.Tensor, *_: Any, **__: Any) -> Any:
        return self.cache.update(keys, values, 0)


class _Room:
    """Memory [1, shared, slots, d] for keys and for values; `owner`: the layer whose it is, by its identity."""

    __slots__ = ("keys", "owner", "values")

    def __init__(self, owner: int) -> None:
        self.owner = owner
        self.keys = self.values = torch.empty(0)


def own_memory(cache: Any) -> None:
    """From now on the layers of a cache may write where they wrote before, and nobody else holds their tensors."""
    for layer in getattr(cache, "layers", ()):
        if type(layer) is DynamicLayer:
            layer._guided_room = _Room(id(layer))  # type: ignore[attr-defined]


def plain_layer(cache: Any, index: int) -> Any:
    """A cache's layer that holds keys and values of one sequence and nothing else; None: it is another kind."""
    if type(cache) is OneLayer:
        cache, index = cache.cache, 0
    if type(cache) is not DynamicCache or cache.offloading or index >= len(cache.layers):
        return None
    layer = cache.layers[index]
    if type(layer) is not DynamicLayer or not layer.is_initialized:
        return None
    keys, room = layer.keys, layer.__dict__.get("_guided_room")
    if keys is None or room is None or room.owner != id(layer):
        return None
    fits = keys.ndim == 4 and keys.shape[0] == 1 and keys.dtype == torch.float32 and keys.device.type == "cpu"
    return layer if fits else None


def roomy(layer: Any, more: int) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Memory [1, shared, slots, d] of a layer's keys and values, with room for `more`; and how many slots are in use.

    The layer's tensors are views of it. Those that were cut or moved by others and are not are copied into new memory.
    """
    keys, values = layer.keys, layer.values
    used = keys.shape[2]
    room: _Room = layer._guided_room
    if (
        keys.data_ptr() != room.keys.data_ptr()
        or values.data_ptr() != room.values.data_ptr()
        or keys.stride() != room.keys.stride()
        or values.stride() != room.values.stride()
        or used + more > room.keys.shape[2]
    ):
        slots = (used + more) * 9 // 8 + _SPARE
        made = []
        for tensor in (keys, values):
            memory = torch.empty((1, tensor.shape[1], slots, tensor.shape[3]))
            memory[:, :, :used] = tensor
            made.append(memory)
        room.keys, room.values = made
    return room.keys, room.values, used


class _Memory:
    """A thread's memory between the steps of layers of one kind, for `rows` tokens at most."""

    def __init__(self, rows: int, sizes: Sequence[int]) -> None:
        self.held = [torch.empty(rows * size + LANES) for size in sizes]
        self.at = [tensor.data_ptr() for tensor in self.held]
        self.scores = torch.empty(0)


class _Programs(threading.local):
    """A thread's programs of a layer: for rows and threads, what is read, the words, the memory."""

    def __init__(self) -> None:
        self.programs: dict[tuple[int, int], tuple[list[Any], Any, _Memory]] = {}


class WholeLayer:
    """The one call for a layer. Products are given by what they read for a number of rows, None: not ours."""

    def __init__(self, layer: Any, code: Skinny, most: int, qkv: Weights, o: Weights, gate_up: Weights, down: Weights):
        attention, mlp = layer.self_attn, layer.mlp
        self._code, self._most, self._products = code, most, (qkv, o, gate_up, down)
        self._norms = layer.input_layernorm, layer.post_attention_layernorm
        self._scale = struct.unpack("<i", struct.pack("<f", attention.scaling))[0]
        self._width, self._size = attention.head_dim, self._norms[0].weight.shape[0]
        self._heads = attention.q_proj.out_features // self._width
        self._shared = attention.k_proj.out_features // self._width
        self._inner = mlp.gate_proj.out_features
        self._own = _Programs()

    def __call__(
        self, x: torch.Tensor, around: tuple[torch.Tensor, torch.Tensor], cache: Any, mask: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Rows [n, d] after the layer, their keys and values appended to the cache's layer; None: not covered."""
        count = x.shape[0]
        weights = [self._reads(product, count) for product in self._products]
        if None in weights:
            return None
        cos, sin = around
        keys, values, used = roomy(cache, count)
        total = used + count
        if not (cos.is_contiguous() and sin.is_contiguous() and x.is_contiguous()):
            return None
        if mask is not None and not (mask.is_contiguous() and mask.shape[3] == total and mask.dtype == torch.float32):
            return None
        out = torch.empty((count, self._size))
        with self._code.state() as (threads, run):
            program, memory = self._program(count, threads, weights)
            need = self._heads * count * (total + 7 & -8)
            if memory.scores.numel() < need:
                memory.scores = torch.empty(need * 5 // 4)
            slots, row = keys.shape[2], used * self._width * 4
            program[_X_AT], program[_OUT], program[_ROOM] = x.data_ptr(), out.data_ptr(), slots
            program[_O_OUT] = program[_OUT]
            program[_COS], program[_SIN] = cos.data_ptr(), sin.data_ptr()
            program[_K], program[_V] = keys.data_ptr(), values.data_ptr()
            program[_K_TO], program[_V_TO] = program[_K] + row, program[_V] + row
            program[_MASK] = 0 if mask is None else mask.data_ptr()
            program[_SCORES], program[_T] = memory.scores.data_ptr(), total
            program[_K_HEAD] = program[_V_HEAD] = slots * self._width
            run(program)
        cache.keys, cache.values = keys[:, :, :total], values[:, :, :total]
        return out

    @staticmethod
    def _reads(product: Weights, count: int) -> Sequence[torch.Tensor | Packed] | None:
        found = product(count)
        return None if not found or any(weight is None for weight in found) else found  # type: ignore[return-value]

    def _program(self, count: int, threads: int, weights: Sequence[Any]) -> tuple[Any, _Memory]:
        """The words for `count` rows shared by `threads`, with what changes from pass to pass left open."""
        own = self._own.programs
        norms = [norm.weight for norm in self._norms]
        found = own.get((count, threads))
        # by address as well: `weight.data = ...`, as `model.to` does it, leaves the tensor and moves its numbers
        held = [*norms, *(weight for group in weights for weight in group)]
        read = [(each, each.data_ptr() if isinstance(each, torch.Tensor) else 0) for each in held]
        if found is not None and all(a is b and x == y for (a, x), (b, y) in zip(found[0], read, strict=True)):
            return found[1], found[2]
        size, turned, kept, inner = self._size, self._heads * self._width, self._shared * self._width, self._inner
        memory = _memory(self._most, (size, turned, turned, kept, kept, turned, inner, inner, size))
        h, q_raw, q, k_raw, v_raw, mixed, gate, up, down = memory.at
        words = (ctypes.c_int64 * WHOLE_WORDS)()
        for name, value in {
            "n": count, "d": size, "norm1": norms[0].data_ptr(), "norm2": norms[1].data_ptr(), "h": h,
            "half": self._width // 2, "q_raw": q_raw, "q": q, "heads": self._heads, "k_raw": k_raw,
            "shared": self._shared, "v_raw": v_raw, "gate": gate, "up": up, "gated": count * inner, "down": down,
        }.items():  # fmt: skip
            words[place_of(name)] = value
        for at, norm in enumerate(self._norms):
            words[place_of(f"eps{at + 1}")] = struct.unpack("<i", struct.pack("<f", norm.variance_epsilon))[0]
        out_words = {
            "qkv": (h, [q_raw, k_raw, v_raw]),
            "o": (mixed, [0]),
            "gate_up": (h, [gate, up]),
            "last": (gate, [down]),
        }
        for (name, (rows, outs)), group, width in zip(
            out_words.items(), weights, (size, turned, size, inner), strict=True
        ):
            at = place_of(name)
            words[at] = product_words(words, at + 1 - KIND, rows, count, width, group, outs, threads)
        rows = self._heads // self._shared * count
        blocks = attention_blocks(rows, threads > 0)
        words[place_of("attend")] = self._shared * blocks
        words[place_of("attend") + 1] = 1  # the kind of work
        given = {"q": q, "out": mixed, "n": count, "d": self._width, "ld": turned, "scale": self._scale, "R": rows,
                 "blocks": blocks, "size": -(-rows // blocks)}  # fmt: skip
        for name, value in given.items():
            words[_CALL[ATTEND_WORDS.index(name)]] = value
        own[count, threads] = (read, words, memory)
        return words, memory


class _Memories(threading.local):
    def __init__(self) -> None:
        self.known: dict[tuple[int, ...], _Memory] = {}


_memories = _Memories()


def _memory(rows: int, sizes: tuple[int, ...]) -> _Memory:
    """The calling thread's memory for layers of these sizes."""
    known = _memories.known
    if sizes not in known:
        known[sizes] = _Memory(rows, sizes)
    return known[sizes]
