"""The two kinds of compiled functions: `kernel`, which Python calls, and `inner`, which kernels call.

A kernel's arguments are integers, or arrays as their annotations say (`pointers.I32` and the like); it works without
the GIL. Who compiles them is said in `choice`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grammars.kernels.choice import NUMBA

__all__ = ["inner", "kernel"]

inner: Callable[[Callable[..., Any]], Any]
kernel: Callable[[Callable[..., Any]], Any]
if NUMBA:
    from grammars.kernels.through_numba import inner, kernel
else:
    from grammars.kernels.machinecode import register as kernel
    from grammars.kernels.translate import Inner as inner
