"""Compact weights: float32 numbers that need fewer bits, kept as what they were made from.

Most models that run in float32 on a CPU were not stored so: a GGUF file holds four to eight bits a weight, a checkpoint
sixteen, and the numbers were widened when the model was loaded. A pass over one token takes as long as it takes to read
the weights, so it pays to keep a second copy in the narrow form and to widen it on the way (`skinny`, `packedcode`).

`packed(weight)` finds the form from the numbers alone: in a block of 32, d and m of the numbers d q + m are

    m = the least number,   d = (greatest - least) / k     for the first k = 15, 14, ... 1 that gives all of them back

(without m: d = greatest magnitude / k). A copy is used only if decoding all of it gives all numbers back, so nothing is
rounded and no result changes. A look at a few blocks refuses other weights at once.

The copy and the weight must not drift apart: `Copies` looks at the tensor's address and version at every use, and at
the start of each generation at one block of each row, another one each time, because `weight.data` and numpy can
change numbers without a change of version.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable

import torch

from guided.speculation.packedcode import BFLOAT16, FORMS, HALF, Q4, Q8, Form
from guided.speculation.skinny import WIDEST, Packed, Skinny

__all__ = ["Copies", "Copy", "packed"]

_SAMPLE = 16  # blocks
_CHUNK = 1 << 17  # numbers at a time
_LEVELS = {Q4.number: tuple(range(15, 0, -1)), Q8.number: (127, 128, *range(32, 0, -1))}


def packed(weight: torch.Tensor, own: Skinny) -> Packed | None:
    """The smallest copy of a float32 weight [out, in] that stands for the same numbers; None: there is none."""
    rows, width = weight.shape
    if width > WIDEST or not rows:
        return None
    flat = weight.detach().view(-1)
    for form in FORMS:
        if width % form.weights:
            continue
        blocks = flat.view(-1, form.weights)
        step = max(1, blocks.shape[0] // _SAMPLE)
        if not _plausible(form, blocks[::step][:_SAMPLE]):
            continue
        found = _all_records(form, blocks)
        if found is None:
            continue
        made = Packed(form, weight.shape, found.view(rows, -1))
        if own.unlike(made, weight) == 0:
            return made
    return None


def _plausible(form: Form, blocks: torch.Tensor) -> bool:
    """Whether each of a few blocks has a record: all k at once."""
    if form.number not in _LEVELS:
        return _records(form, blocks) is not None
    least, reach = (x[None] for x in _ends(form, blocks))
    d = reach / torch.tensor(_LEVELS[form.number])[:, None, None]
    d[d == 0] = 1.0
    q = (blocks - least).div(d).round_()
    return bool(torch.addcmul(least, q, d).eq(blocks).all(2).any(0).all())


def _all_records(form: Form, blocks: torch.Tensor) -> torch.Tensor | None:
    """Records [blocks, bytes] of all blocks; None where one has no record."""
    out = torch.empty((blocks.shape[0], form.size), dtype=torch.uint8)
    step = _CHUNK // form.weights
    for at in range(0, blocks.shape[0], step):
        made = _records(form, blocks[at : at + step])
        if made is None:
            return None
        out[at : at + step] = made
    return out


def _records(form: Form, blocks: torch.Tensor) -> torch.Tensor | None:
    """Records of a form for blocks of numbers [blocks, form.weights]; None where one is no such block."""
    if form is HALF or form is BFLOAT16:
        short = blocks.to(torch.float16 if form is HALF else torch.bfloat16)
        return short.view(torch.uint8) if torch.equal(short.float(), blocks) else None
    least, reach = _ends(form, blocks)
    q = torch.empty(blocks.shape)
    d = torch.empty_like(reach)
    for k in _LEVELS[form.number]:
        if k == _LEVELS[form.number][0]:
            good = _fit(blocks, least, reach, k, q, d)
            left = good.logical_not_().nonzero()[:, 0]
        else:
            part_q, part_d = q[left], d[left]
            good = _fit(blocks[left], least[left], reach[left], k, part_q, part_d)
            q[left], d[left] = part_q, part_d
            left = left[~good]
        if not len(left):
            return _laid_out(form, q, d, least)
    return None


def _ends(form: Form, blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What is taken off the numbers of a block, and how far the rest reaches, each [blocks, 1]."""
    least, most = blocks.amin(1, keepdim=True), blocks.amax(1, keepdim=True)
    if form is Q4:
        return least, most - least
    return torch.zeros_like(least), torch.maximum(most, -least)


