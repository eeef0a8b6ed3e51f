"""Entropy-adaptive decoding, EAD: the small model writes as long as it is sure, the large one where it gets hard.

    H_t     entropy in bits of the active model's distribution; its mean over the last `window` steps decides:
    large   if the mean exceeds tau, small if not, but no switch before `stay` tokens since the last one

(arXiv 2502.06833; the paper's window, tau and stay are not known to us, and the defaults are ours.) Which model is
active is a function of the prefix, so it follows beams and rollbacks. Steps with one allowed token have no entropy and
count for nothing: a constraint's punctuation would switch to the small model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from processors.collaborative.routing import entropy_bits
from processors.errors import GenerationError
from processors.forward import Call, ForwardPass, SteeringProcessor
from processors.sampling.following import Follower

__all__ = ["EntropyAdaptiveProcessor", "Switch", "decide"]


@dataclass(frozen=True)
class Switch:
    """Whether the large model is active, tokens since the last switch, and the last entropies in bits."""

    large: bool = False
    since: int = 0
    window: tuple[float, ...] = ()


def decide(state: Switch, entropy: float, *, tau: float, window: int, stay: int) -> Switch:
    """The state in which the next token is written, given the active model's entropy for it."""
    seen = (*state.window, entropy)[-window:]
    wanted = sum(seen) / len(seen) > tau
    if state.since >= stay and wanted != state.large:
        return Switch(wanted, 0, seen)
    return Switch(state.large, state.since, seen)


class EntropyAdaptiveProcessor(SteeringProcessor):
    """`generate` runs the small model; `large` runs only while it is active, and catches up when it becomes so.

    `tau` in bits (a number, or one for each prompt; infinite: never the large model, and scores stay as they are, bit
    for bit), `window` and `stay` in tokens. `inputs`: the large model's prompts, if they are not those of `generate`.
    Not lossless by design. `stay` counts steps with a choice. `by_large` and `steps` count rows.
    """

    keeps_mass = True

    def __init__(
        self, large: Any, *, tau: float | Sequence[float] = 1.0, window: int = 5, stay: int = 10, inputs: Any = None
    ) -> None:
        super().__init__(large=ForwardPass(large, inputs))
        if window < 1 or stay < 0:
            raise GenerationError(f"window={window}, stay={stay} is out of range", "window is at least 1, stay 0.")
        self.tau = self.setting("tau", tau)
        self.window, self.stay = window, stay
        start: Any = Switch()
        self._follower = Follower(lambda state, note, token: note, start)
        self.by_large = self.steps = 0

    def announce(self) -> None:
        super().announce()
        self._follower.announce()

    def idle(self, call: Call) -> torch.Tensor | bool:
        """Decides for each row, and leaves rows to the small model that are its."""
        tracks = self._follower.tracks(torch.from_numpy(call.ids))
        choices = (call.allowed.sum(dim=-1) > 1).tolist()
        if not any(choices):
            return True
        now: list[Any] = [track.value for track in tracks]
        own = call.over_allowed(call.scores)
        entropies = entropy_bits(own)[:, 0].tolist()
        if any(state.large and choice for state, choice in zip(now, choices, strict=True)):
            theirs = entropy_bits(call.logprobs("large"))[:, 0].tolist()
            entropies = [b if state.large else a for a, b, state in zip(entropies, theirs, now, strict=True)]
        by_large = []
        taus = call.setting(self.tau)[:, 0].tolist()
        for track, state, entropy, choice, tau in zip(tracks, now, entropies, choices, taus, strict=True):
            if choice:
                state = decide(state, entropy, tau=tau, window=self.window, stay=self.stay)
                after: Any = Switch(state.large, state.since + 1, state.window)
                track.leave(after)
            by_large.append(state.large and choice)
        self.steps += len(choices)
        self.by_large += sum(by_large)
        return ~torch.tensor(by_large, device=call.scores.device)[:, None] if any(by_large) else True

    def steer(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        return call.logprobs("large")
