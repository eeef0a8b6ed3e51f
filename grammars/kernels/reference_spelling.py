"""How JSON strings are spelled, for `reference`: by the json module and by listing a character's spellings."""

from __future__ import annotations

import json
from functools import lru_cache

__all__ = ["begins", "begins_canonically", "decoded", "from_symbols"]


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
