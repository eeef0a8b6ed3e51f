"""`Grammar`: a compiled constraint, and the functions that compile one."""

from __future__ import annotations

import json
import marshal
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

from grammars import memory
from grammars.automaton.lower_json import JsonLowering
from grammars.automaton.program import Program
from grammars.automaton.terminals import current_store
from grammars.errors import GrammarError, SchemaError, shorten

_MAGIC = b"guided grammar 1\n"
_COMBINED = ("then", "either", "both", "repeat", "substring", "words", "tagged", "until", "free", "marker")

__all__ = ["Grammar", "compile_choice", "compile_json_schema", "compile_regex"]


class Grammar:
    """A compiled constraint. Immutable for its users, shared by any number of matchers and threads."""

    __slots__ = ("__weakref__", "program", "recipe")

    def __init__(self, program: Program, recipe: dict[str, Any]) -> None:
        self.program = program
        self.recipe = recipe

    def __repr__(self) -> str:
        source = json.dumps(self.recipe["source"], ensure_ascii=False)
        return f"Grammar({self.recipe['kind']} {shorten(source, 40)})"

    def __or__(self, other: Grammar | str) -> Grammar:
        """A text of either grammar; a string stands for itself."""
        from grammars.combine.operators import either

        return either(self, other)

    def __ror__(self, other: str) -> Grammar:
        from grammars.combine.operators import either

        return either(other, self)

    def __and__(self, other: Grammar | str) -> Grammar:
        """The texts of both grammars, see `grammars.combine.both`: exact, or `UnsupportedGrammar`."""
        from grammars.combine.operators import both

        return both(self, other)

    def to_bytes(self) -> bytes:
        """The grammar as bytes, for `from_bytes` in any process: what it was compiled from, since compiling is fast.

        A registry of remote references is not part of it: such a grammar raises `GrammarError`.
        """
        return _MAGIC + json.dumps(_plain(self.recipe)).encode()

    @staticmethod
    def from_bytes(data: bytes) -> Grammar:
        """The grammar that `to_bytes` wrote."""
        if not data.startswith(_MAGIC):
            raise GrammarError(1, 1, "these bytes are no grammar", "Pass what Grammar.to_bytes() returned.")
        try:
            recipe = json.loads(data[len(_MAGIC) :])
            kind, source = recipe.pop("kind"), recipe.pop("source")
            if kind in _COMBINED:
                from grammars.combine.lowering import compile_recipe

                return compile_recipe({"kind": kind, "source": source, **recipe})
            compiler = _compilers()[kind]
        except (ValueError, KeyError) as error:
            raise GrammarError(1, 1, "these bytes are a damaged grammar", "Compile it anew.") from error
        return compiler(source, **recipe)


def _compilers() -> dict[str, Callable[..., Grammar]]:
    from grammars.cfg import compile as cfg

    return {
        "json": compile_json_schema, "regex": compile_regex, "choice": compile_choice,
        "lark": cfg.compile_lark, "gbnf": cfg.compile_gbnf, "ebnf": cfg.compile_ebnf,
    }  # fmt: skip


def _plain(recipe: Any) -> Any:
    """A recipe, and those within it, without the registries, which must be None."""
    if isinstance(recipe, list):
        return [_plain(item) for item in recipe]
    if not isinstance(recipe, dict) or "kind" not in recipe:
        return {k: _plain(v) for k, v in recipe.items()} if isinstance(recipe, dict) else recipe
    if recipe.get("registry") is not None:
        raise GrammarError(1, 1, "a grammar compiled with a registry cannot be written", "Bundle the schemas.")
    if recipe["kind"] == "json":
        return {k: v for k, v in recipe.items() if k != "registry"}
    return {k: _plain(v) for k, v in recipe.items() if k != "registry"}


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
    content: str = "annotate",
    registry: Any = None,
    default_draft: str = "2020-12",
) -> Grammar:
    """A grammar for the instances of a JSON Schema (a dict, a bool, or its JSON text).

    `content`: "assert" enforces `contentEncoding` and `contentMediaType` (see `grammars.contents` for what is known);
    the standard calls them annotations. `default_draft` is the draft where
    `$schema` is missing: "4", "6", "7", "2019-09" or "2020-12".

    An equal schema with equal options gives the same grammar again, as long as it is among the last that were used.

    Errors: `SchemaError`, `UnsatisfiableSchema`, `UnsupportedSchema` (each with a JSON pointer), `BudgetExceeded`.
    """
    _one_of("property_order", property_order, ("schema", "any"))
    _one_of("whitespace", whitespace, ("default", "compact", "any"))
    _one_of("spelling", spelling, ("canonical", "any"))
    _one_of("format", format, ("assert", "annotate"))
    _one_of("content", content, ("assert", "annotate"))
    options = {"property_order": property_order, "whitespace": whitespace, "spelling": spelling, "format": format,
               "content": content, "default_draft": default_draft}  # fmt: skip
    loaded: Any = schema
    if isinstance(schema, str):
        try:
            loaded = json.loads(schema)
        except json.JSONDecodeError as error:
            raise SchemaError("", f"the schema is not JSON: {error}", "Pass a dict or valid JSON text.") from error
    key = None
    if registry is None:
        try:
            written = marshal.dumps(loaded, 2)
        except ValueError:
            pass  # a dict with something else than JSON in it: compiled, or refused, without being kept
        else:
            key = blake2b(written + repr(options).encode(), digest_size=16).digest()
            known = memory.grammars.get(key)
            if known is not None:
                return known  # type: ignore[no-any-return]
            loaded = marshal.loads(written)  # a copy: parts are compiled later, whatever becomes of the caller's dict
    from grammars.jsonschema import SchemaCompiler

    source = SchemaCompiler(loaded, format=format, content=content, registry=registry, default_draft=default_draft)
    lowering = JsonLowering(
        source, current_store(), property_order=property_order, whitespace=whitespace, spelling=spelling
    )
    grammar = Grammar(lowering.program, {"kind": "json", "source": loaded, "registry": registry, **options})
    if key is not None:
        memory.grammars.put(key, grammar)
    return grammar


def compile_regex(pattern: str) -> Grammar:
    """A grammar for the strings that match the whole pattern."""
    from grammars.automaton.lower_text import lower_regex

    return Grammar(lower_regex(pattern, current_store()), {"kind": "regex", "source": pattern})


def compile_choice(options: Iterable[str]) -> Grammar:
    """A grammar for one of some strings."""
    from grammars.automaton.lower_text import lower_choice

    listed = list(options)
    return Grammar(lower_choice(listed, current_store()), {"kind": "choice", "source": listed})
