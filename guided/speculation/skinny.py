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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import torch

from grammars.kernels.machinecode import addresses_of
from guided.speculation.layercode import LAYER

__all__ = ["LANES", "SEGMENTS", "Skinny", "skinny"]

LANES = 8
_ROWS = 4  # of W at a time
_IDLE = 40_000  # turns of waiting before a helper sleeps: about a millisecond
_PIECES = 8  # of a product, for each thread
SEGMENTS = 3  # products of the same x that can be asked for at once

# Words of the shared state, 64 bit each; those that several threads write lie 64 bytes or more apart.
_TICKET, _DONE, _KIND = 0, 16, 32
_X, _N, _K, _SIZE, _SEGMENT = 33, 34, 35, 36, 37  # of a product; a segment: W, out, y, first piece
_ATTENTION = 33  # of attention: the names in `_ATTEND_WORDS`, in their order
_WORDS = 56
_NEVER = 1 << 20  # the first piece of a segment that is not there
_X86 = ("x86_64", "amd64", "i386", "i686")
_V = f"<{LANES} x float>"


def _block(columns: int, rows: int, ahead: bool) -> str:
    """`rows` rows of W and `columns` rows of x: sums in registers, then rows x columns numbers of y."""
    name = f"block{rows}_{columns}{'_ahead' if ahead else ''}"
    out = [f"define internal void @{name}(ptr %W, ptr %x, i64 %K, ptr %y, i64 %ld) alwaysinline {{\nentry:"]
    for r in range(2 * rows if ahead else rows):
        out.append(f" %wo{r} = mul i64 %K, {r}\n %w{r} = getelementptr float, ptr %W, i64 %wo{r}")
    for j in range(columns):
        out.append(f" %xo{j} = mul i64 %K, {j}\n %x{j} = getelementptr float, ptr %x, i64 %xo{j}")
    out.append(" br label %loop\nloop:\n %k = phi i64 [0, %entry], [%next, %loop]")
    every = [(r, j) for r in range(rows) for j in range(columns)]
    out += [f" %a{r}_{j} = phi {_V} [zeroinitializer, %entry], [%b{r}_{j}, %loop]" for r, j in every]
    for kind, count in (("x", columns), ("w", rows)):
        for i in range(count):
            out.append(f" %p{kind}{i} = getelementptr float, ptr %{kind}{i}, i64 %k")
            out.append(f" %v{kind}{i} = load {_V}, ptr %p{kind}{i}, align 4")
    if ahead:
        for r in range(rows, 2 * rows):
            out.append(f" %pw{r} = getelementptr float, ptr %w{r}, i64 %k")
            out.append(f" call void @llvm.prefetch.p0(ptr %pw{r}, i32 0, i32 3, i32 1)")
    out += [f" %b{r}_{j} = call {_V} @llvm.fma.v{LANES}f32({_V} %vw{r}, {_V} %vx{j}, {_V} %a{r}_{j})" for r, j in every]
    out.append(f" %next = add i64 %k, {LANES}\n %more = icmp slt i64 %next, %K\n br i1 %more, label %loop, label %sums")
    out.append("sums:")
    for j in range(columns):
        out.append(f" %yo{j} = mul i64 %ld, {j}\n %y{j} = getelementptr float, ptr %y, i64 %yo{j}")
        if rows == _ROWS:
            out += [_add_pairs(f"s{j}", f"%b0_{j}", f"%b1_{j}"), _add_pairs(f"t{j}", f"%b2_{j}", f"%b3_{j}")]
            out.append(_add_halves(f"u{j}", f"%s{j}", f"%t{j}"))
            out.append(f" store <4 x float> %u{j}, ptr %y{j}, align 4")
        else:
            for r in range(rows):
                out.append(
                    f" %s{r}_{j} = call reassoc float @llvm.vector.reduce.fadd.v{LANES}f32(float 0.0, {_V} %b{r}_{j})"
                )
                out.append(
                    f" %q{r}_{j} = getelementptr float, ptr %y{j}, i64 {r}\n store float %s{r}_{j}, ptr %q{r}_{j}"
                )
    return "\n".join([*out, " ret void\n}"])


