"""Beam search with two additions: groups that avoid each other, and a condition that the text shall meet.

    diverse      B beams in G groups; at each step the groups choose in turn, and group g pays lambda for each beam of
                 an earlier group that has just chosen the same token (Vijayakumar et al. 2016, arXiv 1610.02424):
                     rank(y, v) = rank(y) + ln p(v|y) - lambda * #{ beams of groups < g that chose v }
    conditional  argmax p(y | x, a) for an attribute a, such as "not degenerate" (Yoshida et al., ACL 2024,
                 arXiv 2311.08817): ln p(y|x,a) = ln p(y|x) + ln p(a|y) + const, so
                     rank(y) = ln p(y|x) + ln p(a|y_<=t), the second term replaced, not summed, at every step

Without either it is plain beam search, as transformers does it. Log-probabilities are those of the model, processors
applied after the softmax (as in `generate`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from guided.search._rows import Rows
from guided.search._strategy import Job, Strategy, answer, at_least, check, padded

__all__ = ["BeamSearch", "conditional_beam_search", "diverse_beam_search", "not_degenerate"]

Attribute = Callable[[torch.Tensor], Sequence[float] | torch.Tensor]


def diverse_beam_search(
    num_beams: int = 4,
    num_beam_groups: int = 2,
    diversity_penalty: float = 0.5,
    *,
    num_return_sequences: int = 1,
) -> BeamSearch:
    """Beam search whose groups are pushed apart, for `generate(custom_generate=...)`.

    `diversity_penalty` lambda, in nats a beam; 0 makes all groups the same `num_beams / num_beam_groups`-beam search;
    0.2 to 0.8 are usual. The best `num_return_sequences` of all groups come back, by model probability (the penalty
    steers the search and is no part of the score). `length_penalty` and `early_stopping` are `generate`'s.

    >>> search = guided.diverse_beam_search(6, 3, 0.5, num_return_sequences=3)  # doctest: +SKIP
    >>> model.generate(**inputs, custom_generate=search)  # doctest: +SKIP

    Cost: as beam search, one pass a token, `num_beams` rows wide. Errors: `GenerationError` for settings out of range.
    """
    return BeamSearch(
        "diverse_beam_search", num_beams, num_return_sequences, groups=num_beam_groups, penalty=diversity_penalty
    )


def conditional_beam_search(
    attribute: Attribute,
    num_beams: int = 4,
    *,
    candidates: int = 16,
    length_penalty: float = 0.0,
    num_return_sequences: int = 1,
) -> BeamSearch:
    """The most probable text that has an attribute, as near as beams come to it, for `generate(custom_generate=...)`.

    `attribute(generated)` gives ln p(a | y) for each row of generated ids int64 [n, t] (the last may be the end of the
    text); -inf says that the text cannot have it any more. It is asked about the best `candidates` continuations of
    each beam. Texts are ranked by ln p(y|x) / length^length_penalty + ln p(a|y). `not_degenerate` is ready to use.

    Cost: as beam search, and the attribute's. Errors: `GenerationError` for settings out of range.
    """
    at_least("conditional_beam_search", 1, candidates=candidates)
    return BeamSearch(
        "conditional_beam_search",
        num_beams,
        num_return_sequences,
        attribute=attribute,
        candidates=candidates,
        length_penalty=length_penalty,
    )


def not_degenerate(
    *, min_new_tokens: int = 1, no_repeat_ngram: int = 0, eos_ids: Sequence[int]
) -> Callable[[torch.Tensor], list[float]]:
    """The attribute "at least so long, and without a repeated n-gram": 0 where a text can still have it, else -inf.

    An exact p(a | prefix) up to what may still follow: such a search finds the conditional mode if its beams are wide
    enough. `no_repeat_ngram=0`: repetitions are fine. EOS counts in `min_new_tokens` as everywhere: it is not before.
    """
    ends = frozenset(eos_ids)

    def attribute(generated: torch.Tensor) -> list[float]:
        return [0.0 if fine(row) else -float("inf") for row in generated.tolist()]

    def fine(row: list[int]) -> bool:
        if row[-1] in ends and len(row) <= min_new_tokens:
            return False
        n = no_repeat_ngram
        if n == 0 or len(row) < n:
            return True
        last = row[-n:]
        return all(row[i : i + n] != last for i in range(len(row) - n))

    return attribute


@dataclass
class _Group:
    """Beams that compete with each other. `rows` are their places among all rows of the job."""

    rows: list[int]
    model: torch.Tensor
    """ln p of each beam under model and constraint, [size]; -inf: no beam here"""
    rank: torch.Tensor
    """what is compared: with penalties paid, [size]"""
    finished: list[tuple[float, torch.Tensor]] = field(default_factory=list)
    """(score, generated ids), best first, at most `size`"""
    done: bool = False

    def finish(self, score: float, generated: torch.Tensor) -> None:
        if score > -float("inf"):
            self.finished.append((score, generated))
            self.finished.sort(key=lambda each: -each[0])
            del self.finished[len(self.rows) :]


class BeamSearch(Strategy):
    """See `diverse_beam_search` and `conditional_beam_search`."""

    def __init__(
        self,
        name: str,
        num_beams: int,
        num_return_sequences: int = 1,
        *,
        groups: int = 1,
        penalty: float = 0.0,
        attribute: Attribute | None = None,
        candidates: int = 16,
        length_penalty: float | None = None,
    ) -> None:
        at_least(name, 1, num_beams=num_beams, num_return_sequences=num_return_sequences, num_beam_groups=groups)
        check(name, "num_beam_groups", groups, num_beams % groups == 0, f"a divisor of num_beams={num_beams}")
        check(name, "diversity_penalty", penalty, penalty >= 0, "0 or more")
        few = num_return_sequences <= num_beams
        check(name, "num_return_sequences", num_return_sequences, few, f"at most num_beams={num_beams}")
        self.num_beams, self.num_return_sequences = num_beams, num_return_sequences
        self.groups, self.penalty, self.attribute = groups, penalty, attribute
        self.candidates, self.length_penalty = candidates, length_penalty

    def run(self, job: Job) -> Any:
        """int64 [prompts * num_return_sequences, length], or a `GenerateBeamDecoderOnlyOutput`."""
        prompts, start = job.ids.shape
        rows = Rows(job.model, job.ids, job.mask)
        rows.repeat(self.num_beams)
        ids = job.ids.repeat_interleave(self.num_beams, dim=0)
        groups = [[self._group(p, g, ids.device) for g in range(self.groups)] for p in range(prompts)]
        eos = job.eos
        while ids.shape[1] < job.limit:
            logp = job.process(ids, torch.log_softmax(rows.logits, dim=-1))
            source = torch.arange(len(ids), device=ids.device)
            tokens = torch.full_like(source, job.pad)
            for own in groups:
                taken = torch.zeros(logp.shape[1], device=ids.device)
                for group in own:
                    if not group.done:
                        self._advance(job, group, ids, logp, taken, source, tokens, start, eos)
            ids = torch.cat([ids[source], tokens[:, None]], dim=1)
            self._stop(job, groups, ids, start)
            if all(group.done for own in groups for group in own) or ids.shape[1] >= job.limit:
                break
            rows.select(source)
            rows.step(tokens)
        return self._answer(job, groups, ids, start)

    def _group(self, prompt: int, group: int, device: torch.device) -> _Group:
        size = self.num_beams // self.groups
        first = prompt * self.num_beams + group * size
        scores = torch.full((size,), -torch.inf, device=device)
        scores[0] = 0.0  # all beams begin alike: one is enough
        return _Group(list(range(first, first + size)), scores, scores.clone())

    def _advance(
        self,
        job: Job,
        group: _Group,
        ids: torch.Tensor,
        logp: torch.Tensor,
        taken: torch.Tensor,
        source: torch.Tensor,
        tokens: torch.Tensor,
        start: int,
        eos: torch.Tensor,
    ) -> None:
        """One step of one group: writes `source` and `tokens` for its rows, and its tokens into `taken` [V]."""
        size, width = len(group.rows), logp.shape[1]
        at = torch.tensor(group.rows, device=ids.device)
        model = group.model[:, None] + logp[at]
        rank = group.rank[:, None] + logp[at] - self.penalty * taken
        if self.attribute is not None:
            rank = self._conditioned(model, ids[at, start:])
        best = rank.flatten().topk(min(2 * size, rank.numel()))
        live: list[tuple[int, int]] = []
        for place, (value, flat) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            beam, token = divmod(flat, width)
            if value == -float("inf"):
                break
            if bool((eos == token).any()):
                if place < size:
                    end = torch.cat([ids[group.rows[beam], start:], ids.new_tensor([token])])
                    group.finish(self._score(job, float(model[beam, token]), value, len(end)), end)
            elif len(live) < size:
                live.append((beam, token))
        chosen_model, chosen_rank = torch.full_like(group.model, -torch.inf), torch.full_like(group.rank, -torch.inf)
        for place, (beam, token) in enumerate(live):
            chosen_model[place], chosen_rank[place] = model[beam, token], rank[beam, token]
            source[group.rows[place]], tokens[group.rows[place]] = group.rows[beam], token
            taken[token] += 1
        group.model, group.rank = chosen_model, chosen_rank

    def _conditioned(self, model: torch.Tensor, generated: torch.Tensor) -> torch.Tensor:
        """Ranks [size, V]: model + ln p(a|y) of the best candidates of each beam, -inf for the others."""
        assert self.attribute is not None
        best = model.topk(min(self.candidates, model.shape[1]), dim=-1)
        size, width = best.indices.shape
        asked = torch.cat([generated.repeat_interleave(width, dim=0), best.indices.reshape(-1, 1)], dim=1)
        given = torch.as_tensor(self.attribute(asked), dtype=model.dtype, device=model.device).view(size, width)
        return torch.full_like(model, -torch.inf).scatter_(1, best.indices, best.values + given)

    def _score(self, job: Job, model: float, rank: float, length: int) -> float:
        """What ranks texts: ln p(y) / length^penalty, and ln p(a|y) where there is a condition."""
        power: float | None = job.config.length_penalty if self.length_penalty is None else self.length_penalty
        condition = 0.0 if self.attribute is None else rank - model
        return float(model / length ** (1.0 if power is None else power) + condition)

    def _stop(self, job: Job, groups: list[list[_Group]], ids: torch.Tensor, start: int) -> None:
        """Groups that can gain nothing any more are done; what `generate`'s other criteria stop is finished."""
        stopped = job.ended(ids)
        for group in (group for own in groups for group in own):
            if group.done:
                continue
            for place, row in enumerate(group.rows):
                model, rank = float(group.model[place]), float(group.rank[place])
                if bool(stopped[row]) and model > -float("inf"):
                    group.finish(self._score(job, model, rank, ids.shape[1] - start), ids[row, start:])
                    group.model[place] = group.rank[place] = -torch.inf
            if not bool((group.model > -torch.inf).any()):
                group.done = True
            elif len(group.finished) == len(group.rows):
                # No text gains probability by growing; a condition may still come true as far as 1, or stay as it is.
                best = float(group.model.max())
                ahead = max(0.0, float((group.rank - group.model).nan_to_num(-torch.inf).max()))
                hope = self._score(job, best, best + ahead, ids.shape[1] - start)
                group.done = job.config.early_stopping is True or hope <= group.finished[-1][0]

    def _answer(self, job: Job, groups: list[list[_Group]], ids: torch.Tensor, start: int) -> Any:
        found: list[torch.Tensor] = []
        scores: list[float] = []
        for p, own in enumerate(groups):
            texts: list[tuple[float, torch.Tensor]] = []
            for group in own:
                texts += group.finished
            texts = _different(sorted(texts, key=lambda each: -each[0]))[: self.num_return_sequences]
            while len(texts) < self.num_return_sequences:  # fewer texts than asked for: the best again, as worthless
                texts.append((-1e9, texts[0][1] if texts else ids[p * self.num_beams, start:][:0]))
            for score, generated in texts:
                found.append(torch.cat([job.ids[p], generated]))
                scores.append(score)
        return answer(job, padded(job, found), sequences_scores=torch.tensor(scores, device=job.ids.device))


def _different(texts: list[tuple[float, torch.Tensor]]) -> list[tuple[float, torch.Tensor]]:
    """Each text once, its best score."""
    seen: set[tuple[int, ...]] = set()
    out = []
    for score, generated in texts:
        key = tuple(generated.tolist())
        if key not in seen:
            seen.add(key)
            out.append((score, generated))
    return out
