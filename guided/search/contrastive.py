"""Contrastive search (Su et al. 2022, arXiv 2202.06417 and 2210.14140): likely, and unlike what already stands there.

    v* = argmax over the best k:  (1 - alpha) * p(v) - alpha * max_j cos(h_v, h_j)

h_v is the last layer's hidden state when v is appended (a look-ahead), h_j those of all tokens before, prompt included.
The look-ahead of the winner is the next step's forward pass, so a token costs one pass with k rows for each sequence.
Deterministic; samplers have no say.
"""

from __future__ import annotations

from typing import Any

import torch

from guided.search._rows import Rows
from guided.search._strategy import Job, Strategy, answer, at_least, check

__all__ = ["ContrastiveSearch", "contrastive_search"]


def contrastive_search(alpha: float = 0.6, top_k: int = 4) -> ContrastiveSearch:
    """Text that is fluent and does not repeat itself, without sampling, for `generate(custom_generate=...)`.

    `alpha` in [0, 1] weighs the penalty for being like what stands there (0, or `top_k=1`: greedy search); `top_k`
    candidates among the allowed tokens. Composes with constraints: probabilities are those after the processors, and
    forced tokens cost no look-ahead. Models whose hidden states all point one way (small GPT-2) gain little.

    >>> model.generate(**inputs, custom_generate=guided.contrastive_search(0.6, 4))  # doctest: +SKIP

    Cost: one forward pass a token, `top_k` rows wide, and the hidden states of the text. Errors: `GenerationError`.
    """
    return ContrastiveSearch(alpha, top_k)


class ContrastiveSearch(Strategy):
    """See `contrastive_search`."""

    def __init__(self, alpha: float = 0.6, top_k: int = 4) -> None:
        check("contrastive_search", "alpha", alpha, 0 <= alpha <= 1, "a number from 0 to 1")
        at_least("contrastive_search", 1, top_k=top_k)
        self.alpha, self.top_k = alpha, top_k

    def run(self, job: Job) -> Any:
        """int64 [prompts, length], or a `GenerateDecoderOnlyOutput`."""
        ids, count = job.ids, len(job.ids)
        rows = Rows(job.model, ids, job.mask, hidden=True)
        context = _unit(rows.states)
        real = rows.mask.to(ids.device).bool()
        live = torch.ones(count, dtype=torch.bool, device=ids.device)
        kept: list[torch.Tensor] = []
        while True:
            scores = job.process(ids, rows.logits)
            if job.config.output_scores:
                kept.append(scores.clone())
            p, candidates = torch.softmax(scores, dim=-1).topk(min(self.top_k, scores.shape[1]), dim=-1)
            token, choice = self._choose(rows, context, real, p, candidates)
            token = torch.where(live, token, job.pad)
            ids = torch.cat([ids, token[:, None]], dim=1)
            live &= ~job.ended(ids)
            if not bool(live.any()):
                break
            rows.select(choice)
            context = torch.cat([context, _unit(rows.state)[:, None]], dim=1)
            real = torch.nn.functional.pad(real, (0, 1), value=True)
        return answer(job, ids, scores=tuple(kept) if job.config.output_scores else None)

    def _choose(
        self, rows: Rows, context: torch.Tensor, real: torch.Tensor, p: torch.Tensor, candidates: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The winners [prompts], and their places among the rows, which are then candidates'."""
        count, k = candidates.shape
        if bool((p[:, 1:] == 0).all()):  # no choice anywhere: one row each
            p, candidates, k = p[:, :1], candidates[:, :1], 1
        rows.repeat(k)
        rows.step(candidates.reshape(-1))
        ahead = _unit(rows.state).view(count, k, -1)
        alike = torch.einsum("nkd,ntd->nkt", ahead, context)
        penalty = alike.masked_fill(~real[:, None], -torch.inf).amax(dim=-1)
        score = (1 - self.alpha) * p - self.alpha * penalty
        best = score.masked_fill(p == 0, -torch.inf).argmax(dim=-1)
        at = torch.arange(count, device=best.device)
        return candidates[at, best], at * k + best


def _unit(states: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(states, dim=-1)
