"""Terminals of context-free grammars as byte automata for the store."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from grammars.cfg.lexicon import BLOCKED, Label, Lexicon
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
    """The automaton of a lexer over bytes, with all its terminals and under any obligation.

    What can come of it at a time is a set of terminals (bits): a state is alive for those that it can still become.
    """

    def __init__(self, lexicon: Lexicon, alone: bool = False) -> None:
        self.lexicon, self.alone = lexicon, alone
        self.serial = next(_serial)
        self.labels: list[Label] = []
        self.ways: list[int] = []
        """Of each label its terminals."""
        self.kinds: list[int] = []
        """The sets of terminals that some state can become."""
        self._numbers: dict[Label, int] = {}
        self._kind_of: dict[int, int] = {}
        self._blocked: dict[int, npt.NDArray[np.bool_] | None] = {}
        self._never_next: dict[int, int] = {}
        self._numbered = 0
        self._chars = _LexChars(self)
        chars: Any = self._chars
        self.bytes = ByteDfa(chars, "utf8")
        self._known: dict[int, tuple[int, int]] = {}
        self._rows: dict[int, tuple[npt.NDArray[np.uint8], list[tuple[int, int]]]] = {}

    def number(self, label: Label) -> int:
        """The number of a label."""
        found = self._numbers.get(label)
        if found is None:
            found = self._numbers[label] = len(self.labels)
            self.labels.append(label)
            self.ways.append(_bits(terminal for terminal, _ in label))
        return found

    def start(self, component: int, duty: int) -> int:
        """The state in which a token of a component begins under an obligation; -1: it can become no terminal.

        All labels that follow have their numbers then.
        """
        ends = self.lexicon.automaton.ends
        for label in ends[self._numbered :]:
            if label:
                self.number(label)
        self._numbered = len(ends)
        number = self._chars.number((component, duty))
        return -1 if number < 0 else self.bytes.place("", number)

    def become(self, state: int) -> int:
        """Terminals that a text can still become in a state."""
        return self._of(state)[0]

    def kind(self, state: int) -> int:
        """The number of `become` in `kinds`."""
        return self._of(state)[1]

    def _of(self, state: int) -> tuple[int, int]:
        found = self._known.get(state)
        if found is None:
            reach = 0
            for target in self.bytes.characters(state):
                reach |= self._chars.reach[target]
            kind = self._kind_of.get(reach)
            if kind is None:
                kind = self._kind_of[reach] = len(self.kinds)
                self.kinds.append(reach)
            found = self._known[state] = reach, kind
        return found

    def row(self, state: int) -> tuple[npt.NDArray[np.uint8], list[tuple[int, int]]]:
        """Of each byte its class, uint8[256]; of each class the target and what a text can become there, or (-1, 0)."""
        found = self._rows.get(state)
        if found is None:
            groups, targets = self.bytes.classes(state)
            found = self._rows[state] = groups, [(t, self._of(t)[0]) if t >= 0 else (-1, 0) for t in targets]
        return found

    def label(self, state: int) -> int:
        """Number of the label of a state, -1 where no token may end."""
        return self._chars.label(self.bytes.character(state))

    def loops(self, state: int) -> int:
        """Groups of bytes (`bytegroups`) that leave a state as it is, and after which nothing but itself may come where
        it ends."""
        number = self.bytes.character(state)
        if number < 0:
            return 0
        mask = sum(mask for mask, target in self._chars.moves(number) if target == number)
        label = self._chars.label(number)
        if mask and label >= 0:
            mask &= self._forbidden(label) if self.alone else 0
        return self.bytes.groups_within(mask)

    def blocked(self, number: int) -> npt.NDArray[np.bool_] | None:
        """Bytes that every obligation of a label forbids to come next; None: there are none, or the text may go on
        outside of the parser, where obligations end."""
        if not self.alone:
            return None
        if number not in self._blocked:
            full = self._forbidden(number)
            self._blocked[number] = self.bytes.first_bytes(full) if full else None
        return self._blocked[number]

    def _forbidden(self, number: int) -> int:
        """Classes of characters that every obligation of a label forbids to come next."""
        known = self._never_next.get(number)
        if known is None:
            known = self.lexicon.alphabet.full
            for _, duty in self.labels[number]:
                known &= sum(mask for mask, after in self.lexicon.duty_moves(duty) if after == BLOCKED)
            self._never_next[number] = known
        return known


def _bits(terminals: Iterable[int]) -> int:
    found = 0
    for terminal in terminals:
        found |= 1 << terminal
    return found


class _LexChars:
    """A lexer under obligations: what `ByteDfa` reads of a `CharDfa`. States are places (state, obligation)."""

    def __init__(self, piece: Piece) -> None:
        self.piece = piece
        self.alphabet = piece.lexicon.alphabet
        self.regex = ("lex", piece.serial)
        self.reach: list[int] = []
        self._places: list[tuple[int, int]] = []
        self._numbers: dict[tuple[int, int], int] = {}
        self._moves: list[list[tuple[int, int]] | None] = []
        self._labels: dict[tuple[int, int], int] = {}
        self._ahead: dict[tuple[int, int], list[tuple[int, tuple[int, int]]]] = {}
        self._reached: dict[tuple[int, int], int] = {}
        self.start = -1  # there are many

    def number(self, place: tuple[int, int]) -> int:
        """Number of a place; -1: no terminal can come of it."""
        number = self._numbers.get(place)
        if number is None:
            if place[1] and place not in self._reached:
                self._explore(place)
            reach = self._reached[place] if place[1] else self.piece.lexicon.automaton.reach[place[0]]
            number = len(self._places) if reach else -1
            if reach:
                self._places.append(place)
                self._moves.append(None)
                self.reach.append(reach)
            self._numbers[place] = number
        return number

    def _explore(self, start: tuple[int, int]) -> None:
        """What is read under an obligation is read to the end, for its labels and for what can come of it."""
        queue = [start]
        seen = {start}
        before: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for place in queue:
            self._ahead[place] = self._targets(place)
            for _, target in self._ahead[place]:
                before.setdefault(target, []).append(place)
                if target[1] and target not in seen and target not in self._reached:
                    seen.add(target)
                    queue.append(target)
        for place in queue:
            number = self._label_at(place)
            reach = 0 if number < 0 else self.piece.ways[number]
            for _, target in self._ahead[place]:
                reach |= self._reached.get(target, 0) if target[1] else self.piece.lexicon.automaton.reach[target[0]]
            self._reached[place] = reach
        while queue:
            place = queue.pop()
            for previous in before.get(place, ()):
                reach = self._reached[previous] | self._reached[place]
                if reach != self._reached[previous]:
                    self._reached[previous] = reach
                    queue.append(previous)

    def _targets(self, place: tuple[int, int]) -> list[tuple[int, tuple[int, int]]]:
        state, duty = place
        moves = self.piece.lexicon.automaton.moves[state]
        if not duty:
            return [(mask, (target, 0)) for mask, target in moves]
        found = []
        for held, after in self.piece.lexicon.duty_moves(duty):
            if after != BLOCKED:
                found += [(mask & held, (target, after)) for mask, target in moves if mask & held]
        return found

    def moves(self, state: int) -> list[tuple[int, int]]:
        """(mask of classes, target) of a state: disjoint masks, live targets."""
        moves = self._moves[state]
        if moves is None:
            place = self._places[state]
            targets = self._ahead.pop(place, None) or self._targets(place)
            numbered = [(mask, self.number(target)) for mask, target in targets]
            moves = self._moves[state] = [(mask, target) for mask, target in numbered if target >= 0]
        return moves

    def _label_at(self, place: tuple[int, int]) -> int:
        number = self._labels.get(place)
        if number is None:
            state, duty = place
            label = self.piece.lexicon.automaton.ends[state]
            if label and duty:
                lexicon = self.piece.lexicon
                label = tuple((terminal, lexicon.both(other, duty)) for terminal, other in label)
                label = tuple((terminal, other) for terminal, other in label if not lexicon.is_dead(other))
            number = self._labels[place] = self.piece.number(label) if label else -1
        return number

    def label(self, state: int) -> int:
        """Number of the label, -1 where no terminal ends."""
        return -1 if state < 0 else self._label_at(self._places[state])

    def accepting(self, state: int) -> bool:
        """Whether a terminal may end here."""
        return self.label(state) >= 0

    def is_universal(self, state: int) -> bool:
        """Never: a token ends somewhere."""
        return False

    def shortest(self, state: int) -> int:
        """No estimate."""
        return 0


class LexTerminal:
    """A lexer in UTF-8 from one of its states on, for the terminals that can come (bits)."""

    def __init__(self, piece: Piece, viable: int, start: int) -> None:
        self.piece, self.viable = piece, viable
        self.key: Hashable = ("lex", piece.serial, viable)
        self.start = start if start >= 0 and piece.become(start) & viable else -1

    def row(self, state: int) -> list[int]:
        """The 256 targets of a state, -1 dead."""
        groups, targets = self.classes(state)
        return [targets[group] for group in groups.tolist()]

    def classes(self, state: int) -> tuple[npt.NDArray[np.uint8], list[int]]:
        """Of each byte its class, uint8[256]; the target of each class, -1 dead."""
        groups, targets = self.piece.row(state)
        viable = self.viable
        return groups, [target if become & viable else -1 for target, become in targets]

    def is_between(self, state: int) -> bool:
        """Whether a state lies between characters."""
        return self.piece.bytes.character(state) >= 0

    def following(self, state: int) -> set[int]:
        """The targets of a state."""
        viable = self.viable
        return {target for target, become in self.piece.row(state)[1] if become & viable}

    def label(self, state: int) -> int:
        """Number of the label in the piece, -1 where no token may end."""
        number = self.piece.label(state)
        return number if number >= 0 and self.piece.ways[number] & self.viable else -1

    def boundary(self, state: int) -> bool:
        """Never: nothing counts characters here."""
        return False

    def steady(self, state: int) -> tuple[int, ...]:
        """As `Piece.loops`; nothing is said where not all terminals that it can become can come."""
        return 0 if self.piece.become(state) & ~self.viable else self.piece.loops(state), 0, 0, 0, 0, 0

    def shared(self, state: int) -> Hashable | None:
        """A name of the state whatever else can come: what is read from it depends on those terminals that it can
        become."""
        return ("lex", self.piece.serial, state, self.piece.become(state) & self.viable)