def _fit(
    blocks: torch.Tensor, least: torch.Tensor, reach: torch.Tensor, k: int, q: torch.Tensor, d: torch.Tensor
) -> torch.Tensor:
    """Try k steps in the reach of each block: q and d are written, and told [blocks] where they give the numbers."""
    torch.div(reach, k, out=d)
    d[d == 0] = 1.0
    torch.sub(blocks, least, out=q)
    q.div_(d).round_()
    found = torch.addcmul(least, q, d)
    if torch.equal(found, blocks):  # the common case, at a fourth of the price
        return torch.ones(len(blocks), dtype=torch.bool)
    return found.eq(blocks).all(1)


def _laid_out(form: Form, q: torch.Tensor, d: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
    count = len(q)
    out = torch.empty((count, form.size), dtype=torch.uint8)
    out[:, :4] = d.view(torch.uint8)
    if form is Q8:
        out[:, 4:] = q.to(torch.int8).view(torch.uint8)
        return out
    out[:, 4:8] = least.view(torch.uint8)
    first, *others = q.view(count, 4, 8).unbind(1)
    for at, other in enumerate(others, 1):
        first = torch.add(first, other, alpha=16**at)  # below 2^16: whole numbers in float32
    out[:, 8:] = first.to(torch.int32).to(torch.uint16).view(torch.uint8)
    return out


class Copy:
    """The packed weight of one module, as long as it is the weight's."""

    __slots__ = ("_held", "_pointer", "_version", "_weight", "packed")

    def __init__(self) -> None:
        self.packed: Packed | None = None
        self._weight: torch.Tensor | None = None
        self._held: torch.Tensor | None = None  # keeps the address from being given to other numbers
        self._pointer = self._version = -1

    def of(self, weight: torch.Tensor) -> Packed | None:
        """The copy, if `weight` is the tensor that was packed and nothing was written into it since."""
        if weight is self._weight and weight._version == self._version and weight.data_ptr() == self._pointer:
            return self.packed
        return None

    def renew(self, weight: torch.Tensor, own: Skinny, turn: int) -> None:
        """Look at some of the numbers, and pack the weight if it is another one or was changed."""
        known = weight is self._weight and weight._version == self._version and weight.data_ptr() == self._pointer
        if known and (self.packed is None or not own.unlike(self.packed, weight, turn)):
            return
        self._weight, self._version, self._pointer = weight, weight._version, weight.data_ptr()
        self.packed = packed(weight, own)
        self._held = weight.detach() if self.packed is not None else None

    def forget(self) -> None:
        self.packed = self._weight = self._held = None


class Copies:
    """The copies of a model's weights."""

    def __init__(self) -> None:
        self._copies: weakref.WeakKeyDictionary[torch.nn.Linear, Copy] = weakref.WeakKeyDictionary()
        self._turn = 0

    def of(self, module: torch.nn.Linear) -> Copy:
        """The place of a module's copy, empty until `renew`."""
        return self._copies.setdefault(module, Copy())

    def renew(self, modules: Iterable[torch.nn.Linear], own: Skinny) -> None:
        """Before a generation: see to it that copies are those of the weights."""
        self._turn += 1
        for module in modules:
            self.of(module).renew(module.weight, own, self._turn)

    def drop(self, modules: Iterable[torch.nn.Linear]) -> None:
        """These modules are not faster with a copy."""
        for module in modules:
            self.of(module).forget()

    def size(self) -> int:
        """Bytes of all copies."""
        return sum(copy.packed.records.numel() for copy in self._copies.values() if copy.packed is not None)
