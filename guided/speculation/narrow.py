"""Narrow passes: a matrix product that suits a pass over few tokens, where measurement says so.

A pass over n tokens multiplies every weight matrix W [out, in] with n rows. BLAS libraries are made for many rows and
begin by packing W, which costs as much as reading it again: with MKL a pass of two tokens takes half as long again as a
pass of one, though it reads the same weights. `guided.speculation.skinny` reads them once. Which of the two is faster
depends on library, machine, threads and shape, so it is measured: once for a model and a number of threads, on a sample
of the model's own weights, for the row counts of `SIZES`; about as long as five passes.

`narrow_passes(model)` puts the faster products into the model's `Linear` modules for the time of a block. Only plain
ones are touched: exactly `torch.nn.Linear`, float32, on the CPU, without hooks and without a `forward` of their own.
Results differ from those of the ordinary product in the last bits, as between any two batch sizes.

Where the weights' numbers need fewer bits than float32 has, a third way reads a compact copy (`compact`), which costs a
sixth to a half of the weights' memory; it gives the numbers of the skinny product. `narrow="in-place"` does without.

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
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import Any, Literal

import torch
from torch.nn import functional

from guided.speculation.compact import Copies
from guided.speculation.skinny import LANES, SEGMENTS, Packed, skinny

__all__ = ["SIZES", "Narrow", "Product", "Products", "linears", "narrow_passes", "products_of"]

SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # row counts that are measured; above, nothing is changed
_ELEMENTS = 1 << 21  # of a weight that are measured at most: a slice of its rows stands for the rest
_SAMPLES = 4  # modules of a shape
_TURNS = 3
_LEAST = 1 << 21  # weights of a model below which nothing is done: they lie in caches, whatever the product
_GAIN = 0.95  # what a skinny product must take at most, of the ordinary one

Narrow = Literal["auto", "in-place", "off"]
Shape = tuple[int, int]
ORDINARY, SKINNY, COMPACT = 0, 1, 2

_lock = threading.RLock()
_measured: weakref.WeakKeyDictionary[Any, dict[tuple[int, bool], Products]] = weakref.WeakKeyDictionary()
_copies: weakref.WeakKeyDictionary[Any, Copies] = weakref.WeakKeyDictionary()
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

    `seconds[shape][rows]`: [ordinary, skinny, compact] of all modules of a shape. `plans[shape][rows]`: which of them
    is taken; `bare[shape][rows]`: which by a module that has no compact copy. `copies` None: nothing is copied.
    """

    def __init__(self, modules: Sequence[torch.nn.Linear], copies: Copies | None = None) -> None:
        self.copies = copies
        shapes: dict[Shape, list[torch.nn.Linear]] = {}
        for module in modules:
            shapes.setdefault((module.out_features, module.in_features), []).append(module)
        own = skinny()
        ways = 1 if own is None else 2 if copies is None else 3
        with nullcontext() if own is None else own.threads():  # small operations, on whatever cores others leave
            samples = {shape: _samples(found, _TURNS * ways, copies) for shape, found in shapes.items()}
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
        for times in self.seconds.values():  # what takes less with more rows was disturbed
            for size, larger in reversed(list(pairwise(SIZES))):
                for way in (ORDINARY, SKINNY, COMPACT):
                    times[size][way] = min(times[size][way], times[larger][way])
        self.plans: dict[Shape, list[int]] = {shape: _plan(times, COMPACT) for shape, times in self.seconds.items()}
        if copies is not None:
            copies.drop(module for module in modules if COMPACT not in self.plan(module))
        self.bare: dict[Shape, list[int]] = {shape: _plan(times, SKINNY) for shape, times in self.seconds.items()}

    def plan(self, module: torch.nn.Linear, *, bare: bool = False) -> list[int]:
        """For each number of rows, how this module multiplies them; above the last, the ordinary way."""
        return (self.bare if bare else self.plans).get((module.out_features, module.in_features), [ORDINARY])

    def renew(self, modules: Sequence[torch.nn.Linear]) -> None:
        """Before a generation: copies of the weights that are faster with one."""
        own = skinny()
        if self.copies is not None and own is not None:
            with own.threads():
                self.copies.renew([module for module in modules if COMPACT in self.plan(module)], own)

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

    def __init__(self, module: torch.nn.Linear, copies: Copies | None, begin: int = 0, end: int | None = None) -> None:
        out, self.width = module.weight.shape
        self.weight = module.weight.detach()[begin:end]
        self.scale = out / self.weight.shape[0]
        own = skinny()
        self.packed = None
        if copies is not None and own is not None:
            copies.renew([module], own)
            whole = copies.of(module).packed
            self.packed = None if whole is None else whole.rows(begin, out if end is None else end)

    def time(self, rows: int, way: int) -> float:
        weight = self.packed if way == COMPACT else self.weight
        if weight is None:
            return float("inf")
        x, own = torch.ones((rows, self.width)), skinny()
        began = time.thread_time()  # not the clock: other programs may have the processor for a while
        if way == ORDINARY or own is None:
            functional.linear(x, self.weight)
        else:
            own.products(x, [weight])
        return (time.thread_time() - began) * self.scale


