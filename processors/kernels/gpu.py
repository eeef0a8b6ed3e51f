"""The Triton kernel: some programs a row, each with a stretch of it; the last one to be done revives it, if need be.

A row of 128k float32 scores is 512 KB, which one program alone cannot keep the device busy with. Whether a row must be
revived is known when all its stretches are: each program adds what it has seen to a word of the row, so the last one
sees it all, and nobody needs a second launch for a case that almost never happens.

Importing this module needs the package `triton`. Without a GPU it runs in Triton's interpreter (TRITON_INTERPRET=1 in
the environment before the import); the tests do that.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

__all__ = ["apply_rows_triton"]

BLOCK, WARPS = 4096, 8
_FIELD = 10  # bits of `arrived` for each of: stretches done, those with a score that lives, those that allow a token
_DONE: tl.constexpr = tl.constexpr((1 << _FIELD) - 1)
_LIVING: tl.constexpr = tl.constexpr(_FIELD)
_ALLOWING: tl.constexpr = tl.constexpr(2 * _FIELD)


@triton.jit  # without annotations: Triton evaluates them, and knows no `Any`
def _mask_rows(  # type: ignore[no-untyped-def]
    scores, rows, untouched, out, revived, arrived, width, words, scores_stride, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    stretch, stretches = tl.program_id(1), tl.num_programs(1)
    source = scores + row * scores_stride
    target = out + row * width
    mask = rows + row * words
    banned = float("-inf")
    copied = tl.load(untouched + row).to(tl.int32)
    token = stretch * BLOCK + tl.arange(0, BLOCK)
    inside = token < width
    bits = tl.load(mask + token // 32, mask=inside & (token // 32 < words), other=0)
    bits = tl.where(copied != 0, -1, bits)
    allowed = inside & (((bits >> (token % 32)) & 1) != 0)
    value = tl.load(source + token, mask=allowed, other=banned)
    tl.store(target + token, value, mask=inside)
    living = tl.max((allowed & (value != banned)).to(tl.int32), axis=0)
    allowing = tl.max(allowed.to(tl.int32), axis=0)
    tl.debug_barrier()  # what all threads of this program wrote lies before the word
    own = 1 + (living << _LIVING) + (allowing << _ALLOWING)
    seen = tl.atomic_add(arrived + row, own) + own
    if (seen & _DONE) == stretches:
        tl.store(arrived + row, 0)  # for the next launch
        dead = (((seen >> _LIVING) & _DONE) == 0) & ((seen >> _ALLOWING) != 0) & (copied == 0)
        if dead:
            tl.store(revived + row, 1)
            for start in range(0, width, BLOCK):
                token = start + tl.arange(0, BLOCK)
                inside = token < width
                bits = tl.load(mask + token // 32, mask=inside & (token // 32 < words), other=0)
                allowed = ((bits >> (token % 32)) & 1) != 0
                tl.store(target + token, tl.zeros([BLOCK], tl.float32), mask=inside & allowed)


def apply_rows_triton(
    scores: torch.Tensor,
    rows: torch.Tensor,
    untouched: torch.Tensor,
    revived: torch.Tensor,
    arrived: torch.Tensor | None = None,
) -> torch.Tensor:
    """As `apply_rows_plain`, in one kernel. `scores` needs unit stride along a row; `rows` is contiguous.

    `untouched` and `revived` are int8 [R]. A row that is revived sets its `revived` to 1; others leave it as it is. It
    may lie in pinned memory of the host, so that nobody has to ask the device. `arrived`: int32 [R], zero, and zero
    again afterwards; calls that share it follow each other in one stream.
    """
    count, width = scores.shape
    out = torch.empty((count, width), dtype=scores.dtype, device=scores.device)
    if count and width:
        words, stride = rows.shape[1], scores.stride(0)
        if arrived is None:
            arrived = torch.zeros(count, dtype=torch.int32, device=scores.device)
        block = BLOCK
        while triton.cdiv(width, block) >> _FIELD:
            block *= 2
        with torch.cuda.device_of(scores):  # Triton launches on the current device, wherever the tensors are
            _mask_rows[(count, triton.cdiv(width, block))](
                scores, rows, untouched, out, revived, arrived, width, words, stride, BLOCK=block, num_warps=WARPS
            )
    return out
