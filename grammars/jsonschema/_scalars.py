"""Conjuncts of null, booleans, numbers and strings -> schema_ir.

Each function gets the atoms of one conjunct and returns its alternatives: none, if no value is left.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor, isinf
from typing import TYPE_CHECKING, Any

from grammars._divisors import Divisors, least_common_multiple
from grammars.errors import UnsupportedSchema
from grammars.jsonschema._atoms import Atom, exact
from grammars.jsonschema._glance import plainly_inhabited
from grammars.schema_ir import Alternative, LiteralValue, NumberValue, StringValue

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler
    from grammars.regex import Regex

__all__ = ["booleans", "literals", "nulls", "numbers", "string_language", "strings"]

_NULLS: list[Alternative] = [LiteralValue(None)]


def literals(atoms: list[Atom], compiler: SchemaCompiler) -> list[Any] | None:
    """The values that enum and const leave, after all other atoms had their say; None: there is no enum."""
    for place, atom in enumerate(atoms):
        if atom.kind == "in":
            if len(atoms) == 1:
                return list(atom.value.values())
            others = atoms[:place] + atoms[place + 1 :]
            holds = compiler.judge.holds
            return [value for value in atom.value.values() if all(holds(other, value) for other in others)]
    return None


def booleans(atoms: list[Atom], compiler: SchemaCompiler) -> list[Alternative]:
    """Null has no atoms but `notin` null, booleans have `in` and `notin`."""
    holds = compiler.judge.holds
    return [LiteralValue(value) for value in (False, True) if all(holds(atom, value) for atom in atoms)]


def nulls(atoms: list[Atom], compiler: SchemaCompiler) -> list[Alternative]:
    """Null, unless something excludes it."""
    return _NULLS if not atoms or all(compiler.judge.holds(atom, None) for atom in atoms) else []


# ------------------------------------------------------------------------------------------------- strings


def strings(atoms: list[Atom], compiler: SchemaCompiler) -> list[Alternative]:
    """One StringValue or LiteralValues."""
    if not atoms:
        return [StringValue()]
    values = literals(atoms, compiler)
    if values is not None:
        return [LiteralValue(value) for value in values]
    low, high, languages, plain = 0, None, [], True
    for kind, value, where in atoms:
        if kind == "minlen":
            low = max(low, value)
        elif kind == "maxlen":
            high = value if high is None else min(high, value)
        else:
            language = _language(kind, value, where, compiler)
            if language is not None:
                languages.append(language)
                plain = plain and (kind == "format" or (kind == "pattern" and plainly_inhabited(value)))
    if high is not None and low > high:
        return []
    if not languages:
        return [StringValue(None, low, high)]
    both = languages[0]
    for language in languages[1:]:
        both = both & language
    if len(languages) > 1 or not plain or low or high is not None:
        if _no_string(both, low, high, compiler):
            return []
    return [StringValue(both, low, high)]


def _language(kind: str, value: Any, where: str, compiler: SchemaCompiler) -> Regex | None:
    if kind in ("pattern", "npattern"):
        language = compiler.languages.pattern(value, where)
        return language if kind == "pattern" else ~language
    if kind in ("format", "content"):
        return compiler.languages.format(value) if kind == "format" else compiler.languages.content(*value)
    if kind in ("nformat", "ncontent"):
        return compiler.languages.outside(kind[1:], value) or compiler.languages.one_of(())
    if kind == "notin":
        return ~compiler.languages.one_of(value.values())
    keyword, reason = value if kind == "unsupported" else (kind, "")
    raise UnsupportedSchema(where, keyword, reason)


def _no_string(language: Regex, low: int, high: int | None, compiler: SchemaCompiler) -> bool:
    if low == 0 and high is None:
        return bool(language.is_empty())
    counted = language.counted()
    if counted is not None:
        _, least, most = counted
        least, most = max(least, low), high if most is None else most if high is None else min(most, high)
        return most is not None and least > most
    return bool((language & compiler.languages.lengths(low, high)).is_empty())


def string_language(atoms: list[Atom], compiler: SchemaCompiler) -> Regex | list[str] | None:
    """The strings of a conjunct as one language; a list where enum or const names them; None: all strings."""
    alternatives = strings(atoms, compiler)
    if not alternatives:
        return []
    if isinstance(alternatives[0], StringValue):
        value = alternatives[0]
        if value.min_length == 0 and value.max_length is None:
            return value.language
        bounds = compiler.languages.lengths(value.min_length, value.max_length)
        return bounds if value.language is None else value.language & bounds
    return [alternative.value for alternative in alternatives if isinstance(alternative, LiteralValue)]


# ------------------------------------------------------------------------------------------------- numbers


def numbers(atoms: list[Atom], compiler: SchemaCompiler) -> list[Alternative]:
    """NumberValues (several where single numbers are excluded) or LiteralValues."""
    if not atoms:
        return [NumberValue()]
    values = literals(atoms, compiler)
    if values is not None:
        only_plain = any(atom.kind == "integer" and atom.value for atom in atoms)
        return [LiteralValue(value, only_plain) for value in values]
    bounds = _Bounds()
    multiples: list[Any] = []
    denied: list[Any] = []
    integer, plain, pointed, holes, late = False, False, False, [], []
    for atom in atoms:
        kind, value, _ = atom
        if kind in ("min", "xmin", "max", "xmax"):
            bounds.add(kind, value)
        elif kind == "multiple":
            if value not in multiples:
                multiples.append(value)
        elif kind == "integer":
            integer, plain = True, plain or bool(value)
        elif kind == "ninteger" and value:  # draft 4: what is written with a point, 1.0 too, is no integer
            pointed = True
        elif kind in ("nmultiple", "ninteger"):
            divisor = value if kind == "nmultiple" else 1
            if divisor not in denied:
                denied.append(divisor)
        elif kind == "notin":
            holes.extend(value.values())
        else:
            late.append(atom)
    if late:
        raise UnsupportedSchema(late[0].where, *late[0].value)
    step = _step(integer, multiples)
    banned = tuple(_step(False, [divisor] if step is None else [step, divisor]) for divisor in denied)
    if step in banned or (plain and pointed):
        return []
    divisors = Divisors(step, tuple(value for value in banned if value is not None))
    holes = [hole for hole in holes if divisors.hold(exact(hole))]
    cut = _cut(bounds, holes)
    common = (tuple(multiples), tuple(denied), plain, pointed)
    return [part.value(integer, *common) for part in cut if not part.empty(divisors)]


class _Bounds:
    """An interval; each end is None or (value, exclusive)."""

    __slots__ = ("high", "low")

    def __init__(self, low: Any = None, high: Any = None) -> None:
        self.low, self.high = low, high

    def add(self, kind: str, value: Any) -> None:
        if isinstance(value, float) and isinf(value):
            if (value > 0) == (kind[-3:] == "max"):
                return  # a literal such as 1e999 bounds nothing
            value = 0
            self.low, self.high = (1, False), (0, False)
        strict = kind[0] == "x"
        if kind[-3:] == "min":
            if self.low is None or value > self.low[0] or (value == self.low[0] and strict):
                self.low = (value, strict)
        elif self.high is None or value < self.high[0] or (value == self.high[0] and strict):
            self.high = (value, strict)

    def empty(self, divisors: Divisors) -> bool:
        if self.low is None or self.high is None:
            return False
        low, high = exact(self.low[0]), exact(self.high[0])
        if low > high or (low == high and (self.low[1] or self.high[1])):
            return True
        step = divisors.step
        if step is None:
            return low == high and not divisors.hold(low)
        first, last = ceil(low / step), floor(high / step)
        first += self.low[1] and first * step == low
        last -= self.high[1] and last * step == high
        multiples = Divisors(None, tuple(value / step for value in divisors.banned))
        return first > last or not multiples.some(first, last)

    def value(
        self, integer: bool, multiples: tuple[Any, ...], denied: tuple[Any, ...], plain: bool, pointed: bool
    ) -> NumberValue:
        low, high = self.low or (None, False), self.high or (None, False)
        return NumberValue(
            integer,
            None if low[1] else low[0],
            None if high[1] else high[0],
            low[0] if low[1] else None,
            high[0] if high[1] else None,
            multiples,
            denied,
            plain,
            pointed,
        )


def _cut(bounds: _Bounds, holes: list[Any]) -> list[_Bounds]:
    """`bounds` without the single numbers `holes`, as intervals."""
    parts = []
    for hole in sorted(set(holes)):
        if (bounds.low is None or hole >= bounds.low[0]) and (bounds.high is None or hole <= bounds.high[0]):
            parts.append(_Bounds(bounds.low, (hole, True)))
            bounds = _Bounds((hole, True), bounds.high)
    return [*parts, bounds]


def _step(integer: bool, multiples: list[Any]) -> Fraction | None:
    """All admitted numbers are the multiples of this; None: there is no such number."""
    return least_common_multiple([exact(value) for value in multiples] + ([Fraction(1)] if integer else []))
