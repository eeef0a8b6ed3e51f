"""Pattern text to tree: ECMA-262 (as JSON Schema uses it) and Python `re`, told apart by `dialect`.

The parser is one recursive descent over the pattern. What no automaton can do is refused with the offset and a way
out: back-references, conditionals, atomic groups and possessive quantifiers over what may end in two ways. Choices
that are not obvious:
  - \\d \\w \\b are ASCII in both dialects, \\s is ECMA's white space in "ecma" and ASCII's in "python", where (?u)
    makes them Python's own of all Unicode;
  - $ without the m flag is the very end in both (Python's own also matches before a final newline);
  - "ecma" is lenient as browsers are without the u flag: identity escapes of punctuation, lone { ] }; but escapes of
    letters that mean something in other dialects (\\A, \\Z, \\h ...) are refused rather than taken for the letter;
  - lazy quantifiers are accepted: they change what is captured, not which texts match;
  - \\p{..} knows general categories; scripts are refused (the standard library has no table of them).
"""

from __future__ import annotations

from functools import cache, lru_cache
from math import inf
from typing import NoReturn

from grammars.errors import RegexError
from grammars.regex import charset as cs
from grammars.regex.charset import Charset
from grammars.regex.language import (
    ANY_CHAR,
    BEGIN,
    EMPTY,
    END,
    NEVER,
    Node,
    Regex,
    alternatives,
    has_assertions,
    searching,
    whole,
)

__all__ = ["parse"]

_DIGIT: Charset = ((0x30, 0x39),)
_WORD: Charset = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE_ASCII = cs.from_chars("\t\n\v\f\r ")
_SPACE_ECMA = cs.union(
    _SPACE_ASCII, ((0x2000, 0x200A),), cs.from_chars("\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff")
)
_NEWLINES = {"ecma": cs.from_chars("\n\r\u2028\u2029"), "python": cs.from_chars("\n")}
_CONTROLS = {"n": 10, "r": 13, "t": 9, "v": 11, "f": 12}
_MAX_REPEAT = 1_000_000


@cache
def _unicode(letter: str) -> Charset:
    """What \\d, \\w or \\s is in Python's own Unicode patterns."""
    matches = {"d": str.isdecimal, "w": str.isalnum, "s": str.isspace}[letter]
    found = [code for code in range(0x110000) if matches(chr(code))]
    return cs.normalise([(code, code) for code in found] + ([(0x5F, 0x5F)] if letter == "w" else []))


@lru_cache(maxsize=4096)
def parse(pattern: str, *, dialect: str = "ecma", search: bool) -> Regex:
    """The language of `pattern`.

    search=True: texts in which the pattern matches somewhere (JSON Schema's `pattern`); False: as a whole.
    Raises RegexError with the offset of what is malformed or not regular.
    """
    if dialect not in _NEWLINES:
        raise ValueError(f"dialect {dialect!r} is neither 'ecma' nor 'python'")
    tree = _Parser(pattern, dialect).parse()
    return Regex(searching(tree) if search else whole(tree))


