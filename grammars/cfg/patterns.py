"""Python `re` patterns as trees that keep what a backtracking matcher prefers: order of branches, greed, assertions.

`re` itself reads the pattern, so syntax and flags are exactly its own. Sets of characters become ranges: classes by
asking `re` about every character at once, letters under IGNORECASE by the table that `re` folds with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from grammars.errors import RegexError
from grammars.regex import charset as cs
from grammars.regex.charset import Charset

__all__ = ["Ahead", "Alt", "Behind", "Cat", "Chars", "Rep", "Tree", "ends_in", "least_width", "read_pattern"]


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set."""

    charset: Charset


@dataclass(frozen=True, slots=True)
class Cat:
    """One after the other."""

    items: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """The first that leads to a match."""

    items: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Rep:
    """Repetition: `most` None is without end; a lazy one stops as soon as it can."""

    body: Tree
    least: int
    most: int | None
    lazy: bool


@dataclass(frozen=True, slots=True)
class Ahead:
    """What follows begins with `body`, or (negated) does not."""

    body: Tree
    negated: bool


@dataclass(frozen=True, slots=True)
class Behind:
    """What was read ends with `body`, or (negated) does not."""

    body: Tree
    negated: bool


Tree = Chars | Cat | Alt | Rep | Ahead | Behind

NOTHING = Cat(())
_ANY = Chars(cs.ALL)
_NEWLINE = Chars(cs.from_chars("\n"))
_NO_NEWLINE = Chars(cs.complement(cs.from_chars("\n")))
_MAX_REPEAT = 1_000


def least_width(tree: Tree) -> int:
    """Characters that a match takes at least."""
    if isinstance(tree, Chars):
        return 1
    if isinstance(tree, Cat):
        return sum(map(least_width, tree.items))
    if isinstance(tree, Alt):
        return min(map(least_width, tree.items))
    if isinstance(tree, Rep):
        return tree.least * least_width(tree.body) if tree.least else 0
    return 0


def ends_in(tree: Tree, charset: Charset) -> bool:
    """Whether every match ends with a character of the set."""
    if isinstance(tree, Chars):
        return cs.intersect(tree.charset, charset) == tree.charset
    if isinstance(tree, Alt):
        return all(ends_in(item, charset) for item in tree.items)
    if isinstance(tree, Rep):
        return tree.least > 0 and ends_in(tree.body, charset)
    if isinstance(tree, Cat):
        for item in reversed(tree.items):
            if ends_in(item, charset):
                return True
            if not (isinstance(item, Rep) and ends_in(Rep(item.body, 1, None, False), charset)):
                return False
    return False


def read_pattern(pattern: str, flags: int = 0) -> Tree:
    """The tree of a pattern under `re` flags. `RegexError` for what `re` refuses, or no automaton can do."""
    parser: Any = re._parser
    try:
        parsed = parser.parse(pattern, flags)
    except (re.error, OverflowError) as error:
        raise RegexError(pattern, getattr(error, "pos", None) or 0, f"{error}.") from error
    return _Reader(pattern).sequence(parsed, parsed.state.flags | flags)


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    def refuse(self, what: str, remedy: str) -> RegexError:
        return RegexError(self.pattern, 0, f"{what} cannot be compiled to an automaton.", remedy, width=0)

    def sequence(self, parsed: Any, flags: int) -> Tree:
        items: list[Tree] = []
        for code, value in parsed:
            word = self.word(flags)
            if str(code) == "AT" and str(value) == "AT_BOUNDARY" and ends_in(Cat(tuple(items)), word.charset):
                items.append(Ahead(word, True))  # as after a keyword: what was read ends in a letter anyway
            else:
                items.append(self.item(str(code), value, flags))
        return items[0] if len(items) == 1 else Cat(tuple(items))

    def item(self, code: str, value: Any, flags: int) -> Tree:
        if code in ("LITERAL", "NOT_LITERAL"):
            return Chars(_literals(((value, value),), (), code != "LITERAL", flags))
        if code == "ANY":
            return _ANY if flags & re.DOTALL else _NO_NEWLINE
        if code == "IN":
            return self.listed(value, flags)
        if code == "BRANCH":
            return Alt(tuple(self.sequence(branch, flags) for branch in value[1]))
        if code == "SUBPATTERN":
            _, added, removed, body = value
            return self.sequence(body, (flags | added) & ~removed)
        if code in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, body = value
            high = None if str(most) == "MAXREPEAT" else int(most)
            if max(least, high or 0) > _MAX_REPEAT:
                raise self.refuse(f"more than {_MAX_REPEAT:,} repetitions in a terminal", "Lower the bound.")
            return Rep(self.sequence(body, flags), int(least), high, code == "MIN_REPEAT")
        if code in ("ASSERT", "ASSERT_NOT"):
            direction, body = value
            tree = self.sequence(body, flags)
            if direction < 0:
                return Behind(tree, code == "ASSERT_NOT")
            return Ahead(tree, code == "ASSERT_NOT")
        if code == "AT":
            return self.position(str(value), flags)
        if code == "FAILURE":
            return Chars(())
        if code in ("GROUPREF", "GROUPREF_EXISTS"):
            raise self.refuse("a reference to a group", "Write the cases out.")
        raise self.refuse("an atomic group or a possessive quantifier", "Use (?:...) or a greedy quantifier.")

    def listed(self, items: Any, flags: int) -> Tree:
        ranges: list[tuple[int, int]] = []
        categories: list[str] = []
        negated = False
        for code, value in items:
            kind = str(code)
            if kind == "NEGATE":
                negated = True
            elif kind == "LITERAL":
                ranges.append((value, value))
            elif kind == "RANGE":
                ranges.append((value[0], value[1]))
            else:
                categories.append(str(value))
        return Chars(_literals(tuple(ranges), tuple(categories), negated, flags))

    def word(self, flags: int) -> Chars:
        """What \\w matches."""
        return Chars(_literals((), ("CATEGORY_WORD",), False, flags & ~re.IGNORECASE))

    def position(self, code: str, flags: int) -> Tree:
        if code in ("AT_BEGINNING", "AT_BEGINNING_STRING"):
            if code == "AT_BEGINNING" and flags & re.MULTILINE:
                return Behind(_NO_NEWLINE, True)
            raise self.refuse("the start of the text in a terminal", "Leave out ^ and \\A.")
        if code == "AT_END_STRING":
            return Ahead(_ANY, True)
        if code == "AT_END":
            if flags & re.MULTILINE:
                return Ahead(_NO_NEWLINE, True)
            return Ahead(Alt((_NO_NEWLINE, Cat((_NEWLINE, _ANY)))), True)
        word = self.word(flags)
        before, after = Behind(word, False), Ahead(word, False)
        not_before, not_after = Behind(word, True), Ahead(word, True)
        if code == "AT_BOUNDARY":
            return Alt((Cat((before, not_after)), Cat((not_before, after))))
        assert code == "AT_NON_BOUNDARY", code
        return Alt((Cat((before, after)), Cat((not_before, not_after))))


