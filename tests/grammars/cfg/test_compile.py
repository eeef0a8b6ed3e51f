"""Grammars as parts of others: a parser begins and ends within what encloses it."""

from __future__ import annotations

import pytest

from grammars import compile_ebnf, compile_gbnf, compile_json_schema, compile_lark, compile_regex
from grammars.combine import optional, repeat, then
from tests.grammars.cfg.judging import accepts

BRACKETS = compile_gbnf('root ::= "(" root* ")"')
SUM = compile_lark('start: A | start "+" A\nA: /a+/\n%ignore " "')
NESTED = compile_ebnf("x ::= '<' x? '>'")
INTEGER = compile_json_schema({"type": "integer"})

CASES = [
    (then("v=", BRACKETS, ";"), ("v=(()());",), ("v=(;", "v=()", "()")),
    (then(SUM, "!", SUM), ("a+aa!a", "a + a !a"), ("a!", "!a")),
    (BRACKETS | SUM | NESTED, ("()", "a+a", "<<>>"), ("", "()a", "<")),
    (repeat(then(NESTED, INTEGER), 2, 3), ("<>1<<>>-2",), ("<>1", "<>1<>")),
    (then(optional(BRACKETS), compile_regex("[0-9]+")), ("7", "()7"), ("()",)),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(CASES)))
def test_parsers_within_other_grammars(case: int) -> None:
    grammar, accepted, refused = CASES[case]
    again = type(grammar).from_bytes(grammar.to_bytes())
    for text in accepted:
        assert accepts(grammar, text) and accepts(again, text), text
    for text in refused:
        assert not accepts(grammar, text), text
