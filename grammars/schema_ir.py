"""What a JSON front-end hands to lowering: a value is a union of typed alternatives.

Front-ends (JSON Schema today) normalise each node into a `Union`: an instance is in the language if it is in at
least one alternative. Children are `Ref`s, integers resolved lazily through a `SchemaSource`, so that recursion
and schemas of megabytes cost only what is reached. Every alternative that is handed out is non-empty: a child
that no document can satisfy has been pruned (its property is missing from the tables, or the whole alternative is
dropped), so the automaton built from here has no dead end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NewType, Protocol

if TYPE_CHECKING:
    from grammars.regex import Regex

__all__ = [
    "Alternative",
    "ArrayValue",
    "Choice",
    "ItemState",
    "LiteralValue",
    "NumberValue",
    "ObjectValue",
    "PatternProperty",
    "Property",
    "Ref",
    "SchemaSource",
    "StringValue",
    "Union",
]

Ref = NewType("Ref", int)
"""Handle of a sub-schema in its `SchemaSource`. Equal schemas may share one."""


@dataclass(frozen=True, slots=True)
class LiteralValue:
    """One scalar, from enum or const (objects and arrays become ObjectValue and ArrayValue).

    `plain_integer`: a number, written without fraction and exponent (see `NumberValue`).
    """

    value: Any
    plain_integer: bool = False


@dataclass(frozen=True, slots=True)
class StringValue:
    """Strings in `language` (None: all) whose length in code points lies in [min_length, max_length].

    Non-empty: some string of such a length is in the language.
    """

    language: Regex | None = None
    min_length: int = 0
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class NumberValue:
    """Numbers within bounds; `integer` also admits 1.0 where the spelling allows. Bounds are int, float or Decimal.

    None of `not_multiple_of` divides the number; ``(1,)`` makes it no integer. `plain_integer` goes with `integer`:
    written without fraction and exponent, as draft 4 understands integers (1.0 is none there). `pointed` is the other
    half, all that are written with one.
    """

    integer: bool = False
    minimum: Any = None
    maximum: Any = None
    exclusive_minimum: Any = None
    exclusive_maximum: Any = None
    multiple_of: tuple[Any, ...] = ()
    not_multiple_of: tuple[Any, ...] = ()
    plain_integer: bool = False
    pointed: bool = False


@dataclass(frozen=True, slots=True)
class Property:
    """A declared property. `value` None: it must not be written (its schema is false or empty)."""

    name: str
    value: Ref | None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that an undeclared key may have; `pays`: the duties (a bit mask) that such a property meets."""

    value: Ref
    pays: int


@dataclass(frozen=True, slots=True)
class PatternProperty:
    """Undeclared keys in `keys` have values in `value`. The patterns of one object are pairwise disjoint.

    `choices`, where not empty, is `value` cut into disjoint parts that differ in the duties they meet. It is there
    only where some part meets a duty; it may leave out a part of `value` that no document has.
    """

    keys: Regex
    value: Ref
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectValue:
    """Objects. `properties` are in declared order (required names that are not declared come last).

    An undeclared key takes the first `patterns` entry whose language holds it, else `additional` (None: forbidden).
    `key_language` restricts undeclared keys (propertyNames); declared names already obey it.

    `duties` is a number of obligations of the form "some undeclared key has such a value" (at most 8). Undeclared
    properties meet them, see `Choice`; `additional_choices` is to `additional` what `choices` is to a pattern's value.
    The object may close once each of the duties is met. Duties are met by keys of infinite languages only (finite ones
    have become declared names), so no object runs out of keys; `max_properties` leaves room for them.
    """

    properties: tuple[Property, ...] = ()
    patterns: tuple[PatternProperty, ...] = ()
    additional: Ref | None = None
    key_language: Regex | None = None
    min_properties: int = 0
    max_properties: int | None = None
    duties: int = 0
    additional_choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemState:
    """A state of an item automaton: may the array close here, and (values, next state) for each kind of next item.

    The values of different edges are disjoint and none is empty; from each state an accepting one can be reached.
    """

    accepting: bool
    edges: tuple[tuple[Ref, int], ...]


@dataclass(frozen=True, slots=True)
class ArrayValue:
    """Arrays: item i follows prefix[i], later ones `items` (None: no further item). Bounds count items.

    The front-end has cut `max_items` to what the prefix and `items` allow (a prefix item of an empty schema ends
    the array before it), so each index below max_items can be filled.

    `states`, where not empty, replaces prefix, items and both bounds: an automaton over items which counts what they
    match (`contains`). It starts in state 0 and has at most 4,000 states.

    `unique`: the items differ from each other. Where only finitely many values can stand at an index (up to 4,096 of
    them), each is an alternative of its own there, and the bounds ask for no more items than there are values.
    """

    prefix: tuple[Ref, ...] = ()
    items: Ref | None = None
    min_items: int = 0
    max_items: int | None = None
    unique: bool = False
    states: tuple[ItemState, ...] = ()


Alternative = LiteralValue | StringValue | NumberValue | ObjectValue | ArrayValue


@dataclass(frozen=True, slots=True)
class Union:
    """At least one alternative; `pointer` is where it stands in the schema (for explanations)."""

    alternatives: tuple[Alternative, ...]
    pointer: str = ""


class SchemaSource(Protocol):
    """A compiled-on-demand schema: the root and the union behind each reference."""

    root: Ref

    def resolve(self, ref: Ref) -> Union:
        """The alternatives of `ref`: computed on first use, memoised; raises the typed errors of `grammars.errors`."""
        ...
