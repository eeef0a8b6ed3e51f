"""What a pass costs: learnt from the passes themselves, on this machine, for this model.

A pass of n tokens takes about a + b n. Both are fitted by least squares that forgets, from every pass; two pseudo
observations stand for a typical machine until there are real ones. A pass of one token (the only kind that plain
generation has) is often cheaper than the line says, so it is averaged apart.
"""

from __future__ import annotations

import weakref
from typing import Any

__all__ = ["PassCosts", "costs_of"]

_FORGET = 0.98
_TYPICAL = ((1, 1.0), (32, 2.2))  # tokens, times of a pass of one
_LIGHT = 0.2  # their weight: that of a fifth of a pass each
_known: weakref.WeakKeyDictionary[Any, PassCosts] = weakref.WeakKeyDictionary()


class PassCosts:
    """Relative cost of a pass: `cost(n)` is in units of a pass of one token."""

    def __init__(self) -> None:
        self._w = self._n = self._nn = self._t = self._nt = 0.0
        self._one, self._one_weight = 0.0, 0.0
        self.count = self.singles = 0  # passes seen; and those of one token
        self._last_single = 0
        self._line = (1.0, 0.04)

    def note(self, tokens: int, seconds: float) -> None:
        """A pass of `tokens` nodes took `seconds`; outliers count as three times what was expected."""
        if self.count >= 4:
            expected = self.seconds(tokens)
            seconds = min(max(seconds, expected / 3), 3 * expected)
        self.count += 1
        if tokens == 1:
            self.singles += 1
            self._last_single = self.count
            self._one_weight = min(self._one_weight + 1, 16.0)
            self._one += (seconds - self._one) / self._one_weight
        self._w = _FORGET * self._w + 1
        self._n = _FORGET * self._n + tokens
        self._nn = _FORGET * self._nn + tokens * tokens
        self._t = _FORGET * self._t + seconds
        self._nt = _FORGET * self._nt + tokens * seconds
        self._fit()

    def _fit(self) -> None:
        scale = self._t / (self._w + 0.039 * (self._n - self._w))  # seconds of one token, were the machine typical
        w, n, nn, t, nt = self._w, self._n, self._nn, self._t, self._nt
        for tokens, relative in _TYPICAL:
            seconds = relative * scale
            w, n, nn = w + _LIGHT, n + _LIGHT * tokens, nn + _LIGHT * tokens * tokens
            t, nt = t + _LIGHT * seconds, nt + _LIGHT * tokens * seconds
        slope = max((w * nt - n * t) / (w * nn - n * n), 0.0)
        self._line = (max((t - slope * n) / w, 1e-9), slope)

    def seconds(self, tokens: int) -> float:
        """Expected seconds of a pass."""
        intercept, slope = self._line
        line = intercept + slope * tokens
        if tokens == 1 and self.singles:
            return self._one
        return max(line, self._one) if self.singles else line

    def cost(self, tokens: int) -> float:
        """Expected time of a pass over that of a pass of one token."""
        return self.seconds(tokens) / max(self.seconds(1), 1e-9)

    def wants_single(self) -> bool:
        """Whether the cost of a pass of one token should be measured again."""
        return self.singles < 2 or self.count - self._last_single > 64


def costs_of(model: Any) -> PassCosts:
    """The costs of a model's passes, kept as long as the model."""
    found = _known.get(model)
    if found is None:
        found = _known[model] = PassCosts()
    return found
