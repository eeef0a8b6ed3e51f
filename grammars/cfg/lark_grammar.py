"""Lark's grammar language, read by lark itself, as parser tables and a lexer.

A text is accepted if and only if `lark.Lark(grammar, parser=..., lexer=...)` parses it:

  parser="lalr"     lark's own LALR(1) tables. lexer="contextual" (default): in each state of the parser only its
                    terminals are tried; "basic": always all of them. In both the first terminal by priority, then by
                    length of the pattern, that matches is taken, as long as its pattern prefers (`re`'s rules);
                    texts of a keyword that another terminal matches are the keyword.
  parser="earley"   every parse of the grammar. lexer="dynamic" (default): each terminal that can come is tried by
                    itself, as long as its pattern prefers; "dynamic_complete": every length at which it
                    matches; "basic".

They differ where terminals meet: with `start: A "b"`, `A: /[a-z]+/` the text "ab" is refused by all but
"dynamic_complete", as A takes all letters; with `start: "if" NAME | NAME "=" NAME` the contextual lexer never takes
"if" for a NAME at the start, the dynamic one tries both.
"""

from __future__ import annotations

import logging
import re
import warnings
from typing import Any

from grammars.automaton.lower_cfg import Lexer
from grammars.cfg.cfg import Cfg, nonterminal, normalise
from grammars.cfg.lexicon import Lexicon
from grammars.cfg.lr import LrTable, build
from grammars.cfg.patterns import Tree, read_pattern
from grammars.errors import GrammarError, GrammarWarning, RegexError

__all__ = ["LEXERS", "read_lark"]

LEXERS = {"lalr": ("contextual", "basic"), "earley": ("dynamic", "dynamic_complete", "basic")}
Group = tuple[tuple[int, ...], tuple[tuple[int, tuple[int, ...]], ...], frozenset[int]]


def read_lark(
    text: str, *, start: str = "start", parser: str = "lalr", lexer: str | None = None, regex_flags: int = 0
) -> tuple[LrTable, Lexer]:
    """Tables and lexer of a grammar. `GrammarError` with line and column of what lark refuses or cannot be compiled."""
    if parser not in LEXERS:
        raise ValueError(f"parser={parser!r} is none of {', '.join(map(repr, LEXERS))}")
    lexer = LEXERS[parser][0] if lexer is None else lexer
    if lexer not in LEXERS[parser]:
        raise ValueError(f"lexer={lexer!r} is none of {', '.join(map(repr, LEXERS[parser]))} of parser={parser!r}")
    loaded = _load(text, start, parser, lexer, regex_flags)
    return _Reading(text, loaded, start, parser, lexer, regex_flags).result()


def _load(text: str, start: str, parser: str, lexer: str, regex_flags: int) -> Any:
    import lark

    logger = logging.getLogger("lark")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        return lark.Lark(text, start=start, parser=parser, lexer=lexer, g_regex_flags=regex_flags, debug=True)
    except lark.exceptions.UnexpectedInput as error:
        line, column = max(error.line, 1), max(error.column, 1)
        raise GrammarError(line, column, f"lark cannot read this: {_first_line(error)}") from error
    except (lark.exceptions.LarkError, re.error, ValueError, KeyError, AssertionError, OSError) as error:
        line, column = _place_of(text, str(error))
        raise GrammarError(line, column, f"lark refuses the grammar: {_first_line(error)}") from error
    finally:
        logger.setLevel(level)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _place_of(text: str, message: str) -> tuple[int, int]:
    """Line and column that a message gives, or where the first of the rules and terminals that it names is defined."""
    found = re.search(r"line (\d+)(?:,? col(?:umn)? (\d+))?", message)
    if found:
        return int(found[1]), int(found[2] or 1)
    places = [_definition(text, name) for name in set(re.findall(r"[A-Za-z_]\w*", message))]
    return min((place for place in places if place is not None), default=(1, 1))


def _definition(text: str, name: str) -> tuple[int, int] | None:
    found = re.search(rf"^[ \t]*[?!]*({re.escape(name)})\b[^:\n]*:", text, re.MULTILINE)
    if found is None:
        return None
    before = text[: found.start(1)]
    return before.count("\n") + 1, found.start(1) - (before.rfind("\n") + 1) + 1


