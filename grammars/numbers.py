"""Languages of JSON numbers under bounds and multipleOf, as lazily built byte DFAs.

Beside `grammars.regex`; the engine reads the same protocol (key, start, row, label, boundary). A number is the union of
up to three forms, each read by a machine of `_digits`: an integer, digits with a point, a mantissa with an exponent. A
state holds one state of each machine that is still in the running.

spelling="canonical" is what `json.dumps` prints, and a little more: at most 21 digits behind the point (a model cannot
write zeros for ever), exponents from e+16 and e-05 on as `repr` has them. A number with a point or an exponent is read
back as a float, so it must satisfy the bounds both exactly and after rounding: 0.09999999999999999999999 is not below
0.1. With integer=True there is neither point nor exponent.

spelling="any" is every RFC 8259 spelling of a value that satisfies the constraints, exactly. Such a language is not
regular when exponents are free; refused although right are only
  - an exponent behind more than 24 digits before the point, or behind 0.000... with more than 24 zeros; with a step
    (integer, multipleOf) also behind more than 24 digits after the point;
  - an exponent where the step, written as k / 10**s, (k without zeros at its end) has a k of more than 100.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import inf, nextafter
from sys import float_info
from typing import Protocol

from grammars._digits import MAX_FRACTION, End, Plain, Scientific, State, places
from grammars.regex import ByteDfa, CharDfa, parse

__all__ = ["NumberDfa", "number_dfa"]

_DEAD_ROW = array("i", [-1]) * 256
_MAX_STEP = 100
_BYTES = b"0123456789.eE+-"

Number = int | float | Decimal


class _Machine(Protocol):
    start: State

    def step(self, state: State, byte: int) -> State | None: ...
    def accepting(self, state: State) -> bool: ...
    def live(self, state: State) -> bool: ...


def _exact(value: Number) -> Fraction:
    return Fraction(Decimal(repr(value))) if isinstance(value, float) else Fraction(value)


class NumberDfa:
    """The protocol of `grammars.regex.ByteDfa` over the machines of each sign."""

    def __init__(self, key: Hashable, positive: list[_Machine], negative: list[_Machine]) -> None:
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
        for byte in _BYTES:
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
) -> NumberDfa | ByteDfa | None:
    """The numbers within the bounds, as a byte DFA; None when there is none.

    Bounds are exact (a float stands for the decimal that `repr` prints). Equal constraints share one automaton.
    """
    if spelling not in ("canonical", "any"):
        raise ValueError(f"spelling {spelling!r} is neither 'canonical' nor 'any'")
    low = _tighter(minimum, exclusive_minimum, 1)
    high = _tighter(maximum, exclusive_maximum, -1)
    step = None if multiple_of is None else _exact(multiple_of)
    if step is not None and step <= 0:
        raise ValueError(f"multiple_of is {multiple_of}, it must be positive")
    return _build(integer, low, high, step, spelling)


def _tighter(closed: Number | None, opened: Number | None, sign: int) -> End:
    """The stronger of a closed and an open bound."""
    candidates = []
    if closed is not None:
        candidates.append((_exact(closed) * sign, False))
    if opened is not None:
        candidates.append((_exact(opened) * sign, True))
    if not candidates:
        return None
    value, is_open = max(candidates)
    return value * sign, is_open


def _largest(past: str) -> str:
    """A pattern for digit strings that are, as fractions, at most `past`."""
    smaller = [past[:i] + f"[0-{int(d) - 1}]" + r"\d*" for i, d in enumerate(past) if d != "0"]
    return "(?:" + "|".join([*smaller, *(past[:i] for i in range(1, len(past) + 1))]) + ")"


def _free_pattern(integer: bool, spelling: str) -> str | None:
    """All numbers; None where a pattern cannot say it."""
    if spelling == "any":
        return None if integer else r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?"
    whole = r"0|-?[1-9]\d*"
    if integer:
        return whole
    digits = rf"\d{{0,{MAX_FRACTION - 1}}}[1-9]"
    top = str(float_info.max)[2:18]
    exponent = r"\+(?:1[6-9]|[2-9]\d|[12]\d\d|30[0-7])|-(?:0[5-9]|[1-9]\d|[12]\d\d|3[01]\d|32[0-3])"
    large = rf"[1-9](?:\.{digits})?e(?:{exponent})"
    largest = rf"1(?:\.(?=\d{{0,{MAX_FRACTION - 1}}}[1-9]e){_largest(top)})?e\+308"
    return rf"{whole}|-?(?:(?:0|[1-9]\d*)\.\d{{1,{MAX_FRACTION}}}|{large}|{largest}|5e-324)"


@lru_cache(maxsize=4096)
def _build(integer: bool, low: End, high: End, step: Fraction | None, spelling: str) -> NumberDfa | ByteDfa | None:
    if low is None and high is None and (step is None or (integer and step.numerator == 1)):
        pattern = _free_pattern(integer, spelling)
        if pattern is not None:
            return ByteDfa(CharDfa(parse(pattern, dialect="python", search=False)), "utf8")
    sides: list[list[_Machine]] = []
    for bottom, top in ((low, high), (_flip(high), _flip(low))):
        if bottom is None or bottom[0] < 0:
            bottom = (Fraction(0), False)
        empty = top is not None and (top[0] < bottom[0] or (top[0] == bottom[0] and (top[1] or bottom[1])))
        sides.append([] if empty else _machines(integer, bottom, top, step, spelling, negative=len(sides) == 1))
    dfa = NumberDfa(("number", integer, low, high, step, spelling), *sides)
    return None if dfa.is_empty() else dfa


def _flip(end: End) -> End:
    return None if end is None else (-end[0], end[1])


def _machines(
    integer: bool, low: tuple[Fraction, bool], high: End, step: Fraction | None, spelling: str, *, negative: bool
) -> list[_Machine]:
    """The machines for the magnitudes in an interval."""
    machines: list[_Machine] = []
    whole_step = None if step is None else Fraction(step.numerator)
    if spelling == "any":
        if integer:
            step = whole_step or Fraction(1)
        plain = Plain(low, high, step, None)
        if not plain.live(plain.start):
            return []
        machines.append(plain)
        if _small(step):
            machines.append(Scientific(low, high, step, canonical=False))
        return machines
    first = low[0].__floor__() + 1 if low[1] else low[0].__ceil__()
    last = None if high is None else high[0].__ceil__() - 1 if high[1] else high[0].__floor__()
    first = max(first, 1) if negative else first
    if last is None or first <= last:
        top = None if last is None else (Fraction(last), False)
        machines.append(Plain((Fraction(first), False), top, whole_step or Fraction(1), 0))
    if not integer:
        machines += _float_machines(low, high, step)
    return machines


def _float_machines(low: tuple[Fraction, bool], high: End, step: Fraction | None) -> list[_Machine]:
    """Canonical numbers that are read back as floats: the bounds hold exactly and for the rounded value."""
    biggest = Fraction(float_info.max)
    if low[0] > biggest:
        return []
    low = max(low, _lowest_safe(*low))
    top = high
    if high is None or high[0] > biggest:
        high = (biggest, False)
    high = min(high, _highest_safe(*high), key=lambda end: (end[0], not end[1]))
    machines: list[_Machine] = []
    grid = 10**MAX_FRACTION
    first = (low[0] * grid).__floor__() + 1 if low[1] else (low[0] * grid).__ceil__()
    last = (high[0] * grid).__ceil__() - 1 if high[1] else (high[0] * grid).__floor__()
    fraction = MAX_FRACTION if step is None else max(places(step), 1)
    if first <= last:
        # Without an upper bound the digits before a point are as free as those of an integer.
        end = None if top is None else (Fraction(last, grid), False)
        machines.append(Plain((Fraction(first, grid), False), end, step, fraction, pointed=True))
    if _small(step):
        smallest = (Fraction(5, 10**324), False)
        machines.append(Scientific(max(low, smallest), high, step, canonical=True))
    return machines


def _small(step: Fraction | None) -> bool:
    """May exponents be combined with this step?"""
    return step is None or int(str(int(step * 10 ** places(step))).rstrip("0")) <= _MAX_STEP


def _as_float(value: Fraction) -> tuple[float, Fraction]:
    """The nearest float, and what a validator compares with: a bound with a point is itself read as a float."""
    near = float(value)
    return near, value if value.denominator == 1 else Fraction(near)


def _lowest_safe(value: Fraction, is_open: bool) -> tuple[Fraction, bool]:
    """The open border above which decimals are rounded to floats above `value` (or to it, if it is not open)."""
    near, value = _as_float(value)
    if Fraction(near) < value or (is_open and Fraction(near) == value):
        near = nextafter(near, inf)
    return (Fraction(near) + Fraction(nextafter(near, -inf))) / 2, True


def _highest_safe(value: Fraction, is_open: bool) -> tuple[Fraction, bool]:
    """The open border below which decimals are rounded to floats below `value` (or to it, if it is not open)."""
    near, value = _as_float(value)
    if Fraction(near) > value or (is_open and Fraction(near) == value):
        near = nextafter(near, -inf)
    above = nextafter(near, inf)
    return (Fraction(near) + Fraction(above)) / 2 if above != inf else Fraction(near) + 1, True
