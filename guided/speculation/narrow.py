"""Narrow passes: a matrix product that suits a pass over few tokens, chosen by measurement.

A pass over n tokens multiplies every weight matrix W [out, in] with n rows. BLAS libraries are made for many rows and
begin by packing W, which costs as much as reading it again: with MKL a pass of two tokens takes half as long again as a
pass of one, though it reads the same weights. There are other ways:

    ordinary  x W^T, what `torch.nn.Linear` does
    turned    (W x^T)^T: x is what gets packed; often faster up to some ten rows, even with rows of zeros added
    packed    W packed once and kept (oneDNN); fastest from some four rows on, but the weights lie in memory twice

Which is fastest depends on library, machine, threads and shape, so it is measured: once for a model and a number of
threads, on a sample of the model's own weights, for the row counts of `SIZES`; about as long as ten passes.

`narrow_passes(model)` puts the faster products into the model's `Linear` modules for the time of a block. Only plain
ones are touched: exactly `torch.nn.Linear`, float32, on the CPU, without hooks and without a `forward` of their own.
Results differ from those of the ordinary product in the last bits, as between any two batch sizes.

Threads: a patched module is as right as an unpatched one for whoever else is using it at the time (it falls back to
the ordinary product for many rows, with gradients, under autocast or in a compiler), blocks may overlap, and the last
to leave restores the modules. Packed weights are an option of the user's, since a change of a weight that torch does
not count (through `.data`) would go unnoticed; other changes are seen when a block begins. Rejected: one choice for all
shapes (the head's is not the layers').
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Literal

import torch
from torch.nn import functional

__all__ = ["SIZES", "Narrow", "Products", "linears", "narrow_passes", "product_of", "products_of"]

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # row counts that are measured; above, nothing is changed
_ELEMENTS = 1 << 21  # of a weight that are measured at most: a slice of its rows stands for the rest
_SAMPLES = 4  # modules of a shape
_TURNS = 3
_LEAST = 1 << 21  # weights of a model below which nothing is done: they lie in caches, whatever the product
_GAIN = 0.95  # what another way must take at most, of the ordinary one

Narrow = Literal["auto", "packed", "off"]
Shape = tuple[int, int]
ORDINARY, PACKED = 0, -1  # in a plan; a positive number is the rows that the turned product is filled up to
Plan = list[int]  # by number of rows

_lock = threading.RLock()
_measured: weakref.WeakKeyDictionary[Any, dict[Any, Products]] = weakref.WeakKeyDictionary()
_patched: weakref.WeakKeyDictionary[Any, _Block] = weakref.WeakKeyDictionary()


def linears(model: torch.nn.Module) -> list[torch.nn.Linear]:
    """The modules of a model whose product may be exchanged."""
    found = [module for module in model.modules() if type(module) is torch.nn.Linear and _is_plain(module)]
    return found if sum(module.weight.numel() for module in found) >= _LEAST else []


def _is_plain(module: torch.nn.Linear) -> bool:
    weight = module.weight
    hooks = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    return (
        type(weight) in (torch.nn.Parameter, torch.Tensor)
        and weight.dtype == torch.float32
        and weight.device.type == "cpu"
        and weight.is_contiguous()
        and not hooks
        and "forward" not in module.__dict__
        and module._compiled_call_impl is None
    )


def turned(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, rows: int) -> torch.Tensor:
    """`x W^T + bias` as `(W x^T)^T`, float [n, out], with x [n, in] filled up to `rows` rows; columns lie together."""
    count = x.shape[0]
    if rows > count:
        x = functional.pad(x, (0, 0, 0, rows - count))
    across = x.t()
    out = torch.mm(weight, across) if bias is None else torch.addmm(bias[:, None], weight, across)
    return out[:, :count].t()


def pack(weight: torch.Tensor) -> torch.Tensor:
    """W as oneDNN likes it: an opaque tensor."""
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight)
    return packed


def packed_product(x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """`x W^T + bias`, float [n, out], for a weight that `pack` gave."""
    out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return out


def can_pack() -> bool:
    """Whether this torch has what packed weights take."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class Products:
    """What was measured for one model and number of threads: `plans[shape]`, and what a pass spends in products.

    `seconds[shape][rows]`: (ordinary, turned, packed) of all modules of a shape; packed is infinite if not asked for.
    """

    def __init__(self, modules: Sequence[torch.nn.Linear], *, packed: bool = False) -> None:
        shapes: dict[Shape, list[torch.nn.Linear]] = {}
        for module in modules:
            shapes.setdefault((module.out_features, module.in_features), []).append(module)
        ways = 2 + packed
        samples = {shape: _samples(found, _TURNS * ways, packed) for shape, found in shapes.items()}
        self.seconds: dict[Shape, dict[int, list[float]]] = {shape: {} for shape in shapes}
        for size in SIZES:
            for shape in shapes:
                self.seconds[shape][size] = [float("inf")] * 3
            # Every turn multiplies other weights: by the time one comes back, it has left the caches, as in a pass.
            for turn in range(_TURNS * ways):
                for shape, sets in samples.items():
                    chosen = sets[turn % len(sets)]
                    spent = sum(sample.time(size, turn % ways) for sample in chosen) * len(shapes[shape]) / len(chosen)
                    best = self.seconds[shape][size]
                    best[turn % ways] = min(best[turn % ways], spent)
        for times in self.seconds.values():  # what takes less with more rows was disturbed (turned: see _plan)
            for size, larger in reversed(list(pairwise(SIZES))):
                for way in (0, 2):
                    times[size][way] = min(times[size][way], times[larger][way])
        self.plans: dict[Shape, Plan] = {shape: _plan(times) for shape, times in self.seconds.items()}
        self._packed: dict[torch.nn.Linear, tuple[Any, torch.Tensor]] = {}

    def pass_seconds(self, rows: int) -> float:
        """What a pass of `rows` rows spends in the products chosen; extrapolated above what was measured."""
        last, before = SIZES[-1], SIZES[-2]
        if rows > last:
            slope = (self.pass_seconds(last) - self.pass_seconds(before)) / (last - before)
            return self.pass_seconds(last) + max(slope, 0.0) * (rows - last)
        size = next(size for size in SIZES if size >= rows)
        total = 0.0
        for shape, times in self.seconds.items():
            choice = self.plans[shape][rows]
            total += times[choice][1] if choice > 0 else times[size][0 if choice == ORDINARY else 2]
        return total

    def packed(self, module: torch.nn.Linear) -> torch.Tensor:
        """The packed weight of a module, packed anew if torch knows of a change."""
        weight = module.weight
        stamp = (weight.data_ptr(), weight._version)
        known = self._packed.get(module)
        if known is None or known[0] != stamp:
            known = self._packed[module] = (stamp, pack(weight.detach()))
        return known[1]


