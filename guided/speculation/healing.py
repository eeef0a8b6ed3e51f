"""Token healing: a prompt that ends within a word is continued as text, not as tokens.

A prompt that ends in `http:` was cut where the tokenizer would never cut (`://` is one token), and a model that never
saw that cut continues it badly. So the last tokens whose bytes could be the beginning of a longer token are taken back,
and what is written must begin with their bytes, in any tokens: `t` may come next while `S` is left to write if one of
`t` and `S` begins with the other. What a token writes beyond `S` is the first of the constraint's text.

This changes on purpose what is conditioned on: the prompt's text instead of its tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from processors.composition import ProcessorList
from processors.constraint import Constraint, ConstraintProcessor

__all__ = ["HealedMatcher", "heal", "surplus"]

Tokens = list[tuple[bytes, int]]


class HealedMatcher:
    """A matcher that first wants the bytes `lead`; then it is `inner` (None: anything may follow)."""

    def __init__(self, inner: Any, lead: bytes, vocabulary: Any, tokens: Tokens) -> None:
        self.inner, self.vocab, self._tokens = inner, vocabulary, tokens
        self._rest = [lead]  # what was left to write, after each token
        self._ended = 0

    @property
    def n_tokens(self) -> int:
        return len(self._rest) - 1

    def _beyond(self, token: int) -> tuple[bytes, bytes] | None:
        """(rest of the lead, bytes beyond it) after a token; None where they disagree."""
        rest, text = self._rest[-1], self.vocab.token_bytes(token)
        if not text:
            return None
        if rest.startswith(text):
            return rest[len(text) :], b""
        return (b"", text[len(rest) :]) if text.startswith(rest) else None

    def accept(self, token: int) -> bool:
        """Take a token. False: not allowed, nothing has changed."""
        if not self._rest[-1]:
            if self.inner is not None:
                if not self.inner.accept(token):
                    return False
            elif self._ended and token not in self.vocab.eos_ids:
                return False
            self._ended += self.inner is None and token in self.vocab.eos_ids
            self._rest.append(b"")
            return True
        found = self._beyond(token) if 0 <= token < self.vocab.size else None
        if found is None:
            return False
        rest, beyond = found
        if not rest and self.inner is not None and not self.inner.accept_bytes(beyond):
            return False
        self._rest.append(rest)
        return True

    def rollback(self, n_tokens: int) -> None:
        """Take tokens back."""
        for _ in range(n_tokens):
            after = self._rest.pop()
            if not after:
                if self.inner is not None:
                    self.inner.rollback(1)  # a token of its own, or the bytes beyond the lead
                elif self._ended:
                    self._ended -= 1

    def copy(self) -> HealedMatcher:
        """Independent, in the same state."""
        other = HealedMatcher(None if self.inner is None else self.inner.copy(), b"", self.vocab, self._tokens)
        other._rest, other._ended = list(self._rest), self._ended
        return other

    def is_finished(self) -> bool:
        """Whether EOS was accepted."""
        return bool(self._ended) if self.inner is None else bool(not self._rest[-1] and self.inner.is_finished())

    def is_accepting(self) -> bool:
        """Whether the text may end here."""
        return not self._rest[-1] and (self.inner is None or bool(self.inner.is_accepting()))

    def min_tokens(self) -> int:
        """Tokens that are still needed at most."""
        return len(self._rest[-1]) + (0 if self.inner is None else int(self.inner.min_tokens()))

    def forced_bytes(self) -> bytes:
        """The only possible continuation."""
        own = self._rest[-1]
        return own or (b"" if self.inner is None else bytes(self.inner.forced_bytes()))

    def accept_bytes(self, data: bytes) -> bool:
        """Take text as if it were one token."""
        rest = self._rest[-1]
        if len(data) < len(rest):
            if not rest.startswith(data):
                return False
            self._rest.append(rest[len(data) :])
            return True
        if not data.startswith(rest) or (self.inner is not None and not self.inner.accept_bytes(data[len(rest) :])):
            return False
        self._rest.append(b"")
        return True

    def fill_mask(self, row: npt.NDArray[np.int32], budget: int | None = None) -> None:
        """The mask of the next token; a budget counts from where the constraint begins."""
        rest = self._rest[-1]
        if not rest:
            if self.inner is not None:
                self.inner.fill_mask(row, budget)
                return
            row[:] = -1
            if self._ended:
                row[:] = 0
                self._allow(row, list(self.vocab.eos_ids))
            return
        row[:] = 0
        for text, token in self._tokens:
            if rest.startswith(text):
                self._allow(row, [token])
            elif text.startswith(rest):
                if self.inner is None:
                    self._allow(row, [token])
                elif self.inner.accept_bytes(text[len(rest) :]):
                    self.inner.rollback(1)
                    self._allow(row, [token])

    @staticmethod
    def _allow(row: npt.NDArray[np.int32], tokens: Sequence[int]) -> None:
        bits = row.view(np.uint32)
        for token in tokens:
            bits[token >> 5] |= np.uint32(1 << (token & 31))


def surplus(ids: Sequence[int], vocabulary: Any, most: int = 4) -> int:
    """How many tokens at the end of a prompt to take back: those whose text could begin a longer token.

    Never special tokens, never the whole prompt.
    """
    texts = [vocabulary.token_bytes(token) if 0 <= token < vocabulary.size else b"" for token in ids[-most - 1 :]]
    every = _texts(vocabulary)
    best = 0
    for count in range(1, min(most, len(ids) - 1) + 1):
        tail = texts[-count:]
        if not all(tail):
            break
        suffix = b"".join(tail)
        if any(len(text) > len(suffix) and text.startswith(suffix) for text in every):
            best = count
    return best


def heal(
    inputs: dict[str, Any], constraint: Any, vocabulary: Any
) -> tuple[dict[str, Any], ProcessorList, list[bytes]]:
    """Inputs without the last tokens that may be the beginning of others, and processors that write their text first.

    Rows are left padded again. Also gives the text that each row takes back.
    """
    ids = inputs["input_ids"]
    mask = inputs.get("attention_mask")
    mask = torch.ones_like(ids) if mask is None else mask
    rows = [ids[at][mask[at].bool()].tolist() for at in range(len(ids))]
    cuts = [surplus(row, vocabulary) for row in rows]
    leads = [b"".join(map(vocabulary.token_bytes, row[len(row) - cut :])) for row, cut in zip(rows, cuts, strict=True)]
    kept = [row[: len(row) - cut] for row, cut in zip(rows, cuts, strict=True)]
    length = max(map(len, kept))
    new_ids = torch.zeros((len(rows), length), dtype=ids.dtype, device=ids.device)
    new_mask = torch.zeros_like(new_ids)
    for at, row in enumerate(kept):
        new_ids[at, length - len(row) :] = torch.tensor(row, dtype=ids.dtype)
        new_mask[at, length - len(row) :] = 1
    parts = list(constraint.parts) if isinstance(constraint, ProcessorList) else []
    found = next((part for part in parts if isinstance(part, ConstraintProcessor)), None)
    owners: list[Constraint | None] = [None] * len(rows)
    if found is not None:
        owners = [found.constraints[at * len(found.constraints) // len(rows)] for at in range(len(rows))]
    healed = [
        owner if not lead else _led(owner, lead, vocabulary) for owner, lead in zip(owners, leads, strict=True)
    ]
    others = [part for part in parts if part is not found]
    own = [ConstraintProcessor(healed, per_prompt=True)] if any(each is not None for each in healed) else []
    return {**inputs, "input_ids": new_ids, "attention_mask": new_mask}, ProcessorList([*own, *others]), leads


def _led(owner: Constraint | None, lead: bytes, vocabulary: Any) -> Constraint:
    # While the lead is written, what is left of it is a suffix: keep tokens that agree with any suffix of it.
    tails = [lead[at:] for at in range(len(lead))]
    tokens = [
        (text, token) for text, token in _tokens(vocabulary)
        if any(text.startswith(tail) or tail.startswith(text) for tail in tails)
    ]  # fmt: skip
    if owner is None:
        return Constraint(lambda: HealedMatcher(None, lead, vocabulary, tokens), vocabulary)
    prefix = owner.prefix

    def start_led() -> HealedMatcher:
        inner = owner.start()
        if prefix:
            inner.accept_bytes(prefix)
        return HealedMatcher(inner, lead, vocabulary, tokens)

    return Constraint(
        start_led, vocabulary, max_new_tokens=owner.max_new_tokens, on_budget=owner.on_budget, reader=owner.reader
    )


def _tokens(vocabulary: Any) -> Tokens:
    pairs = ((vocabulary.token_bytes(token), token) for token in range(vocabulary.size))
    return [(text, token) for text, token in pairs if text]


def _texts(vocabulary: Any) -> list[bytes]:
    return [text for text, _ in _tokens(vocabulary)]
