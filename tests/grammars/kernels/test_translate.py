"""Kernels translated to machine code do what Python does with the same text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars.kernels.choice import NUMBA
from grammars.kernels.emit import INT
from grammars.kernels.layout import CFG
from grammars.kernels.pointers import I8, I32, I64, U8, U16, _i4, _lowest, _pointer32, _u1, carray
from grammars.kernels.translate import Inner, Module, Untranslatable

if NUMBA:
    pytest.skip("numba compiles the kernels (GUIDED_KERNELS, or an llvmlite before 0.45)", allow_module_level=True)

from grammars.kernels.machinecode import functions_of

FOUR, NINES = 4, 9999
small = st.integers(-(2**31), 2**31)
amounts = st.integers(0, 40)


def arithmetic(a, b, c):
    x = a + b * 3 - (b >> 2) + (a & 0xFF | c << 5) ^ ~b
    x -= NINES if a > b else -c
    y = a // FOUR + b % 7 + a % -5 + b // -3
    return x * 2 + y - CFG


def choices(a, b, c):
    if a < b <= c and not a == 0:
        return 1
    elif a in (1, 2, 3) or (b > 5 and c > 5):
        return max(a, b, c) + 1000
    big = a > 100
    big = big or b > 100
    count = 5 if big else False
    while count < 20:
        count += 1 + (1 if big else 0)
        if count == 11:
            continue
        if count > c:
            break
    else_value, other = (count, a) if c > 3 else (b, -1)
    return else_value * 7 + other + min(a, b) + (big != (c > 2))


def loops(n, first, step_back):
    total, last = 0, -1
    for i in range(n):
        for j in range(first, i):
            if j == 7:
                break
            total += i * j
        last = i
    for i in range(n, first, -2):
        total ^= i
        if total > 1_000_000_000:
            return total
    return total * 3 + last + step_back


def mixing(h, value):
    x = (np.uint64(h) ^ np.uint64(value)) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(x ^ (x >> np.uint64(29)))


@Inner
def halves(a, b):
    return a >> 1, b >> 1, a > b


@Inner
def notes(out, k, value):
    if value < 0:
        return
    out[k] = value


@Inner
def part(out, first):
    return out[first:]


def arrays(a: I8, b: U8, c: U16, d: I32, e: I64):
    for k in range(e.size):
        a[k] = e[k]
        b[k] += np.int64(e[k]) & 0xFFFF
        c[k] ^= e[k] >> 3
        d[k] = np.int64(np.int32(e[k])) - b[k]
        e[k], d[k] = d[k] + a[k], e[k] & 0xFFFFFF
        x, y, more = halves(e[k], k)
        notes(e, k, x - y + (1 if more else 2))
    rest = part(e, e.size // 2)
    rest[0] = 77
    return rest.size


def through_addresses(ints, size, data):
    array = carray(_pointer32(ints), (size,))
    array[0] = -5
    return _i4(ints, 1) * 1000 + array[0] + _u1(data, 2)


def bits_in_turn(bits, out: I64):
    k = 0
    while bits != 0:
        out[k] = _lowest(bits)
        bits ^= np.int64(1) << out[k]
        k += 1
    return 100 * k + _lowest(bits)


KERNELS = functions_of([arithmetic, choices, loops, mixing, arrays, through_addresses, bits_in_turn])


@given(small, small, amounts)
def test_arithmetic(a: int, b: int, c: int) -> None:
    assert KERNELS["arithmetic"](a, b, c) == arithmetic(a, b, c)


@given(st.integers(-5, 150), st.integers(-5, 150), st.integers(-5, 20))
def test_choices(a: int, b: int, c: int) -> None:
    assert KERNELS["choices"](a, b, c) == choices(a, b, c)


@given(amounts, st.integers(-3, 10), small)
def test_loops(n: int, first: int, extra: int) -> None:
    assert KERNELS["loops"](n, first, extra) == loops(n, first, extra)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_unsigned_arithmetic_wraps_around(h: int, value: int) -> None:
    x = ((h ^ value) % 2**64) * 0x9E3779B97F4A7C15 % 2**64
    x ^= x >> 29
    assert KERNELS["mixing"](h, value) == (x + 2**63) % 2**64 - 2**63


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=9))
def test_arrays_of_all_widths(values: list[int]) -> None:
    """Stores cut off what does not fit, as C does; loads keep the sign that the type has."""
    made: list[tuple[Any, ...]] = []
    n = len(values)
    for run in (KERNELS["arrays"], arrays):
        a, b, c = np.zeros(n, np.int8), np.arange(n, dtype=np.uint8), np.full(n, 65535, np.uint16)
        d, e = np.zeros(n, np.int32), np.array(values, np.int64)
        if run is arrays:
            a, b, c, d, e = (_Cutting(x) for x in (a, b, c, d, e))  # type: ignore[assignment]
        size = run(a, b, c, d, e)
        made.append((size, *(list(map(int, x)) for x in (a, b, c, d, e))))
    assert made[0] == made[1]


class _Cutting:
    """An array whose stores cut off what does not fit, and whose loads are Python's integers."""

    def __init__(self, array: Any) -> None:
        self.array, self.size = array, array.size

    def __getitem__(self, k: Any) -> Any:
        return _Cutting(self.array[k]) if isinstance(k, slice) else int(self.array[k])

    def __setitem__(self, k: int, value: int) -> None:
        self.array[k] = np.array(int(value)).astype(self.array.dtype)

    def __iter__(self) -> Any:
        return iter(self.array)


def test_memory_by_address() -> None:
    ints, data = np.array([1, 2, 3], np.int32), np.array([7, 8, 9], np.uint8)
    assert KERNELS["through_addresses"](ints.ctypes.data, 3, data.ctypes.data) == 2000 - 5 + 9
    assert ints[0] == -5


@given(st.integers(-(2**63), 2**63 - 1))
def test_bits_are_found_from_the_lowest_on(bits: int) -> None:
    out = np.full(64, -1, np.int64)
    found = [k for k in range(64) if bits >> k & 1]
    assert KERNELS["bits_in_turn"](bits, out) == 100 * len(found) + 64
    assert out[: len(found)].tolist() == found


def floats(a):
    return a + 0.5


def unsigned_and_signed(a):
    return np.uint64(a) + a


def itself(a):
    return itself_again(a - 1)


itself_again = Inner(itself)


def comprehends(a):
    return sum([a for _ in range(3)])


@pytest.mark.parametrize("function", [floats, unsigned_and_signed, itself, comprehends])
def test_what_is_not_known_is_an_error(function: Any) -> None:
    with pytest.raises(Untranslatable):
        Module().function(function, (INT,))
