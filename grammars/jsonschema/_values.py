"""Schemas with finitely many values: the values themselves, for arrays whose items must differ.

Counting is exact up to `LIMIT`; a schema with more values counts as endless, and so does one whose values cannot be
listed cheaply. Recursive schemas are endless if they have any value that contains another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from math import ceil, floor, lcm
from typing import TYPE_CHECKING, Any

from grammars.errors import GuidedError
from grammars.jsonschema._atoms import exact, value_key
from grammars.schema_ir import (
    Alternative,
    ArrayValue,
    LiteralValue,
    NumberValue,
    ObjectValue,
    Property,
    Ref,
    StringValue,
)

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler

__all__ = ["LIMIT", "Values", "constant_array", "constant_object"]

LIMIT = 4_096
_DEPTH = 8


class _Endless(Exception):
    """There are more values than anyone would list."""


class Values:
    """The values behind the references of one compiler."""

    def __init__(self, compiler: SchemaCompiler) -> None:
        self._compiler = compiler
        self._known: dict[Ref, list[Any] | None] = {}
        self._spelled: dict[Any, Ref] = {}
        self._open: dict[Ref, Ref | None] = {}  # being spelled out: the reference that stands for it meanwhile
        self._path: list[Ref] = []

    def of(self, ref: Ref) -> list[Any] | None:
        """All values of `ref`, without repetition; None where there are too many."""
        try:
            return self._of(ref)
        except (_Endless, GuidedError):
            return None

    def _of(self, ref: Ref) -> list[Any]:
        compiler = self._compiler
        if ref == compiler.ANY or ref in self._path or len(self._path) > _DEPTH:
            raise _Endless
        if ref in self._known:
            known = self._known[ref]
            if known is None:
                raise _Endless
            return known
        self._path.append(ref)
        found: dict[Any, Any] = {}
        result: list[Any] | None = None
        try:
            for alternative in self._alternatives(ref):
                for value in self._listed(alternative):
                    found.setdefault(value_key(value), value)
                    if len(found) > LIMIT:
                        raise _Endless
            result = list(found.values())
            return result
        finally:
            self._path.pop()
            if not self._path and not compiler.searching:  # else it may rest on an assumption about another schema
                self._known[ref] = result

    def spelled(self, ref: Ref) -> Ref:
        """`ref` with each alternative of finitely many values replaced by these values, as constants."""
        if ref in self._open:  # it is being spelled out, and holds itself
            promise = self._open[ref]
            if promise is None:
                promise = self._open[ref] = self._compiler.made([], ref)
            return promise
        if ref not in self._spelled:
            self._open[ref] = None
            try:
                alternatives, changed = self._spell(ref)
            finally:
                promise = self._open.pop(ref)
            changed = changed or promise is not None
            self._spelled[ref] = self._compiler.made(alternatives, ref, promise) if changed else ref
        return self._spelled[ref]

    def _spell(self, ref: Ref) -> tuple[list[Alternative], bool]:
        """The alternatives with values in the place of those that have few, and whether there are such."""
        alternatives: list[Alternative] = []
        changed = False
        for alternative in () if ref == self._compiler.ANY else self._alternatives(ref):
            try:
                values = [] if isinstance(alternative, LiteralValue) else list(self._listed(alternative))
            except (_Endless, GuidedError):
                values = []
            changed = changed or bool(values)
            alternatives.extend(map(self.constant, values) if values else (alternative,))
        return alternatives, changed

    def some(self, values: Sequence[Any], ref: Ref) -> Ref:
        """Exactly these values, out of those of `ref`."""
        key = tuple(map(value_key, values))
        if key not in self._spelled:
            self._spelled[key] = self._compiler.made(list(map(self.constant, values)), ref)
        return self._spelled[key]

    def constant(self, value: Any) -> Alternative:
        """Exactly this value."""
        if isinstance(value, list):
            return constant_array(value, self._compiler)
        if isinstance(value, dict):
            return constant_object(value, self._compiler)
        return LiteralValue(value)

    def _alternatives(self, ref: Ref) -> Iterator[Alternative]:
        for bit, atoms in self._compiler.conjuncts(ref):
            yield from self._compiler.build(bit, atoms)

    def _listed(self, alternative: Alternative) -> Iterable[Any]:
        """The values of an alternative, perhaps with repetitions; at most a few more than the limit."""
        match alternative:
            case LiteralValue(value):
                return [value]
            case StringValue():
                return self._strings(alternative)
            case NumberValue():
                return _numbers(alternative)
            case ArrayValue():
                return self._arrays(alternative)
            case ObjectValue():
                return self._objects(alternative)

    def _strings(self, strings: StringValue) -> list[str]:
        if strings.language is None:
            if strings.max_length != 0:
                raise _Endless
            return [""]
        language = strings.language
        if strings.min_length or strings.max_length is not None:
            language = language & self._compiler.languages.lengths(strings.min_length, strings.max_length)
        found = self._compiler.languages.listed(language, LIMIT)
        if found is None:
            raise _Endless
        return found

    def _arrays(self, arrays: ArrayValue) -> Iterable[list[Any]]:
        high = arrays.max_items
        if arrays.items is None:
            high = len(arrays.prefix) if high is None else min(high, len(arrays.prefix))
        if arrays.states or high is None or high > LIMIT:
            raise _Endless
        refs = [*arrays.prefix, *[arrays.items] * (high - len(arrays.prefix))][:high]
        columns = [self._of(ref) for ref in refs if ref is not None]
        found: list[list[Any]] = [[]]
        everything = list(found) if arrays.min_items == 0 else []
        for index, column in enumerate(columns):
            found = [
                [*before, value]
                for before in found
                for value in column
                if not arrays.unique or value_key(value) not in map(value_key, before)
            ]
            self._compiler.spend(len(found))
            if len(found) > LIMIT:
                raise _Endless
            if index + 1 >= arrays.min_items:
                everything.extend(found)
        return everything

    def _objects(self, objects: ObjectValue) -> Iterable[dict[str, Any]]:
        if objects.additional is not None or objects.patterns:
            raise _Endless
        declared = [declaration for declaration in objects.properties if declaration.value is not None]
        found: list[dict[str, Any]] = [{}]
        for declaration in sorted(declared, key=lambda one: not one.required):
            assert declaration.value is not None
            column = self._of(declaration.value)
            longer = [{**before, declaration.name: value} for before in found for value in column]
            found = longer if declaration.required else found + longer
            self._compiler.spend(len(found))
            if len(found) > LIMIT:
                raise _Endless
        high = objects.max_properties
        return [one for one in found if objects.min_properties <= len(one) and (high is None or len(one) <= high)]


def _numbers(numbers: NumberValue) -> Iterator[Any]:
    lows = [bound for bound in (numbers.minimum, numbers.exclusive_minimum) if bound is not None]
    highs = [bound for bound in (numbers.maximum, numbers.exclusive_maximum) if bound is not None]
    if not lows or not highs or numbers.pointed:
        raise _Endless
    low, high = max(map(exact, lows)), min(map(exact, highs))
    steps = [exact(divisor) for divisor in numbers.multiple_of] + ([Fraction(1)] if numbers.integer else [])
    if not steps:
        if low < high:
            raise _Endless
        return iter([_plain(low)])
    step = steps[0]
    for other in steps[1:]:
        top = lcm(step.numerator * other.denominator, other.numerator * step.denominator)
        step = Fraction(top, step.denominator * other.denominator)
    first, last = ceil(low / step), floor(high / step)
    if last - first > 10 * LIMIT:
        raise _Endless
    strict_low = None if numbers.exclusive_minimum is None else exact(numbers.exclusive_minimum)
    strict_high = None if numbers.exclusive_maximum is None else exact(numbers.exclusive_maximum)
    avoided = [exact(divisor) for divisor in numbers.not_multiple_of]
    return (
        _plain(value)
        for value in (place * step for place in range(first, last + 1))
        if value not in (strict_low, strict_high) and not any((value / other).denominator == 1 for other in avoided)
    )


def _plain(value: Fraction) -> Any:
    if value.denominator == 1:
        return int(value)
    if exact(float(value)) != value:
        raise _Endless
    return float(value)


def constant_array(value: list[Any], compiler: SchemaCompiler) -> ArrayValue:
    """Exactly this array."""
    prefix = tuple(compiler.constant(item) for item in value)
    return ArrayValue(prefix, None, len(prefix), len(prefix))


def constant_object(value: dict[str, Any], compiler: SchemaCompiler) -> ObjectValue:
    """Exactly this object."""
    return ObjectValue(tuple(Property(name, compiler.constant(item), True) for name, item in value.items()))
