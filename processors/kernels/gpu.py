"""The Triton kernel: one program per row, two passes over the row, the second only to revive it.

A row of 128k float32 scores is 512 KB; one program streams it in blocks. The alternative, many programs per row with
a flag that a second launch reads, costs a second launch at every step for a case that almost never happens.

Importing this module needs the package `triton`. Without a GPU it runs in Triton's interpreter (TRITON_INTERPRET=1 in
the environment before the import); the tests do that.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

__all__ = ["apply_rows_triton"]

BLOCK, WARPS = 16_384, 32  # one program has a row to itself, so it must keep many loads in flight


@triton.jit  # without annotations: Triton evaluates them, and knows no `Any`
def _mask_rows(scores, rows, untouched, out, revived, width, words, scores_stride, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    source = scores + row * scores_stride
    target = out + row * width
    mask = rows + row * words
    banned = float("-inf")
    copied = tl.load(untouched + row).to(tl.int32)
    alive = tl.zeros([BLOCK], tl.int1)
    any_allowed = tl.zeros([BLOCK], tl.int1)
    for start in range(0, width, BLOCK):
        token = start + tl.arange(0, BLOCK)
        inside = token < width
        bits = tl.load(mask + token // 32, mask=inside & (token // 32 < words), other=0)
        bits = tl.where(copied != 0, -1, bits)
        allowed = ((bits >> (token % 32)) & 1) != 0
        value = tl.load(source + token, mask=inside & allowed, other=banned)
        tl.store(target + token, value, mask=inside)
        alive |= allowed & inside & (value != banned)
        any_allowed |= allowed & inside
    living, choice = tl.max(alive.to(tl.int32), axis=0), tl.max(any_allowed.to(tl.int32), axis=0)
    dead = (living == 0) & (choice != 0) & (copied == 0)
    if dead:
        tl.store(revived + row, 1)
        for start in range(0, width, BLOCK):
            token = start + tl.arange(0, BLOCK)
            inside = token < width
            bits = tl.load(mask + token // 32, mask=inside & (token // 32 < words), other=0)
            allowed = ((bits >> (token % 32)) & 1) != 0
            tl.store(target + token, tl.zeros([BLOCK], tl.float32), mask=inside & allowed)


def apply_rows_triton(
    scores: torch.Tensor, rows: torch.Tensor, untouched: torch.Tensor, revived: torch.Tensor
) -> torch.Tensor:
    """As `apply_rows_plain`, in one kernel. `scores` needs unit stride along a row; `rows` is contiguous.

    `untouched` and `revived` are int8 [R]. A row that is revived sets its `revived` to 1; others leave it as it is. It
    may lie in pinned memory of the host, so that nobody has to ask the device.
    """
    count, width = scores.shape
    out = torch.empty((count, width), dtype=scores.dtype, device=scores.device)
    if count and width:
        words, stride = rows.shape[1], scores.stride(0)
        with torch.cuda.device_of(scores):  # Triton launches on the current device, wherever the tensors are
            _mask_rows[(count,)](
                scores, rows, untouched, out, revived, width, words, stride, BLOCK=BLOCK, num_warps=WARPS
            )
    return out
