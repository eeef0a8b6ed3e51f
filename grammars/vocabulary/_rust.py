"""Tokenizers of the Rust library `tokenizers`, bare or inside a class of transformers.

Most of the time goes into reading the texts out of the library: 110 ms for 128k by `id_to_token`, in order and with
every id. `get_vocab` takes 120 to 200 ms, in random order (which makes each later pass slow) and with one id a text;
`to_str` takes 350 ms. Added tokens pass through the decoder like all others, as they do in the library.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import numpy as np

from grammars.vocabulary._checking import check
from grammars.vocabulary._spelling import Reading, Words, read_decoder, special_ids, spell

__all__ = ["read_rust_tokenizer", "rust_tokenizer"]


def rust_tokenizer(tokenizer: Any) -> Any | None:
    """The `tokenizers.Tokenizer` inside, if there is one."""
    for inner in (tokenizer, getattr(tokenizer, "backend_tokenizer", None), getattr(tokenizer, "_tokenizer", None)):
        if hasattr(inner, "get_added_tokens_decoder") and hasattr(inner, "decoder"):
            return inner
    return None


def read_rust_tokenizer(rust: Any, tokenizer: Any) -> Reading:
    """Texts, decoder and special ids of `rust`; `tokenizer` is the class around it, or `rust` itself."""
    texts = _texts(rust)
    added = rust.get_added_tokens_decoder()
    decoder = rust.decoder and json.loads(rust.decoder.__getstate__())
    special = {i for i, token in added.items() if token.special} | special_ids(tokenizer)
    special |= _unknown(rust)
    plain = sorted(set(added) - special)
    digest = hashlib.blake2b(json.dumps([decoder, sorted(special), plain]).encode(), digest_size=16)
    digest.update(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)).tobytes())
    digest.update("".join(texts).encode())

    def words() -> Words:
        rule = read_decoder(decoder)
        spelled = spell(rule, texts).without(special)
        check(spelled, rule.strips_leading_space, lambda ids: _decode(rust, ids), first=plain)
        if tokenizer is not rust:
            check(spelled, rule.strips_leading_space, lambda ids: _decode_wrapped(tokenizer, ids), samples=64)
        return Words(spelled, rule.strips_leading_space)

    return Reading(digest.digest(), words)


def _texts(rust: Any) -> list[str]:
    """The texts by id; `""` where an id is unused."""
    known = rust.get_vocab_size(with_added_tokens=True)
    count = max(known, *(i + 1 for i in rust.get_added_tokens_decoder()), 0)
    texts = [rust.id_to_token(i) for i in range(count)]
    if count - texts.count(None) < known:  # the ids have gaps and go on
        count = max(rust.get_vocab(with_added_tokens=True).values()) + 1
        texts += [rust.id_to_token(i) for i in range(len(texts), count)]
    return [text or "" for text in texts]


def _unknown(rust: Any) -> set[int]:
    """The id that stands for text the tokenizer cannot spell: it is written as "<unk>" and is not text."""
    text = getattr(rust.model, "unk_token", None)
    if text is not None:
        return {i for i in [rust.token_to_id(text)] if i is not None}
    if type(rust.model).__name__ != "Unigram":
        return set()
    found = re.search(rb'"unk_id":\s*(\d+)', rust.model.__getstate__()[:1000])  # the field before the vocabulary
    return {int(found[1])} if found else set()


def _decode(rust: Any, ids: list[int]) -> str:
    return str(rust.decode(ids, skip_special_tokens=False))


def _decode_wrapped(tokenizer: Any, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
