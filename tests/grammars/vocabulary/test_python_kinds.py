"""Tokenizers without the Rust library: tiktoken, tekken, sentencepiece and slow classes, real where installed."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from grammars.errors import TokenizerError
from grammars.vocabulary import Vocabulary

BYTES = [bytes([b]) for b in range(256)]
RANKS = {word: i for i, word in enumerate([*BYTES, b"th", b"the", b" the", b'{"', b"\xe6\xbc"])}
TEXT = 'the {"a": "漢字 🙂"}\x00 the'


class TiktokenLike:
    """The public methods of a tiktoken Encoding that are used."""

    n_vocab = len(RANKS) + 2  # with a gap and one special token
    eot_token = len(RANKS) + 1

    def token_byte_values(self) -> list[bytes]:
        return sorted(RANKS)  # not in the order of ids, as in tiktoken

    def encode_single_token(self, word: bytes) -> int:
        return RANKS[word]

    def decode(self, ids: list[int]) -> str:
        words = {i: word for word, i in RANKS.items()}
        return b"".join(words[i] for i in ids).decode(errors="replace")


def test_tiktoken_protocol() -> None:
    """Bytes by id, special ids banned, EOS taken from `eot_token`."""
    vocabulary = Vocabulary.from_tokenizer(TiktokenLike())
    assert vocabulary.size == len(RANKS) + 2
    assert vocabulary.eos_ids == (len(RANKS) + 1,)
    assert {vocabulary.token_bytes(i): i for i in range(len(RANKS))} == RANKS
    assert vocabulary.decode(vocabulary.encode_greedy(TEXT.encode())) == TEXT.encode()


def test_class_around_tiktoken() -> None:
    """Found inside a wrapper, and checked against the wrapper's own `decode`."""

    class Wrapper:
        eos_token_id = 0

        def __init__(self, shift: int) -> None:
            self.tokenizer, self.shift = TiktokenLike(), shift

        def decode(self, ids: list[int]) -> str:
            return self.tokenizer.decode([(i + self.shift) % len(RANKS) for i in ids])

    assert Vocabulary.from_tokenizer(Wrapper(0)).token_bytes(RANKS[b" the"]) == b" the"
    with pytest.raises(TokenizerError, match="was read as"):
        Vocabulary.from_tokenizer(Wrapper(1))


def test_real_tiktoken() -> None:
    """The real class gives the same vocabulary as the protocol above."""
    tiktoken = pytest.importorskip("tiktoken", reason="tiktoken is not installed: pip install tiktoken")
    special = {"<|endoftext|>": TiktokenLike.eot_token}
    encoding = tiktoken.Encoding("test", pat_str=r"\w+|\W", mergeable_ranks=RANKS, special_tokens=special)
    vocabulary = Vocabulary.from_tokenizer(encoding)
    assert vocabulary.fingerprint == Vocabulary.from_tokenizer(TiktokenLike()).fingerprint
    assert vocabulary.decode(encoding.encode(TEXT)) == TEXT.encode()


def test_tekken_protocol() -> None:
    """mistral_common: special tokens first, then bytes."""
    words = [b"", b"", *RANKS]
    tekken = SimpleNamespace(
        num_special_tokens=2, n_words=len(words), eos_id=1, id_to_byte_piece=lambda i: words[i], bos_id=0
    )
    vocabulary = Vocabulary.from_tokenizer(tekken)
    assert vocabulary.eos_ids == (1,)
    assert [vocabulary.token_bytes(i) for i in range(len(words))] == words


@pytest.mark.parametrize("dummy_prefix", [True, False])
@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_real_sentencepiece(kind: str, dummy_prefix: bool) -> None:
    """A processor trained here: control pieces banned, byte pieces read, the dummy prefix found out."""
    sentencepiece = pytest.importorskip(
        "sentencepiece", reason="sentencepiece is not installed: pip install sentencepiece"
    )
    lines, model = iter([TEXT.replace("\x00", "") + " and some more words"] * 20), io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines,
        model_writer=model,
        vocab_size=300,
        hard_vocab_limit=False,
        model_type=kind,
        byte_fallback=True,
        add_dummy_prefix=dummy_prefix,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    vocabulary = Vocabulary.from_tokenizer(processor)
    assert vocabulary.eos_ids == (processor.eos_id(),)
    assert vocabulary.strips_leading_space == dummy_prefix
    assert vocabulary.decode(processor.encode(TEXT)) == b" " * dummy_prefix + TEXT.encode()
    assert [i for i in range(vocabulary.size) if not vocabulary.token_bytes(i)] == [0, 1, 2]


class SlowByteLevel:
    """As GPT-2's slow class of old: texts in a byte alphabet, and the alphabet."""

    eos_token_id = 256
    all_special_ids = (256,)
    byte_decoder = {chr(0x100 + b): b for b in range(256)}  # noqa: RUF012
    added_tokens_decoder = {  # noqa: RUF012
        256: SimpleNamespace(content="<eos>", special=True),
        257: SimpleNamespace(content="<tool>", special=False),
    }

    def get_vocab(self) -> dict[str, int]:
        return {c: b for c, b in self.byte_decoder.items()} | {"<eos>": 256, "<tool>": 257, "\u0130\u0131": 258}

    def decode(self, ids: list[int], **options: Any) -> str:
        texts = {i: text for text, i in self.get_vocab().items()}
        out = b"".join(
            texts[i].encode() if i in (256, 257) else bytes(self.byte_decoder[c] for c in texts[i]) for i in ids
        )
        return out.decode(errors="replace")


def test_slow_byte_level_class() -> None:
    """Its alphabet is used; added text is written as it is."""
    vocabulary = Vocabulary.from_tokenizer(SlowByteLevel())
    assert [vocabulary.token_bytes(i) for i in (0, 65, 255, 256, 257, 258)] == [
        *(b"\x00", b"A", b"\xff", b"", b"<tool>", b"01")
    ]


def test_byt5() -> None:
    """A token a byte."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.ByT5Tokenizer()
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.decode(tokenizer.encode(TEXT, add_special_tokens=False)) == TEXT.encode()
    assert len(vocabulary.trie_byte) == 257


def test_unknown_kinds_are_refused() -> None:
    """With the name of the class and the way out."""
    with pytest.raises(TokenizerError, match=r"SimpleNamespace is not a kind(?s:.*)from_bytes"):
        Vocabulary.from_tokenizer(SimpleNamespace(get_vocab=dict), eos_ids=0)
