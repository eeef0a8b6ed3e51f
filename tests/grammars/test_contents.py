"""Contents of strings against Python's own readers of base64 and JSON."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import guided
from grammars.contents import DEPTH, ENCODINGS, content_regex
from grammars.jsonschema import SchemaCompiler
from grammars.jsonschema.membership import contains
from grammars.regex import CharDfa


def _unpadded(text: str) -> bytes:
    bare = text.rstrip("=")
    if text != bare and len(text) % 4:
        raise binascii.Error("incorrect padding")
    return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)


def _strict(text: str) -> bytes:
    if len(text) % 4:  # Python overlooks padding behind a whole group: "7777="
        raise binascii.Error("incorrect padding")
    return base64.b64decode(text, validate=True)


DECODERS: dict[str, Callable[[str], bytes]] = {
    "base64": _strict,
    "base32": lambda text: base64.b32decode(text),
    "base16": lambda text: base64.b16decode(text, casefold=True),
    "base64url": _unpadded,
}


@cache
def dfa(encoding: str | None, media_type: str | None) -> CharDfa:
    known = content_regex(encoding, media_type)
    assert known is not None
    return CharDfa(known[0])


def decodes(encoding: str, text: str) -> bool:
    try:
        DECODERS[encoding](text)
    except (binascii.Error, ValueError):
        return False
    return True


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.binary(max_size=12))
def test_what_python_encodes(encoding: str, data: bytes) -> None:
    encode = {"base64": base64.b64encode, "base64url": base64.urlsafe_b64encode, "base32": base64.b32encode,
              "base16": base64.b16encode}[encoding]  # fmt: skip
    assert dfa(encoding, None).matches(encode(data).decode())


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(text=st.text("aA7=/_+%", max_size=9))
def test_what_python_decodes(encoding: str, text: str) -> None:
    if dfa(encoding, None).matches(text):
        assert decodes(encoding, text)
    elif encoding in ("base64", "base16"):
        assert not decodes(encoding, text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def depth(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@settings(max_examples=20)
@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_json_in_strings(value: object, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    shallow = depth(value) <= DEPTH
    assert dfa(None, "application/json").matches(text) == shallow
    assert dfa("base64", "application/json").matches(base64.b64encode(text.encode()).decode()) == shallow


@given(st.text('[]{}",:1 e-tru\\é', max_size=8))
def test_what_is_no_json(text: str) -> None:
    try:
        json.loads(text)
        valid = True
    except ValueError:
        valid = False
    assert valid or not dfa(None, "application/json").matches(text)
    assert valid or not dfa("base64", "application/json").matches(base64.b64encode(text.encode()).decode())


@pytest.mark.parametrize(("text", "whole"), [("e30=", True), ("e30", False), ("MQ", False)])
def test_the_denied_is_sure(text: str, whole: bool) -> None:
    """`not` takes what is surely wrong; deep JSON, say, is in neither."""
    schema = {"contentEncoding": "base64", "contentMediaType": "application/json"}
    assert contains(SchemaCompiler(schema, content="assert"), text) == whole
    assert contains(SchemaCompiler({"not": schema, "type": "string"}, content="assert"), text) == (not whole)
    deep = base64.b64encode(b"[" * 9 + b"]" * 9).decode()
    assert not contains(SchemaCompiler(schema, content="assert"), deep)
    assert not contains(SchemaCompiler({"not": schema, "type": "string"}, content="assert"), deep)


def test_annotations_unless_asked_for() -> None:
    schema = {"contentEncoding": "base64", "contentMediaType": "image/png"}
    assert contains(SchemaCompiler(schema), "%") and not contains(SchemaCompiler(schema, content="assert"), "%")
    old = {"$schema": "http://json-schema.org/draft-06/schema#", **schema}
    assert contains(SchemaCompiler(old, content="assert"), "%")
    findings = {f.keyword: f for f in guided.check(schema, content="assert").findings}
    assert findings["contentEncoding"].status == "enforced"
    assert "image/png" in findings["contentMediaType"].how and findings["contentMediaType"].status == "annotation"
    assert {f.status for f in guided.check(schema).findings} == {"annotation"}


def test_lengths_and_masks() -> None:
    """Together with a length, and byte by byte through the engine."""
    schema = {"type": "string", "contentEncoding": "base64", "contentMediaType": "application/json", "maxLength": 8}
    vocabulary = guided.Vocabulary.from_bytes([*(bytes([value]) for value in range(256)), None], eos_ids=[256])
    grammar = guided.compile_json_schema(schema, content="assert")
    matcher = guided.Matcher(grammar, vocabulary)
    assert matcher.accept_bytes(b'"WzEsMl0=') and matcher.forced_bytes() == b'"'
    with pytest.raises(guided.UnsatisfiableSchema):
        guided.compile_json_schema(schema | {"maxLength": 3}, content="assert")
    assert guided.Grammar.from_bytes(grammar.to_bytes()).recipe["content"] == "assert"