def _shuffled(name: str, type_: str, a: str, b: str, lanes: Sequence[int]) -> str:
    mask = ", ".join(f"i32 {lane}" for lane in lanes)
    return f" %{name} = shufflevector {type_} {a}, {type_} {b}, <{len(lanes)} x i32> <{mask}>"


def _add_pairs(name: str, a: str, b: str) -> str:
    """[a0+a1, b0+b1, a2+a3, b2+b3, ...] of two vectors of eight."""
    even = [lane for k in range(0, 8, 2) for lane in (k, 8 + k)]
    odd = [lane + 1 for lane in even]
    return "\n".join([
        _shuffled(f"{name}e", _V, a, b, even), _shuffled(f"{name}o", _V, a, b, odd),
        f" %{name} = fadd {_V} %{name}e, %{name}o",
    ])  # fmt: skip


def _add_halves(name: str, s: str, t: str) -> str:
    """The four sums [a, b, c, d], float x 4, of what `_add_pairs` made of (a, b) and of (c, d)."""
    first, second = [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]
    return "\n".join([
        _shuffled(f"{name}f", _V, s, t, first), _shuffled(f"{name}g", _V, s, t, second),
        f" %{name}h = fadd {_V} %{name}f, %{name}g",
        _shuffled(f"{name}l", _V, f"%{name}h", "poison", range(4)),
        _shuffled(f"{name}r", _V, f"%{name}h", "poison", range(4, 8)),
        f" %{name} = fadd <4 x float> %{name}l, %{name}r",
    ])  # fmt: skip


def _columns(rows: int) -> str:
    """All rows of x against `rows` rows of W: by threes, and by twos where that leaves no single one over."""
    return f"""
define internal void @columns{rows}(ptr %W, ptr %x, i64 %n, i64 %K, ptr %y, i64 %ld) alwaysinline {{
entry:
  %rest = urem i64 %n, 3
  %single = icmp eq i64 %rest, 1
  %pair = icmp eq i64 %rest, 2
  %two = select i1 %single, i64 2, i64 1
  %none = icmp eq i64 %rest, 0
  %some = select i1 %none, i64 0, i64 %two
  %pairs = select i1 %pair, i64 1, i64 %some
  %taken = shl i64 %pairs, 1
  %threes = sub i64 %n, %taken
  %one = icmp eq i64 %n, 1
  br i1 %one, label %lone, label %loop3
lone:
  call void @block{rows}_1_ahead(ptr %W, ptr %x, i64 %K, ptr %y, i64 %ld)
  ret void
loop3:
  %j = phi i64 [0, %entry], [%j3, %inner3]
  %j3 = add i64 %j, 3
  %more3 = icmp sle i64 %j3, %threes
  br i1 %more3, label %body3, label %loop2
body3:
  %xo = mul i64 %j, %K
  %xj = getelementptr float, ptr %x, i64 %xo
  %yo = mul i64 %j, %ld
  %yj = getelementptr float, ptr %y, i64 %yo
  %last = icmp eq i64 %j3, %n
  br i1 %last, label %last3, label %inner3
inner3:
  call void @block{rows}_3(ptr %W, ptr %xj, i64 %K, ptr %yj, i64 %ld)
  br label %loop3
last3:
  call void @block{rows}_3_ahead(ptr %W, ptr %xj, i64 %K, ptr %yj, i64 %ld)
  ret void
loop2:
  %i = phi i64 [%j, %loop3], [%i2, %body2]
  %i2 = add i64 %i, 2
  %more2 = icmp sle i64 %i2, %n
  br i1 %more2, label %body2, label %end
body2:
  %xoi = mul i64 %i, %K
  %xi = getelementptr float, ptr %x, i64 %xoi
  %yoi = mul i64 %i, %ld
  %yi = getelementptr float, ptr %y, i64 %yoi
  call void @block{rows}_2_ahead(ptr %W, ptr %xi, i64 %K, ptr %yi, i64 %ld)
  br label %loop2
end:
  ret void
}}"""


