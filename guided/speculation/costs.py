"""What a pass costs: learnt from the passes themselves, on this machine, for this model.

A pass of n tokens is expected to take a shape times a factor. The shape comes from the products that were measured for
the model (`narrow`) and a typical share for all else, or, where nothing was measured, from a typical machine. The
factor is learnt for each class of sizes and leans on the factor over all sizes where there is little to learn from; so
the steps that products make from size to size are known before a size was ever tried, and put right once it was.
"""

from __future__ import annotations

import weakref
from typing import Any

from guided.speculation.narrow import SIZES, Products

__all__ = ["PassCosts", "costs_of"]

_FORGET = 0.98
_TYPICAL = 0.039  # of a pass of one token, for each further token, where nothing was measured
_REST, _REST_SLOPE = 0.35, 0.03  # what is not products: of the products of one token, and for each further token
_LEAN = 1.0  # passes that the factor over all sizes counts for
_known: weakref.WeakKeyDictionary[Any, dict[Any, PassCosts]] = weakref.WeakKeyDictionary()


class PassCosts:
    """Relative cost of a pass: `cost(n)` is in units of a pass of one token."""

    def __init__(self, products: Products | None = None) -> None:
        self._products = products
        self._shapes: dict[int, float] = {}
        self._all = [0.0, 0.0]  # sum of seconds over shape, weight
        self._own: dict[int, list[float]] = {}  # class of sizes -> the same
        self.count = self.singles = 0  # passes seen; and those of one token
        self._last_single = 0

    def note(self, tokens: int, seconds: float) -> None:
        """A pass of `tokens` nodes took `seconds`; outliers count as three times what was expected."""
        if self.count >= 4:
            expected = self.seconds(tokens)
            seconds = min(max(seconds, expected / 3), 3 * expected)
        self.count += 1
        if tokens == 1:
            self.singles += 1
            self._last_single = self.count
        ratio = seconds / self._shape(tokens)
        for sums in (self._all, self._own.setdefault(_class(tokens), [0.0, 0.0])):
            sums[0] = _FORGET * sums[0] + ratio
            sums[1] = _FORGET * sums[1] + 1

    def _shape(self, tokens: int) -> float:
        found = self._shapes.get(tokens)
        if found is None:
            if self._products is None:
                found = 1 + _TYPICAL * (tokens - 1)
            else:
                rest = self._products.pass_seconds(1) * _REST * (1 + _REST_SLOPE * (tokens - 1))
                found = self._products.pass_seconds(tokens) + rest
            self._shapes[tokens] = found = max(found, 1e-9)
        return found

    def seconds(self, tokens: int) -> float:
        """Expected seconds of a pass."""
        total, weight = self._all
        factor = total / weight if weight else 1.0
        own, seen = self._own.get(_class(tokens), (0.0, 0.0))
        return self._shape(tokens) * (own + _LEAN * factor) / (seen + _LEAN)

    def cost(self, tokens: int) -> float:
        """Expected time of a pass over that of a pass of one token."""
        return self.seconds(tokens) / max(self.seconds(1), 1e-9)

    def wants_single(self) -> bool:
        """Whether the cost of a pass of one token should be measured again."""
        return self.count - self._last_single > 64 or (self._products is None and self.singles < 2)


def _class(tokens: int) -> int:
    """Sizes that a pass treats alike: up to the next one measured, then by eights."""
    return next((size for size in SIZES if size >= tokens), (tokens + 7) // 8 * 8)


def costs_of(model: Any, products: Products | None = None) -> PassCosts:
    """The costs of a model's passes with these products, kept as long as the model."""
    known = _known.setdefault(model, {})
    found = known.get(products)
    if found is None:
        found = known[products] = PassCosts(products)
    return found
