"""`ByteDfa`: a `CharDfa` spelled in bytes: UTF-8, or the inside of a JSON string.

Above `chardfa`, below the engine. A byte state is a char state, or a place inside a character: within a UTF-8
sequence or an escape. Such a place is (kind, first code, char state), and where all characters below it lead to one
target it is (kind, target) whoever came here: `.*` has a handful of states in any encoding.

kind  bytes that follow                         kind  bytes that follow
c1    80-BF                                     esc   what may stand after a backslash
c2    80-BF, then c1                            u0..  00 and two digits (canonical \\u escapes)
c3    80-BF, then c2                            h4-h1 that many hex digits (hd: the second after d)
e0    A0-BF, then c1   (no overlong forms)      p2 p1 the last two digits of a high surrogate
ed    80-9F, then c1   (no surrogates)          qs qu qd qc  backslash, u, d, c-f of the low one, then h2
f0    90-BF, then c2
f4    80-8F, then c2   (up to U+10FFFF)

What bytes lead to the same target in every state of a kind of place are a class: `classes` gives the classes of the 256
bytes, made once, and a target of each. `row` spells that out.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Hashable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from grammars.bytegroups import CONTINUES, CONTROLS, GROUPS, NEVER, QUOTING
from grammars.regex.chardfa import CharDfa
from grammars.regex.language import Alphabet

__all__ = ["ENCODINGS", "ByteDfa", "byte_children", "byte_classes", "group_masks"]

ENCODINGS = ("utf8", "json", "json_any")

_NO_CLASSES: npt.NDArray[np.uint8] = np.zeros(256, np.uint8)
_UNSTEADY = (0,) * 6
_QUOTE = 0x22

# (first byte, last byte, kind or "" for a whole character, first code, codes per byte)
_Branch = tuple[int, int, str, int, int]
# (first byte, last byte, kind or "", first code, mask of the classes below)
_Entry = tuple[int, int, str, int, int]

_HEX_LOWER = ((0x30, 0x39, 0), (0x61, 0x66, 10))
_HEX_ANY = (*_HEX_LOWER, (0x41, 0x46, 10))
_SHORT = ((0x22, 0x22), (0x5C, 0x5C), (0x62, 0x08), (0x66, 0x0C), (0x6E, 0x0A), (0x72, 0x0D), (0x74, 0x09))


def _hex(kind: str, base: int, size: int) -> list[_Branch]:
    return [(low, high, kind, base + digit * size, size) for low, high, digit in _HEX_ANY]


def _branches(encoding: str, kind: str, base: int) -> list[_Branch]:
    """What may follow in a place. A branch of several bytes steps its first code by the given size each."""
    if kind == "c1":
        return [(0x80, 0xBF, "", base, 1)]
    if kind == "c2":
        return [(0x80, 0xBF, "c1", base, 64)]
    if kind == "c3":
        return [(0x80, 0xBF, "c2", base, 4096)]
    if kind == "e0":
        return [(0xA0, 0xBF, "c1", 0x800, 64)]
    if kind == "ed":
        return [(0x80, 0x9F, "c1", 0xD000, 64)]
    if kind == "f0":
        return [(0x90, 0xBF, "c2", 0x10000, 4096)]
    if kind == "f4":
        return [(0x80, 0x8F, "c2", 0x100000, 4096)]
    if kind == "root":
        if encoding == "utf8":
            ascii_part = [(0, 0x7F, "", 0, 1)]
        else:
            ascii_part = [(low, high, "", low, 1) for low, high in ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0x7F))]
            ascii_part.append((0x5C, 0x5C, "esc", 0, 0))
        return [
            *ascii_part,
            (0xC2, 0xDF, "c1", 0x80, 64),
            (0xE0, 0xE0, "e0", 0x800, 0),
            (0xE1, 0xEC, "c2", 0x1000, 4096),
            (0xED, 0xED, "ed", 0xD000, 0),
            (0xEE, 0xEF, "c2", 0xE000, 4096),
            (0xF0, 0xF0, "f0", 0x10000, 0),
            (0xF1, 0xF3, "c3", 0x40000, 1 << 18),
            (0xF4, 0xF4, "f4", 0x100000, 0),
        ]
    if kind == "esc":
        short = [(byte, byte, "", code, 1) for byte, code in _SHORT]
        if encoding == "json":
            return [*short, (0x75, 0x75, "u0", 0, 0)]
        return [*short, (0x2F, 0x2F, "", 0x2F, 1), (0x75, 0x75, "h4", 0, 0)]
    return _escape_branches(kind, base)


def _escape_branches(kind: str, base: int) -> list[_Branch]:
    if kind == "u0":
        return [(0x30, 0x30, "u00", 0, 0)]
    if kind == "u00":
        return [(0x30, 0x30, "u000", 0, 0)]
    if kind == "u000":
        return [(0x30, 0x30, "low0", 0, 0), (0x31, 0x31, "low1", 0, 0)]
    if kind == "low0":
        # 8, 9, a, c, d have short escapes
        return [(0x30, 0x37, "", 0, 1), (0x62, 0x62, "", 0xB, 1), (0x65, 0x66, "", 0xE, 1)]
    if kind == "low1":
        return [(low, high, "", 0x10 + digit, 1) for low, high, digit in _HEX_LOWER]
    if kind == "h4":
        return [
            (0x30, 0x39, "h3", 0, 4096),
            (0x61, 0x63, "h3", 0xA000, 4096),
            (0x41, 0x43, "h3", 0xA000, 4096),
            (0x64, 0x64, "hd", 0xD000, 0),
            (0x44, 0x44, "hd", 0xD000, 0),
            (0x65, 0x66, "h3", 0xE000, 4096),
            (0x45, 0x46, "h3", 0xE000, 4096),
        ]
    if kind == "h3":
        return _hex("h2", base, 256)
    if kind == "h2":
        return _hex("h1", base, 16)
    if kind == "h1":
        return _hex("", base, 1)
    if kind == "hd":
        return [
            (0x30, 0x37, "h2", 0xD000, 256),
            (0x38, 0x39, "p2", 0x10000, 1 << 18),
            (0x61, 0x62, "p2", 0x10000 + (2 << 18), 1 << 18),
            (0x41, 0x42, "p2", 0x10000 + (2 << 18), 1 << 18),
        ]
    if kind == "p2":
        return _hex("p1", base, 1 << 14)
    if kind == "p1":
        return _hex("qs", base, 1 << 10)
    if kind == "qs":
        return [(0x5C, 0x5C, "qu", base, 0)]
    if kind == "qu":
        return [(0x75, 0x75, "qd", base, 0)]
    if kind == "qd":
        return [(0x64, 0x64, "qc", base, 0), (0x44, 0x44, "qc", base, 0)]
    assert kind == "qc"
    return [(0x63, 0x66, "h2", base, 256), (0x43, 0x46, "h2", base, 256)]


_SPAN = {
    "c1": 64, "c2": 4096, "c3": 1 << 18, "e0": 0x800, "ed": 0x800, "f0": 0x30000, "f4": 0x10000,
    "h3": 4096, "h2": 256, "h1": 16, "p2": 1 << 18, "p1": 1 << 14, "qs": 1024, "qu": 1024, "qd": 1024, "qc": 1024,
}  # fmt: skip
"""How many codes lie below a place whose codes are contiguous."""


def _mask_below(alphabet: Alphabet, encoding: str, kind: str, base: int) -> int:
    span = _SPAN.get(kind)
    if span is not None:
        return alphabet.between(base, base + span - 1)
    if kind == "h4" or (kind == "esc" and encoding == "json_any"):
        return alphabet.full
    if kind == "esc":
        return alphabet.between(0, 0x1F) | 1 << alphabet.class_at(0x22) | 1 << alphabet.class_at(0x5C)
    mask = 0
    for entry in _entries(alphabet, encoding, kind, base):
        mask |= entry[4]
    return mask


def _entries(alphabet: Alphabet, encoding: str, kind: str, base: int) -> list[_Entry]:
    """The branches of a place cut at class borders: as few entries as possible."""
    key = (encoding, kind, base)
    found: list[_Entry] | None = alphabet.layouts.get(key)
    if found is None:
        found = []
        for branch in _branches(encoding, kind, base):
            if branch[2]:
                _split_places(alphabet, encoding, branch, found)
            else:
                _split_characters(alphabet, branch, found)
        alphabet.layouts[key] = found
    return found


def _split_characters(alphabet: Alphabet, branch: _Branch, into: list[_Entry]) -> None:
    first, last, _, code, _ = branch
    index = bisect_right(alphabet.starts, code) - 1
    while first <= last:
        byte = min(last, first + alphabet.ends[index] - code)
        into.append((first, byte, "", code, 1 << alphabet.classes[index]))
        code += byte - first + 1
        first = byte + 1
        index += 1


def _split_places(alphabet: Alphabet, encoding: str, branch: _Branch, into: list[_Entry]) -> None:
    first, last, kind, base, size = branch
    if not size:
        into.append((first, last, kind, base, _mask_below(alphabet, encoding, kind, base)))
        return
    ends = alphabet.ends
    index = bisect_right(alphabet.starts, base) - 1
    code = base
    while first <= last:
        while ends[index] < code:
            index += 1
        # As many bytes as lie within one interval, or one byte that a border cuts.
        count = min((ends[index] + 1 - code) // size, last + 1 - first)
        if count:
            into.append((first, first + count - 1, kind, code, 1 << alphabet.classes[index]))
        else:
            count = 1
            into.append((first, first, kind, code, alphabet.between(code, code + size - 1)))
        first += count
        code += count * size


def byte_classes(
    alphabet: Alphabet, encoding: str, kind: str, base: int
) -> tuple[npt.NDArray[np.uint8], list[tuple[str, int, int]]]:
    """Classes of the bytes that may follow in a place, and of each (kind, first code, mask of the classes below).

    Two classes more: the quote where no entry holds it, and all other bytes.
    """
    key = ("classes", encoding, kind, base)
    found: Any = alphabet.layouts.get(key)
    if found is None:
        numbers: dict[tuple[str, int, int], int] = {}
        row = [-1] * 256
        for first, last, child, code, below in _entries(alphabet, encoding, kind, base):
            # one class of characters: all lead to one target, whatever their first code is
            place = (child, code if below & below - 1 else -1, below)
            number = numbers.setdefault(place, len(numbers))
            row[first : last + 1] = [number] * (last + 1 - first)
        quote, other = len(numbers), len(numbers) + 1
        spelled = [quote if n < 0 and byte == _QUOTE else other if n < 0 else n for byte, n in enumerate(row)]
        found = alphabet.layouts[key] = np.array(spelled, np.uint8), list(numbers)
    classes: tuple[npt.NDArray[np.uint8], list[tuple[str, int, int]]] = found
    return classes


def _ways(
    alphabet: Alphabet, encoding: str, kind: str, base: int, masks: tuple[int, ...]
) -> tuple[npt.NDArray[np.uint8], list[tuple[str, int, int]]]:
    """`byte_classes` for states whose characters move by these masks: few states of a pattern differ in them.

    Of each class (kind, first code, move): first code -1 where all characters below it make that move. The last two
    classes are the quote, and the bytes that lead nowhere.
    """
    key = ("ways", encoding, kind, base, masks)
    found: Any = alphabet.layouts.get(key)
    if found is None:
        groups, entries = byte_classes(alphabet, encoding, kind, base)
        numbers: dict[tuple[str, int, int], int] = {}
        own = []
        for child, code, below in entries:
            for move, mask in enumerate(masks):
                if mask & below:
                    way = (child, -1 if mask & below == below else code, move)
                    own.append(numbers.setdefault(way, len(numbers)))
                    break
            else:
                own.append(-1)
        dead = len(numbers) + 1
        merged = np.array([*(dead if number < 0 else number for number in own), len(numbers), dead], np.uint8)
        found = alphabet.layouts[key] = merged[groups], list(numbers)
    ways: tuple[npt.NDArray[np.uint8], list[tuple[str, int, int]]] = found
    return ways


@cache
def byte_children(encoding: str, kind: str) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """Classes of the bytes that may follow in a place below which all is one, and the kind of place after each."""
    branches = _branches(encoding, kind, 0)
    groups = np.full(256, len(branches), np.uint8)
    for number, (first, last, *_) in enumerate(branches):
        groups[first : last + 1] = number
    return groups, [branch[2] for branch in branches]


def _groups_within(alphabet: Alphabet, encoding: str, mask: int) -> int:
    """Bits of the groups of bytes whose characters all lie in the classes of `mask`, as they stand in the text."""
    if not mask:
        return 0
    key = ("within", encoding, mask)
    known: int | None = alphabet.layouts.get(key)
    if known is None:
        known = alphabet.layouts[key] = _find_groups(alphabet, encoding, mask)
    return known


def group_masks(alphabet: Alphabet) -> list[int]:
    """Classes of the characters of each group of bytes."""
    masks: list[int] | None = alphabet.layouts.get(("groups", "", 0))
    if masks is None:
        masks = alphabet.layouts["groups", "", 0] = []
        for runs in GROUPS:
            below = 0
            for low, high in runs:
                below |= alphabet.between(low, high)
            masks.append(below)
    return masks


def _find_groups(alphabet: Alphabet, encoding: str, mask: int) -> int:
    found = sum(1 << bit for bit, below in enumerate(group_masks(alphabet)) if not below & ~mask)
    return CONTINUES | (found if encoding == "utf8" else found & ~(CONTROLS | QUOTING))


class ByteDfa:
    """Lazy DFA over bytes (see the protocol in `grammars.regex`): every state it hands out is live.

    In the JSON encodings the text is the content of a string and its closing quote: only the state after that quote
    accepts, and nothing follows it.
    """

    def __init__(self, chars: CharDfa, encoding: str) -> None:
        if encoding not in ENCODINGS:
            raise ValueError(f"encoding {encoding!r} is none of {', '.join(ENCODINGS)}")
        self.chars = chars
        self.encoding = encoding
        self._counts = isinstance(chars, CharDfa)  # else one that stands for it, and knows nothing of lengths
        self.key: Hashable = ("regex", encoding, chars.regex)
        self.never = NEVER[encoding]
        self._ids: dict[tuple[str, int, int], int] = {}
        self._places: list[tuple[str, int, int]] = []
        # ("", -1, q) is char state q; (kind, -1, t) a place that leads to t alone; (kind, code, q) any other place.
        self.start = -1 if chars.start < 0 else self._id(("", -1, chars.start))
        self._final = -1 if encoding == "utf8" else self._id(("final", -1, -1))

    def _id(self, place: tuple[str, int, int]) -> int:
        number = self._ids.get(place)
        if number is None:
            number = self._ids[place] = len(self._places)
            self._places.append(place)
        return number

    def place(self, kind: str, target: int) -> int:
        """The state at char state `target`, or within a character that leads there."""
        return self._id((kind, -1, target))

    def character(self, state: int) -> int:
        """The char state where a state lies between two characters, else -1."""
        kind, _, target = self._places[state]
        return -1 if kind else target

    def characters(self, state: int) -> list[int]:
        """The char states that a state is, or that the character which is begun may lead to."""
        kind, code, target = self._places[state]
        if not kind or code < 0:
            return [target]
        below = _mask_below(self.chars.alphabet, self.encoding, kind, code)
        return [t for mask, t in self.chars.moves(target) if mask & below]

    def groups_within(self, mask: int) -> int:
        """Groups of bytes (`bytegroups`) whose characters all lie in the classes of `mask`, as bits."""
        return _groups_within(self.chars.alphabet, self.encoding, mask)

    def first_bytes(self, mask: int) -> npt.NDArray[np.bool_]:
        """bool[256]: bytes that begin only characters in the classes of `mask`, or none at all."""
        key = ("first", self.encoding, mask)
        found: Any = self.chars.alphabet.layouts.get(key)
        if found is None:
            found = self.chars.alphabet.layouts[key] = np.ones(256, np.bool_)
            for first, last, _, _, below in _entries(self.chars.alphabet, self.encoding, "root", 0):
                found[first : last + 1] = not below & ~mask
        first_bytes: npt.NDArray[np.bool_] = found
        return first_bytes
    @property
    def counts(self) -> bool:
        """Whether lengths are known: not of what only stands for a character automaton."""
        return self._counts

    @property
    def final(self) -> int:
        """The state after the closing quote, -1 in UTF-8."""
        return self._final

    def name_of(self, state: int) -> tuple[str, int, int]:
        """(kind, first code, state of `chars`): no kind between characters, code -1 where all leads to that state."""
        return self._places[state]

    def state_at(self, place: tuple[str, int, int]) -> int:
        """The state of a place."""
        return self._id(place)

    def label(self, state: int) -> int:
        """0 where the text may end, else -1."""
        kind, _, target = self._places[state]
        if kind:
            return 0 if state == self._final else -1
        return 0 if self._final < 0 and self.chars.accepting(target) else -1

    def boundary(self, state: int) -> bool:
        """Between two characters of the content: not within a sequence or an escape, nor after the closing quote."""
        return not self._places[state][0]

    def hint(self, state: int) -> int:
        """About how many bytes there are to the end: what the characters to come take at least."""
        kind, _, target = self._places[state]
        return 0 if kind == "final" else self.chars.shortest(target)

    def need(self, state: int) -> int:
        """Characters that the text must still be given before it may end; the one that is begun is one of them."""
        kind, code, target = self._places[state]
        if kind == "final":
            return 0
        if not self._counts:
            return 1 if kind else 0  # asked of states that any text may follow
        if not kind:
            return self.chars.nearest(target)
        if code < 0:
            return 1 + self.chars.nearest(target)
        below = _mask_below(self.chars.alphabet, self.encoding, kind, code)
        return 1 + min(self.chars.nearest(t) for mask, t in self.chars.moves(target) if mask & below)

    def steady(self, state: int) -> tuple[int, ...]:
        """Groups (`bytegroups`) that leave the state as it is; groups of which any text of so many characters is alive;
        how many that is, and how many more it needs to end; groups of which no longer text is alive; groups that cannot
        follow a text of these.

        No end of the text lies on the way: in UTF-8 nothing is said where one could.
        """
        kind, _, target = self._places[state]
        if kind or not self._counts:
            return _UNSTEADY
        chars, encoding = self.chars, self.encoding
        loops, alphabet = chars.loops(target), chars.alphabet
        if encoding == "utf8":
            return 0 if chars.accepting(target) else _groups_within(alphabet, encoding, loops), *_UNSTEADY[1:]
        mask, most, due, last, beyond = chars.free(target)
        strict, never = mask & ~last, 0
        if strict:
            never = _groups_within(alphabet, encoding, alphabet.full & ~(mask | beyond)) | CONTROLS
        within = [_groups_within(alphabet, encoding, classes) for classes in (loops, mask, strict)]
        return within[0], within[1], most, due, within[2], never

    def agreement(self, state: int) -> int:
        """Texts of up to so many characters fare the same from this state and from its `endless`; -1: not known."""
        kind, _, target = self._places[state]
        return -1 if kind or not self._counts else self.chars.agreement(target)

    def endless(self, state: int) -> int:
        """A state of the same pattern without upper counts: nearly the same, and one for many."""
        kind, _, target = self._places[state]
        return state if kind or not self._counts else self._id(("", -1, self.chars.endless(target)))

    def shared(self, state: int) -> Hashable | None:
        """A name that such a state has in every automaton of this encoding: only where all strings may follow."""
        kind, code, target = self._places[state]
        if kind == "final":
            return (self.encoding, kind)
        if code < 0 and self.chars.is_universal(target):
            return (self.encoding, kind)
        return None

    @property
    def anything(self) -> Hashable:
        """The name of the state that any text may follow; None where a text can end anywhere."""
        return None if self.encoding == "utf8" else (self.encoding, "")

    def row(self, state: int) -> array[int]:
        """The 256 targets of a state, -1 dead."""
        groups, targets = self.classes(state)
        return array("i", [targets[group] for group in groups.tolist()])

    def following(self, state: int) -> set[int]:
        """The targets of a state."""
        found = set(self.classes(state)[1])
        found.discard(-1)
        return found

    def classes(self, state: int) -> tuple[npt.NDArray[np.uint8], list[int]]:
        """Of each byte its class, uint8[256]; the target of each class, -1 dead."""
        kind, code, char_state = self._places[state]
        if kind == "final":
            return _NO_CLASSES, [-1]
        if kind and code < 0:
            groups, children = byte_children(self.encoding, kind)
            return groups, [*(self._id((child, -1, char_state)) for child in children), -1]
        chars, ids = self.chars, self._ids
        moves = chars.moves(char_state)
        masks = tuple([mask for mask, _ in moves])
        groups, ways = _ways(chars.alphabet, self.encoding, kind or "root", max(code, 0), masks)
        targets: list[int] = []
        for child, base, piece in ways:
            place = (child, base, moves[piece][1] if base < 0 else char_state)
            number = ids.get(place)
            targets.append(self._id(place) if number is None else number)
        accepts = not kind and self._final >= 0 and chars.accepting(char_state)
        return groups, [*targets, self._final if accepts else -1, -1]
