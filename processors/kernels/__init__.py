"""From packed masks to logits, and the compares that say which sequence a row goes on from.

out[r, t] = scores[r, t] where bit t of mask r is 1, else -inf.

    cpu.py       numba, one pass over memory: for scores in main memory
    plain.py     torch operations only: any device, any float type, and scores that need gradients
    gpu.py       Triton kernel: for scores on a CUDA device (optional import)
    sources.py   which row of the last call a row continues (numba)
    masking.py   `Masker`: picks one of them, owns buffers, moves mask rows to the device

All three give the same bits, NaN payloads included, and all three do the same with a row in which an earlier
processor has banned everything that is allowed: the allowed tokens get score 0 (`revived`), because a row of nothing
but -inf makes greedy search write token 0 and sampling raise.

    array    dtype           shape   meaning
    scores   16/32/64 float  [R, V]  never written to
    rows     int32           [R, W]  bit t % 32 of word t // 32: token t is allowed; W >= 0, bits from V on are ignored,
                                     tokens from 32 * W on are banned
    untouched bool           [R]     true: copy this row, whatever its mask says
    out      as scores       [R, V]
    revived  bool            [R]     nothing allowed had a score above -inf, so the allowed ones were set to 0
"""

from __future__ import annotations

from processors.kernels.cpu import EMPTY, MASKED, REVIVED
from processors.kernels.masking import Masker
from processors.kernels.plain import apply_rows_plain

__all__ = ["EMPTY", "MASKED", "REVIVED", "Masker", "apply_rows_plain"]
