"""Random walks under the mask to the end: whatever the mask allows must finish as a valid document.

A walk draws one allowed token after another, in three parts. Up to a random length half of the draws prefer short ones
(they hold the brackets, quotes and digits). Then most draws prefer tokens that only close something. What is still not
finished after that (and one walk in ten from the first part on) asks for masks with a shrinking budget, from which the
text can be finished in time. The end-of-text token is taken with probability 0.3 where it is allowed.
A mask without any token is a dead end. Each failure is reported with schema, seed and text: `walk(...)` with the same
seed repeats it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from guided.demo.judge import Judge
from jsonschemabench.data import Definition

__all__ = ["Failure", "Report", "Tokens", "Walker", "walk", "walk_all"]

Row = npt.NDArray[np.int32]

END_PROBABILITY, SHORT_PROBABILITY, CLOSE_PROBABILITY = 0.3, 0.5, 0.85
BUDGETED = 10  # one walk in so many asks for budgets early
SHORT_BYTES = 2
CLOSING = frozenset(b'"}]')


class Walker(Protocol):
    """What a walk needs of `guided.Matcher`."""

    def fill_mask(self, row: Row, budget: int | None = None) -> object: ...
    def accept(self, token: int) -> bool: ...
    def is_accepting(self) -> bool: ...
    def min_tokens(self) -> int: ...
    def reset(self) -> object: ...


class Tokens:
    """A vocabulary as a walk sees it: bytes of each token, the short ones, the ends of text."""

    def __init__(self, spelled: Sequence[bytes], eos_ids: Sequence[int]) -> None:
        self.spelled, self.eos_ids = spelled, frozenset(eos_ids)
        self.words = (len(spelled) + 31) // 32
        self.short = np.fromiter((0 < len(text) <= SHORT_BYTES for text in spelled), dtype=bool, count=len(spelled))
        self.closing = np.fromiter(
            (bool(text) and CLOSING.issuperset(text) for text in spelled), dtype=bool, count=len(spelled)
        )

    def allowed(self, row: Row) -> npt.NDArray[np.int64]:
        """Ids allowed by a mask, end of text included."""
        return np.flatnonzero(np.unpackbits(row.view(np.uint8), count=len(self.spelled), bitorder="little"))


@dataclass(frozen=True, slots=True)
class Failure:
    """One walk that did not end as it must."""

    schema: str
    seed: int
    problem: str
    text: str


@dataclass(slots=True)
class Report:
    """All walks together. `oracle` counts texts that the judge itself could not judge."""

    walks: int = 0
    valid: int = 0
    dead_ends: int = 0
    oracle: int = 0
    tokens: int = 0
    failures: list[Failure] = field(default_factory=list)
    per_schema: Counter[str] = field(default_factory=Counter)


class DeadEnd(Exception):
    """A mask with no token in it, or one that contradicts `accept`."""


def draw(allowed: npt.NDArray[np.int64], tokens: Tokens, rng: random.Random, close: bool) -> int:
    """One of the allowed tokens, with a taste for short ones, for the end, and for closing if `close`."""
    ends = [int(token) for token in tokens.eos_ids if token in allowed]
    if ends and (len(ends) == len(allowed) or rng.random() < END_PROBABILITY):
        return rng.choice(ends)
    kind, probability = (tokens.closing, CLOSE_PROBABILITY) if close else (tokens.short, SHORT_PROBABILITY)
    if rng.random() < probability:
        preferred = allowed[kind[allowed]]
        if len(preferred):
            return int(rng.choice(preferred))
    return int(rng.choice(allowed))


def walk(matcher: Walker, tokens: Tokens, seed: int, *, longest: int = 60, ceiling: int = 20_000) -> tuple[str, int]:
    """One walk from the start: the text and the number of tokens. Raises `DeadEnd`."""
    rng = random.Random(seed)
    matcher.reset()
    row = np.zeros(tokens.words, dtype=np.int32)
    free = rng.randrange(longest)
    late = free if rng.randrange(BUDGETED) == 0 else free + longest
    limit = late + rng.randrange(1, longest)
    text = bytearray()
    for step in range(ceiling):
        budget = None if step < late else max(limit - step, matcher.min_tokens() + 1)
        matcher.fill_mask(row) if budget is None else matcher.fill_mask(row, budget)
        allowed = tokens.allowed(row)
        if not len(allowed):
            raise DeadEnd(f"no token allowed after {bytes(text)!r} (budget {budget})")
        token = draw(allowed, tokens, rng, close=step >= free)
        if token in tokens.eos_ids:
            if not matcher.is_accepting():
                raise DeadEnd(f"the end is allowed and the text is not accepted: {bytes(text)!r}")
            return text.decode("utf-8"), step
        if not matcher.accept(token):
            raise DeadEnd(f"the mask allows {tokens.spelled[token]!r} and accept refuses it after {bytes(text)!r}")
        text += tokens.spelled[token]
    raise DeadEnd(f"not finished after {ceiling:,} tokens")


def walk_all(
    definitions: Sequence[Definition],
    compile_schema: Callable[[Any], Walker],
    tokens: Tokens,
    count: int,
    seed: int,
    report: Report,
) -> Iterator[None]:
    """`count` walks spread evenly over the schemas that compile; yields after each so that a caller can show it."""
    share, extra = divmod(count, max(len(definitions), 1))
    number = 0
    for position, definition in enumerate(definitions):
        times = share + (position < extra)
        if not times:
            return
        matcher, judge = compile_schema(definition.schema), Judge(definition.schema)
        for _ in range(times):
            one_walk(definition, matcher, judge, tokens, seed + number, report)
            number += 1
            yield


def one_walk(
    definition: Definition, matcher: Walker, judge: Judge, tokens: Tokens, seed: int, report: Report
) -> None:
    """Walk once and enter the outcome."""
    report.walks += 1
    report.per_schema[definition.name] += 1
    text = ""
    try:
        text, steps = walk(matcher, tokens, seed)
        report.tokens += steps
        problem = judge.complaint(text)
    except DeadEnd as error:
        report.dead_ends += 1
        problem = f"dead end: {error}"
    except Exception as error:  # an engine's error is a finding as well
        problem = f"{type(error).__name__}: {error}"
    if not problem:
        report.valid += 1
    elif problem.startswith("oracle:"):
        report.oracle += 1
    else:
        report.failures.append(Failure(definition.name, seed, problem, text))
