"""Formats against the official test suite, `jsonschema`'s checkers, and the calendar."""

from __future__ import annotations

import calendar
import datetime
import ipaddress
import json
import random
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from grammars.formats import FORMATS, format_bound, format_regex
from grammars.jsonschema import SchemaCompiler
from grammars.regex import CharDfa
from grammars.schema_ir import ObjectValue

CHECKER = Draft202012Validator.FORMAT_CHECKER


@cache
def dfa(name: str) -> CharDfa:
    language = format_regex(name)
    assert language is not None
    return CharDfa(language)


def judged(name: str, text: str) -> bool:
    """jsonschema's verdict; a checker that trips over the text refuses it."""
    try:
        return CHECKER.conforms(text, name)
    except Exception:
        return False


@pytest.fixture(scope="module")
def suite(data_dir: Path) -> dict[str, Any]:
    """optional/format/*.json of the official suite (draft 2020-12), by name of the file."""
    archive = data_dir / "json-schema-test-suite.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no official test suite: put json-schema-test-suite.tar.xz into {data_dir}")
    found = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if "/draft2020-12/optional/format/" in member.name and member.name.endswith(".json"):
                stream = tar.extractfile(member)
                assert stream is not None
                found[Path(member.name).stem] = json.load(stream)
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_official_suite(name: str, suite: dict[str, Any]) -> None:
    wrong = []
    for group in suite.get(name, []):
        for case in group["tests"]:
            text = case["data"]
            if not isinstance(text, str) or dfa(name).matches(text) == case["valid"]:
                continue
            if not (case["valid"] and narrower(name, text)):
                wrong.append((text, case["description"]))
    assert wrong == []


def narrower(name: str, text: str) -> bool:
    """Valid texts that are refused on purpose; the reasons are in the docstrings of `formats` and `_idn`."""
    if name in ("hostname", "idn-hostname") and text.lower().startswith("xn--"):
        return True
    return name == "idn-hostname" and (len(text) > 30 or text == "\u06fd\u06fe")


def walk(name: str, random: random.Random, longest: int = 40) -> str:
    """A random text of the language: a random walk that heads for the end when it gets long."""
    language = dfa(name)
    state, out = language.start, []
    while True:
        ranges = language.ranges(state)
        if language.accepting(state) and (not ranges or random.random() < 0.15 or len(out) > longest):
            return "".join(out)
        if len(out) > 4 * longest:
            return ""
        ascii_ranges = [r for r in ranges if r[0] < 0x7F]
        low, high, state = random.choice(ascii_ranges if ascii_ranges and random.random() < 0.9 else ranges)
        out.append(chr(random.choice((low, high, random.randint(low, high)))))


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_validates(name: str) -> None:
    """Random texts of the language pass jsonschema's checker (which knows neither leap seconds nor the year 0)."""
    source = random.Random(7)
    for _ in range(60):
        text = walk(name, source)
        if ":60" in text or text.startswith("0000") or not text:
            continue
        if name.startswith("iri") and max(text) > "\uffff":
            continue  # the checker refuses every character beyond U+FFFF
        if name == "regex":
            continue  # the checker asks Python, another dialect: see below
        if name == "uri-template" and "%" in text:
            continue  # the checker knows no percent-encoded variable names
        assert judged(name, text), text


NEAR = "0123456789:-.TZ+/abfx@%#?[]~{} é"


@pytest.mark.parametrize("name", ["date", "time", "date-time", "ipv4", "ipv6", "uuid", "json-pointer", "hostname"])
def test_near_misses_are_judged_alike(name: str) -> None:
    """One edit away from a valid text, for the formats whose checker follows the RFC."""
    source = random.Random(11)
    for _ in range(300):
        text = walk(name, source)
        at = source.randrange(len(text) + 1)
        edited = text[:at] + source.choice(["", source.choice(NEAR)]) + text[at + source.randint(0, 1) :]
        if ":60" in edited or edited.startswith("0000") or "é" in edited:
            continue
        if not (name == "hostname" and (edited.endswith(".") or "xn--" in edited.lower())):
            assert dfa(name).matches(edited) == judged(name, edited), edited


@given(st.integers(1, 9999), st.integers(0, 13), st.integers(0, 32))
def test_dates_follow_the_calendar(year: int, month: int, day: int) -> None:
    good = 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]
    assert dfa("date").matches(f"{year:04}-{month:02}-{day:02}") == good


@pytest.mark.parametrize("year", [1900, 2000, 2023, 2024, 2100, 2400])
def test_leap_years(year: int) -> None:
    assert dfa("date").matches(f"{year}-02-29") == calendar.isleap(year)


