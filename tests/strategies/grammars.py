"""Grammars of every kind with the vocabularies that trouble them: what the engine's tests walk through.

A `Case` is a recipe, so that a test can build the same grammar twice, in terminal stores of its own. Names and strings
come from small pools with prefixes of each other, escapes and characters of several bytes; the vocabularies hold whole
keys, tokens that close one string and open the next, and pieces of escapes and of UTF-8 sequences.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from grammars import Grammar, Vocabulary
from grammars.automaton.lower_json import JsonLowering
from grammars.automaton.lower_text import lower_choice, lower_regex
from grammars.automaton.terminals import TerminalStore
from grammars.jsonschema import SchemaCompiler
from tests.strategies.regexes import plain_patterns

__all__ = [
    "Case",
    "Modes",
    "byte_vocabulary",
    "cases",
    "choice_case",
    "choice_cases",
    "json_schemas",
    "json_vocabularies",
    "modes",
    "regex_case",
    "regex_cases",
    "rich_vocabulary",
    "schema_case",
    "schema_cases",
    "unpacked",
]

Entries = list[bytes | None]


@dataclass(frozen=True, slots=True)
class Modes:
    """The three switches of a JSON grammar."""

    property_order: str = "schema"
    whitespace: str = "default"
    spelling: str = "canonical"


@dataclass(frozen=True)
class Case:
    """A grammar by recipe, and words of its texts for the vocabulary."""

    description: str
    build: Callable[[TerminalStore], Grammar]
    words: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return self.description

    def grammar(self) -> Grammar:
        """Built in a terminal store of its own, so that nothing is known yet."""
        return self.build(TerminalStore())


def unpacked(row: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The bits of a packed row, all words of it."""
    return np.unpackbits(row.view(np.uint8), bitorder="little").astype(bool)


# ------------------------------------------------------------------------------------------------------------ schemas

NAMES = ("a", "b", "ab", "abc", "", "é", "😀", 'q"', "\\", "n\n", "/", "c", "ba")
STRINGS = (*NAMES, "aa", "\u007f", "\x01", "\ud7ff", "￿")
PATTERNS = ("^a", "b$", "^[ab]*$", "^é?$", "a+", "^(a|b){1,2}$", "^.$", r"^\d+$", "^[^a]{2}", "^a[^b]*$")
KEY_PATTERNS = ("^a", "^b", "é", "^c.$", "^[^a]")

modes = st.builds(
    Modes,
    st.sampled_from(("schema", "any")),
    st.sampled_from(("default", "compact", "any")),
    st.sampled_from(("canonical", "any")),
)

_lengths = st.fixed_dictionaries({}, optional={"minLength": st.integers(0, 2), "maxLength": st.integers(2, 4)})
_number = st.sampled_from((-12, -1, 0, 1, 2, 7, 10, 99, 120))
_bounds = st.fixed_dictionaries({}, optional={"minimum": _number, "maximum": _number, "exclusiveMinimum": _number})
_literals = st.recursive(
    st.sampled_from((None, True, False, 0, 1, 12, -1, 1.5, *STRINGS)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
    max_leaves=4,
)
_scalars = st.one_of(
    _lengths.map(lambda lengths: {"type": "string", **lengths}),
    st.builds(lambda p, lengths: {"type": "string", "pattern": p, **lengths}, st.sampled_from(PATTERNS), _lengths),
    _bounds.map(lambda bounds: {"type": "number", **bounds}),
    st.builds(lambda m, bounds: {"type": "integer", **m, **bounds}, st.sampled_from(({}, {"multipleOf": 3})), _bounds),
    st.lists(_literals, min_size=1, max_size=4).map(lambda values: {"enum": values}),
    _literals.map(lambda value: {"const": value}),
    st.sampled_from(({"type": "null"}, {"type": "boolean"}, {"type": ["integer", "null", "string"]})),
)


@st.composite
def _objects(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(NAMES), max_size=5, unique=True))
    properties = {name: draw(inner) for name in names}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if draw(st.booleans()) and names:
        schema["required"] = draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
    extra = draw(st.sampled_from(("absent", "no", "no", "schema", "patterns", "both", "only patterns")))
    if extra in ("no", "only patterns"):
        schema["additionalProperties"] = False
    if extra in ("schema", "both"):
        schema["additionalProperties"] = draw(inner)
    if extra in ("patterns", "both", "only patterns"):
        found = draw(st.lists(st.sampled_from(KEY_PATTERNS), min_size=1, max_size=2, unique=True))
        schema["patternProperties"] = {pattern: draw(inner) for pattern in found}
    if draw(st.integers(0, 2)) == 0:
        schema["minProperties"] = draw(st.integers(0, 3))
    if draw(st.integers(0, 2)) == 0:
        schema["maxProperties"] = draw(st.integers(1, 3))
    return schema