class _Parser:
    def __init__(self, pattern: str, dialect: str) -> None:
        self.pattern = pattern
        self.dialect = dialect
        self.ecma = dialect == "ecma"
        self.at = 0
        self.groups = 0
        self.ignore_case = self.multiline = self.dot_all = self.verbose = self.unicode = False

    def fail(self, problem: str, remedy: str = "", offset: int | None = None, width: int = 1) -> NoReturn:
        raise RegexError(self.pattern, self.at if offset is None else offset, problem, remedy, width=width)

    def peek(self, count: int = 1) -> str:
        return self.pattern[self.at : self.at + count]

    def eat(self, text: str) -> bool:
        if self.pattern.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    # --- structure ----------------------------------------------------------------------------------------------

    def parse(self) -> Node:
        try:
            tree = self.disjunction()
        except RecursionError:
            self.fail("groups are nested too deeply.", "Flatten the pattern.")
        if self.at < len(self.pattern):
            self.fail("this parenthesis closes nothing.", "Escape it: \\)")
        return tree

    def disjunction(self) -> Node:
        branches = [self.sequence()]
        while self.eat("|"):
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else alternatives(branches)

    def sequence(self) -> Node:
        items: list[Node] = []
        while self.skip_blanks() and self.pattern[self.at] not in "|)":
            item = self.quantified()
            if item[0] == "cat":
                items.extend(item[1])
            else:
                items.append(item)
        return items[0] if len(items) == 1 else ("cat", tuple(items))

    def skip_blanks(self) -> bool:
        """Go over blanks and comments where the x flag is on. Whether anything is left."""
        while self.verbose and self.at < len(self.pattern):
            if self.pattern[self.at] == "#":
                end = self.pattern.find("\n", self.at)
                self.at = end if end >= 0 else len(self.pattern)
            elif self.pattern[self.at] in " \t\n\r\f\v":
                self.at += 1
            else:
                break
        return self.at < len(self.pattern)

    def quantified(self) -> Node:
        start = self.at
        item, repeatable = self.atom()
        self.skip_blanks()
        bounds = self.quantifier()
        if bounds is None:
            return item
        if not repeatable:
            self.fail("there is nothing to repeat here.", "Remove the quantifier.", start)
        low, high = bounds
        possessive = False
        if not self.eat("?") and self.peek() == "+":
            possessive = not self.ecma and _decides(item)
            if not possessive:
                remedy = "Remove the second '+', unless what is repeated may end in two ways from one start."
                self.fail("this possessive quantifier cannot be compiled to an automaton.", remedy)
            self.at += 1
        self.skip_blanks()
        after = self.at
        if self.quantifier() is not None:
            self.fail("a quantifier cannot be repeated.", "Put the first part in a group: (?:...)", after)
        return _keeping(item, low, high) if possessive else ("rep", item, low, high)

    def quantifier(self) -> tuple[int, int | None] | None:
        char = self.peek()
        if char == "*":
            self.at += 1
            return 0, None
        if char == "+":
            self.at += 1
            return 1, None
        if char == "?":
            self.at += 1
            return 0, 1
        if char != "{":
            return None
        return self.braces()

    def braces(self) -> tuple[int, int | None] | None:
        """{m}, {m,}, {m,n} (and {,n} in Python); anything else in braces is literal text."""
        end = self.pattern.find("}", self.at)
        if end < 0:
            return None
        first, comma, second = self.pattern[self.at + 1 : end].partition(",")
        digits = first + second
        if not (digits == "" or (digits.isascii() and digits.isdigit())):
            return None
        if not first and (self.ecma or not second):
            return None
        low = int(first or 0)
        high = low if not comma else int(second) if second else None
        if high is not None and high < low:
            self.fail("the bounds of this repetition are out of order.", "Swap them.", width=end + 1 - self.at)
        if max(low, high or 0) > _MAX_REPEAT:
            self.fail(f"more than {_MAX_REPEAT:,} repetitions.", "Lower the bound.", width=end + 1 - self.at)
        self.at = end + 1
        return low, high

    # --- atoms --------------------------------------------------------------------------------------------------

    def atom(self) -> tuple[Node, bool]:
        """One atom, and whether a quantifier may follow it."""
        char = self.pattern[self.at]
        if char == "(":
            return self.group()
        if char == "[":
            return self.bracket(), True
        if char == "\\":
            return self.escape()
        if (char == "{" and self.braces() is not None) or char in "*+?":
            self.fail("there is nothing to repeat here.", "Escape it with a backslash to match it literally.")
        self.at += 1
        if char == ".":
            return (ANY_CHAR if self.dot_all else ("set", cs.complement(_NEWLINES[self.dialect]))), True
        if char == "^":
            return (self.line_start() if self.multiline else BEGIN), False
        if char == "$":
            return (self.line_end() if self.multiline else END), False
        if char < "\ud800" and not self.ignore_case:
            return _single(char), True
        return self.chars(((ord(char), ord(char)),)), True

    def chars(self, charset: Charset) -> Node:
        """A node for one character of `charset`, under the flags."""
        charset = cs.clip(charset)
        if self.ignore_case:
            charset = cs.fold_case(charset)
        return ("set", charset) if charset else NEVER

    def line_start(self) -> Node:
        return alternatives([BEGIN, ("behind", ("set", _NEWLINES[self.dialect]), False)])

    def line_end(self) -> Node:
        return alternatives([END, ("ahead", ("set", _NEWLINES[self.dialect]), False)])

    def group(self) -> tuple[Node, bool]:
        start = self.at
        self.at += 1
        flags = self.ignore_case, self.multiline, self.dot_all, self.verbose, self.unicode
        wrap: tuple[str, bool] | None = None
        if self.eat("?"):
            wrap, done = self.group_kind(start)
            if done is not None:
                return done, False
        else:
            self.groups += 1
        inner = self.disjunction()
        if not self.eat(")"):
            self.fail("this group is never closed.", "Add a ')'.", start)
        self.ignore_case, self.multiline, self.dot_all, self.verbose, self.unicode = flags
        if wrap is None:
            return inner, True
        if wrap[0] == "atomic":
            if not _decides(inner):
                self.fail("this atomic group cannot be compiled to an automaton.", "Use (?:...) instead.", start, 3)
            return inner, True
        if wrap[0] == "behind":
            node = _looking_behind(inner, wrap[1])
            if node is None:
                remedy = "Move the look-ahead ($ and \\b are such) to the end of the group or behind it."
                self.fail("a look-ahead inside a look-behind cannot be compiled to an automaton.", remedy, start, 4)
            return node, False
        return (wrap[0], inner, wrap[1]), self.ecma

    def group_kind(self, start: int) -> tuple[tuple[str, bool] | None, Node | None]:
        """What follows '(?': the assertion to wrap the group in, or the whole node when there is nothing inside."""
        for text, wrap in (("=", ("ahead", False)), ("!", ("ahead", True))):
            if self.eat(text):
                return wrap, None
        for text, wrap in (("<=", ("behind", False)), ("<!", ("behind", True))):
            if self.eat(text):
                return wrap, None
        if self.eat(":"):
            return None, None
        if self.eat("<") or self.eat("P<"):
            end = self.pattern.find(">", self.at)
            name = self.pattern[self.at : end] if end > 0 else ""
            if not name.replace("$", "_").isidentifier():
                self.fail("a group name is expected here.", "Use letters, digits and _.")
            self.at = end + 1
            self.groups += 1
            return None, None
        if self.eat("#"):
            end = self.pattern.find(")", self.at)
            if end < 0:
                self.fail("this comment is never closed.", "Add a ')'.", start)
            self.at = end + 1
            return None, EMPTY
        if not self.ecma and self.eat(">"):
            return ("atomic", False), None
        if self.peek() == ">":
            self.fail("an atomic group cannot be compiled to an automaton.", "Use (?:...) instead.", start, 3)
        if self.peek() == "(":
            self.fail("a conditional group cannot be compiled to an automaton.", "Write both cases out.", start, 3)
        if self.peek(2) == "P=":
            self.refuse_reference(start, 4)
        return self.flags(start)

    def flags(self, start: int) -> tuple[None, Node | None]:
        on = True
        while True:
            char = self.peek()
            self.at += 1
            if char == "-" and on:
                on = False
            elif char == "i":
                self.ignore_case = on
            elif char == "m":
                self.multiline = on
            elif char == "s":
                self.dot_all = on
            elif char == "x" and not self.ecma:
                self.verbose = on
            elif char in ("a", "u") and char and on:
                self.unicode = char == "u" and not self.ecma
            elif char == ":":
                return None, None
            elif char == ")" and on:
                if start != 0:
                    self.fail("flags for the whole pattern must stand at its start.", "Use (?i:...).", start)
                return None, EMPTY
            else:
                self.at -= 1
                known = "Known flags are i, m and s." if self.ecma else "Known flags are i, m, s, x, a and u."
                self.fail("this kind of group is not known.", known, start, self.at - start)

    def refuse_reference(self, start: int, width: int) -> NoReturn:
        self.fail("a back-reference cannot be compiled to an automaton.", "Write the cases out.", start, width)

    # --- escapes ------------------------------------------------------------------------------------------------

    def escape(self) -> tuple[Node, bool]:
        start = self.at
        char = self.pattern[start + 1 : start + 2]
        if char in ("b", "B") and char:
            self.at += 2
            return _word_border(char == "B", _unicode("w") if self.unicode else _WORD), False
        if not self.ecma and char in ("A", "Z", "z") and char:
            self.at += 2
            return (BEGIN if char == "A" else END), False
        if char == "k" or (char and char in "123456789"):
            self.refuse_reference(start, 2)
        return self.chars(self.class_escape(in_class=False)), True

    def class_escape(self, in_class: bool) -> Charset:
        """An escape that stands for characters; the position is on the backslash."""
        start = self.at
        char = self.pattern[start + 1 : start + 2]
        if not char:
            self.fail("a backslash at the end escapes nothing.", "Write \\\\ for a backslash.", start)
        self.at += 2
        lower = char.lower()
        if lower in "dws":
            found = _DIGIT if lower == "d" else _WORD if lower == "w" else self.space()
            if self.unicode:
                found = _unicode(lower)
            return cs.complement(found) if char.isupper() else found
        if lower == "p":
            return self.property(start, negated=char == "P")
        code = self.code_escape(char, start, in_class)
        return ((code, code),)

    def space(self) -> Charset:
        return _SPACE_ECMA if self.ecma else _SPACE_ASCII

    def code_escape(self, char: str, start: int, in_class: bool) -> int:
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "b" and in_class:
            return 8
        if char == "a" and not self.ecma:
            return 7
        if char == "0" and not self.peek().isdigit():
            return 0
        if char == "x":
            return self.hex_digits(2, start)
        if char == "u":
            return self.unicode_escape(start)
        if char == "U" and not self.ecma:
            return self.hex_digits(8, start)
        if char == "c" and self.ecma and self.peek().isascii() and self.peek().isalpha():
            self.at += 1
            return ord(self.pattern[self.at - 1]) % 32
        if char.isascii() and char.isalnum():
            self.fail(
                f"the escape \\{char} is not known.", f"Write {char} for the letter itself, without a backslash.",
                start, 2,
            )  # fmt: skip
        return ord(char)

    def hex_digits(self, count: int, start: int) -> int:
        digits = self.peek(count)
        if len(digits) < count or any(c not in "0123456789abcdefABCDEF" for c in digits):
            self.fail(f"{count} hexadecimal digits are expected.", "", start, self.at - start)
        self.at += count
        return int(digits, 16)

    def unicode_escape(self, start: int) -> int:
        if self.ecma and self.eat("{"):
            end = self.pattern.find("}", self.at)
            digits = self.pattern[self.at : end] if end > 0 else ""
            if not digits or any(c not in "0123456789abcdefABCDEF" for c in digits) or int(digits, 16) > 0x10FFFF:
                self.fail("a code point in hexadecimal is expected.", "As in \\u{1F600}.", start, 3)
            self.at = end + 1
            return int(digits, 16)
        code = self.hex_digits(4, start)
        if 0xD800 <= code < 0xDC00 and self.peek(2) == "\\u":
            back = self.at
            self.at += 2
            low = self.hex_digits(4, back)
            if 0xDC00 <= low < 0xE000:
                return 0x10000 + ((code - 0xD800) << 10) + low - 0xDC00
            self.at = back
        return code

    def property(self, start: int, negated: bool) -> Charset:
        end = self.pattern.find("}", self.at)
        if not self.eat("{") or end < 0:
            self.fail("a property in braces is expected.", "As in \\p{L}.", start, 2)
        name = self.pattern[self.at : end]
        self.at = end + 1
        if name.startswith("^"):
            name, negated = name[1:], not negated
        key, _, value = name.rpartition("=")
        found = cs.category(value) if key in ("", "gc", "General_Category") else None
        if found is None:
            found = cs.script_or_binary(name)
        if found is None:
            self.fail(
                f"the property {name!r} is not known.",
                "General categories, scripts and binary properties are; write ranges for the rest.",
                start,
                self.at - start,
            )
        return cs.complement(found) if negated else found

    # --- bracket expressions ------------------------------------------------------------------------------------

    def bracket(self) -> Node:
        start = self.at
        self.at += 1
        negated = self.eat("^")
        parts: list[tuple[int, int]] = []
        first = True
        while True:
            if self.at >= len(self.pattern):
                self.fail("this character class is never closed.", "Add a ']', or escape the '['.", start)
            if self.peek() == "]" and (self.ecma or not first):
                self.at += 1
                break
            first = False
            self.class_range(parts)
        charset = cs.normalise(parts)
        if self.ignore_case:
            charset = cs.fold_case(charset)
        if negated:
            charset = cs.complement(charset)
        return ("set", charset) if charset else NEVER

    def class_range(self, parts: list[tuple[int, int]]) -> None:
        start = self.at
        low = self.class_atom()
        if self.peek() != "-" or self.peek(2) in ("-]", "-"):
            parts.extend(low)
            return
        self.at += 1
        high = self.class_atom()
        if len(low) != 1 or low[0][0] != low[0][1] or len(high) != 1 or high[0][0] != high[0][1]:
            # [\w-x] is three things in browsers and an error in Python
            if not self.ecma:
                self.fail("a range needs single characters at both ends.", "Escape the '-'.", start, self.at - start)
            parts.extend((*low, (0x2D, 0x2D), *high))
            return
        if low[0][0] > high[0][0]:
            self.fail("this range is out of order.", "Swap its ends, or escape the '-'.", start, self.at - start)
        parts.append((low[0][0], high[0][0]))

    def class_atom(self) -> Charset:
        if self.peek() == "\\":
            return self.class_escape(in_class=True)
        if self.at >= len(self.pattern):
            self.fail("this character class is never closed.", "Add a ']'.")
        code = ord(self.pattern[self.at])
        self.at += 1
        return ((code, code),)