def test_leap_seconds_only_at_midnight_utc() -> None:
    """All 1,440 local times against all offsets of a coarse grid and the one that fits."""
    for minute in range(0, 1440, 7):
        clock = f"{minute // 60:02}:{minute % 60:02}:60"
        assert dfa("time").matches(f"{clock}Z") == (minute == 1439)
        fitting = (minute + 1) % 1440, 1439 - minute
        for offset in {*range(0, 1440, 61), *fitting}:
            zone = f"{offset // 60:02}:{offset % 60:02}"
            assert dfa("time").matches(f"{clock}+{zone}") == ((minute - offset) % 1440 == 1439)
            assert dfa("time").matches(f"{clock}-{zone}") == ((minute + offset) % 1440 == 1439)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("1998-12-31T23:59:60Z", True),
        ("1998-06-30T23:59:60.5z", True),
        ("1998-12-31T15:59:60-08:00", True),
        ("1999-01-01T00:59:60+01:00", True),
        ("1998-12-30T23:59:60Z", False),
        ("1998-12-31T00:59:60+01:00", False),
        ("1998-12-31T22:59:60Z", False),
    ],
)
def test_leap_seconds_only_at_the_end_of_june_and_december(text: str, good: bool) -> None:
    assert dfa("date-time").matches(text) == good


@given(st.lists(st.sampled_from(["::", ":", "0", "1", "ffff", "12345", "1.2.3.4", "1.2.3.256"]), max_size=17))
def test_ipv6_like_the_standard_library(parts: list[str]) -> None:
    text = "".join(parts)
    try:
        ipaddress.IPv6Address(text)
        good = True
    except ValueError:
        good = False
    assert dfa("ipv6").matches(text) == good


@given(st.datetimes(timezones=st.sampled_from([datetime.UTC])))
def test_isoformat_is_a_date_time(moment: datetime.datetime) -> None:
    assert dfa("date-time").matches(moment.isoformat())
    assert dfa("date").matches(moment.date().isoformat())


def test_hostname_lengths() -> None:
    hostname = dfa("hostname")
    assert hostname.matches("a" * 63) and not hostname.matches("a" * 64)
    assert hostname.matches(".".join(["a" * 49] * 5 + ["abc"]))
    assert not hostname.matches(".".join(["a" * 49] * 5 + ["abcd"]))


@pytest.mark.parametrize(
    ("pattern", "good"),
    [(text, True) for text in r"(?<year>\d{4}) (?<n>a)\k<n> (?<=a+)b (?!x)y| [] [^] \cA \bfoo\B".split()]
    + [(text, False) for text in r"(?<a>x)(?<a>y) \k<n>( ( * a{2,1} [b-a] a** (?<1>a) \A".split()],
)
def test_regex_is_ecma_262(pattern: str, good: bool) -> None:
    assert dfa("regex").matches(pattern) == good


@given(st.randoms(use_true_random=False))
def test_whatever_is_a_regex_is_read_by_an_ecma_262_engine(rnd: random.Random) -> None:
    regress = pytest.importorskip("regress", reason="pip install regress: the oracle of this test")
    automaton = dfa("regex")
    text, state = "", automaton.start
    while len(text) < 40 and not (len(text) > 8 and automaton.accepting(state)):
        low, high, state = rnd.choice([move for move in automaton.ranges(state) if move[0] < 0x80])
        text += chr(rnd.randint(low, min(high, 0x7E)))
    if automaton.accepting(state):
        regress.Regex(text)


def test_a_non_joiner_between_joining_letters() -> None:
    assert dfa("idn-hostname").matches("\u0628\u064a\u200c\u0628\u064a")
    assert not dfa("idn-hostname").matches("\u0627\u200c\u0628")


def test_unknown_formats_are_annotations() -> None:
    assert format_regex("color") is None


@pytest.mark.parametrize(
    "text", ["['\"]", r"^\s*(it|describe)\(\s*['\"]([^'\"]+)['\"]", r"[\w.-]+@[a-z0-9-]+", "[^`~|&{}]"]
)
def test_classes_of_regexes_hold_any_punctuation(text: str) -> None:
    language = format_regex("regex")
    assert language is not None and language.matches(text)


@pytest.mark.parametrize("name", FORMATS)
def test_what_lies_outside_is_surely_wrong(name: str, suite: dict[str, Any]) -> None:
    """No valid case is outside of the bound, not even one that the language from below leaves out."""
    bound = format_bound(name)
    assert bound is not None
    outside = CharDfa(~bound)
    for group in suite.get(name, []):
        for case in group["tests"]:
            assert not (case["valid"] and isinstance(case["data"], str) and outside.matches(case["data"])), case


def test_a_format_and_a_length_that_exclude_each_other() -> None:
    schema = {"properties": {"a": {"type": "string", "format": "date", "maxLength": 3}}}
    compiler = SchemaCompiler(schema)
    (objects,) = [a for a in compiler.resolve(compiler.root).alternatives if isinstance(a, ObjectValue)]
    assert [declared.value for declared in objects.properties] == [None]
