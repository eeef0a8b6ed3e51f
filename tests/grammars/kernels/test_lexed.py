"""Tier 1 of a lexer against stepping each token by hand, for any set of terminals that can come."""

from __future__ import annotations

import ctypes
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars import Grammar, Matcher, Vocabulary, lexedmasks, library
from grammars.automaton.lower_cfg import lower_lexed
from grammars.automaton.terminals import TerminalStore
from grammars.cfg.lark_grammar import read_lark
from grammars.cfg.lexicon import Lexicon
from grammars.cfg.patterns import read_pattern
from grammars.cfg.terminals import LexTerminal, Piece
from grammars.kernels.layout import NO_LIMIT
from grammars.terminalmasks import Tier1
from tests.grammars.cfg.lark_grammars import LARK_GRAMMARS
from tests.grammars.kernels.test_masks import follow
from tests.strategies.grammars import Case, rich_vocabulary, unpacked

LEXERS = (
    # names and keywords, look-ahead, texts, a blank that comes between; characters of several bytes
    (r"if|in", r"(?!(?:if|in)\b)[a-z_][a-z0-9_]*", r"\s+", r"[0-9]+(?:\.[0-9]+)?", r"=|==|<="),
    (r'"[^"\n]*"', r"[^<&\"]+", r"<[a-z]+", r"é+|[è-û]x", r"&[a-z]{2,3};"),
    (r"a+?b?", r"a|ab|abc", r"[a-c]+(?=[0-9;])", r"[0-9;]"),
)
WORDS = [*(bytes((b,)) for b in b'abcifn01.;=<&" \n_'), b"if", b"in", b"ifn", b" if", b" a", b"  ", b" =", b"a=b",
         b"ab1", b"abc", b'"a"', b'a"', b'"<a', b"&ab;", b"<a", "é".encode(), b"\xc3", b"\xa9", "ûx".encode(),
         "éx".encode(), b"1.0", b"1.", b".0=", b"a b", b" a b", b"aa;", b"abab1"]  # fmt: skip


def bits(terminals: set[int]) -> int:
    return sum(1 << t for t in terminals)


class Expected:
    """What the lexer makes of a text from a state on, for the terminals that can come: step by step."""

    def __init__(self, piece: Piece, viable: int, start: int) -> None:
        self.terminal = LexTerminal(piece, viable, start)

    def read(self, text: bytes) -> list[int]:
        """The states after each byte, until it is dead."""
        state, states = self.terminal.start, []
        for byte in text:
            state = self.terminal.row(state)[byte] if state >= 0 else -1
            if state < 0 or not (self.terminal.following(state) or self.terminal.label(state) >= 0):
                break
            states.append(state)
        return states


def tries_of(tier: Tier1, vocab: Vocabulary, entry: int) -> dict[int, dict[bytes, set[int]]]:
    """Label -> path below the ends -> tokens; of the large nodes all that is below them."""
    found: dict[int, dict[bytes, set[int]]] = {}
    first, count = tier.entry.data[8 * entry + 4 : 8 * entry + 6].tolist()
    for k in range(first, first + count):
        label, root = tier.root1.data[2 * k : 2 * k + 2].tolist()
        ends, data = (tier.mend.data, tier.mbyte.data) if root >= 0 else (vocab.trie_end, vocab.trie_byte)
        root, large = (root, False) if root >= 0 else (-1 - root, True)
        path, stops = b"", [int(ends[root])]
        for node in range(root + 1, int(ends[root])):
            while node >= stops[-1]:
                stops.pop()
                path = path[:-1]
            path += bytes((int(data[node]),))
            stops.append(int(ends[node]))
            tokens = set()
            if large:
                token = int(vocab.trie_token[node])
                while token >= 0:
                    tokens.add(token)
                    token = int(vocab.dup_next[token])
            else:
                at, size = tier.mtok.data[2 * node : 2 * node + 2].tolist()
                tokens = set(tier.mlist.data[at : at + size].tolist())
            if tokens:
                found.setdefault(label, {}).setdefault(path, set()).update(tokens)
    return found


