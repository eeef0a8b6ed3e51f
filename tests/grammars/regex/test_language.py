"""`Regex` and `CharDfa` against backtracking engines and set arithmetic."""

from __future__ import annotations

import itertools
import re
import string

import pytest
import regex as oracle
from hypothesis import given
from hypothesis import strategies as st

from grammars.errors import BudgetExceeded
from grammars.regex import CharDfa, Regex, parse
from grammars.regex.charset import ALL
from tests.strategies.regexes import ALPHABET, patterns, plain_patterns, texts


def compiled(pattern: str) -> oracle.Pattern[str]:
    """The oracle's reading: ASCII classes, and `$` at the very end only."""
    return oracle.compile(pattern.replace("$", r"\Z"), oracle.V1 | oracle.A)


def all_texts(alphabet: str, longest: int) -> list[str]:
    return ["".join(t) for n in range(longest + 1) for t in itertools.product(alphabet, repeat=n)]


def dead_states(dfa: CharDfa, limit: int = 300) -> set[int] | None:
    """States that cannot reach acceptance, by exploring everything; None when there are more than `limit` states."""
    order, before = [dfa.start], {}
    seen = {dfa.start}
    for state in order:
        for _, _, target in dfa.ranges(state):
            before.setdefault(target, set()).add(state)
            if target not in seen:
                seen.add(target)
                order.append(target)
        if len(order) > limit:
            return None
    stack = [state for state in order if dfa.accepting(state)]
    good = set(stack)
    while stack:
        for state in before.get(stack.pop(), ()):
            if state not in good:
                good.add(state)
                stack.append(state)
    return seen - good


@given(patterns, st.lists(texts, min_size=4, max_size=12))
def test_search_and_full_match_agree_with_a_backtracking_engine(pattern: str, samples: list[str]) -> None:
    expected = compiled(pattern)
    found = CharDfa(parse(pattern, dialect="python", search=True))
    whole = CharDfa(parse(pattern, dialect="python", search=False))
    for text in samples:
        assert found.matches(text) == bool(expected.search(text))
        assert whole.matches(text) == bool(expected.fullmatch(text))


@given(patterns, patterns)
def test_every_state_can_reach_acceptance(one: str, other: str) -> None:
    left, right = parse(one, dialect="python", search=True), parse(other, dialect="python", search=False)
    for language in (left, left & right, left - right, ~left):
        dfa = CharDfa(language)
        if dfa.start >= 0:
            assert not dead_states(dfa)
            assert dfa.matches(dfa.example())


@given(plain_patterns, patterns, patterns, st.lists(texts, min_size=4, max_size=12))
def test_set_operations_are_those_of_sets(one: str, other: str, third: str, samples: list[str]) -> None:
    languages = [parse(p, dialect="python", search=i > 0) for i, p in enumerate((one, other, third))]
    a, b, c = languages
    dfas = [CharDfa(language) for language in (a, b, c)]
    combined = [CharDfa(language) for language in (a & b, a | b, ~a, a - b, (a | b) & ~c, a - (b | c))]
    for text in samples:
        x, y, z = (dfa.matches(text) for dfa in dfas)
        expected = [x and y, x or y, not x, x and not y, (x or y) and not z, x and not (y or z)]
        assert [dfa.matches(text) for dfa in combined] == expected


@given(patterns, patterns, st.lists(texts, min_size=4, max_size=12))
def test_concatenation_and_repetition_fence_assertions(one: str, other: str, samples: list[str]) -> None:
    """`^` in the second operand means its own beginning."""
    a, b = (parse(p, dialect="python", search=False) for p in (one, other))
    joined, twice = CharDfa(a.concat(b)), CharDfa(a.repeat(2, 2))
    for text in samples:
        cuts = range(len(text) + 1)
        assert joined.matches(text) == any(a.matches(text[:i]) and b.matches(text[i:]) for i in cuts)
        assert twice.matches(text) == any(a.matches(text[:i]) and a.matches(text[i:]) for i in cuts)


