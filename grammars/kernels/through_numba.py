"""Kernels compiled by numba, for machines that `machinecode` does not know, and where GUIDED_KERNELS asks for it.

`kernel`: numba's njit with a disk cache that notices edits of any kernel file.

Numba stamps a cached kernel with the time and size of its own source file only. The kernels here call functions of
neighbouring files, so their stamp is taken over the whole folder. This touches one private field of the dispatcher;
where numba has changed it, the kernels are not cached rather than cached wrongly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numba import njit, types
from numba.core import codegen, config, cpu
from numba.core.compiler_lock import global_compiler_lock

_FOLDER = Path(__file__).parent
_STAMP = tuple(sorted((p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in _FOLDER.glob("*.py")))


def _nothing(*arguments: Any) -> None:
    """Where numba would make machine code."""


def _placeholder(*arguments: Any) -> Callable[..., Any]:
    """Stands for the function that Python could call: of the type that numba checks for, another one each time."""
    return [].append


# What numba does with a finished library, by owner and name: not needed for functions that only kernels call.
_FINISHING: list[tuple[Any, str, Any]] = [
    (codegen.JITCodeLibrary, "_finalize_specific", _nothing),
    (codegen.JITCPUCodegen, "_add_module", _nothing),
    (cpu.CPUContext, "get_executable", _placeholder),
    (config, "OPT", type(vars(config).get("OPT", 0))(0)),
]
_KNOWN = all(name in vars(owner) for owner, name, _ in _FINISHING)


@contextmanager
def _ingredients_only() -> Iterator[None]:
    """Neither optimize nor emit what is compiled here: that is done once, in the kernel that it is linked into.

    Numba does it for every function together with all that it calls, which for calls eight levels deep takes most of
    a first start. It offers no switch, so four of its names are replaced meanwhile, under its compiler lock; where a
    version does not have them, compiling is slower and nothing else.
    """
    if not _KNOWN:
        yield
        return
    with global_compiler_lock:
        saved = [(owner, name, vars(owner)[name]) for owner, name, _ in _FINISHING]
        for owner, name, value in _FINISHING:
            setattr(owner, name, value)
        try:
            yield
        finally:
            for owner, name, value in saved:
                setattr(owner, name, value)


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
    compile_for = dispatcher.compile

    def as_ingredient(signature: Any) -> Any:
        with _ingredients_only():
            return compile_for(signature)

    dispatcher.compile = as_ingredient
    return dispatcher


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on first call for the types given, without the GIL; keep the machine code on disk."""
    dispatcher: Any = njit(function, cache=True, nogil=True)
    file: Any = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if not hasattr(file, "_source_stamp"):
        return njit(function, nogil=True)
    file._source_stamp = _STAMP
    return dispatcher
