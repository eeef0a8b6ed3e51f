"""A machine that reads a mantissa and an exponent; beside `_digits`, with the same small protocol."""

from __future__ import annotations

from fractions import Fraction
from math import lcm

from grammars._digits import MAX_FRACTION, MAX_PLACES, State
from grammars._divisors import Divisors, places

__all__ = ["Scientific"]

_MAX_EXPONENT = 999
_DIGITS = 3


class _Divisor:
    """k / 10**scale without zeros at the end of k."""

    def __init__(self, value: Fraction) -> None:
        self.scale = places(value)
        self.modulus = int(value * 10**self.scale)
        while self.modulus % 10 == 0:
            self.modulus //= 10
            self.scale -= 1

    def least(self, rest: int, q: int) -> int | None:
        """The least exponent that makes a multiple of digits with remainder `rest`, the last of them at 10**q."""
        for shift in range(self.modulus.bit_length() + 1):
            if rest % self.modulus == 0:
                return shift - q - self.scale
            rest *= 10
        return None


class Scientific:
    """A mantissa and an exponent whose value lies in an interval and has the right divisors.

    The value is known by the place of its first digit that is not zero (p: it stands for 10**p), by how the digits
    from there compare with those of each bound, and, for divisors, by the place q of its last such digit and the
    remainder of the digits up to there. When the exponent begins, these leave an interval of exponents: whether a
    divisor divides depends on the exponent only through its factors 2 and 5.

    States (comparisons low, high in -1, 0, 1; index counts the digits compared):
      (0, n, index, low, high, zeros, rest)   n digits before the point, the last `zeros` of them 0
      (1,)                                    a leading zero
      (2, j)                                  j zeros behind the point, nothing else yet
      (3, p, j, index, low, high, q, rest)    j digits behind the point
      (4, least, most)                        after the e: what the exponent may be
      (5, least, most, value, count)          after its sign: the same for its magnitude, and what has been read
      (6, good)                               so many more digits make a good exponent, whichever they are
    """

    start: State = (0, 0, 0, 0, 0, 0, 0)

    def __init__(
        self,
        low: tuple[Fraction, bool],
        high: tuple[Fraction, bool],
        divisors: Divisors,
        *,
        canonical: bool,
        zero: bool = False,
    ) -> None:
        """Positive bounds; `zero`: 0 with an exponent is fine too. `canonical`: only what json.dumps prints."""
        self.zero, self.only_zero = zero, low[0] > high[0] or (low[0] == high[0] and (low[1] or high[1]))
        self.low, self.high = _Significand(*low), _Significand(*high)
        self.canonical = canonical
        self.stepped, self.tracked = divisors.step is not None, bool(divisors.all)
        self.wanted = _Divisor(divisors.step) if divisors.step is not None else None
        self.banned = [_Divisor(value) for value in divisors.banned]
        self.modulus = lcm(*(d.modulus for d in self.banned), self.wanted.modulus if self.wanted else 1)
        self.longest = max(len(self.low.digits), len(self.high.digits))
        self.most_places = MAX_FRACTION if canonical else MAX_PLACES
        # whether all exponents that matter can be written, and none but those out of bounds are left out
        self.shifts = self.tracked and not canonical and max(abs(self.low.place), abs(self.high.place)) < 900
        self.farthest = self._farthest()
        self._live: dict[State, bool] = {}

    def _farthest(self) -> int:
        """A bound on `distance`: e, sign and digits; all digits there may be for a remainder or close bounds."""
        most, least = self.high.place - 1, self.low.place + 1
        if self.only_zero:
            return 8
        if self.canonical:
            wide = most >= max(16, least) or least <= min(-5, most)
        else:
            wide = most >= least
        easy = wide and self.modulus == 1 and not self.banned
        return 12 + (0 if easy else self.longest + self.most_places)

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
            q = -j if self.tracked else 0
            return self._behind_point(-j, j, 1, low, high, q, digit % self.modulus)
        _, p, j, index, low, high, q, rest = state
        low, high = self._compare(index, low, high, digit)
        j += 1
        if (self.tracked or self.canonical) and j > self.most_places:
            return None
        if digit and self.tracked:
            rest, q = (rest * 10 ** (q + j) + digit) % self.modulus, -j
        elif self.canonical and not self.tracked:
            q = int(digit == 0)
        return self._behind_point(p, j, index + 1, low, high, q, rest)

    def _compare(self, index: int, low: int, high: int, digit: int) -> tuple[int, int]:
        return low or self.low.compare(index, digit), high or self.high.compare(index, digit)

    def _index(self, index: int, low: int, high: int) -> int:
        """`index`, made equal where it makes no difference any more."""
        return self.longest if low and high else min(index, self.longest)

    def _before_point(self, state: State, digit: int) -> State | None:
        _, n, index, low, high, zeros, rest = state
        if n == 0 and digit == 0:
            return None if self.canonical else (1,)
        if n >= (1 if self.canonical else self.most_places):
            return None
        low, high = self._compare(index, low, high, digit)
        if self.tracked:
            rest, zeros = (rest, zeros + 1) if digit == 0 else ((rest * 10 ** (zeros + 1) + digit) % self.modulus, 0)
        return self._possible((0, n + 1, self._index(index + 1, low, high), low, high, zeros, rest), n, zeros)

    def _point(self, state: State) -> State | None:
        if state[0] == 1:
            return 2, 0
        if state[0] != 0 or state[1] == 0:
            return None
        _, n, index, low, high, zeros, rest = state
        # q = 1 in a canonical state says "the last digit is 0": no e may follow, nor may it follow the point
        return 3, n - 1, 0, index, low, high, zeros if self.tracked else int(self.canonical), rest

    def _behind_point(self, p: int, j: int, index: int, low: int, high: int, q: int, rest: int) -> State | None:
        if not self.tracked:
            rest = 0
            if not self.canonical:
                j, q = 1, 0
        return self._possible((3, p, j, self._index(index, low, high), low, high, q, rest), p, q)

    def _possible(self, state: State, p: int, q: int) -> State | None:
        """`state`, or None where no further digits can help: what keeps the search for a good end short."""
        if self.only_zero:
            return None
        low, high = state[-4:-2]
        top = self.high.place - (high > 0)
        if low and high and top < self.low.place + (low < 0):
            return None
        if self.wanted and top - p + q + self.wanted.scale < 0:
            return None
        return state

    def _exponent(self, state: State) -> State | None:
        """The state after an e: which exponents are good?"""
        phase = state[0]
        if phase == 1 or phase == 2:
            return (4, -_MAX_EXPONENT, _MAX_EXPONENT) if self.zero and (phase == 1 or state[1]) else None
        if phase == 0:
            _, n, index, low, high, q, rest = state
            if n == 0:
                return None
            p = n - 1
        else:
            _, p, j, index, low, high, q, rest = state
            if j == 0 or (self.canonical and (q != -j if self.tracked else q)):
                return None
        least = self.low.place - p + (not self.low.admits(index, low, 1))
        most = self.high.place - p - (not self.high.admits(index, high, -1))
        if self.wanted:
            smallest = self.wanted.least(rest, q)
            if smallest is None:
                return None
            least = max(least, smallest)
        for divisor in self.banned:
            smallest = divisor.least(rest, q)
            most = most if smallest is None else min(most, smallest - 1)
        return (4, least, most) if least <= most else None

    def _exponent_byte(self, state: State, byte: int) -> State | None:
        phase = state[0]
        if phase == 4:
            _, least, most = state
            if byte == 0x2D or byte == 0x2B:
                return self._signed(least, most, byte == 0x2D)
            signed = None if self.canonical else self._signed(least, most, False)
            return None if signed is None else self._exponent_byte(signed, byte)
        digit = byte - 0x30
        if not 0 <= digit <= 9:
            return None
        if phase == 6:
            good = tuple(more - 1 for more in state[1] if more)
            return (6, good) if good else None
        _, least, most, value, count = state
        return self._free(least, most, value * 10 + digit, count + 1)

    def _free(self, least: int, most: int, value: int, count: int) -> State | None:
        """The state in an exponent; None when nothing good can follow, phase 6 when the digits are free."""
        good = []
        for more, first, last in self._spans(value, count):
            if least <= first and last <= most:
                good.append(more)
            elif first <= most and least <= last:
                return 5, least, most, value, count
        return (6, tuple(good)) if good else None

    def _spans(self, value: int, count: int) -> list[tuple[int, int, int]]:
        """(digits to come, least, most exponent that they make)."""
        if self.canonical:  # two digits, or three that do not begin with 0
            lengths = [2 - count] if count <= 2 else []
            if count == 0:
                return [(2, 0, 99), (3, 100, 999)]
            if value >= 10 ** (count - 1):
                lengths.append(3 - count)
        else:
            lengths = list(range(0 if count else 1, _DIGITS + 1 - count))
        return [(more, value * 10**more, (value + 1) * 10**more - 1) for more in lengths]

    def _signed(self, least: int, most: int, negative: bool) -> State | None:
        if negative:
            least, most = -most, -least
        first = max(least, 0)
        if self.canonical:
            first = max(first, 5 if negative else 16)
        return None if first > most else (5, first, most, 0, 0)

    def accepting(self, state: State) -> bool:
        """Is the text read so far a number of the language?"""
        if state[0] == 6:
            return 0 in state[1]
        if state[0] != 5:
            return False
        _, least, most, value, count = state
        return bool(count >= (2 if self.canonical else 1) and least <= value <= most)

    def live(self, state: State) -> bool:
        """Can some number of the language still be reached? By a search, which ends as soon as an e may follow."""
        key = self._alike(state) if self.shifts and state[0] in (0, 3) else state
        known = self._live.get(key)
        if known is None:
            # A state is entered as dead: a way that returns to it (a run of digits) gains nothing.
            self._live[key] = False
            if key[0] == 7 and key[-2:] == (1, 0):
                # no digit but 0 may follow, which changes nothing: it is now or never
                end = self._exponent(state)
                known = end is not None and self.live(end)
            else:
                known = state[0] == 6 or self._more(state) is not None or self._next(state) is not None
            self._live[key] = known
        return known

    def _alike(self, state: State) -> State:
        """The same for all states in digits from which the same can be reached, wherever the point stands: the exponent
        makes up for it. What counts is where the last digit that is not zero stands beside the first, and how many more
        digits there may be, if that is less than what can still matter."""
        if state[0] == 0:
            _, n, index, low, high, q, rest = state
            p, j, room = n - 1, 0, 2 * self.most_places - n
        else:
            _, p, j, index, low, high, q, rest = state
            n, room = -1, self.most_places - j
        if self.wanted:
            left = self.high.place - (high > 0) + self.wanted.scale - p - j
            room = min(room, left + 1 if left > 0 else 0)
        written = 1 if n > 0 or j > 0 else 0  # whether an exponent may begin
        return 7, p - q, q + j, index, low, high, rest, n < 0, written, room

    def _more(self, state: State) -> int | None:
        """In an exponent: digits to the nearest good one."""
        if state[0] == 6:
            return int(min(state[1]))
        if state[0] != 5:
            return None
        _, least, most, value, count = state
        spans = self._spans(value, count)
        return min((more for more, first, last in spans if first <= most and least <= last), default=None)

    def _next(self, state: State) -> State | None:
        """Some live state that follows: the exponent if it may begin, else the first of the digits that lead on."""
        for byte in b"+-" if state[0] == 4 else b"" if state[0] > 4 else b"e.5123467890":
            target = self.step(state, byte)
            if target is not None and self.live(target):
                return target
        return None

    def freely(self, state: State) -> int:
        """Nothing is said of what has an exponent."""
        return 0

    def distance(self, state: State) -> int:
        """Bytes to a near number, from a live state; some next byte lowers it by one."""
        steps = 0
        while True:
            more = self._more(state)
            if more is not None:
                return steps + more
            following = self._next(state)
            assert following is not None, "a live state reaches a number"
            state, steps = following, steps + 1


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
