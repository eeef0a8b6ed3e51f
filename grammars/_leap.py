"""Leap seconds of RFC 3339: clock times hh:mm:60 with the one offset at which it is 23:59 UTC.

Beside `formats`, read through `Regex.read_by`. Each of the 1,440 local times fixes its offset, so states are computed:
what was read of the time, or what is left of the offset. All are live, and the way to the end of each is known.
Rejected: intersections of templates, one for each digit that fixes another; whether a state is alive was then found by
search, a third of a second for the first date-time of a process.
"""

from __future__ import annotations

from dataclasses import dataclass

from grammars.regex.charset import Charset

__all__ = ["LeapSeconds"]

_CHARS = "0123456789:.+-Zz"

State = tuple[str, str]
"""("clock", a beginning of hh:mm:60), ("after", hh:mm), ("dot", hh:mm), ("fraction", hh:mm) or ("rest", text)."""


@dataclass(frozen=True)
class LeapSeconds:
    """Times of which sides of Greenwich: where UTC is earlier, the date has changed since the leap second."""

    west: bool
    east: bool

    @property
    def charsets(self) -> list[Charset]:
        """The characters that are told apart."""
        return [((ord(char), ord(char)),) for char in _CHARS]

    def reader(self, masks: list[int]) -> LeapReader:
        """The automaton, over an alphabet with these masks of the charsets."""
        return LeapReader(self, tuple(masks))


@dataclass(frozen=True)
class LeapReader:
    """Follows a time; see `grammars.regex.terms.Encoded`."""

    times: LeapSeconds
    masks: tuple[int, ...]

    @property
    def start(self) -> State | None:
        return "clock", ""

    @property
    def may(self) -> int:
        """Mask of all characters that it reads."""
        return sum(self.masks)

    def complete(self, state: State) -> bool:
        """Never: the end of the text is no state."""
        return False

    def live(self, state: State) -> bool:
        """Always."""
        return True

    def shortest(self, state: State) -> int:
        """Characters to the end, exactly."""
        kind, text = state
        if kind == "rest":
            return len(text)
        zone = 1 if self.times.west and "23:59:60".startswith(text) else 6
        return zone + (8 - len(text) if kind == "clock" else 1 if kind == "dot" else 0)

    def moves(self, state: State) -> list[tuple[int, State | None]]:
        """(mask of classes, state after it)."""
        out: dict[State | None, int] = {}
        for char, target in self._steps(*state):
            out[target] = out.get(target, 0) | self.masks[_CHARS.index(char)]
        return [(mask, target) for target, mask in out.items()]

    def _steps(self, kind: str, text: str) -> list[tuple[str, State | None]]:
        if kind == "rest":
            return [(text[0], ("rest", text[1:]) if len(text) > 1 else None)]
        if kind == "clock":
            place = len(text)
            follow = ("012", "0123" if text == "2" else "0123456789", ":", "012345", "0123456789", ":", "6", "0")[place]
            if text == "23:5" and not self.times.west:
                follow = "012345678"
            return [(char, ("after", text[:5]) if place == 7 else ("clock", text + char)) for char in follow]
        steps: list[tuple[str, State | None]] = []
        if kind == "after":
            steps.append((".", ("dot", text)))
        else:
            steps.extend((char, ("fraction", text)) for char in "0123456789")
        return steps if kind == "dot" else [*steps, *self._zones(text)]

    def _zones(self, text: str) -> list[tuple[str, State | None]]:
        minute = 60 * int(text[:2]) + int(text[3:])
        zones: list[tuple[str, State | None]] = []
        if self.times.west:
            zones.append(("-", ("rest", _clock(1439 - minute))))
        if minute < 1439 and self.times.east:
            zones.append(("+", ("rest", _clock(minute + 1))))
        if minute == 1439 and self.times.west:
            zones += [("+", ("rest", "00:00")), ("Z", None), ("z", None)]
        return zones


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
