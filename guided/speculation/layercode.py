"""What lies between the products of a decoder layer, in LLVM's assembly: norm, rotation, attention, gating.

Over a handful of tokens each of these is a few thousand numbers, and torch spends more time on arriving at them than on
them. They are functions over plain memory here, called like the products of `skinny`, whose `sweep` also gives the
scores of attention (keys are a matrix like any other). All vectors have eight lanes; sizes are multiples of that,
except the number of slots T, whose rest is done number by number.
"""

from __future__ import annotations

import struct

__all__ = ["LAYER"]

_V = "<8 x float>"
_I = "<8 x i32>"


def _splat(value: float) -> str:
    word = struct.unpack("<Q", struct.pack("<d", struct.unpack("<f", struct.pack("<f", value))[0]))[0]
    return "<" + ", ".join([f"float 0x{word:016X}"] * 8) + ">"


# e^x = 2^n e^f, n whole, |f| <= ln 2 / 2; e^f by a polynomial of degree 7 (coefficients of Moshier's Cephes, expf).
_POWERS = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)


def _exp() -> str:
    lines = [f"define internal {_V} @exp8({_V} %given) alwaysinline {{"]
    lines += [
        f"  %low = call {_V} @llvm.maxnum.v8f32({_V} %given, {_V} {_splat(-87.0)})",
        f"  %x = call {_V} @llvm.minnum.v8f32({_V} %low, {_V} {_splat(88.0)})",
        f"  %scaled = fmul {_V} %x, {_splat(1.44269504088896341)}",
        f"  %n = call {_V} @llvm.rint.v8f32({_V} %scaled)",
        f"  %minus = fneg {_V} %n",
        f"  %f1 = call {_V} @llvm.fma.v8f32({_V} %minus, {_V} {_splat(0.693359375)}, {_V} %x)",
        f"  %f = call {_V} @llvm.fma.v8f32({_V} %minus, {_V} {_splat(-2.12194440e-4)}, {_V} %f1)",
    ]
    at = _splat(_POWERS[0])
    for number, power in enumerate(_POWERS[1:]):
        lines.append(f"  %p{number} = call {_V} @llvm.fma.v8f32({_V} {at}, {_V} %f, {_V} {_splat(power)})")
        at = f"%p{number}"
    lines += [
        f"  %ff = fmul {_V} %f, %f",
        f"  %f_1 = fadd {_V} %f, {_splat(1.0)}",
        f"  %e = call {_V} @llvm.fma.v8f32({_V} {at}, {_V} %ff, {_V} %f_1)",
        f"  %whole = fptosi {_V} %n to {_I}",
        f"  %biased = add {_I} %whole, <{', '.join(['i32 127'] * 8)}>",
        f"  %bits = shl {_I} %biased, <{', '.join(['i32 23'] * 8)}>",
        f"  %two_n = bitcast {_I} %bits to {_V}",
        f"  %out = fmul {_V} %e, %two_n",
        f"  ret {_V} %out\n}}",
    ]
    return "\n".join(lines)


_EXP = (
    "\n".join(f"declare {_V} @llvm.{name}.v8f32({_V}, {_V})" for name in ("maxnum", "minnum"))
    + f"\ndeclare {_V} @llvm.rint.v8f32({_V})\ndeclare float @llvm.sqrt.f32(float)\n"
    + f"declare float @llvm.vector.reduce.fmax.v8f32({_V})\n"
    + _exp()
    + f"""
define internal {_V} @all(float %x) alwaysinline {{
  %one = insertelement {_V} poison, float %x, i32 0
  %every = shufflevector {_V} %one, {_V} poison, {_I} zeroinitializer
  ret {_V} %every
}}"""
)

