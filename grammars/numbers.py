"""Languages of JSON numbers under bounds and divisors, as lazily built byte DFAs.

Beside `grammars.regex`; the engine reads the same protocol (key, start, row, label, boundary) and `distances`. A number
is the union of up to three forms, each read by a machine of `_digits` or `_scientific`: an integer, digits with a
point, a mantissa with an exponent. A state holds one state of each machine that is still in the running. The divisors
are what the number must be a multiple of (all of several: of their least common multiple) and what it must not be.

What has a point or an exponent is read as a double, so no such spelling overflows. Integers are as long as they like.

spelling="canonical" is what `json.dumps` prints, and a little more: at most 21 digits behind the point (a model cannot
write zeros for ever), exponents from e+16 and e-05 on as `repr` has them. A number with a point or an exponent must
satisfy the bounds both exactly and after rounding: 0.09999999999999999999999 is not below 0.1. With integer=True there
is neither point nor exponent.

spelling="any" is every RFC 8259 spelling of a value that satisfies the constraints, exactly. Refused although right are
  - more than 308 digits before a point, exponents of more than 3 digits, and with an exponent a value (but for 0) that
    is below 5e-324 or beyond what a double holds;
  - an exponent behind more than 24 digits before the point, or behind 0.000... with more than 24 zeros; with a divisor
    (integer, multipleOf, their denials) also behind more than 24 digits after the point;
  - an exponent where a divisor, written as k / 10**s, (k without zeros at its end) has a k of more than 100;
  - more than 24 digits before a point where the least common multiple of the divisors is above 100;
  - above 0 (exclusively) or without divisors that 0 has, a decimal below 1e-300: a double reads it as 0 or nearly so.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import inf, nextafter
from sys import float_info
from typing import Protocol

import numpy as np
import numpy.typing as npt

from grammars._digits import MAX_FRACTION, MAX_WHOLE, End, Plain, State
from grammars._divisors import Divisors, least_common_multiple, places
from grammars._scientific import Scientific
from grammars.bytegroups import GROUP_OF_BYTE

__all__ = ["NumberDfa", "number_dfa"]

_MAX_STEP = 100
_BYTES = b"0123456789.eE+-"
_CLASSES = np.full(256, len(_BYTES), np.uint8)
_CLASSES[list(_BYTES)] = range(len(_BYTES))
_DIGITS = 1 << GROUP_OF_BYTE[0x30]
_FAR = 1 << 30
_BIGGEST = (Fraction(repr(float_info.max)), False)
_SMALLEST = (Fraction(5, 10**324), False)
_TINY = (Fraction(1, 10**300), False)
_ZERO, _ABOVE_ZERO = (Fraction(0), False), (Fraction(0), True)

Number = int | float | Decimal


class _Machine(Protocol):
    start: State
    farthest: int

    def step(self, state: State, byte: int) -> State | None: ...
    def accepting(self, state: State) -> bool: ...
    def live(self, state: State) -> bool: ...
    def distance(self, state: State) -> int: ...
    def freely(self, state: State) -> int: ...


class _Part:
    """A machine with its live moves and distances remembered: many states of a `NumberDfa` share a state of it."""

    def __init__(self, machine: _Machine) -> None:
        self.machine = machine
        self.start = machine.start if machine.live(machine.start) else None
        self._moves: dict[State, list[State | None]] = {}
        self._distances: dict[State, int] = {}

    def moves(self, state: State) -> list[State | None]:
        """The state after each of `_BYTES`, None where nothing good follows."""
        found = self._moves.get(state)
        if found is None:
            step, live = self.machine.step, self.machine.live
            found = []
            known: dict[State | None, State | None] = {None: None}  # most digits lead to one state
            for byte in _BYTES:
                target = step(state, byte)
                if target not in known:
                    known[target] = target if target is not None and live(target) else None
                found.append(known[target])
            self._moves[state] = found
        return found

    def distance(self, state: State) -> int:
        """Bytes to a near end."""
        found = self._distances.get(state)
        if found is None:
            found = self._distances[state] = self.machine.distance(state)
        return found


def _exact(value: Number) -> Fraction:
    return Fraction(Decimal(repr(value))) if isinstance(value, float) else Fraction(value)


class NumberDfa:
    """The protocol of `grammars.regex.ByteDfa` over the machines of each sign."""

    def __init__(self, key: Hashable, positive: list[_Machine], negative: list[_Machine]) -> None:
        self.key = key
        self._parts = {False: [_Part(m) for m in positive], True: [_Part(m) for m in negative]}
        self._farthest = 1 + max((m.farthest for m in (*positive, *negative)), default=0)
        self._ids: dict[State, int] = {}
        self._states: list[State] = []
        self._targets: list[list[int] | None] = []
        # A state: (negative?, state of each machine or None); the start belongs to no sign yet.
        self.start = self._id((None,))

    def _id(self, state: State) -> int:
        number = self._ids.get(state)
        if number is None:
            number = self._ids[state] = len(self._states)
            self._states.append(state)
            self._targets.append(None)
        return number

    def _begin(self, negative: bool) -> State:
        return (negative, *(part.start for part in self._parts[negative]))

    def label(self, state: int) -> int:
        """0 where the number may end, else -1."""
        parts = self._states[state]
        if parts[0] is None:
            return -1
        pairs = zip(self._parts[parts[0]], parts[1:], strict=True)
        return 0 if any(own is not None and part.machine.accepting(own) for part, own in pairs) else -1

    def boundary(self, state: int) -> bool:
        """Numbers have no characters of more than one byte."""
        return True

    def distances(self, state: int) -> tuple[int, int, int]:
        """Bytes to a near end (some next byte lowers them by one), to an end of another label (there is none), and
        a bound on the first for all states. Worked out from the state alone: bounded numbers have many of them."""
        parts = self._states[state]
        if parts[0] is None:
            near = min(self._near(self._begin(False)), 1 + self._near(self._begin(True)))
        else:
            near = self._near(parts)
        return near, _FAR, self._farthest

    def _near(self, parts: State) -> int:
        pairs = zip(self._parts[parts[0]], parts[1:], strict=True)
        return min((part.distance(own) for part, own in pairs if own is not None), default=_FAR)

    def row(self, state: int) -> list[int]:
        """The 256 targets of a state, -1 dead."""
        targets = self._following(state)
        return [targets[group] for group in _CLASSES.tolist()]

    def classes(self, state: int) -> tuple[npt.NDArray[np.uint8], list[int]]:
        """A class of each byte, and a target of each class."""
        return _CLASSES, self._following(state)

    def following(self, state: int) -> Collection[int]:
        """The targets of a state."""
        return {target for target in self._following(state) if target >= 0}

    def steady(self, state: int) -> tuple[int, int, int, int, int, int]:
        """See `ByteDfa.steady`. Where any digits may follow for ever, tokens of digits need no stepping: of a large
        divisor each would lead to a state of its own. A number may end on the way, and go on there as well."""
        parts = self._states[state]
        if parts[0] is None:
            return 0, 0, 0, 0, 0, 0
        pairs = zip(self._parts[parts[0]], parts[1:], strict=True)
        most = max((part.machine.freely(own) for part, own in pairs if own is not None), default=0)
        return 0, _DIGITS if most else 0, most, self._farthest, 0, 0

    def _following(self, state: int) -> list[int]:
        return self._targets[state] or self._fill(state)

    def _fill(self, state: int) -> list[int]:
        row = [-1] * (len(_BYTES) + 1)
        parts = self._states[state]
        if parts[0] is None:
            negative = self._begin(True)
            if any(part is not None for part in negative[1:]):
                row[_BYTES.index(b"-")] = self._id(negative)
            parts = self._begin(False)
        sign, dead = parts[0], (None,) * len(_BYTES)
        rows = [
            dead if own is None else part.moves(own) for part, own in zip(self._parts[sign], parts[1:], strict=True)
        ]
        for place, targets in enumerate(zip(*rows, strict=True)):
            if row[place] < 0 and any(target is not None for target in targets):
                row[place] = self._id((sign, *targets))
        self._targets[state] = row
        return row

    def is_empty(self) -> bool:
        """No number at all?"""
        return max(self._following(self.start)) < 0


def number_dfa(
    *,
    integer: bool,
    minimum: Number | None = None,
    maximum: Number | None = None,
    exclusive_minimum: Number | None = None,
    exclusive_maximum: Number | None = None,
    multiple_of: Number | Iterable[Number] | None = None,
    not_multiple_of: Iterable[Number] = (),
    plain_integer: bool = False,
    pointed: bool = False,
    spelling: str = "canonical",
) -> NumberDfa | None:
    """The numbers within the bounds, as a byte DFA; None when there is none.

    Multiples of each of `multiple_of` and of none of `not_multiple_of`; with `plain_integer`, integers written without
    point and exponent; with `pointed`, numbers with one of them. Bounds and divisors are exact (a float stands for the
    decimal that `repr` prints). Equal constraints share one automaton.
    """
    if spelling not in ("canonical", "any"):
        raise ValueError(f"spelling {spelling!r} is neither 'canonical' nor 'any'")
    low = _tighter(minimum, exclusive_minimum, 1)
    high = _tighter(maximum, exclusive_maximum, -1)
    wanted = () if multiple_of is None else multiple_of if isinstance(multiple_of, Iterable) else (multiple_of,)
    steps = [_divisor("multiple_of", value) for value in wanted]
    step = least_common_multiple([*steps, Fraction(1)] if integer or plain_integer else steps)
    banned: set[Fraction] = set()
    for value in not_multiple_of:
        common = least_common_multiple(filter(None, (step, _divisor("not_multiple_of", value))))
        assert common is not None
        banned.add(common)
    if step in banned:
        return None
    kept = tuple(sorted(b for b in banned if not any(b != other and (b / other).denominator == 1 for other in banned)))
    form = "pointed" if pointed else "plain" if plain_integer else "integer" if integer else "number"
    return _build(form, low, high, Divisors(step, kept), spelling)


def _divisor(name: str, value: Number) -> Fraction:
    exact = _exact(value)
    if exact <= 0:
        raise ValueError(f"{name} is {value}, it must be positive")
    return exact


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


@lru_cache(maxsize=4096)
def _build(form: str, low: End, high: End, divisors: Divisors, spelling: str) -> NumberDfa | None:
    sides: list[list[_Machine]] = []
    for bottom, top in ((low, high), (_flip(high), _flip(low))):
        if bottom is None or bottom[0] < 0:
            bottom = _ZERO
        if bottom == _ZERO and divisors.banned:
            bottom = _ABOVE_ZERO  # everything divides 0
        if top is not None and _crossed(bottom, top):
            sides.append([])
        elif spelling == "any":
            sides.append(_any_machines(form, bottom, top, divisors))
        else:
            sides.append(_canonical_machines(form, bottom, top, divisors, negative=len(sides) == 1))
    dfa = NumberDfa(("number", form, low, high, divisors, spelling), *sides)
    if not dfa.is_empty():
        return dfa
    if spelling == "canonical" and form in ("number", "pointed"):
        # An interval between two doubles: decimals lie in it, though whoever reads them as doubles will not see it.
        return _build(form, low, high, divisors, "any")
    return None


def _flip(end: End) -> End:
    return None if end is None else (-end[0], end[1])


def _crossed(low: tuple[Fraction, bool], high: tuple[Fraction, bool]) -> bool:
    return high[0] < low[0] or (high[0] == low[0] and (high[1] or low[1]))


def _any_machines(form: str, low: tuple[Fraction, bool], high: End, divisors: Divisors) -> list[_Machine]:
    """Every spelling of the magnitudes in an interval."""
    zero = low == _ZERO
    if form == "plain":
        return [Plain(low, high, divisors, 0)]
    if low == _ABOVE_ZERO and divisors.step is not None:
        low = (Fraction(1, 10 ** places(divisors.step)), False)
    elif low == _ABOVE_ZERO and (high is None or high[0] > _TINY[0]):
        low = _TINY
    machines: list[_Machine] = [Plain(low, high, divisors, None, pointed=form == "pointed")]
    least, most = max(low if low[0] else _SMALLEST, _SMALLEST), min(high or _BIGGEST, _BIGGEST, key=_upper)
    if _small(divisors) and (zero or not _crossed(least, most)):
        machines.append(Scientific(least, most, divisors, canonical=False, zero=zero))
    return machines


def _upper(end: tuple[Fraction, bool]) -> tuple[Fraction, bool]:
    return end[0], not end[1]


def _canonical_machines(
    form: str, low: tuple[Fraction, bool], high: End, divisors: Divisors, *, negative: bool
) -> list[_Machine]:
    """What json.dumps prints of the magnitudes in an interval."""
    machines: list[_Machine] = []
    first = low[0].__floor__() + 1 if low[1] else low[0].__ceil__()
    last = None if high is None else high[0].__ceil__() - 1 if high[1] else high[0].__floor__()
    first = max(first, 1) if negative else first
    whole = divisors if form != "number" else _of_integers(divisors)
    if form != "pointed" and whole is not None and (last is None or first <= last):
        top = None if last is None else (Fraction(last), False)
        machines.append(Plain((Fraction(first), False), top, whole, 0))
    if form in ("number", "pointed"):
        machines += _float_machines(low, high, divisors)
    return machines


def _of_integers(divisors: Divisors) -> Divisors | None:
    """The same among integers; None where none is left."""
    if not divisors.all:
        return divisors
    step = least_common_multiple([divisors.step or Fraction(1), Fraction(1)])
    banned = tuple(least_common_multiple((value, Fraction(1))) or value for value in divisors.banned)
    return (
        None if step in banned or any((step / b).denominator == 1 for b in banned if step) else Divisors(step, banned)
    )


def _float_machines(low: tuple[Fraction, bool], high: End, divisors: Divisors) -> list[_Machine]:
    """Canonical numbers that are read back as floats: the bounds hold exactly and for the rounded value."""
    if low[0] > _BIGGEST[0]:
        return []
    low = max(low, _lowest_safe(*low))
    if high is None or high[0] >= _BIGGEST[0]:
        high = _BIGGEST
    else:
        high = min(high, _highest_safe(*high), key=_upper)
    machines: list[_Machine] = []
    fraction = MAX_FRACTION if divisors.step is None else max(places(divisors.step), 1)
    grid = 10**fraction  # what is written lies on it, so the bounds may
    plain = min(high, (Fraction(10**MAX_WHOLE), True), key=_upper)
    first = (low[0] * grid).__floor__() + 1 if low[1] else (low[0] * grid).__ceil__()
    last = (plain[0] * grid).__ceil__() - 1 if plain[1] else (plain[0] * grid).__floor__()
    if first <= last:
        machines.append(
            Plain((Fraction(first, grid), False), (Fraction(last, grid), False), divisors, fraction, pointed=True)
        )
    low = max(low, _SMALLEST)
    if _small(divisors) and not _crossed(low, high):
        machines.append(Scientific(low, high, divisors, canonical=True))
    return machines


def _small(divisors: Divisors) -> bool:
    """May exponents be combined with these divisors?"""
    return all(int(str(int(value * 10 ** places(value))).rstrip("0")) <= _MAX_STEP for value in divisors.all)


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
