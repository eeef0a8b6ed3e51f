"""Kernels as Python functions: what stands between CPython's calling convention and a kernel's numbers and addresses.

For each kernel a function in LLVM's assembly that takes Python's arguments, gets integers and the memory of arrays out
of them, releases the GIL, calls, and gives the result as an int. Measured: 130 ns a call where an empty Python function
takes 145, and 40 more for an array.
Only the stable C API is used, so that the machine code fits any version of CPython.
"""

from __future__ import annotations

import ctypes
from typing import Any

from grammars.kernels.emit import Array, Type

__all__ = ["DECLARATIONS", "SYMBOLS", "as_function", "wrapper"]

SYMBOLS = (
    "PyLong_AsLongLong", "PyLong_FromLongLong", "PyErr_Occurred", "PyErr_SetString", "PyEval_SaveThread",
    "PyEval_RestoreThread", "PyObject_GetBuffer", "PyBuffer_Release", "PyErr_BadArgument",
)  # fmt: skip

DECLARATIONS = """
declare i64 @PyLong_AsLongLong(ptr)
declare ptr @PyLong_FromLongLong(i64)
declare ptr @PyErr_Occurred()
declare i32 @PyErr_BadArgument()
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i32 @PyObject_GetBuffer(ptr, ptr, i32)
declare void @PyBuffer_Release(ptr)
"""

_FASTCALL = 0x0080
_BUFFER = 80  # bytes of a Py_buffer: pointer, object, bytes (at 16), bytes of an element (at 24), ...
_WIDTHS = {"int64": 8, "int32": 4, "int8": 1, "uint16": 2, "uint8": 1}


def wrapper(name: str, kernel: str, types: tuple[Type, ...], result: Type | None) -> str:
    """The function `name` for Python that calls `kernel`; arrays must be contiguous and of the right width."""
    lines = [
        f"define ptr @{name}(ptr %self, ptr %args, i64 %count) nounwind {{",
        *(f"%view{k} = alloca [{_BUFFER} x i8], align 8" for k, kind in enumerate(types) if isinstance(kind, Array)),
        f"%enough = icmp eq i64 %count, {len(types)}",
        "br i1 %enough, label %take0, label %bad",
    ]
    held: list[int] = []
    passed: list[str] = []
    for k, kind in enumerate(types):
        lines += [f"take{k}:", f"%at{k} = getelementptr ptr, ptr %args, i64 {k}", f"%object{k} = load ptr, ptr %at{k}"]
        if isinstance(kind, Array):
            width = _WIDTHS[kind.element]
            lines += [
                f"%got{k} = call i32 @PyObject_GetBuffer(ptr %object{k}, ptr %view{k}, i32 0)",
                f"%have{k} = icmp eq i32 %got{k}, 0",
                f"br i1 %have{k}, label %look{k}, label %free{len(held)}",
                f"look{k}:",
                f"%data{k} = load ptr, ptr %view{k}",
                f"%bytes{k}at = getelementptr i8, ptr %view{k}, i64 16",
                f"%bytes{k} = load i64, ptr %bytes{k}at",
                f"%size{k} = sdiv i64 %bytes{k}, {width}",
                f"%width{k}at = getelementptr i8, ptr %view{k}, i64 24",
                f"%width{k} = load i64, ptr %width{k}at",
                f"%fits{k} = icmp eq i64 %width{k}, {width}",
                f"br i1 %fits{k}, label %take{k + 1}, label %unfit{len(held) + 1}",
            ]
            held.append(k)
            passed += [f"ptr %data{k}", f"i64 %size{k}"]
        else:
            lines += [
                f"%number{k} = call i64 @PyLong_AsLongLong(ptr %object{k})",
                f"%odd{k} = icmp eq i64 %number{k}, -1",
                f"br i1 %odd{k}, label %ask{k}, label %take{k + 1}",
                f"ask{k}:",
                f"%error{k} = call ptr @PyErr_Occurred()",
                f"%none{k} = icmp eq ptr %error{k}, null",
                f"br i1 %none{k}, label %take{k + 1}, label %free{len(held)}",
            ]
            passed.append(f"i64 %number{k}")
    kind = "void" if result is None else "i1" if result == "bool" else "i64"
    lines += [f"take{len(types)}:", "%thread = call ptr @PyEval_SaveThread()"]
    lines.append(("%made = " if result else "") + f"call fastcc {kind} {kernel}({', '.join(passed)})")
    lines.append("call void @PyEval_RestoreThread(ptr %thread)")
    lines += [f"call void @PyBuffer_Release(ptr %view{k})" for k in held]
    number = {"void": "0", "i1": "%wide", "i64": "%made"}[kind]
    if kind == "i1":
        lines.append("%wide = zext i1 %made to i64")
    lines += [f"%given = call ptr @PyLong_FromLongLong(i64 {number})", "ret ptr %given"]
    # ways out with an error: free as many arrays as are held
    lines += ["bad:", "%said = call i32 @PyErr_BadArgument()", "br label %free0"]
    for count in range(len(held), 0, -1):
        lines += [f"unfit{count}:", f"%said{count} = call i32 @PyErr_BadArgument()", f"br label %free{count}"]
        lines += [f"free{count}:", f"call void @PyBuffer_Release(ptr %view{held[count - 1]})"]
        lines.append(f"br label %free{count - 1}")
    lines += ["free0:", "ret ptr null", "}"]
    return "\n".join(lines)


class _MethodDef(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("call", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p))


_kept: list[Any] = []  # Python refers to them for good


def as_function(name: str, address: int) -> Any:
    """The Python function whose code is at an address."""
    method = _MethodDef(name.encode(), address, _FASTCALL, None)
    _kept.append(method)
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    return make(ctypes.addressof(method), None, None)
