"""outlines-core: the schema as one regular expression, that as one table of states and tokens, built before the start.

Options: `whitespace` is its pattern for blanks between tokens (default: none or one, its own is one space or none).
"""

from __future__ import annotations

import json
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np
import outlines_core
from outlines_core.json_schema import build_regex_from_schema

import guided
from jsonschemabench.engines import AS_WRITTEN, EngineFailure, Reading, Row, Walk

__all__ = ["create"]


class OutlinesCoreSession:
    """One index; a guide for each document."""

    def __init__(self, index: outlines_core.Index, row: Row) -> None:
        self._index, self._row = index, row

    def start(self) -> Walk:
        guide = outlines_core.Guide(self._index)
        fill = partial(guide.write_mask_into, self._row.ctypes.data, self._row.size, self._row.itemsize)

        def accept(token: int) -> bool:
            guide.advance(token, return_tokens=False)
            return True

        return Walk(fill, accept)


class OutlinesCoreEngine:
    """`build_regex_from_schema` and `Index`."""

    name = "outlines_core"

    def __init__(self, tokenizer: Any, options: dict[str, str]) -> None:
        self.version = metadata.version("outlines-core")
        self._whitespace = options.get("whitespace", r"[ ]?")
        vocabulary = guided.Vocabulary.from_tokenizer(tokenizer)  # only for the bytes of its tokens
        self._eos = tokenizer.eos_token_id
        ids: dict[bytes, list[int]] = {}
        for token in range(vocabulary.size):
            if token not in vocabulary.eos_ids and (spelled := vocabulary.token_bytes(token)):
                ids.setdefault(spelled, []).append(token)
        self._vocabulary = outlines_core.Vocabulary(self._eos, ids)
        self.row: Row = np.zeros(vocabulary.words, dtype=np.int32)

    def compile(self, schema: Any, reading: Reading = AS_WRITTEN) -> OutlinesCoreSession:
        try:
            expression = build_regex_from_schema(json.dumps(reading.stated(schema)), self._whitespace)
            index = outlines_core.Index(expression, self._vocabulary)
        except (ValueError, TypeError, RuntimeError) as error:  # its own ways to refuse
            raise EngineFailure(f"{type(error).__name__}: {error}") from error
        return OutlinesCoreSession(index, self.row)


def create(tokenizer: Any, options: dict[str, str]) -> OutlinesCoreEngine:
    return OutlinesCoreEngine(tokenizer, options)
