"""Superposed decoding: several drafts from one row (Shen et al. 2024, arXiv 2405.18400).

Each step feeds one superposed embedding in place of the K drafts' newest tokens, so K drafts cost one row and cache:

    x = sum_d gamma_d E(tok_d),  gamma = softmax(scores of the drafts)
    lp(d, v) = (1 - a) ln p(v) + a ln sum_i w_i P_i(v | last i tokens of d)      the n-gram model keeps drafts coherent

p is softmax(z / T) cut to its best n tokens and renormalised. The best K continuations of all drafts go on. That the
model answers a mixture of inputs with the mixture of its answers is an approximation: good for short drafts (10 to 20
tokens), exact for a linear model, and exact while all drafts end with one token.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from guided.search._rows import Rows
from guided.search._strategy import Job, Strategy, answer, at_least, check, padded

__all__ = ["NGrams", "SuperposedDecoding", "superposed_decoding"]

_UNSEEN = 200.0  # nats that a draft pays when the n-gram model has seen none of its continuations


class NGrams:
    """p(v | tail) = sum_i w_i P_i(v | last i tokens), counted in `texts`, sequences of token ids.

    `weights[i - 1]` is w_i; they are the authors' by default, and need not add up to 1.
    """

    def __init__(
        self, texts: Iterable[Sequence[int]], weights: Sequence[float] = (0.01, 0.04, 0.15, 0.18, 0.12)
    ) -> None:
        self.weights = tuple(weights)
        self._after: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for text in texts:
            ids = tuple(text)
            for at in range(1, len(ids)):
                for size in range(1, min(len(self.weights), at) + 1):
                    self._after[ids[at - size : at]][ids[at]] += 1

    def logprobs(self, tail: Sequence[int], tokens: Sequence[int]) -> list[float]:
        """ln p of each of `tokens` after `tail`; -inf for what was never seen."""
        sums = [0.0] * len(tokens)
        for size, weight in enumerate(self.weights, start=1):
            if size <= len(tail) and (seen := self._after.get(tuple(tail[len(tail) - size :]))) is not None:
                total = seen.total()
                for i, token in enumerate(tokens):
                    sums[i] += weight * seen[token] / total
        return [math.log(each) if each > 0 else -math.inf for each in sums]


def superposed_decoding(
    num_drafts: int = 3,
    top_n: int = 9,
    *,
    temperature: float = 0.06,
    ngrams: NGrams | None = None,
    ngram_weight: float = 0.54,
) -> SuperposedDecoding:
    """`num_drafts` short continuations for about the price of one, for `generate(custom_generate=...)`.

    Gives all drafts of each prompt, best first: [prompts * num_drafts, length]. `ngrams` keeps drafts coherent; without
    it (`ngram_weight` is then 0) drafts share their tokens' scores and differ by where they began. A constraint holds
    in each draft for itself. With `return_dict_in_generate=True`, `sequences_scores` are the drafts'.

    >>> model.generate(**inputs, max_new_tokens=12, custom_generate=guided.superposed_decoding(3))  # doctest: +SKIP

    Cost: one pass a token, one row a prompt. Errors: `GenerationError` for settings out of range.
    """
    return SuperposedDecoding(num_drafts, top_n, temperature, ngrams, ngram_weight if ngrams is not None else 0.0)


class SuperposedDecoding(Strategy):
    """See `superposed_decoding`."""

    def __init__(
        self, num_drafts: int, top_n: int, temperature: float, ngrams: NGrams | None, ngram_weight: float
    ) -> None:
        at_least("superposed_decoding", 1, num_drafts=num_drafts, top_n=top_n)
        check("superposed_decoding", "temperature", temperature, temperature > 0, "above 0")
        check("superposed_decoding", "ngram_weight", ngram_weight, 0 <= ngram_weight <= 1, "a number from 0 to 1")
        self.num_drafts, self.top_n, self.temperature = num_drafts, top_n, temperature
        self.ngrams, self.ngram_weight = ngrams, ngram_weight

    def run(self, job: Job) -> Any:
        """int64 [prompts * num_drafts, length], or a `GenerateBeamDecoderOnlyOutput`."""
        prompts, start, k = len(job.ids), job.ids.shape[1], self.num_drafts
        rows = Rows(job.model, job.ids, job.mask)
        embed = job.model.get_input_embeddings()
        ids = job.ids.repeat_interleave(k, dim=0)
        scores = torch.full((prompts, k), -torch.inf, device=ids.device)
        scores[:, 0] = 0.0
        finished: list[list[tuple[float, torch.Tensor]]] = [[] for _ in range(prompts)]
        while True:
            z = job.process(ids, rows.logits.repeat_interleave(k, dim=0))
            ids, scores = self._advance(job, ids, scores, self._weights(ids, z), finished, start)
            alive = scores > -torch.inf
            stopped = job.ended(ids).view(prompts, k) & alive
            for p, d in stopped.nonzero().tolist():
                finished[p].append((float(scores[p, d]), ids[p * k + d, start:]))
            scores = scores.masked_fill(stopped, -torch.inf)
            if not bool((scores > -torch.inf).any()):
                return self._answer(job, finished)
            gamma = torch.softmax(scores, dim=-1).nan_to_num()
            vectors = embed(ids[:, -1].to(job.model.device)).view(prompts, k, -1)
            rows.step(embeddings=torch.einsum("pk,pkd->pd", gamma.to(vectors), vectors))

    def _weights(self, ids: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """lp(d, v) [drafts, V] of the best n allowed tokens of each draft, -inf elsewhere."""
        best = (z.float() / self.temperature).topk(min(self.top_n, z.shape[1]), dim=-1)
        logp = torch.log_softmax(best.values, dim=-1)
        if self.ngrams is not None and self.ngram_weight:
            logp = self._smoothed(ids, best.indices, logp)
        logp = logp.masked_fill(best.values == -torch.inf, -torch.inf)
        return torch.full_like(z, -torch.inf, dtype=torch.float32).scatter_(1, best.indices, logp)

    def _smoothed(self, ids: torch.Tensor, tokens: torch.Tensor, logp: torch.Tensor) -> torch.Tensor:
        assert self.ngrams is not None
        longest = len(self.ngrams.weights)
        tails = [row[-longest:] for row in ids.tolist()]
        known = [self.ngrams.logprobs(tail, each) for tail, each in zip(tails, tokens.tolist(), strict=True)]
        seen = torch.tensor(known, device=logp.device)
        alone = (1 - self.ngram_weight) * logp
        mixed = alone + self.ngram_weight * seen
        unseen = (mixed == -torch.inf).all(dim=-1, keepdim=True)
        return torch.where(unseen, alone - _UNSEEN, mixed)

    def _advance(
        self,
        job: Job,
        ids: torch.Tensor,
        scores: torch.Tensor,
        logp: torch.Tensor,
        finished: list[list[tuple[float, torch.Tensor]]],
        start: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The drafts one token longer; those that end go to `finished`."""
        prompts, k = scores.shape
        width, ends = logp.shape[1], set(job.eos.tolist())
        source = torch.arange(len(ids), device=ids.device)
        tokens = torch.full_like(source, job.pad)
        new = torch.full_like(scores, -torch.inf)
        totals = (scores.view(-1, 1) + logp).view(prompts, -1)
        best = totals.topk(min(2 * k, totals.shape[1]), dim=-1)
        for p, (values, places) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            live = 0
            for value, place in zip(values, places, strict=True):
                draft, token = divmod(place, width)
                row = p * k + draft
                if value == -math.inf or live == k:
                    break
                if token in ends:
                    finished[p].append((value, torch.cat([ids[row, start:], ids.new_tensor([token])])))
                else:
                    source[p * k + live], tokens[p * k + live], new[p, live] = row, token, value
                    live += 1
        return torch.cat([ids[source], tokens[:, None]], dim=1), new

    def _answer(self, job: Job, finished: list[list[tuple[float, torch.Tensor]]]) -> Any:
        found, scores = [], []
        for p, drafts in enumerate(finished):
            best = sorted(drafts, key=lambda each: -each[0])[: self.num_drafts]
            best += [(-1e9, best[0][1])] * (self.num_drafts - len(best))  # fewer texts than drafts: worthless copies
            found += [torch.cat([job.ids[p], draft]) for _, draft in best]
            scores += [score for score, _ in best]
        return answer(job, padded(job, found), sequences_scores=torch.tensor(scores, device=job.ids.device))
