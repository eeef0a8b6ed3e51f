"""Small tokenizers of each family, trained here: what a text is encoded to spells that text again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grammars.vocabulary import Vocabulary

tokenizers = pytest.importorskip("tokenizers")
decoders, models, normalizers = tokenizers.decoders, tokenizers.models, tokenizers.normalizers
pre_tokenizers, trainers = tokenizers.pre_tokenizers, tokenizers.trainers

CORPUS = [
    'a schema such as {"type": "object", "properties": {"name": {"type": "string"}}} says what may be written',
    "the mask allows a token if and only if some valid document continues with it; nothing is refused",
    "Zürich, größer, naïve, 漢字, 日本語, ελληνικά, 🙂 and so on   with   blanks\tand\ttabs",
] * 3
SPECIAL = ["<unk>", "<s>", "</s>"]
EOS = 2

# Long runs of blanks, control characters, and characters of two to four bytes are where conventions differ.
texts = st.text(st.sampled_from(' \t\n"{}:,abetyé漢🙂\x00▁Ġ') | st.characters(exclude_categories=["Cs"]), max_size=30)


def byte_level_bpe() -> Any:
    """GPT-2's kind, with an added token that is text and one that is special."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(special_tokens=SPECIAL, initial_alphabet=alphabet))
    made.add_tokens(["<think>", "two words"])
    made.add_special_tokens(["<|tool|>"])
    return made


def with_byte_tokens(made: Any) -> Any:
    """Sentencepiece's byte fallback: 256 more tokens, `<0x00>` to `<0xFF>`, which no trainer here offers."""
    config = json.loads(made.to_str())
    model = config["model"]
    names = [f"<0x{b:02X}>" for b in range(256)]
    if model["type"] == "BPE":
        known = len(model["vocab"])
        model["vocab"] |= {name: known + i for i, name in enumerate(names)}
    else:
        model["vocab"] += [[name, -20.0] for name in names]
    model["byte_fallback"] = True
    return tokenizers.Tokenizer.from_str(json.dumps(config))


def bpe(split: Any) -> Any:
    made = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = split
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(special_tokens=SPECIAL, vocab_size=400))
    return with_byte_tokens(made)


def unigram(split: Any) -> Any:
    made = tokenizers.Tokenizer(models.Unigram())
    made.pre_tokenizer = split
    trainer = trainers.UnigramTrainer(special_tokens=SPECIAL, unk_token="<unk>", vocab_size=150, show_progress=False)
    made.train_from_iterator(CORPUS, trainer)
    return with_byte_tokens(made)


def llama(model: Callable[[Any], Any], scheme: str) -> Any:
    """Llama 2's kind ("always") and Gemma's ("never"): decoder and blanks as those models have them."""
    made = model(pre_tokenizers.Metaspace(prepend_scheme="never", split=True))
    made.pre_tokenizer = None
    prepend = [normalizers.Prepend("▁")] if scheme == "always" else []
    made.normalizer = normalizers.Sequence([*prepend, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if scheme == "always" else []
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    made.decoder = decoders.Sequence(steps)
    return made


def metaspace(model: Callable[[Any], Any], scheme: str) -> Any:
    """Blanks as marks by the pre-tokenizer, back by the decoder of the same name."""
    split = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=True)
    made = model(split)
    steps = [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme=scheme, split=True), decoders.Fuse()]
    made.decoder = decoders.Sequence(steps)
    return made


FAMILIES: dict[str, Callable[[], Any]] = {
    "byte-level BPE": byte_level_bpe,
    "Llama 2, BPE": lambda: llama(bpe, "always"),
    "Gemma, BPE": lambda: llama(bpe, "never"),
    "Llama 2, unigram": lambda: llama(unigram, "always"),
    "Gemma, unigram": lambda: llama(unigram, "never"),
    "metaspace, BPE": lambda: metaspace(bpe, "always"),
    "metaspace, unigram": lambda: metaspace(unigram, "always"),
    "metaspace without prefix": lambda: metaspace(unigram, "never"),
}
STRIPS = {"Llama 2, BPE", "Llama 2, unigram", "metaspace, BPE", "metaspace, unigram"}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> tuple[str, Any, Vocabulary]:
    """Name, tokenizer and vocabulary."""
    tokenizer = FAMILIES[request.param]()
    return request.param, tokenizer, Vocabulary.from_tokenizer(tokenizer, eos_ids=EOS)