def _length(node: Node, most: bool) -> float:
    """How long the texts of a node are at least, or at most."""
    kind = node[0]
    if kind == "set":
        return 1
    if kind in ("cat", "alt"):
        lengths = [_length(item, most) for item in node[1]]
        return sum(lengths) if kind == "cat" else (max if most else min)(lengths, default=0)
    if kind == "rep":
        times = node[3] if most else node[2]
        own = _length(node[1], most)
        return own * (inf if times is None else times) if own else 0
    return 0


def _sight(node: Node) -> float:
    """How far beyond its end the look-aheads of a node may see."""
    kind = node[0]
    if kind == "ahead":
        return _length(node[1], True) + _sight(node[1])
    if kind == "alt":
        return max(map(_sight, node[1]), default=0)
    if kind == "cat":
        beyond, read = 0.0, 0.0
        for item in reversed(node[1]):
            beyond = max(beyond, _sight(item) - read)
            read += _length(item, False)
        return beyond
    return _sight(node[1]) if kind == "rep" else 0


def _looking_behind(inner: Node, negated: bool) -> Node | None:
    """A look-behind sees only what has been read: look-aheads at its end are moved out of it; None for others."""
    kind = inner[0]
    if _sight(inner) <= 0:
        return "behind", inner, negated
    if kind == "ahead":
        return "ahead", inner[1], inner[2] != negated
    if kind == "alt":
        branches = [_looking_behind(item, negated) for item in inner[1]]
        if None in branches:
            return None
        parts = [branch for branch in branches if branch is not None]
        return ("cat", tuple(parts)) if negated else alternatives(parts)
    if kind != "cat":
        return None
    *before, last = inner[1]
    if last[0] == "cat":
        return _looking_behind(("cat", (*before, *last[1])), negated)
    if last[0] == "alt":
        return _looking_behind(("alt", tuple(("cat", (*before, item)) for item in last[1])), negated)
    if last[0] != "ahead":
        return None
    rest = _looking_behind(("cat", tuple(before)), negated)
    if rest is None:
        return None
    moved = ("ahead", last[1], last[2] != negated)
    return alternatives([rest, moved]) if negated else ("cat", (rest, moved))


