"""The string languages of one compiler: patterns, formats and what is made of them.

`grammars.regex` loads on demand: most schemas need none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from grammars.errors import BudgetExceeded, RegexError, SchemaError, UnsupportedSchema, shorten

if TYPE_CHECKING:
    from grammars.regex import CharDfa, Regex

__all__ = ["Languages"]


class Languages:
    """Memoised regexes; `spend` counts work."""

    def __init__(self, spend: Callable[[int], None]) -> None:
        self._spend = spend
        self._known: dict[Any, Regex | None] = {}
        self._automata: dict[str, CharDfa] = {}
        self._verdicts: dict[Any, bool] = {}
        self._lists: dict[Any, list[str] | None] = {}

    def pattern(self, pattern: str, where: str = "") -> Regex:
        """The language of an ECMA-262 `pattern` (found anywhere in the string)."""
        known = self._known.get(pattern)
        if known is None:
            from grammars.regex import parse

            self._spend(10)
            try:
                known = parse(pattern, dialect="ecma", search=True)
            except RegexError as error:
                raise _at(where, error) from error
            self._known[pattern] = known
        return known

    def found(self, pattern: str, text: str, where: str = "") -> bool:
        """Does the pattern match somewhere in `text`? The automaton is kept: one pattern meets many names."""
        automaton = self._automata.get(pattern)
        if automaton is None:
            from grammars.regex import CharDfa

            automaton = self._automata[pattern] = CharDfa(self.pattern(pattern, where))
        return automaton.start >= 0 and automaton.matches(text)

    def format(self, name: str) -> Regex | None:
        """The language of a format; None where the name is not known."""
        key = ("format", name)
        if key not in self._known:
            from grammars.formats import format_regex

            self._known[key] = format_regex(name)
        return self._known[key]

    def outside(self, kind: str, value: Any) -> Regex | None:
        """The strings that surely are not of a format or content; None where it is not known."""
        if kind == "format":
            from grammars.formats import format_bound

            bound = format_bound(value)
        else:
            from grammars.contents import content_regex

            known = content_regex(*value)
            bound = None if known is None else known[1]
        return None if bound is None else ~bound

    def content(self, encoding: str | None, media_type: str | None) -> Regex | None:
        """The strings of a content; None where it asserts nothing."""
        from grammars.contents import content_regex

        known = content_regex(encoding, media_type)
        return None if known is None else known[0]

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

    def disjoint(self, one: tuple[str, Any], other: tuple[str, Any]) -> bool:
        """Do two atoms of strings, given as (kind, value), visibly have no string in common?"""
        key = ("disjoint", one, other)
        if key not in self._verdicts:
            languages = []
            for kind, value in (one, other):
                language = self.format(value) if kind == "format" else self.pattern(value)
                if language is not None:
                    languages.append(~language if kind == "npattern" else language)
            self._spend(50)
            try:
                self._verdicts[key] = len(languages) == 2 and (languages[0] & languages[1]).is_empty(_GLANCE)
            except BudgetExceeded:
                self._verdicts[key] = False
        return self._verdicts[key]

    def few(self, pattern: str, limit: int) -> list[str] | None:
        """The strings that match a pattern; None where there are more than `limit`."""
        key = ("few", pattern, limit)
        if key not in self._lists:
            self._lists[key] = self.listed(self.pattern(pattern), limit)
        return self._lists[key]

    def listed(self, language: Regex, limit: int) -> list[str] | None:
        """All strings of `language`; None where there are more than `limit`."""
        from grammars.regex import CharDfa

        dfa = CharDfa(language)
        if dfa.start < 0:
            return []
        found: list[str] = []
        todo = [("", dfa.start)]
        while todo:
            text, state = todo.pop()
            self._spend(1)
            if dfa.accepting(state):
                found.append(text)
            for low, high, target in dfa.ranges(state):
                if high - low + len(found) + len(todo) >= limit or len(text) > _LONGEST:
                    return None  # each state leads to a string, so each of these is the beginning of one at least
                todo.extend((text + chr(code), target) for code in range(low, high + 1))
        return found

    def count(self, language: Regex, besides: Iterable[str], enough: int) -> int:
        """How many strings of `language` there are besides the given ones; counting stops at `enough`."""
        from grammars.regex import CharDfa

        excluded = {text for text in besides if language.matches(text)}
        limit = enough + len(excluded)
        dfa = CharDfa(language)
        if dfa.start < 0:
            return 0
        edges: dict[int, list[tuple[int, int]]] = {}
        queue, accepting = [dfa.start], 0
        seen = {dfa.start}
        for state in queue:
            self._spend(5)
            accepting += dfa.accepting(state)
            if accepting >= limit:
                return enough  # each accepting state ends at least one string of its own
            edges[state] = [(target, high - low + 1) for low, high, target in dfa.ranges(state)]
            fresh = [target for target, _ in edges[state] if target not in seen]
            seen.update(fresh)
            queue.extend(dict.fromkeys(fresh))
        return max(0, min(_paths(dfa.start, edges, dfa.accepting, limit) - len(excluded), enough))


_GLANCE = 300
"""Steps for a look at whether two languages meet."""

_LONGEST = 10_000
"""A language with so long strings counts as an endless one."""


def _at(where: str, error: RegexError) -> SchemaError | UnsupportedSchema:
    """The error of a pattern, with its place in the schema."""
    keyword = "pattern" if where.endswith("/pattern") else "patternProperties"
    shown = f'at offset {error.offset} of "{shorten(error.pattern)}": {error.problem}'
    if "cannot be compiled" in error.problem:
        return UnsupportedSchema(where, keyword, shown, error.remedy)
    return SchemaError(where, f'"{keyword}" {shown}', error.remedy)


def _paths(start: int, edges: dict[int, list[tuple[int, int]]], accepting: Callable[[int], bool], limit: int) -> int:
    """Strings that an automaton accepts, counted up to `limit`; each of its states can reach acceptance."""
    waiting = dict.fromkeys(edges, 0)
    for moves in edges.values():
        for target, _ in moves:
            waiting[target] += 1
    reached = dict.fromkeys(edges, 0)
    reached[start] = 1
    ready = [start] if not waiting[start] else []
    total = done = 0
    while ready:
        state = ready.pop()
        done += 1
        if accepting(state):
            total += reached[state]
        for target, width in edges[state]:
            reached[target] = min(limit, reached[target] + reached[state] * width)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return limit if done < len(edges) else min(total, limit)  # states left over lie on or behind a cycle
