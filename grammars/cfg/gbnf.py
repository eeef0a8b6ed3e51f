"""GBNF, the grammars of llama.cpp: rules over characters, every way to split a text counts.

    root  ::= item+                      # a comment; the text starts at root
    item  ::= "- " [^\\n]{1,40} "\\n" | number
    number ::= [0-9]+ ("." [0-9]+)?

Literals and classes know the escapes \\n \\r \\t \\\\ \\" \\[ \\] \\xHH \\uHHHH \\UHHHHHHHH; `.` is any character;
repetitions are * + ? {m} {m,} {,n} {m,n}. A rule may continue on the next line within parentheses or after `|`.
Tokens of a model (`<[1000]>`, `<think>`) are refused: they are no text.
"""

from __future__ import annotations

from grammars.cfg.expression import Choice, Expression, Name, Repeat, Rules, Sequence
from grammars.cfg.scanning import Cursor
from grammars.errors import GrammarError
from grammars.regex import Regex
from grammars.regex import charset as cs

__all__ = ["read_gbnf"]

_SIMPLE = {"n": 10, "r": 13, "t": 9, "\\": 92, '"': 34, "[": 91, "]": 93}
_NAME = "-_"


def read_gbnf(text: str) -> Rules:
    """The rules of a grammar. `GrammarError` with line and column."""
    reader = _Reader(text)
    rules = Rules()
    reader.blanks(True)
    while reader.peek():
        reader.rule(rules)
        reader.blanks(True)
    if not rules.bodies:
        raise GrammarError(1, 1, "the grammar has no rule", "Write root ::= ...")
    return rules


class _Reader(Cursor):
    def blanks(self, lines: bool) -> None:
        """Go over blanks and comments; `lines`: over ends of lines too."""
        while True:
            char = self.peek()
            if char == "#":
                while self.peek() and self.peek() not in "\r\n":
                    self.at += 1
            elif char and char in (" \t\r\n" if lines else " \t"):
                self.at += 1
            else:
                return

    def rule(self, rules: Rules) -> None:
        start = self.at
        name = self.word(_NAME)
        if not name:
            self.fail(f"the name of a rule is expected here; found {self.found()}", "Write name ::= ...")
        self.blanks(False)
        if not self.eat("::="):
            self.fail(f"'::=' is expected after the name of a rule; found {self.found()}")
        if name in rules.bodies:
            self.fail(f"the rule {name} is defined twice", "Join the two with |.", start)
        self.blanks(True)
        rules.places[name] = self.place(start)
        rules.bodies[name] = self.alternatives(False)
        self.blanks(False)
        if self.peek() and self.peek() not in "\r\n":
            self.fail(f"a rule ends with its line; found {self.found()}", "Put what follows on a line of its own.")

    def alternatives(self, nested: bool) -> Expression:
        items = [self.sequence(nested)]
        while self.eat("|"):
            self.blanks(True)
            items.append(self.sequence(nested))
        return items[0] if len(items) == 1 else Choice(tuple(items))

    def sequence(self, nested: bool) -> Expression:
        items: list[Expression] = []
        while True:
            item = self.item()
            if item is None:
                break
            items.append(self.repeated(item, nested))
            self.blanks(nested)
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def item(self) -> Expression | None:
        start = self.at
        char = self.peek()
        if char == '"':
            return self.literal()
        if char == "[":
            return Regex.chars(self.bracket())
        if char == "(":
            self.at += 1
            self.blanks(True)
            inner = self.alternatives(True)
            self.blanks(True)
            if not self.eat(")"):
                self.fail("this group is never closed", "Add a ')'.", start)
            return inner
        if char == ".":
            self.at += 1
            return Regex.chars(cs.ALL)
        if char in ("<", "!") and char:
            self.fail("a token of a model is no text", "Write the text that it stands for in quotes.")
        if char.isalnum() or char in ("-", "_"):
            line, column = self.place()
            return Name(self.word(_NAME), line, column)
        if char and char in "*+?{":
            self.fail("there is nothing to repeat here", "Put it behind an item.")
        return None

    def repeated(self, item: Expression, nested: bool) -> Expression:
        """The item with what repeats it; blanks may stand between, as in llama.cpp."""
        while True:
            self.blanks(nested)
            start = self.at
            if self.eat("*"):
                item = Repeat(item, 0, None)
            elif self.eat("+"):
                item = Repeat(item, 1, None)
            elif self.eat("?"):
                item = Repeat(item, 0, 1)
            elif self.eat("{"):
                low = self.number()
                high = low
                if self.eat(","):
                    high = self.number()
                elif low is None:
                    self.fail("a number is expected here")
                self.need("}", "at the end of a repetition")
                if high is not None and high < (low or 0):
                    self.fail("the bounds of this repetition are out of order", "Swap them.", start)
                item = Repeat(item, low or 0, high)
            else:
                return item

    def character(self, end: str, start: int) -> int:
        char = self.peek()
        if not char or char in "\r\n":
            self.fail("this is never closed on its line", f"Add a {end}", start)
        self.at += 1
        if char != "\\":
            return self.scalar(ord(char))
        escape = self.peek()
        self.at += 1
        if escape in _SIMPLE and escape:
            return _SIMPLE[escape]
        digits = {"x": 2, "u": 4, "U": 8}.get(escape)
        if digits is None:
            self.fail(f"\\{escape} is no escape", 'Known are \\n \\r \\t \\\\ \\" \\[ \\] \\x \\u \\U.', self.at - 2)
        return self.hexadecimal(digits)

    def literal(self) -> Regex:
        start = self.at
        self.at += 1
        found = ""
        while self.peek() != '"':
            found += chr(self.character('"', start))
        self.at += 1
        return Regex.literal(found)

    def bracket(self) -> cs.Charset:
        start = self.at
        self.at += 1
        negated = self.eat("^")
        ranges: list[tuple[int, int]] = []
        while self.peek() != "]":
            low = self.character("]", start)
            high = low
            if self.peek() == "-" and self.peek(2) != "-]":
                self.at += 1
                high = self.character("]", start)
                if high < low:
                    self.fail("this range is out of order", "Swap its ends.", self.at - 1)
            ranges.append((low, high))
        self.at += 1
        return self.charset(ranges, negated)