@lru_cache(maxsize=1024)
def _decides(node: Node) -> bool:
    """Whether a text begins with at most one match of the node: then giving nothing back changes nothing in it."""
    if node[0] in ("set", "char"):
        return True
    if has_assertions(node):
        return False
    own = Regex(whole(node))
    return (own & own.concat(Regex.length(1))).is_empty()


def _keeping(node: Node, low: int, high: int | None) -> Node:
    """Possessive repetition of what matches in one way: as many times as it can, so that it does not come once more."""
    no_more: Node = ("ahead", node, True)
    if high is None:
        return ("cat", (("rep", node, low, None), no_more))
    if high == low:
        return ("rep", node, low, high)
    fewer: Node = ("cat", (("rep", node, low, high - 1), no_more))
    return alternatives([("rep", node, high, high), fewer])


def _single(char: str) -> Node:
    return ("set", ((ord(char), ord(char)),))


def _word_border(negated: bool, characters: Charset) -> Node:
    word: Node = ("set", characters)
    before = [("behind", word, flag) for flag in (False, True)]
    after = [("ahead", word, flag) for flag in (False, True)]
    pairs = ((0, 0), (1, 1)) if negated else ((0, 1), (1, 0))
    return ("alt", tuple(("cat", (before[i], after[j])) for i, j in pairs))