@pytest.mark.parametrize("patterns", LEXERS)
@given(st.data())
def test_entries_equal_stepping(patterns: tuple[str, ...], data: st.DataObject) -> None:
    lexicon = Lexicon([read_pattern(p) for p in patterns], [f"T{i}" for i in range(len(patterns))])
    alone = data.draw(st.booleans(), label="alone")
    piece = Piece(lexicon, alone)
    order = tuple(data.draw(st.permutations(range(len(patterns))), label="order"))
    start = piece.start(lexicon.component(order, (), frozenset()), 0)
    words = data.draw(st.lists(st.sampled_from(WORDS), min_size=1, unique=True), label="words")
    vocab = Vocabulary.from_bytes([*words, b"", words[0]], eos_ids=[len(words)])
    viable = bits(data.draw(st.sets(st.sampled_from(range(len(patterns))), min_size=1), label="viable"))
    # a state within a token, or at its beginning; perhaps under an obligation
    states = Expected(piece, viable, start).read(data.draw(st.sampled_from(WORDS), label="before"))
    label = piece.label(states[-1]) if states else -1
    if label >= 0 and data.draw(st.booleans(), label="after it"):
        place = piece.start(lexicon.component(order, (), frozenset()), piece.labels[label][0][1])
    else:
        place = states[-1] if states else start
    if place < 0 or not piece.become(place) & viable:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexedmasks, "_LARGE", data.draw(st.sampled_from([2, 4096]), label="large"))
        patch.setattr(lexedmasks, "_FEW", data.draw(st.sampled_from([1, 4096]), label="few"))
        store = TerminalStore()
        tier = Tier1(store, vocab)
        made: dict[int, int] = {}
        patch.setattr(tier.table, "enter", lambda q, low, high, limit, entry: made.__setitem__(q, entry))
        q = store.state_of(LexTerminal(piece, viable, place), place)
        if data.draw(st.booleans(), label="ahead"):
            tier.build_ahead([q])
        tier.build(q, 0, -1)
    assert q in made
    texts = [*words, b"", words[0]]
    for state, entry in made.items():
        owner = store.owner_of(state)
        assert isinstance(owner, LexTerminal)
        compare(tier, vocab, texts, Expected(piece, owner.viable, store.place_of(state)), entry)


def compare(tier: Tier1, vocab: Vocabulary, texts: list[bytes], machine: Expected, entry: int) -> None:
    """The row and the tries of an entry against stepping."""
    piece = machine.terminal.piece
    expected: set[int] = set()
    below: dict[int, dict[bytes, set[int]]] = {}
    for token, word in enumerate(texts):
        read = machine.read(word)
        if word and len(read) == len(word):
            expected.add(token)
        for size, state in enumerate(read[: len(word) - 1], 1):
            number = machine.terminal.label(state)
            blocked = piece.blocked(number) if number >= 0 else None
            if number >= 0 and (blocked is None or not blocked[word[size]]):
                below.setdefault(number, {}).setdefault(word[size:], set()).add(token)
    address = int(tier.entry.data[8 * entry])
    row = np.array((ctypes.c_int32 * tier.words).from_address(address), np.int32)
    assert set(np.flatnonzero(unpacked(row)).tolist()) == expected
    found = {
        number: {p: t for p, t in by.items() if (b := piece.blocked(number)) is None or not b[p[0]]}
        for number, by in tries_of(tier, vocab, entry).items()
    }
    assert {number: by for number, by in found.items() if by} == below


def test_a_small_lexer_has_its_entries_before_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once there was a matcher, no walk of the vocabulary is needed at the beginning, in a string or a word of JSON."""
    more = [b"true", b'"a', b"1.5", b"\\u", b"</s>"]
    vocab = Vocabulary.from_bytes([bytes((b,)) for b in range(256)] + more, eos_ids=[260])
    grammar = Grammar(lower_lexed(*read_lark(library.load("json").text), TerminalStore()), {"kind": "lark"})
    row = np.zeros(vocab.words, np.int32)
    Matcher(grammar, vocab)
    built: list[int] = []
    build = Tier1.build

    def counted(tier: Tier1, q: int, low: int, high: int, limit: int = NO_LIMIT) -> None:
        built.append(q)
        build(tier, q, low, high, limit)

    monkeypatch.setattr(Tier1, "build", counted)
    for text in (b'"a\\u00e9 b', b"-", b"tru", b"fals", b"nul"):
        matcher = Matcher(grammar, vocab)
        matcher.fill_mask(row)
        assert not built
        for size, byte in enumerate(text):
            assert matcher.accept(byte)
            matcher.fill_mask(row)
            assert not built, text[: size + 1]


@pytest.mark.parametrize("name", ["calculator", "keywords", "lookahead", "xml", "sql"])
def test_masks_below_large_nodes_equal_the_reference(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every node counts as large, entries lead to entries below it, terminal after terminal."""
    monkeypatch.setattr(lexedmasks, "_LARGE", 1)
    options: dict[str, Any] = {}
    if name == "sql":
        found = library.load("sql_select")
        text, samples = found.text, found.accepted[:4]
    else:
        text, options, samples = LARK_GRAMMARS[name]
    table, lexer = read_lark(text, **options)
    pieces = tuple(sample[at : at + 9].encode() for sample in samples for at in range(0, min(60, len(sample)), 5))
    case = Case(name, lambda store: Grammar(lower_lexed(table, lexer, store), {"kind": "lark", "source": text}), pieces)
    random = Random(name)
    vocab, entries = rich_vocabulary(case.words)
    follow(case, vocab, entries, [random.randrange(1 << 16) for _ in range(8)])
