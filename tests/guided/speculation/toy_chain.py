"""A six-token language model that is a table, drafted for and verified by the real parts; its exact law by enumeration.

The next token depends on the last two. `simulate` runs draft, trim and walk as the loop does, with the table in the
place of the model: a sequence takes a millisecond, so thousands can be counted.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import torch

from guided.speculation.draft import Draft, Seen, Setup, View
from guided.speculation.trim import trim
from guided.speculation.verify import Exact, Group, Row

SIZE, EOS, LENGTH = 6, 5, 3
START = [0, 1]


class Table:
    """Logits after each pair of tokens."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.logits = 2.0 * torch.randn((SIZE, SIZE, SIZE), generator=generator)

    def after(self, ids: Any) -> torch.Tensor:
        return self.logits[ids[-2], ids[-1]]


class Machine:
    """`Branching` over a table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.ids: list[int] = []
        self._tree: list[tuple[int, int]] = []

    def follow(self, ids: list[int]) -> torch.Tensor:
        self.ids, self._tree = list(ids), []
        return self.table.after(ids)

    def grow(self, tokens: list[int], parents: list[int]) -> torch.Tensor:
        rows = []
        for token, parent in zip(tokens, parents, strict=True):
            self._tree.append((parent, token))
            slot, path = len(self._tree) - 1, []
            while slot >= 0:
                path.append(self._tree[slot][1])
                slot = self._tree[slot][0]
            rows.append(self.table.after([*self.ids, *path[::-1]]))
        return torch.stack(rows)

    def drop(self) -> None:
        self._tree = []


class Rules:
    """A constraint as a matcher: which tokens may follow which; no token is followed by itself, EOS is never first."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = list(ids)

    def allowed(self, token: int) -> bool:
        return token != self.ids[-1] and not (len(self.ids) == len(START) and token == EOS) and token != 2

    def accept(self, token: int) -> bool:
        if not self.allowed(token):
            return False
        self.ids.append(token)
        return True

    def rollback(self, count: int) -> None:
        if count:
            del self.ids[-count:]

    def copy(self) -> Rules:
        return Rules(self.ids)

    def fill_mask(self, row: Any) -> None:
        row[0] = sum(1 << token for token in range(SIZE) if self.allowed(token))

    def mask(self) -> torch.Tensor:
        return torch.tensor([self.allowed(token) for token in range(SIZE)])


class Vocabulary:
    words = 1


def process(ids: list[int], logits: torch.Tensor, temperature: float, constrained: bool, top: int) -> torch.Tensor:
    """Constraint, temperature, top-k: what plain generation does to a row of scores."""
    scores = logits.clone()
    if constrained:
        scores[~Rules(ids).mask()] = -torch.inf
    scores = scores / temperature
    if top < SIZE:
        scores[scores < torch.topk(scores, top).values[-1]] = -torch.inf
    return scores


def exact_law(table: Table, temperature: float, constrained: bool, top: int) -> dict[tuple[int, ...], float]:
    law: dict[tuple[int, ...], float] = {}
    for tokens in itertools.product(range(SIZE), repeat=LENGTH):
        chance, ids, ended = 1.0, list(START), False
        for token in tokens:
            if ended:
                break
            p = torch.softmax(process(ids, table.after(ids), temperature, constrained, top).double(), -1)
            chance *= float(p[token])
            ids.append(token)
            ended = token == EOS
        kept = tuple(ids[len(START) :])
        law[kept] = chance  # a sequence that ends early is met several times, and has one chance
    return law


def simulate(
    drafter: Any, table: Table, draft_table: Table, count: int, *, temperature: float, constrained: bool, top: int
) -> Counter[tuple[int, ...]]:
    """`count` sequences of at most LENGTH tokens, drafted and verified."""
    setup = Setup(None, None, temperature, SIZE, frozenset({EOS}), Vocabulary() if constrained else None)
    found: Counter[tuple[int, ...]] = Counter()
    prompts = torch.tensor([START])

    def processor(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return process(ids[0].tolist(), scores[0], temperature, constrained, top)[None]

    for _ in range(count):
        matcher = Rules(START) if constrained else None
        session = drafter(setup, Machine(draft_table))
        row = Row(0, list(START), matcher, session)
        end = (frozenset({EOS}), len(START) + LENGTH, [], 0)
        group = Group([row], prompts, LENGTH, [processor], Exact(True), *end)
        while not row.finished:
            left = group.max_length - group.length
            draft = Draft(row.ids[-1], 12, left - 1)
            view = View(row.ids, len(START), len(row.ids), matcher)
            session.propose(view, draft, 0)
            draft = trim(draft, matcher, {EOS}, SIZE)
            if hasattr(session, "overlap") and draft.is_chain():
                session.overlap(view, draft)
            paths = [[*row.ids, *draft.path(node)] for node in range(len(draft))]
            logits = torch.stack([table.after(path) for path in paths])
            group.walk([draft], logits[None])
            if matcher is not None:
                for token in row.emitted:
                    matcher.accept(token)
            session.observe(Seen(draft, row.path, row.emitted[-1], row.ids, logits))
        found[tuple(row.ids[len(START) :])] += 1
    return found


def chi_square_p(found: Counter[tuple[int, ...]], law: dict[tuple[int, ...], float]) -> float:
    """p-value of counts under a law; cells that expect fewer than 5 are pooled, impossible outcomes give 0."""
    count = sum(found.values())
    if any(law.get(outcome, 0.0) <= 0 for outcome in found):
        return 0.0
    cells, pooled_found, pooled = [], 0, 0.0
    for outcome, chance in law.items():
        expected = chance * count
        if expected < 5:
            pooled_found, pooled = pooled_found + found[outcome], pooled + expected
        else:
            cells.append((found[outcome], expected))
    if pooled > 0:
        cells.append((pooled_found, pooled))
    statistic = sum((seen - expected) ** 2 / expected for seen, expected in cells)
    half = torch.tensor([max(len(cells) - 1, 1) / 2, statistic / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))