_NORM = f"""
; y[i] = w x[i] / sqrt(mean(x[i]^2) + eps) for the n rows of x [n, d]
define void @norm(ptr %x, ptr %w, ptr %y, i64 %n, i64 %d, float %eps) {{
entry:
  %wide = sitofp i64 %d to float
  br label %rows
rows:
  %i = phi i64 [0, %entry], [%i1, %row_end]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %row, label %end
row:
  %o = mul i64 %i, %d
  br label %squares
squares:
  %k = phi i64 [0, %row], [%k1, %squares]
  %sum = phi {_V} [zeroinitializer, %row], [%sum1, %squares]
  %at = add i64 %o, %k
  %p = getelementptr float, ptr %x, i64 %at
  %v = load {_V}, ptr %p, align 4
  %sum1 = call {_V} @llvm.fma.v8f32({_V} %v, {_V} %v, {_V} %sum)
  %k1 = add i64 %k, 8
  %mk = icmp slt i64 %k1, %d
  br i1 %mk, label %squares, label %scale
scale:
  %total = call reassoc float @llvm.vector.reduce.fadd.v8f32(float 0.0, {_V} %sum1)
  %mean = fdiv float %total, %wide
  %safe = fadd float %mean, %eps
  %root = call float @llvm.sqrt.f32(float %safe)
  %r = fdiv float 1.0, %root
  %rv = call {_V} @all(float %r)
  br label %write
write:
  %c = phi i64 [0, %scale], [%c1, %write]
  %atc = add i64 %o, %c
  %pc = getelementptr float, ptr %x, i64 %atc
  %vc = load {_V}, ptr %pc, align 4
  %pw = getelementptr float, ptr %w, i64 %c
  %vw = load {_V}, ptr %pw, align 4
  %scaled = fmul {_V} %vc, %rv
  %out = fmul {_V} %scaled, %vw
  %py = getelementptr float, ptr %y, i64 %atc
  store {_V} %out, ptr %py, align 4
  %c1 = add i64 %c, 8
  %mc = icmp slt i64 %c1, %d
  br i1 %mc, label %write, label %row_end
row_end:
  %i1 = add i64 %i, 1
  br label %rows
end:
  ret void
}}"""

_ROTATE = f"""
; x [n, heads, 2 half] to y [heads, room, 2 half], the first n rows of each: pairs (x[c], x[half + c]) turned by the
; token's angles, or only laid out
define void @rotate(ptr %x, ptr %y, i64 %n, i64 %heads, i64 %half, ptr %cos, ptr %sin, i64 %turned, i64 %room) {{
entry:
  %d = shl i64 %half, 1
  %plain = icmp eq i64 %turned, 0
  br label %tokens
tokens:
  %t = phi i64 [0, %entry], [%t1, %token_end]
  %mt = icmp slt i64 %t, %n
  br i1 %mt, label %token, label %end
token:
  %angle = mul i64 %t, %d
  %th = mul i64 %t, %heads
  br label %each
each:
  %h = phi i64 [0, %token], [%h1, %head_end]
  %mh = icmp slt i64 %h, %heads
  br i1 %mh, label %head, label %token_end
head:
  %from_row = add i64 %th, %h
  %from = mul i64 %from_row, %d
  %hn = mul i64 %h, %room
  %to_row = add i64 %hn, %t
  %to = mul i64 %to_row, %d
  br label %pairs
pairs:
  %c = phi i64 [0, %head], [%c1, %stored]
  %c2 = add i64 %c, %half
  %f1 = add i64 %from, %c
  %f2 = add i64 %from, %c2
  %p1 = getelementptr float, ptr %x, i64 %f1
  %p2 = getelementptr float, ptr %x, i64 %f2
  %a = load {_V}, ptr %p1, align 4
  %b = load {_V}, ptr %p2, align 4
  %o1 = add i64 %to, %c
  %o2 = add i64 %to, %c2
  %q1 = getelementptr float, ptr %y, i64 %o1
  %q2 = getelementptr float, ptr %y, i64 %o2
  br i1 %plain, label %lay, label %turn
lay:
  store {_V} %a, ptr %q1, align 4
  store {_V} %b, ptr %q2, align 4
  br label %stored
turn:
  %g1 = add i64 %angle, %c
  %g2 = add i64 %angle, %c2
  %pc1 = getelementptr float, ptr %cos, i64 %g1
  %pc2 = getelementptr float, ptr %cos, i64 %g2
  %ps1 = getelementptr float, ptr %sin, i64 %g1
  %ps2 = getelementptr float, ptr %sin, i64 %g2
  %c1v = load {_V}, ptr %pc1, align 4
  %c2v = load {_V}, ptr %pc2, align 4
  %s1v = load {_V}, ptr %ps1, align 4
  %s2v = load {_V}, ptr %ps2, align 4
  %ac = fmul {_V} %a, %c1v
  %minus = fneg {_V} %b
  %r1 = call {_V} @llvm.fma.v8f32({_V} %minus, {_V} %s1v, {_V} %ac)
  %bc = fmul {_V} %b, %c2v
  %r2 = call {_V} @llvm.fma.v8f32({_V} %a, {_V} %s2v, {_V} %bc)
  store {_V} %r1, ptr %q1, align 4
  store {_V} %r2, ptr %q2, align 4
  br label %stored
stored:
  %c1 = add i64 %c, 8
  %mc = icmp slt i64 %c1, %half
  br i1 %mc, label %pairs, label %head_end
head_end:
  %h1 = add i64 %h, 1
  br label %each
token_end:
  %t1 = add i64 %t, 1
  br label %tokens
end:
  ret void
}}"""

