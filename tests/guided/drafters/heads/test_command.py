"""`guided train-heads` from end to end, on a tiny model that lies in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from guided.drafters.heads import Corpus, load_heads
from guided.drafters.heads.command import TrainingProblem, app
from tests.processors.tiny import llama


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = llama(2)
    words = {f"w{number}": number for number in range(64)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="w0").save_pretrained(tmp_path / "model")
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def call(*arguments: Any) -> None:
    app([str(argument) for argument in arguments], standalone_mode=False)


def test_texts_are_written_heads_trained_and_both_kept(folder: Path, tmp_path: Path) -> None:
    prompts, heads, corpus = tmp_path / "prompts.txt", tmp_path / "heads.safetensors", tmp_path / "corpus.safetensors"
    prompts.write_text("\n".join(f"w{3 + n} w{20 + n} w{40 + n % 5}" for n in range(30)))
    common = ("--model", folder, "--depth", 2, "--width", 16, "--epochs", 2, "--corpus", corpus, "--out", heads)
    call("--prompts", prompts, "--tokens", 30, "--batch-size", 10, "--kind", "hydra", *common)
    written = Corpus.load(corpus)
    assert len(written.starts) == 31 and len(written) > 400
    assert load_heads(heads, llama(2)).config.kind == "hydra"
    call("--kind", "medusa", "--rank", 4, *common)  # the corpus is used again: there are no prompts
    assert load_heads(heads, llama(2)).config.rank == 4


def test_problems_are_typed(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    with pytest.raises(TrainingProblem, match="no prompts"):
        call("--model", folder, "--prompts", empty, "--out", tmp_path / "heads")
    with pytest.raises(TrainingProblem, match="cannot read"):
        call("--model", folder, "--prompts", tmp_path / "nothing", "--out", tmp_path / "heads")
    with pytest.raises(TrainingProblem, match="cannot load"):
        call("--model", tmp_path / "nothing", "--out", tmp_path / "heads")
