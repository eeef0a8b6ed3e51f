"""Rules as expressions (what GBNF and EBNF have in common), and their reduction to regular terminals and a grammar.

A part of a rule that leads to no recursion is regular: it becomes one terminal, however many rules it names, so that a
parser is only asked where a stack is needed. Runs of regular parts in a sequence are joined. Rules that recur only at
their end (`digits ::= [0-9] | [0-9] digits`) stay rules; the parser is quick with them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field

from grammars.cfg.cfg import Cfg, Symbol, nonterminal, normalise
from grammars.cfg.lr import LrTable, build
from grammars.errors import GrammarError, GrammarWarning
from grammars.regex import Regex

__all__ = ["Choice", "Expression", "Name", "Repeat", "Rules", "Sequence", "Without"]


@dataclass(frozen=True, slots=True)
class Name:
    """Another rule, named at a place."""

    name: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Between `least` and `most` times (None: without end)."""

    body: Expression
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Without:
    """The texts of one that are not texts of the other; both must be regular."""

    body: Expression
    taken: Expression
    line: int
    column: int


Expression = Regex | Name | Sequence | Choice | Repeat | Without

_MOST_COPIES = 10_000


@dataclass
class Rules:
    """The rules of a grammar by name, with the places of their definitions."""

    bodies: dict[str, Expression] = field(default_factory=dict)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    words: str = "rule"

    def reduced(self, start: str, all_used: bool = True) -> tuple[LrTable, list[Regex]]:
        """Parser tables and terminals. `GrammarError` for unknown names and a start that no text matches.

        `all_used`: warn of rules that the start does not lead to.
        """
        return _Reduction(self, start, all_used).result()


