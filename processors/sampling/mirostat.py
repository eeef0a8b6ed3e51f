"""Mirostat: hold the mean surprise of the generated text at a target (Basu et al., ICLR 2021, arXiv 2007.14966).

The surprise of a token is S = -log2 p(token), in bits. Before each token the tail of the distribution is cut so that no
token of more than about mu bits is left; after it, mu moves against the error: mu <- mu - eta * (S - tau), from 2 tau.

    version 1  the paper: Zipf's exponent s is estimated from the best tokens,
               k = (eps * 2^mu / (1 - N^-eps))^(1/s) with eps = s - 1, the best k tokens stay
    version 2  llama.cpp: the tokens with S <= mu stay, and at least the best one

The token is drawn later, by `generate`; its surprise is read when the sequence comes back longer by one
(`processors.sampling.following`), so the error is of the token that was really chosen, whoever chose it. Notes keep
only the surprises of tokens that stay (at most about 2^mu of them): no other can be chosen.

Two things keep the mean from the target, and have a remedy that is off by default. On its way from 2 tau to where it
belongs mu moves at a rate of eta; as updates add up, the mean of T tokens is off by (2 tau - mu_T) / (eta T): `warmup`
lets it run there. And a cut only lowers surprise: where the model's own text has less than tau bits, mu grows without
effect; `heat` then raises the temperature of the draw.

Departures: surprise is measured on the masked distribution that reaches this stage; a token without alternatives
(forced text of a constraint) has no surprise and does not move mu, or JSON's punctuation would wind mu up.
"""

from __future__ import annotations

import inspect
import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from transformers import LogitsProcessor

from processors.callers import generation_config
from processors.errors import GenerationError
from processors.sampling.following import Follower
from processors.stage import Stage

__all__ = ["MirostatProcessor", "MirostatWarning", "zipf_exponent", "zipf_rank"]

_LOG2E = 1 / math.log(2)
_LARGEST = 1e30  # bits; above it only banned tokens
_MU_LIMIT = 64.0  # bits; 2^64 tokens are more than any vocabulary has


class MirostatWarning(UserWarning):
    """`generate` will change the distribution on which surprise was measured."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What may be chosen next: token ids in ascending order, their surprise in bits; the rate at which it counts."""

    ids: npt.NDArray[np.int32]
    bits: npt.NDArray[np.floating[Any]]
    rate: float

    def surprise(self, token: int) -> float | None:
        at = int(np.searchsorted(self.ids, token))
        return float(self.bits[at]) if at < len(self.ids) and self.ids[at] == token else None


def zipf_exponent(bits: torch.Tensor) -> torch.Tensor:
    """s of p_i ~ i^-s by least squares over ratios of neighbours (the paper's equation for s-hat).

    `bits` float [rows, m]: surprise of the m best tokens, ascending; inf where there are fewer. Gives float64 [rows];
    0 where there are fewer than two.
    """
    finite = bits.isfinite()
    b = torch.where(finite[:, 1:], bits[:, 1:] - torch.where(finite, bits, 0)[:, :-1], 0).double() / _LOG2E
    i = torch.arange(1, bits.shape[1], dtype=torch.float64, device=bits.device)
    t = torch.log((i + 1) / i)
    return (t * b).sum(-1) / (t * t * finite[:, 1:]).sum(-1).clamp_min(1e-30)


def zipf_rank(s: float, mu: float, n: int) -> float:
    """The rank k whose token has mu bits under Zipf's law with exponent s over n tokens; inf when s <= 0.

    k = (eps * 2^mu / (1 - n^-eps))^(1/s) with eps = s - 1, in logarithms; its limit 2^mu / ln n at s = 1.
    """
    if s <= 1e-9:
        return math.inf
    eps, ln_n = s - 1, math.log(n)
    if ln_n <= 0:
        return 1.0
    x = eps * ln_n
    harmonic = ln_n if abs(x) < 1e-12 else -math.expm1(-x) / eps  # (1 - n^-eps) / eps, the generalised harmonic number
    log2_k = (mu - math.log2(harmonic)) / s
    return math.inf if log2_k > _MU_LIMIT else 2.0**log2_k


