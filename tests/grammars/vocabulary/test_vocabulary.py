"""What `Vocabulary` promises beside its trie: sizes, EOS, spelling text, errors, copies."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grammars.errors import TokenizerError
from grammars.vocabulary import Vocabulary
from tests.strategies.vocabularies import TINY_EOS, TINY_TOKENS, tiny_vocabulary, vocabularies


def test_tiny_vocabulary_drawn() -> None:
    """The 25 tokens, as a tree for the eye."""
    assert tiny_vocabulary().tree().splitlines() == [
        r"\x00  10",
        r"   16",
        '"  0',
        "  :  23",
        "  a  1",
        ",  14",
        "     17",
        "-  20",
        "1  18",
        "  2  19",
        ":  15",
        "[  9 21",
        "]  13",
        "a  2",
        '  "  22',
        "n",
        "  u",
        "    l",
        "      l  7",
        "t",
        "  r",
        "    u",
        "      e  6",
        "{  3",
        '  "  4',
        "}  8",
        r"\xa9  12",
        r"\xc3  11",
    ]
    assert tiny_vocabulary().tree(limit=2).splitlines()[-1] == "... 26 more nodes"


def test_eos_and_special_tokens_write_nothing() -> None:
    """EOS is not in the trie even where the caller gives it bytes."""
    vocabulary = Vocabulary.from_bytes([b"a", b"</s>", None, b"b"], eos_ids=[1])
    assert [vocabulary.token_bytes(i) for i in range(4)] == [b"a", b"", b"", b"b"]
    assert vocabulary.trie_token.tolist() == [-1, 0, 3]
    assert vocabulary.eos_ids == (1,)


def test_eos_ids_are_sorted_once_each() -> None:
    """One id, a list with repetitions: a sorted tuple comes out."""
    assert Vocabulary.from_bytes([b"a", b"b", b"c"], eos_ids=[2, 0, 2]).eos_ids == (0, 2)
    assert Vocabulary.from_bytes([b"a", b"b", b"c"], eos_ids=2).eos_ids == (2,)


@pytest.mark.parametrize(("size", "words"), [(1, 1), (31, 1), (32, 1), (33, 2), (64, 2), (65, 3)])
def test_rows_past_the_tokens_are_banned(size: int, words: int) -> None:
    """Logits wider than the tokens add ids that write nothing; narrower ones cut tokens off."""
    vocabulary = Vocabulary.from_bytes([b"</s>", *[b"x%d" % i for i in range(40)]], eos_ids=0, size=size)
    assert (vocabulary.size, len(vocabulary), vocabulary.words) == (size, size, words)
    assert len(vocabulary.dup_next) == size
    in_trie = sorted(t for t in vocabulary.trie_token.tolist() if t >= 0)
    assert in_trie == list(range(1, min(size, 41)))


def test_one_very_long_token() -> None:
    """A token of 5,000 bytes and its prefix."""
    vocabulary = Vocabulary.from_bytes([b"ab" * 2500, b"", b"ab" * 2499], eos_ids=1)
    assert vocabulary.max_token_bytes == 5000
    assert vocabulary.trie_end.tolist() == [5001] * 5001
    assert vocabulary.encode_greedy(b"ab" * 4999) == [0, 2]


@given(vocabularies(), st.data())
def test_greedy_spelling_keeps_the_bytes(case: tuple[Vocabulary, list[bytes | None]], data: st.DataObject) -> None:
    """Where every byte has a token, any text is spelled, and each token is the longest that fits."""
    entries = [*case[1], *(bytes([b]) for b in range(256))]
    vocabulary = Vocabulary.from_bytes(entries, case[0].eos_ids)
    words = [entry for i, entry in enumerate(entries) if entry and i not in vocabulary.eos_ids]
    text = b"".join(data.draw(st.lists(st.sampled_from(words), max_size=6)))
    tokens = vocabulary.encode_greedy(text)
    assert vocabulary.decode(tokens) == text
    at = 0
    for token in tokens:
        word = vocabulary.token_bytes(token)
        assert word == max((w for w in words if text.startswith(w, at)), key=len)
        at += len(word)


def test_text_that_cannot_be_spelled_is_an_error() -> None:
    """The error names byte and offset."""
    with pytest.raises(TokenizerError, match="0x7a at offset 2"):
        tiny_vocabulary().encode_greedy(b"12z")


@pytest.mark.parametrize("token", [-1, 25])
def test_token_outside_of_the_logits(token: int) -> None:
    """No silent wrap-around."""
    with pytest.raises(IndexError, match=r"outside of 0 \.\. 24"):
        tiny_vocabulary().token_bytes(token)


def test_eos_must_exist_and_have_a_logit() -> None:
    """Both errors say what to pass."""
    with pytest.raises(TokenizerError, match=r"no end-of-sequence token(?s:.*)eos_ids="):
        Vocabulary.from_bytes([b"a"], eos_ids=[])
    with pytest.raises(TokenizerError, match=r"eos_ids \[3\](?s:.*)3 entries(?s:.*)size="):
        Vocabulary.from_bytes([b"a", b"b", b"c"], eos_ids=[3])


@given(vocabularies())
def test_copies_are_equal(case: tuple[Vocabulary, list[bytes | None]]) -> None:
    """A pickled vocabulary has the same fingerprint and arrays."""
    vocabulary = case[0]
    for other in (pickle.loads(pickle.dumps(vocabulary)), copy.deepcopy(vocabulary)):
        assert other.fingerprint == vocabulary.fingerprint
        assert (other.size, other.words, other.eos_ids) == (vocabulary.size, vocabulary.words, vocabulary.eos_ids)
        assert other.trie_end.tolist() == vocabulary.trie_end.tolist()
        assert other.decode(range(other.size)) == vocabulary.decode(range(vocabulary.size))


@given(vocabularies(), vocabularies())
def test_fingerprint_tells_vocabularies_apart(
    one: tuple[Vocabulary, list[bytes | None]], other: tuple[Vocabulary, list[bytes | None]]
) -> None:
    """Different tokens, EOS or size: different fingerprint."""
    assume((one[1], one[0].eos_ids) != (other[1], other[0].eos_ids))
    assert one[0].fingerprint != other[0].fingerprint


def test_repr_is_short() -> None:
    """transformers logs its processors."""
    assert repr(tiny_vocabulary()) == f"Vocabulary(25 tokens, EOS {TINY_EOS}, {tiny_vocabulary().fingerprint[:8]})"
    assert len(TINY_TOKENS) == 25
