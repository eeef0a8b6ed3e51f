"""ASAp's table: upper bounds on the mass that still ends in the language, learnt from the samples themselves.

    c(x)  >=  E(x) = Pr(a text that begins with x ends in the language | x),   1 for a prefix that nobody looked behind
    tilted law    p(t | x)  ~  R(t | x) c(x t)                  R: the model's processed law; illegal tokens have c = 0
    after a walk  c(x)  <-  sum_t R(t | x) c(x t)               for its prefixes, from the end to the root

Sparse form: only children that were visited can have c < 1, so c(x) = mass(x) - sum over them of R (1 - c). The bounds
never grow, and where everything below a prefix is known they equal E: the tilted law is then the conditional law.

Source: Park, Wang, Berg-Kirkpatrick, Polikarpova, D'Antoni (2024), "Grammar-Aligned Decoding", arXiv 2405.21047,
algorithm 1 (there with a node for every legal token). Cost here: O(visited children) a node.
"""

from __future__ import annotations

from collections.abc import Sequence

from guided.conditioning.tree import Float64, Node, PrefixTree, Row

__all__ = ["back_up", "prune", "tilted"]


def tilted(node: Node, row: Row) -> tuple[Float64, float]:
    """R(t|x) c(xt) for the legal tokens of `row`, and its sum: what `back_up` would make of the bound now."""
    weights, total = row.probs, row.mass
    if node.kids:
        weights = weights.copy()
        for token, kid in node.kids.items():
            if kid.bound < 1.0:
                weights[row.index(token)] *= kid.bound
        total = min(float(weights.sum()), row.mass)
    return weights, total


def back_up(line: Sequence[Node]) -> None:
    """Lower the bounds along a walk, from its last node to the root. Nodes without a row keep theirs."""
    for node in reversed(line):
        if node.terminal or node.mass < 0:
            continue
        if node.row is not None:
            total = tilted(node, node.row)[1]
        else:  # the row was dropped; probabilities of visited children are still known from themselves
            total = node.mass - sum(_prob(kid) * (1.0 - kid.bound) for kid in node.kids.values())
        node.bound = min(node.bound, max(total, 0.0))


def _prob(kid: Node) -> float:
    from math import exp

    return exp(kid.log_prob)


def prune(tree: PrefixTree, limit: int) -> None:
    """Forget least visited subtrees until at most `limit` nodes are left. Their bounds go back to 1, still upper ones.

    The bounds above stay as they are: they were computed from valid upper bounds.
    """
    if tree.nodes <= limit:
        return
    inner: list[Node] = []
    waiting = [tree.root]
    while waiting:
        node = waiting.pop()
        if node.kids:
            inner.append(node)
            waiting += node.kids.values()
    inner.sort(key=lambda node: (node.visits, -node.depth))
    for node in inner:
        if tree.nodes <= limit or node is tree.root:
            break
        if node.kids:
            tree.forget(node)