class _Sample:
    """A product, timed: a module's, or that of some rows of its weight."""

    def __init__(self, module: torch.nn.Linear, packed: bool, begin: int = 0, end: int | None = None) -> None:
        out, self.width = module.weight.shape
        self.weight = module.weight.detach()[begin:end]
        bias: torch.Tensor | None = module.bias
        self.bias = None if bias is None else bias.detach()[begin:end]
        self.packed = pack(self.weight) if packed else None
        self.scale = out / self.weight.shape[0]

    def time(self, rows: int, way: int) -> float:
        x = torch.ones((rows, self.width))
        began = time.thread_time()  # not the clock: other programs may have the processor for a while
        if way == 0:
            functional.linear(x, self.weight, self.bias)
        elif way == 1:
            turned(x, self.weight, self.bias, rows)
        elif self.packed is not None:
            packed_product(x, self.packed, self.bias)
        return (time.thread_time() - began) * self.scale


def _samples(modules: Sequence[torch.nn.Linear], turns: int, packed: bool) -> list[list[_Sample]]:
    """Up to `turns` sets of samples of one shape, as different as there are modules, or slices of a large weight."""
    out, width = modules[0].weight.shape
    part = min(out, max(1, _ELEMENTS // width))
    if part < out:
        step = max(1, (out - part) // turns)
        return [[_Sample(modules[0], packed, begin, begin + part)] for begin in range(0, out - part, step)][:turns]
    sets = [modules[at : at + _SAMPLES] for at in range(0, len(modules), _SAMPLES)][:turns]
    return [[_Sample(module, packed) for module in chosen] for chosen in sets if chosen]


def _plan(times: dict[int, list[float]]) -> Plan:
    """For each number of rows, how to multiply them: sizes between those measured are treated as the next.

    One row is turned as two: a product with a vector is another routine of BLAS, and slower in a pass than here.
    """
    plan = [ORDINARY]
    for rows in range(1, SIZES[-1] + 1):
        above = [size for size in SIZES if size >= rows]
        filled = min((size for size in above if size > 1), key=lambda size: times[size][1])
        ordinary, other, packed = _GAIN * times[above[0]][0], times[filled][1], times[above[0]][2]
        least = min(ordinary, other, packed)
        plan.append(ORDINARY if least == ordinary else filled if least == other else PACKED)
    return plan


def products_of(model: Any, narrow: Narrow = "auto") -> Products | None:
    """The products of a model for the present number of threads, measured at first use; None where there are none."""
    key = (torch.get_num_threads(), narrow == "packed" and can_pack())
    with _lock:
        known = _measured.setdefault(model, {})
        if key not in known:
            modules = linears(model)
            if not modules:
                return None
            with torch.no_grad():
                known[key] = Products(modules, packed=key[1])
        return known[key]


def _forward(module: torch.nn.Linear, products: Products) -> Callable[[torch.Tensor], torch.Tensor]:
    product = product_of(module, products)

    def forward(x: torch.Tensor) -> torch.Tensor:
        width = x.shape[-1]
        if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
            return functional.linear(x, module.weight, module.bias)
        return product(x.reshape(-1, width)).contiguous().view(*x.shape[:-1], module.out_features)

    return forward


def product_of(module: torch.nn.Linear, products: Products | None) -> Callable[[torch.Tensor], torch.Tensor]:
    """The product of a module as measured, for rows [n, in] that take no gradient."""
    plan = None if products is None else products.plans.get((module.out_features, module.in_features))
    if products is None or plan is None or not any(plan):
        return lambda rows: functional.linear(rows, module.weight, module.bias)
    most, packed = len(plan), products.packed(module) if PACKED in plan else None

    def product(rows: torch.Tensor) -> torch.Tensor:
        count = rows.shape[0]
        choice = plan[count] if count < most else ORDINARY
        if choice > 0:
            return turned(rows, module.weight, module.bias, choice)
        if choice == ORDINARY or packed is None:
            return functional.linear(rows, module.weight, module.bias)
        return packed_product(rows, packed, module.bias)

    return product


class _Block:
    """The modules of a model while their products are exchanged."""

    def __init__(self, model: torch.nn.Module, narrow: Narrow) -> None:
        self.products = products_of(model, narrow)
        self.users = 0
        self.modules: list[torch.nn.Linear] = []
        if self.products is None:
            return
        for module in linears(model):
            plan = self.products.plans.get((module.out_features, module.in_features))
            if plan is not None and any(plan):
                module.forward = _forward(module, self.products)  # type: ignore[method-assign, assignment]
                self.modules.append(module)

    def restore(self) -> None:
        for module in self.modules:
            module.__dict__.pop("forward", None)


@contextmanager
def narrow_passes(model: Any, narrow: Narrow = "auto") -> Iterator[Products | None]:
    """For the time of the block, the model's linear modules take the product that is fastest for few rows.

    Where another block has exchanged them already, its products stay.
    """
    if narrow not in ("auto", "packed", "off"):
        raise ValueError(f'narrow={narrow!r} is unknown: "auto", "packed" or "off"')
    if narrow == "off" or not isinstance(model, torch.nn.Module) or model._compiled_call_impl:
        yield None
        return
    with _lock:
        block = _patched.get(model)
        if block is None:
            block = _patched[model] = _Block(model, narrow)
        block.users += 1
    try:
        yield block.products
    finally:
        with _lock:
            block.users -= 1
            if not block.users:
                del _patched[model]
                block.restore()