ANCHORED = [
    "a|^b", "(^a|b)$", "^$|^x", "x$y", "x^y", "(?!a)b", "^(?!.*fo).*$", r"\bfo\b", "^(?:(?!x).)*y$", "(a$|b)*x",
    "(?<=a)b", "(?<!a)b", "(^|,)x", "(?:^a|$)+", "(?=a$)a", "^(a|ab)(x|bx)(y*)$", r"^(?=.*a)(?=.*b).{2,3}$",
    "a(?=(?:))",
    "(?:(?:a|^)){2}", "^^a$$", "(?:a$)?b", r"\Ba\B", "(?<=^a)b", r"(?<=\bx)y", "", "^", "$", "^$", "a*$", "^a*",
]  # fmt: skip


@pytest.mark.parametrize("pattern", ANCHORED)
def test_anchors_anywhere(pattern: str) -> None:
    """Exhaustively over short texts."""
    dfa, expected = CharDfa(parse(pattern, search=True)), re.compile(pattern.replace("$", r"\Z"))
    for text in all_texts("abxy\n,", 4) + all_texts("fo ", 4):
        assert dfa.matches(text) == bool(expected.search(text)), text


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("^[a-z0-9]+$", ("09az", 1, None)),
        ("^.{1,20}$", (None, 1, 20)),
        ("^[ab]{2}[ab]*$", ("ab", 2, None)),
        ("^(?:[ab])?$", ("ab", 0, 1)),
        ("^a$", ("aa", 1, 1)),
        ("[a-z]", None),
        ("^[a-z]+", None),
        ("^ab$", None),
        ("^$", None),
        ("^(?:ab)+$", None),
        ("^(?:[ab]{2})+$", None),
    ],
)
def test_counted(pattern: str, expected: tuple[str | None, int, int | None] | None) -> None:
    counted = parse(pattern, search=True).counted()
    if expected is None:
        assert counted is None
        return
    ends, low, high = expected
    assert counted is not None and counted[1:] == (low, high)
    if ends is not None:
        codes = [ord(c) for c in ends]
        assert counted[0] == tuple(zip(codes[::2], codes[1::2], strict=True))


def test_counted_is_the_language_also_after_intersection() -> None:
    assert Regex.any_string().counted() == (ALL, 0, None)
    assert Regex.length(2, 5).counted() == (ALL, 2, 5)
    assert (parse("^[a-z]+$", search=True) & Regex.length(0, 9)).counted() == (((97, 122),), 1, 9)
    assert (parse("^[ab]*$", search=True) & parse("^[c]*$", search=True)).counted() is None


@pytest.mark.parametrize("pattern", ["", "a*", ".*", "^", "$", "a?$", "^a*", "(?:)|x", "x|"])
def test_universal_patterns(pattern: str) -> None:
    assert parse(pattern, search=True).is_universal()
    assert parse(pattern, search=True).counted() == (ALL, 0, None)


@pytest.mark.parametrize("pattern", ["^.*$", "a", "^$", "^a*$", "."])
def test_not_universal(pattern: str) -> None:
    assert not parse(pattern, search=True).is_universal()


def test_huge_bounds_cost_nothing_up_front() -> None:
    dfa = CharDfa(parse("^(?:[a-z]{1,10000}-){0,10000}$", search=True) & Regex.length(20_000, 90_000))
    state = dfa.start
    for char in string.ascii_lowercase + "-abc-":
        state = dfa.step(state, ord(char))
    assert state >= 0


def test_overlapping_counts_merge() -> None:
    """Without merging r{a,b}k with r{c,d}k, the states of this pattern grow with the square of the bound."""
    dfa = CharDfa(parse("^(?:a|b){0,500}(?:a|b){0,500}c$", search=True))
    state = dfa.start
    for _ in range(900):
        state = dfa.step(state, 97)
    assert state >= 0


def test_literals_of_a_large_choice_are_quick() -> None:
    words = [f"w{i * 7919 % 100_000:05}" for i in range(2_000)]
    dfa = CharDfa(Regex.literals(words))
    assert dfa.matches(words[77]) and not dfa.matches("w") and not dfa.matches(words[0] + "x")


