"""Texts that a model writes as one special token: found in the tokenizer, so that a constraint can speak of them.

`<tool_call>`, `[TOOL_CALLS]`, `</think>`: in one tokenizer a special token without text of its own, in the next one an
added token that is text, or plain text. Users write the text; here it becomes what the tokenizer has for it.
"""

from __future__ import annotations

import re
from typing import Any

from grammars import Grammar, Marker, Vocabulary
from grammars.combine import marker_grammar, then
from guided import tokenizers

__all__ = ["Markers", "markers_of", "tokenizer_meant"]


class Markers:
    """The special tokens of a tokenizer by their text; ids that end a text are not among them."""

    def __init__(self, tokenizer: Any, vocabulary: Vocabulary) -> None:
        self.ids: dict[str, tuple[int, ...]] = {}
        for token, text in _added(tokenizer).items():
            if token < vocabulary.size and token not in vocabulary.eos_ids and not vocabulary.token_bytes(token):
                self.ids[text] = (*self.ids.get(text, ()), token)

    def marker(self, text: str) -> Marker:
        """A marker: the special token of that text, if there is one, or the text."""
        return Marker(text, self.ids.get(text, ()))

    def end(self, text: str) -> Marker:
        """The end of a region: written as the special token of that text alone, if there is one."""
        return Marker(text, self.ids.get(text, ()), spelled=text not in self.ids)

    def text(self, text: str) -> Grammar | str:
        """A text in which special tokens are written as such, and not by their letters."""
        if not self.ids:
            return text
        known = "|".join(re.escape(one) for one in sorted(self.ids, key=len, reverse=True))
        pieces = [piece for piece in re.split(f"({known})", text) if piece]
        parts = [marker_grammar(Marker(p, self.ids[p], spelled=False)) if p in self.ids else p for p in pieces]
        return then(*parts) if any(isinstance(one, Grammar) for one in parts) else text

    def decode(self, tokens: Any, vocabulary: Vocabulary) -> str:
        """The text of some ids with these special tokens in it, and no others."""
        named = {token: text.encode() for text, ids in self.ids.items() for token in ids}
        written = b"".join(named.get(int(t), b"") or vocabulary.token_bytes(int(t)) for t in tokens)
        return written.decode("utf-8", "replace")


def markers_of(tokenizer: Any, vocabulary: Vocabulary) -> Markers:
    """The special tokens of the tokenizer meant."""
    return Markers(tokenizer_meant(tokenizer, vocabulary), vocabulary)


def tokenizer_meant(tokenizer: Any, vocabulary: Vocabulary) -> Any:
    """The tokenizer given; where that is none, the one that the vocabulary was read from, else the default one."""
    if tokenizer is None or isinstance(tokenizer, Vocabulary):
        return tokenizers.tokenizer_of(vocabulary) or tokenizers.default_tokenizer()
    return tokenizer


def _added(tokenizer: Any) -> dict[int, str]:
    """Id -> text of the tokens that were added to a tokenizer; none for kinds that have no list of them."""
    for name in ("added_tokens_decoder", "get_added_tokens_decoder"):
        found = getattr(tokenizer, name, None)
        if callable(found):
            found = found()
        if found:
            return {int(token): str(getattr(added, "content", added)) for token, added in found.items()}
    return {}
