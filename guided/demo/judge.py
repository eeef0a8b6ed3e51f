"""The judge of finished texts: Python's JSON reader and `jsonschema`, which share nothing with the engine.

The dialect is the schema's own `$schema` (2020-12 without one), formats are checked, duplicate keys and the non-JSON
numbers that Python would read are refused.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from jsonschema.exceptions import best_match
from jsonschema.validators import Draft202012Validator, validator_for

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


class Judge:
    """Says what is wrong with a text under a schema."""

    def __init__(self, schema: Any) -> None:
        kind = validator_for(schema, default=Draft202012Validator)
        self._validator = kind(schema, format_checker=kind.FORMAT_CHECKER)

    def complaint(self, text: str) -> str:
        """What is wrong with it; "" when it is a valid instance. The oracle's own exceptions begin with "oracle"."""
        limit = sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(0)  # a random number may have thousands of digits
        try:
            document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        except (ValueError, RecursionError) as problem:
            return f"not JSON: {problem}"
        finally:
            sys.set_int_max_str_digits(limit)
        try:
            error = best_match(self._validator.iter_errors(document))
        except Exception as problem:  # a pattern Python cannot read, a remote reference, an overflow in a float
            return f"oracle: {type(problem).__name__}: {problem}"
        return "" if error is None else f"at {error.json_path}: {error.validator}: {error.message}"[:400]
