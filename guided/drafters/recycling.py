"""`TokenRecycling`: the model's own runners-up at a token, offered again when the token comes back.

Luo et al. 2024, "Turning Trash into Treasure". Every node of every pass leaves its `k` best next tokens in a table, and
the next draft is a fixed tree over the table: the child of rank r under token t is the r-th entry of t's row.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from guided.speculation.draft import Draft, Seen, Session, Setup, View

__all__ = ["TREE", "TokenRecycling"]

# Rank paths of 15 nodes: sized for a CPU, where a pass of 16 tokens costs little more than one of one.
TREE: tuple[tuple[int, ...], ...] = (
    (0,), (1,), (2,), (3,), (0, 0), (0, 1), (1, 0), (2, 0), (0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0),
    (0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 0, 0, 0),
)  # fmt: skip


class TokenRecycling:
    """`k` runners-up a token, a tree of rank paths (`TREE` by default; parents before children).

    The table stays with the object, so a second generation starts warm; what is written never depends on it. Use one
    object for each user where the time that a generation takes must not tell of another's text.
    """

    needs = frozenset({"logits"})
    name = "recycling"

    def __init__(self, k: int = 4, tree: Sequence[tuple[int, ...]] = TREE) -> None:
        if any(path and path[:-1] and path[:-1] not in tree[:place] for place, path in enumerate(tree)):
            raise ValueError("a rank path's parent must stand before it in the tree")
        if any(rank >= k for path in tree for rank in path):
            raise ValueError(f"the tree asks for ranks that k={k} does not keep")
        self.k, self.tree = k, tuple(tree)
        self.table: dict[int, list[int]] = {}

    def start(self, setup: Setup) -> Session:
        return _Recycling(self)


class _Recycling:
    def __init__(self, owner: TokenRecycling) -> None:
        self._owner = owner

    def propose(self, view: View, draft: Draft, node: int) -> None:
        table = self._owner.table
        places: dict[tuple[int, ...], int] = {(): node}
        for path in self._owner.tree:
            parent = places.get(path[:-1], -1)
            if parent >= 0:
                row = table.get(draft.tokens[parent], ())
                if path[-1] < len(row):
                    places[path] = draft.add(parent, row[path[-1]], self._owner.name)

    def observe(self, seen: Seen) -> None:
        if seen.logits is None:
            return
        best = torch.topk(seen.logits, min(self._owner.k, seen.logits.shape[-1]), dim=-1).indices.tolist()
        table, draft = self._owner.table, seen.draft
        on_path = {0, *seen.path}
        for node in sorted(range(len(draft)), key=lambda node: (node in on_path, draft.depth[node])):
            table[draft.tokens[node]] = best[node]  # an accepted node has the last word on its token
