"""Tokenizers for measuring: a folder or hub name, or a byte-level one made in the process.

`bytes` has 256 tokens of one byte and an end of text. Verdicts do not depend on the vocabulary, so it is enough for
`suite`, and quick; times do, so `masks` should have a real one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["BYTES", "Tools", "byte_tokenizer", "load_tools"]

BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Tools:
    """A tokenizer as the loops use it."""

    tokenizer: Any
    encode: Callable[[str], list[int]]
    eos_ids: tuple[int, ...]


def byte_tokenizer() -> Any:
    """A transformers tokenizer of 256 single bytes and `<eos>`: no file, no training."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(["<eos>"])
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>")


def load_tools(name: str) -> Tools:
    """The tokenizer of that folder or name, or the byte-level one for "bytes"."""
    if name == BYTES:
        tokenizer = byte_tokenizer()
    else:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(name)

    def encode(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False))

    return Tools(tokenizer, encode, (int(tokenizer.eos_token_id),))
