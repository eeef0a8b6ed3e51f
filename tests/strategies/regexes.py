"""Patterns over a small alphabet, and texts to try them on.

The alphabet is small so that patterns and texts meet often; it holds what anchors, word borders and `.` care about: a
digit, a blank, a line break, and characters of two, three and four bytes in UTF-8.
"""

from __future__ import annotations

from hypothesis import strategies as st

ALPHABET = "ab0 \né€😀"

texts = st.text(ALPHABET, max_size=7)

_ATOMS = [
    "a", "b", "0", "é", "€", "😀", ".", "[ab]", "[^a]", r"\d", r"\w", r"\s", r"\W", "[b-é]", " ", r"\n", "ab", "(?:)",
]  # fmt: skip
_ASSERTIONS = ["^", "$", r"\b", r"\B"]


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    quantifier = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,3}", "{2,}", "*?", "+?"])
    return st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, quantifier).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    )


plain_patterns = st.recursive(st.sampled_from(_ATOMS), _compound, max_leaves=8)
"""Patterns without assertions."""


def _asserting(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    ahead = st.tuples(st.sampled_from(["(?=", "(?!"]), inner).map(lambda pair: f"{pair[0]}{pair[1]})")
    return st.one_of(_compound(inner), _compound(inner), ahead)


_READ_BEFORE = ["a", "[ab]", "ab", "a|b", "€|é0", r"\W", "a+b", "^a", "b*a"]
_behind = st.tuples(st.sampled_from(["(?<=", "(?<!"]), st.sampled_from(_READ_BEFORE)).map(lambda p: f"{p[0]}{p[1]})")
_parts = st.one_of(st.sampled_from(_ATOMS), st.sampled_from(_ASSERTIONS), _behind)
patterns = st.recursive(_parts, _asserting, max_leaves=8)
"""Patterns with anchors, word borders and look-around anywhere, also inside loops."""
