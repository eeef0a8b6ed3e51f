"""`Regex`: a regular language of strings, as a value, and how it is lowered to terms.

A `Regex` wraps a small syntax tree of tuples; combining two is O(1). Only when an automaton is wanted are the
character sets of the whole tree collected, cut into classes (`Alphabet`) and the tree lowered to terms: an alphabet
fits the combined expression or it is useless.

Tree nodes (all tuples, hashable):
    ("set", charset)  ("cat", items)  ("alt", items)  ("rep", item, low, high|None)  ("and", items)  ("not", item)
    ("ahead", item, negated)  ("behind", item, negated)  ("closed", item)  ("base64", item)
    ("reader", value that has `charsets`, and `reader(masks)`, an automaton as `terms.Encoded`)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from grammars.regex import base64
from grammars.regex import charset as cs
from grammars.regex.charset import ALL, Charset
from grammars.regex.terms import Term, Terms

__all__ = ["Alphabet", "Node", "Regex", "lower"]

Node = tuple[Any, ...]

EMPTY: Node = ("cat", ())
NEVER: Node = ("alt", ())
ANY_CHAR: Node = ("set", ALL)
ANY: Node = ("rep", ANY_CHAR, 0, None)
BEGIN: Node = ("behind", ANY_CHAR, True)
"""At the beginning: no character stands before."""
END: Node = ("ahead", ANY_CHAR, True)
"""At the end: no character follows."""


class Alphabet:
    """The coarsest partition of Unicode in which each given charset is a union of classes.

    starts, ends, classes   parallel lists of intervals in ascending order; class -1 is the surrogate block
    mask_of                 charset -> bit mask of its classes
    """

    def __init__(self, sets: Iterable[Charset]) -> None:
        toggles: dict[int, int] = {0: 0, 0xD800: 0, 0xE000: 0}
        sets = list(sets)
        for index, charset in enumerate(sets):
            bit = 1 << index
            for low, high in charset:
                toggles[low] = toggles.get(low, 0) ^ bit
                toggles[high + 1] = toggles.get(high + 1, 0) ^ bit
        toggles.pop(0x110000, None)
        class_of: dict[int, int] = {}
        starts: list[int] = []
        classes: list[int] = []
        signature = 0
        for code in sorted(toggles):
            signature ^= toggles[code]
            number = -1 if code == 0xD800 else class_of.setdefault(signature, len(class_of))
            if not classes or classes[-1] != number:
                starts.append(code)
                classes.append(number)
        self.starts, self.classes = starts, classes
        self.ends = [code - 1 for code in starts[1:]] + [0x10FFFF]
        self.full = (1 << len(class_of)) - 1
        masks = [0] * len(sets)
        for signature, number in class_of.items():
            bit = 1 << number
            while signature:
                low_bit = signature & -signature
                masks[low_bit.bit_length() - 1] |= bit
                signature ^= low_bit
        self.mask_of = dict(zip(sets, masks, strict=True))
        self.layouts: dict[tuple[Any, ...], Any] = {}

    def class_at(self, code: int) -> int:
        """Class of a code point; -1 for a surrogate."""
        return self.classes[bisect_right(self.starts, code) - 1]

    def between(self, low: int, high: int) -> int:
        """Mask of the classes that occur in low..high."""
        mask = 0
        for index in range(bisect_right(self.starts, low) - 1, bisect_right(self.starts, high)):
            if self.classes[index] >= 0:
                mask |= 1 << self.classes[index]
        return mask


@lru_cache(maxsize=512)
def alphabet_for(sets: frozenset[Charset]) -> Alphabet:
    """Alphabets are shared: patterns of one application repeat the same few sets."""
    return Alphabet(sorted(sets))


def collect(node: Node, into: set[Charset]) -> None:
    """The charsets of a tree."""
    kind = node[0]
    if kind == "set":
        into.add(node[1])
    elif kind == "base64":
        into.update(base64.CHARSETS)
    elif kind == "reader":
        into.update(node[1].charsets)
    elif kind in ("cat", "alt", "and"):
        for item in node[1]:
            collect(item, into)
    else:
        collect(node[1], into)


def has_assertions(node: Node) -> bool:
    """Does the tree look at text outside of itself?"""
    kind = node[0]
    if kind in ("cat", "alt", "and"):
        return any(has_assertions(item) for item in node[1])
    if kind in ("rep", "not"):
        return has_assertions(node[1])
    return kind in ("ahead", "behind")


def nullable(node: Node) -> bool:
    """Is the empty text in the language of an assertion-free tree?"""
    kind = node[0]
    if kind in ("cat", "and"):
        return all(nullable(item) for item in node[1])
    if kind == "alt":
        return any(nullable(item) for item in node[1])
    if kind == "rep":
        return node[2] == 0 or nullable(node[1])
    if kind == "not":
        return not nullable(node[1])
    return kind in ("closed", "base64", "reader") and Regex(node).matches("")


def lower(node: Node, terms: Terms, mask_of: dict[Charset, int]) -> Term:
    """The term of a tree."""
    kind = node[0]
    if kind == "set":
        return terms.chars(mask_of[node[1]])
    if kind == "cat":
        term = terms.empty
        for item in reversed(node[1]):
            term = terms.cat(lower(item, terms, mask_of), term)
        return term
    if kind == "alt":
        return terms.alt([lower(item, terms, mask_of) for item in node[1]])
    if kind == "rep":
        return terms.rep(lower(node[1], terms, mask_of), node[2], node[3])
    if kind == "and":
        return terms.both([lower(item, terms, mask_of) for item in node[1]])
    if kind == "base64":
        reader = base64.Base64(Regex(node[1]), [mask_of[charset] for charset in base64.CHARSETS])
        return terms.encoded(reader, reader.start) if reader.start is not None else terms.never
    if kind == "reader":
        own = node[1].reader([mask_of[charset] for charset in node[1].charsets])
        return terms.encoded(own, own.start)
    inner = lower(node[1], terms, mask_of)
    if kind == "not":
        return terms.negate(inner)
    if kind == "closed":
        return terms.closed(inner)
    if kind == "ahead":
        return terms.ahead(terms.cat(inner, terms.all), node[2])
    return terms.behind(terms.cat(terms.all, inner), node[2])


def searching(node: Node) -> Node:
    """The tree of all texts in which `node` matches somewhere; anchors at its edges cost nothing."""
    if node[0] == "alt":
        return alternatives([searching(item) for item in node[1]])
    items = list(node[1]) if node[0] == "cat" else [node]
    left, right, items = _strip_anchors(items)
    if len(items) == 1 and items[0][0] == "alt" and left and right:
        return searching(items[0])
    inner: Node = ("cat", tuple(items)) if len(items) != 1 else items[0]
    if (left or right) and not has_assertions(inner) and nullable(inner):
        return ANY
    if not left and not right:
        return inner
    return ("cat", ((ANY,) if left else ()) + tuple(items) + ((ANY,) if right else ()))


def whole(node: Node) -> Node:
    """`node` as a pattern for the whole text: anchors at its edges say nothing."""
    if node[0] == "alt":
        return alternatives([whole(item) for item in node[1]])
    items = _strip_anchors(list(node[1]) if node[0] == "cat" else [node])[2]
    return ("cat", tuple(items)) if len(items) != 1 else items[0]


def _strip_anchors(items: list[Node]) -> tuple[bool, bool, list[Node]]:
    start, stop = 0, len(items)
    while start < stop and items[start] == BEGIN:
        start += 1
    while stop > start and items[stop - 1] == END:
        stop -= 1
    return start == 0, stop == len(items), items[start:stop]


def alternatives(items: list[Node]) -> Node:
    """Union of trees; one that holds all texts swallows the rest."""
    if ANY in items:
        return ANY
    unique = tuple(dict.fromkeys(items)) if len(items) > 1 else tuple(items)
    return unique[0] if len(unique) == 1 else ("alt", unique)


class Regex:
    """An immutable language of strings (over Unicode scalar values); equal trees compare equal."""

    __slots__ = ("_hash", "node")

    def __init__(self, node: Node) -> None:
        self.node = node
        self._hash = hash(node)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Regex) and (self is other or (self._hash == other._hash and self.node == other.node))

    def __repr__(self) -> str:
        return f"Regex({self.node!r})"

    # --- making -------------------------------------------------------------------------------------------------

    @staticmethod
    def literal(text: str) -> Regex:
        """Exactly `text`."""
        items = tuple(("set", ((ord(c), ord(c)),)) for c in text)
        return Regex(items[0] if len(items) == 1 else ("cat", items))

    @staticmethod
    def literals(texts: Iterable[str]) -> Regex:
        """Exactly these texts."""
        return Regex(alternatives([Regex.literal(text).node for text in texts]))

    @staticmethod
    def any_of(languages: Iterable[Regex]) -> Regex:
        """The union of many languages."""
        return Regex(alternatives([language.node for language in languages]))

    @staticmethod
    def sequence(languages: Iterable[Regex]) -> Regex:
        """A text of each language in turn; as many `concat`, in one go."""
        return Regex(("cat", tuple(item for one in languages for item in _items("cat", _fence(one.node)))))

    @staticmethod
    def any_string() -> Regex:
        """All strings."""
        return Regex(ANY)

    @staticmethod
    def never() -> Regex:
        """No string."""
        return Regex(NEVER)

    @staticmethod
    def chars(charset: Charset) -> Regex:
        """One character of `charset` (sorted ranges; see `charset.normalise`)."""
        return Regex(("set", charset) if charset else NEVER)

    @staticmethod
    def length(low: int, high: int | None = None) -> Regex:
        """All strings of `low` to `high` code points (None: no upper bound)."""
        return Regex(("rep", ANY_CHAR, low, high))

    # --- combining ----------------------------------------------------------------------------------------------

    def __and__(self, other: Regex) -> Regex:
        if self.node == ANY or self.node == other.node:
            return other
        if other.node == ANY:
            return self
        items = tuple(dict.fromkeys(_items("and", self.node) + _items("and", other.node)))
        return Regex(("and", items))

    def __or__(self, other: Regex) -> Regex:
        return Regex(alternatives([*_items("alt", self.node), *_items("alt", other.node)]))

    def __invert__(self) -> Regex:
        return Regex(self.node[1] if self.node[0] == "not" else ("not", self.node))

    def __sub__(self, other: Regex) -> Regex:
        return self & ~other

    def concat(self, other: Regex) -> Regex:
        """A text of this language and then one of `other`; assertions of each see their own part only."""
        return Regex(("cat", _items("cat", _fence(self.node)) + _items("cat", _fence(other.node))))

    def repeat(self, low: int, high: int | None = None) -> Regex:
        """`low` to `high` texts of this language in a row."""
        return Regex(("rep", _fence(self.node), low, high))

    def in_base64(self) -> Regex:
        """What RFC 4648 makes of a language of bytes (its characters are U+0000 to U+00FF)."""
        return Regex(("base64", self.node))

    @staticmethod
    def read_by(value: Any) -> Regex:
        """What an automaton made by hand reads: a hashable value with `charsets`, and `reader(masks)` (see `_leap`)."""
        return Regex(("reader", value))

    # --- asking -------------------------------------------------------------------------------------------------

    def is_empty(self, budget: int = 50_000) -> bool:
        """No string at all? Explores at most `budget` states, then raises BudgetExceeded."""
        from grammars.regex.chardfa import is_empty

        return is_empty(self, budget)

    def is_universal(self) -> bool:
        """True: surely all strings. False: not recognised as such (cheap, by simplification only)."""
        from grammars.regex.chardfa import start_term

        terms, _, term = start_term(self)
        return term is terms.all

    def matches(self, text: str) -> bool:
        """Is `text`, as a whole, in the language?"""
        from grammars.regex.chardfa import CharDfa

        return CharDfa(self).matches(text)

    def example(self, budget: int = 50_000) -> str:
        """A short string of the language, printable where possible; ValueError when there is none."""
        from grammars.regex.chardfa import CharDfa

        return CharDfa(self, max_states=budget).example()

    def counted(self) -> tuple[Charset, int, int | None] | None:
        """(C, low, high) when the language is exactly the strings of low..high characters of C, and says so plainly."""
        return _counted(self.node)


def _items(kind: str, node: Node) -> tuple[Node, ...]:
    return node[1] if node[0] == kind else (node,)


def _fence(node: Node) -> Node:
    return ("closed", node) if has_assertions(node) else node


def _counted(node: Node) -> tuple[Charset, int, int | None] | None:
    kind = node[0]
    if kind == "set":
        return (node[1], 1, 1) if node[1] else None
    if kind == "rep":
        inner = _counted(node[1])
        if inner is None or node[3] == 0:
            return None
        if inner[1:] == (1, 1):
            return inner[0], node[2], node[3]
        if inner[1] <= 1 and inner[2] is None and node[3] is None:
            return inner[0], inner[1] * node[2], None
        return None
    if kind in ("cat", "and") and node[1]:
        parts = [_counted(item) for item in node[1]]
        first = parts[0]
        if first is None:
            return None
        charset, low, high = first
        for part in parts[1:]:
            if part is None:
                return None
            if kind == "cat":
                if part[0] != charset:
                    return None
                low += part[1]
                high = None if high is None or part[2] is None else high + part[2]
            else:
                charset = cs.intersect(charset, part[0])
                low = max(low, part[1])
                high = part[2] if high is None else high if part[2] is None else min(high, part[2])
        if not charset or (high is not None and (low > high or high == 0)):
            return None
        return charset, low, high
    if kind == "alt" and len(node[1]) == 1:
        return _counted(node[1][0])
    return None
