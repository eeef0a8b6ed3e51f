"""Decoders of the Rust library against the rule read from them, on texts made to be awkward."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars.errors import TokenizerError
from grammars.vocabulary import Vocabulary
from grammars.vocabulary._checking import check
from grammars.vocabulary._spelling import Spelled, read_decoder, spell

tokenizers = pytest.importorskip("tokenizers")
decoders = tokenizers.decoders

SPACE = "▁"


def sentencepiece_decoder(*ends: Any) -> Any:
    """Llama 2's, with or without its last step."""
    return decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *ends])


DECODERS = {
    "byte level": decoders.ByteLevel(),
    "llama 2": sentencepiece_decoder(decoders.Strip(" ", 1, 0)),
    "gemma": sentencepiece_decoder(),
    "metaspace": decoders.Metaspace(),
    "metaspace, first": decoders.Metaspace(prepend_scheme="first"),
    "metaspace, never": decoders.Metaspace(prepend_scheme="never"),
    "metaspace with bytes": decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse()]),
    "other mark": decoders.Sequence([decoders.Replace("_", " "), decoders.Fuse()]),
    "strip each": decoders.Sequence([decoders.Strip("x", 1, 1), decoders.Fuse()]),
    "only fuse": decoders.Fuse(),
}
STRIPS = {"llama 2", "metaspace", "metaspace, first", "metaspace with bytes"}

TEXTS = [
    "a",
    "▁a",
    "a▁",
    "▁▁",
    "<0x41>",
    "<0xe9>",
    "<0xE9>",
    "<0xZZ>",
    "<0x410>",
    "xax",
    "Ġa",
    "é",
    "Ċ",
    "漢",
    "a b",
    "_",
]


def rule_of(decoder: Any) -> Any:
    return read_decoder(json.loads(decoder.__getstate__()))


@pytest.mark.parametrize("name", DECODERS)
@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=5))
def test_rule_equals_decoder(name: str, texts: list[str]) -> None:
    """The bytes of a row of tokens are what the decoder makes of them, but for the space at the start."""
    decoder = DECODERS[name]
    rule = rule_of(decoder)
    assert rule.strips_leading_space == (name in STRIPS)
    spelled = spell(rule, texts)
    ours = b"".join(spelled.word(i) for i in range(len(texts)))
    theirs = decoder.decode(["z", *texts, "z"])
    if "\ufffd" in ours.decode(errors="replace"):  # halves of characters: shown as U+FFFD, in different numbers
        assert "\ufffd" in theirs
    else:
        assert theirs == f"z{ours.decode()}z"
        if rule.strips_leading_space and ours.startswith(b" ") and not ours.startswith(b"  "):
            assert decoder.decode(texts) == ours.decode()[1:]


REFUSED = {
    "word pieces": (decoders.WordPiece(), "WordPiece"),
    "end of word": (decoders.BPEDecoder(), "BPEDecoder"),
    "CTC": (decoders.CTC(), "CTC"),
    "pattern": (decoders.Replace(tokenizers.Regex("▁+"), " "), "across tokens"),
    "replace late": (decoders.Sequence([decoders.Fuse(), decoders.Replace("ab", "c")]), "across tokens"),
    "bytes late": (decoders.Sequence([decoders.Fuse(), decoders.ByteFallback()]), "after it has joined"),
    "metaspace late": (decoders.Sequence([decoders.Fuse(), decoders.Metaspace()]), "after it has joined"),
    "alphabet late": (decoders.Sequence([decoders.Metaspace(), decoders.ByteLevel()]), "after other steps"),
    "strip the end": (decoders.Sequence([decoders.Fuse(), decoders.Strip(" ", 0, 1)]), "strips ' '"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_decoders_that_look_at_neighbours_are_refused(name: str) -> None:
    """The error names the step and what to do instead."""
    decoder, problem = REFUSED[name]
    with pytest.raises(TokenizerError, match=f"{problem}(?s:.*)from_bytes"):
        rule_of(decoder)


def test_tokenizer_without_decoder_is_refused() -> None:
    """Its tokens are joined by spaces."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    with pytest.raises(TokenizerError, match=r"no decoder(?s:.*)decoders.ByteLevel"):
        Vocabulary.from_tokenizer(tokenizer, eos_ids=0)


def words(*entries: bytes) -> Spelled:
    return Spelled.from_words(entries)


def test_check_refuses_what_the_tokenizer_does_not_write() -> None:
    """Wrong bytes, wrong byte tokens, the wrong convention of spaces: each is noticed, with the id."""
    table = words(b"a", b" b", b"\xc3", b"\xa9", b"")
    written = [b"a", b" b", b"\xc3", b"\xa9", b"<eos>"]

    def decode(ids: list[int]) -> str:
        return b"".join(written[i] for i in ids).decode(errors="replace")

    check(table, False, decode)
    with pytest.raises(TokenizerError, match=r"token 1 was read as b' b'(?s:.*)instead of 'b'"):
        check(table, True, decode)
    with pytest.raises(TokenizerError, match="token 1 was read as b'c'"):
        check(words(b"a", b"c", b"\xc3", b"\xa9", b""), False, decode)
    with pytest.raises(TokenizerError, match=r"byte tokens \[3, 2\]"):
        check(words(b"a", b" b", b"\xa9", b"\xc3", b""), False, decode)
    with pytest.raises(TokenizerError, match="no token that writes text"):
        check(words(b"", b""), False, decode)


def test_check_without_any_letter() -> None:
    """Whole tokens are decoded alone."""
    check(words(b"12", b"[", b"\xff"), False, lambda ids: ["12", "[", "\ufffd"][ids[0]])
    with pytest.raises(TokenizerError, match="token 0"):
        check(words(b"12", b"["), False, lambda ids: ["21", "["][ids[0]])
