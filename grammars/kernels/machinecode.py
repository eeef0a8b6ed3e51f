"""Machine code of the kernels: made by LLVM at the first need on a machine, kept on disk, loaded ever after.

Kernels are compiled in groups, each one module, so that what they share is compiled once: `core` is what every mask
needs, `tier1` what a vocabulary and its terminals need, `rest` what only limits of tokens ask for. A group's file is
named after a hash of all kernel files, the version of LLVM and the processor with its features; where any of these
changes, another file is made. Files appear by renaming, so a reader sees a whole one or none; processes that start
together wait for the first one's file where the system has file locks, and else each make it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from grammars.kernels.border import DECLARATIONS, SYMBOLS, as_function, wrapper
from grammars.kernels.emit import ARRAYS, INT
from grammars.kernels.translate import Module, definition

__all__ = ["GROUPS", "Kernel", "addresses_of", "assembly", "functions_of", "group_of", "loaded", "prepare", "register"]

# which modules' kernels are compiled together
GROUPS = {
    "core": ("grammars.kernels.moves", "grammars.kernels.masks"),
    "tier1": (
        "grammars.kernels.tier1",
        "grammars.kernels.tries",
        "grammars.kernels.lexed",
        "grammars.kernels.subsets",
        "grammars.kernels.words",
    ),
    "rest": (
        "grammars.kernels.costs",
        "grammars.kernels.distance",
        "grammars.kernels.lrcosts",
        "grammars.kernels.values",
    ),
}
_FOLDER = Path(__file__).parent
CHECKED = os.environ.get("GUIDED_KERNELS") == "checked"  # an index out of range ends the process
PATIENCE = 60.0  # seconds to wait for another process, which may have been stopped in the middle
HEAD = 16  # bytes of a file's checksum
_KEPT = 6  # files of a group in a folder: of other versions, or of other machines that share it

_registered: dict[str, Kernel] = {}
_functions: dict[str, dict[str, Any]] = {}
_engines: list[Any] = []  # own the code
_lock = threading.RLock()


class Kernel:
    """Stands for a kernel until its group is compiled or loaded, which its first call does."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self._made: Any = None

    def __call__(self, *arguments: Any) -> Any:
        if self._made is None:
            group = group_of(self.function.__module__)
            self._made = (prepare(group) if group in GROUPS else functions_of([self.function]))[self.__name__]
        return self._made(*arguments)


def group_of(module: str) -> str:
    """The group that a module's kernels belong to; a module of its own otherwise."""
    return next((name for name, modules in GROUPS.items() if module in modules), module)


def register(function: Callable[..., Any]) -> Any:
    """The kernel of a function: ready where its group's machine code is at hand, else to be made at its first call."""
    group = group_of(function.__module__)
    if group in GROUPS:
        made = loaded(group)
        if made is not None and function.__name__ in made:
            return made[function.__name__]
    kernel = Kernel(function)
    if group in GROUPS:
        _registered[f"{function.__module__}.{function.__name__}"] = kernel
    return kernel


def prepare(group: str) -> dict[str, Any]:
    """The Python functions of a group of kernels, loaded from disk, or compiled now (seconds) and kept there."""
    with _lock:
        made = loaded(group)
        if made is None:
            for module in GROUPS[group]:
                importlib.import_module(module)
            with _turn(group):
                made = loaded(group)  # another process may have been faster
                if made is None:
                    made = _make(group)
        return made


def loaded(group: str) -> dict[str, Any] | None:
    """The Python functions of a group whose machine code is at hand; None: it has to be compiled."""
    with _lock:
        if group not in _functions:
            for place in _places():
                with contextlib.suppress(OSError):
                    _functions[group] = _linked((place / _file_name(group)).read_bytes())
                    break
        return _functions.get(group)


def functions_of(kernels: list[Callable[..., Any]]) -> dict[str, Any]:
    """Python functions of kernels that belong to no group, compiled now and kept nowhere."""
    return _linked(_sealed(kernels, _compiled(assembly(kernels, CHECKED))))


def _make(group: str) -> dict[str, Any]:
    kernels = [k.function for k in _registered.values() if group_of(k.function.__module__) == group]
    code = _sealed(kernels, _compiled(assembly(kernels, CHECKED)))
    for place in _places():
        with contextlib.suppress(OSError):
            _keep(place, group, code)
            break
    made = _functions[group] = _linked(code)
    return made


# ------------------------------------------------------------------------------------------------------ LLVM


