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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from grammars.errors import GuidedError
from guided.demo.judge import Judge
from jsonschemabench.data import Definition

__all__ = ["Outcome", "Refusal", "Report", "Tokens", "Walker", "walk", "walk_all"]

Row = npt.NDArray[np.int32]

END_PROBABILITY, SHORT_PROBABILITY, CLOSE_PROBABILITY = 0.3, 0.5, 0.85
BUDGETED = 10  # one walk in so many asks for budgets early
SHORT_BYTES = 2
DEAD_END = "dead end:"
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
class Outcome:
    """One walk. `problem` is empty for a valid document; one that starts with "oracle:" could not be judged."""

    split: str
    schema: str
    seed: int
    tokens: int = 0
    problem: str = ""
    text: str = ""  # kept where there is a problem

    @property
    def failed(self) -> bool:
        return bool(self.problem) and not self.problem.startswith("oracle:")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A schema that did not compile."""

    split: str
    schema: str
    error: str


@dataclass(slots=True)
class Report:
    """All walks together. `oracle` counts texts that the judge itself could not judge."""

    walks: int = 0
    valid: int = 0
    dead_ends: int = 0
    oracle: int = 0
    tokens: int = 0
    failures: list[Outcome] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    per_schema: Counter[tuple[str, str]] = field(default_factory=Counter)

    def enter(self, outcome: Outcome | Refusal) -> None:
        if isinstance(outcome, Refusal):
            self.refusals.append(outcome)
            return
        self.walks += 1
        self.tokens += outcome.tokens
        self.per_schema[outcome.split, outcome.schema] += 1
        if outcome.failed:
            self.failures.append(outcome)
            self.dead_ends += outcome.problem.startswith(DEAD_END)
        elif outcome.problem:
            self.oracle += 1
        else:
            self.valid += 1


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
    done: Iterable[Outcome | Refusal] = (),
) -> Iterator[Outcome | Refusal]:
    """`count` walks spread evenly over the schemas that compile, fewer walks than schemas over a sample of them.

    Yields the outcomes as they come. Those of an earlier, interrupted run (`done`) are not walked again nor yielded.
    """
    order = list(definitions)
    random.Random(seed).shuffle(order)
    refused, walked = set(), set()
    for outcome in done:
        if isinstance(outcome, Refusal):
            refused.add((outcome.split, outcome.schema))
        else:
            walked.add(outcome.seed)
    number = 0
    for position, definition in enumerate(order):
        times = -(-(count - number) // (len(order) - position))
        if not times:
            return
        if (definition.split, definition.name) in refused:
            continue
        seeds = range(seed + number, seed + number + times)
        if not walked.issuperset(seeds):
            try:
                matcher = compile_schema(definition.schema)
            except GuidedError as error:
                yield Refusal(definition.split, definition.name, f"{type(error).__name__}: {error}")
                continue
            judge = Judge(definition.schema)
            for one in seeds:
                if one not in walked:
                    yield judged_walk(definition, matcher, judge, tokens, one)
        number += times


def judged_walk(definition: Definition, matcher: Walker, judge: Judge, tokens: Tokens, seed: int) -> Outcome:
    """Walk once and judge the text."""
    text, steps = "", 0
    try:
        text, steps = walk(matcher, tokens, seed)
        problem = judge.complaint(text)
    except DeadEnd as error:
        problem = f"{DEAD_END} {error}"
    except Exception as error:  # an engine's error is a finding as well
        problem = f"{type(error).__name__}: {error}"
    return Outcome(definition.split, definition.name, seed, steps, problem, text if problem else "")
