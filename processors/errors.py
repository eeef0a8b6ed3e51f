"""What can go wrong between `generate` and a constraint, as values with fields; re-exported by `guided`.

The tree, below `GuidedError`:

      GenerationError         a call that a processor cannot answer         (problem, remedy)
        DeadEnd               no token can continue the text                (row, text of the prefix)
        UnsupportedGeneration `generate` runs in a mode without prefixes    (problem, remedy)
      CompositionError        processors that cannot stand in one list      (problem, remedy)
"""

from __future__ import annotations

from grammars.errors import GuidedError, shorten

__all__ = ["CompositionError", "DeadEnd", "GenerationError", "UnsupportedGeneration"]


class GenerationError(GuidedError, RuntimeError):
    """A call during generation that has no right answer; `problem` says which, `remedy` what to do."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem, self.remedy = problem, remedy

    def text(self) -> str:
        return f"{self.problem}\n  {self.remedy}" if self.remedy else self.problem


class DeadEnd(GenerationError):
    """No token of the vocabulary continues the text of a row, and the text is not complete."""

    def __init__(self, row: int, written: bytes, remedy: str = "") -> None:
        self.row, self.written = row, written
        shown = shorten(written[-60:].decode("utf-8", "replace"))
        super().__init__(f"row {row}: no token of this vocabulary can follow ...{shown!r}", remedy)


class UnsupportedGeneration(GenerationError):
    """`generate` was started in a mode that does not show processors what has been written."""


class CompositionError(GuidedError, TypeError):
    """Processors that cannot be composed, or an operand that is none."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem, self.remedy = problem, remedy

    def text(self) -> str:
        return f"{self.problem}\n  {self.remedy}" if self.remedy else self.problem
