"""What the readers of GBNF and EBNF share: a cursor over the text that knows line and column."""

from __future__ import annotations

from typing import NoReturn

from grammars.errors import GrammarError
from grammars.regex import charset as cs
from grammars.regex.charset import Charset

__all__ = ["Cursor"]


class Cursor:
    """A place in a grammar's text."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def place(self, at: int | None = None) -> tuple[int, int]:
        """Line and column of an offset, from 1."""
        at = self.at if at is None else at
        return self.text.count("\n", 0, at) + 1, at - (self.text.rfind("\n", 0, at) + 1) + 1

    def fail(self, problem: str, remedy: str = "", at: int | None = None) -> NoReturn:
        """Raise the error at an offset."""
        line, column = self.place(at)
        raise GrammarError(line, column, problem, remedy)

    def peek(self, count: int = 1) -> str:
        """The next characters."""
        return self.text[self.at : self.at + count]

    def eat(self, text: str) -> bool:
        """Go over `text` if it comes next."""
        if self.text.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def need(self, text: str, what: str) -> None:
        """Go over `text`, which must come next."""
        if not self.eat(text):
            self.fail(f"{text!r} is expected here, {what}; found {self.found()}")

    def found(self) -> str:
        """What comes next, for a message."""
        return repr(self.peek()) if self.peek() else "the end of the grammar"

    def word(self, more: str) -> str:
        """Letters, digits and the characters of `more`."""
        start = self.at
        while self.peek() and (self.peek().isalnum() or self.peek() in more):
            self.at += 1
        return self.text[start : self.at]

    def number(self) -> int | None:
        """Decimal digits."""
        start = self.at
        while self.peek().isascii() and self.peek().isdigit():
            self.at += 1
        if self.at - start > 9:
            self.fail("this number is too large", at=start)
        return int(self.text[start : self.at]) if self.at > start else None

    def hexadecimal(self, digits: int) -> int:
        """A code point of so many digits."""
        text = self.peek(digits)
        if len(text) < digits or not all(c in "0123456789abcdefABCDEF" for c in text):
            self.fail(f"{digits} hexadecimal digits are expected here")
        code = int(text, 16)
        self.at += digits
        return self.scalar(code)

    def scalar(self, code: int) -> int:
        """A code point that can stand in a text."""
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            self.fail(f"U+{code:04X} is no character")
        return code

    def charset(self, ranges: list[tuple[int, int]], negated: bool) -> Charset:
        """Ranges of a bracket as a set."""
        found = cs.normalise(ranges)
        return cs.complement(found) if negated else found