_GATE = f"""
; g = u g / (1 + e^-g), n numbers
define void @gate(ptr %g, ptr %u, i64 %n) {{
entry:
  br label %loop
loop:
  %k = phi i64 [0, %entry], [%k1, %loop]
  %pg = getelementptr float, ptr %g, i64 %k
  %pu = getelementptr float, ptr %u, i64 %k
  %vg = load {_V}, ptr %pg, align 4
  %vu = load {_V}, ptr %pu, align 4
  %minus = fneg {_V} %vg
  %e = call {_V} @exp8({_V} %minus)
  %below = fadd {_V} %e, {_splat(1.0)}
  %s = fdiv {_V} %vg, %below
  %out = fmul {_V} %s, %vu
  store {_V} %out, ptr %pg, align 4
  %k1 = add i64 %k, 8
  %more = icmp slt i64 %k1, %n
  br i1 %more, label %loop, label %end
end:
  ret void
}}"""

# Softmax of a row of scores in place (weights, not yet divided); gives one over their sum. T numbers, the rest of the
# row up to a multiple of eight is room that may be written.
_SOFTMAX = f"""
define internal float @softmax(ptr %s, ptr %mask, i64 %T, float %scale) alwaysinline {{
entry:
  %masked = icmp ne ptr %mask, null
  %sv = call {_V} @all(float %scale)
  %whole = and i64 %T, -8
  br label %fill
fill:
  %f = phi i64 [%T, %entry], [%f1, %fill_one]
  %odd = and i64 %f, 7
  %open = icmp ne i64 %odd, 0
  br i1 %open, label %fill_one, label %top
fill_one:
  %pf = getelementptr float, ptr %s, i64 %f
  store float 0xC7EFFFFFE0000000, ptr %pf, align 4
  %f1 = add i64 %f, 1
  br label %fill
top:
  %k = phi i64 [0, %fill], [%k1, %top_end]
  %most = phi {_V} [{_splat(-3.4028234e38)}, %fill], [%most1, %top_end]
  %mk = icmp slt i64 %k, %T
  br i1 %mk, label %top_body, label %found
top_body:
  %p = getelementptr float, ptr %s, i64 %k
  %v = load {_V}, ptr %p, align 4
  %scaled = fmul {_V} %v, %sv
  br i1 %masked, label %with, label %top_store
with:
  %inside = icmp slt i64 %k, %whole
  br i1 %inside, label %with_vector, label %with_rest
with_vector:
  %pm = getelementptr float, ptr %mask, i64 %k
  %vm = load {_V}, ptr %pm, align 4
  %added = fadd {_V} %scaled, %vm
  br label %top_store
with_rest:
  %r = phi i64 [%k, %with], [%r1, %rest_one]
  %rv = phi {_V} [%scaled, %with], [%rv1, %rest_one]
  %left = icmp slt i64 %r, %T
  br i1 %left, label %rest_one, label %top_store
rest_one:
  %lane = sub i64 %r, %k
  %prm = getelementptr float, ptr %mask, i64 %r
  %m1 = load float, ptr %prm, align 4
  %old = extractelement {_V} %rv, i64 %lane
  %new = fadd float %old, %m1
  %rv1 = insertelement {_V} %rv, float %new, i64 %lane
  %r1 = add i64 %r, 1
  br label %with_rest
top_store:
  %x = phi {_V} [%scaled, %top_body], [%added, %with_vector], [%rv, %with_rest]
  store {_V} %x, ptr %p, align 4
  %most1 = call {_V} @llvm.maxnum.v8f32({_V} %most, {_V} %x)
  br label %top_end
top_end:
  %k1 = add i64 %k, 8
  br label %top
found:
  %max = call float @llvm.vector.reduce.fmax.v8f32({_V} %most)
  %maxv = call {_V} @all(float %max)
  br label %exps
exps:
  %e = phi i64 [0, %found], [%e1, %exps]
  %sum = phi {_V} [zeroinitializer, %found], [%sum1, %exps]
  %pe = getelementptr float, ptr %s, i64 %e
  %ve = load {_V}, ptr %pe, align 4
  %less = fsub {_V} %ve, %maxv
  %w = call {_V} @exp8({_V} %less)
  store {_V} %w, ptr %pe, align 4
  %sum1 = fadd {_V} %sum, %w
  %e1 = add i64 %e, 8
  %me = icmp slt i64 %e1, %T
  br i1 %me, label %exps, label %done
done:
  %total = call reassoc float @llvm.vector.reduce.fadd.v8f32(float 0.0, {_V} %sum1)
  %one = fdiv float 1.0, %total
  ret float %one
}}"""


