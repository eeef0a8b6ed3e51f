"""Who calls a processor: what nothing in the arguments tells is asked of the callers' frames.

Both questions are asked rarely: only for sequences that nothing else explains.
"""

from __future__ import annotations

import sys

__all__ = ["called_by_foreign_assistant"]

_FOREIGN = ("DifferentTokenizers", "UniversalSpeculativeDecodingGenerator")


def called_by_foreign_assistant() -> bool:
    """Whether `generate` is drafting with another tokenizer's model, and hands that model's ids to our processor."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "get_candidates":
            owner = type(frame.f_locals.get("self")).__name__
            if any(name in owner for name in _FOREIGN):
                return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
