"""`Masker`: the mask rows of one batch, and the buffers that masked scores are written to.

Scores are never masked in place: `generate` keeps the tensor it hands over (`output_logits=True`) or hands the same one
over again (prompt lookup). So the result needs memory of its own. A new tensor at each step would do, but for a
vocabulary of 128k that is 512 KB of fresh pages a row; one buffer for all steps would be wrong, because
`output_scores=True` keeps every result. Hence: one buffer, used again only when nobody else holds it or a view of it,
which the interpreter's and torch's reference counts tell.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from processors.kernels.cpu import EMPTY, MASKED, NEGATIVE_INFINITY, REVIVED, apply_rows, first_empty
from processors.kernels.plain import apply_rows_plain

__all__ = ["Masker"]

_INTEGERS = {2: (torch.int16, np.int16), 4: (torch.int32, np.int32), 8: (torch.int64, np.int64)}
_storage_uses: Callable[[int], int] | None = getattr(torch._C, "_storage_Use_Count", None)

ApplyRows = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]


@cache
def _triton_kernel() -> ApplyRows | None:
    try:
        from processors.kernels.gpu import apply_rows_triton
    except ImportError:
        return None
    return apply_rows_triton


class _Buffer:
    """A tensor for results on the CPU with its integer view, and whether the last result is still in use."""

    def __init__(self, like: torch.Tensor) -> None:
        self.tensor = torch.empty(like.shape, dtype=like.dtype)
        integer, _ = _INTEGERS[like.element_size()]
        self.array: npt.NDArray[Any] = self.tensor.view(integer).numpy()
        self._storage = self.tensor.untyped_storage()._cdata
        self._references, self._uses = self._count()

    def _count(self) -> tuple[int, int]:
        uses = 0 if _storage_uses is None else _storage_uses(self._storage)
        return sys.getrefcount(self.tensor), uses

    def is_free(self) -> bool:
        return _storage_uses is not None and self._count() == (self._references, self._uses)


class Masker:
    """Mask rows for `count` sequences and scores `width` wide, and their application to scores on any device.

    `rows` is the int32 [count, >= ceil(width / 32)] array that callers fill; `row[i]` is a view of the first `words`
    words of row i. Rows that are `untouched` keep their scores. `backend` forces "numba", "plain" or "triton".
    """

    def __init__(
        self, count: int, width: int, words: int, *, untouched: Sequence[bool] = (), backend: str | None = None
    ) -> None:
        pinned = torch.cuda.is_available()
        shape = (count, max((width + 31) // 32, words))
        self.count, self.width = count, width
        self._backend = backend
        self._host_rows = torch.zeros(shape, dtype=torch.int32, pin_memory=pinned)
        self._host_untouched = torch.tensor(list(untouched) or [False] * count, dtype=torch.bool)
        self.rows: npt.NDArray[np.int32] = self._host_rows.numpy()
        self.row = [self.rows[i, :words] for i in range(count)]
        self._untouched: npt.NDArray[np.bool_] = self._host_untouched.numpy()
        self._state = np.zeros(count, dtype=np.uint8)
        self._buffer: _Buffer | None = None
        self._device_rows: torch.Tensor | None = None
        self._device_untouched: torch.Tensor | None = None
        self._arrived: torch.Tensor | None = None  # for the Triton kernel
        self._copied: Any = None  # CUDA event: the last copy out of the pinned rows
        self._copying = False
        self._revived: torch.Tensor | None = None  # what the last call said, still on the device
        self._host_revived = torch.zeros(count, dtype=torch.int8, pin_memory=pinned)  # the Triton kernel writes here
        self._told: npt.NDArray[np.int8] = self._host_revived.numpy()

    def before_writing(self) -> None:
        """Call this before rows are written: the last asynchronous copy to the device must be over."""
        if self._copying:
            if not self._copied.query():
                self._copied.synchronize()
            self._copying = False

    def apply(self, scores: torch.Tensor) -> tuple[torch.Tensor, int]:
        """Masked copy of `scores` [count, width], and the worst state of a row: MASKED, REVIVED or EMPTY.

        On an accelerator REVIVED tells of an earlier call: asking for this one's would wait for the device.
        """
        if not scores.is_cpu or self._backend not in (None, "numba"):
            return self._apply_on_device(scores)
        if scores.requires_grad or scores.dtype not in _BANNED:
            return self._apply_on_device(scores)
        if not scores.is_contiguous():
            scores = scores.contiguous()
        buffer = self._buffer
        if buffer is None or buffer.tensor.dtype != scores.dtype or not buffer.is_free():
            buffer = self._buffer = _Buffer(scores)
        integer, banned = _BANNED[scores.dtype]
        array = scores.view(integer).numpy()
        return buffer.tensor, apply_rows(array, self.rows, self._untouched, banned, buffer.array, self._state)

    def states(self) -> list[int]:
        """The state of each row in the call that `apply` told about."""
        return self._state.tolist()

    def _apply_on_device(self, scores: torch.Tensor) -> tuple[torch.Tensor, int]:
        worst = self._earlier()
        empty = first_empty(self.rows, self._untouched, scores.shape[1])
        if empty >= 0:
            self._state[:] = MASKED
            self._state[empty] = worst = EMPTY
        if scores.stride(-1) != 1:
            scores = scores.contiguous()
        rows, untouched = self._rows_on(scores.device)
        if self._backend == "triton" or (self._backend is None and scores.device.type == "cuda"):
            if not scores.requires_grad and (kernel := _triton_kernel()) is not None:
                return kernel(scores, rows, untouched, self._host_revived, self._arrived), worst
        out, self._revived = apply_rows_plain(scores, rows, untouched.bool())
        return out, worst

    def _earlier(self) -> int:
        """REVIVED, with the rows in `states`, if an earlier call revived some and it has not been told yet."""
        if self._revived is not None:
            self._told |= self._revived.cpu().numpy()
            self._revived = None
        if not self._told.any():
            return MASKED
        self._state[:] = self._told * REVIVED
        self._told[self._state != 0] = 0
        return REVIVED

    def _rows_on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        if device.type == "cpu":
            return self._host_rows, self._host_untouched.view(torch.int8)
        if self._device_rows is None or self._device_untouched is None or self._device_rows.device != device:
            self._device_rows = torch.empty_like(self._host_rows, device=device)
            self._device_untouched = self._host_untouched.to(device).view(torch.int8)
            self._arrived = torch.zeros(self.count, dtype=torch.int32, device=device)
            self._copied = torch.cuda.Event() if device.type == "cuda" else None
        self._device_rows.copy_(self._host_rows, non_blocking=True)
        if self._copied is not None:
            self._copied.record(torch.cuda.current_stream(device))
            self._copying = True
        return self._device_rows, self._device_untouched


def _banned_arrays() -> dict[torch.dtype, tuple[torch.dtype, npt.NDArray[Any]]]:
    found = {}
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        integer, kind = _INTEGERS[dtype.itemsize]
        found[dtype] = (integer, np.array([NEGATIVE_INFINITY[str(dtype)]], dtype=kind))
    return found


_BANNED = _banned_arrays()
