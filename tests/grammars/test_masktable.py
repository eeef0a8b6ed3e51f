"""Tables behind the masks: keys are found again after growth, rows keep their place, one binding serves all."""

from __future__ import annotations

import ctypes
import gc
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars import Matcher, Vocabulary, compile_choice, compile_json_schema, masktable
from grammars.kernels import layout as at
from grammars.kernels.tier1 import copy_row
from grammars.masktable import Rows, Table, binding_for
from tests.grammars.kernels.walking import mask_of
from tests.strategies.grammars import Modes, byte_vocabulary, schema_case, unpacked

BYTES = byte_vocabulary()


@given(st.sets(st.integers(-(1 << 63), (1 << 63) - 1).filter(bool), max_size=300))
def test_every_key_is_found_after_growth(keys: set[int]) -> None:
    table = Table(16)
    for i, key in enumerate(keys):
        table.insert(key, i)
    stored = dict(zip(table.keys.tolist(), table.values.tolist(), strict=True))
    stored.pop(0, None)
    assert stored == {key: i for i, key in enumerate(keys)}
    assert table.keys.size >= 2 * len(keys)
    assert table.keys.size & (table.keys.size - 1) == 0, "sizes are powers of two"


def test_growth_leaves_the_old_arrays_alone() -> None:
    """A kernel on another thread may still be reading them."""
    table = Table(16)
    for key in range(1, 9):
        table.insert(key, -key)
    old_keys, old_values = table.keys, table.values
    before = old_keys.copy(), old_values.copy()
    for key in range(9, 100):
        table.insert(key, -key)
    assert table.keys is not old_keys
    np.testing.assert_array_equal(before[0], old_keys)
    np.testing.assert_array_equal(before[1][before[0] != 0], old_values[before[0] != 0])


def row_at(address: int, words: int) -> np.ndarray[Any, Any]:
    return np.array((ctypes.c_int32 * words).from_address(address), np.int32)


def test_rows_keep_their_place() -> None:
    rows = Rows(5)
    written = []
    for _ in range(20):
        address, count = rows.block()
        for k in range(count):
            row = np.full(5, len(written), np.int32)
            copy_row(address + 20 * k, row)
            written.append((address + 20 * k, row))
    assert len({place for place, _ in written}) == len(written)
    for place, row in written:
        np.testing.assert_array_equal(row_at(place, 5), row)
    assert rows.nbytes >= 20 * len(written)


def test_blocks_of_dropped_rows_are_used_again() -> None:
    rows = Rows(977)
    address, _ = rows.block()
    del rows
    gc.collect()
    again = Rows(977)
    assert again.block()[0] == address
    other = Rows(977)
    assert other.block()[0] != address, "nobody else gets a block in use"


def test_one_binding_for_a_grammar_and_vocabulary() -> None:
    grammar, other = compile_json_schema(True), compile_json_schema({"type": "object"})
    binding = binding_for(grammar.program, BYTES)
    assert binding_for(grammar.program, BYTES) is binding
    assert binding_for(grammar.program, byte_vocabulary()) is not binding or BYTES == byte_vocabulary()
    assert binding_for(other.program, BYTES) is not binding
    assert binding_for(other.program, BYTES).tier1 is binding.tier1, "tier 1 belongs to store and vocabulary"


def test_a_seen_mask_is_remembered() -> None:
    grammar = schema_case({"type": "array", "items": {"type": "string"}}).grammar()
    first = Matcher(grammar, BYTES)
    binding = binding_for(grammar.program, BYTES)
    row = mask_of(first)
    left = int(binding._room[at.R_MEMO])
    for _ in range(3):
        np.testing.assert_array_equal(row, mask_of(Matcher(grammar, BYTES)))
    assert int(binding._room[at.R_MEMO]) == left


def check_remembered(order: str) -> int:
    """Walks through many states, then the same masks from the memo and from a new grammar. The size of the memo."""
    schema: dict[str, Any] = {"type": "object", "properties": {f"k{i}": {"enum": [i, f"v{i}"]} for i in range(90)}}
    schema["additionalProperties"] = False
    case = schema_case(schema, Modes(order, "compact"))
    grammar = case.grammar()
    random = Random(3)
    walks = []
    for _ in range(12):
        matcher = Matcher(grammar, BYTES)
        rows, text = [], b""
        for _ in range(160):
            rows.append(mask_of(matcher))
            following = [byte for byte in unpacked(rows[-1])[:256].nonzero()[0].tolist() if byte != ord("}")]
            if not following:
                break
            text += bytes((random.choice(following),))
            assert matcher.accept_bytes(text[-1:])
        walks.append((text, rows))
    fresh = case.grammar()
    for text, rows in walks:
        for again in (Matcher(grammar, BYTES), Matcher(fresh, BYTES)):
            for i, row in enumerate(rows):
                np.testing.assert_array_equal(row, mask_of(again))
                assert again.accept_bytes(text[i : i + 1])
    return int(binding_for(grammar.program, BYTES).memo.keys.size)


def test_many_masks_are_remembered() -> None:
    """More states than the first memo holds; each is answered from it as it was computed."""
    assert check_remembered("any") > 256


def test_masks_beyond_the_limit_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masktable, "ROWS_LIMIT", 5000)
    check_remembered("any")
    check_remembered("schema")


def test_vocabularies_do_not_mix() -> None:
    """One grammar, two vocabularies of different sizes, in turns."""
    grammar = compile_choice(["ab", "b"])
    small = Vocabulary.from_bytes([b"b", b"ab", None], [2])
    large = Vocabulary.from_bytes([*[b"x"] * 40, b"ab", None], [41])
    for _ in range(3):
        assert mask_of(Matcher(grammar, small)).tolist() == [0b011]
        assert mask_of(Matcher(grammar, large)).tolist() == [0, 1 << 8]
