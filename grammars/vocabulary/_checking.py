"""Never guess: the bytes that were read must be what the tokenizer itself writes.

A sample of tokens is decoded between two letters, where neither the leading-space convention nor a neighbour's
half character matters, and compared. A half character decodes to U+FFFD in ways that differ between tokenizers, so
those are left out on both sides; whole characters made of halves are checked as a row of byte tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from grammars.errors import TokenizerError, shorten
from grammars.vocabulary._spelling import GIVE_BYTES, Spelled

__all__ = ["check"]

_REPLACEMENT = "\ufffd"
_SAMPLES = 512  # 5 ms with the Rust library


def check(
    spelled: Spelled,
    strips_leading_space: bool,
    decode: Callable[[list[int]], str],
    *,
    first: Iterable[int] = (),
    samples: int = _SAMPLES,
) -> None:
    """Raise `TokenizerError` unless `decode` writes `spelled`, for the ids `first` and an even sample of the rest."""
    real = np.flatnonzero(spelled.lengths)
    if not len(real):
        raise TokenizerError("the tokenizer has no token that writes text", GIVE_BYTES)
    around = _letter(spelled)
    if around is None:
        return _check_alone(spelled, decode, real[:: max(1, len(real) // samples)].tolist())
    letter = spelled.word(around).decode()
    chosen = [*list(first)[:samples], *real[:: -(-len(real) // samples)].tolist()]
    for i in chosen:
        expected = letter + _lossy(spelled.word(i)) + letter
        _compare(spelled, i, decode([around, i, around]).replace(_REPLACEMENT, ""), expected)
    _check_bytes(spelled, decode, around, letter)
    _check_leading_space(spelled, strips_leading_space, decode)


def _lossy(word: bytes) -> str:
    return word.decode(errors="ignore").replace(_REPLACEMENT, "")


def _compare(spelled: Spelled, i: int, decoded: str, expected: str) -> None:
    if decoded != expected:
        raise TokenizerError(
            f"token {i} was read as {shorten(repr(spelled.word(i)))}, but between two letters the tokenizer "
            f"writes {shorten(repr(decoded))} instead of {shorten(repr(expected))}",
            GIVE_BYTES,
        )


def _letter(spelled: Spelled) -> int | None:
    """A token that is one ASCII letter."""
    for i in np.flatnonzero(spelled.lengths == 1).tolist():
        if spelled.word(i).isalpha():
            return int(i)
    return None


def _check_alone(spelled: Spelled, decode: Callable[[list[int]], str], sample: list[int]) -> None:
    """Where no token is a letter: tokens that are whole text without spaces at the ends, decoded alone."""
    for i in sample:
        word = spelled.word(i)
        if word.strip() == word and _REPLACEMENT not in word.decode(errors="replace"):
            _compare(spelled, i, decode([i]), word.decode())


def _check_bytes(spelled: Spelled, decode: Callable[[list[int]], str], around: int, letter: str) -> None:
    """Characters of two, three and four bytes, one token a byte, where all those tokens exist."""
    tokens = {spelled.word(i): i for i in np.flatnonzero(spelled.lengths == 1).tolist()}
    for text in ("é", "ж", "漢", "🙂"):
        row = [tokens.get(bytes([b]), -1) for b in text.encode()]
        if min(row) >= 0:
            decoded = decode([around, *row, around])
            if decoded != letter + text + letter:
                raise TokenizerError(
                    f"the byte tokens {row} were read as {text!r}, but the tokenizer writes {shorten(repr(decoded))}",
                    GIVE_BYTES,
                )


def _check_leading_space(spelled: Spelled, strips: bool, decode: Callable[[list[int]], str]) -> None:
    for i in np.flatnonzero((spelled.lengths > 1) & (spelled.lengths < 8)).tolist():
        word = spelled.word(i)
        if word[:1] == b" " and word[1:].isalpha():
            expected = word.decode()[1:] if strips else word.decode()
            return _compare(spelled, i, decode([i]), expected)
