"""The operators on grammars. Strings among the operands stand for themselves.

`Grammar` has the signs: `a | b` is `either`, `a & b` is `both`. (`a + b` composes logits processors, so a sequence is
`then`.)
"""

from __future__ import annotations

import json
import re
from typing import Any

from grammars.combine.lowering import Recipe, compile_recipe, part
from grammars.combine.regular import regular
from grammars.errors import GrammarError, UnsupportedGrammar
from grammars.grammar import Grammar

__all__ = ["both", "either", "optional", "repeat", "then"]

_MANY_WORDS = 10_000
_REFERENCE = re.compile(r'"\$(ref|dynamicRef|recursiveRef)":')


def then(*parts: Grammar | str) -> Grammar:
    """A text of each part in turn.

    >>> from grammars import Matcher, Vocabulary, compile_regex
    >>> date = then("on ", compile_regex("[0-9]{4}"), "-", compile_regex("[0-9]{2}"))
    >>> matcher = Matcher(date, Vocabulary.from_bytes([b"on ", b"2024", b"-05", None], eos_ids=3))
    >>> [matcher.accept(token) for token in (0, 1, 2)], matcher.is_accepting()
    ([True, True, True], True)

    Errors: `UnsupportedGrammar` for JSON parts of different whitespace or spelling.
    """
    return compile_recipe({"kind": "then", "source": [part(one) for one in parts]})


def either(*parts: Grammar | str) -> Grammar:
    """A text of one of the parts."""
    if not parts:
        raise GrammarError(1, 1, "a choice between no grammars holds no text", "Give at least one.")
    return compile_recipe({"kind": "either", "source": [part(one) for one in parts]})


def optional(one: Grammar | str) -> Grammar:
    """A text of the part, or nothing."""
    return repeat(one, 0, 1)


def repeat(one: Grammar | str, low: int = 0, high: int | None = None) -> Grammar:
    """`low` to `high` texts of the part in a row; no upper bound where `high` is None.

    Errors: `ValueError` for bounds that make no sense; `BudgetExceeded` for more than 10,000 copies of what is not
    regular.
    """
    if low < 0 or (high is not None and high < low):
        raise ValueError(f"a repetition of {low} to {high} times")
    return compile_recipe({"kind": "repeat", "source": part(one), "low": low, "high": high})


def both(first: Grammar | str, second: Grammar | str) -> Grammar:
    """The texts of both. Exact, or refused: which intersections have an automaton is known beforehand.

    - regular languages (patterns, choices, words, and their combinations): the product of their automata
    - two JSON Schemas of the same options: allOf
    - a list of strings (or a regular language of few) and anything: the strings that the other one accepts

    Errors: `UnsupportedGrammar` for other pairs; `GrammarError` or `UnsatisfiableSchema` where nothing is left.
    """
    left, right = part(first), part(second)
    if left["kind"] == right["kind"] == "json":
        return _all_of(left, right)
    recipe = {"kind": "both", "source": [left, right]}
    if regular(recipe, most_words=1 << 20) is not None:
        return compile_recipe(recipe)
    for listed, other in ((first, second), (second, first)):
        words = _listed(part(listed))
        if words is not None:
            kept = _accepted(words, other if isinstance(other, Grammar) else then(other))
            if not kept:
                raise GrammarError(1, 1, "no text is left: none of the strings fits the other grammar")
            return compile_recipe({"kind": "choice", "source": kept})
    raise UnsupportedGrammar(
        f"the intersection of {left['kind']!r} and {right['kind']!r} has no automaton here",
        'Write one that means both: "pattern" in the schema, or the condition in the grammar.',
    )


def _listed(recipe: Recipe) -> list[str] | None:
    """The strings of a finite language, if they are few."""
    if recipe["kind"] == "choice":
        return list(recipe["source"])
    language = regular(recipe)
    if language is None:
        return None
    from grammars.regex import CharDfa

    return CharDfa(language).words(_MANY_WORDS)


def _accepted(words: list[str], grammar: Grammar) -> list[str]:
    """Those of the words that a grammar accepts."""
    from grammars.matcher import Matcher
    from grammars.vocabulary import Vocabulary

    single = Vocabulary.from_bytes([bytes((byte,)) for byte in range(256)] + [None], eos_ids=256)
    matcher = Matcher(grammar, single)
    kept = []
    for word in words:
        if matcher.accept_bytes(word.encode()) and matcher.is_accepting():
            kept.append(word)
        matcher.reset()
    return kept


def _all_of(left: Recipe, right: Recipe) -> Grammar:
    """Both schemas, each a resource of its own, so that its references mean what they meant."""
    options = {key: value for key, value in left.items() if key not in ("source", "registry")}
    if options != {key: value for key, value in right.items() if key not in ("source", "registry")}:
        raise UnsupportedGrammar("two JSON Schemas with different options", "Compile both with the same ones.")
    registries = [one["registry"] for one in (left, right) if one.get("registry") is not None]
    if len(registries) > 1 and registries[0] is not registries[1]:
        raise UnsupportedGrammar("two JSON Schemas with different registries", "Put all resources into one registry.")
    drafts = {
        one["source"]["$schema"]
        for one in (left, right)
        if isinstance(one["source"], dict) and "$schema" in one["source"]
    }
    if len(drafts) > 1:
        raise UnsupportedGrammar("two JSON Schemas of different drafts", "Give both the same $schema.")
    schema: dict[str, Any] = {"allOf": [_resource(left["source"], 0), _resource(right["source"], 1)]}
    if drafts:
        schema["$schema"] = drafts.pop()
    merged = left | {"source": schema, "registry": registries[0] if registries else None}
    return compile_recipe(merged)


def _resource(schema: Any, index: int) -> Any:
    """A schema under an identifier of its own, if it has references."""
    if isinstance(schema, bool) or "$id" in schema or not _REFERENCE.search(json.dumps(schema, default=str)):
        return schema
    if "$ref" in schema:  # in older drafts nothing beside it counts
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        schema = rest | {"allOf": [*rest.get("allOf", ()), {"$ref": schema["$ref"]}]}
    return {"$id": f"urn:guided:part-{index}", **schema}
