"""Alignment by value: Transfer Q*, ARGS and controlled decoding, one formula with three estimates of Q.

    pi(z | s) ~ pi_ref(z | s) * exp(Q(s, z) / alpha)       on the best k allowed tokens z; -inf elsewhere

    TransferQ    Q(s, z) = E[ r ] over rollouts of a baseline policy from (s, z)      (Chakraborty et al. 2024, direct)
                 with r_BL, the reward that the baseline was trained for:
                 Q(s, z) = E[ w r ] / E[ w ],  w = exp((r - r_BL) / beta)                                   (indirect)
    Args         Q(s, z) = r(s, z), the reward of the unfinished text; no rollout      (Khanov et al. 2024)
    ValueGuided  Q(s, z) = V(h), a value of the policy's hidden state after z          (Mudgal et al. 2024, token-wise)

pi_ref is the distribution that reaches this stage: masked, and contrasted if there is evidence. The authors' code
of the indirect form leaves out E[w], which depends on z; that ranks candidates wrongly, so it is kept here.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Literal

import torch

from processors.constraint import ConstraintProcessor
from processors.errors import GenerationError
from processors.forward import Call, ForwardPass, SteeringProcessor
from processors.stage import Stage
from processors.value.reward import Reward, TextReward
from processors.value.rollout import Candidates, Roller

__all__ = ["Args", "TransferQ", "ValueGuided", "ValueProcessor"]

_CLIP = 20.0  # of (r - r_BL) / beta: exp(20) is all the weight there is


class ValueProcessor(SteeringProcessor):
    """Base of the three: picks candidates, asks `values` for their Q, re-weights. Subclasses give `values`.

    `alpha` > 0: how much a unit of reward is worth in nats is 1 / alpha (inf: nothing, scores go through as they are);
    a number, or one for each prompt. `top_k` candidates among allowed tokens. `stride`: only each so many tokens.
    Rows with one allowed token, and rows that have ended, cost nothing.
    """

    stage = Stage.VALUE

    def __init__(
        self,
        *,
        alpha: float | Sequence[float] = 1.0,
        top_k: int = 10,
        stride: int = 1,
        eos_ids: Iterable[int] = (),
        **passes: ForwardPass,
    ) -> None:
        super().__init__(**passes)
        self.alpha = self.setting("alpha", alpha, 1e-9)
        for name, value in (("top_k", top_k), ("stride", stride)):
            if value < 1:
                raise GenerationError(f"{name}={value!r} is out of range", f"{name} is 1 or more.")
        self.top_k, self.stride = top_k, stride
        self.eos_ids = frozenset(eos_ids)
        self.constraint: ConstraintProcessor | None = None

    def under(self, constraint: ConstraintProcessor) -> ValueProcessor:
        """This processor within a constraint, which composition puts before it: rollouts will stay inside."""
        if self.constraint is constraint:
            return self
        other = copy.copy(self)
        other.constraint = constraint
        other._sessions, other._announced, other._lock = [], set(), threading.RLock()
        return other

    def values(self, call: Call, candidates: Candidates) -> torch.Tensor:
        """Q [n] of the candidates, float64."""
        raise NotImplementedError

    def idle(self, call: Call) -> torch.Tensor | bool:
        if self.alpha.single == float("inf") or (call.ids.shape[1] - call.start) % self.stride:
            return True
        return call.setting(self.alpha) == float("inf")

    def steer(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        best = logp.topk(min(self.top_k, logp.shape[1]), dim=-1)
        wanted = best.values > -torch.inf
        wanted &= (wanted.sum(dim=-1, keepdim=True) > 1) & ~self._ended(call)[:, None].to(wanted.device)
        wanted &= call.setting(self.alpha) != float("inf")
        rows = wanted.nonzero()[:, 0].tolist()
        q = torch.zeros_like(best.values)
        if rows:
            tokens = best.indices[wanted].tolist()
            q[wanted] = self.values(call, Candidates(rows, tokens)).to(q)
        score = best.values + q / call.setting(self.alpha)
        return torch.full_like(logp, -torch.inf).scatter_(1, best.indices, score)

    def _ended(self, call: Call) -> torch.Tensor:
        ended = torch.zeros(call.rows, dtype=torch.bool)
        generated = torch.from_numpy(call.ids[:, call.start :])
        for token in self.eos_ids:
            ended |= (generated == token).any(dim=1)
        return ended

    def _texts(self, call: Call, rows: list[int], ends: list[list[int]]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Prompts [n, start] and responses (generated so far, and `ends`) of candidates."""
        ids = torch.from_numpy(call.ids)
        responses = [torch.cat([ids[r, call.start :], ids.new_tensor(end)]) for r, end in zip(rows, ends, strict=True)]
        return ids[rows, : call.start], responses


