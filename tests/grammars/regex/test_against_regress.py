"""ECMA-262 patterns against an engine of that dialect (the package `regress`), found anywhere in a string."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars.errors import BudgetExceeded, RegexError
from grammars.regex import CharDfa, parse

regress = pytest.importorskip("regress", reason="pip install regress: the oracle of these tests")

_atoms = st.sampled_from(
    r"a b A 1 - é . [ab] [^a] [a-c1] [^] [] \w \W \d \D \s \S \x61 \u0061 \u{62} \cJ \. \p{L} \P{L} [\w-] [\b]".split()
)
_quantifiers = st.sampled_from(["", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,}", "{0,2}", "{1,2}?"])
_assertions = st.sampled_from(["^", "$", r"\b", r"\B"])
_opening = st.sampled_from(["(", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?<n>", "(?i:"])


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    sequence = st.lists(inner, min_size=0, max_size=4).map("".join)
    body = st.lists(sequence, min_size=1, max_size=3).map("|".join)
    return st.tuples(_opening, body, _quantifiers).map(_group)


def _group(parts: tuple[str, str, str]) -> str:
    opening, body, quantifier = parts
    return f"{opening}{body})" + (quantifier if opening[2:3] not in ("=", "!") and opening[:3] != "(?<" else "")


patterns = st.lists(
    st.recursive(st.tuples(_atoms, _quantifiers).map("".join) | _assertions, _grow, max_leaves=10),
    min_size=1,
    max_size=4,
).map("".join)


@given(patterns, st.lists(st.text("abA1 é_-\n\x08.", max_size=6), min_size=5, max_size=12))
def test_the_same_strings_are_found(pattern: str, texts: list[str]) -> None:
    try:
        oracle = regress.Regex(pattern, "u")
    except regress.RegressError:
        return  # a name twice, a quantifier behind an assertion
    try:
        dfa = CharDfa(parse(pattern, search=True))
    except BudgetExceeded:
        return
    except RegexError as error:
        assert "look-ahead inside a look-behind" in error.problem
        return
    for text in texts:
        assert dfa.matches(text) == (oracle.find(text) is not None), text


@pytest.mark.parametrize(
    ("pattern", "found", "missing"),
    [
        (r"^\p{Lu}\p{Ll}+$", ["Éa"], ["éa", "EA"]),
        (r"^\P{L}$", ["1", "\U0001f600"], ["a"]),
        (r"^\cA\u{1F600}\ud83d\ude00$", ["\x01\U0001f600\U0001f600"], ["A"]),
        (r"^(?<year>\d{4})-(?<month>\d\d)$", ["2024-12"], ["2024-1"]),
        (r"(?<=a+)b(?!c)", ["aab", "abd"], ["b", "abc"]),
        (r"^(?=.*\d)(?=.*[a-z]).{4,8}$", ["abc1", "1bcdefgh"], ["abcd", "1234", "ab1"]),
        (r"^(?i:ab)c$", ["ABc", "abc"], ["abC"]),
        (r"\bfoo\b", ["a foo.", "foo"], ["foot", "_foo"]),
        (r"(?<!$)", ["a"], [""]),
        (r"(?<=a\b)-", ["a-"], ["aa", "b-"]),
        (r"(?<!a(?=b)|c)b", ["b", "bb"], ["ab", "cb"]),
        (r"^a+?b??$", ["a", "aab"], ["b"]),
        (r"^[^]$", ["\n", "a"], ["", "ab"]),
    ],
)
def test_by_hand(pattern: str, found: list[str], missing: list[str]) -> None:
    dfa, oracle = CharDfa(parse(pattern, search=True)), regress.Regex(pattern, "u")
    for text in found + missing:
        assert dfa.matches(text) == (text in found) == (oracle.find(text) is not None), text
