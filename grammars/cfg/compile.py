"""Grammars out of grammar text: what `guided.compile_lark` and its like do."""

from __future__ import annotations

from grammars.automaton.lower_cfg import lower_lexed, lower_plain
from grammars.automaton.terminals import current_store
from grammars.cfg.ebnf import read_ebnf
from grammars.cfg.gbnf import read_gbnf
from grammars.cfg.lark_grammar import read_lark
from grammars.grammar import Grammar

__all__ = ["compile_ebnf", "compile_gbnf", "compile_lark"]


def compile_lark(
    text: str, *, start: str = "start", parser: str = "lalr", lexer: str | None = None, regex_flags: int = 0
) -> Grammar:
    """A grammar for what `lark.Lark(text, start=..., parser=..., lexer=...)` parses (see `cfg.lark_grammar`).

    Errors: `GrammarError` with line and column; `BudgetExceeded` for more than 240 terminals or 20,000 states.
    Warnings: `GrammarWarning` for rules that are never used or that no text matches.
    """
    table, lexing = read_lark(text, start=start, parser=parser, lexer=lexer, regex_flags=regex_flags)
    recipe = {"kind": "lark", "source": text, "start": start, "parser": parser, "lexer": lexer,
              "regex_flags": int(regex_flags)}  # fmt: skip
    return Grammar(lower_lexed(table, lexing, current_store()), recipe)


def compile_gbnf(text: str, *, start: str = "root") -> Grammar:
    """A grammar for the texts of a GBNF grammar, as llama.cpp reads it (see `cfg.gbnf`). Errors as `compile_lark`."""
    program = lower_plain(*read_gbnf(text).reduced(start, start == "root"), current_store())
    return Grammar(program, {"kind": "gbnf", "source": text, "start": start})


def compile_ebnf(text: str, *, start: str | None = None) -> Grammar:
    """A grammar for the texts of a W3C-style EBNF grammar (see `cfg.ebnf`), from its first rule or from `start`.

    Errors as `compile_lark`.
    """
    rules = read_ebnf(text)
    first = next(iter(rules.bodies))
    program = lower_plain(*rules.reduced(start or first, start is None), current_store())
    return Grammar(program, {"kind": "ebnf", "source": text, "start": start})
