"""Rollouts: for each candidate token, how a policy would finish the text; all of them in one batch.

The policy's cache of the text is shared: a fork repeats it once for each candidate, and texts that have ended leave the
batch. Under a constraint every rollout stays inside it and ends, after a budget of its own (`processors.value.under`);
an end that leaves no choice is written without a pass.
Draws of sampled rollouts depend on the text alone (seed, ids, candidate, number), so beams, batches and second visits
see the same ones, and the generator that `generate` draws from is left alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from processors.constraint import ConstraintProcessor
from processors.forward import Call, PassState
from processors.value.under import branch_out

__all__ = ["Candidates", "Roller", "Steer"]

Steer = Callable[[torch.Tensor, list[int], list[list[int]]], torch.Tensor]


@dataclass(frozen=True)
class Candidates:
    """n candidate tokens: `rows[i]` is the row of the call that token `tokens[i]` would continue."""

    rows: list[int]
    tokens: list[int]


class Roller:
    """How to finish texts: `length` tokens after the candidate and the constraint's shortest end, `samples` times each.

    One sample is greedy; several are drawn at `temperature`. `eos_ids` end a text.
    """

    def __init__(self, length: int, samples: int, temperature: float, seed: int, eos_ids: Sequence[int]) -> None:
        self.length, self.samples, self.temperature, self.seed = length, samples, temperature, seed
        self.eos_ids = frozenset(eos_ids)

    def run(
        self,
        call: Call,
        candidates: Candidates,
        policy: PassState | None,
        constraint: ConstraintProcessor | None,
        steer: Steer | None = None,
    ) -> list[list[int]]:
        """The tokens of each rollout from its candidate on, EOS included: n * samples lists, samples side by side.

        `policy` None or a length of 0: the candidate alone. The policy's state does not move. `steer` may change a
        step's scores: from logits [n, V], the call's rows they belong to, and what each rollout has written.
        """
        each = [i for i in range(len(candidates.rows)) for _ in range(self.samples)]
        written = [[candidates.tokens[i]] for i in each]
        live = [j for j, i in enumerate(each) if candidates.tokens[i] not in self.eos_ids]
        if policy is None or self.length == 0 or not live:
            return written
        rows = [candidates.rows[each[j]] for j in live]
        branches = None if constraint is None else branch_out(constraint, torch.from_numpy(call.ids), rows)
        left = [self.length] * len(live)
        if branches is not None:
            branches.advance([written[j][0] for j in live])
            left = branches.limit(self.length)
        draws = self._draws(call, candidates, each)
        fork = None
        while True:
            if branches is not None:
                for j, ending in zip(live, branches.endings(self.eos_ids), strict=True):
                    written[j] += ending  # without a pass
            going = [i for i, j in enumerate(live) if left[i] > 0 and written[j][-1] not in self.eos_ids]
            if not going:
                return written
            if fork is None:
                fork = policy.fork(call.ids, 1)
                fork.keep(torch.tensor([rows[i] for i in going]))
            elif len(going) < len(live):
                fork.keep(torch.tensor(going))
            if branches is not None and len(going) < len(live):
                branches.keep(going)
            live, left = [live[i] for i in going], [left[i] - 1 for i in going]
            logits = fork.step(torch.tensor([written[j][-1] for j in live])[:, None])
            scores = logits if branches is None else branches.mask(logits)
            if steer is not None:
                scores = steer(scores, [candidates.rows[each[j]] for j in live], [written[j] for j in live])
            tokens = self._next(scores, [draws[j] for j in live])
            for j, token in zip(live, tokens, strict=True):
                written[j].append(token)
            if branches is not None:
                branches.advance(tokens)

    def _next(self, scores: torch.Tensor, draws: list[np.random.Generator]) -> list[int]:
        if self.samples == 1:
            return list(scores.argmax(dim=-1).tolist())
        mass = torch.softmax(scores.double() / self.temperature, dim=-1).cumsum(dim=-1)
        u = torch.tensor([draw.random() for draw in draws], dtype=torch.float64, device=mass.device)
        # side="right": the first token whose mass exceeds u, never one without mass
        return list(torch.searchsorted(mass, (u * mass[:, -1])[:, None], side="right")[:, 0].tolist())

    def _draws(self, call: Call, candidates: Candidates, each: list[int]) -> list[np.random.Generator]:
        if self.samples == 1:
            return [np.random.default_rng(0)] * len(each)  # never asked
        texts = [zlib.crc32(call.ids[row, call.start :].tobytes()) for row in range(call.rows)]
        return [
            np.random.default_rng((self.seed, texts[candidates.rows[i]], candidates.tokens[i], number % self.samples))
            for number, i in enumerate(each)
        ]
