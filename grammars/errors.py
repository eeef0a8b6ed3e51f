"""Everything that can go wrong, as values with fields; the text is made from them.

    GuidedError
      SchemaError             the schema itself is malformed                (pointer, problem, remedy)
      UnsatisfiableSchema     no document can satisfy it                    (pointer, clash, remedy)
      UnsupportedSchema       well-formed, but not (yet) compilable         (pointer, keyword, remedy)
      UnsupportedGrammar      parts that cannot be combined                 (problem, remedy)
      GrammarError            malformed grammar text                        (line, column, problem, remedy)
      RegexError              malformed or non-regular pattern              (pattern, offset, problem, remedy)
      BudgetExceeded          a compile or a mask used up its fuel          (budget, limit, given, remedy)
      TokenizerError          a tokenizer whose bytes cannot be determined  (problem, remedy)
    GrammarWarning            a rule that is never used, or that no text matches

Lowest floor: raised by `grammars`, re-exported by `guided`. A text says where, what, and what to do.
"""

from __future__ import annotations

__all__ = [
    "BudgetExceeded",
    "GrammarError",
    "GrammarWarning",
    "GuidedError",
    "RegexError",
    "SchemaError",
    "TokenizerError",
    "UnsatisfiableSchema",
    "UnsupportedGrammar",
    "UnsupportedSchema",
]


def shorten(text: str, limit: int = 80) -> str:
    """`text` on one line, cut in the middle when longer than `limit` characters."""
    text = text.replace("\n", "\\n")
    if len(text) <= limit:
        return text
    keep = (limit - 5) // 2
    return f"{text[:keep]} ... {text[-keep:]}"


class GuidedError(Exception):
    """Base of every error that this package raises on purpose."""

    def text(self) -> str:
        """The message: where, what, how to mend."""
        return super().__str__()

    def __str__(self) -> str:
        return self.text()


def _place(pointer: str) -> str:
    return f"at {pointer}" if pointer else "at the root of the schema"


def _with_remedy(message: str, remedy: str) -> str:
    return f"{message}\n  {remedy}" if remedy else message


class SchemaError(GuidedError, ValueError):
    """The schema is malformed: not JSON, a keyword of the wrong type, a reference to nowhere."""

    def __init__(self, pointer: str, problem: str, remedy: str = "") -> None:
        super().__init__(pointer, problem, remedy)
        self.pointer, self.problem, self.remedy = pointer, problem, remedy

    def text(self) -> str:
        return _with_remedy(f"{_place(self.pointer)}: {self.problem}", self.remedy)


class UnsatisfiableSchema(GuidedError, ValueError):
    """No document can satisfy the schema; `clash` names the keywords that exclude each other."""

    def __init__(self, pointer: str, clash: str, remedy: str = "") -> None:
        super().__init__(pointer, clash, remedy)
        self.pointer, self.clash, self.remedy = pointer, clash, remedy

    def text(self) -> str:
        return _with_remedy(f"{_place(self.pointer)}: {self.clash}", self.remedy)


class UnsupportedSchema(GuidedError, NotImplementedError):
    """The schema is well-formed, but this keyword in this place cannot be compiled; nothing is ignored."""

    def __init__(self, pointer: str, keyword: str, reason: str = "", remedy: str = "") -> None:
        super().__init__(pointer, keyword, reason, remedy)
        self.pointer, self.keyword, self.reason, self.remedy = pointer, keyword, reason, remedy

    def text(self) -> str:
        reason = self.reason or "cannot be compiled"
        return _with_remedy(f'{_place(self.pointer)}: "{self.keyword}" {reason}', self.remedy)


class UnsupportedGrammar(GuidedError, NotImplementedError):
    """Grammars that are well-formed, but cannot be combined in this way; nothing is approximated."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem, self.remedy = problem, remedy

    def text(self) -> str:
        return _with_remedy(self.problem, self.remedy)


class GrammarError(GuidedError, ValueError):
    """Grammar text that cannot be read; `line` and `column` count from 1."""

    def __init__(self, line: int, column: int, problem: str, remedy: str = "") -> None:
        super().__init__(line, column, problem, remedy)
        self.line, self.column, self.problem, self.remedy = line, column, problem, remedy

    def text(self) -> str:
        return _with_remedy(f"line {self.line}, column {self.column}: {self.problem}", self.remedy)


class RegexError(GuidedError, ValueError):
    """A pattern that is malformed or not regular; `offset` counts characters from 0."""

    def __init__(self, pattern: str, offset: int, problem: str, remedy: str = "", *, width: int = 1) -> None:
        super().__init__(pattern, offset, problem, remedy)
        self.pattern, self.offset, self.problem, self.remedy = pattern, offset, problem, remedy
        self.width = width

    def text(self) -> str:
        start = max(0, self.offset - 60)
        shown = self.pattern[start : start + 100].replace("\n", " ")
        caret = " " * (self.offset - start) + "^" * max(1, self.width)
        return _with_remedy(f"at offset {self.offset}: {self.problem}\n  {shown}\n  {caret}", self.remedy)


class BudgetExceeded(GuidedError, RuntimeError):
    """A compile or a mask ran out of fuel; `budget` is the name of the limit."""

    def __init__(self, budget: str, limit: int, given: int | None = None, remedy: str = "") -> None:
        super().__init__(budget, limit, given, remedy)
        self.budget, self.limit, self.given, self.remedy = budget, limit, given, remedy

    def text(self) -> str:
        needed = "" if self.given is None else f" ({self.given:,} asked for)"
        return _with_remedy(f"the budget {self.budget} = {self.limit:,} is used up{needed}", self.remedy)


class TokenizerError(GuidedError, ValueError):
    """A tokenizer whose vocabulary cannot be read as bytes."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem, self.remedy = problem, remedy

    def text(self) -> str:
        return _with_remedy(self.problem, self.remedy)


class GrammarWarning(UserWarning):
    """A rule of a grammar that is never used, or that no text matches; the grammar is compiled all the same."""
