"""Products of a handful of rows, in LLVM's assembly: blocks of sums in registers, sweeps over rows of W, shared work.

The idea and the words of the shared state are told in `skinny`, which compiles this and calls it.
"""

from __future__ import annotations

from collections.abc import Sequence

from guided.speculation.layercode import LAYER
from guided.speculation.packedcode import FORMS, Form, packed_code
from guided.speculation.productwords import (
    ATTEND_WORDS,
    ATTENTION,
    DONE,
    KIND,
    LANES,
    ROWS,
    SEGMENT,
    SEGMENT_WORDS,
    SIZE,
    TICKET,
    K,
    N,
    X,
)
from guided.speculation.wholecode import WHOLE

__all__ = ["assembly"]

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
    return "\n".join([*out, *_sums(columns, rows), " ret void\n}"])


def _sums(columns: int, rows: int) -> list[str]:
    """The end of a block: registers b{r}_{j} added up, into rows x columns numbers of y."""
    out = ["sums:"]
    for j in range(columns):
        out.append(f" %yo{j} = mul i64 %ld, {j}\n %y{j} = getelementptr float, ptr %y, i64 %yo{j}")
        if rows == ROWS:
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
    return out


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


def _columns(rows: int, name: str, ahead: str, inline: str) -> str:
    """All rows of x against `rows` rows of W: by threes, and by twos where that leaves no single one over."""
    return f"""
define internal void @{name}{rows}(ptr %W, ptr %x, i64 %n, i64 %K, ptr %y, i64 %ld) {inline} {{
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
  call void @block{rows}_1{ahead}(ptr %W, ptr %x, i64 %K, ptr %y, i64 %ld)
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
  call void @block{rows}_3{ahead}(ptr %W, ptr %xj, i64 %K, ptr %yj, i64 %ld)
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
  call void @block{rows}_2{ahead}(ptr %W, ptr %xi, i64 %K, ptr %yi, i64 %ld)
  br label %loop2
end:
  ret void
}}"""


def _packed_sweep(form: Form) -> str:
    """`sweep` for a packed W: four rows at a time are decoded into the scratch, where every row of x meets them.

    The numbers of y are those that W itself would give, bit for bit. Tried: a single row of x that meets the numbers in
    the registers that they are decoded to; it takes as long, the first cache being as fast.
    """

    def step(rows: int, at: str) -> str:
        return f"""
  %po{at} = mul i64 %{at}, %stride
  %p{at} = getelementptr i8, ptr %P, i64 %po{at}
  %y{at} = getelementptr float, ptr %y, i64 %{at}
  %records{at} = mul i64 %length, {rows}
  call void @decode_{form.name}(ptr %p{at}, i64 %records{at}, ptr %scratch)
  call void @gathered{rows}(ptr %scratch, ptr %x, i64 %n, i64 %K, ptr %y{at}, i64 %ld)"""

    return f"""
define internal void @sweep_{form.name}(ptr %P, i64 %stride, ptr %x, i64 %n, i64 %K, ptr %y, i64 %ld,
    i64 %from, i64 %to, ptr %scratch) noinline {{
entry:
  %length = udiv i64 %K, {form.weights}
  br label %loop
loop:
  %i = phi i64 [%from, %entry], [%next, %body]
  %next = add i64 %i, {ROWS}
  %more = icmp sle i64 %next, %to
  br i1 %more, label %body, label %rest
body:{step(ROWS, "i")}
  br label %loop
rest:
  %r = phi i64 [%i, %loop], [%r1, %single]
  %left = icmp slt i64 %r, %to
  br i1 %left, label %single, label %end
single:{step(1, "r")}
  %r1 = add i64 %r, 1
  br label %rest
end:
  ret void
}}"""


_SWEEP = f"""
define internal void @sweep(ptr %W, ptr %x, i64 %n, i64 %K, ptr %y, i64 %ld, i64 %from, i64 %to) noinline {{
entry:
  br label %loop
loop:
  %i = phi i64 [%from, %entry], [%next, %body]
  %next = add i64 %i, {ROWS}
  %more = icmp sle i64 %next, %to
  br i1 %more, label %body, label %rest
body:
  %wo = mul i64 %i, %K
  %w = getelementptr float, ptr %W, i64 %wo
  %yi = getelementptr float, ptr %y, i64 %i
  call void @columns{ROWS}(ptr %w, ptr %x, i64 %n, i64 %K, ptr %yi, i64 %ld)
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


_PACKED_PIECES = "".join(
    f"""{form.name}:
  call void @sweep_{form.name}(ptr %W, i64 %stride, ptr %x, i64 %n, i64 %K, ptr %y, i64 %out, i64 %from, i64 %to,
    ptr %scratch)
  ret void
