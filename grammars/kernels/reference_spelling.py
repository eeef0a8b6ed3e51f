"""How JSON strings are spelled, for `reference`, by the json module and character by character; values of texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import lru_cache

__all__ = ["begins", "begins_canonically", "decoded", "from_symbols", "is_among", "may_differ"]


def from_symbols(word: tuple[int, ...], code_points: bool) -> str:
    text = "".join(map(chr, word)) if code_points else json.loads('"' + bytes(word).decode() + '"')
    assert isinstance(text, str)
    return text


def decoded(content: bytes) -> str | None:
    """The text that the content of a JSON string stands for; None in the middle of a character."""
    try:
        text = json.loads('"' + content.decode() + '"')
    except ValueError:
        return None
    assert isinstance(text, str)
    return None if any("\ud800" <= c <= "\udfff" for c in text) else text


def begins_canonically(word: str, content: bytes) -> bool:
    """Whether `content` begins `word` as json.dumps spells it."""
    return json.dumps(word, ensure_ascii=False)[1:-1].encode().startswith(content)


@lru_cache(4096)
def _spellings(character: str) -> list[bytes]:
    """All spellings of a character in a JSON string, hex digits in lower case."""
    units = character.encode("utf-16-be")
    escapes = "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
    short = {'"': '"', "\\": "\\", "/": "/", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
    found = [escapes]
    if character in short:
        found.append("\\" + short[character])
    if character not in '"\\' and character >= " ":
        found.append(character)
    return [text.encode() for text in found]


@lru_cache(65536)
def begins(word: str, content: bytes) -> bool:
    """Whether `content` begins some spelling of `word`."""
    if not content or not word:
        return not content
    for spelling in _spellings(word[0]):
        piece, rest = content[: len(spelling)], content[len(spelling) :]
        if _lower_digits(piece) == spelling[: len(piece)] and begins(word[1:], rest):
            return True
    return False


def _lower_digits(piece: bytes) -> bytes:
    """The hex digits of an escape (or of a surrogate pair) in lower case: the letter u has one case only."""
    if piece[:1] != b"\\" or len(piece) < 3 or piece[1:2] != b"u":
        return piece
    return piece[:2] + piece[2:6].lower() + piece[6:8] + piece[8:].lower()


def is_among(text: str, others: Iterable[str]) -> bool:
    """Whether a JSON text has the value of one of the others."""
    from grammars.jsonschema.membership import equal

    value = json.loads(text, parse_float=Decimal)
    return any(equal(value, json.loads(other, parse_float=Decimal)) for other in others)


def may_differ(
    row: Callable[[int], Sequence[int]], label: Callable[[int], int], q: int, text: bytes, used: Sequence[str]
) -> bool:
    """Whether a number in its exponent, in terminal state q, can become none of those used; True of any other text."""
    number = re.fullmatch(r"(-?[0-9.]+)[eE][0-9+-]*", text.decode("utf-8", "replace"))
    if number is None or not used:
        return True
    if not Decimal(number[1]):
        return not is_among("0", used)
    if label(q) >= 0 and not is_among(text.decode(), used):
        return True
    return any(
        row(q)[byte] >= 0 and may_differ(row, label, row(q)[byte], text + bytes((byte,)), used)
        for byte in b"0123456789+-"
    )
