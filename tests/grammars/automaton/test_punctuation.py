"""Punctuation terminals against regexes of what may stand between values."""

from __future__ import annotations

import re
from itertools import product

import pytest

from grammars.automaton.punctuation import MODES, punctuation
from grammars.automaton.terminals import FAR, TerminalStore, row_of
from grammars.kernels.layout import ADD, CLOSE, LABEL

BLANKS = {"compact": "", "any": "[ \t\n\r]*", "default": "(?:\n(?: {0,64}|\t{0,16}))?"}
AFTER_COMMA = {**BLANKS, "default": "(?:| |\n(?: {0,64}|\t{0,16}))"}
COLON = {"compact": ":", "any": "[ \t\n\r]*:[ \t\n\r]*", "default": ": ?"}


def texts(*symbols: str) -> list[str]:
    """All short strings over some symbols, and indents around the limits."""
    short = ["".join(parts) for n in range(5) for parts in product(symbols, repeat=n)]
    indents = [f"\n{blank * n}" for blank in " \t" for n in (15, 16, 17, 63, 64, 65)]
    return short + [before + indent + after for indent in indents for before in ("", ",") for after in symbols]


def label_of(store: TerminalStore, q: int, text: str) -> int:
    """The label with which the terminal accepts the whole text, or -1."""
    for byte in text.encode():
        q = int(row_of(store, q)[byte])
        if q < 0:
            return -1
    return (int(store.info.data[q]) & LABEL) - 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("flags", [CLOSE, ADD, CLOSE | ADD])
@pytest.mark.parametrize("container", ["object", "array"])
@pytest.mark.parametrize("first", [True, False])
def test_containers(mode: str, flags: int, container: str, first: bool) -> None:
    store = TerminalStore()
    marks = punctuation(store, mode)
    close, opened = ("}", '"') if container == "object" else ("]", "")
    starts = {
        ("object", True): marks.object_first, ("object", False): marks.object_next,
        ("array", True): marks.array_first, ("array", False): marks.array_next,
    }  # fmt: skip
    q = starts[container, first][flags]
    end = re.compile(BLANKS[mode] + re.escape(close))
    more = re.compile((BLANKS[mode] if first else BLANKS[mode] * (mode == "any") + "," + AFTER_COMMA[mode]) + opened)
    for text in texts(" ", "\n", "\t", ",", close, '"'):
        found = label_of(store, q, text)
        assert (found == 0) == bool(flags & CLOSE and end.fullmatch(text)), text
        assert (found == 1) == bool(flags & ADD and more.fullmatch(text)), text


@pytest.mark.parametrize("mode", MODES)
def test_colons(mode: str) -> None:
    store = TerminalStore()
    q = punctuation(store, mode).colon
    for text in texts(" ", "\n", "\t", ":"):
        assert (label_of(store, q, text) == 0) == bool(re.fullmatch(COLON[mode], text)), text


@pytest.mark.parametrize("mode", MODES)
def test_every_state_can_end(mode: str) -> None:
    """No blank leads to a place that nothing may follow."""
    store = TerminalStore()
    marks = punctuation(store, mode)
    groups = (marks.object_first, marks.object_next, marks.array_first, marks.array_next)
    starts = {q for group in groups for q in group[1:]} | {marks.colon}
    if marks.blanks is not None:
        starts.add(marks.blanks)
    for q in starts:
        store.measure(q)
    ends = store.dist.data[3 : 3 * len(store)].reshape(-1, 3)[:, :2].min(1)
    assert (ends < FAR).all(), f"{(ends == FAR).sum()} states cannot end, the first is {1 + ends.argmax()}"


def test_a_mode_is_built_once() -> None:
    store = TerminalStore()
    assert punctuation(store, "any") is punctuation(store, "any")
    assert punctuation(store, "any") != punctuation(store, "default")


@pytest.mark.parametrize("mode", MODES)
def test_rows_made_before_are_those_that_are_asked_for(mode: str) -> None:
    store = TerminalStore()
    marks = punctuation(store, mode)
    for q in (*marks.object_first[1:], *marks.object_next[1:], *marks.array_first[1:], *marks.array_next[1:]):
        assert store.is_filled(q)
        before = row_of(store, q).tolist()
        store.fill_all(q)
        assert row_of(store, q).tolist() == before
        todo, seen = [q], {q}
        while todo:  # all rows are there, also of those states that were not made before
            for target in set(row_of(store, todo.pop()).tolist()) - {-1} - seen:
                assert store.is_filled(target)
                seen.add(target)
                todo.append(target)
