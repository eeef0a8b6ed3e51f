"""Small worlds: languages that can be checked by eye, and a matcher over them that shares nothing with the engine.

    Words       a finite set of texts
    Lists       digits in nested lists, such as [1,[2],[]], up to a depth: infinitely many texts
    ToyMatcher  the engine's interface, by the definition: a token is allowed if some text of the language continues so

The vocabulary has all bytes that the languages need as single tokens, so a text that can go on can go on by a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from grammars.vocabulary import Vocabulary
from processors import Constraint, ConstraintProcessor, ProcessorList

EOS, PAD, BOS = 1, 0, 2
TEXTS = ["[", "]", ",", *"0123456789", *"abcdefgh", "[[", "]]", "],", "],[", "1,", "12", "ab", "abc", "cab", "12,3"]
WIDTH = 64


def toy_vocabulary(size: int = WIDTH, eos_ids: tuple[int, ...] = (EOS,)) -> Vocabulary:
    """PAD, EOS, BOS, three unused ids, then `TEXTS`; the ids up to `size` write nothing."""
    tokens: list[bytes | None] = [None] * 6 + [text.encode() for text in TEXTS]
    return Vocabulary.from_bytes(tokens, eos_ids=eos_ids, size=size)


class Language(Protocol):
    def viable(self, text: bytes) -> bool: ...
    def complete(self, text: bytes) -> bool: ...
    def shortest(self, text: bytes) -> int: ...


@dataclass(frozen=True)
class Words:
    words: tuple[bytes, ...]

    def viable(self, text: bytes) -> bool:
        return any(word.startswith(text) for word in self.words)

    def complete(self, text: bytes) -> bool:
        return text in self.words

    def shortest(self, text: bytes) -> int:
        return min(len(word) - len(text) for word in self.words if word.startswith(text))


@dataclass(frozen=True)
class Lists:
    """value := "[" [value ("," value)*] "]" | digit+ ; the whole text is a list."""

    depth: int = 3

    def _scan(self, text: bytes) -> int | None:
        """Open brackets after `text`, or None when it is no beginning of a list."""
        level, before = 0, ""
        for place, char in enumerate(text.decode()):
            if place and level == 0:
                return None
            if char == "[":
                if (place and before not in "[,") or level == self.depth:
                    return None
                level += 1
            elif char == "]":
                if level == 0 or before == ",":
                    return None
                level -= 1
            elif char == ",":
                if level == 0 or before in "[,":
                    return None
            elif char.isdigit():
                if level == 0 or before == "]":
                    return None
            else:
                return None
            before = char
        return level

    def viable(self, text: bytes) -> bool:
        return self._scan(text) is not None

    def complete(self, text: bytes) -> bool:
        return bool(text) and self._scan(text) == 0

    def shortest(self, text: bytes) -> int:
        level = self._scan(text)
        assert level is not None
        return 2 if not text else level + text.endswith(b",")


_rows: dict[tuple[Any, ...], Any] = {}  # masks by language, vocabulary, text: tests visit the same ones over and over


class ToyMatcher:
    """`grammars.Matcher` by definition."""

    def __init__(self, language: Language, vocabulary: Vocabulary) -> None:
        self.language, self.vocabulary = language, vocabulary
        self.texts: list[bytes] = [b""]
        self.finished_at: int | None = None

    def _fits(self, token: int, budget: int | None) -> bool:
        text = self.texts[-1]
        if token in self.vocabulary.eos_ids:
            return self.finished_at is not None or self.language.complete(text)
        written = self.vocabulary.token_bytes(token)
        if self.finished_at is not None or not written or not self.language.viable(text + written):
            return False
        return budget is None or self.language.shortest(text + written) + 2 <= budget

    def fill_mask(self, row: Any, budget: int | None = None) -> None:
        assert row.dtype == np.int32 and row.shape == (self.vocabulary.words,) and row.flags.c_contiguous
        key = (self.language, self.vocabulary.fingerprint, self.texts[-1], self.is_finished(), budget)
        if (known := _rows.get(key)) is not None:
            row[:] = known
            return
        bits = np.zeros(self.vocabulary.words * 32, dtype=bool)
        for token in range(self.vocabulary.size):
            bits[token] = self._fits(token, budget)
        row[:] = _rows[key] = np.packbits(bits, bitorder="little").view(np.int32)

    def accept(self, token: int) -> bool:
        if not self._fits(token, None):
            return False
        if token in self.vocabulary.eos_ids:
            self.finished_at = len(self.texts) if self.finished_at is None else self.finished_at
            self.texts.append(self.texts[-1])
        else:
            self.texts.append(self.texts[-1] + self.vocabulary.token_bytes(token))
        return True

    def accept_bytes(self, data: bytes) -> bool:
        if not self.language.viable(self.texts[-1] + data):
            return False
        self.texts[-1] += data
        return True

    def rollback(self, n_tokens: int) -> None:
        assert 0 <= n_tokens < len(self.texts)
        del self.texts[len(self.texts) - n_tokens :]
        if self.finished_at is not None and len(self.texts) <= self.finished_at:
            self.finished_at = None

    def copy(self) -> ToyMatcher:
        other = ToyMatcher(self.language, self.vocabulary)
        other.texts, other.finished_at = list(self.texts), self.finished_at
        return other

    def is_finished(self) -> bool:
        return self.finished_at is not None

    def is_accepting(self) -> bool:
        return self.language.complete(self.texts[-1])

    def min_tokens(self) -> int:
        return self.language.shortest(self.texts[-1])


def toy_constraint(language: Language, vocabulary: Vocabulary | None = None, **options: Any) -> Constraint:
    vocabulary = vocabulary or toy_vocabulary()
    return Constraint(lambda: ToyMatcher(language, vocabulary), vocabulary, **options)


def toy_list(*languages: Language | None, vocabulary: Vocabulary | None = None, **options: Any) -> ProcessorList:
    """What `guided.json` gives, for one language, or for one each prompt."""
    vocabulary = vocabulary or toy_vocabulary()
    constraints = [None if each is None else toy_constraint(each, vocabulary, **options) for each in languages]
    return ProcessorList([ConstraintProcessor(constraints, per_prompt=len(languages) > 1)])


def spell(vocabulary: Vocabulary, ids: list[int]) -> tuple[bytes, bool]:
    """The text that ids write up to EOS, and whether there is one."""
    out = b""
    for token in ids:
        if token in vocabulary.eos_ids:
            return out, True
        out += vocabulary.token_bytes(token)
    return out, False
