"""`Stats`: what a generation cost and where its tokens came from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Round", "Stats"]


class Round(NamedTuple):
    """One row in one pass: the tokens emitted and who drafted each ("" for the model's own), nodes checked, seconds."""

    row: int
    tokens: tuple[int, ...]
    sources: tuple[str, ...]
    nodes: int
    seconds: float


@dataclass(slots=True)
class Stats:
    """Counts over all rows of a generation.

    `passes` forward passes of the target, the prompt's included; `tokens` emitted, of which `accepted` were drafted and
    `forced` among those stood for text that the constraint leaves no choice about; `drafted` tokens that were checked.
    `by_drafter[name]` is (drafted, accepted). Seconds: `pass_seconds` in the model, `draft_seconds` in drafters,
    `mask_seconds` in logits processors (constraint included), `wall_seconds` in all.
    `fallback` says why plain `generate` did the work, None if it did not.
    """

    passes: int = 0
    tokens: int = 0
    drafted: int = 0
    accepted: int = 0
    forced: int = 0
    pass_seconds: float = 0.0
    draft_seconds: float = 0.0
    mask_seconds: float = 0.0
    wall_seconds: float = 0.0
    prompt_seconds: float = 0.0
    fallback: str | None = None
    drafted_by: Counter[str] = field(default_factory=Counter)
    accepted_by: Counter[str] = field(default_factory=Counter)
    rounds: list[Round] = field(default_factory=list)

    @property
    def by_drafter(self) -> dict[str, tuple[int, int]]:
        """(drafted, accepted) of each source of drafts."""
        return {name: (self.drafted_by[name], self.accepted_by[name]) for name in self.drafted_by}

    @property
    def tokens_per_pass(self) -> float:
        """Tokens emitted per forward pass and row: 1 without drafts."""
        turns = len(self.rounds)
        return self.tokens / turns if turns else 0.0

    def __str__(self) -> str:
        if self.fallback:
            return f"plain generate ({self.fallback}): {self.tokens} tokens in {self.wall_seconds:.2f} s"
        sources = ", ".join(f"{name} {kept}/{sent}" for name, (sent, kept) in self.by_drafter.items())
        return (
            f"{self.tokens} tokens in {self.passes} passes ({self.tokens_per_pass:.2f} a pass), "
            f"{self.accepted} of {self.drafted} drafted accepted, {self.forced} forced"
            + (f" [{sources}]" if sources else "")
            + f"; {self.wall_seconds:.2f} s, of it model {self.pass_seconds:.2f}, processors {self.mask_seconds:.3f}"
        )
