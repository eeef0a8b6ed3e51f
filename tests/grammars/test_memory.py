"""What is kept and forgotten: grammars by content, rows up to a limit; masks stay the same."""

from __future__ import annotations

import numpy as np
import pytest

from grammars import Matcher, compile_json_schema, memory, set_memory_limit, stats
from tests.strategies.grammars import rich_vocabulary


def test_equal_schemas_are_one_grammar_and_others_are_not() -> None:
    one = {"type": "object", "properties": {"a": {"const": 1}, "b": {"const": True}}}
    assert compile_json_schema(one) is compile_json_schema({**one})
    assert compile_json_schema(one) is not compile_json_schema(one, whitespace="any")
    swapped = {"type": "object", "properties": {"b": {"const": True}, "a": {"const": 1}}}
    assert compile_json_schema(one) is not compile_json_schema(swapped), "the order of properties counts"
    other = {"type": "object", "properties": {"a": {"const": True}, "b": {"const": True}}}
    assert compile_json_schema(one) is not compile_json_schema(other), "1 is not true"


def test_a_schema_that_its_owner_changes_afterwards_stays_what_it_was() -> None:
    schema = {"enum": ["before"]}
    vocab, _ = rich_vocabulary(())
    grammar = compile_json_schema(schema)
    schema["enum"][0] = "after"
    matcher = Matcher(grammar, vocab)
    assert matcher.accept_bytes(b'"before"') and matcher.is_accepting()
    assert Matcher(compile_json_schema(schema), vocab).accept_bytes(b'"after"')


def test_rows_that_were_forgotten_are_computed_again() -> None:
    vocab, _ = rich_vocabulary(())
    row = np.zeros(vocab.words, np.int32)
    schema = {"properties": {"k": {"enum": list(range(40))}, "s": {"maxLength": 7, "pattern": "^(a+ ){0,9}b$"}}}
    matcher = Matcher(compile_json_schema(schema), vocab)
    pieces = (b'{"', b'k": ', b"1", b', "s": "', b"a", b"a ", b'b"')

    def masks() -> list[bytes]:
        matcher.reset()
        found = []
        for piece in pieces:
            matcher.fill_mask(row)
            found.append(row.tobytes())
            assert matcher.accept_bytes(piece)
        return found

    expected = masks()
    binding = matcher._binding
    held = binding.nbytes, binding.tier1.nbytes
    assert binding.forget() and binding.tier1.forget()
    assert binding.nbytes < held[0] and binding.tier1.nbytes < held[1]
    assert masks() == expected
    assert stats()["row_bytes"] >= binding.nbytes


class Held:
    """A keeper of some bytes."""

    def __init__(self, size: int, busy: bool = False) -> None:
        self.used, self.nbytes, self.busy = 0, size, busy

    def forget(self) -> bool:
        if not self.busy:
            self.nbytes = 0
        return not self.busy


def test_those_that_were_idle_longest_forget_first_and_busy_ones_do_not() -> None:
    ledger = memory._Ledger()
    ledger.limit = 100
    old, busy, young, asking = (Held(30, busy=number == 1) for number in range(4))
    for keeper in (old, busy, young, asking):
        ledger.keepers.add(keeper)
        ledger.take(keeper, 30)
    assert (old.nbytes, busy.nbytes, young.nbytes, asking.nbytes) == (0, 30, 0, 30)
    assert ledger.total == 60 and ledger.forgotten == 2


def test_a_limit_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="1048576"):
        set_memory_limit(1000)
