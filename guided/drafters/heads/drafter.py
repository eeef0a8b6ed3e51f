"""`Heads`: trained heads as a drafter, with a tree that follows their confidence.

Level by level: the `beam` likeliest paths are extended by one step of the heads (one call for all of them), each by its
`branch` best legal tokens, and at the end the `nodes` likeliest prefixes of all are drafted. A prefix is never less
likely than what follows it, so these are a tree. Proposals are deterministic: the verifier needs no probabilities of
theirs, and greedy output is that of the model, token for token.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from guided.drafters.heads.modules import DraftHeads, State
from guided.drafters.heads.store import load_heads
from guided.speculation.draft import Draft, Seen, Session, Setup, View

__all__ = ["Heads"]


class Heads:
    """Draft with trained heads (or the file that `save_heads` wrote).

    `nodes`     drafted tokens a pass at most, default 12
    `depth`     tokens of a path at most, default what the heads were trained for
    `beam`      paths that are extended at each level, default 3
    `branch`    continuations of each, default 4
    `least`     paths less likely than this are not drafted, default 0.04: a node must be worth its share of the pass
    """

    needs: frozenset[str] = frozenset({"hidden"})

    def __init__(
        self,
        heads: DraftHeads | str | Path,
        *,
        nodes: int = 12,
        depth: int | None = None,
        beam: int = 3,
        branch: int = 4,
        least: float = 0.04,
        name: str = "heads",
    ) -> None:
        if min(nodes, beam, branch, 1 if depth is None else depth) < 1 or not 0.0 <= least < 1.0:
            raise ValueError("nodes, depth, beam and branch are at least 1, least is from 0 to below 1")
        self.heads = heads if isinstance(heads, DraftHeads) else load_heads(heads)
        self.nodes, self.beam, self.branch, self.least, self.name = nodes, beam, branch, least, name
        self.depth = self.heads.config.depth if depth is None else depth
        self._bound: Any = None

    def start(self, setup: Setup) -> Session:
        """A session on `setup.model`. Errors: `ValueError` when the heads belong to another model."""
        if self._bound is not setup.model:
            self.heads.bind(setup.model)
            self._bound = setup.model
        return _Session(self)


class _Session:
    def __init__(self, options: Heads) -> None:
        self._options = options
        self._hidden: torch.Tensor | None = None  # [1, d], the state that chose the last committed token

    def observe(self, seen: Seen) -> None:
        assert seen.hidden is not None
        at = seen.path[-1] if seen.path else 0
        self._hidden = seen.hidden[at : at + 1].float()

    @torch.inference_mode()
    def propose(self, view: View, draft: Draft, node: int) -> None:
        """Add a tree under `node`; forced tokens between the committed end and it are read first."""
        if self._hidden is None:
            return
        options, heads = self._options, self._options.heads
        ahead = view.ids[view.committed - 1 :]  # the last committed token, then forced ones
        limit = options.depth if heads.steps is None else min(options.depth, heads.steps - len(ahead) + 1)
        if limit < 1 or draft.left < 1:
            return
        state = heads.begin(self._hidden)
        number = 0
        for token in ahead[:-1]:
            _, state = heads.step(state, torch.tensor([token]), number)
            number += 1
        paths: list[tuple[int, ...]] = [()]
        scores = torch.zeros(1)
        last = torch.tensor([ahead[-1]])
        found: list[tuple[float, tuple[int, ...]]] = []
        hints: dict[tuple[int, ...], tuple[int, int]] = {}
        for _ in range(min(limit, draft.depth_limit - draft.depth[node])):
            logits, state = heads.step(state, last, number)
            number += 1
            grown = _extend(heads, logits, paths, scores, view.matcher, options)
            if not grown:
                break
            found += [(score, path) for score, path, _ in grown]
            before = scores.tolist()
            for score, path, parent in grown:
                hints[path] = (int(8 * math.exp(min(score - before[parent], 0.0))), min(len(path), 3))
            grown = grown[: options.beam]
            parents = torch.tensor([parent for _, _, parent in grown])
            state = _pick(state, parents)
            paths = [path for _, path, _ in grown]
            scores = torch.tensor([score for score, _, _ in grown])
            last = torch.tensor([path[-1] for path in paths])
        found.sort(key=lambda each: (-each[0], len(each[1])))
        places: dict[tuple[int, ...], int] = {(): node}
        for _, path in found[: options.nodes]:  # a path's beginning stands before it
            places[path] = draft.add(places[path[:-1]], path[-1], options.name, hints[path])
            if places[path] < 0:
                return


def _extend(
    heads: DraftHeads, logits: torch.Tensor, paths: list[tuple[int, ...]], scores: torch.Tensor, matcher: Any,
    options: Heads,
) -> list[tuple[float, tuple[int, ...], int]]:  # fmt: skip
    """(log-probability, path, row of its parent) of the best legal continuations, likeliest first."""
    least = math.log(options.least) if options.least > 0 else -math.inf
    wide = options.branch if matcher is None else 4 * options.branch  # some will be illegal
    best, where = logits.log_softmax(-1).topk(min(wide, logits.shape[-1]))
    values = (best + scores[:, None]).tolist()
    tokens = heads.vocabulary[where].tolist()
    grown = []
    for row, path in enumerate(paths):
        taken = 0
        moved = 0 if matcher is None else sum(matcher.accept(token) for token in path)
        for value, token in zip(values[row], tokens[row], strict=True):
            if taken == options.branch or value < least:
                break
            if matcher is not None:
                if not matcher.accept(token):
                    continue
                matcher.rollback(1)
            grown.append((value, (*path, token), row))
            taken += 1
        if moved:
            matcher.rollback(moved)
    grown.sort(key=lambda each: -each[0])
    return grown


def _pick(state: State, rows: torch.Tensor) -> State:
    return tuple(part[rows] for part in state)
