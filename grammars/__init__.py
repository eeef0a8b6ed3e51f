"""What may be written: front-ends, automata, vocabularies, matchers. Works on numpy arrays; knows no torch."""

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