class _Reduction:
    def __init__(self, rules: Rules, start: str, all_used: bool) -> None:
        self.rules, self.start, self.all_used = rules, start, all_used
        self.terminals: list[Regex] = []
        self.numbers: dict[Regex, int] = {}
        self.grammar = Cfg()
        self.nonterminals: dict[str, int] = {}
        self.regular: dict[str, Regex] = {}
        self.made: dict[tuple[Expression, int | None], int] = {}

    def result(self) -> tuple[LrTable, list[Regex]]:
        order = self._names()
        self._regular_rules(order)
        if self.start in self.regular:
            root = self.grammar.new(self.start)
            self._add(root, self.regular[self.start])
        else:
            for name in order:
                if name not in self.regular:
                    self.nonterminals[name] = self.grammar.new(name)
            for name in order:
                if name not in self.regular:
                    self._add(self.nonterminals[name], self.rules.bodies[name])
            root = self.nonterminals[self.start]
        self.grammar.start = root
        self._warn(order)
        work, empty = normalise(self.grammar)
        return build(work, empty, len(self.terminals)), self.terminals

    # ------------------------------------------------------------------------------------------ which rules are regular

    def _names(self) -> list[str]:
        """The rules that the start leads to; all names must be known, also in rules that it does not lead to."""
        calls = {name: list(_calls(body)) for name, body in self.rules.bodies.items()}
        for name in calls:
            for call in calls[name]:
                if call.name not in calls:
                    near = f"Define it, or write one of {', '.join(sorted(calls)[:8])}."
                    raise GrammarError(call.line, call.column, f"the rule {call.name} is not defined", near)
        if self.start not in calls:
            raise GrammarError(
                1, 1, f"there is no rule {self.start} to start from", f"Add {self.start} ::= ..."
            )
        found, queue = {self.start}, [self.start]
        for name in queue:
            for call in calls[name]:
                if call.name not in found:
                    found.add(call.name)
                    queue.append(call.name)
        for name in calls:
            if name not in found and self.all_used:
                line, column = self.rules.places[name]
                message = f"line {line}, column {column}: the rule {name} is never used."
                warnings.warn(message, GrammarWarning, stacklevel=7)
        return queue

    def _regular_rules(self, order: list[str]) -> None:
        changed = True
        while changed:
            changed = False
            for name in reversed(order):
                if name in self.regular:
                    continue
                found = self._regex(self.rules.bodies[name])
                if found is not None:
                    self.regular[name] = found
                    changed = True

    def _regex(self, body: Expression) -> Regex | None:
        """The language of an expression whose names are all known to be regular."""
        if isinstance(body, Regex):
            return body
        if isinstance(body, Name):
            return self.regular.get(body.name)
        if isinstance(body, Sequence | Choice):
            parts = []
            for item in body.items:
                found = self._regex(item)
                if found is None:
                    return None
                parts.append(found)
            return Regex.sequence(parts) if isinstance(body, Sequence) else Regex.any_of(parts)
        if isinstance(body, Repeat):
            found = self._regex(body.body)
            return None if found is None else found.repeat(body.least, body.most)
        one, other = self._regex(body.body), self._regex(body.taken)
        return None if one is None or other is None else one - other

    # ------------------------------------------------------------------------------------------ rules of the grammar

    def _terminal(self, regex: Regex) -> Symbol:
        if regex not in self.numbers:
            self.numbers[regex] = len(self.terminals)
            self.terminals.append(regex)
        return self.numbers[regex]

    def _symbols(self, regex: Regex) -> list[tuple[Symbol, ...]]:
        """Right-hand sides for a regular part: a terminal is never empty."""
        found: list[tuple[Symbol, ...]] = []
        nonempty = regex
        if regex.matches(""):
            found.append(())
            nonempty = regex & Regex.length(1)
        if not nonempty.is_empty():
            found.append((self._terminal(nonempty),))
        return found

    def _add(self, left: int, body: Expression) -> None:
        for right in self._rights(body):
            self.grammar.rules.append((left, right))

    def _rights(self, body: Expression) -> list[tuple[Symbol, ...]]:
        """Right-hand sides of an expression."""
        regex = self._regex(body)
        if regex is not None:
            return self._symbols(regex)
        if isinstance(body, Name):
            return [(nonterminal(self.nonterminals[body.name]),)]
        if isinstance(body, Choice):
            plain = [found for item in body.items if (found := self._regex(item)) is not None]
            rights = self._symbols(Regex.any_of(plain)) if plain else []
            for item in body.items:
                if self._regex(item) is None:
                    rights += self._rights(item)
            return rights
        if isinstance(body, Sequence):
            return [self._sequence(body.items)]
        if isinstance(body, Repeat):
            return [(nonterminal(self._repeated(body)),)] if body.most != 0 else [()]
        assert isinstance(body, Without)
        raise GrammarError(
            body.line, body.column, "a difference of rules that recur cannot be compiled", "Write the cases out."
        )

    def _sequence(self, items: tuple[Expression, ...]) -> tuple[Symbol, ...]:
        flat: list[Expression] = []
        for item in items:
            flat += item.items if isinstance(item, Sequence) else (item,)
        right: list[Symbol] = []
        run: list[Regex] = []

        def end_run() -> None:
            if run:
                right.extend(self._one(Regex.sequence(run)))
                run.clear()

        for item in flat:
            regex = self._regex(item)
            if regex is not None:
                run.append(regex)
            else:
                end_run()
                right.extend(self._one(item))
        end_run()
        return tuple(right)

    def _one(self, body: Expression) -> tuple[Symbol, ...]:
        """An expression as a part of a sequence."""
        rights = self._rights(body)
        if len(rights) == 1:
            return rights[0]
        return (nonterminal(self._named(body)),)

    def _named(self, body: Expression) -> int:
        """A nonterminal of its own for an expression."""
        key = (body, None)
        if key not in self.made:
            self.made[key] = self.grammar.new(f"({len(self.made)})")
            self._add(self.made[key], body)
        return self.made[key]

    def _repeated(self, body: Repeat) -> int:
        """Left-recursive lists; bounded ones are counted by halves, so that n copies take log n rules."""
        key = (body, None)
        if key in self.made:
            return self.made[key]
        if max(body.least, body.most or 0) > _MOST_COPIES:
            raise GrammarError(
                1, 1, f"more than {_MOST_COPIES:,} repetitions of a recurring rule", "Lower the bound."
            )
        own = self.made[key] = self.grammar.new(f"({len(self.made)})")
        item = nonterminal(self._named(body.body))
        if body.most is None:
            if body.least == 0:
                self.grammar.rules.append((own, ()))
                rest = nonterminal(self._repeated(Repeat(body.body, 1, None)))
                self.grammar.rules.append((own, (rest,)))
            else:
                self.grammar.rules.append((own, self._times(item, body.least)))
                self.grammar.rules.append((own, (nonterminal(own), item)))
            return own
        tail: tuple[Symbol, ...] = ()
        if body.most > body.least:
            tail = (nonterminal(self._up_to(item, body.most - body.least)),)
        self.grammar.rules.append((own, (*self._times(item, body.least), *tail)))
        return own

    def _times(self, item: Symbol, count: int) -> tuple[Symbol, ...]:
        if count <= 8:
            return (item,) * count
        half = self.grammar.new("(half)")
        self.grammar.rules.append((half, self._times(item, count // 2)))
        return (nonterminal(half), nonterminal(half)) + (item,) * (count % 2)

    def _up_to(self, item: Symbol, count: int) -> int:
        """At most `count` items, from the left: each has one parse."""
        last = self.grammar.new("(up to)")
        self.grammar.rules += [(last, ()), (last, (item,))]
        for _ in range(count - 1):
            longer = self.grammar.new("(up to)")
            self.grammar.rules += [(longer, ()), (longer, (item, nonterminal(last)))]
            last = longer
        return last

    def _warn(self, order: list[str]) -> None:
        productive = self.grammar.productive()
        empty = {name for name, regex in self.regular.items() if regex.is_empty()}
        for name in order:
            bad = name in empty or (name in self.nonterminals and self.nonterminals[name] not in productive)
            if not bad:
                continue
            line, column = self.rules.places[name]
            if name == self.start:
                raise GrammarError(line, column, f"no text matches the rule {name}", "Give it a case that ends.")
            message = f"line {line}, column {column}: no text matches the rule {name}: it never ends."
            warnings.warn(message, GrammarWarning, stacklevel=6)


def _calls(body: Expression) -> list[Name]:
    if isinstance(body, Name):
        return [body]
    if isinstance(body, Sequence | Choice):
        return [call for item in body.items for call in _calls(item)]
    if isinstance(body, Repeat):
        return _calls(body.body)
    if isinstance(body, Without):
        return _calls(body.body) + _calls(body.taken)
    return []
