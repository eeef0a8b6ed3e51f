"""Who compiles the kernels: `machinecode`, or numba where that is asked for or where the former cannot.

GUIDED_KERNELS=numba asks for it, as do numba's own NUMBA_BOUNDSCHECK and NUMBA_DISABLE_JIT.
"""

from __future__ import annotations

import os
import struct
import sys

import llvmlite

__all__ = ["NUMBA"]


def _asked() -> bool:
    asked = os.environ.get("GUIDED_KERNELS", "")
    if asked not in ("", "numba", "checked"):
        raise ValueError(f"GUIDED_KERNELS={asked}: leave it empty, or say numba (or, for tests, checked).")
    return asked == "numba" or any(os.environ.get(n, "0") != "0" for n in ("NUMBA_BOUNDSCHECK", "NUMBA_DISABLE_JIT"))


def _old() -> bool:
    """Whether llvmlite is from before pointers lost their types."""
    return tuple(int(part) for part in llvmlite.__version__.split(".")[:2]) < (0, 45)


# the border (see `border`) is written for CPython on machines with 64 bits
NUMBA = _asked() or sys.implementation.name != "cpython" or struct.calcsize("P") != 8 or _old()
