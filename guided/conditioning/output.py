"""What an aligned generation gives back: texts, and what the constraint took from the model at each token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

__all__ = ["AlignedOutput", "AlignedStats"]


@dataclass
class AlignedStats:
    """What it cost, over all rows.

    passes         forward passes of the model
    scored_tokens  tokens in them, prompts included
    attempts       walks begun (rejection, asap) or particles run (smc)
    accepted       those that became outputs
    """

    passes: int = 0
    scored_tokens: int = 0
    attempts: int = 0
    accepted: int = 0


@dataclass(eq=False)
class AlignedOutput:
    """Texts drawn from the model's law given the constraint.

    sequences       int64 [rows, length]: prompt and text, padded on the right, as `generate` returns them
    legal_mass      float64 [rows, new]: at each written token, the probability that the model gave to all legal tokens
                    together (smc with AWRS: an estimate of it); NaN after the end. 1: the constraint changed nothing
    log_probs       float64 [rows, new]: log-probability of each written token under the processed, un-masked law
    exact           bool a row: whether the row's law is exactly the conditional one ("rejection" within its passes)
    language_mass   float64 [rows]: probability that the model by itself writes a text of the constraint within the
                    limit: an upper bound that falls with the samples (rejection, asap), or an estimate (smc)
    stats           passes, attempts
    """

    sequences: torch.Tensor
    legal_mass: torch.Tensor
    log_probs: torch.Tensor
    exact: list[bool]
    language_mass: torch.Tensor
    stats: AlignedStats = field(default_factory=AlignedStats)

    @property
    def tokens(self) -> int:
        """Tokens written in all rows."""
        return int((~self.legal_mass.isnan()).sum())

    def report(self, tokenizer: Any, row: int = 0) -> str:
        """One line a token: what was written, its probability, the legal mass there; a table for a terminal."""
        width = self.legal_mass.shape[1]
        ids = self.sequences[row, self.sequences.shape[1] - width :].tolist()
        lines = ["token                 p(token)  legal mass"]
        for token, log_prob, mass in zip(ids, self.log_probs[row].tolist(), self.legal_mass[row].tolist(), strict=True):
            if mass != mass:  # after the end
                break
            text = repr(tokenizer.decode([token]))
            lines.append(f"{text:<20}  {_exp(log_prob):8.4f}  {mass:10.4f}")
        return "\n".join(lines)


def _exp(value: float) -> float:
    from math import exp

    return exp(value)