# ---------------------------------------------------------------------------------------------------- characters

_CATEGORIES = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}
_CASED = 0x1EA00  # no letter from here on has another case


@lru_cache(maxsize=1)
def _everything() -> str:
    return "".join(map(chr, range(0x110000)))


@lru_cache(maxsize=16)
def _category(name: str, ascii_only: bool) -> Charset:
    """The characters of CATEGORY_DIGIT, CATEGORY_NOT_DIGIT, ... as `re` sees them."""
    word = name.removeprefix("CATEGORY_").removeprefix("UNI_")
    negated = word.startswith("NOT_")
    letter = _CATEGORIES[word.removeprefix("NOT_")]
    found = re.compile(f"\\{letter}+", re.ASCII if ascii_only else 0)
    text = _everything()[:128] if ascii_only else _everything()
    charset = cs.normalise((m.start(), m.end() - 1) for m in found.finditer(text))
    return cs.complement(charset) if negated else charset


@lru_cache(maxsize=2)
def _lowered(ascii_only: bool) -> npt.NDArray[np.int32]:
    """The lower case of the code points below _CASED, as `re` folds it; the others are their own."""
    sre: Any = __import__("_sre")
    fold = sre.ascii_tolower if ascii_only else sre.unicode_tolower
    return np.fromiter(map(fold, range(_CASED)), np.int32, _CASED)


@lru_cache(maxsize=1)
def _more_cases() -> dict[int, tuple[int, ...]]:
    """Lower-case letters that match each other under IGNORECASE (as the Kelvin sign does k)."""
    table: Any = __import__("re._casefix", fromlist=["_"])
    return dict(table._EXTRA_CASES)


@lru_cache(maxsize=1024)
def _literals(ranges: tuple[tuple[int, int], ...], categories: tuple[str, ...], negated: bool, flags: int) -> Charset:
    """A bracket's characters under the flags."""
    ascii_only = bool(flags & re.ASCII)
    if not flags & re.IGNORECASE:
        found = cs.normalise([*ranges, *(pair for name in categories for pair in _category(name, ascii_only))])
        return cs.complement(found) if negated else found
    lower = _lowered(ascii_only)
    member = np.zeros(_CASED, bool)
    for low, high in ranges:
        member[lower[low : high + 1]] = True
        if not ascii_only:
            for code, others in _more_cases().items():
                if member[code]:
                    member[list(others)] = True
    listed = [pair for name in categories for pair in _category(name, ascii_only)]
    for low, high in listed:
        member[low : high + 1] = True
    edges = np.flatnonzero(np.diff(np.concatenate(([False], member[lower], [False])).astype(np.int8)))
    above = [(max(low, _CASED), high) for low, high in (*ranges, *listed) if high >= _CASED]
    found = cs.normalise([*((int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)), *above])
    return cs.complement(found) if negated else found