class _Reading:
    """One grammar that lark has loaded."""

    def __init__(self, text: str, loaded: Any, start: str, parser: str, lexer: str, flags: int) -> None:
        self.text, self.loaded, self.start, self.parser, self.lexer, self.flags = (
            text, loaded, start, parser, lexer, flags)  # fmt: skip
        self.terminals: list[Any] = list(loaded.parser.lexer_conf.terminals)
        self.number = {t.name: i for i, t in enumerate(self.terminals)}
        declared = {
            symbol.name
            for rule in loaded.rules
            for symbol in rule.expansion
            if symbol.is_term and symbol.name not in self.number
        }
        if declared:
            name = min(declared)
            line, column = self._place(name)
            raise GrammarError(
                line, column, f"terminal {name} is declared and has no pattern",
                "Indentation and other post-lexers cannot be compiled: write the blocks with explicit marks.",
            )  # fmt: skip
        self.ignored = frozenset(self.number[name] for name in loaded.ignore_tokens)
        self.trees = [self._tree(t) for t in self.terminals]

    def _place(self, name: str) -> tuple[int, int]:
        return _definition(self.text, name) or (1, 1)

    def _tree(self, terminal: Any) -> Tree:
        try:
            return read_pattern(terminal.pattern.to_regexp(), self.flags)
        except RegexError as error:
            line, column = self._place(terminal.name)
            raise GrammarError(line, column, f"terminal {terminal.name}: {error.problem}", error.remedy) from error

    def result(self) -> tuple[LrTable, Lexer]:
        self._warn()
        table = self._own_table() if self.parser == "lalr" else self._built_table()
        try:
            lexicon = Lexicon(self.trees, [t.name for t in self.terminals])
            return table, self._lexing(table, lexicon)
        except GrammarError as error:
            name = next((n for n in re.findall(r"terminal (\w+)", error.problem)), "")
            line, column = self._place(name)
            raise GrammarError(line, column, error.problem, error.remedy) from error

    def _warn(self) -> None:
        rules = self._cfg()
        productive = rules.productive()
        for number, name in enumerate(rules.names):
            if number not in productive:
                line, column = self._place(name)
                if number == rules.start:
                    raise GrammarError(line, column, f"no text matches the rule {name}", "Give it a case that ends.")
                message = f"line {line}, column {column}: no text matches the rule {name}: it never ends."
                warnings.warn(message, GrammarWarning, stacklevel=6)
        used = {name for name in rules.names}
        for found in re.finditer(r"^[ \t]*[?!]*([a-z_][a-z_0-9]*)(?:\.-?\d+)?[ \t]*:", self.text, re.MULTILINE):
            if found[1] not in used and self.start == "start":
                line, column = self._place(found[1])
                message = f"line {line}, column {column}: the rule {found[1]} is never used."
                warnings.warn(message, GrammarWarning, stacklevel=6)

    # ------------------------------------------------------------------------------------------ parsers

    def _cfg(self) -> Cfg:
        grammar = Cfg()
        numbers: dict[str, int] = {}

        def of(name: str) -> int:
            if name not in numbers:
                numbers[name] = grammar.new(name)
            return numbers[name]

        grammar.start = of(self.start)
        for rule in self.loaded.rules:
            right = [self.number[s.name] if s.is_term else nonterminal(of(str(s.name))) for s in rule.expansion]
            grammar.rules.append((of(str(rule.origin.name)), tuple(right)))
        return grammar

    def _built_table(self) -> LrTable:
        work, empty = normalise(self._cfg())
        return build(work, empty, len(self.terminals))

    def _own_table(self) -> LrTable:
        """Lark's tables in numbers."""
        from lark.parsers.lalr_analysis import Shift

        tables = self.loaded.parser.parser._parse_table
        grammar = self._cfg()
        states = {state: number for number, state in enumerate(tables.states)}
        left: dict[str, int] = {}
        rules: dict[Any, int] = {}
        listed: list[tuple[int, int]] = []
        rights: list[tuple[int, ...]] = []
        actions: list[dict[int, list[int]]] = []
        gotos: list[dict[int, int]] = []
        kernels: list[list[tuple[int, int]]] = []
        productive = {grammar.names[n] for n in grammar.productive()}

        def goes_on(state: Any) -> bool:
            """Whether a rule that some text matches is in progress there (lark keeps the others in its tables)."""
            return any(
                item.index and all(s.is_term or str(s.name) in productive for s in item.rule.expansion)
                for item in state
            )

        def number_of(rule: Any) -> int:
            if rule not in rules:
                rules[rule] = len(listed)
                listed.append((len(rule.expansion), left.setdefault(str(rule.origin.name), len(left))))
                rights.append(())
            return rules[rule]

        for items, cells in tables.states.items():
            row: dict[int, list[int]] = {}
            moves: dict[int, int] = {}
            for name, (action, argument) in cells.items():
                terminal = len(self.terminals) if name == "$END" else self.number.get(name, -1)
                if action is not Shift:
                    row[terminal] = [-1 - number_of(argument)]
                elif terminal >= 0:
                    row[terminal] = [states[argument]] if goes_on(argument) else []
                else:
                    moves[left.setdefault(str(name), len(left))] = states[argument]
            actions.append(row)
            gotos.append(moves)
            begun = [(-1 if str(i.rule.origin.name).startswith("$root") else number_of(i.rule), i.index) for i in items
                     if i.index or str(i.rule.origin.name).startswith("$root")]  # fmt: skip
            kernels.append(begun)
        for rule in self.loaded.rules:
            number_of(rule)
        for rule, number in rules.items():
            rights[number] = tuple(
                self.number[s.name] if s.is_term else nonterminal(left.setdefault(str(s.name), len(left)))
                for s in rule.expansion
            )
        root = len(listed)
        rights.append((nonterminal(left.setdefault(self.start, len(left))),))
        numbered = [sorted((root if rule < 0 else rule, dot) for rule, dot in kernel) for kernel in kernels]
        accepting = {states[tables.end_states[self.start]]}
        begin = states[tables.start_states[self.start]]
        return LrTable(
            actions, gotos, listed, len(self.terminals), len(left), accepting, rights, numbered, begin
        )

    # ------------------------------------------------------------------------------------------ lexers

    def _lexing(self, table: LrTable, lexicon: Lexicon) -> Lexer:
        everything = range(len(self.terminals))
        contexts: list[list[Group]] = []
        numbers: dict[frozenset[int], int] = {}
        context_of = []
        for cells in table.actions:
            accepted = frozenset(t for t in cells if t < table.terminals) | self.ignored
            if self.lexer == "basic":
                accepted = frozenset(everything)
            if accepted not in numbers:
                numbers[accepted] = len(contexts)
                contexts.append(self._groups(accepted, lexicon))
            context_of.append(numbers[accepted])
        return Lexer(lexicon, contexts, context_of, self.ignored)

    def _groups(self, accepted: frozenset[int], lexicon: Lexicon) -> list[Group]:
        if self.lexer.startswith("dynamic"):
            every = frozenset(accepted - self.ignored) if self.lexer == "dynamic_complete" else frozenset[int]()
            return [((t,), (), every & {t}) for t in sorted(accepted)]
        chosen = sorted(accepted, key=lambda t: _rank(self.terminals[t]))
        order, instead = self._keywords(chosen)
        return _compete(order, instead, lexicon, self.terminals)

    def _keywords(self, chosen: list[int]) -> tuple[list[int], dict[int, tuple[int, ...]]]:
        """As lark: strings that a pattern of the same priority matches become texts of that pattern."""
        embedded: set[int] = set()
        instead: dict[int, tuple[int, ...]] = {}
        for number in chosen:
            pattern = self.terminals[number]
            if pattern.pattern.type != "re":
                continue
            words = []
            for other in chosen:
                word = self.terminals[other]
                if word.pattern.type != "str" or word.priority != pattern.priority:
                    continue
                value = word.pattern.value
                found = re.match(pattern.pattern.to_regexp(), value, self.flags)
                if found and found.group(0) == value:
                    words.append(other)
                    if word.pattern.flags <= pattern.pattern.flags:
                        embedded.add(other)
            if words:
                instead[number] = tuple(words)
        return [t for t in chosen if t not in embedded], instead


