"""The same operation in torch operations only: any device, differentiable, and the reference for users to read.

On a device the decision to revive a row is taken there, without a synchronisation; the flags come back as a tensor.
"""

from __future__ import annotations

import torch

__all__ = ["apply_rows_plain"]


def apply_rows_plain(
    scores: torch.Tensor, rows: torch.Tensor, untouched: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Masked scores, and which rows were revived.

        allowed[r, t] = bit t % 32 of rows[r, t // 32], or untouched[r]
        out = where(allowed, where(any(allowed & (scores != -inf)) | untouched, scores, 0), -inf)

    Shapes: scores [R, V] of any float type, rows int32 [R, W] and untouched bool [R] on the same device; gives
    ([R, V], bool [R]).
    """
    count, width = scores.shape
    shifts = torch.arange(32, dtype=torch.int32, device=scores.device)
    allowed = ((rows[:, :, None] >> shifts) & 1).to(torch.bool).reshape(count, -1)
    if allowed.shape[1] < width:
        allowed = torch.nn.functional.pad(allowed, (0, width - allowed.shape[1]))
    allowed = allowed[:, :width] | untouched[:, None]
    banned = torch.tensor(float("-inf"), dtype=scores.dtype, device=scores.device)
    dead = ~((scores != banned) & allowed).any(dim=1) & ~untouched
    kept = torch.where(dead[:, None], torch.zeros((), dtype=scores.dtype, device=scores.device), scores)
    return torch.where(allowed, kept, banned), dead & allowed.any(dim=1)
