"""W3C-style EBNF: forms, differences, errors with line and column."""

from __future__ import annotations

import pytest

from grammars import GrammarError
from grammars.cfg.compile import compile_ebnf
from tests.grammars.cfg.judging import accepts

LISTS = """
[1] list   ::= '[' S? (item (S? ',' S? item)*)? S? ']'   /* a comment */
[2] item   ::= Name | Number | list                       [ wfc: no name twice ]
[3] Name   ::= [A-Za-z_#xE9] [A-Za-z0-9_]*
Number ::= Digit+ - ('0' | "00")
Digit  ::= [#x30-#x39]
S      ::= (#x20 | #x9)+
"""

CASES = {
    "[a,[ 1 , 20 ]]": True, "[é,[],x1 ]": True, "[0]": False, "[000]": True, "[00]": False, "[": False, "": False,
    "[a b]": False, "[,]": False, "[\t]": True,
}  # fmt: skip


@pytest.mark.parametrize("text", CASES)
def test_lists(text: str) -> None:
    assert accepts(compile_ebnf(LISTS), text) == CASES[text]


def test_the_start_can_be_named() -> None:
    assert accepts(compile_ebnf(LISTS, start="Number"), "10") and not accepts(compile_ebnf(LISTS, start="Number"), "0")


def test_comments_and_strings_of_xml() -> None:
    text = """Comment ::= '<!--' ((Char - '-') | ('-' (Char - '-')))* '-->'
              Char ::= #x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]"""
    found = {
        t: accepts(compile_ebnf(text), t) for t in ("<!-- a-b -->", "<!-- a--b -->", "<!--->", "<!---->", "<!--é-->")
    }
    assert found == {"<!-- a-b -->": True, "<!-- a--b -->": False, "<!--->": False, "<!---->": True, "<!--é-->": True}


@pytest.mark.parametrize("text, line, column, words", [
    ("a ::= 'x", 1, 7, "never closed"),
    ("a ::= b\nb ::= c d\nd ::= 'x'", 2, 7, "not defined"),
    ("a ::= 'x' )", 1, 11, "is expected here"),
    ("a ::= 'x' - a", 1, 11, "difference of rules that recur"),
    ("a ::= #xD800", 1, 13, "is no character"),
    ("a ::= /* x", 1, 7, "never closed"),
    ("a ::= 'x'\na ::= 'y'", 2, 1, "defined twice"),
])  # fmt: skip
def test_errors_say_where(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(GrammarError) as caught:
        compile_ebnf(text)
    assert words in str(caught.value) and (caught.value.line, caught.value.column) == (line, column)
