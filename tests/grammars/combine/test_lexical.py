"""Substrings and words, against Python's `in` and `re`."""

from __future__ import annotations

import random
import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars import GrammarError, Matcher, Vocabulary
from grammars.combine import compile_substring, compile_words, then

PIECES = [bytes((byte,)) for byte in range(256)] + [b"ab", b"ba b", b" a", " é".encode(), None]
BYTES = Vocabulary.from_bytes(PIECES, eos_ids=len(PIECES) - 1)

texts = st.text(alphabet="ab é×_", min_size=1, max_size=12)


def _spans(text: str, boundary: str) -> set[str]:
    word = re.compile(r"\w")
    cuts = [
        i == 0 or i == len(text) or boundary == "characters" or not (word.match(text[i - 1]) and word.match(text[i]))
        for i in range(len(text) + 1)
    ]
    ends = range(len(text) + 1)
    return {text[i:j] for i in ends for j in ends if i < j and cuts[i] and cuts[j]}


@given(texts, st.sampled_from(["characters", "words"]), st.lists(st.text(alphabet="ab é×_", max_size=5), max_size=20))
def test_spans_are_accepted_and_nothing_else(text: str, boundary: str, others: list[str]) -> None:
    spans = _spans(text, boundary)
    matcher = Matcher(compile_substring(text, boundary=boundary), BYTES)  # type: ignore[arg-type]
    for span in [*spans, *others]:
        taken = matcher.accept_bytes(span.encode())
        assert (taken and matcher.is_accepting()) == (span in spans), (text, span)
        matcher.reset()


@given(texts, st.sampled_from(["characters", "words"]), st.randoms(use_true_random=False))
def test_masks_of_spans_have_no_dead_end(text: str, boundary: str, randoms: random.Random) -> None:
    matcher = Matcher(compile_substring(text, boundary=boundary), BYTES)  # type: ignore[arg-type]
    row = np.zeros(BYTES.words, dtype=np.int32)
    written = []
    while not matcher.is_finished():
        matcher.fill_mask(row)
        token = randoms.choice([t for t in range(BYTES.size) if row[t >> 5] >> (t & 31) & 1])
        assert matcher.accept(token)
        written.append(token)
    assert BYTES.decode(written).decode() in _spans(text, boundary)


def test_a_long_passage_within_other_text() -> None:
    rng = random.Random(3)
    passage = " ".join(
        rng.choice(["river", "stone", "the", "of", "light", "Grüße"]) + str(rng.randrange(50)) for _ in range(1500)
    )
    grammar = then('"', compile_substring(passage, boundary="words"), '"')
    matcher = Matcher(grammar, BYTES)
    middle = passage[4000 : passage.index(" ", 4300)].split(" ", 1)[1]
    assert matcher.accept_bytes(b'"' + middle.encode()) and matcher.accept_bytes(b'"') and matcher.is_accepting()
    assert not Matcher(grammar, BYTES).accept_bytes(b'"' + middle[:-1].encode() + b'"')


def _occurs(word: str, text: str, whole: bool, ignore: bool) -> bool:
    left = r"(?<![^\W])" if whole and re.match(r"\w", word[0]) else ""
    right = r"(?![^\W])" if whole and re.match(r"\w", word[-1]) else ""
    return re.search(left + re.escape(word) + right, text, re.IGNORECASE if ignore else 0) is not None


@given(
    st.lists(st.lists(st.text(alphabet="ab-", min_size=1, max_size=2), min_size=1, max_size=2), max_size=2),
    st.lists(st.text(alphabet="ab-", min_size=2, max_size=3), max_size=2),
    st.booleans(),
    st.booleans(),
)
def test_words_as_re_finds_them(required: list[list[str]], forbidden: list[str], whole: bool, ignore: bool) -> None:
    everything = [text for length in range(5) for text in map("".join, product("aB-", repeat=length))]
    wanted = {
        text
        for text in everything
        if all(any(_occurs(word, text, whole, ignore) for word in words) for words in required)
        and not any(_occurs(word, text, whole, ignore) for word in forbidden)
    }
    try:
        grammar = compile_words(required, forbidden, whole_words=whole, ignore_case=ignore)
    except GrammarError:
        assert not wanted
        return
    matcher = Matcher(grammar, BYTES)
    for text in everything:
        assert (matcher.accept_bytes(text.encode()) and matcher.is_accepting()) == (text in wanted), text
        matcher.reset()


def test_words_meet_their_budget() -> None:
    matcher = Matcher(compile_words(["alpha", ["beta", "gamma"]], ["delta"]), BYTES)
    row = np.zeros(BYTES.words, dtype=np.int32)
    rng = random.Random(1)
    for _ in range(10):
        matcher.reset()
        left, text = 24, b""
        while not matcher.is_finished():
            matcher.fill_mask(row, budget=left)
            token = rng.choice([t for t in range(BYTES.size) if row[t >> 5] >> (t & 31) & 1])
            assert matcher.accept(token)
            text += BYTES.token_bytes(token)
            left -= 1
        assert left >= 0 and re.search(rb"\balpha\b", text) and re.search(rb"\b(beta|gamma)\b", text)


def test_what_is_refused() -> None:
    with pytest.raises(GrammarError, match="empty text"):
        compile_substring("")
    with pytest.raises(ValueError, match="boundary"):
        compile_substring("a", boundary="lines")  # type: ignore[arg-type]
    with pytest.raises(GrammarError, match="empty word"):
        compile_words([""])
    with pytest.raises(GrammarError, match="no text is left"):
        compile_words(["cat"], ["cat"])
