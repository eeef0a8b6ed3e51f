"""`Subsets`: what a kernel needs to make the states of a string pattern itself (see `kernels.subsets`).

Beside `terminals`, which asks for it at a pattern's first row: its items are derived here, as the kernel comes to them,
and states are translated to those of the pattern's own automaton where somebody asks. To set this up takes as long as
to make five rows in Python; patterns with so few are rare, so there is no second way for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grammars.automaton.arrays import GrowArray, address
from grammars.bytegroups import CONTINUES, CONTROLS, GROUPS, QUOTING
from grammars.errors import BudgetExceeded
from grammars.kernels import subsets as at
from grammars.kernels.subsets import BITS, expand, place_state, rehash_places
from grammars.regex.bytedfa import ByteDfa, byte_children, byte_classes, group_masks
from grammars.regex.horizon import endless
from grammars.regex.terms import ALT, Term

if TYPE_CHECKING:
    from grammars.automaton.terminals import TerminalStore

__all__ = ["Subsets", "subsets_of"]

Int64 = npt.NDArray[np.int64]

_MOST_WORDS = 4  # of a set
_MOST_TARGETS = 258  # of a row
_AHEAD = 16  # items derived before they are asked for, each time
_MOST = (1 << 62) - 1


class _Layouts:
    """Places within a character, for one alphabet and encoding: shared by all patterns over it."""

    def __init__(self, alphabet: Any, encoding: str) -> None:
        self.alphabet, self.encoding = alphabet, encoding
        self.head = np.zeros(at.LA_HEAD, np.int64)
        self._groups = GrowArray(np.uint8, 256 * 32)
        self._firsts = GrowArray(np.int64, 3 * 32)
        self._kinds = GrowArray(np.int64, 4 * 256)
        self.named: list[tuple[str, int]] = []
        self._ids: dict[tuple[str, int], int] = {}
        self._chars = np.array(group_masks(alphabet), np.int64)
        allowed = (1 << len(GROUPS)) - 1
        self.head[at.LA_CHARS], self.head[at.LA_COUNT] = address(self._chars), len(GROUPS)
        self.head[at.LA_ALLOWED] = allowed if encoding == "utf8" else allowed & ~(CONTROLS | QUOTING)
        self.head[at.LA_ALWAYS], self.head[at.LA_NEVER] = CONTINUES, CONTROLS
        self.number("", -1)
        self.make(0)

    def number(self, kind: str, code: int) -> int:
        """Number of a layout; code -1: all below leads to one target (and, with no kind, between characters)."""
        key = kind, code
        found = self._ids.get(key)
        if found is None:
            found = self._ids[key] = len(self.named)
            self.named.append(key)
            self._firsts.extend((0, -1, int(bool(kind) and code < 0)))
            self._groups.extend(np.zeros(256, np.uint8))
            self._point()
        return found

    def is_made(self, layout: int) -> bool:
        return bool(self._firsts.data[3 * layout + 1] >= 0)

    def make(self, layout: int) -> None:
        """Find the classes of the bytes that may follow."""
        if self.is_made(layout):
            return
        kind, code = self.named[layout]
        listed: list[tuple[int, int, int, int]] = []
        if kind and code < 0:
            groups, children = byte_children(self.encoding, kind)
            for child in children:
                if child:
                    listed.append((at.KIND_PLACE, 0, self.number(child, -1), 0))
                else:
                    listed.append((at.KIND_CHARACTER, 0, 0, 0))
        else:
            groups, entries = byte_classes(self.alphabet, self.encoding, kind or "root", max(code, 0))
            for child, base, below in entries:
                if child:
                    mixed = self.number(child, base) if base >= 0 else 0
                    listed.append((at.KIND_PLACE, below, self.number(child, -1), mixed))
                else:
                    listed.append((at.KIND_CHARACTER, below, 0, 0))
            listed.append((at.KIND_NONE if kind else at.KIND_QUOTE, 0, 0, 0))
        listed.append((at.KIND_NONE, 0, 0, 0))
        first = self._kinds.extend([word for entry in listed for word in entry]) // 4
        self._groups.data[256 * layout : 256 * layout + 256] = groups
        self._firsts.data[3 * layout : 3 * layout + 2] = first, len(listed)
        self._point()

    def _point(self) -> None:
        self.head[at.LA_N], self.head[at.LA_CLASSES] = len(self.named), self._kinds.n // 4
        self.head[at.LA_GROUPS], self.head[at.LA_FIRSTS] = self._groups.address, self._firsts.address
        self.head[at.LA_KINDS] = self._kinds.address


def _layouts_of(alphabet: Any, encoding: str) -> _Layouts:
    key = ("layouts", encoding)
    found: _Layouts | None = alphabet.layouts.get(key)
    if found is None:
        found = alphabet.layouts[key] = _Layouts(alphabet, encoding)
    return found


def subsets_of(store: TerminalStore, terminal: Any) -> Subsets | None:
    """The tables of a terminal; None where it has no use for them."""
    if type(terminal) is not ByteDfa or not terminal.counts or terminal.chars.alphabet.full.bit_length() > BITS:
        return None
    try:
        return Subsets(store, terminal)
    except BudgetExceeded:
        return None


class Subsets:
    """One pattern's tables in one store. All calls are made under the store's lock."""

    def __init__(self, store: TerminalStore, terminal: ByteDfa) -> None:
        self.store, self.terminal, self.chars = store, terminal, terminal.chars
        alphabet = self.chars.alphabet
        self._layouts = _layouts_of(alphabet, terminal.encoding)
        self._items: list[Term] = []
        self._numbers: dict[Term, int] = {}
        self._sets_of: dict[int, int] = {}  # of states of the character automaton
        self._terms: dict[int, int] = {}  # and back
        self._words = 1
        self._loose = 0  # items with upper counts
        self._table: Int64 = np.zeros(0, np.int64)
        self._places: Int64 = np.zeros((0, 3), np.int64)
        self._room = 2048
        self._moves, self._sets = GrowArray(np.int64, 256), GrowArray(np.int64, 256)
        self.head = np.zeros(at.T_HEAD, np.int64)
        self.head[at.T_SELF] = address(self.head)
        self.head[at.T_ENDS] = terminal.encoding == "utf8"
        self.head[at.T_CLASSES], self.head[at.T_FULL] = alphabet.full.bit_length(), alphabet.full
        self.head[at.T_LAYOUTS] = address(self._layouts.head)
        self.head[at.T_ANY] = self.head[at.T_FINAL] = -1
        self._allot()
        if terminal.encoding != "utf8":
            self.head[at.T_FINAL] = store.state_of(terminal, terminal.final)

    def _allot(self) -> None:
        """Arrays for the present words and room, filled with what is known."""
        words, room, count = self._words, self._room, int(self.head[at.T_N])
        items = np.zeros(at.IT_SIZE * BITS * words, np.int64)
        places = np.zeros((room, 2 + words), np.int64)
        if count:
            old = self._places[:count]
            places[:count, : old.shape[1]] = old
            items[: self._table.size] = self._table
        self._table, self._places = items, places
        self._slots = np.zeros(4 * room, np.int64)
        self._scratch = np.zeros((int(self.head[at.T_CLASSES]) + 1) * words + _MOST_TARGETS, np.int64)
        head = self.head
        head[at.T_WORDS], head[at.T_ROOM], head[at.T_MASK] = words, room, 4 * room - 1
        head[at.T_ITEMS], head[at.T_PLACES] = address(items), address(places)
        head[at.T_SLOTS], head[at.T_SCRATCH] = address(self._slots), address(self._scratch)
        if count:
            rehash_places(int(head[at.T_SELF]))
        self._point()

    def _point(self) -> None:
        head = self.head
        head[at.T_MOVES], head[at.T_SETS] = self._moves.address, self._sets.address
        head[at.T_MOVES_SIZE], head[at.T_SETS_SIZE] = self._moves.data.size, self._sets.data.size

    # ------------------------------------------------------------------------------------------------ items

    def _item(self, term: Term) -> int:
        """Number of an item; -1: no text of it."""
        number = self._numbers.get(term)
        if number is not None:
            return number
        chars = self.chars
        if not chars.is_alive(term):
            self._numbers[term] = -1
            return -1
        due = chars.least(term) if self.head[at.T_COUNTS] else 0
        number = len(self._items)
        if number == BITS * self._words:
            if self._words == _MOST_WORDS:
                raise BudgetExceeded("max_items", BITS * _MOST_WORDS)
            self._widen()
        self._numbers[term] = number
        self._items.append(term)
        first = at.IT_SIZE * number
        self._table[first + at.IT_ENDS], self._table[first + at.IT_DUE] = term.nullable, due
        if endless(chars.terms, term) is not term:
            self._loose |= 1 << number
        if term is chars.terms.all:
            self.head[at.T_ANY], self.head[at.T_BIT] = number // BITS, 1 << number % BITS
            self._enter_shared(number)
        return number

    def _widen(self) -> None:
        """More words for a set: those of targets move too."""
        old, count = self._words, self._sets.n // self._words
        self._words = _MOST_WORDS
        wide = np.zeros((count, self._words), np.int64)
        wide[:, :old] = self._sets.data[: self._sets.n].reshape(count, old)
        moves = self._moves.data[: self._moves.n].reshape(-1, 2)
        moves[:, 1] = moves[:, 1] // old * self._words
        self._sets = GrowArray(np.int64, 2 * wide.size)
        self._sets.extend(wide.reshape(-1))
        self._allot()

    def _enter_shared(self, number: int) -> None:
        """The states that any text may follow belong to many patterns: they are entered before they are met."""
        local = self.chars.number(self.chars.terms.all)
        kinds, own = [""], self._words_of(1 << number)
        for kind in kinds:
            state = self.terminal.state_at((kind, -1, local))
            self.enter(kind, -1, own, self.store.state_of(self.terminal, state))
            if kind:
                following = byte_children(self._layouts.encoding, kind)[1]
            else:
                entries = byte_classes(self.chars.alphabet, self._layouts.encoding, "root", 0)[1]
                following = [child for child, _, _ in entries]
            kinds += [child for child in dict.fromkeys(following) if child and child not in kinds]

    def _ready(self, number: int) -> None:
        """Derive an item, and find what is known of it."""
        chars, term = self.chars, self._items[number]
        moves = []
        for mask, target in chars.terms.derive(term):
            found = self.set_of(target)
            if found:
                moves.append((mask, found))
        mask, most, due, last, beyond = chars.free_of(term) if self._layouts.encoding != "utf8" else (0, 0, 0, 0, 0)
        first = self._moves.n // 2
        for own, found in moves:
            self._moves.extend((own, self._sets.extend(self._words_of(found))))
        self._point()
        entry = self._table[at.IT_SIZE * number : at.IT_SIZE * number + at.IT_SIZE]
        entry[at.IT_MOVES : at.IT_COUNT + 1] = first, len(moves)
        entry[at.IT_MASK : at.IT_FIRST + 1] = (
            mask, min(most, _MOST), min(due, _MOST), last, beyond, _united(own for own, _ in moves),
        )  # fmt: skip
        entry[at.IT_READY] = 1

    def set_of(self, term: Term) -> int:
        """The items of a term, as bits."""
        found = 0
        for item in term.a if term.op == ALT else (term,):
            number = self._item(item)
            if number >= 0:
                found |= 1 << number
        return found

    def _words_of(self, found: int) -> Int64:
        return np.array([found >> BITS * w & (1 << BITS) - 1 for w in range(self._words)], np.int64)

    # ------------------------------------------------------------------------------------------------ states

    def enter(self, kind: str, code: int, own: Int64, q: int) -> int:
        """Enter state q as that of a place, or find the one which is known there (q -1: -1 if there is none)."""
        self._make_room(1)
        self.store.point()
        return int(place_state(self.store.address, int(self.head[at.T_SELF]), self._layouts.number(kind, code), own, q))

    def find(self, place: tuple[str, int, int]) -> int:
        """The state of one of the terminal's own places, -1 if there is none."""
        kind, code, target = place
        if kind == "final" or self.head[at.T_OFF]:
            return -1
        try:
            return self.enter(kind, code, self._words_of(self._set_of_state(target)), -1)
        except BudgetExceeded:
            self.stop()
            return -1

    def adopt(self, place: tuple[str, int, int], q: int) -> None:
        """State q, which Python has made for one of the terminal's own places, is filled by the kernel from now on."""
        kind, code, target = place
        if kind == "final" or self.head[at.T_OFF]:
            return
        try:
            self.enter(kind, code, self._words_of(self._set_of_state(target)), q)
        except BudgetExceeded:
            self.stop()

    def _set_of_state(self, target: int) -> int:
        found = self._sets_of.get(target)
        if found is None:
            found = self._sets_of[target] = self.set_of(self.chars.term(target))
        return found

    def place_of(self, k: int) -> tuple[str, int, int]:
        """The terminal's own name of place k."""
        layout, found = int(self._places[k, 0]), self._bits(k)
        target = self._terms.get(found)
        if target is None:
            items = [self._items[number] for number in range(found.bit_length()) if found >> number & 1]
            target = self._terms[found] = self.chars.number(self.chars.terms.alt(items))
        return *self._layouts.named[layout], target

    def is_endless(self, k: int) -> bool:
        """Whether place k has no upper counts."""
        return not self._loose or not self._loose & self._bits(k)

    def _bits(self, k: int) -> int:
        own: list[int] = self._places[k, 2:].tolist()
        return sum(word << BITS * w for w, word in enumerate(own))

    def states(self) -> list[int]:
        """All that are entered."""
        found: list[int] = self._places[: int(self.head[at.T_N]), 1].tolist()
        return found

    def _make_room(self, more: int) -> None:
        while int(self.head[at.T_N]) + more > self._room:
            self._room *= 2
            self._allot()

    def fill(self, q: int, k: int) -> bool:
        """Make the row of state q, place k; False: from now on Python does."""
        try:
            for _ in range(3):
                self.store.make_room(_MOST_TARGETS)
                self.store.point()
                if expand(self.store.address, q):
                    return True
                if self.head[at.T_OFF]:
                    return False
                self._supply(k)
        except BudgetExceeded:
            pass
        self.stop()
        return False

    def _supply(self, k: int) -> None:
        self._make_room(_MOST_TARGETS)
        layout, found = int(self._places[k, 0]), self._bits(k)
        self._layouts.make(layout)
        if layout and self._layouts.named[layout][1] < 0:
            return
        known = len(self._items)
        for number in range(found.bit_length()):
            if found >> number & 1 and not self._table[at.IT_SIZE * number + at.IT_READY]:
                self._ready(number)
        # along a chain of counts each item leads to one more, and all will be asked for
        number = known
        while len(self._items) <= number + 2 and known + _AHEAD > number < len(self._items):
            if not self._items[number].plain:
                break
            self._ready(number)
            number += 1

    @property
    def is_off(self) -> bool:
        """Whether further states are left to Python."""
        return bool(self.head[at.T_OFF])

    def count(self) -> None:
        """From now on the characters that a new state needs are kept."""
        dues = [self.chars.least(term) for term in self._items]
        self._table[at.IT_DUE : at.IT_SIZE * len(dues) : at.IT_SIZE] = dues
        self.head[at.T_COUNTS] = 1

    def stop(self) -> None:
        """Leave all further states to Python."""
        self.head[at.T_OFF] = 1


def _united(masks: Any) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found

