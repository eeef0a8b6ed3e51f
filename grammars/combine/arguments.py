"""Parts that calls of functions are written with: named fields in turn, strings as they stand, Python's literals.

What a format of tool calls writes is often no JSON: `f(a="x", b=True)`, or a tag for each argument, with bare text.
The values are still those of a JSON Schema: strings of which are the language that the schema's front-end made of them,
without quotes and escapes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grammars.combine.lowering import Recipe, compile_recipe, part
from grammars.errors import GrammarError, UnsatisfiableSchema, UnsupportedGrammar
from grammars.grammar import Grammar
from grammars.regex import Regex, parse
from grammars.schema_ir import ArrayValue, LiteralValue, NumberValue, ObjectValue, StringValue

__all__ = ["Field", "as_python", "bare_strings", "compile_fields", "kinds_of"]

_PREPARED = 256
_LOOK = {
    "null": r"\s*(?:null|None)\s*",
    "boolean": r"\s*(?:[tT]rue|[fF]alse)\s*",
    "number": r"\s*-?[0-9](?:.|\n)*",
    "array": r"\s*\[(?:.|\n)*",
    "object": r"\s*\{(?:.|\n)*",
}
"""Texts that could be read as a value of that kind, and some more."""


@dataclass(frozen=True)
class Field:
    """A named field: the text before its value, the value, the text after it; `required`: it may not be left out."""

    before: str
    value: Grammar | str
    after: str = ""
    required: bool = True


def compile_fields(fields: Sequence[Field], separator: Grammar | str = "") -> Grammar:
    """The fields in their order, optional ones or not, with a text of `separator` between two that are written."""
    between = part(separator)
    # built from the end: what follows a field is one recipe, whoever comes before it, and is lowered once
    later: Recipe = {"kind": "choice", "source": [""]}
    first = later
    for field in reversed(fields):
        own = _sequence(part(field.before), part(field.value), part(field.after), later)
        begun = own if field.required else {"kind": "either", "source": [own, first]}
        again = _sequence(between, own)
        later = again if field.required else {"kind": "either", "source": [again, later]}
        first = begun
    return compile_recipe(first)


def _sequence(*parts: Recipe) -> Recipe:
    return {"kind": "then", "source": [one for one in parts if one != {"kind": "choice", "source": [""]}]}


def as_python(grammar: Grammar) -> Grammar:
    """The documents of a JSON Schema in Python's literals: True, False and None; strings in double quotes.

    Canonical spelling only: what that escapes, Python reads as JSON does.

    Errors: `UnsupportedGrammar` for a grammar that is none of a schema, or of another spelling.
    """
    recipe = part(grammar)
    if recipe["kind"] != "json" or recipe["spelling"] != "canonical":
        raise UnsupportedGrammar("Python literals of what is no JSON Schema in canonical spelling")
    return compile_recipe(recipe | {"literals": "python"})


def kinds_of(schema: Any, **options: Any) -> frozenset[str]:
    """What kinds of values a JSON Schema has: names of types, "number" for integers too. Empty: it has none.

    `options`: `format`, `content`, `registry`, `default_draft` of `compile_json_schema`.
    """
    return frozenset(kind for kind, _ in _alternatives(json.dumps(schema), json.dumps(options)))


def bare_strings(schema: Any, *, without: Sequence[str] = (), apart: Sequence[str] = (), **options: Any) -> Grammar:
    """The strings that are valid under a JSON Schema, as they stand: no quotes, no escapes.

    `without`: texts that must not occur in them; `apart`: kinds of `kinds_of` whose values they must not look like, as
    "12" or "[...]" do. The options are those of `kinds_of`.

    Errors: those of the schema; `GrammarError` where no string is left.
    """
    recipe = {
        "kind": "strings", "source": json.dumps(schema), "options": json.dumps(options),
        "without": list(without), "apart": list(apart),
    }  # fmt: skip
    if strings(recipe).is_empty():
        raise GrammarError(1, 1, "no string is left: all valid ones would be read as something else")
    return compile_recipe(recipe)


def strings(recipe: Recipe) -> Regex:
    """The language of a recipe of the kind "strings"."""
    return _strings(recipe["source"], recipe["options"], tuple(recipe["without"]), tuple(recipe["apart"]))


@functools.lru_cache(_PREPARED)
def _strings(schema: str, options: str, without: tuple[str, ...], apart: tuple[str, ...]) -> Regex:
    found, words = [], []
    for kind, value in _alternatives(schema, options):
        if kind == "string" and isinstance(value, LiteralValue):
            words.append(value.value)
        elif kind == "string":
            language = Regex.any_string() if value.language is None else value.language
            if value.min_length or value.max_length is not None:
                language = language & Regex.length(value.min_length, value.max_length)
            found.append(language)
    if words:
        found.append(Regex.literals(words))
    whole = Regex.any_of(found) if found else Regex.never()
    for kind in apart:
        whole = whole - parse(_LOOK[kind], dialect="python", search=False)
    any_text = Regex.any_string()
    if without:
        whole = whole - Regex.sequence([any_text, Regex.literals(without), any_text])
    return whole


@functools.lru_cache(_PREPARED)
def _alternatives(schema: str, options: str) -> tuple[tuple[str, Any], ...]:
    from grammars.jsonschema import SchemaCompiler

    try:
        source = SchemaCompiler(json.loads(schema), **json.loads(options))
        values = source.resolve(source.root).alternatives
    except UnsatisfiableSchema:
        return ()
    return tuple((_kind(value), value) for value in values)


def _kind(value: Any) -> str:
    if isinstance(value, LiteralValue):
        value = value.value
        if value is None:
            return "null"
        return "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"
    known = {StringValue: "string", NumberValue: "number", ArrayValue: "array", ObjectValue: "object"}
    return known[type(value)]
