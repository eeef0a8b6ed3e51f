"""Range arithmetic against Python sets, categories against one pass over all of Unicode."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from grammars.regex import charset as cs

SMALL = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda p: (min(p), max(p))), max_size=5)


def members(charset: cs.Charset) -> set[int]:
    return {code for low, high in charset for code in range(low, high + 1)}


def scalar(code: int) -> bool:
    return not 0xD800 <= code <= 0xDFFF


@given(SMALL, SMALL)
def test_set_arithmetic(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    """Shifted so that the surrogate block lies in the middle."""
    shift = 0xD7F0
    a, b = ([(low + shift, high + shift) for low, high in pairs] for pairs in (one, other))
    x, y = cs.normalise(a), cs.normalise(b)
    left, right = ({c for low, high in pairs for c in range(low, high + 1) if scalar(c)} for pairs in (a, b))
    assert members(x) == left
    assert members(cs.union(x, y)) == left | right
    assert members(cs.intersect(x, y)) == left & right
    assert cs.complement(cs.complement(x)) == x
    assert cs.intersect(cs.complement(x), x) == () and cs.union(cs.complement(x), x) == cs.ALL


def test_categories_hold_what_unicodedata_says() -> None:
    names = list(map(unicodedata.category, map(chr, range(0x110000))))
    seen = 0
    for name in sorted(set(names) - {"Cs"}):
        found = cs.category(name)
        assert found is not None
        for low, high in found:
            assert set(names[low : high + 1]) == {name}
            seen += high + 1 - low
    assert seen == 0x110000 - 0x800


def test_category_names() -> None:
    assert cs.category("Uppercase_Letter") == cs.category("Lu")
    assert cs.category("Any") == cs.ALL
    assert cs.category("Assigned") == cs.complement(cs.category("Cn") or ())
    assert cs.category("Klingon") is None


def test_case_folding_keeps_to_its_script() -> None:
    assert cs.fold_case(cs.from_chars("aé")) == cs.from_chars("aAéÉ")
    assert cs.fold_case(cs.from_chars("k")) == cs.from_chars("kK"), "not the Kelvin sign"
    assert cs.fold_case(cs.from_chars("σ")) == cs.from_chars("σςΣ")
    assert cs.fold_case(cs.ALL) == cs.ALL