"""
    for form in FORMS
)

# The ticket: generation << 40 | pieces << 20 | pieces taken. A piece is owned by who counted it.
_WORK = f"""
define internal void @product_piece(ptr %s, i64 %piece, ptr %scratch) noinline {{
{_load(X, "xw")}{_load(N, "n")}{_load(K, "K")}{_load(SIZE, "size")}  %x = inttoptr i64 %xw to ptr
{_load(SEGMENT + SEGMENT_WORDS + 3, "first1")}{_load(SEGMENT + 2 * SEGMENT_WORDS + 3, "first2")}
  %in1 = icmp uge i64 %piece, %first1
  %in2 = icmp uge i64 %piece, %first2
  %after1 = select i1 %in1, i64 {SEGMENT + SEGMENT_WORDS}, i64 {SEGMENT}
  %at = select i1 %in2, i64 {SEGMENT + 2 * SEGMENT_WORDS}, i64 %after1
  %segment = getelementptr i64, ptr %s, i64 %at
{_load(0, "Ww", "%segment")}{_load(1, "out", "%segment")}{_load(2, "yw", "%segment")}{_load(3, "first", "%segment")}
{_load(4, "form", "%segment")}{_load(5, "stride", "%segment")}
  %W = inttoptr i64 %Ww to ptr
  %y = inttoptr i64 %yw to ptr
  %number = sub i64 %piece, %first
  %from = mul i64 %number, %size
  %end0 = add i64 %from, %size
  %over = icmp sgt i64 %end0, %out
  %to = select i1 %over, i64 %out, i64 %end0
  switch i64 %form, label %plain [{" ".join(f"i64 {f.number}, label %{f.name}" for f in FORMS)}]
plain:
  call void @sweep(ptr %W, ptr %x, i64 %n, i64 %K, ptr %y, i64 %out, i64 %from, i64 %to)
  ret void
{_PACKED_PIECES}}}

define internal void @attend_piece(ptr %s, i64 %piece) noinline {{
{"".join(_load(ATTENTION + at, name) for at, name in enumerate(ATTEND_WORDS))}
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

define internal void @work(ptr %s, ptr %scratch) noinline {{
entry:
{_word(TICKET, "ticket_at")}{_word(DONE, "done_at")}  br label %take
take:
  %ticket = atomicrmw add ptr %ticket_at, i64 1 acq_rel
  %piece = and i64 %ticket, 1048575
  %shifted = lshr i64 %ticket, 20
  %pieces = and i64 %shifted, 1048575
  %ours = icmp ult i64 %piece, %pieces
  br i1 %ours, label %find, label %end
find:
{_load(KIND, "kind")}  %attention = icmp ne i64 %kind, 0
  br i1 %attention, label %attend, label %product
product:
  call void @product_piece(ptr %s, i64 %piece, ptr %scratch)
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

define i64 @shared(ptr %s, i64 %pieces, ptr %scratch) {{
entry:
{_word(TICKET, "ticket_at")}{_word(DONE, "done_at")}{_load(TICKET, "old")}
  store atomic i64 0, ptr %done_at monotonic, align 8
  %age = lshr i64 %old, 40
  %younger = add i64 %age, 1
  %high = shl i64 %younger, 40
  %middle = shl i64 %pieces, 20
  %ticket = or i64 %high, %middle
  store atomic i64 %ticket, ptr %ticket_at release, align 8
  call void @work(ptr %s, ptr %scratch)
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

define i64 @serve(ptr %s, i64 %patience, ptr %scratch) {{
entry:
{_word(TICKET, "ticket_at")}  br label %look
look:
  %turns = phi i64 [0, %entry], [%turns1, %turn], [0, %help]
  %ticket = load atomic i64, ptr %ticket_at acquire, align 8
  %piece = and i64 %ticket, 1048575
  %shifted = lshr i64 %ticket, 20
  %pieces = and i64 %shifted, 1048575
  %open = icmp ult i64 %piece, %pieces
  br i1 %open, label %help, label %turn
help:
  call void @work(ptr %s, ptr %scratch)
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


# names of `_columns` for rows of W that lie in memory, and for those decoded into a scratch
_SWEPT = (("columns", "_ahead", "alwaysinline"), ("gathered", "", "noinline"))


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
        for rows in (1, ROWS)
        for columns, ahead in ((1, True), (2, True), (3, True), (1, False), (2, False), (3, False))
    ]
    packed = [packed_code(), *(_packed_sweep(form) for form in FORMS)]
    columns = [_columns(rows, *kind) for rows in (1, ROWS) for kind in _SWEPT]
    work = _WORK.replace("PAUSE", pause)
    return "\n".join([*head, *blocks, *columns, _SWEEP, LAYER, *packed, work, WHOLE])
