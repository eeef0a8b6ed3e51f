"""Small vocabularies: random ones with all the borders, and a fixed one that fits the eye.

The 25 tokens of `tiny_vocabulary()`, drawn: EOS is 5, in the middle; 24 is special; 9 and 21 spell the same bytes; 11
and 12 are the halves of "é". So V % 32 is not 0, and one packed word holds a row.

    \\x00 10      ␣ 16         " 0          , 14         - 20    1 18     : 15    [ 9 21   ] 13
                             ├ : 23       └ ␣ 17               └ 2 19
                             └ a 1
    a 2          n-u-l-l 7    t-r-u-e 6    { 3          } 8     \\xa9 12          \\xc3 11
    └ " 22                                 └ " 4
"""

from __future__ import annotations

from hypothesis import strategies as st

from grammars.vocabulary import Vocabulary

__all__ = ["TINY_TOKENS", "tiny_vocabulary", "token_lists", "vocabularies"]

TINY_TOKENS: list[bytes | None] = [
    *(b'"', b'"a', b"a", b"{", b'{"'),
    None,
    *(b"true", b"null", b"}", b"[", b"\x00", b"\xc3", b"\xa9", b"]", b",", b":", b" ", b", ", b"1", b"12", b"-"),
    *(b"[", b'a"', b'":', None),
]
TINY_EOS = 5


def tiny_vocabulary() -> Vocabulary:
    """The 25 tokens above."""
    return Vocabulary.from_bytes(TINY_TOKENS, [TINY_EOS])


def token_lists(max_size: int = 40) -> st.SearchStrategy[list[bytes | None]]:
    """Lists of tokens, many sharing prefixes, with duplicates, `None`, empty tokens and the bytes 0x00 and 0xFF."""
    byte = st.sampled_from(b'\x00\xffab"{')
    word = st.lists(byte, max_size=5).map(bytes) | st.binary(max_size=12)
    return st.lists(st.none() | word | word | word, min_size=1, max_size=max_size)


@st.composite
def vocabularies(draw: st.DrawFn, max_size: int = 40) -> tuple[Vocabulary, list[bytes | None]]:
    """A vocabulary and what it was made from (one entry per logit: EOS, special and padding rows are None)."""
    tokens = draw(token_lists(max_size))
    # Logits wider or narrower than the tokens; multiples of 32 and their neighbours are the borders of a mask row.
    size = draw(st.just(len(tokens)) | st.sampled_from([1, 31, 32, 33, 64, 65]) | st.integers(1, 70))
    eos = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=3))
    made = Vocabulary.from_bytes(tokens, eos, size)
    entries = [*tokens, *[None] * size][:size]
    return made, [None if i in eos else (entry or None) for i, entry in enumerate(entries)]
