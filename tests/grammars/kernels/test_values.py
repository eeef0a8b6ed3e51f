"""Hashes of values from the text, beside those of Python values: equal exactly where the values are."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars.automaton.arrays import address
from grammars.automaton.hashes import hash_value
from grammars.jsonschema.membership import equal
from grammars.kernels import layout as at
from grammars.kernels.values import hash_text

_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.sampled_from((0.1, 1.5, -2.5, 100.0, 1e21, 1e-7, 0.0, 12345678901234567890)),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)
values = st.recursive(_scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=2), v, max_size=3))


def hash_of_text(text: str) -> int:
    data = np.frombuffer(text.encode(), np.uint8)
    ctx, arena = np.zeros(128, np.int64), np.zeros(1024, np.int64)
    for slot, array in ((at.TXT, data), (at.MAT, arena)):
        ctx[slot], ctx[slot + 64] = address(array), array.size
    return int(hash_text(address(ctx), data.size))


@given(values, st.booleans(), st.booleans())
def test_text_and_value_have_one_hash(value: Any, ascii_only: bool, blanks: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=2 if blanks else None)
    assert hash_of_text(text) == hash_value(value)


@given(values, values)
def test_equal_values_only(one: Any, other: Any) -> None:
    assert (hash_value(one) == hash_value(other)) is equal(one, other)


@pytest.mark.parametrize(
    "texts",
    [
        ("1", "1.0", "1e0", "10e-1", "0.1E+1", "100e-2", "1.00"),
        ("0", "-0", "0.0", "0e5", "-0.00E-3"),
        ("-1.5", "-15e-1", "-0.15e1"),
        ("1e400", "10e399", "0.01e402"),
        ('"é"', '"\\u00e9"', '"\\u00E9"'),
        ('"😀/"', '"\\ud83d\\ude00\\/"'),
        ('{"a":1,"b":[true]}', '{ "b" : [ true ], "\\u0061": 1.0 }'),
    ],
)
def test_spellings_of_one_value(texts: tuple[str, ...]) -> None:
    assert len({hash_of_text(text) for text in texts}) == 1
    assert hash_of_text(texts[0]) == hash_value(json.loads(texts[0], parse_float=Decimal))


@pytest.mark.parametrize(
    "texts", [("1", "-1", "10", "true", '"1"', "[1]", "[[1]]", '{"1":1}', "1.1", "[1,1]", "[]", "{}")]
)
def test_different_values(texts: tuple[str, ...]) -> None:
    assert len({hash_of_text(text) for text in texts}) == len(texts)
