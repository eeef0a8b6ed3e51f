"""Who calls a processor: what nothing in the arguments tells is asked of the callers' frames.

All questions are asked rarely: once a generation, or only for sequences that nothing else explains.
"""

from __future__ import annotations

import inspect
import sys
from types import FrameType
from typing import Any

__all__ = ["called_by_foreign_assistant", "generation_config", "local"]

_FOREIGN = ("DifferentTokenizers", "UniversalSpeculativeDecodingGenerator")


def called_by_foreign_assistant() -> bool:
    """Whether `generate` is drafting with another tokenizer's model, and hands that model's ids to our processor."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "get_candidates":
            owner = type(local(frame, "self")).__name__
            if any(name in owner for name in _FOREIGN):
                return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def generation_config() -> Any:
    """The settings of the `generate` call that reads the processors right now; None outside of one."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(12):
        if frame is None:
            return None
        if frame.f_globals.get("__name__") == "transformers.generation.utils":
            if (config := local(frame, "generation_config")) is not None:
                return config
        frame = frame.f_back
    return None


def local(frame: FrameType, name: str) -> Any:
    """A local variable of a function's frame, or None.

    Before Python 3.13 reading `f_locals` leaves a copy of all locals with the frame, which would keep tensors of the
    caller alive that it has deleted; it is emptied again.
    """
    locals_ = frame.f_locals
    found = locals_.get(name)
    if type(locals_) is dict and frame.f_code.co_flags & inspect.CO_OPTIMIZED:  # else they are a module's globals
        locals_.clear()
    return found
