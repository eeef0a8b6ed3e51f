"""lm-format-enforcer: a parser of characters in Python, asked for each token of the vocabulary's prefix tree.

Keys may come in any order and arrays may be long: the settings closest to the standard. Its own integration does not
import with transformers 5, so the list of tokens is made here in the same way.
"""

from __future__ import annotations

import logging
from importlib import metadata
from typing import Any

import numpy as np
from lmformatenforcer import CharacterLevelParserConfig, JsonSchemaParser, TokenEnforcer, TokenEnforcerTokenizerData

from jsonschemabench.engines import AS_WRITTEN, EngineFailure, Reading, Row, Walk

__all__ = ["create"]

MOST_ITEMS = 10_000  # its own limit of 20 would refuse valid documents


class LmfeSession:
    """One schema. An enforcer remembers each sequence it has seen, so that each document has one of its own."""

    def __init__(self, engine: LmfeEngine, schema: Any) -> None:
        self._engine, self._schema = engine, schema
        self._parser()

    def _parser(self) -> JsonSchemaParser:
        config = CharacterLevelParserConfig(force_json_field_order=False, max_json_array_length=MOST_ITEMS)
        try:
            return JsonSchemaParser(self._schema, config)
        except Exception as error:  # pydantic's errors, and plain `Exception`s: its ways to refuse
            raise EngineFailure(f"{type(error).__name__}: {error}") from error

    def start(self) -> Walk:
        data, row = self._engine.data, self._engine.row
        bits = np.zeros(32 * len(row), dtype=np.uint8)
        parser = self._parser()
        enforcer = TokenEnforcer(data, parser)
        parser.config.force_json_field_order, parser.config.max_json_array_length = False, MOST_ITEMS  # it resets them
        tokens: list[int] = []

        def fill() -> None:
            allowed = np.asarray(enforcer.get_allowed_tokens(tokens).allowed_tokens, dtype=np.int64)
            bits[:] = 0
            bits[allowed] = 1
            row.view(np.uint8)[:] = np.packbits(bits, bitorder="little")

        def accept(token: int) -> bool:
            tokens.append(token)
            return True

        return Walk(fill, accept)


class LmfeEngine:
    """`JsonSchemaParser` and `TokenEnforcer` with bit masks."""

    name = "lmfe"

    def __init__(self, tokenizer: Any, options: dict[str, str]) -> None:
        self.version = metadata.version("lm-format-enforcer")
        logging.disable(logging.CRITICAL)  # it logs a call for a bug report at each schema it trips over
        size = len(tokenizer)
        zero = tokenizer.encode("0", add_special_tokens=False)[-1]
        tokens = []
        for token in sorted(set(range(size)) - set(tokenizer.all_special_ids)):
            after_zero, alone = tokenizer.decode([zero, token])[1:], tokenizer.decode([token])
            tokens.append((token, after_zero, len(after_zero) > len(alone)))

        def decode(ids: list[int]) -> str:
            text: str = tokenizer.decode(ids)
            return text.rstrip("\ufffd")

        self.data = TokenEnforcerTokenizerData(tokens, decode, tokenizer.eos_token_id, False, size)
        self.row: Row = np.zeros((size + 31) // 32, dtype=np.int32)

    def compile(self, schema: Any, reading: Reading = AS_WRITTEN) -> LmfeSession:
        if not isinstance(schema, dict):
            raise EngineFailure("a schema must be an object")
        return LmfeSession(self, schema)


def create(tokenizer: Any, options: dict[str, str]) -> LmfeEngine:
    return LmfeEngine(tokenizer, options)
