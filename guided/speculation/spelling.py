"""Text as tokens, the way the model would write it.

A grammar forces bytes, a model writes tokens, and most texts can be spelled in several ways. The tokenizer's own
spelling, in the context of what stands before, is what the model was trained on; without a tokenizer the longest tokens
stand in for it. Either way the result is only ever a *draft*: the model decides how the text is spelled.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Speller"]

_KEPT = 4096
_CONTEXT = 3  # tokens before the text that may change its spelling


class Speller:
    """Spells bytes for one vocabulary. `tokenizer` (optional) is that of the model."""

    def __init__(self, vocabulary: Any, tokenizer: Any = None) -> None:
        self._vocabulary, self._tokenizer = vocabulary, tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)  # the Rust tokenizer: a tenth of the time
        self._backend = backend if hasattr(backend, "encode") else None
        self._known: dict[tuple[bytes, tuple[int, ...]], list[int]] = {}
        self._by_bytes: dict[bytes, int] | None = None

    def text_of(self, tokens: list[int]) -> bytes:
        """What tokens write."""
        spell, size = self._vocabulary.token_bytes, self._vocabulary.size
        return b"".join(spell(token) for token in tokens if 0 <= token < size)

    def spell(self, before: list[int], data: bytes) -> list[int]:
        """Tokens for `data` after the tokens `before`; they may spell less of it where it ends within a character."""
        context = before[-_CONTEXT:]
        key = (data, tuple(context))
        found = self._known.get(key)
        if found is None:
            found = self._encoded(context, data) if self._tokenizer is not None else self._longest(data)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[key] = found
        return found

    def _encoded(self, context: list[int], data: bytes) -> list[int]:
        text = data.decode("utf-8", "ignore")
        for first in range(len(context) + 1):  # the longest context that the tokenizer spells as it was written
            tail = context[first:]
            try:
                lead = self.text_of(tail).decode()
            except UnicodeDecodeError:
                continue
            if tail and not lead:
                continue
            ids = self._ids(lead + text)
            spelled = ids[len(tail) :]
            if ids[: len(tail)] == tail and data.startswith(self.text_of(spelled)):
                return spelled
        return self._longest(data)

    def _ids(self, text: str) -> list[int]:
        backend = self._backend
        if backend is not None and backend.truncation is None and backend.padding is None:
            return list(backend.encode(text, add_special_tokens=False).ids)
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def _longest(self, data: bytes) -> list[int]:
        if self._by_bytes is None:
            vocabulary = self._vocabulary
            pairs = ((vocabulary.token_bytes(token), token) for token in range(vocabulary.size - 1, -1, -1))
            self._by_bytes = {text: token for text, token in pairs if text}
            self._width = max(map(len, self._by_bytes), default=0)
        tokens, at = [], 0
        while at < len(data):
            for end in range(min(len(data), at + self._width), at, -1):
                token = self._by_bytes.get(data[at:end])
                if token is not None:
                    tokens.append(token)
                    at = end
                    break
            else:
                break
        return tokens
