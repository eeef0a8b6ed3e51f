"""Which recipes are regular languages, and as what `Regex`.

Neighbours that are regular are lowered as one terminal (one automaton, masks computed once), and only regular
languages can be intersected by an automaton.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, reduce
from typing import Any

from grammars.regex import CharDfa, Charset, Regex, parse
from grammars.regex.charset import category, complement, fold_case, union

__all__ = ["nullable", "regular"]

_FEW_WORDS = 64  # more are better kept as a literal trie

Recipe = dict[str, Any]


def regular(recipe: Recipe, *, most_words: int = _FEW_WORDS) -> Regex | None:
    """The language as a `Regex`, or None: it is none, or a list of more than `most_words`."""
    kind, source = recipe["kind"], recipe["source"]
    if kind == "regex":
        return parse(source, dialect="python", search=False)
    if kind == "choice":
        return Regex.literals(source) if len(source) <= most_words else None
    if kind == "words":
        return _words(recipe)
    if kind == "strings":
        from grammars.combine.arguments import strings  # above us: it compiles recipes

        return strings(recipe)
    if kind in ("then", "either", "both"):
        parts = [regular(part, most_words=most_words) for part in source]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        if kind == "then":
            return Regex.sequence(known)
        return Regex.any_of(known) if kind == "either" else reduce(Regex.__and__, known)
    if kind == "repeat":
        part = regular(source, most_words=most_words)
        return None if part is None else part.repeat(recipe["low"], recipe["high"])
    return None


def nullable(recipe: Recipe) -> bool:
    """Whether the empty text is in the language."""
    kind, source = recipe["kind"], recipe["source"]
    if kind == "choice":
        return "" in source
    if kind == "then":
        return all(nullable(part) for part in source)
    if kind == "either":
        return any(nullable(part) for part in source)
    if kind == "repeat":
        return recipe["low"] == 0 or nullable(source)
    if kind == "tagged":
        return bool(recipe["at_least"] == 0)
    if kind in ("lark", "gbnf", "ebnf"):
        from grammars.combine.lowering import compile_recipe
        from grammars.matcher import Matcher
        from grammars.vocabulary import Vocabulary

        return Matcher(compile_recipe(recipe), Vocabulary.from_bytes([b"a", None], eos_ids=1)).is_accepting()
    language = regular(recipe)
    return language is not None and CharDfa(language).matches("")


def _words(recipe: Recipe) -> Regex:
    """Any text that holds a word of each list in `source` and no forbidden one."""
    language = Regex.any_string()
    for alternatives in recipe["source"]:
        language = language & _holding(alternatives, recipe)
    return language - _holding(recipe["forbidden"], recipe) if recipe["forbidden"] else language


def _holding(words: Sequence[str], recipe: Recipe) -> Regex:
    """The texts in which one of `words` occurs. Without look-around, which costs more: a whole word has nothing, or
    a character that is none of a word's, on each side where it has one of a word's itself."""
    any_text = Regex.any_string()
    apart = Regex.chars(_not_in_words())
    nothing = Regex.literal("")
    before, after = nothing | any_text.concat(apart), nothing | apart.concat(any_text)
    whole = recipe["whole_words"]
    found = []
    for word in words:
        spelled = [_character(c, recipe["ignore_case"]) for c in word]
        left = before if whole and _in_word(word[0]) else any_text
        right = after if whole and _in_word(word[-1]) else any_text
        found.append(Regex.sequence([left, *spelled, right]))
    return Regex.any_of(found)


@cache
def _not_in_words() -> Charset:
    kinds = [kind for kind in map(category, ("L", "M", "N")) if kind is not None]
    return complement(union(*kinds, ((ord("_"), ord("_")),)))


def _in_word(character: str) -> bool:
    return not any(low <= ord(character) <= high for low, high in _not_in_words())


def _character(character: str, ignore_case: bool) -> Regex:
    own: Charset = ((ord(character), ord(character)),)
    return Regex.chars(fold_case(own) if ignore_case else own)