_SWEEP = f"""
define internal void @sweep(ptr %W, ptr %x, i64 %n, i64 %K, ptr %y, i64 %ld, i64 %from, i64 %to) noinline {{
entry:
  br label %loop
loop:
  %i = phi i64 [%from, %entry], [%next, %body]
  %next = add i64 %i, {_ROWS}
  %more = icmp sle i64 %next, %to
  br i1 %more, label %body, label %rest
body:
  %wo = mul i64 %i, %K
  %w = getelementptr float, ptr %W, i64 %wo
  %yi = getelementptr float, ptr %y, i64 %i
  call void @columns{_ROWS}(ptr %w, ptr %x, i64 %n, i64 %K, ptr %yi, i64 %ld)
  br label %loop
rest:
  %r = phi i64 [%i, %loop], [%r1, %single]
  %left = icmp slt i64 %r, %to
  br i1 %left, label %single, label %end
single:
  %wor = mul i64 %r, %K
  %wr = getelementptr float, ptr %W, i64 %wor
  %yr = getelementptr float, ptr %y, i64 %r
  call void @columns1(ptr %wr, ptr %x, i64 %n, i64 %K, ptr %yr, i64 %ld)
  %r1 = add i64 %r, 1
  br label %rest
end:
  ret void
}}"""


def _word(at: int, name: str, base: str = "%s") -> str:
    return f"  %{name} = getelementptr i64, ptr {base}, i64 {at}\n"


def _load(at: int, name: str, base: str = "%s") -> str:
    return f"{_word(at, name + '_at', base)}  %{name} = load i64, ptr %{name}_at\n"


_ATTEND_WORDS = "q K V mask out scores n T d ld scale R blocks size K_head V_head".split()

