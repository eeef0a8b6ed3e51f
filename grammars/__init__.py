"""What may be written: front-ends, automata, vocabularies, matchers. Works on numpy arrays; knows no torch."""

from grammars.errors import (
    BudgetExceeded,
    GrammarError,
    GuidedError,
    RegexError,
    SchemaError,
    TokenizerError,
    UnsatisfiableSchema,
    UnsupportedSchema,
)
from grammars.grammar import Grammar, compile_choice, compile_json_schema, compile_regex
from grammars.matcher import Explanation, Matcher, fill_masks
from grammars.vocabulary import Vocabulary

__all__ = [
    "BudgetExceeded",
    "Explanation",
    "Grammar",
    "GrammarError",
    "GuidedError",
    "Matcher",
    "RegexError",
    "SchemaError",
    "TokenizerError",
    "UnsatisfiableSchema",
    "UnsupportedSchema",
    "Vocabulary",
    "compile_choice",
    "compile_json_schema",
    "compile_regex",
    "fill_masks",
]