@example(" leading")
@example("trailing ")
@example("   ")
@given(texts)
def test_encoded_text_spells_the_text(family: tuple[str, Any, Vocabulary], text: str) -> None:
    """The bytes of the tokens are the text, after the one space that the family puts before it."""
    name, tokenizer, vocabulary = family
    if "▁" in text and name != "byte-level BPE":
        text = text.replace("▁", "_")  # these tokenizers cannot tell U+2581 from a space
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    written = vocabulary.decode(ids)
    assert vocabulary.strips_leading_space == (name in STRIPS)
    if name in STRIPS and written != text.encode():
        assert written == b" " + text.encode()
    else:
        assert written == text.encode()


@given(data=st.data())
def test_any_row_of_tokens_is_written_as_read(family: tuple[str, Any, Vocabulary], data: st.DataObject) -> None:
    """Rows that no encoder gives: after a letter, the tokenizer's decoder writes just the bytes of the tokens."""
    name, tokenizer, vocabulary = family
    ids = data.draw(st.lists(st.integers(0, vocabulary.size - 1), max_size=12))
    ids = [i for i in ids if vocabulary.token_bytes(i)]
    row = [vocabulary.encode_greedy(b"a")[0], *ids]
    ours = vocabulary.decode(row)
    theirs = tokenizer.decode(row, skip_special_tokens=False)
    if name == "byte-level BPE":
        assert theirs == ours.decode(errors="replace")
    elif "\ufffd" not in ours.decode(errors="replace") and "▁" not in ours.decode():
        assert theirs == ours.decode()


def test_special_tokens_are_banned_and_added_text_is_not() -> None:
    """`<|tool|>` writes nothing; `<think>` and a token with a blank are text."""
    tokenizer = byte_level_bpe()
    vocabulary = Vocabulary.from_tokenizer(tokenizer, eos_ids=EOS)
    written = {text: vocabulary.token_bytes(i) for text, i in tokenizer.get_vocab().items()}
    for special in [*SPECIAL, "<|tool|>"]:
        assert written[special] == b""
    assert written["<think>"] == b"<think>"
    assert written["two words"] == b"two words"


def test_unknown_token_is_banned_though_not_marked_special() -> None:
    """A unigram model decodes its unknown id to `<unk>`, which stands for text and is none."""
    made = tokenizers.Tokenizer(models.Unigram([("a", -1.0), ("<?>", 0.0), ("▁b", -2.0)], 1, False))
    made.decoder = decoders.Metaspace()
    vocabulary = Vocabulary.from_tokenizer(made, eos_ids=0, size=3)
    assert [vocabulary.token_bytes(i) for i in range(3)] == [b"", b"", b" b"]


def test_ids_with_gaps_and_texts_with_two_ids() -> None:
    """Ids that no token has write nothing; of two ids with one text both are tokens."""
    gaps = tokenizers.Tokenizer(models.BPE({"a": 0, "b": 7, "c": 3}, []))
    gaps.decoder = decoders.ByteLevel()
    vocabulary = Vocabulary.from_tokenizer(gaps, eos_ids=1, size=9)
    assert [vocabulary.token_bytes(i) for i in range(9)] == [b"a", b"", b"", b"c", b"", b"", b"", b"b", b""]
    twice = tokenizers.Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0), ("▁", -1.5), ("a", -2.0)], 0, False))
    twice.decoder = decoders.Metaspace()
    vocabulary = Vocabulary.from_tokenizer(twice, eos_ids=0)
    assert [vocabulary.token_bytes(i) for i in range(4)] == [b"", b"a", b" ", b"a"]
    assert vocabulary.spellings(vocabulary.trie_token.tolist().index(1)) == [1, 3]


def test_wrapped_by_transformers() -> None:
    """The class of transformers around it adds EOS and special ids; a processor around that is looked through."""
    transformers = pytest.importorskip("transformers")
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=byte_level_bpe(), eos_token="</s>")
    vocabulary = Vocabulary.from_tokenizer(wrapped)
    assert vocabulary.eos_ids == (EOS,)
    assert Vocabulary.from_tokenizer(wrapped) is vocabulary

    class Processor:
        tokenizer = wrapped

    assert Vocabulary.from_tokenizer(Processor()) is vocabulary
    wrapped.add_special_tokens({"additional_special_tokens": ["the"]})
    assert Vocabulary.from_tokenizer(wrapped) is not vocabulary
