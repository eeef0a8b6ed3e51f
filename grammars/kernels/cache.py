"""The two kinds of compiled functions: `kernel`, which Python calls, and `inner`, which kernels call.

A kernel's arguments are integers, or arrays as their annotations say (`pointers.I32` and the like); it works without
the GIL. Who compiles them is said in `choice`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grammars.kernels.choice import NUMBA

__all__ = ["inner", "kernel", "prepare_all"]

inner: Callable[[Callable[..., Any]], Any]
kernel: Callable[[Callable[..., Any]], Any]
if NUMBA:
    from grammars.kernels.through_numba import inner, kernel
else:
    from grammars.kernels.machinecode import register as kernel
    from grammars.kernels.translate import Inner as inner


def prepare_all() -> None:
    """Compile all kernels, or load them, so that no later call has to (where numba compiles: at their first calls)."""
    if not NUMBA:
        from grammars.kernels.machinecode import GROUPS, prepare

        for group in GROUPS:
            prepare(group)
