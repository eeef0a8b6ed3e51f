"""What is kept while a model writes is what the model says about the finished text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from guided.drafters.heads import Corpus, collect


def test_everything_belongs_to_its_token(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts of different lengths, rows that end early: against whole sequences, one at a time."""
    prompts = [torch.tensor(ids) for ids in ([5, 9], [7, 8, 30, 12], [40, 3, 21], [11, 12, 13, 14, 15])]
    ends = [1, 17, 46]
    monkeypatch.setattr(model.generation_config, "eos_token_id", ends)
    found = collect(model, prompts, max_new_tokens=25, batch_size=4, greedy_share=0.5, top_k=5)
    texts = [found.tokens[a:b] for a, b in zip(found.starts[:-1], found.starts[1:], strict=True)]
    assert len(texts) == 4 and len({len(text) for text in texts}) > 1
    ordered = sorted(prompts, key=len)
    with torch.no_grad():
        for number, (prompt, text) in enumerate(zip(ordered, texts, strict=True)):
            out = model(torch.cat([prompt, text])[None], output_hidden_states=True)
            rows = slice(len(prompt) - 1, len(prompt) + len(text) - 1)
            at = slice(int(found.starts[number]), int(found.starts[number + 1]))
            hidden, probs = out.hidden_states[-1][0, rows], out.logits[0, rows].softmax(-1)
            assert torch.allclose(found.hidden[at].float(), hidden, atol=2e-3)
            assert torch.allclose(found.top_probs[at].float(), probs.gather(1, found.top_ids[at].long()), atol=2e-3)
            assert torch.equal(found.top_ids[at][:, 0].long(), probs.argmax(-1))
            if number < 2:  # the first half is greedy
                assert torch.equal(text, probs.argmax(-1))
            assert not set(ends) & set(text[:-1].tolist()) and (int(text[-1]) in ends or len(text) == 25)


def test_windows_stay_inside_a_text() -> None:
    zeros = torch.zeros(10)
    corpus = Corpus(zeros.long(), zeros[:, None], zeros[:, None].int(), zeros[:, None], torch.tensor([0, 4, 5, 10]))
    assert corpus.windows(3).tolist() == [0, 1, 5, 6, 7]
    assert corpus.windows(5).tolist() == [5]


def test_saved_and_joined(corpus: Corpus, tmp_path: Path) -> None:
    corpus.save(tmp_path / "texts.safetensors")
    again = Corpus.load(tmp_path / "texts.safetensors")
    both = Corpus.join([again, corpus])
    assert len(both) == 2 * len(corpus) and len(both.windows(4)) == 2 * len(corpus.windows(4))
    assert torch.equal(both.hidden[len(corpus) :], corpus.hidden)


def test_no_prompts(model: Any) -> None:
    with pytest.raises(ValueError, match="no prompts"):
        collect(model, [])
