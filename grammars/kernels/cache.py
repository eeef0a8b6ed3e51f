"""`kernel`: numba's njit with a disk cache that notices edits of any kernel file.

Numba stamps a cached kernel with the time and size of its own source file only. The kernels here call functions of
neighbouring files, so their stamp is taken over the whole folder. This touches one private field of the dispatcher;
where numba has changed it, the kernels are not cached rather than cached wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit, types

_FOLDER = Path(__file__).parent
_STAMP = tuple(sorted((p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in _FOLDER.glob("*.py")))


def inner(function: Callable[..., Any]) -> Any:
    """For functions that only kernels call: compiled once, for int64 and the arrays named in `layout`.

    Numba would compile a function anew for every literal argument that it meets (four times the work here), so the
    literals are widened before a call is resolved. Loads of int32 come as int64 (`_i4`) for the same reason.
    """
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    dispatcher: Any = njit(function, **options)
    resolve = dispatcher.get_call_template

    def widened(args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        widen: Callable[[Any], Any] = types.unliteral
        return resolve(tuple(map(widen, args)), {name: widen(value) for name, value in kws.items()})

    dispatcher.get_call_template = widened
    return dispatcher


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on first call for the types given, without the GIL; keep the machine code on disk."""
    dispatcher: Any = njit(function, cache=True, nogil=True)
    file: Any = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if not hasattr(file, "_source_stamp"):
        return njit(function, nogil=True)
    file._source_stamp = _STAMP
    return dispatcher