def _rank(terminal: Any) -> tuple[int, int, int, str]:
    """Lark's order of trying."""
    pattern = terminal.pattern
    return -terminal.priority, -pattern.max_width, -len(pattern.value), terminal.name


def _compete(
    order: list[int], instead: dict[int, tuple[int, ...]], lexicon: Lexicon, terminals: list[Any]
) -> list[Group]:
    """Terminals whose first characters meet go together, and so do all that are only strings."""
    groups: list[tuple[int, list[int]]] = []
    for terminal in order:
        first, members = lexicon.first(terminal), [terminal]
        apart = []
        for other, listed in groups:
            if other & first:
                first |= other
                members += listed
            else:
                apart.append((other, listed))
        groups = [*apart, (first, members)]
    plain = [g for _, g in groups if all(terminals[t].pattern.type == "str" for t in g)]
    mixed = [g for _, g in groups if any(terminals[t].pattern.type != "str" for t in g)]
    joined = [*mixed, [t for g in plain for t in g]] if plain else mixed
    place = {terminal: i for i, terminal in enumerate(order)}
    found: list[Group] = []
    for members in joined:
        ordered = tuple(sorted(members, key=place.__getitem__))
        words = tuple((t, instead[t]) for t in ordered if t in instead)
        found.append((ordered, words, frozenset()))
    return found