@st.composite
def _arrays(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array"}
    if draw(st.booleans()):
        schema["prefixItems"] = draw(st.lists(inner, min_size=1, max_size=3))
    if draw(st.booleans()):
        schema["items"] = draw(inner | st.just(False))
    if draw(st.booleans()):
        schema["minItems"] = draw(st.integers(0, 3))
    if draw(st.booleans()):
        schema["maxItems"] = draw(st.integers(0, 4))
    return schema


def _compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    unions = st.lists(inner, min_size=2, max_size=3).map(lambda options: {"anyOf": options})
    return st.one_of(_objects(inner), _objects(inner), _arrays(inner), unions)


_leaves = st.one_of(_scalars, _scalars, st.just(True), st.just({"$ref": "#/$defs/d"}))
_nodes = st.recursive(_leaves, _compound, max_leaves=6)


def _with_definition(schema: Any, definition: Any) -> dict[str, Any]:
    return {**schema, "$defs": {"d": definition}}


# the definition is an object or an array, so that it cannot refer to itself on the spot
json_schemas = st.builds(
    _with_definition, st.one_of(_objects(_nodes), _objects(_nodes), _arrays(_nodes), _compound(_nodes), _scalars),
    _objects(_nodes) | _arrays(_nodes)
)  # fmt: skip


def _strings_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings_of(inner)


def schema_case(schema: Any, chosen: Modes = Modes()) -> Case:
    """The case of one schema."""

    def build(store: TerminalStore) -> Grammar:
        lowering = JsonLowering(
            SchemaCompiler(schema), store, property_order=chosen.property_order, whitespace=chosen.whitespace,
            spelling=chosen.spelling,
        )  # fmt: skip
        return Grammar(lowering.program, {"kind": "json", "source": schema})

    words = sorted({json.dumps(text, ensure_ascii=False).encode() for text in _strings_of(schema)} - {b'""'})
    return Case(f"schema_case({schema!r}, {chosen!r})", build, tuple(words))


schema_cases = st.builds(schema_case, json_schemas, modes)


# -------------------------------------------------------------------------------------------------------------- texts


def regex_case(pattern: str) -> Case:
    """The case of one pattern."""
    recipe = {"kind": "regex", "source": pattern}
    return Case(f"regex_case({pattern!r})", lambda store: Grammar(lower_regex(pattern, store), recipe))


def choice_case(options: tuple[str, ...]) -> Case:
    """The case of one list of texts."""
    words = tuple(option.encode() for option in options if option)
    recipe = {"kind": "choice", "source": list(options)}
    return Case(f"choice_case({options!r})", lambda store: Grammar(lower_choice(options, store), recipe), words)


regex_cases = plain_patterns.map(regex_case)
choice_cases = st.lists(st.text('ab"é😀', max_size=4), min_size=1, max_size=5).map(tuple).map(choice_case)
cases = st.one_of(schema_cases, schema_cases, schema_cases, schema_cases, regex_cases, choice_cases)


# ------------------------------------------------------------------------------------------------------- vocabularies

_PIECES = [
    *(b'{"', b'":', b'","', b'"}', b"},", b'":"', b'"a":', b'":1,"a', b'":1,"a":', b'":null,"b', b'a":1,"a":2'),
    *(b"[[", b"]]", b"],", b", ", b": ", b"\n  ", b"\n\t", b"}\n", b"[1,", b"1,", b"null", b"true", b"12", b"-1"),
    *(b"1.5", b"1e", b"\\u", b"\\u0041", b"\\u00", b"\\ud83d", b"\\ude00", b"\\uD83D\\uDE00", b"\\n", b'\\"', b"u00e9"),
    *(b"0061", b'aaaa"', b"ab", b"abc", b"abcd", b'ab"', b'b"', b"\xc3\xa9", b"\xf0\x9f", b"\x98\x80", b"\xef\xbf"),
    *(b"a\xc3", b"\xa9b", b'\xa9"', b'""', b'"":', b'{"":', b"\\\\", b"{}", b"[]", b"{}}", b"}}", b'"a"', b'"\\u'),
]
_LONG = b"", b"", b":" + b" " * 30, b':"' + b"a" * 25, b":[" + b"1," * 12, b":" + b"[" * 20
_BYTES = sorted({*b'{}[]:,"\\ \t\n\r/019-.eE+abcdfnlrstuD8\x00\xff\x7f', *"é€😀￿\ud7ff".encode()})


@st.composite
def json_vocabularies(draw: st.DrawFn, words: tuple[bytes, ...] = ()) -> tuple[Vocabulary, Entries]:
    """Single bytes, pieces of JSON and the given words whole, cut and joined; and the entry behind each logit."""
    tokens: Entries = [bytes((byte,)) for byte in _BYTES]
    if draw(st.integers(0, 4)) == 0:
        tokens = draw(st.lists(st.sampled_from(tokens), max_size=40, unique=True))
    tokens += draw(st.lists(st.sampled_from(_PIECES), max_size=30, unique=True))
    for word in draw(st.lists(st.sampled_from(words), max_size=6, unique=True)) if words else ():
        cut = draw(st.integers(0, len(word)))
        tokens += [word, word + b":", word[cut:], word[:cut], b"," + word, word[1:] + b":1," + word[:-1]]
        long = draw(st.sampled_from(_LONG))
        tokens += [word[cut:] + long, long[1:]] if long else []
    tokens += draw(st.lists(st.sampled_from(tokens or [b"a"]) | st.none(), max_size=6))
    border = draw(st.sampled_from((None, 0, 1)))
    size = len(tokens) + draw(st.integers(1, 3))
    if border is not None:
        size += (border - size) % 32
    eos = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=3, unique=True))
    entries = [None if i in eos else token or None for i, token in enumerate([*tokens, *[None] * size][:size])]
    return Vocabulary.from_bytes([*tokens, *[None] * size][:size], eos, size), entries


def rich_vocabulary(words: tuple[bytes, ...] = ()) -> tuple[Vocabulary, Entries]:
    """All single bytes, all pieces, the words whole and twice; V % 32 is 1."""
    tokens: Entries = [bytes((byte,)) for byte in range(256)]
    for word in words:
        tokens += [word, word[1:], word + b":", word[1:] + b":1," + word, b"{" + word + b":", b"," + word, word[:-1]]
        tokens += [word[1:] + long for long in _LONG if long]
    tokens = [None, *dict.fromkeys([*tokens, *_PIECES])]
    tokens += [None] * ((1 - len(tokens)) % 32)
    return Vocabulary.from_bytes(tokens, [0]), [token or None for token in tokens]


def byte_vocabulary() -> Vocabulary:
    """Every byte is the token of its value; 256 is EOS."""
    return Vocabulary.from_bytes([*(bytes((i,)) for i in range(256)), None], [256])
