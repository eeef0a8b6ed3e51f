"""`kernel`: numba's njit with a disk cache that notices edits of any kernel file.

Numba stamps a cached kernel with the time and size of its own source file only. The kernels here call functions of
neighbouring files, so their stamp is taken over the whole folder. This touches one private field of the dispatcher;
where numba has changed it, the kernels are not cached rather than cached wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

_FOLDER = Path(__file__).parent
_STAMP = tuple(sorted((p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in _FOLDER.glob("*.py")))


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on first call for the types given, without the GIL; keep the machine code on disk."""
    dispatcher = njit(function, cache=True, nogil=True)
    file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if not hasattr(file, "_source_stamp"):
        return njit(function, nogil=True)
    file._source_stamp = _STAMP
    return dispatcher
