"""Budgets under context-free grammars: never too little, in time, and against the least number of tokens there is."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest

from grammars import Grammar, Matcher, Vocabulary, compile_gbnf, compile_json_schema, compile_lark, library
from grammars.combine import either, repeat, then
from tests.grammars.cfg.lark_grammars import LARK_GRAMMARS
from tests.grammars.kernels.test_distance import check_masks, follow
from tests.grammars.kernels.walking import mask_of
from tests.strategies.grammars import Case, rich_vocabulary, unpacked

SINGLE = [bytes((byte,)) for byte in b'ab(),+;if "\n#1']

TINY: dict[str, tuple[Callable[[], Grammar], list[bytes]]] = {
    "nested": (lambda: compile_gbnf('root ::= "a" | "(" root ")" | "((" root "b"'), [b"((", b"))", b"(a", b"a)"]),
    "two ends": (
        lambda: compile_gbnf('root ::= x "a" | y "bbb"\nx ::= "(" x | "("\ny ::= "(" y | "("'),
        [b"bb", b"(("],
    ),
    "blank between": (
        lambda: compile_lark('start: A A | "if" A ";" start\nA: /[ab]+/\n%ignore " "'),
        [b"if", b" a", b"ab", b";if"],
    ),
    "comment": (
        lambda: compile_lark('start: A ("," A)* ";"\nA: /[ab]+/\n%ignore /#[^\\n]*/\n%ignore /\\s+/'),
        [b"# a", b", ", b"a;"],
    ),
    "keyword": (lambda: compile_lark('start: "if" N start | N\nN: /(?!if\\b)[a-fi]+/\n%ignore " "'), [b"if", b" if"]),
    "empty rules": (lambda: compile_lark('start: a b "1"\na: "a"*\nb: ("b" a)?'), [b"aa", b"b1"]),
    "ambiguous": (
        lambda: compile_lark('start: start "+" start | "a" | "(" start ")"', parser="earley"),
        [b"+a", b"a+"],
    ),
}


def least(matcher: Matcher, limit: int) -> int:
    """Tokens of the shortest completion, breadth first over all texts of at most `limit` tokens; more than that: 99."""
    front = [b""]
    seen = {b""}
    for steps in range(limit + 1):
        following = []
        for text in front:
            assert matcher.accept_bytes(text)
            if matcher.is_accepting():
                matcher.rollback(1)
                return steps
            for token in unpacked(mask_of(matcher)).nonzero()[0].tolist():
                longer = text + matcher.vocab.token_bytes(token)
                if longer not in seen:
                    seen.add(longer)
                    following.append(longer)
            matcher.rollback(1)
        front = following
    return 99


@pytest.mark.parametrize("name", TINY)
def test_against_all_texts(name: str) -> None:
    """The estimate is never too low, and too high only by what tokens across terminals save; masks keep the limit."""
    build, pieces = TINY[name]
    vocab = Vocabulary.from_bytes([*SINGLE, *pieces, None], [len(SINGLE) + len(pieces)])
    grammar, random = build(), Random(name)
    for _ in range(3):
        matcher = Matcher(grammar, vocab)
        for _ in range(6):
            exact, told = least(matcher, 4), matcher.min_tokens()
            assert exact in (told, 99) or told - 3 <= exact <= told
            if exact < 4:
                for budget in (told + 1, told + 2):
                    allowed = unpacked(mask_of(matcher, budget)).nonzero()[0].tolist()
                    assert allowed
                    for token in [t for t in allowed if t not in vocab.eos_ids]:
                        assert matcher.accept(token)
                        assert least(matcher, 5) <= budget - 2, vocab.token_bytes(token)
                        matcher.rollback(1)
            tokens = unpacked(mask_of(matcher)).nonzero()[0].tolist()
            token = random.choice(tokens)
            if token in vocab.eos_ids:
                break
            assert matcher.accept(token)


@pytest.mark.parametrize("name", ["caseless", "calls", "sql", "dangling", "fruit", "keywords", "lookahead", "nullable"])
def test_walks_end_in_time(name: str) -> None:
    text, options, samples = LARK_GRAMMARS[name]
    check(name, compile_lark(text, **options), samples)


@pytest.mark.parametrize("name", ["sql_select", "json", "html_fragment"])
def test_walks_of_ready_grammars_end_in_time(name: str) -> None:
    ready = library.load(name)
    check(name, ready.compile(), ready.accepted)


def check(name: str, grammar: Grammar, samples: tuple[str, ...]) -> None:
    words = tuple(sample[at : at + 3].encode() for sample in samples for at in range(0, len(sample), 2) if sample)
    vocab, _ = rich_vocabulary(words)
    random = Random(name)
    for extra in (0, 2, 9):
        for greedy in (False, True):
            follow(grammar, vocab, extra, random, greedy)
    case = Case(name, lambda store: grammar, words)
    check_masks(case, vocab, [random.randrange(1 << 16) for _ in range(5)])


def test_within_a_combination() -> None:
    """Parsers as parts: what comes after them is reckoned in."""
    inner = compile_gbnf('root ::= "<" root ">" | "x"')
    whole = then("a", repeat(inner, 1, 2), either(compile_json_schema({"enum": ["yes", 12]}), inner), "end")
    vocab, _ = rich_vocabulary((b"end", b"<x>", b"a<"))
    assert Matcher(whole, vocab).min_tokens() == 4
    for extra in (0, 1, 5):
        for greedy in (False, True):
            follow(whole, vocab, extra, Random(extra), greedy)


def test_costs_that_come_late_hold_for_stacks_made_before() -> None:
    """A matcher in the middle of a text learns them; copies and going back keep them."""
    grammar = compile_gbnf('root ::= "(" root ")" | "[" root "]" root | "a"')
    vocab = Vocabulary.from_bytes([b"(", b")", b"[", b"]", b"a", b")]", None], [6])
    matcher = Matcher(grammar, vocab)
    for token in (0, 2, 0):
        assert matcher.accept(token)
    assert matcher.min_tokens() == 5  # a ) ] a )
    other = matcher.copy()
    assert matcher.accept(4) and matcher.min_tokens() == 4 and other.min_tokens() == 5
    matcher.rollback(3)
    assert matcher.min_tokens() == 2
    row = np.zeros(vocab.words, np.int32)
    other.fill_mask(row, budget=6)
    assert unpacked(row).nonzero()[0].tolist() == [4]
