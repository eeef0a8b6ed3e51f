"""Context-free grammars as parts: their text ends where it may, and what follows is read as if it stood alone."""

from __future__ import annotations

import numpy as np

from grammars import (
    Grammar,
    Matcher,
    Tag,
    Vocabulary,
    compile_gbnf,
    compile_json_schema,
    compile_lark,
    compile_tagged,
)
from grammars.combine import repeat, then

BYTES = Vocabulary.from_bytes([*(bytes((byte,)) for byte in range(128)), b"1+", b")</", None], eos_ids=130)
SUM = compile_lark(
    """
    start: term ("+" term)*
    term: NUMBER | "(" start ")"
    %import common.NUMBER
    """
)
PAIRS = compile_gbnf('root ::= "(" root ")" | ""')
POINT = compile_json_schema({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]})


def accepts(grammar: Grammar, text: str, *, begun: bool = False) -> bool:
    matcher = Matcher(grammar, BYTES)
    return matcher.accept_bytes(text.encode()) and (begun or matcher.is_accepting())


def test_grammars_between_text_and_schemas() -> None:
    grammar = then("x = ", SUM, "; ", PAIRS, POINT)
    assert accepts(grammar, 'x = 1+(2+3); (()){"x": 1}') and accepts(grammar, 'x = 7; {"x": 1}')
    assert not accepts(grammar, "x = 1+; ", begun=True) and not accepts(grammar, "x = (1; ", begun=True)
    assert not accepts(grammar, 'x = 1; (){"x"') and not accepts(grammar, "x = 1; (()x", begun=True)


def test_two_parsers_in_one_program() -> None:
    other = compile_lark('start: "a" start "b" | "c"')
    grammar = repeat(then(other | SUM, ","), 1, 3)
    assert accepts(grammar, "aacbb,1+2,c,") and not accepts(grammar, "aacb,", begun=True)
    assert not accepts(grammar, "c," * 4, begun=True)


def test_a_region_of_a_grammar_and_a_token_across_its_end() -> None:
    grammar = compile_tagged([Tag("<s>", SUM, "</s>")], at_least=1)
    matcher = Matcher(grammar, BYTES)
    assert matcher.accept_bytes(b"so <s>(1+2") and matcher.accept(129) and matcher.forced_bytes() == b"s>"
    row = np.zeros(matcher.vocab.words, dtype=np.int32)
    matcher.rollback(1)
    matcher.fill_mask(row)
    allowed = {token for token in range(131) if row[token >> 5] >> (token & 31) & 1}
    assert {*b"+)0123456789", 128, 129} <= allowed and not allowed & {*b"<x(", 130}
    assert Matcher(Grammar.from_bytes(grammar.to_bytes()), BYTES).accept_bytes(b"<s>1+1</s> done")
