"""What may be written: front-ends, automata, vocabularies, matchers. Works on numpy arrays; knows no torch.

A name is imported when it is first used: who compiles JSON Schemas does not wait for lark.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grammars.cfg.compile import compile_ebnf, compile_gbnf, compile_lark
    from grammars.combine import Marker, Tag, compile_substring, compile_tagged, compile_words
    from grammars.errors import (
        BudgetExceeded,
        GrammarError,
        GrammarWarning,
        GuidedError,
        RegexError,
        SchemaError,
        TokenizerError,
        UnsatisfiableSchema,
        UnsupportedGrammar,
        UnsupportedSchema,
    )
    from grammars.grammar import Grammar, compile_choice, compile_json_schema, compile_regex
    from grammars.matcher import Explanation, Matcher, fill_masks
    from grammars.memory import set_memory_limit, stats
    from grammars.vocabulary import Vocabulary

__all__ = [
    "BudgetExceeded",
    "Explanation",
    "Grammar",
    "GrammarError",
    "GrammarWarning",
    "GuidedError",
    "Marker",
    "Matcher",
    "RegexError",
    "SchemaError",
    "Tag",
    "TokenizerError",
    "UnsatisfiableSchema",
    "UnsupportedGrammar",
    "UnsupportedSchema",
    "Vocabulary",
    "compile_choice",
    "compile_ebnf",
    "compile_gbnf",
    "compile_json_schema",
    "compile_lark",
    "compile_regex",
    "compile_substring",
    "compile_tagged",
    "compile_words",
    "fill_masks",
    "set_memory_limit",
    "stats",
]

_NAMES_OF = {
    "grammars.cfg.compile": (
        "compile_ebnf",
        "compile_gbnf",
        "compile_lark",
    ),
    "grammars.combine": (
        "Marker",
        "Tag",
        "compile_substring",
        "compile_tagged",
        "compile_words",
    ),
    "grammars.errors": (
        "BudgetExceeded",
        "GrammarError",
        "GrammarWarning",
        "GuidedError",
        "RegexError",
        "SchemaError",
        "TokenizerError",
        "UnsatisfiableSchema",
        "UnsupportedGrammar",
        "UnsupportedSchema",
    ),
    "grammars.grammar": (
        "Grammar",
        "compile_choice",
        "compile_json_schema",
        "compile_regex",
    ),
    "grammars.matcher": (
        "Explanation",
        "Matcher",
        "fill_masks",
    ),
    "grammars.memory": (
        "set_memory_limit",
        "stats",
    ),
    "grammars.vocabulary": ("Vocabulary",),
}
_HOME = {name: module for module, names in _NAMES_OF.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
