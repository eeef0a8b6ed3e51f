"""Exact arithmetic on what numbers must be multiples of, and what they must not be. For `numbers` and the front-end."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import gcd, lcm, log2
from typing import NamedTuple

__all__ = ["Divisors", "WholeDivisors", "least_common_multiple", "places"]


class Divisors(NamedTuple):
    """Multiples of `step` (None: all numbers) that are multiples of none of `banned`.

    Each of `banned` is a proper multiple of the step, if there is one.
    """

    step: Fraction | None = None
    banned: tuple[Fraction, ...] = ()

    @property
    def all(self) -> tuple[Fraction, ...]:
        """The step and what is banned."""
        return self.banned if self.step is None else (self.step, *self.banned)

    def hold(self, value: Fraction) -> bool:
        """Is `value` one of these numbers?"""
        if self.step is not None and (value / self.step).denominator != 1:
            return False
        return all((value / banned).denominator != 1 for banned in self.banned)

    def some(self, first: int, last: int | None, *, start: int = 0, stride: int = 1, unit: int = 1) -> bool:
        """Is one of the numbers (start + stride y) / unit, for y from `first` to `last`, a good one? All divisors
        are whole in that unit.

        Those divided by the step are a progression of y; a banned divisor takes a residue class out of it. Classes
        that leave a gap at all leave one in any 2**k consecutive terms (Crittenden and Vanden Eynden, 1970).
        """
        return self.in_units(unit).some(first, last, start, stride)

    def in_units(self, unit: int) -> WholeDivisors:
        """The same for multiples of 1 / unit, in which all divisors are whole."""
        step = None if self.step is None else int(self.step * unit)
        return WholeDivisors(step, tuple(int(value * unit) for value in self.banned))


class WholeDivisors(NamedTuple):
    """As `Divisors`, of integers."""

    step: int | None
    banned: tuple[int, ...]

    def some(self, first: int, last: int | None, start: int, stride: int) -> bool:
        """See `Divisors.some`."""
        period, banned = 1, self.banned
        if self.step is not None:
            modulus = self.step
            shared = gcd(stride, modulus)
            if start % shared:
                return False
            period = modulus // shared
            root = -(start // shared) * pow(stride // shared, -1, period) if period > 1 else 0
            first += (root - first) % period
        for _ in range(1 << len(banned)):
            if last is not None and first > last:
                return False
            value = start + stride * first
            if all(value % divisor for divisor in banned):
                return True
            first += period
        return False


def places(value: Fraction) -> int:
    """Digits after the point in the decimal expansion of `value` (which is finite)."""
    odd = value.denominator
    twos = (odd & -odd).bit_length() - 1
    odd >>= twos
    fives = round((odd.bit_length() - 1) / log2(5)) if odd > 1 else 0
    while 5**fives < odd:
        fives += 1
    return max(twos, fives)


def least_common_multiple(values: Iterable[Fraction]) -> Fraction | None:
    """The least positive number that all of `values` divide; None of none."""
    result: Fraction | None = None
    for value in values:
        if result is None:
            result = value
        else:
            top = lcm(result.numerator * value.denominator, value.numerator * result.denominator)
            result = Fraction(top, result.denominator * value.denominator)
    return result
