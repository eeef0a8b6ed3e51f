"""The string languages of one compiler: patterns, formats and what is made of them.

`grammars.regex` loads on demand: most schemas need none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grammars.regex import Regex

__all__ = ["Languages"]


class Languages:
    """Memoised regexes; `spend` counts work."""

    def __init__(self, spend: Callable[[int], None]) -> None:
        self._spend = spend
        self._known: dict[Any, Regex | None] = {}

    def pattern(self, pattern: str, where: str = "") -> Regex:
        """The language of an ECMA-262 `pattern` (found anywhere in the string)."""
        known = self._known.get(pattern)
        if known is None:
            from grammars.regex import parse

            self._spend(10)
            known = self._known[pattern] = parse(pattern, dialect="ecma", search=True)
        return known

    def format(self, name: str) -> Regex | None:
        """The language of a format; None where the name is not known."""
        key = ("format", name)
        if key not in self._known:
            from grammars.formats import format_regex

            self._known[key] = format_regex(name)
        return self._known[key]

    def lengths(self, low: int, high: int | None) -> Regex:
        """All strings of `low` to `high` characters."""
        from grammars.regex import Regex

        return Regex.length(low, high)

    def one_of(self, values: Iterable[str]) -> Regex:
        """Exactly these strings."""
        from grammars.regex import Regex

        languages = [Regex.literal(value) for value in values]
        while len(languages) > 1:  # in pairs: a balanced union stays shallow
            languages = [
                languages[place] | languages[place + 1] if place + 1 < len(languages) else languages[place]
                for place in range(0, len(languages), 2)
            ]
        return languages[0] if languages else ~Regex.any_string()

    def none_of(self, languages: Iterable[Regex]) -> Regex:
        """All strings outside the languages."""
        from grammars.regex import Regex

        result = Regex.any_string()
        for language in languages:
            result = result - language
        return result

    def count(self, language: Regex, besides: Iterable[str], enough: int) -> int:
        """How many strings of `language` there are besides the given ones; counting stops at `enough`."""
        from grammars.regex import CharDfa

        dfa = CharDfa(language)
        excluded, found = set(besides), 0
        limit = enough + len(excluded)
        layer = [("", dfa.start)]
        while layer and found < enough:
            following: list[tuple[str, int]] = []
            for text, state in layer:
                self._spend(1)
                if dfa.accepting(state) and text not in excluded:
                    found += 1
                for low, high, target in dfa.ranges(state):
                    following.extend((text + chr(code), target) for code in range(low, min(high, low + limit) + 1))
                if len(following) > 4 * limit + 64:
                    break
            layer = following
        return min(found, enough)