def test_an_exploding_pattern_names_its_budget() -> None:
    blown = parse("^(?:a|b)*a(?:a|b){18}$", search=True) & ~parse("^(?:a|b)*b(?:a|b){17}$", search=True)
    dfa = CharDfa(blown & ~parse("^(?:a|b)*$", search=True) | Regex.literal("x"), max_states=500)
    with pytest.raises(BudgetExceeded, match="max_states"):
        for state in itertools.count():
            dfa.moves(state)


def test_surrogates_are_no_characters() -> None:
    dfa = CharDfa(Regex.any_string())
    assert dfa.step(dfa.start, 0xD800) == -1
    assert [(low, high) for low, high, _ in dfa.ranges(dfa.start)] == [(0, 0xD7FF), (0xE000, 0x10FFFF)]
    assert parse(r"[\ud800-\udfff]", search=True).is_empty()


def test_equal_languages_from_equal_patterns_are_equal_values() -> None:
    assert parse("^a+$", search=True) == parse("^(?:a)+$", search=True)
    assert hash(parse("a", search=True)) != hash(parse("b", search=True))


@given(st.text(max_size=5), st.text(ALPHABET, max_size=5))
def test_literal_is_one_text(text: str, other: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    language = Regex.literal(text)
    assert language.matches(text) and language.matches(other) == (text == other)
    assert language.example() == text


def after(dfa: CharDfa, states: set[int], mask: int) -> set[int]:
    """The states after one more character of the mask."""
    bits = [1 << bit for bit in range(mask.bit_length()) if mask >> bit & 1]
    return {next((t for m, t in dfa.moves(s) if m & bit), -1) for s in states if s >= 0 for bit in bits}


@pytest.mark.parametrize(
    "pattern",
    ["[ab]{0,3}", "[ab]{1,3}c", "(?:[ab]{0,4}a)?c{2}", "a(?:[ab]{0,3}b)?(?:c[ab]*)*", "[ab]{2,}|c", "(?:[ab]|c)*b",
     "(?:[ab]{0,4}a)?(?:b[ab])*", "[ab]{0,4}(?:ba)?", "(?:[ab]{0,2}a)*c", "[ab]{0,3}|a{5}"],
)  # fmt: skip
@pytest.mark.parametrize("length", [(0, None), (0, 5), (0, 7), (3, 6)])
@pytest.mark.parametrize("tail", ["", "c", "a"])
def test_free_texts_stay_alive_and_end_in_time(pattern: str, length: tuple[int, int | None], tail: str) -> None:
    """Of each state: whatever is made of the classes it names is alive, and as near to an end as it says; and what is
    longer or goes on otherwise is dead, where it says so."""
    dfa = CharDfa((parse(pattern, search=False) & Regex.length(*length)).concat(parse(tail, search=False)))
    states = [dfa.start]
    for state in states:
        mask, most, due, last, beyond = dfa.free(state)
        front, strict = {state}, {state}
        for count in range(9):
            if count <= most and mask:
                assert min(front) >= 0
                assert max(map(dfa.nearest, front)) <= due
            if count <= most and mask & ~last:
                assert max(after(dfa, strict, dfa.alphabet.full & ~(mask | beyond)), default=-1) < 0
            front = after(dfa, front, mask)
            strict = after(dfa, strict, mask & ~last)
            if count >= most:
                assert max(strict, default=-1) < 0
        states += [t for t in dict.fromkeys(t for _, t in dfa.moves(state)) if t not in states]


def test_characters_that_one_must_have_and_the_other_cannot_show_that_nothing_is_left() -> None:
    """Without a search: the term itself is empty."""
    assert CharDfa(parse("ab*c", search=False) & parse("[ab]*|x", search=False), max_states=0).start < 0
    assert CharDfa(parse("(?:ab){2}c", search=False) & parse("(?:[ab]*|x)[cd]", search=False)).start >= 0