class MirostatProcessor(LogitsProcessor):
    """Scores of what is too surprising become -inf, in a copy; see the module for the rule.

    `tau`          target surprise, bits a token (about 3: careful, 5: lively)
    `eta`          learning rate; 0 leaves mu where it is
    `version`      1 (the paper) or 2 (llama.cpp's, simpler, the default)
    `temperature`  divides the scores first, since `generate`'s own temperature would come after the measurement
    `mu`           the start, bits; default 2 tau; inf is plain sampling
    `surprise`     "model": of the masked distribution, as the paper; "truncated": of what is left of it, as llama.cpp
    `m`            how many of the best tokens version 1 looks at
    `forced`       "skip": a token without alternatives does not move mu; "count": it counts as a surprise of 0 bits
    `warmup`       tokens over which the rate falls from 1 to eta in equal steps; 0 (the paper): eta from the first on
    `heat`         True: a mu of more than log2(width) bits, where a cut leaves all there is, divides the scores by
                   mu / log2(width) as well; surprise is measured without that

    input_ids int64 [rows, length], scores [rows, width]; computed in float32 or wider on their device. Use it with
    `do_sample=True, top_k=0, top_p=1, temperature=1`: what `generate` cuts after this stage is chosen from less than
    was measured (`MirostatWarning` says so). Cost: no forward pass; one softmax, and one sort of the kept tokens.

    Errors: `GenerationError` for settings out of range.
    """

    supports_continuous_batching = False
    stage = Stage.SAMPLING
    mask_transparent = True

    def __init__(
        self,
        tau: float = 3.0,
        eta: float = 0.1,
        *,
        version: Literal[1, 2] = 2,
        temperature: float = 1.0,
        mu: float | None = None,
        surprise: Literal["model", "truncated"] = "model",
        m: int = 100,
        forced: Literal["skip", "count"] = "skip",
        warmup: int = 0,
        heat: bool = False,
    ) -> None:
        _check("tau", tau, tau >= 0, "a surprise in bits, 0 or more")
        _check("eta", eta, eta >= 0, "a rate of 0 or more")
        _check("version", version, version in (1, 2), "1 or 2")
        _check("temperature", temperature, temperature > 0, "above 0")
        _check("surprise", surprise, surprise in ("model", "truncated"), '"model" or "truncated"')
        _check("m", m, m >= 2, "2 or more")
        _check("forced", forced, forced in ("skip", "count"), '"skip" or "count"')
        _check("warmup", warmup, warmup >= 0, "a number of tokens, 0 or more")
        self.tau, self.eta, self.version, self.temperature = tau, eta, version, temperature
        _check("mu", mu, not heat or mu is None or math.isfinite(mu), "finite where it tells of heat")
        self.warmup, self.heat = warmup, heat
        self.surprise, self.m, self.forced = surprise, m, forced
        self.start = 2 * tau if mu is None else mu
        self._follower = Follower(self._judge, self.start)
        self._warned = False

    def announce(self) -> None:
        """A new generation begins: mu starts anew. Looks at what `generate` will do to the scores afterwards."""
        self._follower.announce()
        if not self._warned and (found := _later_cuts()):
            self._warned = True
            warnings.warn(
                f"generate() will apply {found} after mirostat has measured surprise; for the target to hold call it "
                "with top_k=0, top_p=1.0, temperature=1.0 (mirostat has a temperature of its own). Said once.",
                MirostatWarning,
                stacklevel=2,
            )

    def _judge(self, mu: float, kept: _Kept, token: int) -> float:
        bits = kept.surprise(token)
        if bits is None or kept.rate == 0:
            return mu
        return min(_MU_LIMIT, max(-_MU_LIMIT, mu - kept.rate * (bits - self.tau)))

    def _rate(self, place: int) -> float:
        """The learning rate of the token at `place`, 0 the first."""
        return self.eta if place >= self.warmup else self.eta + max(0.0, 1 - self.eta) * (1 - place / self.warmup)

    def mu(self, input_ids: torch.Tensor) -> list[float]:
        """mu in bits before the next token of each row of input_ids [rows, length], a prefix of a running generation.

        Moves as a call would, without scores: for plots and tests.
        """
        return [track.value for track in self._follower.tracks(input_ids)]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Cut copy of `scores`."""
        tracks = self._follower.tracks(input_ids)
        cold = scores / self.temperature if self.temperature != 1 else scores
        wide = cold if cold.dtype in (torch.float32, torch.float64) else cold.float()
        bits = torch.log_softmax(wide, dim=-1).mul_(-_LOG2E)  # inf for banned tokens
        mu = torch.tensor([track.value for track in tracks], dtype=bits.dtype, device=scores.device)
        keep = bits <= mu.clamp_max(_LARGEST)[:, None] if self.version == 2 else self._best(bits, mu)
        keep.scatter_(1, cold.argmax(dim=-1, keepdim=True), True)
        if self.surprise == "truncated":
            bits = torch.log_softmax(wide.masked_fill(~keep, -math.inf), dim=-1).mul_(-_LOG2E)
        self._note(tracks, scores, keep, bits)
        if self.heat:
            cold = cold / (mu / math.log2(cold.shape[1])).clamp_min(1)[:, None].to(cold.dtype)
        return cold.masked_fill(~keep, -math.inf)

    def _best(self, bits: torch.Tensor, mu: torch.Tensor) -> torch.Tensor:
        """Version 1: bool [rows, width], the best k tokens of each row."""
        width = bits.shape[1]
        best = bits.topk(min(self.m, width), largest=False)
        keep = bits < math.inf
        exponents = zipf_exponent(best.values).tolist()
        for r, (s, level) in enumerate(zip(exponents, mu.tolist(), strict=True)):
            rank = zipf_rank(s, level, width)
            if rank < width - 0.5:  # else all stay; mostly a few do, and those have been found
                k = max(1, round(rank))
                few = k <= best.indices.shape[1]
                places = best.indices[r, :k] if few else bits[r].topk(k, largest=False, sorted=False).indices
                keep[r] &= torch.zeros_like(keep[r]).index_fill_(0, places, True)
        return keep

    def _note(self, tracks: list[Any], scores: torch.Tensor, keep: torch.Tensor, bits: torch.Tensor) -> None:
        rows, ids = (part.cpu().numpy() for part in keep.nonzero(as_tuple=True))
        kept = bits.detach()[keep].cpu().numpy()
        ends = np.searchsorted(rows, np.arange(len(tracks) + 1))
        choices = torch.count_nonzero(scores > -math.inf, dim=-1).tolist()
        for r, track in enumerate(tracks):
            part = slice(ends[r], ends[r + 1])
            silent = choices[r] <= 1 and self.forced == "skip"
            track.leave(
                None if silent else _Kept(ids[part].astype(np.int32), kept[part].copy(), self._rate(track.length))
            )


MirostatProcessor.__call__.__signature__ = inspect.signature(MirostatProcessor.__call__)  # type: ignore[attr-defined]


def _check(name: str, value: object, fine: bool, wanted: str) -> None:
    if not fine:
        raise GenerationError(f"mirostat({name}={value!r})", f"{name} must be {wanted}.")


def _later_cuts() -> str:
    """Which of `generate`'s own warpers will run; "" for none."""
    config = generation_config()
    return "" if config is None else _cuts(config)


def _cuts(config: Any) -> str:
    if not getattr(config, "do_sample", False):
        return ""
    names = {
        "temperature": (None, 1.0),
        "top_k": (None, 0),
        "top_p": (None, 1.0),
        "min_p": (None,),
        "typical_p": (None, 1.0),
        "epsilon_cutoff": (None, 0.0),
        "eta_cutoff": (None, 0.0),
        "top_h": (None,),
    }
    given = {name: getattr(config, name, None) for name in names}
    return ", ".join(f"{name}={value}" for name, value in given.items() if value not in names[name])
