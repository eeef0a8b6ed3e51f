"""Narrow passes: a matrix product that suits a pass over few tokens, where measurement says so.

A pass over n tokens multiplies every weight matrix W [out, in] with n rows. BLAS libraries are made for many rows and
begin by packing W, which costs as much as reading it again: with MKL a pass of two tokens takes half as long again as a
pass of one, though it reads the same weights. `guided.speculation.skinny` reads them once. Which of the two is faster
depends on library, machine, threads and shape, so it is measured: once for a model and a number of threads, on a sample
of the model's own weights, for the row counts of `SIZES`; about as long as five passes.

`narrow_passes(model)` puts the faster products into the model's `Linear` modules for the time of a block. Only plain
ones are touched: exactly `torch.nn.Linear`, float32, on the CPU, without hooks and without a `forward` of their own.
Results differ from those of the ordinary product in the last bits, as between any two batch sizes.

Threads: a patched module is as right as an unpatched one for whoever else is using it at the time (it falls back to
the ordinary product for many rows, with gradients, under autocast or in a compiler), blocks may overlap, and the last
to leave restores the modules. Rejected: one choice for all shapes (the head's is not the layers'); W x^T in place of
x W^T (better than BLAS's own for some sizes up to ten rows, never than skinny products); weights packed once and kept
(oneDNN: from four rows on better than BLAS's own, never than skinny products, and the memory twice).
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

from guided.speculation.skinny import LANES, SEGMENTS, skinny

__all__ = ["SIZES", "Narrow", "Products", "linears", "narrow_passes", "products_for", "products_of"]

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # row counts that are measured; above, nothing is changed
_ELEMENTS = 1 << 21  # of a weight that are measured at most: a slice of its rows stands for the rest
_SAMPLES = 4  # modules of a shape
_TURNS = 3
_LEAST = 1 << 21  # weights of a model below which nothing is done: they lie in caches, whatever the product
_GAIN = 0.95  # what a skinny product must take at most, of the ordinary one

Narrow = Literal["auto", "off"]
Shape = tuple[int, int]
ORDINARY, SKINNY = 0, 1

_lock = threading.RLock()
_measured: weakref.WeakKeyDictionary[Any, dict[int, Products]] = weakref.WeakKeyDictionary()
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
        and weight.shape[1] % LANES == 0
        and not hooks
        and "forward" not in module.__dict__
        and module._compiled_call_impl is None
    )


class Products:
    """What was measured for one model and number of threads: `plans[shape]`, and what a pass spends in products.

    `seconds[shape][rows]`: [ordinary, skinny] of all modules of a shape. `plans[shape][rows]`: which of them is taken.
    """

    def __init__(self, modules: Sequence[torch.nn.Linear]) -> None:
        shapes: dict[Shape, list[torch.nn.Linear]] = {}
        for module in modules:
            shapes.setdefault((module.out_features, module.in_features), []).append(module)
        ways = 2 if skinny() is not None else 1
        samples = {shape: _samples(found, _TURNS * ways) for shape, found in shapes.items()}
        self.seconds: dict[Shape, dict[int, list[float]]] = {shape: {} for shape in shapes}
        for size in SIZES:
            for shape in shapes:
                self.seconds[shape][size] = [float("inf")] * 2
            # Every turn multiplies other weights: by the time one comes back, it has left the caches, as in a pass.
            for turn in range(_TURNS * ways):
                for shape, sets in samples.items():
                    chosen = sets[turn % len(sets)]
                    spent = sum(sample.time(size, turn % ways) for sample in chosen) * len(shapes[shape]) / len(chosen)
                    best = self.seconds[shape][size]
                    best[turn % ways] = min(best[turn % ways], spent)
        for times in self.seconds.values():  # what takes less with more rows was disturbed
            for size, larger in reversed(list(pairwise(SIZES))):
                for way in (ORDINARY, SKINNY):
                    times[size][way] = min(times[size][way], times[larger][way])
        self.plans: dict[Shape, list[int]] = {shape: _plan(times) for shape, times in self.seconds.items()}

    def pass_seconds(self, rows: int) -> float:
        """What a pass of `rows` rows spends in the products chosen; extrapolated above what was measured."""
        last, before = SIZES[-1], SIZES[-2]
        if rows > last:
            slope = (self.pass_seconds(last) - self.pass_seconds(before)) / (last - before)
            return self.pass_seconds(last) + max(slope, 0.0) * (rows - last)
        size = next(size for size in SIZES if size >= rows)
        return sum(times[size][self.plans[shape][rows]] for shape, times in self.seconds.items())


class _Sample:
    """A product, timed: a module's, or that of some rows of its weight."""

    def __init__(self, module: torch.nn.Linear, begin: int = 0, end: int | None = None) -> None:
        out, self.width = module.weight.shape
        self.weight = module.weight.detach()[begin:end]
        self.scale = out / self.weight.shape[0]

    def time(self, rows: int, way: int) -> float:
        x, own = torch.ones((rows, self.width)), skinny()
        began = time.thread_time()  # not the clock: other programs may have the processor for a while
        if way == ORDINARY or own is None:
            functional.linear(x, self.weight)
        else:
            own.products(x, [self.weight])
        return (time.thread_time() - began) * self.scale


