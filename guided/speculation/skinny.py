"""Skinny products: x W^T for a handful of rows, at the speed at which W can be read.

A pass over n tokens multiplies every weight matrix W [out, in] with n rows of x. BLAS first packs W, which costs as
much as reading it; for up to some thirty rows that is most of the time. Here W is read once and where it lies: four
rows of it at a time meet all rows of x, three by three, in twelve registers of sums,

    y[j, i .. i+3] = sum over k of W[i .. i+3, k] x[j, k]

while the four rows stay in the first cache, and the next four are fetched ahead. The code is written here in LLVM's
assembly (compiled in about a tenth of a second, for the processor at hand), because the number of registers in use is
what its speed rests on and a compiler left to itself spills them.

Several threads share a product by taking pieces of it from a counter. Helpers are threads that wait, spinning, for as
long as products follow one another (`_IDLE` turns), and sleep otherwise; who asks for a product never waits for a
helper to come, only for pieces that one has begun. One product is shared at a time: a second caller's is its own work.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from grammars.kernels.machinecode import addresses_of
from guided.speculation.packedcode import PLAIN, Form
from guided.speculation.productcode import assembly
from guided.speculation.productwords import (
    ATTEND_WORDS,
    ATTENTION,
    KIND,
    LANES,
    ROWS,
    SEGMENT,
    SEGMENT_WORDS,
    SEGMENTS,
    SIZE,
    WORDS,
    K,
    N,
    X,
)

__all__ = ["LANES", "SEGMENTS", "WIDEST", "Packed", "Skinny", "skinny"]

_IDLE = 40_000  # turns of waiting before a helper sleeps: about a millisecond
_PIECES = 8  # of a product, for each thread
_NEVER = 1 << 20  # the first piece of a segment that is not there
_X86 = ("x86_64", "amd64", "i386", "i686")
_EVERY = 8
WIDEST = 1 << 14  # width of a packed weight, in numbers: four rows are decoded at a time


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A weight [out, in] in one of the forms of `packedcode`: [out, bytes] uint8, `records` of them in a row."""

    form: Form
    shape: torch.Size
    records: torch.Tensor

    def rows(self, begin: int, end: int) -> Packed:
        """Some rows of the weight."""
        return Packed(self.form, torch.Size((end - begin, self.shape[1])), self.records[begin:end])


