"""States that a kernel makes, against the automaton in plain Python."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars.automaton.terminals import TerminalStore, row_of
from grammars.kernels.layout import BOUNDARY, FINAL, LABEL
from grammars.regex import ByteDfa, CharDfa, parse
from tests.strategies.regexes import plain_patterns

PATTERNS = (
    "(?:a|b)*a[ab]{3}",
    ".*a.{5}",
    "(?:[a-f]{1,9}-?){2,12}",
    "(?:é|\\u20ac|[\\u2020-\\u2030]x)*[^é]",
    "(?=.*[0-9])[a-z0-9]{2,70}",
    "(?:ab|[^b]{0,40}|c)+",
    "\\p{Lu}\\w*[\\s\\S]*",
)


def is_same(pattern: str, encoding: str, counted: bool, most: int = 150) -> bool:
    """Compare states pairwise, from the start on; whether any of them was made by a kernel."""
    regex = parse(pattern, search=False)
    if regex.is_empty():
        return False
    store, dfa = TerminalStore(), ByteDfa(CharDfa(regex), encoding)
    start = store.start_of(ByteDfa(CharDfa(regex), encoding))
    if counted:
        assert store.count(start)
    pairs = [(dfa.start, start)]
    seen = {*pairs}
    for local, q in pairs:
        row = row_of(store, q).tolist()
        for byte, target in enumerate(dfa.row(local)):
            assert (row[byte] < 0) == (target < 0), (pattern, byte)
            if target >= 0 and (target, row[byte]) not in seen and len(pairs) < most:
                seen.add((target, row[byte]))
                pairs.append((target, row[byte]))
        info = int(store.info.data[q])
        assert (info & LABEL) - 1 == dfa.label(local)
        assert bool(info & BOUNDARY) == dfa.boundary(local)
        assert bool(info & FINAL) == all(target < 0 for target in row)
        if counted:
            assert int(store.need.data[q]) == dfa.need(local)
    made = [q for q in range(1, len(store)) if store._is_made_here(q)]
    for q in made:  # its number in the automaton of the terminal
        terminal, local = store.known_as(q)
        assert [target < 0 for target in terminal.row(local)] == (row_of(store, q) < 0).tolist()
    return bool(made)


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("encoding", ["json", "json_any", "utf8"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_states_are_those_of_the_automaton(pattern: str, encoding: str, counted: bool) -> None:
    assert is_same(pattern, encoding, counted)


@given(plain_patterns, st.sampled_from(["json", "utf8"]), st.booleans())
def test_any_pattern(pattern: str, encoding: str, counted: bool) -> None:
    is_same(pattern, encoding, counted, most=40)


def test_characters_counted_later() -> None:
    """A grammar may ask for the characters due after a kernel has made states."""
    regex = parse(".*a.{4}", search=False)
    store, dfa = TerminalStore(), ByteDfa(CharDfa(regex), "json")
    q, local = store.start_of(ByteDfa(CharDfa(regex), "json")), dfa.start
    way = []
    for byte in b"xaxxax":
        q, local = int(row_of(store, q)[byte]), dfa.row(local)[byte]
        way.append((q, local))
    assert store.count(q)
    assert [int(store.need.data[q]) for q, _ in way] == [dfa.need(local) for _, local in way]


def test_what_is_measured_is_left_to_python() -> None:
    """Distances are Python's: of states that were made before, too, and of all that come later."""
    regex = parse(".*a.{4}", search=False)
    store = TerminalStore()
    start = q = store.start_of(ByteDfa(CharDfa(regex), "json"))
    for byte in b"xaxxax":
        q = int(row_of(store, q)[byte])
    store.measure(start)
    assert not any(store._is_made_here(q) for q in range(1, len(store)))
    for byte in b"yya":
        near = int(store.dist.data[3 * q])
        following = {int(t) for t in row_of(store, q) if t >= 0}
        assert near == 0 or min(int(store.dist.data[3 * t]) for t in following) == near - 1
        q = int(row_of(store, q)[byte])


def test_more_items_than_sets_hold() -> None:
    """Past four words of items a pattern goes back to Python, with all states as they are."""
    words = "|".join(f"{chr(97 + k % 26)}{chr(97 + k // 26)}[a-c]{{{k % 7 + 2}}}z{k}" for k in range(120))
    store, dfa = TerminalStore(), ByteDfa(CharDfa(parse(words, search=False)), "json")
    pairs = [(dfa.start, store.start_of(ByteDfa(CharDfa(parse(words, search=False)), "json")))]
    for local, q in pairs:
        row = row_of(store, q)
        for byte, target in enumerate(dfa.row(local)):
            assert (row[byte] < 0) == (target < 0)
            if target >= 0 and len(pairs) < 700:
                pairs.append((target, int(row[byte])))
    assert any(subsets is not None and subsets.is_off for subsets in store._subsets.values())
