"""Grammars out of grammars: `then`, `either`, `both`, `optional`, `repeat`, and what only they make possible.

    regular     which grammars are regular languages, as `Regex` values that can be intersected
    lowering    any tree of grammars -> one program
    operators   then, either, both, optional, repeat
    lexical     compile_substring, compile_words
    tagged      compile_tagged: free text with constrained regions
    arguments   compile_fields, bare_strings, as_python: what calls of functions are written with

A compiled grammar knows what it was made from (its recipe); a combination is compiled from the recipes of its parts,
all of them lowered into one program, and not from their programs. So a matcher for it is an ordinary one: masks,
rollback, budgets and forced text have no special cases, and a token may begin in one part and end in another.
"""

from grammars.combine.arguments import Field, as_python, bare_strings, compile_fields, kinds_of
from grammars.combine.lexical import compile_substring, compile_words
from grammars.combine.operators import both, either, optional, repeat, then
from grammars.combine.tagged import Marker, Tag, compile_tagged, compile_until, marker_grammar

__all__ = [
    "Field",
    "Marker",
    "Tag",
    "as_python",
    "bare_strings",
    "both",
    "compile_fields",
    "compile_substring",
    "compile_tagged",
    "compile_until",
    "compile_words",
    "either",
    "kinds_of",
    "marker_grammar",
    "optional",
    "repeat",
    "then",
]
