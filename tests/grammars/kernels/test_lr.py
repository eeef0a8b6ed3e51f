"""Parsers in the machine: masks equal the plain machine's for grammars of every kind."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from grammars import Grammar, Matcher, Vocabulary, compile_gbnf, library
from grammars.automaton.lower_cfg import Lexer, lower_lexed
from grammars.automaton.terminals import TerminalStore
from grammars.cfg.lark_grammar import read_lark
from grammars.cfg.lr import LrTable
from grammars.kernels.layout import M_FIRST
from tests.grammars.cfg.lark_grammars import LARK_GRAMMARS
from tests.grammars.kernels.test_masks import follow
from tests.strategies.grammars import Case, rich_vocabulary

# deterministic tables, look-aheads that others share, obligations, ambiguity, empty rules
NAMES = ("calculator", "keywords", "priorities", "lookahead", "lazy", "ambiguous", "nullable", "left", "xml")


@pytest.mark.parametrize("name", NAMES)
def test_masks_equal_the_reference(name: str) -> None:
    """Walks with a vocabulary of pieces of the samples, joined and cut."""
    text, options, samples = LARK_GRAMMARS[name]
    table, lexer = read_lark(text, **options)
    words = tuple(sample[at : at + 3].encode() for sample in samples for at in range(0, len(sample), 2) if sample)
    case = Case(name, lambda store: Grammar(lower_lexed(table, lexer, store), {"kind": "lark", "source": text}), words)
    random = Random(name)
    vocab, entries = rich_vocabulary(case.words)
    for _ in range(2):
        follow(case, vocab, entries, [random.randrange(1 << 16) for _ in range(10)])


def test_tokens_over_several_terminals() -> None:
    """Long pieces of SQL: names, keywords and blanks end within them, where what follows is kept and used again."""
    found = library.load("sql_select")
    table, lexer = read_lark(found.text, start="start", parser="lalr", lexer="contextual", regex_flags=0)
    samples = found.accepted[:6]
    places = [(at, at + size) for size in (5, 11) for at in range(0, 40, size)]
    words = tuple(sample[low:high].encode() for sample in samples for low, high in places)
    source = {"kind": "lark", "source": found.text}
    case = Case("sql", lambda store: Grammar(lower_lexed(table, lexer, store), source), words)
    random = Random(7)
    vocab, entries = rich_vocabulary(case.words)
    for _ in range(2):
        follow(case, vocab, entries, [random.randrange(1 << 16) for _ in range(8)])


def test_a_state_that_may_end_is_not_taken_for_one_that_may_not() -> None:
    """Frames that look the same closely and from afar: what a state is must not mix with how deep was looked."""
    grammar = compile_gbnf('root ::= "a" root "a" | "b" root "b" | [ab]?')
    vocab = Vocabulary.from_bytes([b"a", b"b", b"ab", b"aba", b"bb", b""], eos_ids=[5])
    random = Random(3)
    row = np.zeros(vocab.words, np.int32)
    for _ in range(20):
        matcher, text = Matcher(grammar, vocab), b""
        for _ in range(30):
            matcher.fill_mask(row)
            assert bool(row[0] >> 5 & 1) == (text == text[::-1]), text
            token = random.randrange(5)
            assert matcher.accept(token)
            text += vocab.token_bytes(token)


def renumbered(table: LrTable, lexer: Lexer, start: int, other: int) -> tuple[LrTable, Lexer]:
    """The same parser with its starting state numbered `start`, and `other` numbered 0."""
    order = [s for s in range(len(table.actions)) if s not in (table.start, other)]
    order.insert(0, other)
    order.insert(start, table.start)
    number = {old: new for new, old in enumerate(order)}
    actions = [
        {t: [number[a] if a >= 0 else a for a in found] for t, found in table.actions[s].items()} for s in order
    ]
    moved = replace(
        table, actions=actions, gotos=[{n: number[to] for n, to in table.gotos[s].items()} for s in order],
        accepting={number[s] for s in table.accepting}, kernels=[table.kernels[s] for s in order], start=start,
    )  # fmt: skip
    return moved, replace(lexer, context_of=[lexer.context_of[s] for s in order])


@pytest.mark.parametrize("name", ["calculator", "json", "nullable"])
def test_stacks_are_told_apart_whatever_the_numbers_of_their_states(name: str) -> None:
    """Where a state's number is that of the root's place in the arena, a stack of both must not look like a state 0."""
    text, options, samples = LARK_GRAMMARS[name]
    vocab = Vocabulary.from_bytes([bytes((b,)) for b in range(256)] + [b""], eos_ids=[256])
    table, lexer = read_lark(text, **options)
    assert len(table.actions) > M_FIRST
    for other in range(len(table.actions)):
        if other != table.start:
            store = TerminalStore()
            grammar = Grammar(lower_lexed(*renumbered(table, lexer, M_FIRST, other), store), {"kind": "lark"})
            for sample in samples:
                matcher = Matcher(grammar, vocab)
                assert matcher.accept_bytes(sample.encode()) and matcher.is_accepting(), (other, sample)
