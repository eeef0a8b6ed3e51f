"""Walks from the prompt to the end of a text under ASAp's tilted law; and among them the exact sampler.

`asap` takes every text that a walk reaches. The law of one walk is the tilted law, which converges to the conditional
law as bounds are learnt, but is not the conditional law yet.

`rejection` makes it exact at any time. A walk proposes a text y with probability

    q(y) = prod_x R(t|x) c(xt) / C(x),      C(x) = sum_t R(t|x) c(xt) <= c(x)

so R(y) / q(y) = C(root) prod_{x below the root} C(x) / c(x), at most C(root). Hence: at each prefix below the root go
on with probability C(x) / c(x), else give the walk up. What arrives has exactly the law R(y) / Pr(language), whatever
the bounds were, and different texts are independent. A prefix seen first has c = 1 and C = its legal mass: that is
plain rejection sampling, cut short at the first illegal token; and each walk, given up or not, lowers the bounds, so no
mistake is made twice. Expected walks for a text: C(root) / Pr(language), which falls towards 1.

Source: the tilted law from arXiv 2405.21047; adaptive rejection from such a trie also in "Constrained Adaptive
Rejection Sampling" (Parys et al. 2025). The acceptance rule above is derived here and tested by enumeration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from guided.conditioning.oracle import back_up, prune, tilted
from guided.conditioning.tree import Float64, Node, PrefixTree

__all__ = ["Walks", "draw", "walk"]

_LAST_WALKS = 64
Uniform = Callable[[], float]


def draw(weights: Float64, total: float, uniform: Uniform) -> int:
    """An index with probability weights / total (any weights >= 0 that are not all 0)."""
    sums = weights.cumsum()
    place = int(np.searchsorted(sums, uniform() * min(total, float(sums[-1])), side="right"))
    if place >= len(weights) or weights[place] <= 0.0:  # rounding at the upper end
        place = int(np.flatnonzero(weights)[-1])
    return place


def walk(tree: PrefixTree, count: int, uniform: Uniform, *, exact: bool) -> list[Node | None]:
    """`count` walks side by side under the bounds as they stand; bounds are lowered afterwards.

    A walk gives the node of its EOS, or None where it was given up (`exact`) or met a dead end (all bounds 0).
    Side by side: the prefixes at which walks wait are scored in one pass.
    """
    places: list[Node] = [tree.root] * count
    found: list[Node | None] = [None] * count
    going = list(range(count))
    while going:
        rows = tree.rows([places[number] for number in going])
        still = []
        for number, row in zip(going, rows, strict=True):
            node = places[number]
            node.visits += 1
            weights, total = tilted(node, row)
            if total <= 0.0:
                continue
            if exact and node is not tree.root and uniform() * node.bound >= total:
                continue
            kid = tree.child(node, int(row.ids[draw(weights, total, uniform)]))
            places[number] = kid
            if kid.terminal:
                found[number] = kid
            else:
                still.append(number)
        going = still
    for node in dict.fromkeys(places):
        back_up(node.line())
    return found


@dataclass
class Walks:
    """Texts from walks until there are enough, or `max_passes` forward passes were made.

    `width` walks go side by side; a pass of several tokens costs a CPU hardly more than a pass of one.
    """

    tree: PrefixTree
    uniform: Uniform
    width: int = 4
    max_passes: int = 1024
    max_nodes: int = 100_000
    attempts: int = 0
    accepted: int = 0

    def sample(self, count: int, *, exact: bool) -> tuple[list[Node], bool]:
        """`count` texts (their EOS nodes), and whether all of them came from exact walks.

        With the passes used up the rest comes from inexact walks, which fail only where the limit cuts a text short.
        Fewer than `count` nodes come back if no legal text has any probability, or 64 walks a text found no end.
        """
        found: list[Node] = []
        last = self.tree.passes + self.max_passes
        while len(found) < count and self.tree.passes < last and self.tree.root.bound > 0.0:
            wave = walk(self.tree, self._wave(count - len(found)), self.uniform, exact=exact)
            self.attempts += len(wave)
            found += [node for node in wave if node is not None]
            prune(self.tree, self.max_nodes)
        kept = found[:count]
        self.accepted += len(kept)
        if len(kept) == count:
            return kept, exact
        for _ in range(_LAST_WALKS * (count - len(kept))):
            if len(kept) == count or self.tree.root.bound <= 0.0:
                break
            kept += [node for node in walk(self.tree, 1, self.uniform, exact=False) if node is not None]
            self.attempts += 1
        return kept, False

    def _wave(self, missing: int) -> int:
        """Walks of the next wave. Decided by the past alone, so that it tells nothing about what they will find."""
        return max(1, min(self.width, missing))
