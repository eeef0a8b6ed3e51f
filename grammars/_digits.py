"""A machine that reads the digits of a number, with or without a point: a part of which `numbers` makes its automata.

A machine has `start`, `step(state, byte)` (None: dead), `accepting(state)`, `live(state)`, `distance(state)` (digits to
the nearest number), `farthest` (a bound on that) and `freely(state)` (so many digits may follow, whichever they are).
It reads a magnitude (the sign has been read) and keeps just what the verdict needs: how the digits so far compare with
each bound, and their remainder. In `Plain` nothing is searched: with t digits to come the values in reach form an
interval, which must hold a number with the right remainder.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import gcd, lcm
from typing import Any

from grammars._divisors import Divisors, places

__all__ = ["MAX_FRACTION", "MAX_PLACES", "MAX_WHOLE", "End", "Plain", "State"]

State = tuple[Any, ...]
End = tuple[Fraction, bool] | None
"""A bound and whether it is open; None: no bound."""

_ZERO = Fraction(0)

MAX_FRACTION = 21
"""Canonical numbers have at most so many digits behind the point: json.dumps prints 17 digits that count."""
MAX_PLACES = 24
"""Before an exponent (spelling "any"): most digits before the point, and most zeros behind it before the first digit
that counts (with a divisor: most digits behind it)."""
MAX_WHOLE = 308
"""Most digits before a point: what has a point is read as a double, and these are all finite."""
LARGE_MODULUS = 100
"""With more remainders than this before the point, at most `MAX_PLACES` digits stand before a point."""


class _Digits:
    """One end of an interval of magnitudes, as digits: `whole` of them before the point, `resolution` after it."""

    def __init__(self, value: Fraction, is_open: bool, resolution: int) -> None:
        self.is_open = is_open
        self.text = str(int(value * 10**resolution)).rjust(resolution + 1, "0")
        self.whole = len(self.text) - resolution

    def compare(self, position: int, digit: int) -> int:
        """-1, 0, 1: the digit against that of the bound."""
        own = ord(self.text[position]) - 0x30
        return (digit > own) - (digit < own)

    def rest(self, left: int) -> int:
        """The last `left` digits."""
        return int(self.text[len(self.text) - left :] or "0")


class Plain:
    """Digits, and perhaps a point and digits: magnitudes in an interval with the right divisors.

    With F = `resolution` digits after the point (enough for the bounds and the divisors), a magnitude is an integer V
    of F + (digits before the point) digits and a flag `tail`: is there anything but zeros behind those digits?
    State: (phase, count, low, high, rest, tail); phase 0 before the point, 1 after a leading zero, 2 behind the point;
    count digits of the phase; low, high in -1, 0, 1 compare the digits so far with those of the bounds; rest is the
    remainder, as far as it matters with so many digits to come.
    """

    start: State = (0, 0, 0, 0, 0, False)

    def __init__(
        self,
        low: tuple[Fraction, bool],
        high: End,
        divisors: Divisors,
        fraction: int | None,
        *,
        pointed: bool = False,
    ) -> None:
        """`fraction`: most digits after the point (0: no point; None: any number); `pointed`: it must be there."""
        self.pointed = pointed
        self.divisors = divisors
        self.resolution = size = max(places(x) for x in (low[0], high[0] if high else _ZERO, *divisors.all))
        self.unit = 10**size
        self.whole = divisors.in_units(self.unit)
        self.low = _Digits(*low, size)
        self.high = None if high is None else _Digits(*high, size)
        self.modulus = lcm(*(int(value * self.unit) for value in divisors.all))
        self.reduced = [self.modulus // gcd(self.modulus, 10**left) for left in range(size + 1)]
        self.fraction = fraction if not fraction else max(fraction, size)
        self.may_tail = divisors.step is None and (self.fraction is None or self.fraction > size)
        # Digits behind the point that can make a difference: one more than the resolution stands for a tail.
        self.depth = 0 if fraction == 0 else size + 1 if self.fraction is None or self.fraction > size else size
        # Digits before the point that reach every remainder.
        self.spread = len(str(self.reduced[size])) + 1
        self.most_whole = MAX_WHOLE
        large = self.reduced[size] > LARGE_MODULUS
        # Is there a number among those of enough digits, where no bound is left? One with a point if it must be there.
        grid = 1 if pointed else self.unit
        self.some = self.whole.some(1, None, 0, grid)
        # A point never leads to a number sooner: there may be none, or only zeros behind it.
        zeros = divisors.step is not None and divisors.step.denominator == 1 and not pointed
        self.whole_only = fraction == 0 or zeros
        self._near: dict[int, int] = {}  # digits to the nearest number by remainder, where no bound is left
        self.endless = large and self.some and high is None and not pointed
        if large:  # each remainder at each place would be a state
            self.most_whole = min(MAX_WHOLE, max(MAX_PLACES, self.low.whole + self.spread))
        # Above every bound, one digit more changes nothing, but for the point that must come in time.
        self.plateau = max(self.low.whole, 0 if fraction == 0 else self.most_whole) + 1
        self.farthest = self._farthest()

    def _farthest(self) -> int:
        """A bound on `distance`: digits that the bounds have in common settle nothing, nor do nines of the lower one;
        what is free of the bounds needs a few more to become divisible."""
        low, high = self.low.text, self.high.text if self.high else ""
        common = next((i for i, (a, b) in enumerate(zip(low.rjust(len(high), "0"), high, strict=False)) if a != b), 0)
        if high and low.rjust(len(high), "0") == high:
            common = len(high)
        close = common + max(map(len, re.findall("9+", low)), default=0) + 2
        whole = self.low.whole + close + (self.spread if self.divisors.all else 0)
        if self.high is not None:
            whole = min(whole, self.high.whole)
        fine = max(map(places, self.divisors.all), default=0) + 1
        return whole + (0 if self.fraction == 0 else 1 + min(max(close, fine), max(self.depth, 1)))

    def step(self, state: State, byte: int) -> State | None:
        """The next state; None where the syntax or an upper bound forbids the byte."""
        phase, count, low, high, rest, tail = state
        if byte == 0x2E:
            if phase == 2 or not 0 < count <= self.most_whole or self.fraction == 0:
                return None
            return self._settled((2, 0, -1 if count < self.low.whole else low, self._shorter(count, high), rest, False))
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
            rest = (rest * 10 + digit) % self.reduced[self.resolution - count - 1]
            return self._settled((2, count + 1, low, high, rest, False))
        if digit and self.divisors.step is not None:
            return None
        count, tail = count + 1 if self.fraction else max(count, 1), tail or digit > 0
        return self._settled((2, count, low, high, 0 if tail else rest, tail))

    def _settled(self, state: State) -> State:
        """One state for all places behind the point where nothing matters any more."""
        if not self.divisors.all and self.fraction is None and state[1] and state[2:4] == (1, -1):
            return 2, max(self.resolution, 1), 1, -1, 0, False
        return state

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
            return not self.pointed and self._reachable(state, 0, 0)
        return self._within(max(self.resolution - count, 0), 0, low, high, rest, tail)

    def live(self, state: State) -> bool:
        """Can some number of the language still be reached?"""
        phase, count, low, high, rest, tail = state
        if phase == 2:
            left = max(self.resolution - count, 0)
            return self._within(left, min(left + 1, self._room(count, left)), low, high, rest, tail)
        if self.some and phase == 0 and count and self.spread <= self._beyond(count):
            return True
        return any(
            self._reachable(state, more, self.depth) or (not self.pointed and self._reachable(state, more, 0))
            for more in self._lengths(state)
        )

    def distance(self, state: State) -> int:
        """Digits (and a point) to the nearest number, from a live state."""
        phase, count, low, high, rest, tail = state
        if phase == 2:
            left = max(self.resolution - count, 0)
            for more in range(0 if count else 1, min(max(left + 1, 1), self._room(count, left)) + 1):
                if self._within(left, more, low, high, rest, tail):
                    return more
            raise AssertionError("a live state reaches a number")
        if phase == 0 and low == 1 and self.endless and self.whole_only and count >= self.low.whole:
            near = self._near.get(rest)
            if near is None:
                near = self._near[rest] = next(more for more in self._lengths(state) if self._reachable(state, more, 0))
            return near
        best = self.farthest + 1
        for more in self._lengths(state):
            if more >= best:
                break
            if not self.pointed and self._reachable(state, more, 0):
                return more
            behind = () if self.whole_only else range(1, min(max(self.depth, 1), best - more - 2) + 1)
            best = next((more + 1 + f for f in behind if self._reachable(state, more, f)), best)
        return best

    def freely(self, state: State) -> int:
        """How many digits may follow, whichever they are; said only of what has no upper bound and a large modulus."""
        return 255 if self.endless and state[0] == 0 and state[1] else 0

    def _beyond(self, count: int) -> int:
        """So many digits of the whole part may be chosen freely, after those that reach the lower bound, and stay below
        the upper one."""
        whole = max(count, self.low.whole)
        most = self.high.whole - 1 if self.high else whole + self.spread
        return min(most, self.most_whole if self.pointed else most) - whole

    def _room(self, count: int, left: int) -> int:
        """How many more digits may be written behind the point, as far as it matters."""
        return left + 1 if self.fraction is None else self.fraction - count

    def _lengths(self, state: State) -> range:
        """How many more digits there may be before the point."""
        phase, count = state[:2]
        if phase == 1:
            return range(1)
        most = max(self.low.whole - count, 0) + self.spread if self.high is None else self.high.whole - count
        return range(0 if count else 1, most + 1)

    def _reachable(self, state: State, more: int, behind: int) -> bool:
        """With `more` digits to come before the point and `behind` after it, can the end be good?"""
        _, count, low, high, rest, _ = state
        total = count + more
        if total < self.low.whole or (behind and total > self.most_whole):
            return False
        if total > self.low.whole:
            low = 1
        if self.high is not None:
            if total > self.high.whole:
                return False
            if total < self.high.whole:
                high = -1
        return self._within(self.resolution + more, more + behind, low, high, rest, False, leading=not count)

    def _within(
        self, left: int, free: int, low: int, high: int, rest: int, tail: bool, *, leading: bool = False
    ) -> bool:
        """Can the first `free` of the `left` digits of V that are to come (the others are 0) make a good number?

        free > left: a tail may follow. `leading`: they are the first digits of the number, so no 0 if several.
        """
        if low < 0 or high > 0:
            return False
        low_tight, high_tight = low == 0, self.high is not None and high == 0
        first = self.low.rest(left) if low_tight else 0
        last = self.high.rest(left) if high_tight and self.high is not None else 10**left - 1
        if leading and left > self.resolution + 1:
            first = max(first, 10 ** (left - 1))
        grid = 10 ** max(left - free, 0)
        if free > left and self.may_tail and first <= last - high_tight:
            return True
        if tail:
            return not high_tight  # all digits of V are there, and the tail is between it and the next
        first += low_tight and self.low.is_open and first == self.low.rest(left)
        last -= high_tight and self.high is not None and self.high.is_open
        last = min(last, 10**left - 1)
        return self.whole.some(-(-first // grid), last // grid, rest * 10**left, grid)
