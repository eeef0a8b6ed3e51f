"""`SubstringTerminal`: the substrings of a text as a byte automaton, by the suffix automaton of the text.

A terminal like the others (see `terminals`), made by `compile_substring`. The suffix automaton (Blumer et al. 1985) has
at most two states a symbol and one state for all strings that end at the same places, so whether a span may end
depends on the state alone. Where spans must not cut words, a mark is put between any two bytes where one may begin;
a step may pass over a mark, and a state from which a mark follows is one where a span may end.

Rejected: sets of positions as states (the square of the length for repetitive texts), and a trie of all spans.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Literal

from grammars.errors import GrammarError

__all__ = ["Boundary", "SubstringTerminal"]

Boundary = Literal["characters", "words"]

_MARK = 256


class SubstringTerminal:
    """The non-empty substrings of `text`, in UTF-8. Cost: about 10 µs a byte of the text to make.

    `boundary`: "characters", any substring; "words", only those which begin and end where no word is cut, that is not
    between two word characters (letters, digits, marks, underscore).
    """

    def __init__(self, text: str, boundary: Boundary = "characters") -> None:
        self.key: Hashable = ("substring", boundary, text)
        self._next = _suffix_automaton(_marked(text, boundary))
        # a state: the one or two states of the suffix automaton that the bytes so far may have led to
        self._ids: dict[tuple[int, ...], int] = {}
        self._places: list[tuple[int, ...]] = []
        self.start = self._id((self._next[0][_MARK],))

    def _id(self, place: tuple[int, ...]) -> int:
        known = self._ids.get(place)
        if known is None:
            known = self._ids[place] = len(self._places)
            self._places.append(place)
        return known

    def _edges(self, state: int) -> dict[int, int]:
        reached: dict[int, list[int]] = {}
        for q in self._places[state]:
            for symbol, target in self._next[q].items():
                if symbol != _MARK:
                    reached.setdefault(symbol, []).append(target)
            if (beyond := self._next[q].get(_MARK)) is not None:
                for symbol, target in self._next[beyond].items():
                    reached.setdefault(symbol, []).append(target)
        return {symbol: self._id(tuple(sorted(set(targets)))) for symbol, targets in reached.items()}

    def row(self, state: int) -> list[int]:
        """256 targets."""
        row = [-1] * 256
        for byte, target in self._edges(state).items():
            row[byte] = target
        return row

    def following(self, state: int) -> Collection[int]:
        """The targets of a state."""
        return self._edges(state).values()

    def label(self, state: int) -> int:
        """0 where the span may end."""
        return 0 if any(_MARK in self._next[q] for q in self._places[state]) else -1

    def boundary(self, state: int) -> bool:
        """Never: spans are not counted."""
        return False


def _marked(text: str, boundary: Boundary) -> list[int]:
    """The bytes of the text with a mark wherever a span may begin or end."""
    if not text:
        raise GrammarError(1, 1, "an empty text has no substring", "Give the passage that answers are taken from.")
    symbols = [_MARK]
    inside = False  # the character before is one of a word
    for character in text:
        word = boundary == "words" and (character.isalnum() or character == "_" or _is_mark(character))
        if not (word and inside) and len(symbols) > 1:
            symbols.append(_MARK)
        inside = word
        try:
            symbols.extend(character.encode())
        except UnicodeEncodeError as error:
            raise GrammarError(1, 1, f"the text holds {character!r}, a lone surrogate", "Mend the text.") from error
    symbols.append(_MARK)
    return symbols


def _is_mark(character: str) -> bool:
    import unicodedata

    return character > "\x7f" and unicodedata.category(character).startswith("M")


def _suffix_automaton(symbols: list[int]) -> list[dict[int, int]]:
    """Transitions of the suffix automaton, state 0 the start; symbol by symbol as in Blumer et al."""
    following: list[dict[int, int]] = [{}]
    link, length = [-1], [0]
    last = 0
    for symbol in symbols:
        current = len(following)
        following.append({})
        link.append(0)
        length.append(length[last] + 1)
        p = last
        while p >= 0 and symbol not in following[p]:
            following[p][symbol] = current
            p = link[p]
        if p >= 0:
            q = following[p][symbol]
            if length[q] == length[p] + 1:
                link[current] = q
            else:
                clone = len(following)
                following.append(dict(following[q]))
                link.append(link[q])
                length.append(length[p] + 1)
                while p >= 0 and following[p].get(symbol) == q:
                    following[p][symbol] = clone
                    p = link[p]
                link[q] = link[current] = clone
        last = current
    return following
