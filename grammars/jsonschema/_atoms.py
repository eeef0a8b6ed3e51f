"""The smallest statements a schema makes about an instance of one type, and how they combine.

An *item* is one of
  int    a signed sub-schema: ``2 * node`` holds when the node's schema does, ``2 * node + 1`` when it does not;
  Atom   one assertion, e.g. ``Atom("minlen", 3, where)``; `where` is its place, for error texts;
  Or     at least one of several branches holds; a branch is a tuple of items which must all hold.
Items speak about instances of one JSON type at a time, so the complement of an atom stays inside that type and is an
atom (or a few of them) again. That is what lets `not`, `oneOf` and `if` be pushed inwards.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

__all__ = [
    "ALL_TYPES",
    "ARRAY",
    "BOOLEAN",
    "FALSE",
    "NULL",
    "NUMBER",
    "OBJECT",
    "STRING",
    "TRUE",
    "TYPE_BITS",
    "ArrayGroup",
    "Atom",
    "Item",
    "KeySpec",
    "ObjectGroup",
    "Or",
    "Sid",
    "exact",
    "type_bit",
    "value_key",
]

NULL, BOOLEAN, NUMBER, STRING, ARRAY, OBJECT = 1, 2, 4, 8, 16, 32
ALL_TYPES = 63
TYPE_BITS = {
    "null": NULL, "boolean": BOOLEAN, "integer": NUMBER, "number": NUMBER,
    "string": STRING, "array": ARRAY, "object": OBJECT,
}  # fmt: skip

Sid = int
TRUE: Sid = 0
FALSE: Sid = 1


class Atom(NamedTuple):
    """One assertion about instances of one type.

    string   minlen n | maxlen n | pattern str | npattern str | format name | nformat name
             content (encoding | None, media type | None) | ncontent ...
    number   min v | max v | xmin v | xmax v | multiple v | nmultiple v | integer plain | ninteger plain
             (plain: as in draft 4, where 1.0 is no integer)
    array    minitems n | maxitems n | group ArrayGroup | item (index, sid) | unique | nunique
             contains (sid, low, high | None) | someitem (from, sid)
    object   minprops n | maxprops n | group ObjectGroup | required name | absent name | value (name, sid) | names sid
             badname (sid, names besides) | somekey (KeySpec, sid)
    both     unevaluated Unevaluated | nunevaluated Unevaluated
    any      in {key: value} | notin {key: value} | unsupported (keyword, reason)
    """

    kind: str
    value: Any
    where: str


class Or(NamedTuple):
    """At least one branch holds. No branch: nothing does."""

    branches: tuple[tuple[Item, ...], ...]
    where: str


Item = int | Atom | Or


class ObjectGroup(NamedTuple):
    """`properties`, `patternProperties` and `additionalProperties` of one schema object, which go together."""

    properties: dict[str, Sid]
    patterns: tuple[tuple[str, Sid], ...]
    additional: Sid
    where: str


class ArrayGroup(NamedTuple):
    """`prefixItems` and `items` (or their older spellings) of one schema object."""

    prefix: tuple[Sid, ...]
    rest: Sid
    where: str


class KeySpec(NamedTuple):
    """Keys that match `pattern` (None: any), are not in `names` and match none of `without`.

    `names`, each once, in the order in which a schema declares them: they are properties too,
    and texts keep that order.
    """

    pattern: str | None
    names: tuple[str, ...]
    without: tuple[str, ...]


def type_bit(value: Any) -> int:
    """The type of an instance as one of the bits above (0: not a JSON value)."""
    if value is None:
        return NULL
    kind = value.__class__
    if kind is str:
        return STRING
    if kind is bool:
        return BOOLEAN
    if kind is int or kind is float:
        return NUMBER
    if kind is dict:
        return OBJECT
    if kind is list:
        return ARRAY
    for base, bit in _BASES:
        if isinstance(value, base):
            return bit
    return 0


_BASES: tuple[tuple[Any, int], ...] = (
    (str, STRING), (bool, BOOLEAN), ((int, float, Fraction), NUMBER), (dict, OBJECT), ((list, tuple), ARRAY),
)  # fmt: skip


def value_key(value: Any) -> Any:
    """A hashable that is equal for equal JSON values: 1 is 1.0, true is not 1, key order does not count."""
    kind = value.__class__
    if kind is bool:
        return ("bool", value)
    if kind is list or kind is tuple:
        return ("array", tuple(map(value_key, value)))
    if kind is dict:
        return ("object", frozenset((key, value_key(item)) for key, item in value.items()))
    return value


def exact(value: Any) -> Fraction:
    """The number as its decimal spelling says (0.1 is one tenth)."""
    if isinstance(value, int):
        return Fraction(value)
    return Fraction(str(value))
