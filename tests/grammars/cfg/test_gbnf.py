"""GBNF against an Earley recogniser with a reader of its own: derivations, walks, mutations."""

from __future__ import annotations

import warnings
from random import Random

import pytest

from grammars import GrammarError, GrammarWarning, Matcher
from grammars.cfg.compile import compile_gbnf
from tests.grammars.cfg.earley import Earley
from tests.grammars.cfg.gbnf_grammars import GBNF_GRAMMARS
from tests.grammars.cfg.judging import accepts, mutations, walk_vocabulary, walks


@pytest.mark.parametrize("name", GBNF_GRAMMARS)
def test_judged_as_earley_does(name: str) -> None:
    text, samples = GBNF_GRAMMARS[name]
    grammar, oracle, random = compile_gbnf(text), Earley(text), Random(name)
    for sample in samples:
        assert oracle.accepts(sample) and accepts(grammar, sample), sample
    pool = "".join(sorted(set("".join(samples)) | set('a1 "')))
    derived = [t for _ in range(20) if (t := oracle.derive(random, 12, pool)) is not None and len(t) < 60][:8]
    for found in derived:
        assert accepts(grammar, found), found
    for walked in walks(grammar, random, 2, longest=15, samples=samples):
        assert len(walked) > 150 or oracle.accepts(walked), walked
    for seed in [*samples, *derived]:
        for other in mutations(seed[:50], random, pool, 3):
            assert accepts(grammar, other) == oracle.accepts(other), other


@pytest.mark.parametrize("text, line, column, words", [
    ('root ::= "a\n', 1, 10, "never closed"),
    ("root ::= item\n", 1, 10, "not defined"),
    ("rot ::= [a]\n", 1, 1, "no rule root"),
    ('root ::= "a"\nroot ::= "b"\n', 2, 1, "defined twice"),
    ('root ::= ("a"\n| "b"\n', 1, 10, "never closed"),
    ("root ::= [z-a]\n", 1, 13, "out of order"),
    ('root ::= "a"{3,2}\n', 1, 13, "out of order"),
    ("root ::= \"\\q\"\n", 1, 11, "is no escape"),
    ('root ::= "a" root\n', 1, 1, "no text matches"),
    ("root ::= <[1000]>\n", 1, 10, "is no text"),
    ("root = \"a\"\n", 1, 6, "'::=' is expected"),
    ("root ::= *\n", 1, 10, "nothing to repeat"),
    ("", 1, 1, "has no rule"),
])  # fmt: skip
def test_errors_say_where(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(GrammarError) as caught:
        compile_gbnf(text)
    assert words in str(caught.value) and (caught.value.line, caught.value.column) == (line, column)


def test_unused_and_endless_rules_warn() -> None:
    text = 'root ::= "a" | loop\nloop ::= "x" loop\nspare ::= "y"\n'
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        grammar = compile_gbnf(text)
    assert {w.category for w in caught} == {GrammarWarning}
    assert sorted(str(w.message)[:17] for w in caught) == ["line 2, column 1:", "line 3, column 1:"]
    assert Matcher(grammar, walk_vocabulary()).next_bytes() == b"a"


def test_a_grammar_is_written_and_read_again() -> None:
    grammar = compile_gbnf('root ::= "a" root | "b"')
    assert accepts(type(grammar).from_bytes(grammar.to_bytes()), "aab")
