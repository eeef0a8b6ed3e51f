"""Tokenizers to bytes: what does each token write?

A tokenizer is duck-typed, so that neither transformers nor tokenizers is imported: the Rust `tokenizers.Tokenizer`
inside it says by its decoder how the text of a token becomes bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grammars.errors import TokenizerError

__all__ = ["ReadTokens", "read_tokenizer"]


class ReadTokens(NamedTuple):
    """The bytes of token i are `lengths[i]` bytes of `blob`, in the order of ids; 0: writes nothing."""

    blob: bytes
    lengths: npt.NDArray[np.int64]
    eos_ids: tuple[int, ...]
    strips_leading_space: bool


def _byte_level_alphabet() -> dict[str, int]:
    """GPT-2's spelling of bytes as characters: printable ones stand for themselves, the rest from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    rest = (b for b in range(256) if b not in printable)
    return {chr(b): b for b in printable} | {chr(0x100 + k): b for k, b in enumerate(rest)}


def read_tokenizer(tokenizer: Any) -> ReadTokens:
    """The bytes of every token; `TokenizerError` when they cannot be determined exactly."""
    rust = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if _decoder_kind(rust) != "ByteLevel":
        raise TokenizerError(f"the decoder of {type(tokenizer).__name__} is not known")
    vocab: dict[str, int] = rust.get_vocab(with_added_tokens=False)
    added = rust.get_added_tokens_decoder()
    words = [b""] * (max(max(vocab.values(), default=-1), max(added, default=-1)) + 1)
    alphabet = _byte_level_alphabet()
    table = {ord(c): b for c, b in alphabet.items()}
    for text, i in vocab.items():
        try:
            words[i] = text.translate(table).encode("latin-1")
        except UnicodeEncodeError:
            words[i] = text.encode()
    for i, token in added.items():
        words[i] = b"" if token.special else token.content.encode()
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    return ReadTokens(b"".join(words), lengths, _own_eos(tokenizer), False)


def _decoder_kind(rust: Any) -> str:
    decoder = getattr(rust, "decoder", None)
    return "" if decoder is None else str(json.loads(decoder.__getstate__())["type"])


def _own_eos(tokenizer: Any) -> tuple[int, ...]:
    eos: int | Iterable[int] | None = getattr(tokenizer, "eos_token_id", None)
    if eos is None:
        return ()
    return (eos,) if isinstance(eos, int) else tuple(eos)
