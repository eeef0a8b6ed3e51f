"""JSON documents as texts: all the small ones over a few lexemes, and what reading one back must obey."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from typing import Any

import jsonschema

__all__ = ["ATOMS", "MARKS", "RepeatedKey", "key_order_aside", "parse", "small_documents", "valid"]

MARKS = (b"{", b"}", b"[", b"]", b":", b",")
ATOMS = (b"0", b"1", b'""', b'"a"', b'"b"', b"null")


class RepeatedKey(ValueError):
    """An object with a key twice."""


@cache
def small_documents(lexemes: int) -> tuple[bytes, ...]:
    """Every compact document of at most `lexemes` marks and atoms without repeated keys."""
    return tuple(text for n in range(1, lexemes + 1) for text in _values(n))


@cache
def _values(n: int) -> tuple[bytes, ...]:
    """Values of exactly n lexemes."""
    found = list(ATOMS) if n == 1 else [b"[]", b"{}"] if n == 2 else []
    found += [b"[" + inner + b"]" for inner in _items(n - 2)]
    found += [b"{" + inner + b"}" for inner, _ in _members(n - 2, frozenset())]
    return tuple(found)


@cache
def _items(n: int) -> tuple[bytes, ...]:
    found = list(_values(n)) if n > 0 else []
    found += [first + b"," + rest for k in range(1, n - 1) for first in _values(k) for rest in _items(n - k - 1)]
    return tuple(found)


@cache
def _members(n: int, taken: frozenset[bytes]) -> tuple[tuple[bytes, frozenset[bytes]], ...]:
    found = []
    for key in ATOMS:
        if key[:1] != b'"' or key in taken:
            continue
        for k in range(1, n - 1):
            for value in _values(k):
                if k + 2 == n:
                    found.append((key + b":" + value, taken))
                for rest, _ in _members(n - k - 3, taken | {key}):
                    found.append((key + b":" + value + b"," + rest, taken))
    return tuple(found)


def parse(text: bytes | str) -> Any:
    """The value of a document, numbers exact; RepeatedKey and ValueError where there is none."""
    return json.loads(text, object_pairs_hook=_object, parse_float=_number)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RepeatedKey(pairs)
    return found


def _number(text: str) -> int | Decimal:
    # an exponent of twenty digits is as good as one of four thousand, and can be written out
    mantissa, _, exponent = text.lower().partition("e")
    value = Decimal(f"{mantissa}e{max(-4000, min(4000, int(exponent or 0)))}")
    return int(value) if value == value.to_integral_value() else value


def valid(schema: Any, value: Any) -> bool:
    """What `jsonschema` says."""
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


def key_order_aside(text: bytes) -> str:
    """The document with sorted keys."""
    return json.dumps(json.loads(text), sort_keys=True)
