"""Constraints out of grammars: Lark's language, GBNF, EBNF, and the ready ones."""

from __future__ import annotations

from typing import Any, Literal

from grammars import compile_ebnf, compile_gbnf, compile_lark
from guided.constraints import _constrain, _grammars
from guided.tokenizers import EosIds
from processors.composition import ProcessorList
from processors.constraint import OnBudget

__all__ = ["ebnf", "gbnf", "lark", "library"]


def lark(
    text: str,
    *,
    start: str = "start",
    parser: Literal["lalr", "earley"] = "lalr",
    lexer: Literal["contextual", "basic", "dynamic", "dynamic_complete"] | None = None,
    regex_flags: int = 0,
    tokenizer: Any = None,
    model: Any = None,
    eos_ids: EosIds = None,
    max_new_tokens: int | None = None,
    on_budget: OnBudget = "finish",
    prefix: str | bytes = "",
) -> ProcessorList:
    """The output is a text that `lark.Lark(text, start=..., parser=..., lexer=...)` parses: exactly those.

    `parser`, `lexer`   "lalr" with "contextual" (default) or "basic": as most grammars in use are meant; the grammar
                        must be LALR(1). "earley" with "dynamic" (default) or "dynamic_complete": any grammar.
                        `grammars.cfg.lark_grammar` says where they differ
    `regex_flags`       of `re`, for all terminals (lark's `g_regex_flags`)

    Errors: `GrammarError` with line and column, for what lark refuses, and for what no automaton can do (terminals that
    are only declared, as Python's indentation; back-references). The others are those of `guided.json`.
    """
    key = ("lark", text, start, parser, lexer, int(regex_flags))
    options: dict[str, Any] = {"start": start, "parser": parser, "lexer": lexer, "regex_flags": regex_flags}
    grammar = _grammars.get(key, lambda: compile_lark(text, **options))
    return _constrain(grammar, tokenizer, model, eos_ids, max_new_tokens, on_budget, prefix)


def gbnf(
    text: str,
    *,
    start: str = "root",
    tokenizer: Any = None,
    model: Any = None,
    eos_ids: EosIds = None,
    max_new_tokens: int | None = None,
    on_budget: OnBudget = "finish",
    prefix: str | bytes = "",
) -> ProcessorList:
    """The output is a text of a GBNF grammar, the language of llama.cpp (`grammars.cfg.gbnf` describes it).

    Errors: `GrammarError` with line and column; the others are those of `guided.json`. Rules that are never used, or
    that no text matches, warn with `GrammarWarning`.
    """
    grammar = _grammars.get(("gbnf", text, start), lambda: compile_gbnf(text, start=start))
    return _constrain(grammar, tokenizer, model, eos_ids, max_new_tokens, on_budget, prefix)


def ebnf(
    text: str,
    *,
    start: str | None = None,
    tokenizer: Any = None,
    model: Any = None,
    eos_ids: EosIds = None,
    max_new_tokens: int | None = None,
    on_budget: OnBudget = "finish",
    prefix: str | bytes = "",
) -> ProcessorList:
    """The output is a text of an EBNF grammar in the W3C's form (`grammars.cfg.ebnf`), from its first rule or `start`.

    Errors and warnings are those of `guided.gbnf`.
    """
    grammar = _grammars.get(("ebnf", text, start), lambda: compile_ebnf(text, start=start))
    return _constrain(grammar, tokenizer, model, eos_ids, max_new_tokens, on_budget, prefix)


def library(
    name: str,
    *,
    tokenizer: Any = None,
    model: Any = None,
    eos_ids: EosIds = None,
    max_new_tokens: int | None = None,
    on_budget: OnBudget = "finish",
    prefix: str | bytes = "",
) -> ProcessorList:
    """The output is a text of a ready grammar: json, json_lines, iso_date, email, url, sql_select, arithmetic,
    html_fragment, csv_row or python_expression. `grammars.library.load(name)` has its text and examples.

    Errors: `KeyError` for an unknown name; the others are those of `guided.json`.
    """
    from grammars.library import load

    grammar = _grammars.get(("library", name), lambda: load(name).compile())
    return _constrain(grammar, tokenizer, model, eos_ids, max_new_tokens, on_budget, prefix)
