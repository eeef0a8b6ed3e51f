"""The one verifier: walk the draft along the model's own, processed and constrained distribution.

At a node the processors are called with exactly the tokens committed so far, as plain `generate` would call them: once
a position, in order, never again. What the walk decides is committed whether or not a child stands for it, so nothing
is ever taken back, and processors that keep state (mirostat's surprise, a counter) cannot tell the difference.

Rows of a group walk in step, as long as every row's token has a node; a stop that depends on tokens already drawn
leaves the law of each token what it is. A group is one row where processors can be applied row by row, else the whole
batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from guided.speculation.draft import Draft
from guided.speculation.rules import draw, select

__all__ = ["Acceptance", "Exact", "Group", "Row"]


class Acceptance(Protocol):
    """How a token is chosen at a node. `lossless` says whether its law is the model's."""

    lossless: bool

    def choose(self, scores: torch.Tensor, draft: Draft | None, node: int) -> int:
        """A token from processed scores float [V]; `draft` None where nothing was drafted."""


class Exact:
    """Greedy: the best token. Sampled: a token with the law of the scores, by the rule of the node's draws."""

    lossless = True

    def __init__(self, do_sample: bool) -> None:
        self.do_sample = do_sample

    def choose(self, scores: torch.Tensor, draft: Draft | None, node: int) -> int:
        if not self.do_sample:
            return int(scores.argmax(-1))
        p = torch.softmax(scores, -1)
        draws = draft.draws.get(node) if draft is not None else None
        return draw(p) if draws is None else select(p, draws)


class Row:
    """One sequence: its ids, its drafting matcher, and whether it has ended."""

    __slots__ = ("emitted", "finished", "ids", "index", "matcher", "path", "prompt_length", "session", "sources")

    def __init__(self, index: int, ids: list[int], matcher: Any, session: Any) -> None:
        self.index, self.ids, self.matcher, self.session = index, ids, matcher, session
        self.prompt_length = len(ids)
        self.finished = False
        self.path: list[int] = []  # nodes accepted in this round
        self.emitted: list[int] = []  # tokens of this round
        self.sources: list[str] = []  # who drafted them


class Group:
    """Rows that walk in step, over one buffer of ids [rows, room] and with processors of their own.

    `stops(ids, scores)` gives bool [rows]: which rows end with their last token; `pad` follows in rows that ended.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        prompts: torch.Tensor,
        room: int,
        processors: Sequence[Callable[[Any, Any], Any]],
        acceptance: Acceptance,
        eos_ids: frozenset[int],
        max_length: int,
        criteria: Sequence[Callable[[Any, Any], Any]],
        pad: int,
        keep: tuple[list[Any] | None, list[Any] | None] = (None, None),
    ) -> None:
        self.rows = list(rows)
        shape = (len(rows), prompts.shape[1] + room)
        self.ids = torch.full(shape, pad, dtype=torch.long, device=prompts.device)
        self.ids[:, : prompts.shape[1]] = prompts
        self.length = prompts.shape[1]
        self._processors, self._acceptance = list(processors), acceptance
        self.eos_ids, self.max_length, self._criteria, self.pad = eos_ids, max_length, list(criteria), pad
        self._kept_scores, self._kept_logits = keep
        self.seconds = 0.0  # in processors
        self._device = prompts.device

    @property
    def finished(self) -> bool:
        return all(row.finished for row in self.rows)

    def walk(self, drafts: Sequence[Draft | None], logits: torch.Tensor) -> None:
        """Emit at least one token a row. `logits` [rows, nodes, V] of the drafts, [rows, 1, V] where there are none."""
        nodes = [0] * len(self.rows)
        for row in self.rows:
            row.path, row.emitted, row.sources = [], [], []
        while True:
            self._step(drafts, nodes, logits)
            if self.finished:
                return
            moves = []
            for row, draft, node in zip(self.rows, drafts, nodes, strict=True):
                if row.finished:
                    moves.append(node)
                    continue
                child = None if draft is None else draft.children[node].get(row.ids[-1])
                if child is None:
                    return
                moves.append(child)
            for row, before, node in zip(self.rows, nodes, moves, strict=True):
                if node != before:
                    row.path.append(node)
            nodes = moves

    def _step(self, drafts: Sequence[Draft | None], nodes: Sequence[int], logits: torch.Tensor) -> None:
        """One token a row."""
        if len(nodes) == 1:
            raw = logits[0, nodes[0]][None]
        else:
            raw = logits[range(len(nodes)), list(nodes)]
        ids = self.ids[:, : self.length]
        scores = raw = raw.float()
        if self._processors:
            start = time.perf_counter()
            scores = raw.clone() if raw.device == self._device else raw.to(self._device)
            if self._kept_logits is not None:
                raw = scores.clone()
            for processor in self._processors:
                scores = processor(ids, scores)
            self.seconds += time.perf_counter() - start
        if self._kept_scores is not None:
            self._kept_scores.append(scores.clone())
        if self._kept_logits is not None:
            self._kept_logits.append(raw.clone())
        for place, (row, draft, node) in enumerate(zip(self.rows, drafts, nodes, strict=True)):
            if row.finished:
                self.ids[place, self.length] = self.pad
                continue
            token = self._acceptance.choose(scores[place], draft, node)
            child = None if draft is None else draft.children[node].get(token)
            row.ids.append(token)
            row.emitted.append(token)
            row.sources.append("" if child is None or draft is None else draft.sources[child])
            self.ids[place, self.length] = token
            if token in self.eos_ids:
                row.finished = True
        self._end_step()

    def append_outright(self, token: int, source: str) -> None:
        """Emit the only legal token of a group of one row without asking the model."""
        (row,) = self.rows
        row.ids.append(token)
        row.emitted.append(token)
        row.sources.append(source)
        self.ids[0, self.length] = token
        row.finished |= token in self.eos_ids
        self._end_step()

    def _end_step(self) -> None:
        self.length += 1
        if self.length >= self.max_length:
            for row in self.rows:
                row.finished = True
        if self._criteria:
            ended = torch.zeros(len(self.rows), dtype=torch.bool)
            kept = None if self._kept_scores is None else tuple(self._kept_scores)
            for criterion in self._criteria:
                ended |= criterion(self.ids[:, : self.length], kept).cpu()
            for row, done in zip(self.rows, ended.tolist(), strict=True):
                row.finished |= done
