"""Number automata against exact arithmetic on fractions, and against what json.dumps prints."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grammars._divisors import Divisors
from grammars._scientific import Scientific
from grammars.numbers import number_dfa

BOUNDS = ("minimum", "maximum", "exclusive_minimum", "exclusive_maximum")

_bound = st.one_of(
    st.none(),
    st.integers(-130, 130),
    st.sampled_from([0, 1, -1, 100, 1e5, -1e3, 1e-3, 1e20, 0.1, 5e-7, 2**53 + 1]),
    st.integers(-3000, 3000).map(lambda n: Decimal(n) / 100),
)
_step = st.sampled_from([None, None, None, 1, 2, 3, 7, 10, 25, 1000, 0.5, 0.01, 0.3, 2.5, Decimal("0.075")])
_several = st.sampled_from([(), (2, 3), (0.5, 0.3), (4, 6), (1000,)])
_denied = st.sampled_from([(), (1,), (2,), (0.5,), (3,), (2, 3), (0.1,), (4, 6), (7, 0.25)])
constraints = st.fixed_dictionaries({**{name: st.none() | _bound for name in BOUNDS}, "multiple_of": _step})


def exact(value: Any) -> Fraction:
    return Fraction(Decimal(repr(value))) if isinstance(value, float) else Fraction(value)


def obeys(value: Fraction, limits: dict[str, Any], integer: bool = False) -> bool:
    low, high, above, below, step = (
        None if limits.get(name) is None else exact(limits[name]) for name in (*BOUNDS, "multiple_of")
    )
    return (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
        and (step is None or (value / step).denominator == 1)
        and (not integer or value.denominator == 1)
    )


def accepts(dfa: Any, text: str) -> bool:
    if dfa is None:
        return False
    state = dfa.start
    for byte in text.encode():
        state = dfa.row(state)[byte]
        if state < 0:
            return False
    return dfa.label(state) >= 0


def states(dfa: Any, limit: int) -> Iterator[int]:
    order, seen = [dfa.start], {dfa.start}
    for state in order:
        yield state
        for target in sorted({t for t in dfa.row(state) if t >= 0} - seen):
            if len(order) < limit:
                seen.add(target)
                order.append(target)


digits = st.text("0123456789", min_size=1, max_size=4)
whole = st.one_of(st.integers(0, 150).map(str), st.sampled_from(["0", "1", "10", "12000", "99999", "1" + "0" * 20]))
plain = st.tuples(st.sampled_from(["", "-"]), whole, st.one_of(st.just(""), digits.map(".".__add__))).map("".join)
powers = st.sampled_from([*"01234579", "00", "007", "10", "20", "18"])
exponents = st.tuples(st.sampled_from(["e", "E"]), st.sampled_from(["", "+", "-"]), powers)
spellings = st.tuples(plain, st.one_of(st.just(""), exponents.map("".join))).map("".join)


@given(constraints, st.booleans(), st.lists(spellings, min_size=10, max_size=30))
def test_any_spelling_is_accepted_for_its_value(limits: dict[str, Any], integer: bool, texts: list[str]) -> None:
    dfa = number_dfa(integer=integer, spelling="any", **limits)
    for bound in limits.values():
        if bound is not None:
            texts.append(json.dumps(float(bound)))
    for text in texts:
        assert accepts(dfa, text) == obeys(Fraction(text), limits, integer), text


printed = st.one_of(
    st.integers(-200, 200), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.floats(-200, 200),
    st.integers(-20000, 20000).map(lambda n: n / 100),
)  # fmt: skip


@given(constraints, st.lists(printed, min_size=10, max_size=30))
def test_canonical_is_what_json_dumps_prints(limits: dict[str, Any], values: list[float]) -> None:
    """Both ways for what it prints; for what it would not print, nothing wrong is accepted."""
    numbers, integers = number_dfa(integer=False, **limits), number_dfa(integer=True, **limits)
    ends = [float(bound) for bound in limits.values() if bound is not None]
    values += ends + [math.nextafter(end, 0) for end in ends]
    for value in values:
        text = json.dumps(value)
        assert accepts(numbers, text) == obeys(Fraction(text), limits), text
        assert accepts(integers, text) == (isinstance(value, int) and obeys(Fraction(text), limits)), text


wanted_and_denied = st.fixed_dictionaries(
    {**{name: st.none() | _bound for name in BOUNDS}, "multiple_of": _several, "not_multiple_of": _denied}
)


def divides(limits: dict[str, Any], value: Fraction) -> bool:
    return all((value / exact(step)).denominator == 1 for step in limits["multiple_of"]) and not any(
        (value / exact(step)).denominator == 1 for step in limits["not_multiple_of"]
    )


@given(
    wanted_and_denied,
    st.sampled_from(["number", "integer", "plain", "pointed"]),
    st.lists(spellings, min_size=10, max_size=30),
)
def test_several_divisors_and_denied_ones(limits: dict[str, Any], form: str, texts: list[str]) -> None:
    """In any spelling exactly; the canonical language lies within, but for intervals between two doubles."""
    plain, pointed, integer = form == "plain", form == "pointed", form in ("integer", "plain")
    free = number_dfa(integer=integer, plain_integer=plain, pointed=pointed, spelling="any", **limits)
    canonical = number_dfa(integer=integer, plain_integer=plain, pointed=pointed, **limits)
    bounds = {name: limits[name] for name in BOUNDS}
    for text in texts:
        value = Fraction(text)
        good = obeys(value, bounds, integer) and divides(limits, value) 
        good = good and not (plain if set(text) & set(".eE") else pointed)
        assert accepts(free, text) == good, text
        assert good or not accepts(canonical, text), text
        if good and canonical is not None and json.dumps(json.loads(text)) == text:
            assert accepts(canonical, text) == (not integer or "." not in text), text
    if free is None:
        assert canonical is None
        assert not any(
            obeys(Fraction(n, 40), bounds, integer) and divides(limits, Fraction(n, 40)) for n in range(-6_000, 6_001)
        )


@given(wanted_and_denied, st.booleans(), st.sampled_from(["canonical", "any"]))
def test_distances_lead_to_an_end(limits: dict[str, Any], integer: bool, spelling: str) -> None:
    """0 exactly where a number may end; else some next byte lowers them; all within the bound."""
    dfa = number_dfa(integer=integer, spelling=spelling, **limits)
    if dfa is None:
        return
    for state in states(dfa, 150):
        near, other, most = dfa.distances(state)
        assert (near == 0) == (dfa.label(state) >= 0)
        assert near <= most < other
        if near:
            assert min(dfa.distances(target)[0] for target in dfa.row(state) if target >= 0) < near


@given(st.sampled_from(["canonical", "any"]), st.lists(spellings, min_size=5, max_size=20), _bound)
def test_no_spelling_overflows_a_double(spelling: str, texts: list[str], low: Any) -> None:
    dfa = number_dfa(integer=False, exclusive_minimum=low, spelling=spelling)
    for text in (*texts, "1e309", "17e307", "18e307", "1.8e308", "1" * 309 + ".5", "1" * 308 + ".5", "1e-400", "3e999"):
        if accepts(dfa, text):
            assert math.isfinite(json.loads(text)), text


def reads_within(text: str, limits: dict[str, Any]) -> bool:
    """Whether the bounds hold for what a reader of JSON makes of a number with a point, too."""
    bounds = {name: exact(limits[name]) for name in BOUNDS if limits[name] is not None}
    read = {name: Fraction(float(bound)) if bound % 1 else bound for name, bound in bounds.items()}
    return obeys(Fraction(json.loads(text)), read)


@example({**dict.fromkeys([*BOUNDS, "multiple_of"]), "exclusive_minimum": 1e20}, ["100000000000000000000.1"])
@given(constraints, st.lists(plain, min_size=10, max_size=30))
def test_canonical_plain_numbers(limits: dict[str, Any], texts: list[str]) -> None:
    numbers = number_dfa(integer=False, **limits)
    places = 21 if limits["multiple_of"] is None else max(1, -Decimal(str(limits["multiple_of"])).as_tuple().exponent)  # type: ignore[operator]
    for text in texts:
        fits = text != "-0" and len(text.partition(".")[2]) <= places
        assert accepts(numbers, text) == (fits and obeys(Fraction(text), limits) and reads_within(text, limits)), text


@settings(max_examples=max(10, settings().max_examples // 4))
@given(constraints, st.booleans(), st.sampled_from(["canonical", "any"]))
def test_every_state_can_reach_a_number(limits: dict[str, Any], integer: bool, spelling: str) -> None:
    """No explored state is cut off from both the accepting ones and the border of what was explored."""
    dfa = number_dfa(integer=integer, spelling=spelling, **limits)
    if dfa is None:
        return
    explored, before = set(), {}
    for state in states(dfa, 300):
        explored.add(state)
        for target in {t for t in dfa.row(state) if t >= 0}:
            before.setdefault(target, set()).add(state)
    stack = [s for s in explored if dfa.label(s) >= 0] + [s for s in before if s not in explored]
    good = set(stack)
    while stack:
        for state in before.get(stack.pop(), set()) - good:
            good.add(state)
            stack.append(state)
    assert explored <= good


@settings(max_examples=max(10, settings().max_examples // 3))
@given(constraints, st.booleans())
def test_none_means_empty(limits: dict[str, Any], integer: bool) -> None:
    """By a search of all multiples of 1/40 in [-150, 150], which hold a witness for all but tiny intervals."""
    if number_dfa(integer=integer, spelling="any", **limits) is None:
        assert not any(obeys(Fraction(n, 40), limits, integer) for n in range(-6_000, 6_001))


@pytest.mark.parametrize(
    ("limits", "accepted", "refused"),
    [
        ({}, "0 7 -7 1.5 -0.0 1e-07 1.5e+16", "01 .5 1. +1 1e5 1E-07 1e-7 NaN"),
        ({}, "5e-324 1.7976931348623157e+308", "3e-324 1e+309 1.8e+308"),
        ({"integer": True}, "0 -1 123456789012345678901234567890", "-0 1.0 1e3 00 -01 -"),
        ({"integer": True, "spelling": "any"}, "1.0 10e-1 -0 0e99 1e2 120.00e-1 0.5e1", "0.5 1e-1 15e-1 1.05e1"),
        ({"minimum": 0}, "0 0.5 1e-07 -0.0 1e+300", "-1 -0.1 -1e-07"),
        ({"exclusive_minimum": 0}, "1 0.001 5e-324", "0 0.0 -1 -0.0"),
        ({"exclusive_maximum": 0.1}, "0.09 0.09999999999999999", "0.1 0.0999999999999999999"),
        ({"maximum": 1e16}, "1e+16 10000000000000000", "1.1e+16 1e+17"),
        ({"integer": True, "minimum": 18, "maximum": 120}, "18 20 99 100 120", "17 121 1 1200 -18"),
        ({"multiple_of": 0.01}, "0.01 19.99 3 3.0 2.5", "0.001 0.015"),
        ({"integer": True, "multiple_of": 1000003}, "0 1000003 -2000006", "1000004"),
        ({"multiple_of": 0.01, "spelling": "any"}, "1.50e1 1e-2 100e-4 0.0100 3e5", "1e-3 1.5e-2 0.005"),
        ({"minimum": 150, "maximum": 160, "spelling": "any"}, "1.5e2 15E+1 1600e-1 155.5 0.155e3", "1.4e2 1.61e2 15"),
        ({"integer": True, "multiple_of": 2.5}, "0 5 -10", "2 3"),
        ({"multiple_of": (0.6, 0.9)}, "0 1.8 -3.6 9", "0.6 0.9 2.7"),
        ({"not_multiple_of": (1,)}, "0.5 -1.25 1e-07", "0 1 1.0 1e+16 -0.0"),
        ({"not_multiple_of": (1,), "spelling": "any"}, "15e-1 0.5 1.50 3E-1", "0 1.0 10e-1 0e5 5e0 1.5e1"),
        ({"integer": True, "not_multiple_of": (2, 3), "minimum": 0, "maximum": 9}, "1 5 7", "0 2 3 4 6 8 9"),
        ({"integer": True, "plain_integer": True, "spelling": "any"}, "0 -0 12", "1.0 1e2 0.0"),
        ({"spelling": "any"}, "1.7976931348623157e308 17e307 5E-324 0e999", "1.8e308 1e400 1e-400 0e1000"),
    ],
)  # fmt: skip
def test_by_hand(limits: dict[str, Any], accepted: str, refused: str) -> None:
    dfa = number_dfa(**{"integer": False, **limits})
    assert [t for t in accepted.split() if not accepts(dfa, t)] == []
    assert [t for t in refused.split() if accepts(dfa, t)] == []


@pytest.mark.parametrize(
    "limits",
    [
        {"integer": True, "minimum": 1.1, "maximum": 1.9},
        {"integer": False, "minimum": 2, "maximum": 1},
        {"integer": False, "minimum": 2, "exclusive_maximum": 2},
        {"integer": True, "minimum": 1, "maximum": 6, "multiple_of": 7},
        {"integer": False, "exclusive_minimum": 0, "exclusive_maximum": 0.5, "multiple_of": 0.5},
        {"integer": True, "not_multiple_of": (0.5,)},
        {"integer": False, "multiple_of": (4, 6), "not_multiple_of": (12, 24)},
        {"integer": False, "minimum": 3, "maximum": 3, "not_multiple_of": (1,)},
        {"integer": True, "minimum": 2, "maximum": 4, "not_multiple_of": (2, 3)},
        {"integer": True, "minimum": 10**12 + 1, "maximum": 10**12 + 5000, "multiple_of": 10**9 + 7},
    ],
)
@pytest.mark.parametrize("spelling", ["canonical", "any"])
def test_empty(limits: dict[str, Any], spelling: str) -> None:
    assert number_dfa(spelling=spelling, **limits) is None


def test_a_large_step_needs_no_search() -> None:
    dfa = number_dfa(integer=True, minimum=10**15, maximum=10**18, multiple_of=998_244_353)
    assert accepts(dfa, str(998_244_353 * 10**7)) and not accepts(dfa, str(998_244_353 * 10**7 + 1))


def test_a_number_between_two_doubles_is_still_a_decimal() -> None:
    dfa = number_dfa(integer=False, exclusive_minimum=0.1, exclusive_maximum=Decimal("0.1000000000000000001"))
    assert accepts(dfa, "0.10000000000000000005") and not accepts(dfa, "0.1")


def test_equal_constraints_share_an_automaton() -> None:
    assert number_dfa(integer=True, minimum=3) is number_dfa(integer=True, minimum=3.0)
    assert number_dfa(integer=True, minimum=3).key != number_dfa(integer=True, minimum=4).key  # type: ignore[union-attr]


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="canonical"):
        number_dfa(integer=True, spelling="short")
    with pytest.raises(ValueError, match="positive"):
        number_dfa(integer=True, multiple_of=0)


@pytest.mark.parametrize("seed", range(8))
def test_what_can_be_reached_does_not_depend_on_where_the_point_stands(seed: int) -> None:
    """Exponents make up for it: states told apart by less are live as those of the whole search."""
    draw = random.Random(seed)
    for _ in range(12):
        low = Fraction(draw.choice((1, 7, 16, 99, 1000, Fraction(1, 2), Fraction(1, 10**5))))
        high = low * draw.choice((1, 2, 10, 37)) + draw.choice((0, 1, 5))
        step = draw.choice((1, 2, 3, 7, 16, 25, Fraction(1, 4), Fraction(3, 2), 60))
        banned = tuple(Fraction(value) for value in draw.sample((2, 5, 9, 30), draw.randint(0, 1)))
        ends = (low, draw.random() < 0.5), (high, draw.random() < 0.5)
        fast, slow = (Scientific(*ends, Divisors(Fraction(step), banned), canonical=False) for _ in range(2))
        assert fast.shifts
        slow.shifts = False
        fast.most_places = slow.most_places = draw.choice((3, 5))
        for _ in range(20):
            state = fast.start
            for _ in range(draw.randint(1, 9)):
                state = fast.step(state, draw.choice(b"0012345.6789e+-")) or state
                assert fast.live(state) == slow.live(state), (seed, ends, step, banned, state)
