"""xgrammar, single-threaded. Options: `strict=no` and `any_order=yes` (defaults) read the schema as the standard does;
`strict=yes` is its own default and forbids undeclared properties."""

from __future__ import annotations

import json
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np
import xgrammar

from jsonschemabench.engines import AS_WRITTEN, EngineFailure, Reading, Row, Unsatisfiable, Walk

__all__ = ["create"]


class XgrammarSession:
    """One compiled grammar; a matcher for each document (it cannot be used again once it has terminated)."""

    def __init__(self, compiled: xgrammar.CompiledGrammar, bitmask: Any) -> None:
        self._compiled, self._bitmask = compiled, bitmask

    def start(self) -> Walk:
        matcher = xgrammar.GrammarMatcher(self._compiled)
        return Walk(partial(matcher.fill_next_token_bitmask, self._bitmask), matcher.accept_token)


class XgrammarEngine:
    """`GrammarCompiler` without its cache of schemas, on one thread."""

    name = "xgrammar"

    def __init__(self, tokenizer: Any, options: dict[str, str]) -> None:
        self.version = metadata.version("xgrammar")
        self._strict = options.get("strict", "no") == "yes"
        self._any_order = options.get("any_order", "yes") == "yes"
        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=len(tokenizer))
        self._compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        self._bitmask = xgrammar.allocate_token_bitmask(1, info.vocab_size)
        self.row: Row = self._bitmask.numpy()[0]
        assert self.row.dtype == np.int32

    def compile(self, schema: Any, reading: Reading = AS_WRITTEN) -> XgrammarSession:
        text = json.dumps(reading.stated(schema))
        try:
            compiled = self._compiler.compile_json_schema(text, strict_mode=self._strict, any_order=self._any_order)
        except (RuntimeError, ValueError) as error:  # its own way to refuse
            raise (Unsatisfiable if "unsatisfiable" in str(error).lower() else EngineFailure)(str(error)) from error
        return XgrammarSession(compiled, self._bitmask)


def create(tokenizer: Any, options: dict[str, str]) -> XgrammarEngine:
    return XgrammarEngine(tokenizer, options)
