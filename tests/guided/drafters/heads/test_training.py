"""Training on a tiny model's own texts: heads learn, and are the same after a round trip through a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import guided
from guided.drafters.heads import Corpus, HeadsConfig, HeadsFileError, draft_vocabulary, load_heads, save_heads, train


def test_heads_learn(trained: Any) -> None:
    heads, report = trained
    assert sum(report.losses[-10:]) < 0.85 * sum(report.losses[:10])
    assert report.top4[0] > 0.1 and report.top4[0] >= report.top1[0]  # 64 tokens: chance is about 0.06
    assert len(report.top1) == heads.config.depth and report.positions > 0
    assert not any(parameter.requires_grad for parameter in heads.parameters())


def test_round_trip(trained: Any, model: Any, tmp_path: Path) -> None:
    heads, _ = trained
    save_heads(heads, tmp_path / "heads.safetensors", tokens=3)
    again = load_heads(tmp_path / "heads.safetensors", model)
    hidden, tokens = torch.randn(4, 16), torch.randint(0, 60, (4, 3))
    for first, second in zip(heads.unroll(hidden, tokens)[0], again.unroll(hidden, tokens)[0], strict=True):
        assert torch.equal(first, second)
    assert again.config == heads.config


def test_other_files_are_refused(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "text").write_text("no tensors")
    corpus.save(tmp_path / "corpus")
    for name in ("text", "corpus", "nothing"):
        with pytest.raises(HeadsFileError):
            load_heads(tmp_path / name)
    assert issubclass(HeadsFileError, guided.GuidedError)


def test_the_draft_vocabulary_holds_what_is_written(corpus: Corpus) -> None:
    small = draft_vocabulary(corpus, 8)
    counts = torch.bincount(corpus.tokens, minlength=64)
    assert len(small) == 8 and counts[small].sum() > 8 / 64 * len(corpus)
    assert {60, 61} <= set(draft_vocabulary(corpus, 8, always=torch.tensor([60, 61])).tolist())


def test_time_limits_and_short_texts(model: Any, corpus: Corpus) -> None:
    config = HeadsConfig("medusa", 16, depth=2)
    _, report = train(model, corpus, config, epochs=1000, max_seconds=0.2)
    assert 0 < report.seconds < 5
    with pytest.raises(ValueError, match="longer than"):
        train(model, corpus, HeadsConfig("medusa", 16, depth=200))
