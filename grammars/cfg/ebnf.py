"""EBNF as the W3C writes it in its specifications (XML 1.0, section 6): rules over characters, every split counts.

    list   ::= '[' S? (item (S? ',' S? item)*)? S? ']'
    item   ::= Name | Number | list
    Name   ::= [A-Za-z_#xE9] [A-Za-z0-9_]*
    Number ::= Digit+ - '0'              /* a difference of regular parts */
    S      ::= (#x20 | #x9)+

Strings have no escapes; characters are #xN; a class is [a-zA-Z], [#x0-#x1F], [^...]; A - B is the difference; A?, A+,
A*; comments are /* ... */; notes as [ wfc: ... ] and the numbers of rules as [12] are skipped. The first rule is where
a text starts, unless another is named.
"""

from __future__ import annotations

import re

from grammars.cfg.expression import Choice, Expression, Name, Repeat, Rules, Sequence, Without
from grammars.cfg.scanning import Cursor
from grammars.errors import GrammarError
from grammars.regex import Regex
from grammars.regex import charset as cs

__all__ = ["read_ebnf"]

_NAME = "_.-"
_NEXT_RULE = re.compile(r"(?:\[\d+\w*\]\s*)?[^\W\d][\w.-]*\s*::=")
_NUMBERED = re.compile(r"\[\d+\w*\]\s*")
_NOTE = re.compile(r"\[\s*(?:wfc|vc|WFC|VC)\s*:[^\]]*\]")


def read_ebnf(text: str) -> Rules:
    """The rules of a grammar, in order. `GrammarError` with line and column."""
    reader = _Reader(text)
    rules = Rules()
    reader.blanks()
    while reader.peek():
        reader.rule(rules)
        reader.blanks()
    if not rules.bodies:
        raise GrammarError(1, 1, "the grammar has no rule", "Write name ::= ...")
    return rules


class _Reader(Cursor):
    def blanks(self) -> None:
        """Go over blanks, comments and notes."""
        while True:
            start = self.at
            while self.peek() and self.peek().isspace():
                self.at += 1
            if self.eat("/*"):
                end = self.text.find("*/", self.at)
                if end < 0:
                    self.fail("this comment is never closed", "Add */", self.at - 2)
                self.at = end + 2
            note = _NOTE.match(self.text, self.at)
            if note:
                self.at = note.end()
            if self.at == start:
                return

    def rule(self, rules: Rules) -> None:
        numbered = _NUMBERED.match(self.text, self.at)
        if numbered:
            self.at = numbered.end()
        start = self.at
        name = self.word(_NAME)
        if not name:
            self.fail(f"the name of a rule is expected here; found {self.found()}", "Write name ::= ...")
        self.blanks()
        if not self.eat("::="):
            self.fail(f"'::=' is expected after the name of a rule; found {self.found()}")
        if name in rules.bodies:
            self.fail(f"the rule {name} is defined twice", "Join the two with |.", start)
        rules.places[name] = self.place(start)
        self.blanks()
        rules.bodies[name] = self.alternatives()
        if self.peek() and not _NEXT_RULE.match(self.text, self.at):
            self.fail(f"a rule or the next item is expected here; found {self.found()}")

    def alternatives(self) -> Expression:
        items = [self.sequence()]
        while self.eat("|"):
            self.blanks()
            items.append(self.sequence())
        return items[0] if len(items) == 1 else Choice(tuple(items))

    def sequence(self) -> Expression:
        items: list[Expression] = []
        while True:
            item = self.repeated()
            if item is None:
                break
            self.blanks()
            place = self.place()
            if self.eat("-"):
                self.blanks()
                taken = self.repeated()
                if taken is None:
                    self.fail("what to take away is expected after '-'")
                item = Without(item, taken, *place)
                self.blanks()
            items.append(item)
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def repeated(self) -> Expression | None:
        item = self.item()
        while item is not None:
            if self.eat("*"):
                item = Repeat(item, 0, None)
            elif self.eat("+"):
                item = Repeat(item, 1, None)
            elif self.eat("?"):
                item = Repeat(item, 0, 1)
            else:
                break
        return item

    def item(self) -> Expression | None:
        start = self.at
        char = self.peek()
        if _NEXT_RULE.match(self.text, self.at):
            return None
        if char in ("'", '"') and char:
            end = self.text.find(char, start + 1)
            if end < 0:
                self.fail("this string is never closed", f"Add a {char}", start)
            self.at = end + 1
            return Regex.literal(self.text[start + 1 : end])
        if char == "#":
            code = self.code()
            return Regex.chars(((code, code),))
        if char == "[":
            return Regex.chars(self.bracket())
        if char == "(":
            self.at += 1
            self.blanks()
            inner = self.alternatives()
            self.blanks()
            if not self.eat(")"):
                self.fail("this group is never closed", "Add a ')'.", start)
            return inner
        if char.isalpha() or char == "_":
            line, column = self.place()
            return Name(self.word(_NAME.replace("-", "")), line, column)
        if char and char in "*+?":
            self.fail("there is nothing to repeat here", "Put it behind an item.")
        return None

    def code(self) -> int:
        """#xN"""
        start = self.at
        self.need("#x", "as in #x20")
        digits = re.compile(r"[0-9a-fA-F]{1,8}").match(self.text, self.at)
        if digits is None:
            self.fail("a hexadecimal number is expected after #x", at=start)
        self.at = digits.end()
        return self.scalar(int(digits[0], 16))

    def bracket(self) -> cs.Charset:
        start = self.at
        self.at += 1
        negated = self.eat("^")
        ranges: list[tuple[int, int]] = []
        while not (self.peek() == "]" and ranges):
            low = self.character(start)
            high = low
            if self.peek() == "-" and self.peek(2) != "-]":
                self.at += 1
                high = self.character(start)
                if high < low:
                    self.fail("this range is out of order", "Swap its ends.", self.at - 1)
            ranges.append((low, high))
        self.at += 1
        return self.charset(ranges, negated)

    def character(self, start: int) -> int:
        if not self.peek():
            self.fail("this class is never closed", "Add a ]", start)
        if self.peek(2) == "#x":
            return self.code()
        self.at += 1
        return self.scalar(ord(self.text[self.at - 1]))