def _samples(modules: Sequence[torch.nn.Linear], turns: int, copies: Copies | None) -> list[list[_Sample]]:
    """Up to `turns` sets of samples of one shape, as different as there are modules, or slices of a large weight."""
    out, width = modules[0].weight.shape
    part = min(out, max(1, _ELEMENTS // width))
    if part < out:
        step = max(1, (out - part) // turns)
        return [[_Sample(modules[0], copies, begin, begin + part)] for begin in range(0, out - part, step)][:turns]
    sets = [modules[at : at + _SAMPLES] for at in range(0, len(modules), _SAMPLES)][:turns]
    return [[_Sample(module, copies) for module in chosen] for chosen in sets if chosen]


def _plan(times: dict[int, list[float]], last: int) -> list[int]:
    """For each number of rows, how to multiply them, up to way `last`: sizes between those measured are the next."""
    plan = [ORDINARY]
    for rows in range(1, SIZES[-1] + 1):
        found = times[next(size for size in SIZES if size >= rows)]
        best = ORDINARY
        for way in range(SKINNY, last + 1):
            if found[way] <= _GAIN * found[best]:
                best = way
        plan.append(best)
    return plan


def products_of(model: Any, narrow: Narrow = "auto") -> Products | None:
    """The products of a model for the present number of threads, measured at first use; None where there are none."""
    kind = torch.get_num_threads(), narrow == "auto"
    with _lock:
        known = _measured.setdefault(model, {})
        if kind not in known:
            modules = linears(model)
            if not modules or skinny() is None:
                return None
            copies = _copies.setdefault(model, Copies()) if narrow == "auto" else None
            with torch.no_grad():
                known[kind] = Products(modules, copies)
        return known[kind]


def _forward(module: torch.nn.Linear, products: Products) -> Callable[[torch.Tensor], torch.Tensor]:
    product = Product([module], products)

    def forward(x: torch.Tensor) -> torch.Tensor:
        width = x.shape[-1]
        if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
            return functional.linear(x, module.weight, module.bias)
        return product(x.reshape(-1, width))[0].view(*x.shape[:-1], module.out_features)

    return forward


class Product:
    """The products of modules with the same rows [n, in], as measured; for rows that take no gradient."""

    def __init__(self, modules: Sequence[torch.nn.Linear], products: Products | None) -> None:
        self._modules, self._own = modules, skinny()
        self._held = [module._parameters for module in modules]  # what `module.weight` looks up, at a tenth of its time
        self._least = 0  # rows from which on all of them are ordinary
        if products is not None and self._own is not None:
            self._plans, self._bare = ([products.plan(module, bare=way) for module in modules] for way in (False, True))
            self._least = min(len(plan) for plan in self._plans)
            self._copies = [None if products.copies is None else products.copies.of(module) for module in modules]

    def reads(self, count: int) -> list[torch.Tensor | Packed | None]:
        """What our products of `count` rows read, for each module; None: it is better off with BLAS."""
        if count >= self._least:
            return [None] * len(self._modules)
        found: list[torch.Tensor | Packed | None] = []
        for held, copy, plan, bare in zip(self._held, self._copies, self._plans, self._bare, strict=True):
            weight, way = held["weight"], plan[count]
            assert weight is not None
            if way == COMPACT:
                packed = None if copy is None else copy.of(weight)
                if packed is not None:
                    found.append(packed)
                    continue
                way = bare[count]
            found.append(weight if way == SKINNY else None)
        return found

    def __call__(self, rows: torch.Tensor) -> list[torch.Tensor]:
        count, own = rows.shape[0], self._own
        if own is None or count >= self._least or not rows.is_contiguous():
            return [functional.linear(rows, module.weight, module.bias) for module in self._modules]
        weights = self.reads(count)
        outs: list[Any]
        # One module that is better off with BLAS does not take the others with it, but they are asked for apart.
        if len(weights) <= SEGMENTS and all(weight is not None for weight in weights):
            outs = own.products(rows, weights)  # type: ignore[arg-type]
        else:
            outs = [None if weight is None else own.products(rows, [weight])[0] for weight in weights]
        for at, held in enumerate(self._held):
            bias = held["bias"]
            if outs[at] is None:
                outs[at] = functional.linear(rows, self._modules[at].weight, bias)
            elif bias is not None:
                outs[at].add_(bias)
        return outs


class _Block:
    """The modules of a model while their products are exchanged."""

    def __init__(self, model: torch.nn.Module, narrow: Narrow) -> None:
        self.products = products_of(model, narrow)
        self.users = 0
        self.modules: list[torch.nn.Linear] = []
        if self.products is None:
            return
        modules = linears(model)
        self.products.renew(modules)
        for module in modules:
            if any(self.products.plan(module)):
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
    if narrow not in ("auto", "in-place", "off"):
        raise ValueError(f'narrow={narrow!r} is unknown: "auto", "in-place" or "off"')
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
