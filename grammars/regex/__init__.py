"""Regular languages of strings: patterns in, byte automata out; everything lazy, nothing but Python.

    syntax     parse(pattern)            pattern text -> tree
    language   Regex                     the tree as a value: & | ~ - concat repeat
    term       Term                      one term: what is kept with it
    terms      Terms                     interned terms and their derivatives
    lengths                              a quick test for intersections with a length
    chardfa    CharDfa(regex)            states on demand, all live
    bytedfa    ByteDfa(chars, encoding)  the same in UTF-8 or inside a JSON string
    charset    Charset                   sets of characters as ranges

A `ByteDfa` has the protocol that the engine reads (number languages in `grammars.numbers` have it too): `key` (same
key, same automaton), `start`, `row(state)` (256 targets, -1 dead), `label(state)` (-1: not accepting), and
`boundary(state)` (between two characters).
"""

from grammars.regex.bytedfa import ENCODINGS, ByteDfa
from grammars.regex.chardfa import CharDfa, char_dfa
from grammars.regex.charset import Charset
from grammars.regex.language import Regex
from grammars.regex.syntax import parse

__all__ = ["ENCODINGS", "ByteDfa", "CharDfa", "Charset", "Regex", "char_dfa", "parse"]
