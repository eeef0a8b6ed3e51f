"""`Grammar`: a compiled constraint, and the functions that compile one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from grammars.automaton.lower_json import JsonLowering
from grammars.automaton.program import Program
from grammars.automaton.terminals import current_store
from grammars.errors import SchemaError

__all__ = ["Grammar", "compile_choice", "compile_json_schema", "compile_regex"]


class Grammar:
    """A compiled constraint. Immutable for its users, shared by any number of matchers and threads."""

    __slots__ = ("__weakref__", "_repr", "program")

    def __init__(self, program: Program, description: str) -> None:
        self.program = program
        self._repr = description

    def __repr__(self) -> str:
        return f"Grammar({self._repr})"


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is none of {', '.join(map(repr, allowed))}")


def compile_json_schema(
    schema: dict[str, Any] | bool | str,
    *,
    property_order: str = "schema",
    whitespace: str = "default",
    spelling: str = "canonical",
    format: str = "assert",
    registry: Any = None,
) -> Grammar:
    """A grammar for the instances of a JSON Schema (a dict, a bool, or its JSON text).

    Errors: `SchemaError`, `UnsatisfiableSchema`, `UnsupportedSchema` (each with a JSON pointer), `BudgetExceeded`.
    """
    _one_of("property_order", property_order, ("schema", "any"))
    _one_of("whitespace", whitespace, ("default", "compact", "any"))
    _one_of("spelling", spelling, ("canonical", "any"))
    _one_of("format", format, ("assert", "annotate"))
    if isinstance(schema, str):
        try:
            schema = json.loads(schema)
        except json.JSONDecodeError as error:
            raise SchemaError("", f"the schema is not JSON: {error}", "Pass a dict or valid JSON text.") from error
    from grammars.jsonschema import SchemaCompiler

    source = SchemaCompiler(schema, format=format, registry=registry)
    lowering = JsonLowering(
        source, current_store(), property_order=property_order, whitespace=whitespace, spelling=spelling
    )
    return Grammar(lowering.program, "json schema")


def compile_regex(pattern: str) -> Grammar:
    """A grammar for the strings that match the whole pattern."""
    from grammars.automaton.lower_text import lower_regex

    return Grammar(lower_regex(pattern, current_store()), f"regex {pattern!r}")


def compile_choice(options: Iterable[str]) -> Grammar:
    """A grammar for one of some strings."""
    from grammars.automaton.lower_text import lower_choice

    return Grammar(lower_choice(options, current_store()), "choice")
