"""Is an instance in the language of a `schema_ir` source? A plain interpreter: slow, obviously right.

It reads nothing but schema_ir, so it judges any front-end, and tests hold both the front-end (against `jsonschema`)
and the automaton (against this) to it. Property order, white space and spelling do not enter: instances are values.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from grammars.schema_ir import (
    Alternative,
    ArrayValue,
    Choice,
    LiteralValue,
    NumberValue,
    ObjectValue,
    Ref,
    SchemaSource,
    StringValue,
)

__all__ = ["contains", "equal"]


def contains(source: SchemaSource, instance: Any) -> bool:
    """Does some alternative of the root hold the instance?"""
    return _at(source, source.root, instance)


def equal(one: Any, other: Any) -> bool:
    """Equality of JSON values: 1 is 1.0, true is not 1, key order does not count."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return bool(one == other)


def _at(source: SchemaSource, ref: Ref, instance: Any) -> bool:
    return any(_in(source, alternative, instance) for alternative in source.resolve(ref).alternatives)


def _in(source: SchemaSource, alternative: Alternative, instance: Any) -> bool:
    match alternative:
        case LiteralValue():
            if alternative.plain_integer and isinstance(instance, float):
                return False
            return equal(alternative.value, instance)
        case StringValue():
            return isinstance(instance, str) and _string(alternative, instance)
        case NumberValue():
            return (
                isinstance(instance, (int, float)) and not isinstance(instance, bool) and _number(alternative, instance)
            )
        case ArrayValue():
            return isinstance(instance, list) and _array(source, alternative, instance)
        case ObjectValue():
            return isinstance(instance, dict) and _object(source, alternative, instance)


def _string(strings: StringValue, instance: str) -> bool:
    if not strings.min_length <= len(instance) <= _or_endless(strings.max_length):
        return False
    return strings.language is None or bool(strings.language.matches(instance))


def _number(numbers: NumberValue, instance: float) -> bool:
    value = _fraction(instance)
    if numbers.integer and value.denominator != 1:
        return False
    if numbers.minimum is not None and value < _fraction(numbers.minimum):
        return False
    if numbers.maximum is not None and value > _fraction(numbers.maximum):
        return False
    if numbers.exclusive_minimum is not None and value <= _fraction(numbers.exclusive_minimum):
        return False
    if numbers.exclusive_maximum is not None and value >= _fraction(numbers.exclusive_maximum):
        return False
    if (numbers.plain_integer and isinstance(instance, float)) or (numbers.pointed and isinstance(instance, int)):
        return False
    if any((value / _fraction(divisor)).denominator == 1 for divisor in numbers.not_multiple_of):
        return False
    return all((value / _fraction(divisor)).denominator == 1 for divisor in numbers.multiple_of)


def _fraction(number: Any) -> Fraction:
    return Fraction(Decimal(repr(number))) if isinstance(number, float) else Fraction(number)


def _array(source: SchemaSource, arrays: ArrayValue, instance: list[Any]) -> bool:
    if arrays.unique and any(equal(a, b) for place, a in enumerate(instance) for b in instance[:place]):
        return False
    if arrays.states:
        places = {0}  # a single one at a time, if edges are disjoint as promised
        for item in instance:
            edges = [edge for place in places for edge in arrays.states[place].edges]
            places = {after for ref, after in edges if _at(source, ref, item)}
        return any(arrays.states[place].accepting for place in places)
    if not arrays.min_items <= len(instance) <= _or_endless(arrays.max_items):
        return False
    for index, item in enumerate(instance):
        ref = arrays.prefix[index] if index < len(arrays.prefix) else arrays.items
        if ref is None or not _at(source, ref, item):
            return False
    return True


def _object(source: SchemaSource, objects: ObjectValue, instance: dict[str, Any]) -> bool:
    if not objects.min_properties <= len(instance) <= _or_endless(objects.max_properties):
        return False
    declared = {declaration.name: declaration for declaration in objects.properties}
    if any(declaration.required and name not in instance for name, declaration in declared.items()):
        return False
    met = 0
    for name, item in instance.items():
        if name in declared:
            ref = declared[name].value
            choices: tuple[Choice, ...] = () if ref is None else (Choice(ref, 0),)
        else:
            choices = _undeclared(objects, name)
        fitting = [choice.pays for choice in choices if _at(source, choice.value, item)]
        if not fitting:
            return False
        for pays in fitting:
            met |= pays
    return met == (1 << objects.duties) - 1


def _undeclared(objects: ObjectValue, name: str) -> tuple[Choice, ...]:
    if objects.key_language is not None and not objects.key_language.matches(name):
        return ()
    for pattern in objects.patterns:
        if pattern.keys.matches(name):
            return pattern.choices or (Choice(pattern.value, 0),)
    if objects.additional is None:
        return ()
    return objects.additional_choices or (Choice(objects.additional, 0),)


def _or_endless(bound: int | None) -> float:
    return float("inf") if bound is None else bound
