"""The judge of finished texts: Python's JSON reader and `jsonschema`, which share nothing with the engine.

The dialect is the schema's own `$schema` (2020-12 without one), formats are checked, duplicate keys and the non-JSON
numbers that Python would read are refused. In three points it is more exact than `jsonschema` alone: multiples are
worked out in decimal from the text (0.3 is a multiple of 0.1), relative JSON pointers may begin with 509 (which it
refuses), and patterns are ECMA-262, also as `format: regex`, where the package `regress` is there (without it they are
Python's, whose `\\s` and `$` differ).
"""

from __future__ import annotations

import json
import re
import sys
from calendar import monthrange
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

from jsonschema import FormatChecker
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import Draft202012Validator, extend, validator_for

regress: Any
try:
    import regress
except ImportError:
    regress = None

__all__ = ["Judge"]


class _NotJson(ValueError):
    """Text that Python reads and RFC 8259, or good sense, does not."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        raise _NotJson(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return document


def _no_constant(text: str) -> None:
    raise _NotJson(f"{text} is not a JSON number")


class _Decimal(float):
    """A number with a fraction or an exponent, and its text."""

    text: str

    def __new__(cls, text: str) -> _Decimal:
        number = super().__new__(cls, text)
        number.text = text
        return number


def _exact(number: float) -> Fraction:
    return Fraction(number.text if isinstance(number, _Decimal) else repr(number))


def _multiple_of(validator: Any, unit: float, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "number") and (_exact(instance) / _exact(unit)).denominator != 1:
        yield ValidationError(f"{instance!r} is not a multiple of {unit}")


@lru_cache(maxsize=10_000)
def _expression(pattern: str) -> Any:
    """`pattern` as ECMA-262 reads it: with the flag u, or without where it is not an expression then."""
    try:
        return regress.Regex(pattern, "u")
    except Exception:
        return regress.Regex(pattern)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and _expression(pattern).find(instance) is None:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: dict[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
    if validator.is_type(instance, "object"):
        for pattern, below in patterns.items():
            for key, value in instance.items():
                if _expression(pattern).find(key) is not None:
                    yield from validator.descend(value, below, path=key, schema_path=pattern)


def _additional_properties(validator: Any, below: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not validator.is_type(instance, "object"):
        return
    declared, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key, value in instance.items():
        if key not in declared and all(_expression(pattern).find(key) is None for pattern in patterns):
            if below is False:
                yield ValidationError(f"the key {key!r} is not allowed")
            yield from validator.descend(value, below, path=key)


_STRICTER: dict[str, Any] = {"multipleOf": _multiple_of}
if regress is not None:
    _STRICTER |= {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    }


_RELATIVE_POINTER = re.compile(r"(?:0|[1-9]\d*)(?:#|(?:/(?:[^~/]|~[01])*)*)", re.ASCII)


def _is_relative_pointer(instance: Any) -> bool:
    return not isinstance(instance, str) or _RELATIVE_POINTER.fullmatch(instance) is not None


def _is_expression(instance: Any) -> bool:
    return not isinstance(instance, str) or bool(_expression(instance))


_TIME = re.compile(
    r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)(?:\.[0-9]+)?(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)


def _is_time(value: object) -> bool:
    """RFC 3339's full-time. A leap second (:60) is at 23:59 UTC, which the checker of jsonschema does not know."""
    if not isinstance(value, str):
        return True
    found = _TIME.fullmatch(value)
    if found is None:
        return False
    hour, minute, second, sign, ahead, minutes = found.groups()
    offset = (int(ahead) * 60 + int(minutes)) * (-1 if sign == "-" else 1) if sign else 0
    return second != "60" or (int(hour) * 60 + int(minute) - offset) % 1440 == 1439


def _is_date_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt].*", value) or not _is_time(value[11:]):
        return False
    year, month, day = int(value[:4]), int(value[5:7]), int(value[8:10])
    return 1 <= month <= 12 and 1 <= day <= monthrange(year or 4, month)[1]  # year 0 is a leap year


_FORMATS: dict[str, Any] = {
    "relative-json-pointer": (_is_relative_pointer, ()),
    "time": (_is_time, ()),
    "date-time": (_is_date_time, ()),
}
if regress is not None:
    _FORMATS["regex"] = (_is_expression, Exception)


class Judge:
    """Says what is wrong with a text under a schema."""

    def __init__(self, schema: Any) -> None:
        kind = validator_for(schema, default=Draft202012Validator)
        formats = FormatChecker(())
        formats.checkers = {**kind.FORMAT_CHECKER.checkers, **_FORMATS}
        self._validator = extend(kind, _STRICTER)(schema, format_checker=formats)

    def complaint(self, text: str) -> str:
        """What is wrong with it; "" when it is a valid instance. The oracle's own exceptions begin with "oracle"."""
        limit = sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(0)  # a random number may have thousands of digits
        try:
            document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_Decimal)
        except (ValueError, RecursionError) as problem:
            return f"not JSON: {problem}"
        finally:
            sys.set_int_max_str_digits(limit)
        try:
            error = best_match(self._validator.iter_errors(document))
        except Exception as problem:  # a pattern Python cannot read, a remote reference, an overflow in a float
            return f"oracle: {type(problem).__name__}: {problem}"
        return "" if error is None else f"at {error.json_path}: {error.validator}: {error.message}"[:400]