# The ticket: generation << 40 | pieces << 20 | pieces taken. A piece is owned by who counted it.
_WORK = f"""
define internal void @product_piece(ptr %s, i64 %piece) noinline {{
{_load(_X, "xw")}{_load(_N, "n")}{_load(_K, "K")}{_load(_SIZE, "size")}  %x = inttoptr i64 %xw to ptr
{_load(_SEGMENT + 7, "first1")}{_load(_SEGMENT + 11, "first2")}  %in1 = icmp uge i64 %piece, %first1
  %in2 = icmp uge i64 %piece, %first2
  %after1 = select i1 %in1, i64 {_SEGMENT + 4}, i64 {_SEGMENT}
  %at = select i1 %in2, i64 {_SEGMENT + 8}, i64 %after1
  %segment = getelementptr i64, ptr %s, i64 %at
{_load(0, "Ww", "%segment")}{_load(1, "out", "%segment")}{_load(2, "yw", "%segment")}{_load(3, "first", "%segment")}
  %W = inttoptr i64 %Ww to ptr
  %y = inttoptr i64 %yw to ptr
  %number = sub i64 %piece, %first
  %from = mul i64 %number, %size
  %end0 = add i64 %from, %size
  %over = icmp sgt i64 %end0, %out
  %to = select i1 %over, i64 %out, i64 %end0
  call void @sweep(ptr %W, ptr %x, i64 %n, i64 %K, ptr %y, i64 %out, i64 %from, i64 %to)
  ret void
}}

define internal void @attend_piece(ptr %s, i64 %piece) noinline {{
{"".join(_load(_ATTENTION + at, name) for at, name in enumerate(_ATTEND_WORDS))}
  %head = udiv i64 %piece, %blocks
  %block = urem i64 %piece, %blocks
  %first = mul i64 %block, %size
  %left = sub i64 %R, %first
  %short = icmp slt i64 %left, %size
  %rows = select i1 %short, i64 %left, i64 %size
  %q0 = inttoptr i64 %q to ptr
  %before = mul i64 %head, %R
  %row = add i64 %before, %first
  %qo = mul i64 %row, %d
  %qp = getelementptr float, ptr %q0, i64 %qo
  %K0 = inttoptr i64 %K to ptr
  %Ko = mul i64 %head, %K_head
  %Kp = getelementptr float, ptr %K0, i64 %Ko
  %V0 = inttoptr i64 %V to ptr
  %Vo = mul i64 %head, %V_head
  %Vp = getelementptr float, ptr %V0, i64 %Vo
  %mp = inttoptr i64 %mask to ptr
  %out0 = inttoptr i64 %out to ptr
  %group = udiv i64 %R, %n
  %shared = mul i64 %head, %group
  %oo = mul i64 %shared, %d
  %op = getelementptr float, ptr %out0, i64 %oo
  %s0 = inttoptr i64 %scores to ptr
  %up = add i64 %T, 7
  %lds = and i64 %up, -8
  %so = mul i64 %row, %lds
  %sp = getelementptr float, ptr %s0, i64 %so
  %word = trunc i64 %scale to i32
  %factor = bitcast i32 %word to float
  call void @attend(ptr %qp, ptr %Kp, ptr %Vp, ptr %mp, ptr %op, ptr %sp, i64 %first, i64 %rows, i64 %n, i64 %T, i64 %d,
    i64 %ld, float %factor)
  ret void
}}

define internal void @work(ptr %s) noinline {{
entry:
{_word(_TICKET, "ticket_at")}{_word(_DONE, "done_at")}  br label %take
take:
  %ticket = atomicrmw add ptr %ticket_at, i64 1 acq_rel
  %piece = and i64 %ticket, 1048575
  %shifted = lshr i64 %ticket, 20
  %pieces = and i64 %shifted, 1048575
  %ours = icmp ult i64 %piece, %pieces
  br i1 %ours, label %find, label %end
find:
{_load(_KIND, "kind")}  %attention = icmp ne i64 %kind, 0
  br i1 %attention, label %attend, label %product
product:
  call void @product_piece(ptr %s, i64 %piece)
  br label %did
attend:
  call void @attend_piece(ptr %s, i64 %piece)
  br label %did
did:
  %done = atomicrmw add ptr %done_at, i64 1 acq_rel
  br label %take
end:
  ret void
}}

define i64 @shared(ptr %s, i64 %pieces) {{
entry:
{_word(_TICKET, "ticket_at")}{_word(_DONE, "done_at")}{_load(_TICKET, "old")}
  store atomic i64 0, ptr %done_at monotonic, align 8
  %age = lshr i64 %old, 40
  %younger = add i64 %age, 1
  %high = shl i64 %younger, 40
  %middle = shl i64 %pieces, 20
  %ticket = or i64 %high, %middle
  store atomic i64 %ticket, ptr %ticket_at release, align 8
  call void @work(ptr %s)
  br label %wait
wait:
  %done = load atomic i64, ptr %done_at acquire, align 8
  %all = icmp eq i64 %done, %pieces
  br i1 %all, label %end, label %turn
turn:
  PAUSE
  br label %wait
end:
  ret i64 0
}}

define i64 @serve(ptr %s, i64 %patience) {{
entry:
{_word(_TICKET, "ticket_at")}  br label %look
look:
  %turns = phi i64 [0, %entry], [%turns1, %turn], [0, %help]
  %ticket = load atomic i64, ptr %ticket_at acquire, align 8
  %piece = and i64 %ticket, 1048575
  %shifted = lshr i64 %ticket, 20
  %pieces = and i64 %shifted, 1048575
  %open = icmp ult i64 %piece, %pieces
  br i1 %open, label %help, label %turn
help:
  call void @work(ptr %s)
  br label %look
turn:
  PAUSE
  %turns1 = add i64 %turns, 1
  %tired = icmp ugt i64 %turns1, %patience
  br i1 %tired, label %end, label %look
end:
  ret i64 0
}}
"""


def assembly(pause: str) -> str:
    """The whole module in LLVM's assembly."""
    head = [
        f"declare {_V} @llvm.fma.v{LANES}f32({_V}, {_V}, {_V})",
        f"declare float @llvm.vector.reduce.fadd.v{LANES}f32(float, {_V})",
        "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)",
        "declare void @llvm.x86.sse2.pause()" if pause else "",
    ]
    blocks = [
        _block(columns, rows, ahead)
        for rows in (1, _ROWS)
        for columns, ahead in ((1, True), (2, True), (3, True), (3, False))
    ]
    return "\n".join([*head, *blocks, _columns(1), _columns(_ROWS), _SWEEP, LAYER, _WORK.replace("PAUSE", pause)])


