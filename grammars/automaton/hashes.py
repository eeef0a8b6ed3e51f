"""Hashes of JSON values: equal values, equal hashes (1 is 1.0, the order of keys does not count).

The kernels work out the same hash from the text (`kernels.values`).
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from grammars.kernels.layout import (
    SEED,
    V_ARRAY,
    V_FALSE,
    V_NULL,
    V_NUMBER,
    V_OBJECT,
    V_PAIR,
    V_STRING,
    V_TRUE,
    V_ZERO,
)

__all__ = ["hash_value"]

_WORD = (1 << 64) - 1


def _mixed(h: int, value: int) -> int:
    """`frames._mix` on Python integers."""
    x = (((h ^ value) & _WORD) * 0x9E3779B97F4A7C15) & _WORD
    x ^= x >> 29
    return x - (1 << 64) if x >> 63 else x


def hash_value(value: Any) -> int:
    """The hash of a JSON value: equal values, equal hashes (`_value_hash` works it out from the text)."""
    if value is None or isinstance(value, bool):
        return _mixed(SEED, V_NULL if value is None else V_TRUE if value else V_FALSE)
    if isinstance(value, str):
        h = _mixed(SEED, V_STRING)
        for character in value:
            h = _mixed(h, ord(character) + 1)
        return h
    if isinstance(value, dict):
        total = _mixed(SEED, V_OBJECT)
        for key, item in value.items():
            total += _mixed(hash_value(key), hash_value(item))
        return _mixed(total, V_PAIR)
    if isinstance(value, (list, tuple)):
        h = _mixed(SEED, V_ARRAY)
        for item in value:
            h = _mixed(h, hash_value(item))
        return _mixed(h, V_PAIR)
    return _number_value(value)


def _number_value(value: int | float | Decimal) -> int:
    sign, digits, exponent = Decimal(json.dumps(value) if isinstance(value, float) else value).as_tuple()
    if not any(digits):
        return _mixed(SEED, V_ZERO)
    assert isinstance(exponent, int)
    last = max(place for place, digit in enumerate(digits) if digit)
    h = _mixed(SEED, V_NUMBER + (1000 if sign else 0))
    for digit in digits[next(place for place, digit in enumerate(digits) if digit) : last + 1]:
        h = _mixed(h, ord("0") + digit)
    return _mixed(h, exponent + len(digits) - 1 - last)