def _machine() -> Any:
    """LLVM's machine for this processor."""
    import llvmlite.binding as llvm

    _start()
    triple = llvm.get_process_triple()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=2,
        reloc="static" if triple.startswith(("x86", "i386", "i686")) else "default",
        codemodel="jitdefault",
        jit=True,
    )


@cache
def _start() -> None:
    import llvmlite.binding as llvm

    with contextlib.suppress(RuntimeError):
        llvm.initialize()  # needed by older versions, an error in newer ones
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for name in SYMBOLS:
        address = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
        llvm.add_symbol(name, address)


def assembly(kernels: Iterable[Callable[..., Any]], checked: bool = False) -> str:
    """Kernels and their Python functions (`py_` and the name) in LLVM's assembly."""
    module = Module(checked)
    wrappers = []
    for function in kernels:
        arguments = definition(function).args.args
        types = tuple(ARRAYS.get(getattr(a.annotation, "id", ""), INT) for a in arguments)
        name, result = module.function(function, types)
        wrappers.append(wrapper(f"py_{function.__name__}", name, types, result))
    return "\n".join([DECLARATIONS, module.text(), *wrappers])


def _compiled(text: str) -> bytes:
    """Machine code of a module in LLVM's assembly."""
    import llvmlite.binding as llvm

    machine = _machine()
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(2)
    options.loop_vectorization = True
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return bytes(machine.emit_object(module))


def addresses_of(text: str) -> Callable[[str], int]:
    """Compile a module in LLVM's assembly, kept nowhere; what it gives tells the address of a function."""
    return _engine(_compiled(text)).get_function_address


def _engine(code: bytes) -> Any:
    """Load machine code for as long as the process lives."""
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return engine


def _linked(code: bytes) -> dict[str, Any]:
    """Load what stands in a file: its Python functions, by name."""
    head, code = code[:HEAD], code[HEAD:]
    if blake2b(code, digest_size=HEAD).digest() != head:
        raise OSError("the file is not whole")
    names, _, code = code.partition(b"\n")
    engine = _engine(code)
    return {name: as_function(name, engine.get_function_address(f"py_{name}")) for name in names.decode().split()}


def _sealed(kernels: list[Callable[..., Any]], code: bytes) -> bytes:
    """What stands in a file: a checksum, the kernels' names in a line, the code."""
    code = " ".join(k.__name__ for k in kernels).encode() + b"\n" + code
    return blake2b(code, digest_size=HEAD).digest() + code


# ------------------------------------------------------------------------------------------------------ files


@cache
def _version() -> str:
    """Of the kernels, the compiler and the processor, for a file's name."""
    import llvmlite
    import llvmlite.binding as llvm

    told = repr((llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(),
                 llvmlite.__version__, llvm.llvm_version_info, CHECKED))  # fmt: skip
    found = blake2b(told.encode(), digest_size=12)
    for path in sorted(_FOLDER.glob("*.py")):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


def _file_name(group: str) -> str:
    return f"{group}-{_version()}.kernels"


@cache
def _places() -> tuple[Path, ...]:
    """Folders for machine code: NUMBA_CACHE_DIR if that is set, else beside the kernels, else the user's cache."""
    asked = os.environ.get("GUIDED_CACHE_DIR") or os.environ.get("NUMBA_CACHE_DIR")
    if asked:
        return (Path(asked) / "guided",)
    if sys.platform == "win32":
        own = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return _FOLDER / "__pycache__", own / "guided" / "kernels"


def _keep(place: Path, group: str, code: bytes) -> None:
    """Write a group's file, whole or not at all; the oldest ones go."""
    place.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=place, prefix=f"{group}-", suffix=".tmp")
    try:
        with open(handle, "wb") as file:
            file.write(code)
        os.replace(temporary, place / _file_name(group))
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    old = sorted(place.glob(f"{group}-*.kernels"), key=lambda path: path.stat().st_mtime)
    for path in old[:-_KEPT]:
        with contextlib.suppress(OSError):
            path.unlink()


@contextlib.contextmanager
def _turn(group: str) -> Iterator[None]:
    """One process at a time compiles a group, where there are file locks (which end with their process)."""
    lock = None
    try:
        import fcntl
    except ImportError:
        yield
        return
    for place in _places():
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            lock = open(place / f"{group}.lock", "w")
            latest = time.monotonic() + PATIENCE
            while time.monotonic() < latest:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(0.05)
            break
    try:
        yield
    finally:
        if lock is not None:
            lock.close()