# ------------------------------------------------------------------------------------------------ Python's side


class Skinny:
    """The compiled functions, and the threads that help with them.

    Tensors are float32, contiguous where nothing else is said, on the CPU, and take no gradient.
    """

    def __init__(self) -> None:
        x86 = platform.machine().lower() in _X86
        address = addresses_of(assembly("call void @llvm.x86.sse2.pause()" if x86 else ""))
        pointer, integer, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
        self._shared = ctypes.CFUNCTYPE(integer, pointer, integer)(address("shared"))
        self._serve = ctypes.CFUNCTYPE(integer, pointer, integer)(address("serve"))
        self._norm = ctypes.CFUNCTYPE(None, *[pointer] * 3, *[integer] * 2, number)(address("norm"))
        self._rotate = ctypes.CFUNCTYPE(None, *[pointer] * 2, *[integer] * 3, *[pointer] * 2, integer)(
            address("rotate")
        )
        self._gate = ctypes.CFUNCTYPE(None, pointer, pointer, integer)(address("gate"))
        self._pool = _State()
        self._busy = threading.Lock()
        self._own = threading.local()
        self._wake = threading.Condition()
        self._helpers: list[threading.Thread] = []
        self._awake = self._wanted = 0
        self._process = os.getpid()

    # ---------------------------------------------------------------------------------------------- products

    def products(self, x: torch.Tensor, weights: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """x W^T for each W, float32 [n, out]. x [n, in], weights [out, in], at most `SEGMENTS`; `LANES` divides in."""
        count, width = x.shape
        sizes = [weight.shape[0] for weight in weights]
        outs = [torch.empty((count, size)) for size in sizes]
        held = self._hold()
        try:
            state = held.words if held else self._alone().words
            rows = sum(sizes)
            size = max(_ROWS, rows // (self._threads() * _PIECES) // _ROWS * _ROWS) if held else 1 << 40
            state[_KIND], state[_X], state[_N], state[_K], state[_SIZE] = 0, x.data_ptr(), count, width, size
            at, pieces = _SEGMENT, 0
            for weight, out, own in zip(weights, outs, sizes, strict=True):
                state[at], state[at + 1], state[at + 2] = weight.data_ptr(), own, out.data_ptr()
                state[at + 3] = pieces
                pieces += -(-own // size)
                at += 4
            while at < _SEGMENT + 4 * SEGMENTS:
                state[at + 3] = _NEVER
                at += 4
            self._shared(ctypes.addressof(state), pieces)
        finally:
            if held:
                self._busy.release()
        return outs

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
        self._rotate(x.data_ptr(), out.data_ptr(), count, heads, width // 2, cos, sin, angles is not None)
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
            blocks = max(1, min(rows // 6, 2)) if held else 1
            size = -(-rows // blocks)
            state[_KIND] = 1
            state[_ATTENTION : _ATTENTION + len(_ATTEND_WORDS)] = (  # type: ignore[call-overload]
                q.data_ptr(), keys.data_ptr(), values.data_ptr(), 0 if mask is None else mask.data_ptr(),
                out.data_ptr(), scores.data_ptr(), count, slots, width, heads * width,
                struct.unpack("<i", struct.pack("<f", scale))[0], rows, blocks, size, keys.stride(1), values.stride(1),
            )  # fmt: skip
            self._shared(ctypes.addressof(state), shared * blocks)
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
        wake = self._wake
        while True:
            with wake:
                wake.wait()
                if number >= self._wanted:
                    continue
                self._awake += 1
            self._serve(ctypes.addressof(self._pool.words), _IDLE)
            with wake:
                self._awake -= 1


class _State:
    """Shared words, at the beginning of a line of the cache."""

    def __init__(self) -> None:
        memory = (ctypes.c_int64 * (_WORDS + 8))()
        self.words = (ctypes.c_int64 * _WORDS).from_buffer(memory, -ctypes.addressof(memory) % 64)


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
