"""Momentum decoding: greedy, but pushed back where a token would walk on along a repetition (Lan et al. 2022,
arXiv 2212.02175).

The text is a walk on a graph of tokens. A candidate v among the best k that has not occurred costs nothing; one that
has costs alpha * f(l), where l is how long a repetition it would continue:

    l(v) = 0                                               v has not occurred, prompt included
    l(v) = max { i <= 5 : (last i-1 tokens + v) occurred }   else
    score(v) = p(v) - alpha * f(l(v)),   f(l) = l for l < 5; at 5 and beyond the resistance of `limit`

No forward pass and no state: the sequence itself is the graph, read anew at each call (a few µs a candidate). What
`generate` pads the shorter prompts of a batch with on the left is no part of it.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import torch
from transformers import LogitsProcessor

from processors.callers import generation_config
from processors.errors import GenerationError, UnsupportedGeneration
from processors.stage import Stage

__all__ = ["MomentumProcessor", "repetition"]

Resistance = Callable[[int], float]
Ids = npt.NDArray[np.int64]


def repetition(history: Ids, token: int, longest: int) -> int:
    """l(v): 0 if `token` is not in `history` [n], else the longest i <= `longest` whose i-gram it would repeat."""
    places = np.flatnonzero(history == token)
    if not len(places):
        return 0
    size = 1
    while size < longest and size < len(history):
        places = places[places >= size]
        places = places[history[places - size] == history[-size]]
        if not len(places):
            return size
        size += 1
    return size


class MomentumProcessor(LogitsProcessor):
    """Keeps the best k tokens and scores them by probability minus resistance; see the module.

    `alpha`       strength; 0 gives the scores back unchanged
    `top_k`       candidates, among allowed tokens
    `longest`     length from which repetitions are not told apart
    `resistance`  f(l), l in 0..longest; default f(l) = l, as the authors use for GPT-2 XL
    `temperature` sharpens the scores before they are made log-probabilities: argmax (greedy search) does not see it
    `exempt`      ids that never meet resistance, such as the punctuation of a format

    Gives log softmax(score / temperature) over the candidates, -inf elsewhere, so that it may also be drawn from and
    summed in beams. A token without alternatives is left alone. Float32, on the scores' device.

    Errors: `GenerationError` for settings out of range.
    """

    supports_continuous_batching = False
    stage = Stage.SAMPLING
    mask_transparent = True

    def __init__(
        self,
        alpha: float = 0.2,
        top_k: int = 5,
        *,
        longest: int = 5,
        resistance: Resistance = float,
        temperature: float = 0.1,
        exempt: Iterable[int] = (),
    ) -> None:
        for name, value, fine, wanted in (
            ("alpha", alpha, alpha >= 0, "0 or more"),
            ("top_k", top_k, top_k >= 1, "1 or more"),
            ("longest", longest, longest >= 1, "1 or more"),
            ("temperature", temperature, temperature > 0, "above 0"),
        ):
            if not fine:
                raise GenerationError(f"momentum({name}={value!r})", f"{name} must be {wanted}.")
        self.alpha, self.top_k, self.longest, self.temperature = alpha, top_k, longest, temperature
        self.resistance = resistance
        self.exempt = frozenset(exempt)
        self._pads: dict[int, tuple[int | None, Ids]] = {}  # by thread: what is padded with, the last call's ids

    def announce(self) -> None:
        """A new generation begins, which may pad with another token."""
        self._pads.pop(threading.get_ident(), None)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """input_ids int64 [rows, length], scores [rows, width] -> scores of the candidates."""
        if input_ids.dim() != 2:
            raise UnsupportedGeneration(
                f"input_ids have shape {tuple(input_ids.shape)}: momentum needs whole sequences [rows, length]",
                "Continuous batching (generate_batch, paged caches) shows only the last tokens: use plain generate().",
            )
        if self.alpha == 0:
            return scores
        p = torch.softmax(scores.float(), dim=-1)
        best, candidates = p.topk(min(self.top_k, p.shape[1]), dim=-1)
        history = self._unpadded(input_ids.detach().cpu().numpy().astype(np.int64))
        lengths = [
            [0 if token in self.exempt else repetition(row, token, self.longest) for token in tokens]
            for row, tokens in zip(history, candidates.tolist(), strict=True)
        ]
        costs = torch.tensor([[self.resistance(length) for length in row] for row in lengths], device=scores.device)
        score = (best - self.alpha * costs.to(best.dtype)) / self.temperature
        score = score.masked_fill(~scores.gather(1, candidates).isfinite(), -torch.inf)
        score = torch.log_softmax(score, dim=-1).to(scores.dtype)
        out = torch.full_like(scores, -torch.inf).scatter_(1, candidates, score)
        alone = (scores > -torch.inf).sum(dim=-1, keepdim=True) <= 1
        return torch.where(alone, scores, out)

    def _unpadded(self, ids: Ids) -> list[Ids]:
        """The rows from their first id that is no padding on."""
        thread = threading.get_ident()
        pad, last = self._pads.get(thread, (None, None))
        if last is None or not np.array_equal(ids[:, :-1], last):  # in a plain list nobody announces a new generation
            asked = getattr(generation_config(), "_pad_token_tensor", None)
            pad = None if asked is None else int(asked)
        self._pads[thread] = pad, ids
        if pad is None:
            return list(ids)
        return [row[int((row != pad).argmax()) :] for row in ids]


MomentumProcessor.__call__.__signature__ = inspect.signature(MomentumProcessor.__call__)  # type: ignore[attr-defined]
