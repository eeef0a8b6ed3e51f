"""A text is accepted if and only if lark parses it: walks, derivations and mutations, over thirty grammars."""

from __future__ import annotations

import warnings
from random import Random

import pytest

from grammars import GrammarError, GrammarWarning, Matcher
from grammars.cfg.compile import compile_lark
from tests.grammars.cfg.judging import accepts, derivations, lark_judge, mutations, walk_vocabulary, walks
from tests.grammars.cfg.lark_grammars import LARK_GRAMMARS


@pytest.mark.parametrize("name", LARK_GRAMMARS)
def test_judged_as_lark_does(name: str) -> None:
    text, options, samples = LARK_GRAMMARS[name]
    grammar, judge, random = compile_lark(text, **options), lark_judge(text, options), Random(name)
    derived = [t for t in derivations(text, options, random, 12) if len(t) < 100]
    walked = list(walks(grammar, random, 3, longest=20, samples=samples))
    assert all(map(judge, walked))
    for sample in samples:
        assert judge(sample) and accepts(grammar, sample), sample
    alphabet = "".join(sorted(set("".join([*samples, *derived])) | {"a", "1", " "}))
    for seed in [*samples, *derived, *walked]:
        assert accepts(grammar, seed) == judge(seed), seed
        for other in mutations(seed[:80], random, alphabet, 3):
            assert accepts(grammar, other) == judge(other), other


@pytest.mark.parametrize("options", [
    {}, {"lexer": "basic"}, {"parser": "earley"}, {"parser": "earley", "lexer": "dynamic_complete"},
    {"parser": "earley", "lexer": "basic"},
])  # fmt: skip
def test_lexers_differ_as_in_lark(options: dict[str, str]) -> None:
    text = 'start: "if" NAME | NAME "=" NAME "b" | NAME NAME\nNAME: /[a-z]+/\n%ignore " "'
    grammar, judge = compile_lark(text, **options), lark_judge(text, options)  # type: ignore[arg-type]
    found = {t: accepts(grammar, t) for t in ("if x", "ifx", "if=ab", "x=yb", "x=y b", "x y", "if if", "xy", "x=ifb")}
    assert found == {t: judge(t) for t in found}


@pytest.mark.parametrize("text, line, column, words", [
    ("start: a\na: \"x\n", 2, 4, "lark refuses"),
    ("start: a\n  b: A\nA: /x/\n", 1, 1, "a"),
    ("start: A\nA: /(a)\\1/\n", 2, 1, "reference to a group"),
    ("start: A\nA: /(?<!b)a/\n", 2, 1, "looks behind its own start"),
    ("start: A _INDENT\nA: \"a\"\n%declare _INDENT\n", 1, 1, "declared and has no pattern"),
    ("start: \"x\" start\n", 1, 1, "no text matches"),
    ("start: a | b\na: \"x\"\nb: \"x\"\n", 2, 1, "Reduce/Reduce"),
])  # fmt: skip
def test_errors_say_where(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(GrammarError) as caught:
        compile_lark(text)
    assert (caught.value.line, caught.value.column) == (line, column) and words in str(caught.value)


def test_unused_and_endless_rules_warn_and_cannot_be_entered() -> None:
    text = 'start: "a" | loop "b"\nloop: "x" loop\nspare: "y"\n'
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        grammar = compile_lark(text)
    assert {w.category for w in caught} == {GrammarWarning}
    assert sorted(str(w.message)[:17] for w in caught) == ["line 2, column 1:", "line 3, column 1:"]
    assert Matcher(grammar, walk_vocabulary()).next_bytes() == b"a"


def test_an_ambiguous_grammar_stays_quick() -> None:
    """Thousands of operators: the sets of configurations do not grow."""
    grammar = compile_lark(LARK_GRAMMARS["ambiguous"].text, parser="earley")
    assert accepts(grammar, "1" + "+-1!*1" * 1500)


def test_a_grammar_is_written_and_read_again() -> None:
    grammar = compile_lark('start: "a"*', parser="earley")
    assert accepts(type(grammar).from_bytes(grammar.to_bytes()), "aaa")
