"""Sequential Monte Carlo: particles that pay for the mass which the constraint took from them.

Each particle is extended by a legal token and its weight multiplied with the legal mass Z at that prefix (or with
AWRS's unbiased estimate of it). When weights have become too unequal, particles are resampled in proportion to them. At
the end the weighted particles stand for the conditional law, better the more there are, and the mean weight is an
unbiased estimate of Pr(language). One text is drawn in proportion to weight.

Particles are pointers into a `PrefixTree`: equal prefixes are scored once and resampling moves nothing.

Source: Lew et al. (2023), "Sequential Monte Carlo Steering", arXiv 2306.03081; Loula et al. (2025), "Syntactic and
Semantic Control of Large Language Models via Sequential Monte Carlo", arXiv 2504.13139.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from guided.conditioning.awrs import Estimator, awrs
from guided.conditioning.tree import Float64, Node, PrefixTree
from guided.conditioning.walk import draw

__all__ = ["Particles", "effective_size", "smc", "systematic"]

Critic = Callable[[list[int]], float]


@dataclass(frozen=True)
class Particles:
    """Finished texts and what each stands for.

    nodes        EOS nodes; duplicates are possible after resampling
    log_weights  float64 [n], natural logarithm; -inf for a particle that died
    masses       for each particle the legal mass (or its estimate) at each of its tokens
    log_evidence estimate of log Pr(language): log of the mean weight
    """

    nodes: list[Node | None]
    log_weights: Float64
    masses: list[list[float]]
    log_evidence: float

    def probabilities(self) -> Float64:
        """Normalised weights; all 0 when every particle died."""
        top = self.log_weights.max()
        if not np.isfinite(top):
            return np.zeros_like(self.log_weights)
        weights = np.exp(self.log_weights - top)
        return weights / weights.sum()  # type: ignore[no-any-return]


def effective_size(log_weights: Float64) -> float:
    """(sum w)^2 / sum w^2: how many equally weighted particles these are worth; 0 when all are dead."""
    top = log_weights.max()
    if not np.isfinite(top):
        return 0.0
    weights = np.exp(log_weights - top)
    return float(weights.sum() ** 2 / (weights**2).sum())


def systematic(weights: Float64, uniform: float) -> list[int]:
    """Which particles go on: n indices, particle i on average n w_i times, with one random number for all."""
    count = len(weights)
    points = (uniform + np.arange(count)) / count
    sums = weights.cumsum() / weights.sum()
    return np.minimum(np.searchsorted(sums, points, side="right"), count - 1).tolist()  # type: ignore[no-any-return]


def smc(
    tree: PrefixTree,
    rng: np.random.Generator,
    *,
    particles: int = 8,
    threshold: float = 0.5,
    proposal: Literal["mask", "awrs"] = "mask",
    estimator: Estimator = "auto",
    critic: Critic | None = None,
) -> Particles:
    """Run `particles` to the end of their texts.

    `threshold`  resample when the effective size falls below this share of the particles; 0: never (importance
                 sampling), 1: after every step
    `proposal`   "mask": exact legal mass, one mask a prefix; "awrs": a few legality checks and an estimate
    `critic`     log of a positive function of the tokens so far, 0 where nothing is known: weights are tilted by it on
                 the way (particles that it thinks little of are dropped earlier), and it cancels at the end
    """
    nodes: list[Node | None] = [tree.root] * particles
    log_weights: Float64 = np.zeros(particles)
    guesses: Float64 = np.zeros(particles)  # the critic's log value at each particle
    masses: list[list[float]] = [[] for _ in range(particles)]
    evidence = 0.0
    while True:
        going = [i for i, node in enumerate(nodes) if node is not None and not node.terminal]
        if not going:
            break
        steps = _propose(tree, [nodes[i] for i in going], rng, proposal, estimator)  # type: ignore[misc]
        for i, (kid, mass) in zip(going, steps, strict=True):
            nodes[i] = kid
            masses[i].append(mass)
            log_weights[i] += np.log(mass) if mass > 0.0 else -np.inf
            if critic is not None and kid is not None:
                guess = 0.0 if kid.terminal else float(critic(kid.path()))
                log_weights[i] += guess - guesses[i]
                guesses[i] = guess
        size = effective_size(log_weights)
        if size == 0.0:
            return Particles([None] * particles, np.full(particles, -np.inf), masses, -np.inf)
        if size < threshold * particles and any(node is not None and not node.terminal for node in nodes):
            top = float(log_weights.max())
            weights = np.exp(log_weights - top)
            chosen = systematic(weights, float(rng.random()))
            evidence += top + float(np.log(weights.mean()))
            nodes = [nodes[i] for i in chosen]
            masses = [list(masses[i]) for i in chosen]
            guesses = guesses[chosen]
            log_weights = np.zeros(particles)
    top = float(log_weights.max())
    return Particles(nodes, log_weights, masses, evidence + top + float(np.log(np.exp(log_weights - top).mean())))


def _propose(
    tree: PrefixTree, nodes: list[Node], rng: np.random.Generator, proposal: str, estimator: Estimator
) -> list[tuple[Node | None, float]]:
    """A legal token for each particle, and the legal mass there (or an unbiased estimate)."""
    if proposal == "mask":
        steps: list[tuple[Node | None, float]] = []
        for node, row in zip(nodes, tree.rows(nodes), strict=True):
            if row.mass <= 0.0:
                steps.append((None, 0.0))
                continue
            token = int(row.ids[draw(row.probs, row.mass, rng.random)])
            steps.append((tree.child(node, token), row.mass))
        return steps
    distinct = list(dict.fromkeys(nodes))
    laws = dict(zip(distinct, tree.full(distinct), strict=True))
    steps = []
    for node in nodes:
        probs = laws[node]

        def legal(token: int, node: Node = node) -> bool:
            return tree.may_follow(node, token)

        token, mass = awrs(probs, legal, rng, estimator=estimator)
        steps.append((None, 0.0) if token < 0 else (tree.adopt(node, token, float(probs[token])), mass))
    return steps
