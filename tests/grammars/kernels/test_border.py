"""Kernels as Python functions: arguments are looked at, arrays are given back."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from grammars.kernels.choice import NUMBA
from grammars.kernels.pointers import I32, U8

if NUMBA:
    pytest.skip("numba compiles the kernels (GUIDED_KERNELS, or an llvmlite before 0.45)", allow_module_level=True)

from grammars.kernels.machinecode import functions_of


def total(a: I32, factor, b: U8):
    found = 0
    for k in range(a.size):
        found += a[k] * factor
    return found + b.size


def truth(a):
    return a > 3


def nothing(a: I32):
    a[0] = 9


def long(n, a: I32):
    for k in range(n):
        a[k & 1] = a[(k + 1) & 1] * 3 + k
    return a[0]


KERNELS = functions_of([total, truth, nothing, long])
INTS, BYTES = np.arange(5, dtype=np.int32), np.zeros(3, np.uint8)


def test_results() -> None:
    assert KERNELS["total"](INTS, 2, BYTES) == 23
    assert KERNELS["total"](INTS, np.int64(-1), BYTES) == -7
    assert KERNELS["total"](np.zeros((0,), np.int32), -1, BYTES) == 3
    assert (KERNELS["truth"](4), KERNELS["truth"](3)) == (1, 0)
    assert KERNELS["nothing"](INTS.copy()) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (INTS, 1),
        (INTS, 1, BYTES, 0),
        (INTS.astype(np.int64), 1, BYTES),
        (INTS, 1, INTS),
        (INTS[::2], 1, BYTES),
        ([1, 2], 1, BYTES),
        (INTS, "1", BYTES),
        (INTS, 1.5, BYTES),
        (INTS, 2**64, BYTES),
        (INTS, 1, None),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit(arguments: Any) -> None:
    held = sys.getrefcount(INTS), sys.getrefcount(BYTES)
    for _ in range(3):
        with pytest.raises((TypeError, ValueError, OverflowError, BufferError)):
            KERNELS["total"](*arguments)
    assert (sys.getrefcount(INTS), sys.getrefcount(BYTES)) == held


def test_arrays_are_given_back() -> None:
    array = np.arange(5, dtype=np.int32)
    held = sys.getrefcount(array)
    for _ in range(10):
        KERNELS["total"](array, 2, BYTES)
    assert sys.getrefcount(array) == held


def test_python_goes_on_beside_a_kernel() -> None:
    """The GIL is released: this thread counts while the other one is in a kernel."""
    worker = threading.Thread(target=KERNELS["long"], args=(100_000_000, np.ones(2, np.int32)))
    worker.start()
    counted = 0
    while worker.is_alive() and counted < 50:
        time.sleep(0.0005)
        counted += 1
    worker.join()
    assert counted > 5
