"""`Recall`: what the model itself thought likely the last time it stood at these tokens, with its probabilities.

Token Recycling's table and a trigram table in one, made for choosing: a row is kept for the last two tokens and for the
last one, it holds the model's best next tokens *with their probabilities*, and the tree is grown best first by the
products of those. Only nodes on the accepted path are read (an eighth of the cost of reading all).
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable

import torch

from guided.speculation.draft import Draft, Seen, Session, Setup, View

__all__ = ["Recall"]

_BLOCK = 64
Row = list[tuple[int, float]]  # tokens with probabilities, the likeliest first


class Recall:
    """A best-first tree of at most `nodes` nodes from rows of `keep` tokens; `limit` rows before the oldest go."""

    needs = frozenset({"logits"})
    name = "recall"

    def __init__(self, nodes: int = 24, keep: int = 4, depth: int = 8, limit: int = 400_000) -> None:
        self.nodes, self.keep, self.depth, self.limit = nodes, keep, depth, limit
        self.table: dict[Hashable, Row] = {}

    def start(self, setup: Setup) -> Session:
        return _Recall(self)

    def store(self, key: Hashable, row: Row) -> None:
        self.table.pop(key, None)
        self.table[key] = row
        if len(self.table) > self.limit:
            self.table.pop(next(iter(self.table)))


class _Recall:
    def __init__(self, owner: Recall) -> None:
        self._owner = owner

    def propose(self, view: View, draft: Draft, node: int) -> None:
        table, owner = self._owner.table, self._owner
        before = view.ids[-2] if len(view.ids) > 1 else -1
        heap: list[tuple[float, int, int, int, int]] = [(-1.0, 0, node, before, view.ids[-1])]
        added, order = 0, 0
        while heap and added < owner.nodes:
            chance, depth, place, previous, last = heapq.heappop(heap)
            row, known = table.get((previous, last)), 2
            if row is None:
                row, known = table.get(last, []), 1
            for token, p in row:
                if p < 0.02 or added >= owner.nodes:
                    break
                child = draft.add(place, token, owner.name, (known, int(p * 8), min(depth, 2)))
                if child < 0:
                    return
                added += 1
                order += 1
                weight = p if known == 2 else 0.5 * p
                if depth + 1 < owner.depth and -chance * weight > 0.02:
                    heapq.heappush(heap, (chance * weight, depth + 1, child, last, token))

    def observe(self, seen: Seen) -> None:
        if seen.logits is None:
            return
        nodes = [0, *seen.path]
        best, weights = likeliest(path_rows(seen), self._owner.keep)
        end = len(seen.ids) - len(nodes)
        for place, (tokens, chances) in enumerate(zip(best.tolist(), weights.tolist(), strict=True)):
            row = list(zip(tokens, chances, strict=True))
            last = seen.ids[end + place - 1]
            self._owner.store(last, row)
            if end + place >= 2:
                self._owner.store((seen.ids[end + place - 2], last), row)


def path_rows(seen: Seen) -> torch.Tensor:
    """Scores float [path + 1, V] along the accepted path, root first; a view where they stand in one row."""
    assert seen.logits is not None
    count = len(seen.path) + 1
    if list(seen.path) == list(range(1, count)):
        return seen.logits[:count].float()
    return seen.logits[[0, *seen.path]].float()


def likeliest(scores: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The `count` best tokens of each row and their probabilities, [rows, count] each, the likeliest first.

    The best tokens lie in the blocks with the greatest maxima, and maxima are read at the speed of memory: three times
    as fast as `torch.topk` over a vocabulary.
    """
    rows, width = scores.shape
    count = min(count, width)
    mass = torch.logsumexp(scores, -1, keepdim=True)
    if width % _BLOCK or width < count * _BLOCK * 2:
        best = torch.topk(scores, count, dim=-1)
        return best.indices, torch.exp(best.values - mass)
    blocks = scores.view(rows, -1, _BLOCK)
    chosen = blocks.amax(-1).topk(count, dim=-1).indices
    inside = blocks.gather(1, chosen[..., None].expand(-1, -1, _BLOCK)).reshape(rows, -1)
    best = torch.topk(inside, count, dim=-1)
    tokens = chosen.gather(1, best.indices // _BLOCK) * _BLOCK + best.indices % _BLOCK
    return tokens, torch.exp(best.values - mass)