class Skinny:
    """The compiled functions, and the threads that help with them.

    Tensors are float32, contiguous where nothing else is said, on the CPU, and take no gradient.
    """

    def __init__(self) -> None:
        x86 = platform.machine().lower() in _X86
        address = addresses_of(assembly("call void @llvm.x86.sse2.pause()" if x86 else ""))
        pointer, integer, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
        self._shared = ctypes.CFUNCTYPE(integer, pointer, integer, pointer)(address("shared"))
        self._serve = ctypes.CFUNCTYPE(integer, pointer, integer, pointer)(address("serve"))
        self._decode = ctypes.CFUNCTYPE(None, pointer, integer, integer, pointer)(address("decode"))
        self._differ = ctypes.CFUNCTYPE(integer, pointer, *[integer] * 3, pointer, *[integer] * 3, pointer)(
            address("differ")
        )
        self._norm = ctypes.CFUNCTYPE(None, *[pointer] * 3, *[integer] * 2, number)(address("norm"))
        self._rotate = ctypes.CFUNCTYPE(None, *[pointer] * 2, *[integer] * 3, *[pointer] * 2, *[integer] * 2)(
            address("rotate")
        )
        self._layer = ctypes.CFUNCTYPE(None, pointer, pointer, pointer)(address("layer"))
        self._gate = ctypes.CFUNCTYPE(None, pointer, pointer, integer)(address("gate"))
        self._pool = _State()
        self._busy = threading.Lock()
        self._own = threading.local()
        self._wake = threading.Condition()
        self._helpers: list[threading.Thread] = []
        self._awake = self._wanted = 0
        self._process = os.getpid()

    # ---------------------------------------------------------------------------------------------- products

    def products(self, x: torch.Tensor, weights: Sequence[torch.Tensor | Packed]) -> list[torch.Tensor]:
        """x W^T for each W, float32 [n, out]. x [n, in], weights [out, in], at most `SEGMENTS`; `LANES` divides in.

        A packed weight gives the same numbers as the weight that was packed, bit for bit.
        """
        count, width = x.shape
        sizes = [weight.shape[0] for weight in weights]
        outs = [torch.empty((count, size)) for size in sizes]
        alone = self._alone()
        held = self._hold()
        try:
            state = held.words if held else alone.words
            threads = self._threads() if held else 0
            pieces = product_words(state, 0, x.data_ptr(), count, width, weights, [o.data_ptr() for o in outs], threads)
            self._shared(ctypes.addressof(state), pieces, alone.scratch)
        finally:
            if held:
                self._busy.release()
        return outs

    @contextmanager
    def state(self) -> Iterator[tuple[int, Callable[[Any], None]]]:
        """For a layer: the number of threads that share its work (0: the caller's alone), and what runs its words."""
        alone, held = self._alone(), self._hold()
        words = ctypes.addressof((held or alone).words)
        try:
            yield (
                self._threads() if held else 0,
                lambda program: self._layer(ctypes.addressof(program), words, alone.scratch),
            )
        finally:
            if held:
                self._busy.release()

    def unpacked(self, packed: Packed) -> torch.Tensor:
        """The weight, float32 [out, in]."""
        out = torch.empty(packed.shape)
        count = packed.records.numel() // packed.form.size
        self._decode(packed.records.data_ptr(), packed.form.number, count, out.data_ptr())
        return out

    def unlike(self, packed: Packed, weight: torch.Tensor, turn: int | None = None) -> int:
        """How many records differ from the numbers [out, in] that they stand for (a zero's sign does not count).

        `turn`: only one of each `_EVERY` rows' records is looked at, other ones each turn, until all had theirs.
        """
        form, address, start = packed.form, weight.data_ptr(), packed.records.data_ptr()
        count = packed.records.numel() // form.size
        length = 1 if turn is None else min(count, packed.records.shape[1] // form.size * _EVERY)
        if turn is not None and turn % 2:  # begin behind what is left over
            start, address = start + count % length * form.size, address + count % length * form.weights * 4
        arguments = (form.number, form.size, form.weights, address, count // length, length, (turn or 0) // 2)
        return int(self._differ(start, *arguments, self._alone().scratch))

    # ---------------------------------------------------------------------------------------------- a layer's rest

    def norm(self, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        """RMS norm of rows [n, d]; `LANES` divides d."""
        out = torch.empty(x.shape)
        self._norm(x.data_ptr(), weight.data_ptr(), out.data_ptr(), x.shape[0], x.shape[1], eps)
        return out

    def by_head(
        self, x: torch.Tensor, width: int, angles: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Rows [n, heads x width] as [1, heads, n, width], turned by (cos, sin), each [n, width]; 16 divides width."""
        count, heads = x.shape[0], x.shape[1] // width
        out = torch.empty((1, heads, count, width))
        cos, sin = (angles[0].data_ptr(), angles[1].data_ptr()) if angles else (None, None)
        self._rotate(x.data_ptr(), out.data_ptr(), count, heads, width // 2, cos, sin, angles is not None, count)
        return out

    def gate(self, x: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        """silu(x) up, in place of x; as many numbers as `LANES` divides."""
        self._gate(x.data_ptr(), up.data_ptr(), x.numel())
        return x

    def attend(
        self, q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None, scale: float
    ) -> torch.Tensor:
        """Attention of q [1, heads, n, d] over keys and values [1, shared, T, d]: rows [n, heads x d].

        `mask` [1, 1, n, T] is added to the scores. A head's T x d keys (values) lie together. 16 divides d.
        """
        _, heads, count, width = q.shape
        _, shared, slots, _ = keys.shape
        out = torch.empty((count, heads * width))
        rows = heads // shared * count  # that share keys
        scores = torch.empty(heads * count * (slots + 7 & -8))
        held = self._hold()
        try:
            state = held.words if held else self._alone().words
            blocks = attention_blocks(rows, held is not None)
            size = -(-rows // blocks)
            state[KIND] = 1
            state[ATTENTION : ATTENTION + len(ATTEND_WORDS)] = (  # type: ignore[call-overload]
                q.data_ptr(), keys.data_ptr(), values.data_ptr(), 0 if mask is None else mask.data_ptr(),
                out.data_ptr(), scores.data_ptr(), count, slots, width, heads * width,
                struct.unpack("<i", struct.pack("<f", scale))[0], rows, blocks, size, keys.stride(1), values.stride(1),
            )  # fmt: skip
            self._shared(ctypes.addressof(state), shared * blocks, None)
        finally:
            if held:
                self._busy.release()
        return out

    # ---------------------------------------------------------------------------------------------- threads

    def _hold(self) -> _State | None:
        """The state that helpers look at, held by `_busy`, with helpers awake; None: the caller works alone."""
        wanted = self._threads() - 1
        if wanted < 1 or not self._busy.acquire(blocking=False):
            return None
        if self._awake < wanted:
            self._call(wanted)
        return self._pool

    def _threads(self) -> int:
        return getattr(self._own, "threads", 0) or torch.get_num_threads()

    @contextmanager
    def threads(self) -> Iterator[None]:
        """For the time of the block, the caller's torch works on one thread and these functions on as many as it had.

        Torch's helpers spin for a while after each operation that was worth sharing, and two pools of spinning threads
        on the same cores keep each other waiting for longer than a few tokens' operations take.
        """
        before, outer = torch.get_num_threads(), getattr(self._own, "threads", 0)
        if outer or before == 1:
            yield
            return
        self._own.threads = before
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
            self._own.threads = 0

    def _alone(self) -> _State:
        own: _State | None = getattr(self._own, "state", None)
        if own is None:
            own = self._own.state = _State()
        return own

    def _call(self, wanted: int) -> None:
        """Wake the helpers, or start them: as many as torch has threads beside the caller's."""
        if self._process != os.getpid():  # threads do not survive a fork
            self._process, self._helpers, self._awake = os.getpid(), [], 0
            self._wake = threading.Condition()
        while len(self._helpers) < wanted:
            number = len(self._helpers)
            thread = threading.Thread(target=self._help, args=(number,), name="guided-skinny", daemon=True)
            self._helpers.append(thread)
            thread.start()
        with self._wake:
            self._wanted = wanted
            self._wake.notify_all()

    def _help(self, number: int) -> None:
        wake, own = self._wake, _State()
        while True:
            with wake:
                wake.wait()
                if number >= self._wanted:
                    continue
                self._awake += 1
            self._serve(ctypes.addressof(self._pool.words), _IDLE, own.scratch)
            with wake:
                self._awake -= 1


def product_words(
    words: Any,
    base: int,
    x: int,
    count: int,
    width: int,
    weights: Sequence[torch.Tensor | Packed],
    outs: Sequence[int],
    threads: int,
) -> int:
    """Write what the state holds for products of `count` rows at address x; gives the number of pieces.

    Word i of the state is `words[base + i]`. `threads` 0: one piece for each weight.
    """
    rows = sum(weight.shape[0] for weight in weights)
    size = max(ROWS, rows // (threads * _PIECES) // ROWS * ROWS) if threads else 1 << 40
    words[base + KIND], words[base + X], words[base + N] = 0, x, count
    words[base + K], words[base + SIZE] = width, size
    at, pieces = base + SEGMENT, 0
    for weight, out in zip(weights, outs, strict=True):
        own = weight.shape[0]
        if type(weight) is Packed:
            records = weight.records
            words[at], words[at + 4], words[at + 5] = records.data_ptr(), weight.form.number, records.shape[1]
        else:
            words[at], words[at + 4] = weight.data_ptr(), PLAIN  # type: ignore[union-attr]
        words[at + 1], words[at + 2], words[at + 3] = own, out, pieces
        pieces += -(-own // size)
        at += SEGMENT_WORDS
    while at < base + WORDS:
        words[at + 3] = _NEVER
        at += SEGMENT_WORDS
    return pieces


def attention_blocks(rows: int, shared: bool) -> int:
    """In how many blocks the rows of queries that share a head of keys are attended to."""
    return max(1, min(rows // 6, 2)) if shared else 1


class _State:
    """Shared words, at the beginning of a line of the cache, and a thread's scratch: four rows of a packed weight."""

    def __init__(self) -> None:
        memory = (ctypes.c_int64 * (WORDS + 8))()
        self.words = (ctypes.c_int64 * WORDS).from_buffer(memory, -ctypes.addressof(memory) % 64)
        self._rows = torch.empty(ROWS * WIDEST + 16)
        self.scratch = self._rows.data_ptr() + -self._rows.data_ptr() % 64


@cache
def skinny() -> Skinny | None:
    """The products of this process; None where the processor has not what they need (fused multiply-add on vectors)."""
    try:
        import llvmlite.binding as llvm

        features = llvm.get_host_cpu_features()
        if platform.machine().lower() in _X86 and not (features.get("avx2") and features.get("fma")):
            return None
        return Skinny()
    except (ImportError, OSError, RuntimeError):  # another LLVM, a system that forbids code made at run time: BLAS
        return None
