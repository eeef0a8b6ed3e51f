"""A decoder layer of the Llama kind as one function, in LLVM's assembly.

    h = norm(x);  q, k, v = products of h;  q, k turned, k and v written into the cache's own memory
    out = o(attention) + x;  h = norm(out);  out += down(silu(gate(h)) up(h))

It reads its arguments from words of 64 bit: the names of `ARGUMENTS` in their order, then a block for each of `STEPS`,
which says how many pieces the work has and what the shared state is to hold for it (`productcode`).
"""

from __future__ import annotations

from guided.speculation.productwords import KIND, WORDS

__all__ = ["ARGUMENTS", "BLOCK", "STEPS", "WHOLE", "WHOLE_WORDS", "place_of"]

ARGUMENTS = (
    *"x out n d norm1 norm2 eps1 eps2 h cos sin half q_raw q heads k_raw k shared room v_raw v".split(),
    *"gate up gated down".split(),
)
STEPS = ("qkv", "attend", "o", "gate_up", "last")
BLOCK = 1 + WORDS - KIND  # pieces, and the words of the state from KIND on
WHOLE_WORDS = len(ARGUMENTS) + len(STEPS) * BLOCK
_POINTERS = "x out norm1 norm2 h cos sin q_raw q k_raw k v_raw v gate up down".split()


def place_of(name: str) -> int:
    """Where an argument, or the block of a step, stands."""
    return ARGUMENTS.index(name) if name in ARGUMENTS else len(ARGUMENTS) + STEPS.index(name) * BLOCK


def _arguments() -> str:
    lines = []
    for at, name in enumerate(ARGUMENTS):
        lines.append(f"  %{name}_at = getelementptr i64, ptr %p, i64 {at}\n  %{name}_w = load i64, ptr %{name}_at")
        if name in _POINTERS:
            lines.append(f"  %{name}_p = inttoptr i64 %{name}_w to ptr")
        if name.startswith("eps"):
            lines.append(f"  %{name}_i = trunc i64 %{name}_w to i32\n  %{name}_f = bitcast i32 %{name}_i to float")
    return "\n".join(lines)


def _step(name: str) -> str:
    return f"""  %{name}_block = getelementptr i64, ptr %p, i64 {place_of(name)}
  call void @step(ptr %{name}_block, ptr %s, ptr %scratch)"""


WHOLE = f"""
define internal void @step(ptr %block, ptr %s, ptr %scratch) noinline {{
entry:
  %pieces = load i64, ptr %block
  br label %loop
loop:
  %i = phi i64 [1, %entry], [%next, %loop]
  %from = getelementptr i64, ptr %block, i64 %i
  %word = load i64, ptr %from
  %place = add i64 %i, {KIND - 1}
  %to = getelementptr i64, ptr %s, i64 %place
  store i64 %word, ptr %to
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, {BLOCK}
  br i1 %more, label %loop, label %end
end:
  %done = call i64 @shared(ptr %s, i64 %pieces, ptr %scratch)
  ret void
}}

define internal void @add(ptr %y, ptr %x, i64 %n) noinline {{
entry:
  br label %loop
loop:
  %k = phi i64 [0, %entry], [%next, %loop]
  %px = getelementptr float, ptr %x, i64 %k
  %py = getelementptr float, ptr %y, i64 %k
  %a = load <8 x float>, ptr %px, align 4
  %b = load <8 x float>, ptr %py, align 4
  %sum = fadd <8 x float> %a, %b
  store <8 x float> %sum, ptr %py, align 4
  %next = add i64 %k, 8
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %end
end:
  ret void
}}

define void @layer(ptr %p, ptr %s, ptr %scratch) {{
{_arguments()}
  %all = mul i64 %n_w, %d_w
  call void @norm(ptr %x_p, ptr %norm1_p, ptr %h_p, i64 %n_w, i64 %d_w, float %eps1_f)
{_step("qkv")}
  call void @rotate(ptr %q_raw_p, ptr %q_p, i64 %n_w, i64 %heads_w, i64 %half_w, ptr %cos_p, ptr %sin_p, i64 1,
    i64 %n_w)
  call void @rotate(ptr %k_raw_p, ptr %k_p, i64 %n_w, i64 %shared_w, i64 %half_w, ptr %cos_p, ptr %sin_p, i64 1,
    i64 %room_w)
  call void @rotate(ptr %v_raw_p, ptr %v_p, i64 %n_w, i64 %shared_w, i64 %half_w, ptr null, ptr null, i64 0,
    i64 %room_w)
{_step("attend")}
{_step("o")}
  call void @add(ptr %out_p, ptr %x_p, i64 %all)
  call void @norm(ptr %out_p, ptr %norm2_p, ptr %h_p, i64 %n_w, i64 %d_w, float %eps2_f)
{_step("gate_up")}
  call void @gate(ptr %gate_p, ptr %up_p, i64 %gated_w)
{_step("last")}
  call void @add(ptr %out_p, ptr %down_p, i64 %all)
  ret void
}}
"""
