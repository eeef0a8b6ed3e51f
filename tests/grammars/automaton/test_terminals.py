"""The terminal store: equal terminals are one, rows come when asked for, growth keeps what is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from grammars import BudgetExceeded
from grammars.automaton import terminals
from grammars.automaton.arrays import GrowArray, address
from grammars.automaton.terminals import FAR, TableTerminal, TerminalStore, row_of
from grammars.formats import format_regex
from grammars.kernels.layout import BOUNDARY, FINAL, LABEL
from grammars.numbers import number_dfa
from grammars.regex import ByteDfa, CharDfa, Regex, parse
from tests.strategies.regexes import plain_patterns


def text_terminal(pattern: str, encoding: str = "json") -> ByteDfa:
    return ByteDfa(CharDfa(parse(pattern, search=False)), encoding)


def test_equal_terminals_are_one() -> None:
    store = TerminalStore()
    first = store.start_of(text_terminal("a+b"))
    assert store.start_of(text_terminal("a+b")) == first
    assert store.start_of(text_terminal("a+c")) != first
    assert store.start_of(text_terminal("a+b", "utf8")) != first


def test_states_that_any_string_may_follow_are_shared() -> None:
    store = TerminalStore()
    anything = store.start_of(ByteDfa(CharDfa(Regex.any_string()), "json"))
    begins = store.start_of(text_terminal(r"a[\s\S]*"))
    assert row_of(store, begins)[ord("a")] == anything


def test_the_sink_is_state_0() -> None:
    store = TerminalStore()
    assert (row_of(store, 0) == -1).all()


def test_rows_are_computed_when_asked_for() -> None:
    store = TerminalStore()
    q = store.start_of(text_terminal("ab"))
    assert (store.trans.data[256 * q : 256 * q + 256] == -2).all()
    following = int(row_of(store, q)[ord("a")])
    assert following > 0
    assert store.trans.data[256 * following] == -2


def test_a_loop_of_accepting_states_can_be_filled() -> None:
    """Accepting states outside of string content are filled as they are added, cycles included."""
    store = TerminalStore()
    size = 400
    edges = [{97: (i + 1) % size} for i in range(size)]
    q = store.start_of(TableTerminal("ring", edges, dict.fromkeys(range(size), 0)))
    for _ in range(size):
        assert not int(store.info.data[q]) & FINAL
        following = int(row_of(store, q)[97])
        assert following > 0
        q = following
    assert q == store.start_of(TableTerminal("ring", edges, {}))


def test_states_beyond_the_first_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminals, "_ROWS", 128)
    store = TerminalStore()
    q = store.start_of(text_terminal("x[a-c]{700}"))
    chain = [q]
    text = b"x" + b"abc" * 200
    for byte in text:
        chain.append(int(row_of(store, chain[-1])[byte]))
    assert min(chain) > 0 and len(set(chain)) == len(chain)
    assert len(store) > 512
    for state, byte, following in zip(chain, text, chain[1:], strict=False):
        assert row_of(store, state)[byte] == following
    assert store.trans.address == address(store.trans.data)


def test_too_many_states_are_an_error() -> None:
    store = TerminalStore(max_states=40)
    with pytest.raises(BudgetExceeded, match="max_states") as caught:
        q = store.start_of(text_terminal("x[a-c]{700}"))
        for byte in b"x" + b"abc" * 30:
            q = int(row_of(store, q)[byte])
    assert "40" in str(caught.value) and "TerminalStore(max_states=" in str(caught.value)


@given(plain_patterns)
def test_a_store_holds_the_automaton_that_it_was_given(pattern: str) -> None:
    """Labels, borders between characters and final states, against the automaton itself."""
    store, dfa = TerminalStore(), text_terminal(pattern)
    if parse(pattern, search=False).is_empty():
        return
    pending = [(dfa.start, store.start_of(dfa))]
    seen = {*pending}
    for local, q in pending:
        row = dfa.row(local)
        for byte, target in enumerate(row):
            stored = int(row_of(store, q)[byte])
            assert (stored < 0) == (target < 0)
            # a kernel may make several states of one of the automaton's, as long as they read alike
            if target >= 0 and (target, stored) not in seen:
                seen.add((target, stored))
                pending.append((target, stored))
        info = int(store.info.data[q])
        assert (info & LABEL) - 1 == dfa.label(local)
        assert bool(info & BOUNDARY) == dfa.boundary(local)
        assert bool(info & FINAL) == all(target < 0 for target in row)


@given(plain_patterns)
def test_distances_are_bytes_to_the_nearest_end(pattern: str) -> None:
    store, regex = TerminalStore(), parse(pattern, search=False)
    if regex.is_empty():
        return
    start = store.start_of(text_terminal(pattern))
    store.measure(start)
    states = {start}
    pending = [start]
    for q in pending:
        for target in set(row_of(store, q).tolist()) - states - {-1}:
            states.add(target)
            pending.append(target)
    dist = store.dist.data[: 3 * len(store)].reshape(-1, 3).tolist()
    ends = {q for q in states if (int(store.info.data[q]) & LABEL) == 1}
    nearest = dict.fromkeys(ends, 0)
    while len(nearest) < len(states):
        ring = {q for q in states - nearest.keys() if nearest.keys() & set(row_of(store, q).tolist())}
        assert ring, "every state can end"
        nearest.update(dict.fromkeys(ring, 1 + max(nearest.values())))
    for q in states:
        assert dist[q][:2] == [nearest[q], FAR]
    assert dist[start][2] >= max(nearest.values()), "no later state is farther from an end"


def test_growing_arrays_keep_their_content_and_fill() -> None:
    array = GrowArray(np.int32, 4, fill=-2)
    for i in range(50):
        assert array.extend([i]) == i
    assert array.data[:50].tolist() == list(range(50))
    assert (array.data[50:] == -2).all()
    assert array.address == address(array.data)


def test_a_number_is_measured_without_being_explored() -> None:
    """Its automaton has tens of thousands of states; those that come later know their distance too."""
    store = TerminalStore()
    dfa = number_dfa(integer=False, multiple_of=3, minimum=1, maximum=10**12, spelling="any")
    assert dfa is not None
    q = store.start_of(dfa)
    store.measure(q)
    assert len(store) < 20
    for byte in b"70001":
        near = int(store.dist.data[3 * q])
        row = row_of(store, q)
        assert near == 0 or min(int(store.dist.data[3 * t]) for t in set(row.tolist()) if t >= 0) < near
        q = int(row[byte])


def test_states_that_are_shared_are_measured_for_whoever_comes_first() -> None:
    """The tail of a pattern belongs to the terminal that had it first, measured or not."""
    store = TerminalStore()
    first, second = text_terminal(r"a[\s\S]*"), text_terminal(r"bc[\s\S]*")
    a, b = store.start_of(first), store.start_of(second)
    a = int(row_of(store, a)[ord("a")])
    store.measure(b)
    for byte in b"bc":
        b = int(row_of(store, b)[byte])
    assert a == b
    rest = [int(row_of(store, a)[byte]) for byte in (0x5C, 0xC3, 0x22)]
    assert [int(store.dist.data[3 * q]) for q in (a, *rest)] == [1, 2, 2, 0]


def test_a_large_pattern_is_measured_by_search() -> None:
    """Label lengths, leap seconds: too many states to visit. Some next byte always brings the end nearer."""
    store = TerminalStore()
    for name in ("date-time", "hostname", "email"):
        language = format_regex(name)
        assert language is not None
        q = store.start_of(ByteDfa(CharDfa(language), "json"))
        store.measure(q)
        for _ in range(30):
            near = int(store.dist.data[3 * q])
            following = sorted(set(row_of(store, q).tolist()) - {-1})
            if not following:
                break
            assert min(int(store.dist.data[3 * t]) for t in following) == near - 1
            q = following[0]
