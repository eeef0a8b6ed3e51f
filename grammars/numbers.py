"""Languages of JSON numbers under bounds and multipleOf, as lazily built byte DFAs.

Beside `grammars.regex`; the engine reads the same protocol (key, start, row, label, boundary). A number is read digit
by digit, and each state keeps just what the verdict needs: how the digits so far compare with each bound, and their
remainder. Whether a state can still reach a number is arithmetic on integers, not a search: with t digits to come
the values in reach form an interval, and it must contain a multiple.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import gcd
from typing import Any

__all__ = ["NumberDfa", "number_dfa"]

_DEAD_ROW = array("i", [-1]) * 256
_MAX_FRACTION = 21

Number = int | float | Decimal
State = tuple[Any, ...]


def _exact(value: Number) -> Fraction:
    return Fraction(Decimal(repr(value))) if isinstance(value, float) else Fraction(value)


def _places(value: Fraction) -> int:
    """Digits after the point in the decimal expansion of `value` (which is finite)."""
    places = 0
    while value.denominator != 1:
        value *= 10
        places += 1
    return places


class _Bound:
    """One end of an interval of magnitudes, as digits: `whole` of them before the point, `resolution` after it."""

    def __init__(self, value: Fraction, is_open: bool, resolution: int) -> None:
        self.is_open = is_open
        self.text = str(int(value * 10**resolution)).rjust(resolution + 1, "0")
        self.whole = len(self.text) - resolution

    def compare(self, position: int, digit: int) -> int:
        """-1, 0, 1: the digit against that of the bound."""
        own = ord(self.text[position]) - 0x30
        return (digit > own) - (digit < own)

    def rest(self, position: int) -> int:
        return int(self.text[position:] or "0")


class _Plain:
    """Digits, and perhaps a point and digits: magnitudes in an interval that are multiples of a step.

    With F = `resolution` digits after the point (enough for the bounds and the step), a magnitude is an integer V of
    F + (digits before the point) digits and a flag `tail`: is there anything but zeros behind those digits?
    State: (phase, count, low, high, rest, tail); phase 0 before the point, 1 after a leading zero, 2 behind the point;
    count digits of the phase; low, high in -1, 0, 1 compare the digits so far with those of the bounds; rest is the
    remainder, as far as it matters with so many digits to come.
    """

    start: State = (0, 0, 0, 0, 0, False)

    def __init__(
        self,
        low: Fraction,
        low_open: bool,
        high: Fraction | None,
        high_open: bool,
        step: Fraction | None,
        fraction: int | None,
    ) -> None:
        """`fraction`: most digits after the point (0: no point; None: any number)."""
        self.resolution = size = max(_places(part) for part in (low, high or Fraction(0), step or Fraction(0)))
        self.low = _Bound(low, low_open, size)
        self.high = None if high is None else _Bound(high, high_open, size)
        self.stepped = step is not None
        self.modulus = 1 if step is None else int(step * 10**size)
        self.reduced = [self.modulus // gcd(self.modulus, 10**left) for left in range(size + 1)]
        self.fraction = fraction if not fraction else max(fraction, size)
        # Above every bound, one digit more changes nothing.
        self.plateau = self.low.whole + 1
        self.may_tail = step is None and (self.fraction is None or self.fraction > size)

    def step(self, state: State, byte: int) -> State | None:
        """The next state; None where the syntax or an upper bound forbids the byte."""
        phase, count, low, high, rest, tail = state
        if byte == 0x2E:
            if phase == 2 or count == 0 or self.fraction == 0:
                return None
            return 2, 0, -1 if count < self.low.whole else low, self._shorter(count, high), rest, False
        digit = byte - 0x30
        if not 0 <= digit <= 9 or phase == 1:
            return None
        if phase == 0:
            return self._before_point(count, low, high, rest, digit)
        if count == self.fraction:
            return None
        if count < self.resolution:
            low = low or self.low.compare(self.low.whole + count, digit)
            high = high or (self.high.compare(self.high.whole + count, digit) if self.high else -1)
            return 2, count + 1, low, high, (rest * 10 + digit) % self.reduced[self.resolution - count - 1], False
        if digit and self.stepped:
            return None
        return 2, count + 1 if self.fraction else max(count, 1), low, high, rest, tail or digit > 0

    def _before_point(self, count: int, low: int, high: int, rest: int, digit: int) -> State | None:
        low = 1 if count >= self.low.whole else low or self.low.compare(count, digit)
        if self.high is not None:
            if count >= self.high.whole:
                return None
            high = high or self.high.compare(count, digit)
        rest = (rest * 10 + digit) % self.reduced[self.resolution]
        phase = 1 if count == 0 and digit == 0 else 0
        count = min(count + 1, self.plateau) if self.high is None else count + 1
        return phase, count, low, high, rest, False

    def _shorter(self, count: int, high: int) -> int:
        return -1 if self.high is None or count < self.high.whole else high

    def accepting(self, state: State) -> bool:
        """Is the text read so far a number of the language?"""
        phase, count, low, high, rest, tail = state
        if count == 0:
            return False
        if phase < 2:
            return self._reachable(count, 0, low, high, rest, zeros=True)
        left = max(self.resolution - count, 0)
        return self._within(left, low, high, rest, tail, zeros=True)

    def live(self, state: State) -> bool:
        """Can some number of the language still be reached?"""
        phase, count, low, high, rest, tail = state
        if phase == 2:
            left = max(self.resolution - count, 0)
            if self.fraction is not None and count >= self.fraction:
                return self._within(left, low, high, rest, tail, zeros=True)
            return self._within(left, low, high, rest, tail, zeros=False)
        if phase == 1:
            return self._reachable(count, 0, low, high, rest, zeros=False)
        if self.high is not None:
            most = self.high.whole - count
        else:
            most = max(self.low.whole - count, 0) + len(str(self.modulus)) + 1
        return any(
            self._reachable(count, more, low, high, rest, zeros=False) for more in range(most + 1) if count + more
        )

    def _reachable(self, count: int, more: int, low: int, high: int, rest: int, *, zeros: bool) -> bool:
        """With `more` digits before the point to come (and zeros only behind it if `zeros`), can the end be good?"""
        total = count + more
        if total < self.low.whole:
            return False
        if total > self.low.whole:
            low = 1
        if self.high is not None:
            if total > self.high.whole:
                return False
            if total < self.high.whole:
                high = -1
        if self.fraction == 0:
            zeros = zeros or self.resolution > 0
        return self._within(self.resolution + more, low, high, rest, False, zeros=zeros and not more)

    def _within(self, left: int, low: int, high: int, rest: int, tail: bool, *, zeros: bool) -> bool:
        """Are there `left` more digits of V (all zero if `zeros`) that satisfy the bounds and the step?"""
        if low < 0 or high > 0:
            return False
        most = 0 if zeros else 10**left - 1
        first = self.low.rest(len(self.low.text) - left) if low == 0 else 0
        last = most
        if self.high is not None and high == 0:
            last = self.high.rest(len(self.high.text) - left)
        low_tight, high_tight = low == 0, self.high is not None and high == 0
        if (tail or (self.may_tail and not zeros)) and first <= min(last - high_tight, most):
            return True
        if tail:
            return False
        first += low_tight and self.low.is_open
        last = min(last - (high_tight and self.high is not None and self.high.is_open), most)
        return first + (-(rest * 10**left + first)) % self.modulus <= last


class NumberDfa:
    """The protocol of `grammars.regex.ByteDfa` over the machines of each sign."""

    def __init__(self, key: Hashable, positive: list[Any], negative: list[Any]) -> None:
        self.key = key
        self._machines = {False: positive, True: negative}
        self._ids: dict[State, int] = {}
        self._states: list[State] = []
        self._rows: list[array[int] | None] = []
        # A state: (negative?, state of each machine or None); the start belongs to no sign yet.
        self.start = self._id((None,))

    def _id(self, state: State) -> int:
        number = self._ids.get(state)
        if number is None:
            number = self._ids[state] = len(self._states)
            self._states.append(state)
            self._rows.append(None)
        return number

    def _begin(self, negative: bool) -> State:
        machines = self._machines[negative]
        return (negative, *(m.start if m.live(m.start) else None for m in machines))

    def label(self, state: int) -> int:
        """0 where the number may end, else -1."""
        parts = self._states[state]
        if parts[0] is None:
            return -1
        machines = self._machines[parts[0]]
        good = any(part is not None and m.accepting(part) for m, part in zip(machines, parts[1:], strict=True))
        return 0 if good else -1

    def boundary(self, state: int) -> bool:
        """Numbers have no characters of more than one byte."""
        return True

    def row(self, state: int) -> array[int]:
        """The 256 targets of a state, -1 dead."""
        return self._rows[state] or self._fill(state)

    def _fill(self, state: int) -> array[int]:
        row = _DEAD_ROW[:]
        parts = self._states[state]
        if parts[0] is None:
            negative = self._begin(True)
            if any(part is not None for part in negative[1:]):
                row[0x2D] = self._id(negative)
            parts = self._begin(False)
        machines = self._machines[parts[0]]
        for byte in b"0123456789.eE+-":
            if row[byte] >= 0:
                continue
            targets = []
            for machine, part in zip(machines, parts[1:], strict=True):
                target = None if part is None else machine.step(part, byte)
                targets.append(target if target is not None and machine.live(target) else None)
            if any(target is not None for target in targets):
                row[byte] = self._id((parts[0], *targets))
        self._rows[state] = row
        return row

    def is_empty(self) -> bool:
        """No number at all?"""
        return max(self.row(self.start)) < 0


def number_dfa(
    *,
    integer: bool,
    minimum: Number | None = None,
    maximum: Number | None = None,
    exclusive_minimum: Number | None = None,
    exclusive_maximum: Number | None = None,
    multiple_of: Number | None = None,
    spelling: str = "canonical",
) -> NumberDfa | None:
    """The numbers within the bounds, as a byte DFA; None when there is none."""
    if spelling not in ("canonical", "any"):
        raise ValueError(f"spelling {spelling!r} is neither 'canonical' nor 'any'")
    low = _tighter(minimum, exclusive_minimum, 1)
    high = _tighter(maximum, exclusive_maximum, -1)
    step = None if multiple_of is None else _exact(multiple_of)
    return _build(integer, low, high, step, spelling)


def _tighter(closed: Number | None, opened: Number | None, sign: int) -> tuple[Fraction, bool] | None:
    """The stronger of a closed and an open bound: (value, is open)."""
    candidates = []
    if closed is not None:
        candidates.append((_exact(closed) * sign, False))
    if opened is not None:
        candidates.append((_exact(opened) * sign, True))
    if not candidates:
        return None
    value, is_open = max(candidates)
    return value * sign, is_open


End = tuple[Fraction, bool] | None


@lru_cache(maxsize=4096)
def _build(integer: bool, low: End, high: End, step: Fraction | None, spelling: str) -> NumberDfa | None:
    zero = (Fraction(0), False)
    positive: list[Any] = []
    negative: list[Any] = []
    if high is None or high >= zero:
        start = low if low is not None and low[0] >= 0 else zero
        positive.append(_plain(integer, start, high, step, spelling))
    flipped_low = None if high is None else (-high[0], high[1])
    flipped_high = None if low is None else (-low[0], low[1])
    if flipped_high is None or flipped_high[0] >= 0:
        start = flipped_low if flipped_low is not None and flipped_low[0] >= 0 else zero
        if integer and spelling == "canonical":
            start = max(start, (Fraction(1), False))
        negative.append(_plain(integer, start, flipped_high, step, spelling))
    dfa = NumberDfa(("number", integer, low, high, step, spelling), positive, negative)
    return None if dfa.is_empty() else dfa


def _plain(integer: bool, low: tuple[Fraction, bool], high: End, step: Fraction | None, spelling: str) -> _Plain:
    bottom, bottom_open = low
    top, top_open = high if high is not None else (None, False)
    fraction: int | None = _MAX_FRACTION if spelling == "canonical" else None
    if integer:
        fraction = 0 if spelling == "canonical" else None
        step = Fraction(1) if step is None else Fraction(step.numerator)
        bottom, bottom_open = (bottom.__ceil__() + (bottom_open and bottom.denominator == 1)) * Fraction(1), False
        if top is not None:
            top, top_open = (top.__floor__() - (top_open and top.denominator == 1)) * Fraction(1), False
    elif step is not None and spelling == "canonical":
        fraction = max(_places(step), 1)
    if top is not None and bottom > top:
        top, bottom_open = bottom, True
    return _Plain(bottom, bottom_open, top, top_open, step, fraction)
