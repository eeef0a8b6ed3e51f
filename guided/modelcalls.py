"""What differs between releases of transformers in calling a model, in one place."""

from __future__ import annotations

import inspect
from typing import Any

__all__ = ["cache_keyword"]

_known: dict[type, str] = {}


def cache_keyword(model: Any) -> str:
    """How a model's `forward` calls its cache: `cache` in newer releases, else `past_key_values`."""
    found = _known.get(type(model))
    if found is None:
        taken = inspect.signature(type(model).forward).parameters
        found = _known[type(model)] = (
            "cache" if "cache" in taken and "past_key_values" not in taken else "past_key_values"
        )
    return found
