"""Continuous batching must be refused: transformers drops custom processors there without a word.

`generate_batch(..., logits_processor=...)` and `generate(cache_implementation="paged", logits_processor=...)` build
their own list and never look at the caller's, so nothing that a processor does can notice. The one place that both pass
through is `generate_batch`, which is wrapped when the first list of ours is made: it raises if one of ours would be
dropped, and is the original otherwise.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from processors.callers import local
from processors.errors import UnsupportedGeneration

__all__ = ["guard_continuous_batching"]

_MARK = "_refuses_dropped_processors"


def guard_continuous_batching(is_ours: Callable[[Any], bool]) -> None:
    """Let `generate_batch` raise `UnsupportedGeneration` where it would drop a list for which `is_ours` holds."""
    from transformers import GenerationMixin

    original = GenerationMixin.generate_batch
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def generate_batch(self: Any, *args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1)
        dropped = kwargs.get("logits_processor")
        if dropped is None and caller.f_globals.get("__name__") == "transformers.generation.utils":
            dropped = local(caller, "logits_processor")  # `generate` with a paged cache does not hand it on
        if dropped is not None and is_ours(dropped):
            raise UnsupportedGeneration(
                "continuous batching (generate_batch, cache_implementation='paged') ignores logits processors, so the "
                "output would not be constrained",
                "Call generate() without a paged cache.",
            )
        return original(self, *args, **kwargs)

    setattr(generate_batch, _MARK, True)
    GenerationMixin.generate_batch = generate_batch  # type: ignore[method-assign]
