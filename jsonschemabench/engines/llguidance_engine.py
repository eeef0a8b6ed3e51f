"""llguidance, through its fastest single-thread interface: masks written straight into our row by address.

`slices=general` (default, as in the library) or `slices=json`, which it offers for JSON Schema: on these splits the
two are equal within the noise.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import llguidance
import llguidance.hf
import numpy as np
from llguidance import LLMatcher, LLTokenizer

from jsonschemabench.engines import AS_WRITTEN, EngineFailure, Reading, Row, Unsatisfiable, Walk

__all__ = ["create"]


class LlguidanceSession:
    """One matcher; it never raises, so its error state is looked at after each document."""

    def __init__(self, matcher: LLMatcher, row: Row) -> None:
        self._matcher = matcher
        self._fill: Callable[[], object] = partial(matcher.unsafe_compute_mask_ptr, row.ctypes.data, row.nbytes)

    def start(self) -> Walk:
        self._matcher.reset()
        if self._matcher.is_error():
            raise EngineFailure(self._matcher.get_error())
        return Walk(self._fill, self._matcher.consume_token)


class LlguidanceEngine:
    """`LLMatcher` with the grammar of a JSON Schema."""

    name = "llguidance"

    def __init__(self, tokenizer: Any, options: dict[str, str]) -> None:
        self.version = llguidance.__version__
        slices = LLTokenizer.json_slices() if options.get("slices", "general") == "json" else None
        self._tokenizer = llguidance.hf.from_tokenizer(tokenizer, slices=slices)
        self.row: Row = np.zeros((self._tokenizer.vocab_size + 31) // 32, dtype=np.int32)

    def compile(self, schema: Any, reading: Reading = AS_WRITTEN) -> LlguidanceSession:
        text = json.dumps(reading.stated(schema))
        matcher = LLMatcher(self._tokenizer, LLMatcher.grammar_from_json_schema(text), log_level=0)
        if matcher.is_error():
            problem = matcher.get_error()
            raise (Unsatisfiable if "nsatisfiable schema" in problem else EngineFailure)(problem)
        return LlguidanceSession(matcher, self.row)


def create(tokenizer: Any, options: dict[str, str]) -> LlguidanceEngine:
    return LlguidanceEngine(tokenizer, options)