def _mix(rows: int) -> str:
    """Weights [rows, T] times values [T, d], sixteen columns at a time: each out row scaled by its own factor."""
    vectors = 2
    every = [(r, c) for r in range(rows) for c in range(vectors)]
    outs = "".join(f", ptr %o{r}, float %f{r}" for r in range(rows))
    lines = [f"define internal void @mix{rows}(ptr %s0, i64 %lds, ptr %V, i64 %T, i64 %d{outs}) noinline {{\nentry:"]
    for r in range(1, rows):
        lines.append(f"  %s{r} = getelementptr float, ptr %s{r - 1}, i64 %lds")
    lines += [
        "  br label %columns",
        "columns:\n  %c = phi i64 [0, %entry], [%cn, %store]\n  %mc = icmp slt i64 %c, %d",
        "  br i1 %mc, label %begin, label %end",
        "begin:\n  %Vc = getelementptr float, ptr %V, i64 %c\n  br label %loop",
        "loop:\n  %t = phi i64 [0, %begin], [%tn, %loop]",
    ]
    lines += [f"  %a{r}_{c} = phi {_V} [zeroinitializer, %begin], [%b{r}_{c}, %loop]" for r, c in every]
    lines.append("  %vo = mul i64 %t, %d\n  %pv = getelementptr float, ptr %Vc, i64 %vo")
    for c in range(vectors):
        lines.append(f"  %pv{c} = getelementptr float, ptr %pv, i64 {8 * c}\n  %v{c} = load {_V}, ptr %pv{c}, align 4")
    for r in range(rows):
        lines.append(f"  %pw{r} = getelementptr float, ptr %s{r}, i64 %t\n  %w{r} = load float, ptr %pw{r}, align 4")
        lines.append(f"  %wv{r} = call {_V} @all(float %w{r})")
    lines += [f"  %b{r}_{c} = call {_V} @llvm.fma.v8f32({_V} %wv{r}, {_V} %v{c}, {_V} %a{r}_{c})" for r, c in every]
    lines.append("  %tn = add i64 %t, 1\n  %mt = icmp slt i64 %tn, %T\n  br i1 %mt, label %loop, label %store\nstore:")
    for r in range(rows):
        lines.append(f"  %fv{r} = call {_V} @all(float %f{r})\n  %po{r} = getelementptr float, ptr %o{r}, i64 %c")
        for c in range(vectors):
            lines.append(f"  %r{r}_{c} = fmul {_V} %b{r}_{c}, %fv{r}")
            lines.append(f"  %q{r}_{c} = getelementptr float, ptr %po{r}, i64 {8 * c}")
            lines.append(f"  store {_V} %r{r}_{c}, ptr %q{r}_{c}, align 4")
    return "\n".join([*lines, f"  %cn = add i64 %c, {8 * vectors}\n  br label %columns\nend:\n  ret void\n}}"])


