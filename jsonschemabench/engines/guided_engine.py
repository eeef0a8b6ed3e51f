"""This project. Options are those of `guided.compile_json_schema`; the benchmark's documents have any key order."""

from __future__ import annotations

from functools import partial
from importlib import metadata
from typing import Any

import numpy as np

import guided
from jsonschemabench.engines import AS_WRITTEN, EngineFailure, Reading, Row, Unsatisfiable, Walk

__all__ = ["create"]


class GuidedSession:
    """One grammar with its matcher."""

    def __init__(self, matcher: guided.Matcher, row: Row) -> None:
        self._matcher, self._row = matcher, row

    def start(self) -> Walk:
        self._matcher.reset()
        return Walk(partial(self._matcher.fill_mask, self._row), self._matcher.accept)


class GuidedEngine:
    """`compile_json_schema` and `Matcher`."""

    name = "guided"

    def __init__(self, tokenizer: Any, options: dict[str, str]) -> None:
        self.version = metadata.version("guided")
        self.options: dict[str, Any] = {"property_order": "any", **options}
        self.vocabulary = guided.Vocabulary.from_tokenizer(tokenizer)
        self.row: Row = np.zeros(self.vocabulary.words, dtype=np.int32)

    def compile(self, schema: Any, reading: Reading = AS_WRITTEN) -> GuidedSession:
        meant = {"format": reading.formats, "content": reading.contents, "registry": dict(reading.remotes) or None}
        options = {**meant, **self.options}
        if reading.draft:
            options["default_draft"] = reading.draft
        try:
            grammar = guided.compile_json_schema(schema, **options)
        except guided.UnsatisfiableSchema as error:
            raise Unsatisfiable(str(error)) from error
        except guided.GuidedError as error:
            raise EngineFailure(f"{type(error).__name__}: {error}") from error
        return GuidedSession(guided.Matcher(grammar, self.vocabulary), self.row)


def create(tokenizer: Any, options: dict[str, str]) -> GuidedEngine:
    return GuidedEngine(tokenizer, options)
