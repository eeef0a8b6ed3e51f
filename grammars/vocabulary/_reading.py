"""Tokenizers of all kinds: which kind is it, and which ids end a text?

Everything is duck-typed, so that no tokenizer library is imported:

kind                                              known by                                      module
tokenizers.Tokenizer, and transformers around it  get_added_tokens_decoder, decoder             _rust
tiktoken.Encoding                                 token_byte_values, encode_single_token        _python
mistral_common Tekkenizer                         id_to_byte_piece, num_special_tokens          _python
sentencepiece.SentencePieceProcessor              id_to_piece, is_control                       _python
transformers without the Rust library             get_vocab, and byte_decoder or sp_model       _python
a class around one of the Python kinds            in .tokenizer, .model, .encoding, .sp_model   _python
a processor of transformers around any            tokenizer.tokenizer                           here
"""

from __future__ import annotations

from typing import Any

from grammars.errors import TokenizerError
from grammars.vocabulary._python import read_python_tokenizer
from grammars.vocabulary._rust import read_rust_tokenizer, rust_tokenizer
from grammars.vocabulary._spelling import GIVE_BYTES, Reading

__all__ = ["as_ids", "inner_tokenizer", "own_eos", "read_tokenizer"]


def read_tokenizer(tokenizer: Any) -> Reading:
    """What the tokens of `tokenizer` write; `TokenizerError` when its kind is not known."""
    rust = rust_tokenizer(tokenizer)
    reading = read_python_tokenizer(tokenizer) if rust is None else read_rust_tokenizer(rust, tokenizer)
    if reading is None:
        raise TokenizerError(
            f"{type(tokenizer).__name__} is not a kind of tokenizer whose bytes can be determined", GIVE_BYTES
        )
    return reading


def inner_tokenizer(tokenizer: Any) -> Any:
    """The tokenizer of a processor for several kinds of input (`AutoProcessor`), else the tokenizer itself."""
    inner = getattr(tokenizer, "tokenizer", None)
    if rust_tokenizer(tokenizer) is None and inner is not None and rust_tokenizer(inner) is not None:
        return inner
    return tokenizer


def as_ids(ids: Any) -> tuple[int, ...]:
    """One id, or several in any container (a list, a tensor), or None."""
    if ids is None:
        return ()
    try:
        return tuple(int(i) for i in ids)
    except TypeError:
        return (int(ids),)


def own_eos(tokenizer: Any) -> tuple[int, ...]:
    """The end-of-sequence ids that the tokenizer itself knows."""
    for name in ("eos_token_id", "eot_token", "eos_id"):
        try:
            eos = getattr(tokenizer, name, None)
        except KeyError:  # tiktoken: an encoding without <|endoftext|>
            continue
        if callable(eos):
            eos = eos()
        if eos is not None and eos != -1:
            return as_ids(eos)
    return ()
