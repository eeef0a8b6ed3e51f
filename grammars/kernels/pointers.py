"""Memory by address: what kernels use of it, for whichever compiler there is; and the types of their arrays.

`carray(_pointer32(address), (n,))` is an array there, `_i4(address, k)` its element as an int64 without making one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from grammars.kernels.choice import NUMBA

__all__ = [
    "I8", "I32", "I64", "U8", "U16", "_fence", "_i4", "_lowest", "_pointer8", "_pointer32", "_pointer64", "_seize",
    "_u1", "carray",
]  # fmt: skip

# arrays at the Python border, C-contiguous
I8 = npt.NDArray[np.int8]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]

forms: Any
if NUMBA:
    import numba

    from grammars.kernels import numba_pointers as forms

    carray: Any = vars(numba)["carray"]
else:
    from grammars.kernels import translate as forms

    carray = forms.carray
_pointer8: Any = forms._pointer8
_pointer32: Any = forms._pointer32
_pointer64: Any = forms._pointer64
_i4: Any = forms._i4
_fence: Any = forms._fence  # what was written before is there for who reads what is written after
_seize: Any = forms._seize  # 1 to the int64 at an address, and what was there, in one step
_u1: Any = forms._u1
_lowest: Any = forms._lowest  # number of the lowest bit that is set; 64: none
