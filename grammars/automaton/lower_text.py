"""Lowering of plain texts: a regex is one terminal, a choice one literal trie."""

from __future__ import annotations

from collections.abc import Iterable

from grammars.automaton.program import Program
from grammars.automaton.terminals import TerminalStore
from grammars.errors import GrammarError
from grammars.regex import ByteDfa, CharDfa, Regex, parse
from grammars.regex.charset import narrowest

__all__ = ["lower_choice", "lower_regex"]


def _whole(program: Program, root: int) -> Program:
    program.roots.extend((*([program.end] * 16), program.end, root))
    return program


def lower_regex(pattern: str, store: TerminalStore) -> Program:
    """Strings that match all of `pattern` (syntax shared by Python's re and ECMA-262)."""
    regex = parse(pattern, dialect="python", search=False)
    program = Program(store)
    bounds: tuple[int, int | None, int] | None = None
    counted = regex.counted()
    if counted is not None:
        charset, low, high = counted
        regex = Regex.chars(charset).repeat(0)
        bounds = None if low == 0 and high is None else (low, high, narrowest(charset))
    elif regex.is_empty():
        raise GrammarError(1, 1, f"no string matches {pattern!r}")
    q = store.start_of(ByteDfa(CharDfa(regex), "utf8"))
    if bounds is not None:
        store.count(q)
    return _whole(program, program.terminal(q, program.end, bounds))


def lower_choice(options: Iterable[str], store: TerminalStore) -> Program:
    """One of the strings, in UTF-8."""
    words = sorted({option.encode() for option in options})
    if not words:
        raise GrammarError(1, 1, "a choice needs at least one option")
    program = Program(store)
    listed = [(word, program.end, None) for word in words]
    return _whole(program, program.trie_node(listed))