class TransferQ(ValueProcessor):
    """See `guided.transfer_q`. Called with input_ids int64 [rows, length] and scores [rows, V]."""

    def __init__(
        self,
        policy: Any,
        reward: TextReward,
        *,
        max_rollout: int = 32,
        rollouts: int = 1,
        rollout_temperature: float = 1.0,
        rollout_weight: float = 0.0,
        baseline_reward: TextReward | None = None,
        beta: float = 1.0,
        normalize: Literal["none", "zscore"] = "none",
        seed: int = 0,
        eos_ids: Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        ends = _eos_of(policy) if eos_ids is None else list(eos_ids)
        super().__init__(policy=ForwardPass(policy), eos_ids=ends, **options)
        for name, value, fine, wanted in (
            ("max_rollout", max_rollout, max_rollout >= 0, "0 or more tokens"),
            ("rollouts", rollouts, rollouts >= 1, "1 or more"),
            ("rollout_temperature", rollout_temperature, rollout_temperature > 0, "above 0"),
            ("rollout_weight", rollout_weight, rollout_weight >= 0, "0 or more"),
            ("beta", beta, beta > 0, "above 0"),
            ("normalize", normalize, normalize in ("none", "zscore"), '"none" or "zscore"'),
            ("rollouts", rollouts, baseline_reward is None or rollouts > 1, "2 or more with a baseline_reward: the "
             "weights of a single rollout cancel"),
        ):  # fmt: skip
            if not fine:
                raise GenerationError(f"transfer_q({name}={value!r})", f"{name} must be {wanted}.")
        self.reward, self.baseline_reward, self.beta, self.normalize = reward, baseline_reward, beta, normalize
        self.rollout_weight = rollout_weight
        self.roller = Roller(max_rollout, rollouts, rollout_temperature, seed, ends)

    def values(self, call: Call, candidates: Candidates) -> torch.Tensor:
        samples = self.roller.samples
        policy = call.state("policy") if self.roller.length else None
        steer = partial(self._follow, call) if self.rollout_weight else None
        ends = self.roller.run(call, candidates, policy, self.constraint, steer)
        prompts, responses = self._texts(call, [row for row in candidates.rows for _ in range(samples)], ends)
        r = self.reward(prompts, responses).view(-1, samples)
        if self.baseline_reward is None:
            q = r.mean(dim=-1)
        else:
            gap = (r - self.baseline_reward(prompts, responses).view(-1, samples)) / self.beta
            q = (torch.softmax(gap.clamp(-_CLIP, _CLIP), dim=-1) * r).sum(dim=-1)
        return _zscore(q, candidates.rows) if self.normalize == "zscore" else q

    def _follow(self, call: Call, scores: torch.Tensor, rows: list[int], ends: list[list[int]]) -> torch.Tensor:
        """A rollout's scores [n, V] by the reward of the unfinished text, on the best `top_k`: ARGS."""
        best = scores.float().log_softmax(dim=-1).topk(min(self.top_k, scores.shape[1]), dim=-1)
        wanted = best.values > -torch.inf
        places = wanted.nonzero()[:, 0].tolist()
        longer = [[*ends[i], z] for i, z in zip(places, best.indices[wanted].tolist(), strict=True)]
        r = torch.zeros_like(best.values)
        r[wanted] = self.reward(*self._texts(call, [rows[i] for i in places], longer)).to(r)
        out = torch.full_like(scores, -torch.inf, dtype=torch.float32)
        return out.scatter_(1, best.indices, best.values + self.rollout_weight * r)


class Args(ValueProcessor):
    """See `guided.args`: the reward of prompt, text so far and candidate. No forward pass of a policy."""

    def __init__(self, reward: TextReward, **options: Any) -> None:
        super().__init__(**options)
        self.reward = reward

    def values(self, call: Call, candidates: Candidates) -> torch.Tensor:
        return self.reward(*self._texts(call, candidates.rows, [[token] for token in candidates.tokens]))


class ValueGuided(ValueProcessor):
    """See `guided.controlled_decoding`: `value` maps the policy's last hidden states [n, d] to values [n]."""

    def __init__(self, policy: Any, value: Callable[[torch.Tensor], torch.Tensor], **options: Any) -> None:
        options.setdefault("eos_ids", _eos_of(policy))
        super().__init__(policy=ForwardPass(policy, layers=(-1,)), **options)
        self.value = value

    def values(self, call: Call, candidates: Candidates) -> torch.Tensor:
        fork = call.state("policy").fork(call.ids, 1)
        fork.keep(torch.tensor(candidates.rows))
        fork.step(torch.tensor(candidates.tokens)[:, None])
        found = torch.as_tensor(self.value(fork.hidden[0].float())).flatten()
        if len(found) != len(candidates.rows):
            raise GenerationError(
                f"the value gave {len(found)} numbers for {len(candidates.rows)} hidden states", "Give one for each."
            )
        return found.double().cpu()


def _zscore(q: torch.Tensor, rows: list[int]) -> torch.Tensor:
    """Q in standard deviations of its row's candidates; 0 where they are all alike."""
    out = torch.empty_like(q)
    owner = torch.tensor(rows)
    for row in set(rows):
        own = q[owner == row]
        spread = own.std(correction=0)
        out[owner == row] = (own - own.mean()) / spread if float(spread) > 1e-12 else torch.zeros_like(own)
    return out


def _eos_of(model: Any) -> list[int]:
    given = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return [] if given is None else [int(each) for each in (given if isinstance(given, list | tuple) else [given])]


def as_reward(reward: Reward | TextReward, tokenizer: Any, text: Literal["response", "full"]) -> TextReward:
    """A reward of texts as one of token ids."""
    return reward if isinstance(reward, TextReward) else TextReward(reward, tokenizer, text)
