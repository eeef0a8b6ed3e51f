"""Lossy acceptance, to be asked for by name: `guided.generate(..., acceptance=Typical())`.

The exact verifier takes the token that the model itself would write. These take a drafted token that is good enough.
Output is then no longer that of the model (`lossless` is False, and nothing else in this project uses them); a
constraint still holds, since only what it allows has any probability here.

Typical   a drafted token with p > min(epsilon, delta exp(-H(p))) is accepted, the likeliest if there are several: where
          the model is undecided (high entropy H), less is asked of a draft. Cai et al. (2024), arXiv 2401.10774, which
          picks the longest such path of the whole tree; here the choice is made node by node, so that processors with
          memory see one text only
Judge     a drafted token that the exact rule refuses is put before a judge, a function of (p(token), p(best), H). The
          published judge (Bachmann et al. 2025, arXiv 2501.19309) is a linear probe of the target's hidden state at the
          drafted token, trained on answers with marked mistakes; `linear_judge` is a probe of that form on these
          three numbers, and any callable will do
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log

import torch

from guided.speculation.draft import Draft
from guided.speculation.verify import Exact

__all__ = ["Judge", "Typical", "linear_judge"]

Judgement = Callable[[float, float, float], float]


def _entropy(p: torch.Tensor) -> float:
    """In nats."""
    return float(torch.special.entr(p).sum())


class Typical:
    """Accept what the model finds typical. `do_sample` says what is written where no drafted token is good enough.

    `epsilon`, `delta`: defaults 0.3 and 0.09, those of the reference implementation.
    """

    lossless = False

    def __init__(self, epsilon: float = 0.3, delta: float = 0.09, *, do_sample: bool = False) -> None:
        if not (0.0 < epsilon < 1.0 and 0.0 < delta <= 1.0):
            raise ValueError("epsilon is between 0 and 1, delta above 0 and at most 1")
        self.epsilon, self.delta, self._exact = epsilon, delta, Exact(do_sample)

    def choose(self, scores: torch.Tensor, draft: Draft | None, node: int) -> int:
        """The likeliest child above the threshold, else what the exact rule writes."""
        children = [] if draft is None else list(draft.children[node])
        if children:
            p = torch.softmax(scores, -1)
            shares = p[children]
            best = int(shares.argmax())
            if float(shares[best]) > min(self.epsilon, self.delta * exp(-_entropy(p))):
                return children[best]
        return self._exact.choose(scores, None, node)


class Judge:
    """The exact rule, or a judge: drafted tokens, likeliest first, are accepted if `judge(p, best, entropy) > 0.5`.

    p: the token's probability; best: the largest one; entropy in nats. Illegal tokens are never judged.
    """

    lossless = False

    def __init__(self, judge: Judgement, *, do_sample: bool = False) -> None:
        self.judge, self._exact = judge, Exact(do_sample)

    def choose(self, scores: torch.Tensor, draft: Draft | None, node: int) -> int:
        """What the exact rule writes if that was drafted; else the likeliest child that passes; else the former."""
        token = self._exact.choose(scores, draft, node)
        children = {} if draft is None else draft.children[node]
        if not children or token in children:
            return token
        p = torch.softmax(scores, -1)
        entropy, best = _entropy(p), float(p.max())
        for child in sorted(children, key=lambda each: -float(p[each])):
            if float(p[child]) > 0.0 and self.judge(float(p[child]), best, entropy) > 0.5:
                return child
        return token


@dataclass(frozen=True)
class linear_judge:
    """sigmoid(bias + token log p(token) + best log p(best) + entropy H): a probe that logistic regression can fit."""

    bias: float
    token: float
    best: float
    entropy: float

    def __call__(self, p: float, best: float, entropy: float) -> float:
        score = self.bias + self.token * log(max(p, 1e-30)) + self.best * log(max(best, 1e-30)) + self.entropy * entropy
        return 1.0 / (1.0 + exp(-max(min(score, 60.0), -60.0)))