def _attend() -> str:
    """A piece of attention: `rows` rows of queries from `first` on against one head of keys and values.

    A row is a query head's token, row = head x n + token; heads that share keys lie behind each other. Scores are a
    product, then three rows at a time are weighed and mixed.
    """
    lines = [
        "define internal void @attend(ptr %q, ptr %K, ptr %V, ptr %mask, ptr %out, ptr %s, i64 %first, i64 %rows,"
        " i64 %n, i64 %T, i64 %d, i64 %ld, float %scale) noinline {",
        "entry:\n  %up = add i64 %T, 7\n  %lds = and i64 %up, -8\n  %none = icmp eq ptr %mask, null",
        "  call void @sweep(ptr %K, ptr %q, i64 %rows, i64 %d, ptr %s, i64 %lds, i64 0, i64 %T)\n  br label %loop",
        "loop:\n  %j = phi i64 [0, %entry], [%jn, %rows3]\n  %left = sub i64 %rows, %j",
        "  switch i64 %left, label %rows3 [i64 0, label %end i64 1, label %rows1 i64 2, label %rows2]",
    ]
    for rows in (1, 2, 3):
        lines.append(f"rows{rows}:")
        call = f"  call void @mix{rows}(ptr %s{rows}_0, i64 %lds, ptr %V, i64 %T, i64 %d"
        for r in range(rows):
            a = f"{rows}_{r}"
            lines += [
                f"  %j{a} = add i64 %j, {r}\n  %so{a} = mul i64 %j{a}, %lds",
                f"  %s{a} = getelementptr float, ptr %s, i64 %so{a}\n  %row{a} = add i64 %first, %j{a}",
                f"  %t{a} = urem i64 %row{a}, %n\n  %h{a} = udiv i64 %row{a}, %n",
                f"  %mo{a} = mul i64 %t{a}, %T\n  %mg{a} = getelementptr float, ptr %mask, i64 %mo{a}",
                f"  %m{a} = select i1 %none, ptr null, ptr %mg{a}\n  %ot{a} = mul i64 %t{a}, %ld",
                f"  %oh{a} = mul i64 %h{a}, %d\n  %o{a} = add i64 %ot{a}, %oh{a}",
                f"  %p{a} = getelementptr float, ptr %out, i64 %o{a}",
                f"  %f{a} = call float @softmax(ptr %s{a}, ptr %m{a}, i64 %T, float %scale)",
            ]
            call += f", ptr %p{a}, float %f{a}"
        lines.append(call + ")")
        lines.append("  %jn = add i64 %j, 3\n  br label %loop" if rows == 3 else "  br label %end")
    return "\n".join([*lines, "end:\n  ret void\n}"])


LAYER = "\n".join([_EXP, _NORM, _ROTATE, _GATE, _SOFTMAX, *(_mix(rows) for rows in (1, 2, 3)), _attend()])
