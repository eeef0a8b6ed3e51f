"""Matchers that know old addresses: arrays grow under them, through other grammars and other matchers."""

from __future__ import annotations

import numpy as np
import pytest

from grammars import Matcher, terminalmasks
from grammars.automaton import terminals
from grammars.automaton.terminals import TerminalStore
from grammars.kernels import layout as at
from tests.strategies.grammars import Modes, rich_vocabulary, schema_case, unpacked

COMPACT = Modes("any", "compact", "canonical")


def strings(pattern: str) -> dict[str, object]:
    return {"type": "array", "items": {"type": "string", "pattern": pattern}}


def test_entries_of_tier_1_that_others_made_are_read_at_their_new_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminalmasks, "_ENTRIES", 8)
    monkeypatch.setattr(terminals, "_ROWS", 128)
    store = TerminalStore()
    vocab, _ = rich_vocabulary(())
    row = np.zeros(vocab.words, np.int32)
    old, other = (Matcher(schema_case(strings("^a*$"), COMPACT).build(store), vocab) for _ in range(2))
    for matcher in (old, other):
        matcher.fill_mask(row)
        assert matcher.accept_bytes(b'["a') and matcher.accept_bytes(b'","')
    stale, rows = int(old._ctx[at.ENTRY]), int(old._ctx[at.TRANS])
    for i in range(200):
        matcher = Matcher(schema_case(strings(f"^b{{{i + 1}}}c*$"), COMPACT).build(store), vocab)
        assert matcher.accept_bytes(b'["b')
        matcher.fill_mask(row)
    other.fill_mask(row)
    assert int(old._ctx[at.ENTRY]) == stale != int(other._ctx[at.ENTRY]), "the arrays have not grown: no test"
    assert rows != int(other._ctx[at.TRANS])
    expected = row.copy()
    old.fill_mask(row)
    np.testing.assert_array_equal(row, expected)


def test_parts_that_another_matcher_had_lowered_are_read_at_their_new_place() -> None:
    """A grammar of more parts than are lowered at once; one matcher goes ahead, the other follows it."""
    parts = {f"p{i}": {"type": "object", "properties": {"next": {"$ref": f"#/$defs/p{i + 1}"}}} for i in range(600)}
    last = {"type": "object", "properties": {f"k{i}": {"enum": [f"{i}", i]} for i in range(300)}}
    schema = {"$ref": "#/$defs/p0", "$defs": {**parts, "p600": last}}
    grammar = schema_case(schema, COMPACT).build(TerminalStore())
    vocab, _ = rich_vocabulary(())
    ahead, behind = Matcher(grammar, vocab), Matcher(grammar, vocab)
    row, other = np.zeros(vocab.words, np.int32), np.zeros(vocab.words, np.int32)
    for _ in range(600):
        assert ahead.accept_bytes(b'{"next":')
        ahead.fill_mask(row)
        assert behind.accept_bytes(b'{"next":')
    assert ahead.accept_bytes(b'{"k299":') and behind.accept_bytes(b'{"k299":')
    ahead.fill_mask(row)
    behind.fill_mask(other)
    np.testing.assert_array_equal(row, other)
    allowed = unpacked(other)[: vocab.size].tolist()
    assert allowed == [behind.is_allowed(token) for token in range(vocab.size)]