def _samples(modules: Sequence[torch.nn.Linear], turns: int) -> list[list[_Sample]]:
    """Up to `turns` sets of samples of one shape, as different as there are modules, or slices of a large weight."""
    out, width = modules[0].weight.shape
    part = min(out, max(1, _ELEMENTS // width))
    if part < out:
        step = max(1, (out - part) // turns)
        return [[_Sample(modules[0], begin, begin + part)] for begin in range(0, out - part, step)][:turns]
    sets = [modules[at : at + _SAMPLES] for at in range(0, len(modules), _SAMPLES)][:turns]
    return [[_Sample(module) for module in chosen] for chosen in sets if chosen]


def _plan(times: dict[int, list[float]]) -> list[int]:
    """For each number of rows, how to multiply them: sizes between those measured are treated as the next."""
    plan = [ORDINARY]
    for rows in range(1, SIZES[-1] + 1):
        ordinary, own = times[next(size for size in SIZES if size >= rows)]
        plan.append(SKINNY if own <= _GAIN * ordinary else ORDINARY)
    return plan


def products_of(model: Any) -> Products | None:
    """The products of a model for the present number of threads, measured at first use; None where there are none."""
    threads = torch.get_num_threads()
    with _lock:
        known = _measured.setdefault(model, {})
        if threads not in known:
            modules = linears(model)
            if not modules or skinny() is None:
                return None
            with torch.no_grad():
                known[threads] = Products(modules)
        return known[threads]


def _forward(module: torch.nn.Linear, products: Products) -> Callable[[torch.Tensor], torch.Tensor]:
    product = products_for([module], products)

    def forward(x: torch.Tensor) -> torch.Tensor:
        width = x.shape[-1]
        if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
            return functional.linear(x, module.weight, module.bias)
        return product(x.reshape(-1, width))[0].view(*x.shape[:-1], module.out_features)

    return forward


def products_for(
    modules: Sequence[torch.nn.Linear], products: Products | None
) -> Callable[[torch.Tensor], list[torch.Tensor]]:
    """The products of modules with the same rows [n, in], as measured; for rows that take no gradient."""
    own = skinny()
    known = {} if products is None else products.plans
    plans = [known.get((module.out_features, module.in_features), [ORDINARY]) for module in modules]
    # One module that is better off with BLAS does not take the others with it, but they are asked for apart.
    least = min(len(plan) for plan in plans)
    joint = [all(plan[rows] == SKINNY for plan in plans) and len(plans) <= SEGMENTS for rows in range(least)]
    held = [module._parameters for module in modules]  # what `module.weight` looks up, at a tenth of the price

    def apart(rows: torch.Tensor) -> list[torch.Tensor]:
        count, outs = rows.shape[0], []
        for module, plan in zip(modules, plans, strict=True):
            if own is not None and count < len(plan) and plan[count] == SKINNY and rows.is_contiguous():
                (out,) = own.products(rows, [module.weight])
                bias: torch.Tensor | None = module.bias
                outs.append(out if bias is None else out.add_(bias))
            else:
                outs.append(functional.linear(rows, module.weight, module.bias))
        return outs

    if own is None or not any(joint):
        return apart

    def together(rows: torch.Tensor) -> list[torch.Tensor]:
        count = rows.shape[0]
        if count >= least or not joint[count] or not rows.is_contiguous():
            return apart(rows)
        outs = own.products(rows, [parameters["weight"] for parameters in held])  # type: ignore[misc]
        for parameters, out in zip(held, outs, strict=True):
            bias = parameters["bias"]
            if bias is not None:
                out.add_(bias)
        return outs

    return together


class _Block:
    """The modules of a model while their products are exchanged."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.products = products_of(model)
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
    if narrow not in ("auto", "off"):
        raise ValueError(f'narrow={narrow!r} is unknown: "auto" or "off"')
    if narrow == "off" or not isinstance(model, torch.nn.Module) or model._compiled_call_impl:
        yield None
        return
    with _lock:
        block = _patched.get(model)
        if block is None:
            block = _patched[model] = _Block(model)
        block.users += 1
    try:
        yield block.products
    finally:
        with _lock:
            block.users -= 1
            if not block.users:
                del _patched[model]
                block.restore()
