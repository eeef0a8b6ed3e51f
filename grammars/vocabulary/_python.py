"""Tokenizers that do not rest on the Rust library: tiktoken, tekken, sentencepiece, and slow ones of transformers.

Each kind gives the bytes of its tokens directly, or texts and a rule of `_spelling`. A wrapper (a transformers class
around one of them) may number the tokens differently, so what is read is checked against the wrapper's own `decode`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from grammars.errors import TokenizerError
from grammars.vocabulary._checking import check
from grammars.vocabulary._spelling import GIVE_BYTES, SENTENCEPIECE, Reading, Spelled, Words, special_ids, spell

__all__ = ["read_python_tokenizer"]

_INNER = ("tokenizer", "_tokenizer", "model", "encoding", "enc", "sp_model")  # where wrappers keep what they wrap


class Found(NamedTuple):
    """What each token writes (`b""`: nothing), how to decode, and the leading-space convention."""

    words: list[bytes]
    decode: Callable[[list[int]], str] | None
    strips_leading_space: bool = False


def read_python_tokenizer(tokenizer: Any) -> Reading | None:
    """What the tokens write; None when the kind is not known."""
    found = _find(tokenizer)
    if found is None:
        return None
    spelled = Spelled.from_words(found.words).without(special_ids(tokenizer))
    digest = hashlib.blake2b(spelled.lengths.tobytes() + spelled.blob, digest_size=16)
    digest.update(repr(found.strips_leading_space).encode())

    def words() -> Words:
        if found.decode is not None:
            check(spelled, found.strips_leading_space, found.decode)
        return Words(spelled, found.strips_leading_space)

    return Reading(digest.digest(), words)


def _find(tokenizer: Any) -> Found | None:
    if isinstance(getattr(tokenizer, "byte_decoder", None), dict) and hasattr(tokenizer, "get_vocab"):
        return _slow_byte_level(tokenizer)
    if hasattr(getattr(tokenizer, "sp_model", None), "id_to_piece") and hasattr(tokenizer, "get_vocab"):
        return _slow_sentencepiece(tokenizer)
    if hasattr(tokenizer, "_utf_vocab_size") and hasattr(tokenizer, "get_vocab"):
        return _slow_bytes(tokenizer)
    seen, queue = set(), [tokenizer]
    while queue:
        inner = queue.pop(0)
        seen.add(id(inner))
        for marks, read in _KINDS:
            if all(hasattr(inner, mark) for mark in marks):
                found = read(inner)
                return found if inner is tokenizer else found._replace(decode=_wrapped_decode(tokenizer))
        queue += [x for x in (getattr(inner, n, None) for n in _INNER) if x is not None and id(x) not in seen]
        if len(seen) > 20:
            break
    return None


def _tiktoken(encoding: Any) -> Found:
    """`token_byte_values` lists the bytes in their own order, so each is asked for its id."""
    ids = {encoding.encode_single_token(word): word for word in encoding.token_byte_values()}
    words = [b""] * max(getattr(encoding, "n_vocab", 0), max(ids, default=-1) + 1)
    for i, word in ids.items():
        words[i] = word
    return Found(words, lambda row: str(encoding.decode(row)))


def _tekken(tekken: Any) -> Found:
    """mistral_common: ids below `num_special_tokens` are special, the rest are bytes."""
    special = range(tekken.num_special_tokens)
    return Found([b"" if i in special else bytes(tekken.id_to_byte_piece(i)) for i in range(tekken.n_words)], None)


def _sentencepiece(model: Any) -> Found:
    count = model.get_piece_size()
    texts = [model.id_to_piece(i) for i in range(count)]
    nothing = [i for i in range(count) if model.is_control(i) or model.is_unknown(i) or model.is_unused(i)]
    strips = not str(model.decode([_first(texts, "▁a")])).startswith(" ")
    return Found(_words(texts, nothing), lambda row: str(model.decode(row)), strips)


def _first(texts: list[str], start: str) -> int:
    """A token with a space before text."""
    found = next((i for i, text in enumerate(texts) if text.startswith(start)), None)
    found = found or next((i for i, text in enumerate(texts) if text[:1] == "▁" and text[1:].isalpha()), None)
    if found is None:
        raise TokenizerError(
            "no token begins with a space and a letter: the leading-space convention is unknown", GIVE_BYTES
        )
    return found


def _words(texts: list[str], nothing: Iterable[int]) -> list[bytes]:
    spelled = spell(SENTENCEPIECE, texts).without(nothing)
    return [spelled.word(i) for i in range(len(texts))]


def _by_id(tokenizer: Any) -> list[str]:
    vocab: dict[str, int] = tokenizer.get_vocab()
    texts = [""] * (max(vocab.values(), default=-1) + 1)
    for text, i in vocab.items():
        texts[i] = text
    return texts


def _slow_sentencepiece(tokenizer: Any) -> Found:
    """transformers around sentencepiece: its own ids, and text of added tokens as it is."""
    texts = _by_id(tokenizer)
    words = _words(texts, ())
    for i, token in getattr(tokenizer, "added_tokens_decoder", {}).items():
        words[i] = b"" if token.special else token.content.encode()
    decode = _wrapped_decode(tokenizer)
    return Found(words, decode, not decode([_first(texts, "▁a")]).startswith(" "))


def _slow_byte_level(tokenizer: Any) -> Found:
    """transformers with GPT-2's alphabet in Python: `byte_decoder` maps characters to bytes."""
    alphabet: dict[str, int] = tokenizer.byte_decoder
    added = getattr(tokenizer, "added_tokens_decoder", {})
    words = []
    for i, text in enumerate(_by_id(tokenizer)):
        if i in added:
            words.append(b"" if added[i].special else added[i].content.encode())
        elif all(c in alphabet for c in text):
            words.append(bytes(alphabet[c] for c in text))
        else:
            raise TokenizerError(f"token {i}, {text!r}, is not spelled in the tokenizer's byte alphabet", GIVE_BYTES)
    return Found(words, _wrapped_decode(tokenizer))


def _slow_bytes(tokenizer: Any) -> Found:
    """ByT5: one token a byte, named by the character of that number."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    words = [text.encode("latin-1") if len(text) == 1 and ord(text) < 256 else b"" for text in _by_id(tokenizer)]
    for i, token in added.items():
        words[i] = b"" if token.special else token.content.encode()
    return Found(words, _wrapped_decode(tokenizer))


def _wrapped_decode(tokenizer: Any) -> Callable[[list[int]], str]:
    def decode(ids: list[int]) -> str:
        try:
            return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
        except TypeError:  # not a class of transformers
            return str(tokenizer.decode(ids))

    return decode


_KINDS: tuple[tuple[tuple[str, ...], Callable[[Any], Found]], ...] = (
    (("token_byte_values", "encode_single_token", "decode"), _tiktoken),
    (("id_to_byte_piece", "num_special_tokens", "n_words"), _tekken),
    (("id_to_piece", "is_control", "is_unused", "get_piece_size"), _sentencepiece),
)
