"""Machines that read the digits of a number: the parts of which `numbers` makes its automata.

A machine has `start`, `step(state, byte)` (None: dead), `accepting(state)` and `live(state)`. It reads a magnitude (the
sign has been read) and keeps just what the verdict needs: how the digits so far compare with each bound, and their
remainder. `Plain` reads digits with or without a point; whether a state can still reach a number is arithmetic there,
not a search: with t digits to come the values in reach form an interval, and it must contain a multiple. `Scientific`
reads a mantissa and an exponent.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd
from typing import Any

__all__ = ["MAX_FRACTION", "MAX_PLACES", "End", "Plain", "Scientific", "State", "places"]

State = tuple[Any, ...]
End = tuple[Fraction, bool] | None
"""A bound and whether it is open; None: no bound."""

_ZERO = Fraction(0)

MAX_FRACTION = 21
"""Canonical numbers have at most so many digits behind the point: json.dumps prints 17 digits that count."""
MAX_PLACES = 24
"""Before an exponent (spelling "any"): most digits before the point, and most zeros behind it before the first digit
that counts (with a step: most digits behind it)."""


def places(value: Fraction) -> int:
    """Digits after the point in the decimal expansion of `value` (which is finite)."""
    count = 0
    while value.denominator != 1:
        value *= 10
        count += 1
    return count


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

    def rest(self, position: int) -> int:
        return int(self.text[position:] or "0")


class Plain:
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
        low: tuple[Fraction, bool],
        high: End,
        step: Fraction | None,
        fraction: int | None,
        *,
        pointed: bool = False,
    ) -> None:
        """`fraction`: most digits after the point (0: no point; None: any number); `pointed`: it must be there."""
        self.pointed = pointed
        self.resolution = size = max(places(x) for x in (low[0], high[0] if high else _ZERO, step or _ZERO))
        self.low = _Digits(*low, size)
        self.high = None if high is None else _Digits(*high, size)
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
            return not self.pointed and self._reachable(count, 0, low, high, rest, zeros=True)
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
        return bool(first + (-(rest * 10**left + first)) % self.modulus <= last)


class Scientific:
    """A mantissa and an exponent whose value lies in an interval and is a multiple of a step.

    The value is known by the place of its first digit that is not zero (p: it stands for 10**p), by how the digits
    from there compare with those of each bound, and, for a step, by the place q of its last such digit and the
    remainder of the digits up to there. When the exponent begins, these leave an interval of exponents.

    States (comparisons low, high in -1, 0, 1; index counts the digits compared):
      (0, n, index, low, high, zeros, rest)   n digits before the point, the last `zeros` of them 0
      (1,)                                    a leading zero
      (2, j)                                  j zeros behind the point, nothing else yet
      (3, p, j, index, low, high, q, rest)    j digits behind the point
      (4, least, most)                        after the e: what the exponent may be (None: no bound)
      (5, least, most, value, count)          after its sign: the same for its magnitude, and what has been read
      (6, good)                               so many more digits make a good exponent, whichever they are
    """

    start: State = (0, 0, 0, 0, 0, 0, 0)

    def __init__(
        self,
        low: tuple[Fraction, bool],
        high: End,
        step: Fraction | None,
        *,
        canonical: bool,
    ) -> None:
        self.zero = low[0] == 0 and not low[1] and not canonical
        self.low = None if low[0] == 0 else _Significand(*low)
        self.high = None if high is None else _Significand(*high)
        self.canonical = canonical
        self.stepped = step is not None
        self.scale = 0 if step is None else places(step)
        self.modulus = 1 if step is None else int(step * 10**self.scale)
        while self.modulus % 10 == 0:
            self.modulus //= 10
            self.scale -= 1
        self.bounded = self.low is not None or self.high is not None
        self.longest = max(len(bound.digits) if bound else 0 for bound in (self.low, self.high))
        self.most_places = MAX_FRACTION if canonical else MAX_PLACES
        self._live: dict[State, bool] = {}

    def step(self, state: State, byte: int) -> State | None:
        """The next state; None where the byte cannot follow."""
        phase = state[0]
        if phase >= 4:
            return self._exponent_byte(state, byte)
        if byte in b"eE":
            return self._exponent(state) if byte == 0x65 or not self.canonical else None
        if byte == 0x2E:
            return self._point(state)
        digit = byte - 0x30
        if not 0 <= digit <= 9:
            return None
        if phase == 0:
            return self._before_point(state, digit)
        if phase == 1:
            return None
        if phase == 2:
            j = state[1] + 1
            if j > self.most_places:
                return None
            if digit == 0:
                return 2, j
            low, high = self._compare(0, 0, 0, digit)
            q = -j if self.stepped else 0
            return self._behind_point(-j, j, 1, low, high, q, digit % self.modulus)
        _, p, j, index, low, high, q, rest = state
        low, high = self._compare(index, low, high, digit)
        j += 1
        if (self.stepped or self.canonical) and j > self.most_places:
            return None
        if digit and self.stepped:
            rest, q = (rest * 10 ** (q + j) + digit) % self.modulus, -j
        elif self.canonical and not self.stepped:
            q = int(digit == 0)
        return self._behind_point(p, j, index + 1, low, high, q, rest)

    def _compare(self, index: int, low: int, high: int, digit: int) -> tuple[int, int]:
        if low == 0 and self.low is not None:
            low = self.low.compare(index, digit)
        if high == 0 and self.high is not None:
            high = self.high.compare(index, digit)
        return low, high

    def _index(self, index: int, low: int, high: int) -> int:
        """`index`, made equal where it makes no difference any more."""
        settled = (low or self.low is None) and (high or self.high is None)
        return self.longest if settled else min(index, self.longest)

    def _before_point(self, state: State, digit: int) -> State | None:
        _, n, index, low, high, zeros, rest = state
        if n == 0 and digit == 0:
            return None if self.canonical else (1,)
        if n >= (1 if self.canonical else self.most_places):
            return None
        low, high = self._compare(index, low, high, digit)
        if self.stepped:
            rest, zeros = (rest, zeros + 1) if digit == 0 else ((rest * 10 ** (zeros + 1) + digit) % self.modulus, 0)
        if not self.bounded and not self.canonical:
            n = 0 if not self.stepped else n
        return self._possible((0, n + 1, self._index(index + 1, low, high), low, high, zeros, rest), n, zeros)

    def _point(self, state: State) -> State | None:
        if state[0] == 1:
            return 2, 0
        if state[0] != 0 or state[1] == 0:
            return None
        _, n, index, low, high, zeros, rest = state
        # q = 1 in a canonical state says "the last digit is 0": no e may follow, nor may it follow the point
        return 3, n - 1, 0, index, low, high, zeros if self.stepped else int(self.canonical), rest

    def _behind_point(self, p: int, j: int, index: int, low: int, high: int, q: int, rest: int) -> State | None:
        if not self.bounded and not self.canonical:
            p = 0
        if not self.stepped:
            rest = 0
            if not self.canonical:
                j, q = 1, 0
        return self._possible((3, p, j, self._index(index, low, high), low, high, q, rest), p, q)

    def _possible(self, state: State, p: int, q: int) -> State | None:
        """`state`, or None where no further digits can help: what keeps the search for a good end short."""
        low, high = state[-4:-2]
        if self.high is not None:
            if not self.high.digits:
                return None
            top = self.high.place - (high > 0)
            if low and self.low is not None and high and top < self.low.place + (low < 0):
                return None
            if self.stepped and top - p + q + self.scale < 0:
                return None
        return state

    def _exponent(self, state: State) -> State | None:
        """The state after an e: which exponents are good?"""
        phase = state[0]
        if phase == 1 or phase == 2:
            return (4, None, None) if self.zero and (phase == 1 or state[1]) else None
        if phase == 0:
            _, n, index, low, high, q, rest = state
            if n == 0:
                return None
            p = n - 1
        else:
            _, p, j, index, low, high, q, rest = state
            if j == 0 or (self.canonical and (q != -j if self.stepped else q)):
                return None
        least: int | None = None
        most: int | None = None
        if self.low is not None:
            good = self.low.admits(index, low, 1)
            least = self.low.place - p + (not good)
        if self.high is not None:
            if not self.high.digits:
                return None
            good = self.high.admits(index, high, -1)
            most = self.high.place - p - (not good)
        if self.stepped:
            shift = self._shift(rest)
            if shift is None:
                return None
            smallest = shift - q - self.scale
            least = smallest if least is None else max(least, smallest)
        if least is not None and most is not None and least > most:
            return None
        return 4, least, most

    def _shift(self, rest: int) -> int | None:
        """The fewest zeros that make a multiple of digits with remainder `rest`."""
        for shift in range(self.modulus.bit_length() + 1):
            if rest % self.modulus == 0:
                return shift
            rest *= 10
        return None

    def _exponent_byte(self, state: State, byte: int) -> State | None:
        phase, least = state[:2]
        most = state[2] if phase < 6 else None
        if phase == 4:
            negative = byte == 0x2D
            if negative or byte == 0x2B:
                return self._signed(least, most, negative)
            if self.canonical:
                return None
            signed = self._signed(least, most, False)
            return None if signed is None else self._exponent_byte(signed, byte)
        digit = byte - 0x30
        if not 0 <= digit <= 9:
            return None
        if phase == 6:
            if least is None:
                return state
            good = tuple(more - 1 for more in least if more)
            return (6, good) if good else None
        value, count = state[3:]
        value, count = value * 10 + digit, count + 1 if self.canonical else 1
        return self._free(least, most, value, count)

    def _free(self, least: int, most: int | None, value: int, count: int) -> State | None:
        """The state in an exponent; None when nothing good can follow, phase 6 when the digits are free."""
        if most is None:
            return (6, None) if value >= max(least, 1) else (5, least, most, value, count)
        good = []
        for more, first, last in self._spans(value, count, most):
            if least <= first and last <= most:
                good.append(more)
            elif first <= most and least <= last:
                return 5, least, most, value, count
        if value == 0 and not self.canonical:
            # zeros may lead an exponent for ever
            return 5, least, most, value, count
        return (6, tuple(good)) if good else None

    def _spans(self, value: int, count: int, most: int) -> list[tuple[int, int, int]]:
        """(digits to come, least, most exponent that they make)."""
        if not self.canonical:
            return [(t, value * 10**t, (value + 1) * 10**t - 1) for t in range(0 if count else 1, len(str(most)) + 1)]
        # two digits, or three that do not begin with 0
        spans = [(2 - count, value * 10 ** (2 - count), (value + 1) * 10 ** (2 - count) - 1)] if count <= 2 else []
        if count == 0:
            spans.append((3, 100, 999))
        elif value >= 10 ** (count - 1):
            spans.append((3 - count, value * 10 ** (3 - count), (value + 1) * 10 ** (3 - count) - 1))
        return spans

    def _signed(self, least: int | None, most: int | None, negative: bool) -> State | None:
        if negative:
            least, most = None if most is None else -most, None if least is None else -least
        first = max(least or 0, 0)
        if self.canonical:
            first = max(first, 5 if negative else 16)
        return None if most is not None and first > most else (5, first, most, 0, 0)

    def accepting(self, state: State) -> bool:
        """Is the text read so far a number of the language?"""
        if state[0] == 6:
            return state[1] is None or 0 in state[1]
        if state[0] != 5:
            return False
        _, least, most, value, count = state
        return count >= (2 if self.canonical else 1) and least <= value and (most is None or value <= most)

    def live(self, state: State) -> bool:
        """Can some number of the language still be reached? By a search, which ends as soon as an e may follow."""
        known = self._live.get(state)
        if known is None:
            # A state is entered as dead: a way that returns to it (a run of zeros) gains nothing.
            self._live[state] = False
            known = self._live[state] = self._search(state)
        return known

    def _search(self, state: State) -> bool:
        if state[0] == 6:
            return True
        if state[0] == 5:
            _, least, most, value, count = state
            return most is None or any(
                first <= most and least <= last for _, first, last in self._spans(value, count, most)
            )
        if state[0] == 4:
            return any(
                signed is not None and self.live(signed)
                for signed in (self._signed(state[1], state[2], sign) for sign in (False, True))
            )
        for byte in b"e.5123467890":
            target = self.step(state, byte)
            if target is not None and self.live(target):
                return True
        return False


class _Significand:
    """A positive bound as digits d0 d1 d2 ... without zeros at the ends; d0 stands for 10**place."""

    def __init__(self, value: Fraction, is_open: bool) -> None:
        self.is_open = is_open
        self.digits = ""
        self.place = 0
        if value:
            behind = places(value)
            text = str(int(value * 10**behind))
            self.place = len(text) - 1 - behind
            self.digits = text.rstrip("0")

    def compare(self, index: int, digit: int) -> int:
        """-1, 0, 1: a digit against that of the bound."""
        own = ord(self.digits[index]) - 0x30 if index < len(self.digits) else 0
        return (digit > own) - (digit < own)

    def admits(self, index: int, comparison: int, side: int) -> bool:
        """At the bound's own order of magnitude: are digits with this comparison on the good side (1: above)?"""
        if comparison == 0 and index < len(self.digits):
            comparison = -1
        return comparison == side or (comparison == 0 and not self.is_open)
