"""`Trigram`: a table of what follows two tokens, corrected by the model as it writes, searched for likely paths.

Adaptive draft-verification (Liu et al. 2024, ADED): the table starts from a corpus (here: the prompt) and moves towards
the model's probabilities at every position that was verified; the draft is the part of the table's tree that a
Monte-Carlo tree search visits most. Own constants; the paper's are not known to us.
"""

from __future__ import annotations

import math

import torch

from guided.speculation.draft import Draft, Seen, Session, Setup, View

__all__ = ["Trigram"]

Pair = tuple[int, int]


class Trigram:
    """Drafts of `nodes` nodes, at most `depth` deep, from `simulations` walks with exploration weight `explore`.

    `rate` is how fast the table follows the model, `keep` how many continuations a pair has, `pairs` how many pairs the
    table has before the oldest go. The table belongs to the object: warm for the next generation.
    """

    needs = frozenset({"logits"})
    name = "trigram"

    def __init__(
        self,
        nodes: int = 15,
        depth: int = 6,
        simulations: int = 32,
        explore: float = 1.0,
        rate: float = 0.3,
        keep: int = 8,
        pairs: int = 200_000,
    ) -> None:
        self.nodes, self.depth, self.simulations, self.explore = nodes, depth, simulations, explore
        self.rate, self.keep, self.pairs = rate, keep, pairs
        self.table: dict[Pair, dict[int, float]] = {}

    def start(self, setup: Setup) -> Session:
        return _Trigrams(self)

    def update(self, pair: Pair, weights: dict[int, float]) -> None:
        """Move a pair's continuations towards `weights`."""
        row = self.table.pop(pair, {})  # the newest pairs stand last
        for token in row:
            row[token] *= 1 - self.rate
        for token, weight in weights.items():
            row[token] = row.get(token, 0.0) + self.rate * weight
        if len(row) > self.keep:
            row = dict(sorted(row.items(), key=lambda item: -item[1])[: self.keep])
        self.table[pair] = row
        if len(self.table) > self.pairs:
            self.table.pop(next(iter(self.table)))


class _Node:
    __slots__ = ("children", "pair", "prior", "value", "visits")

    def __init__(self, pair: Pair, prior: float) -> None:
        self.pair, self.prior = pair, prior
        self.visits, self.value = 0, 0.0
        self.children: dict[int, _Node] | None = None


class _Trigrams:
    def __init__(self, owner: Trigram) -> None:
        self._owner, self._read = owner, 0

    def propose(self, view: View, draft: Draft, node: int) -> None:
        self._learn_prompt(view)
        if len(view.ids) < 2:
            return
        root = _Node((view.ids[-2], view.ids[-1]), 1.0)
        for _ in range(self._owner.simulations):
            self._simulate(root)
        places = {id(root): node}
        open_nodes = [(root, 0)]
        chosen: list[tuple[int, int, _Node, _Node, int]] = []
        while open_nodes:
            current, depth = open_nodes.pop()
            for token, child in (current.children or {}).items():
                if child.visits:
                    chosen.append((-child.visits, depth, current, child, token))
                    open_nodes.append((child, depth + 1))
        chosen.sort(key=lambda item: item[:2])  # most visited first; a parent has more visits, or is less deep
        for _, _, parent, child, token in chosen[: self._owner.nodes]:
            if (place := places.get(id(parent), -1)) >= 0:
                places[id(child)] = draft.add(place, token, self._owner.name)

    def _simulate(self, root: _Node) -> None:
        node, path, value = root, [root], 1.0
        for _ in range(self._owner.depth):
            if node.children is None:
                node.children = self._expand(node.pair)
            if not node.children:
                break
            scale = self._owner.explore * math.sqrt(node.visits + 1)
            node = max(node.children.values(), key=lambda c: c.value + scale * c.prior / (1 + c.visits))
            value *= node.prior
            path.append(node)
        for node in path:
            node.visits += 1
            node.value += (value - node.value) / node.visits

    def _expand(self, pair: Pair) -> dict[int, _Node]:
        row = self._owner.table.get(pair, {})
        total = sum(row.values())
        return {token: _Node((pair[1], token), weight / total) for token, weight in row.items()} if total > 0 else {}

    def _learn_prompt(self, view: View) -> None:
        for at in range(max(self._read, 2), view.prompt_length):
            self._owner.update((view.ids[at - 2], view.ids[at - 1]), {view.ids[at]: 1.0})
        self._read = view.prompt_length

    def observe(self, seen: Seen) -> None:
        if seen.logits is None:
            return
        nodes = [0, *seen.path]
        kept = min(self._owner.keep, seen.logits.shape[-1])
        best = torch.topk(torch.softmax(seen.logits[nodes].float(), -1), kept, dim=-1)
        end = len(seen.ids) - len(nodes)  # ids[end] is the token that node 0's scores chose
        for place, (tokens, weights) in enumerate(zip(best.indices.tolist(), best.values.tolist(), strict=True)):
            if end + place >= 2:
                pair = (seen.ids[end + place - 2], seen.ids[end + place - 1])
                self._owner.update(pair, dict(zip(tokens, weights, strict=True)))
