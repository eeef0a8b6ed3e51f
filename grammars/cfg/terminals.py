"""Terminals of context-free grammars as byte automata for the store."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from grammars.cfg.lexicon import BLOCKED, Component, Label, Lexicon
from grammars.regex import ByteDfa, CharDfa

__all__ = ["LexTerminal", "Piece", "PlainTerminal"]

_serial = count()


class PlainTerminal(ByteDfa):
    """A regular expression in UTF-8; it may end wherever it matches."""

    def __init__(self, chars: CharDfa) -> None:
        super().__init__(chars, "utf8")
        self.key: Hashable = ("cfg", chars.regex)

    def boundary(self, state: int) -> bool:
        """Never: nothing counts characters here."""
        return False

    def shared(self, state: int) -> Hashable | None:
        """Only where all strings may follow."""
        name = super().shared(state)
        return None if name is None else ("cfg", name)


class Piece:
    """A component of a lexer and the numbers of its labels."""

    def __init__(self, lexicon: Lexicon, component: Component, alone: bool = False) -> None:
        self.lexicon, self.component, self.alone = lexicon, component, alone
        self.serial = next(_serial)
        self.labels: list[Label] = []
        self._numbers: dict[Label, int] = {}
        self._blocked: dict[int, npt.NDArray[np.bool_] | None] = {}
        for label in component.ends:
            if label:
                self.number(label)

    def number(self, label: Label) -> int:
        """The number of a label."""
        found = self._numbers.get(label)
        if found is None:
            found = self._numbers[label] = len(self.labels)
            self.labels.append(label)
        return found


    def blocked(self, number: int) -> npt.NDArray[np.bool_] | None:
        """Bytes that every obligation of a label forbids to come next; None: there are none, or the text may go on
        outside of the parser, where obligations end."""
        if not self.alone:
            return None
        if number not in self._blocked:
            full = self.lexicon.alphabet.full
            for _, duty in self.labels[number]:
                full &= sum(mask for mask, after in self.lexicon.duty_moves(duty) if after == BLOCKED)
            self._blocked[number] = self._bytes(full) if full else None
        return self._blocked[number]

    def _bytes(self, mask: int) -> npt.NDArray[np.bool_]:
        """First bytes of UTF-8 whose characters are all in some classes."""
        found = np.zeros(256, np.bool_)
        between = self.lexicon.alphabet.between
        for byte in range(256):
            if byte < 0x80:
                low = high = byte
            elif 0xC2 <= byte < 0xE0:
                low, high = (byte & 31) << 6, ((byte & 31) << 6) + 63
            elif 0xE0 <= byte < 0xF0:
                low, high = max(0x800, (byte & 15) << 12), ((byte & 15) << 12) + 4095
            elif 0xF0 <= byte < 0xF5:
                low, high = max(0x10000, (byte & 7) << 18), min(0x10FFFF, ((byte & 7) << 18) + 0x3FFFF)
            else:
                found[byte] = True  # begins no character
                continue
            found[byte] = not between(low, high) & ~mask
        return found


class _LexChars:
    """A component under an obligation, with the terminals that can come: what `ByteDfa` reads of a `CharDfa`."""

    def __init__(self, piece: Piece, viable: frozenset[int], duty: int) -> None:
        self.piece, self.viable = piece, viable
        self.alphabet = piece.lexicon.alphabet
        self.regex = ("lex", piece.serial, viable, duty)
        self.places: list[tuple[int, int]] = []
        self._numbers: dict[tuple[int, int], int] = {}
        self._moves: list[list[tuple[int, int]] | None] = []
        self._alive: dict[tuple[int, int], bool] = {}
        self.start = self._number((0, duty))
        for place in self.places:  # what is read under an obligation is read to the end, for its labels
            if place[1]:
                self.moves(self._numbers[place])
                self.label(self._numbers[place])

    def _number(self, place: tuple[int, int]) -> int:
        number = self._numbers.get(place)
        if number is None:
            number = -1
            if self.is_alive(place):
                number = len(self.places)
                self.places.append(place)
                self._moves.append(None)
            self._numbers[place] = number
        return number

    def _targets(self, place: tuple[int, int]) -> list[tuple[int, tuple[int, int]]]:
        state, duty = place
        moves = self.piece.component.moves[state]
        if not duty:
            return [(mask, (target, 0)) for mask, target in moves]
        found = []
        for held, after in self.piece.lexicon.duty_moves(duty):
            if after != BLOCKED:
                found += [(mask & held, (target, after)) for mask, target in moves if mask & held]
        return found

    def is_alive(self, place: tuple[int, int]) -> bool:
        """Whether a terminal that can come may end from here on."""
        component = self.piece.component
        stack, seen = [place], {place}
        while stack:
            state, duty = at = stack.pop()
            known = self._alive.get(at)
            if known is None and (not duty or any(t in self.viable for t, _ in component.ends[state])):
                known = self._alive[at] = not component.reach[state].isdisjoint(self.viable)
            if known:
                self._alive[place] = True
                return True
            if known is None:
                for _, target in self._targets(at):
                    if target not in seen:
                        seen.add(target)
                        stack.append(target)
        self._alive[place] = False
        return False

    def moves(self, state: int) -> list[tuple[int, int]]:
        """(mask of classes, target) of a state: disjoint masks, live targets."""
        moves = self._moves[state]
        if moves is None:
            numbered = [(mask, self._number(target)) for mask, target in self._targets(self.places[state])]
            moves = self._moves[state] = [(mask, target) for mask, target in numbered if target >= 0]
        return moves

    def label(self, state: int) -> int:
        """Number of the label, -1 where no terminal that can come ends."""
        component_state, duty = self.places[state]
        label = self.piece.component.ends[component_state]
        if not any(terminal in self.viable for terminal, _ in label):
            return -1
        if duty:
            lexicon = self.piece.lexicon
            label = tuple((terminal, lexicon.both(other, duty)) for terminal, other in label)
            label = tuple((terminal, other) for terminal, other in label if not lexicon.is_dead(other))
            if not any(terminal in self.viable for terminal, _ in label):
                return -1
        return self.piece.number(label)

    def accepting(self, state: int) -> bool:
        """Whether a terminal may end here."""
        return self.label(state) >= 0

    def is_universal(self, state: int) -> bool:
        """Never: a token ends somewhere."""
        return False

    def shortest(self, state: int) -> int:
        """No estimate."""
        return 0


class LexTerminal(ByteDfa):
    """A component in UTF-8, for the terminals that can come."""

    def __init__(self, piece: Piece, viable: frozenset[int], duty: int) -> None:
        self._lex = _LexChars(piece, viable, duty)
        chars: Any = self._lex
        super().__init__(chars, "utf8")
        self.key: Hashable = self._lex.regex

    def label(self, state: int) -> int:
        """Number of the label in the piece, -1 where no token may end."""
        kind, _, target = self._places[state]
        return -1 if kind else self._lex.label(target)

    def boundary(self, state: int) -> bool:
        """Never: nothing counts characters here."""
        return False

    def blocks(self, label: int) -> npt.NDArray[np.bool_] | None:
        """Bytes that cannot follow a label directly: bool[256], or None."""
        return self._lex.piece.blocked(label)

    def shared(self, state: int) -> Hashable | None:
        """A name of the state in all lexers that run this component: what is read from it depends on the obligation
        and on those terminals that a text from here on can be."""
        kind, code, target = self._places[state]
        component_state, duty = self._lex.places[target]
        piece = self._lex.piece
        viable = piece.component.reach[component_state] & self._lex.viable
        return ("lex", piece.serial, kind, code, component_state, duty, viable)
