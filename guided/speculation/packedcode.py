"""Weights in fewer bits, decoded to the float32 numbers they stand for: LLVM's assembly.

A packed weight is a run of records, row after row; a record stands for eight or thirty-two numbers that lie together:

    form       bits  record                                                  number
    Q4           6   float32 d, m; 8 x uint16, four bits for each of 4 x 8   d q + m, rounded once
    Q8           9   float32 d; 32 x int8                                    d q, rounded once
    BFLOAT16    16   8 x 16 bits                                             those bits, then 16 zeros
    HALF        16   8 x float16                                             the same number

Number 8 j + l of a Q4 record is in bits 4 j .. 4 j + 3 of word l, so that a vector of words gives four vectors of
numbers. Decoding costs three to four operations for eight numbers, less than reading them from memory would take.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BFLOAT16", "FORMS", "HALF", "PLAIN", "Q4", "Q8", "Form", "packed_code", "vectors_of"]

_V = "<8 x float>"
_I = "<8 x i32>"
_H = "<8 x i16>"


@dataclass(frozen=True, slots=True)
class Form:
    number: int
    name: str
    weights: int  # of a record
    size: int  # of a record, in bytes


PLAIN = 0  # float32, as it lies
Q4 = Form(1, "q4", 32, 24)
Q8 = Form(2, "q8", 32, 36)
BFLOAT16 = Form(3, "bfloat16", 8, 16)
HALF = Form(4, "half", 8, 16)
FORMS = (Q4, Q8, BFLOAT16, HALF)


def _splat(value: int) -> str:
    return "<" + ", ".join([f"i32 {value}"] * 8) + ">"


def vectors_of(form: Form, at: str, name: str) -> tuple[list[str], list[str]]:
    """Lines that decode the record at pointer `at`, and the names of its vectors. `name` makes the lines' own."""
    vectors = [f"%{name}v{j}" for j in range(form.weights // 8)]
    lines = []

    def every(given: str, to: str) -> None:
        lines.append(f"  %{name}{to}1 = insertelement {_V} poison, float %{name}{given}, i32 0")
        lines.append(f"  %{name}{to} = shufflevector {_V} %{name}{to}1, {_V} poison, {_I} zeroinitializer")

    if form is Q4:
        lines += [
            f"  %{name}pm = getelementptr i8, ptr {at}, i64 4\n  %{name}pq = getelementptr i8, ptr {at}, i64 8",
            f"  %{name}d0 = load float, ptr {at}, align 4\n  %{name}m0 = load float, ptr %{name}pm, align 4",
        ]
        every("d0", "d")
        every("m0", "m")
        lines.append(f"  %{name}h = load {_H}, ptr %{name}pq, align 4\n  %{name}w = zext {_H} %{name}h to {_I}")
        for j, vector in enumerate(vectors):
            lines += [
                f"  %{name}s{j} = lshr {_I} %{name}w, {_splat(4 * j)}",
                f"  %{name}n{j} = and {_I} %{name}s{j}, {_splat(15)}",
                f"  %{name}f{j} = sitofp {_I} %{name}n{j} to {_V}",
                f"  {vector} = call {_V} @llvm.fma.v8f32({_V} %{name}f{j}, {_V} %{name}d, {_V} %{name}m)",
            ]
    elif form is Q8:
        lines.append(f"  %{name}d0 = load float, ptr {at}, align 4")
        every("d0", "d")
        for j, vector in enumerate(vectors):
            lines += [
                f"  %{name}p{j} = getelementptr i8, ptr {at}, i64 {4 + 8 * j}",
                f"  %{name}b{j} = load <8 x i8>, ptr %{name}p{j}, align 4",
                f"  %{name}n{j} = sext <8 x i8> %{name}b{j} to {_I}",
                f"  %{name}f{j} = sitofp {_I} %{name}n{j} to {_V}",
                f"  {vector} = fmul {_V} %{name}f{j}, %{name}d",
            ]
    elif form is BFLOAT16:
        lines += [
            f"  %{name}h = load {_H}, ptr {at}, align 2\n  %{name}w = zext {_H} %{name}h to {_I}",
            f"  %{name}s = shl {_I} %{name}w, {_splat(16)}",
            f"  {vectors[0]} = bitcast {_I} %{name}s to {_V}",
        ]
    else:
        lines += [
            f"  %{name}h = load <8 x half>, ptr {at}, align 2",
            f"  {vectors[0]} = fpext <8 x half> %{name}h to {_V}",
        ]
    return lines, vectors


def _decode(form: Form) -> str:
    """`records` records at P as numbers at out."""
    lines, vectors = vectors_of(form, "%p", "a")
    stores = [
        f"  %o{j} = getelementptr float, ptr %to, i64 {8 * j}\n  store {_V} {vector}, ptr %o{j}, align 4"
        for j, vector in enumerate(vectors)
    ]
    return "\n".join([
        f"define internal void @decode_{form.name}(ptr %P, i64 %records, ptr %out) noinline {{\nentry:",
        "  br label %loop\nloop:\n  %i = phi i64 [0, %entry], [%next, %loop]",
        f"  %at = mul i64 %i, {form.size}\n  %p = getelementptr i8, ptr %P, i64 %at",
        f"  %so = mul i64 %i, {form.weights}\n  %to = getelementptr float, ptr %out, i64 %so",
        *lines, *stores,
        "  %next = add i64 %i, 1\n  %more = icmp slt i64 %next, %records",
        "  br i1 %more, label %loop, label %end\nend:\n  ret void\n}",
    ])  # fmt: skip


_EACH = "".join(
    f"""{form.name}:
  call void @decode_{form.name}(ptr %P, i64 %count, ptr %out)
  ret void
"""
    for form in FORMS
)
_ANY = f"""
; numbers of a packed weight: `count` records in the form at P
define void @decode(ptr %P, i64 %form, i64 %count, ptr %out) {{
  switch i64 %form, label %end [{" ".join(f"i64 {f.number}, label %{f.name}" for f in FORMS)}]
{_EACH}end:
  ret void
}}

; how many of `rows` rows of `length` records differ from those of W in one record, number (row + turn) mod length;
; scratch: room for a record
define i64 @differ(ptr %P, i64 %form, i64 %size, i64 %weights, ptr %W, i64 %rows, i64 %length, i64 %turn,
    ptr %scratch) {{
entry:
  br label %rows_
rows_:
  %row = phi i64 [0, %entry], [%row1, %row_end]
  %found = phi i64 [0, %entry], [%found1, %row_end]
  %more = icmp slt i64 %row, %rows
  br i1 %more, label %body, label %end
body:
  %sum = add i64 %row, %turn
  %place = urem i64 %sum, %length
  %before = mul i64 %row, %length
  %record = add i64 %before, %place
  %po = mul i64 %record, %size
  %p = getelementptr i8, ptr %P, i64 %po
  %wo = mul i64 %record, %weights
  %w = getelementptr float, ptr %W, i64 %wo
  call void @decode(ptr %p, i64 %form, i64 1, ptr %scratch)
  br label %loop
loop:
  %k = phi i64 [0, %body], [%k1, %loop]
  %odd = phi <8 x i1> [zeroinitializer, %body], [%odd1, %loop]
  %pa = getelementptr float, ptr %scratch, i64 %k
  %pb = getelementptr float, ptr %w, i64 %k
  %a = load {_V}, ptr %pa, align 4
  %b = load {_V}, ptr %pb, align 4
  %unlike = fcmp une {_V} %a, %b
  %odd1 = or <8 x i1> %odd, %unlike
  %k1 = add i64 %k, 8
  %mk = icmp slt i64 %k1, %weights
  br i1 %mk, label %loop, label %row_end
row_end:
  %bits = bitcast <8 x i1> %odd1 to i8
  %any = icmp ne i8 %bits, 0
  %one = zext i1 %any to i64
  %found1 = add i64 %found, %one
  %row1 = add i64 %row, 1
  br label %rows_
end:
  ret i64 %found
}}
"""


def packed_code() -> str:
    return "\n".join([*(_decode(form) for form in FORMS), _ANY])
