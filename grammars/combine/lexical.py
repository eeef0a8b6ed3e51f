"""Constraints on words: an answer out of a passage, words that must or must not occur."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from grammars.automaton.substrings import Boundary
from grammars.combine.lowering import Recipe, compile_recipe
from grammars.errors import GrammarError
from grammars.grammar import Grammar

__all__ = ["compile_substring", "compile_words"]


def compile_substring(text: str, *, boundary: Boundary = "characters") -> Grammar:
    """A grammar for the non-empty substrings of `text`, which may be long: about 10 µs a character to compile.

    `boundary`: "characters", any of them; "words", only those which neither begin nor end between two characters of a
    word (letters, marks, digits, underscore), so that no word is cut.

    Errors: `GrammarError` for an empty text; `ValueError` for another boundary.
    """
    if boundary not in ("characters", "words"):
        raise ValueError(f"boundary={boundary!r} is neither 'characters' nor 'words'")
    return compile_recipe({"kind": "substring", "source": text, "boundary": boundary})


def compile_words(
    required: Iterable[str | Sequence[str]] = (),
    forbidden: Iterable[str] = (),
    *,
    whole_words: bool = True,
    ignore_case: bool = False,
) -> Grammar:
    """A grammar for any text in which all `required` words occur and no `forbidden` one does.

    An entry of `required` may be a list of forms of which one must occur. `whole_words`: a word inside another one
    does not count ("cat" in "concatenate"). `ignore_case`: simple case mappings.

    The automaton knows for each required word whether it has occurred and how far into each word the text is: 2^k
    times the length of the words for k required ones, built as far as texts go.

    Errors: `GrammarError` for empty words and where the conditions exclude each other.
    """
    lists = [[entry] if isinstance(entry, str) else list(entry) for entry in required]
    banned = [forbidden] if isinstance(forbidden, str) else list(forbidden)
    if not all(lists) or not all(word for words in (*lists, banned) for word in words):
        raise GrammarError(1, 1, "an empty word occurs everywhere", "Leave it out.")
    recipe: Recipe = {
        "kind": "words",
        "source": lists,
        "forbidden": banned,
        "whole_words": whole_words,
        "ignore_case": ignore_case,
    }
    return compile_recipe(recipe)
