"""`ByteDfa` against Python's own encoders: `str.encode`, `json.dumps`, `json.loads`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars.regex import ENCODINGS, ByteDfa, CharDfa, Regex, parse
from grammars.regex.charset import normalise
from tests.strategies.regexes import patterns

CHARACTERS = st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from('"\\/\n\x00\x1f\x7fé€😀'))
STRINGS = st.text(CHARACTERS, max_size=6)
CORNERS = ["\x00", "\x1f", "\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff"]


def run(dfa: ByteDfa, data: bytes) -> bool:
    state = dfa.start
    for byte in data:
        if state < 0:
            return False
        state = dfa.row(state)[byte]
    return state >= 0 and dfa.label(state) == 0


def canonical(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:].encode()


def any_spelling(draw: st.DrawFn, text: str) -> bytes:
    """One of the spellings that RFC 8259 allows for `text`, with its closing quote."""
    out = []
    for char in text:
        encoded = char.encode("utf-16-be")
        units = [int.from_bytes(encoded[i : i + 2], "big") for i in range(0, len(encoded), 2)]
        spellings = ["".join(f"\\u{unit:04x}" for unit in units), "".join(f"\\u{unit:04X}" for unit in units)]
        if char >= " " and char not in '"\\':
            spellings.append(char)
        if char in '"\\/\b\f\n\r\t':
            spellings.append("\\" + '"\\/bfnrt'['"\\/\b\f\n\r\t'.index(char)])
        out.append(draw(st.sampled_from(spellings)))
    return ("".join(out) + '"').encode()


spellings = st.composite(lambda draw: (text := draw(STRINGS), any_spelling(draw, text)))()


@given(STRINGS)
def test_any_string_in_each_encoding(text: str) -> None:
    dfas = {name: ByteDfa(CharDfa(Regex.any_string()), name) for name in ENCODINGS}
    assert run(dfas["utf8"], text.encode())
    assert run(dfas["json"], canonical(text))
    assert run(dfas["json_any"], canonical(text))
    assert run(dfas["json_any"], json.dumps(text)[1:].encode())


@given(st.binary(max_size=6))
def test_utf8_accepts_exactly_what_decodes(data: bytes) -> None:
    try:
        data.decode()
        good = True
    except UnicodeDecodeError:
        good = False
    assert run(ByteDfa(CharDfa(Regex.any_string()), "utf8"), data) == good


ESCAPES = st.lists(
    st.sampled_from([*'\\"u0189aDdCfbn/é\n', "00", "\\ud8", "\\uDc0"]),
    max_size=9,
).map("".join)  # fmt: skip


@given(ESCAPES)
def test_json_any_accepts_exactly_what_loads(text: str) -> None:
    try:
        value = json.loads(f'"{text}"')
        value.encode()
        good = True
    except ValueError:
        good = False
    data = (text + '"').encode()
    assert run(ByteDfa(CharDfa(Regex.any_string()), "json_any"), data) == good
    assert run(ByteDfa(CharDfa(Regex.any_string()), "json"), data) == (good and canonical(value) == data)


@given(patterns, st.lists(spellings, min_size=2, max_size=6))
def test_patterns_hold_through_every_spelling(pattern: str, samples: list[tuple[str, bytes]]) -> None:
    chars = CharDfa(parse(pattern, dialect="python", search=True))
    if chars.start < 0:
        return
    utf8, json_any, plain = (ByteDfa(chars, name) for name in ("utf8", "json_any", "json"))
    for text, spelled in samples:
        expected = chars.matches(text)
        assert run(utf8, text.encode()) == expected
        assert run(json_any, spelled) == expected
        assert run(plain, canonical(text)) == expected


BORDERS = st.lists(
    st.tuples(st.integers(0, 0x10FFFF), st.integers(0, 0x10FFFF)).map(lambda p: (min(p), max(p))), max_size=4
)


@given(BORDERS, st.lists(st.sampled_from(CORNERS) | st.characters(exclude_categories=["Cs"]), max_size=20))
def test_class_borders_inside_sequences(ranges: list[tuple[int, int]], samples: list[str]) -> None:
    """Ranges that begin and end anywhere, tried at their ends and next to them."""
    charset = normalise(ranges)
    if not charset:
        return
    chars = CharDfa(Regex.chars(charset))
    near = [code + d for low, high in charset for code in (low, high) for d in (-1, 0, 1)]
    samples += [chr(code) for code in near if 0 <= code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF]
    for name in ENCODINGS:
        dfa = ByteDfa(chars, name)
        for char in samples:
            data = char.encode() if name == "utf8" else canonical(char)
            assert run(dfa, data) == any(low <= ord(char) <= high for low, high in charset)
            if name == "json_any":
                assert run(dfa, json.dumps(char)[1:].encode()) == run(dfa, data)


@given(patterns, st.sampled_from(ENCODINGS))
def test_every_byte_state_can_reach_acceptance(pattern: str, encoding: str) -> None:
    chars = CharDfa(parse(pattern, dialect="python", search=True))
    if chars.start < 0:
        return
    dfa = ByteDfa(chars, encoding)
    order, before = [dfa.start], {}
    for state in order:
        for target in {t for t in dfa.row(state) if t >= 0}:
            if target not in before and target != dfa.start:
                order.append(target)
            before.setdefault(target, set()).add(state)
        if len(order) > 400:
            return
    stack = [state for state in order if dfa.label(state) >= 0]
    good = set(stack)
    while stack:
        for state in before.get(stack.pop(), ()):
            if state not in good:
                good.add(state)
                stack.append(state)
    assert set(order) == good


@pytest.mark.parametrize(("encoding", "most"), [("utf8", 8), ("json", 15), ("json_any", 21)])
def test_any_string_has_few_states(encoding: str, most: int) -> None:
    """Places inside a character are shared: by hand, json is 1 + 7 in UTF-8 + 6 in escapes + the end."""
    dfa = ByteDfa(CharDfa(Regex.any_string()), encoding)
    seen = [dfa.start]
    for state in seen:
        seen.extend(sorted({t for t in dfa.row(state) if t >= 0} - set(seen)))
    assert len(seen) <= most


def test_boundaries_and_the_end() -> None:
    dfa = ByteDfa(CharDfa(Regex.any_string()), "json")
    assert dfa.boundary(dfa.start)
    inside, between = (b"\\", b"\\u", b"\xc3", b'"'), (b"a", b"\xc3\xa9", b"\\n")
    for data, expected in [(data, False) for data in inside] + [(data, True) for data in between]:
        state = dfa.start
        for byte in data:
            state = dfa.row(state)[byte]
        assert dfa.boundary(state) == expected
    end = dfa.row(dfa.start)[0x22]
    assert dfa.label(end) == 0 and set(dfa.row(end)) == {-1}


def test_equal_languages_share_a_key() -> None:
    one, other = (ByteDfa(CharDfa(parse("^a+$", search=True)), "json") for _ in range(2))
    assert one.key == other.key and hash(one.key) == hash(other.key)
    assert one.key != ByteDfa(CharDfa(parse("^a+$", search=True)), "utf8").key
    with pytest.raises(ValueError, match="utf8, json, json_any"):
        ByteDfa(CharDfa(Regex.any_string()), "latin1")
