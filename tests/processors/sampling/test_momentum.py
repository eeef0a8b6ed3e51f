"""Momentum decoding: the definition by substring search, the worked example, and loops that end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LogitsProcessorList

from processors import ProcessorList
from processors.errors import GenerationError
from processors.sampling.momentum import MomentumProcessor, repetition
from tests.processors.tiny import llama
from tests.processors.toys import PAD, Lists, spell, toy_list, toy_vocabulary


@given(st.lists(st.integers(0, 3), min_size=1, max_size=25), st.integers(0, 3), st.integers(1, 6))
def test_repetition_by_definition(history: list[int], token: int, longest: int) -> None:
    """The longest i whose i-gram (last i-1 tokens and the token) stands somewhere in the history."""
    expected = 0
    for i in range(1, longest + 1):
        gram = [*history[len(history) - (i - 1) :], token]
        if len(gram) == i and any(history[at : at + i] == gram for at in range(len(history) - i + 1)):
            expected = i
    assert repetition(np.array(history), token, longest) == expected


def example(**options) -> torch.Tensor:
    scores = torch.full((1, 12), -torch.inf)
    scores[0, [3, 9, 7]] = torch.tensor([0.60, 0.25, 0.15]).log()
    return MomentumProcessor(top_k=5, **options)(torch.tensor([[1, 2, 3, 7, 8, 1, 2]]), scores)


def test_worked_example() -> None:
    """l = 3, 0, 1: scores 0, 0.25, -0.05 at alpha 0.2."""
    out = example(alpha=0.2, temperature=1.0)[0]
    np.testing.assert_allclose(out[[3, 9, 7]].exp(), torch.softmax(torch.tensor([0.0, 0.25, -0.05]), 0), atol=1e-6)
    assert out.isfinite().nonzero().flatten().tolist() == [3, 7, 9]
    assert example(alpha=0.2, exempt=[3])[0].argmax() == 3
    assert example(alpha=0.2, resistance=lambda length: 0.0)[0].argmax() == 3
    assert torch.isinf(example(alpha=0.2, resistance=lambda n: np.inf if n == 3 else 0.0)[0, 3])


def test_nothing_changes_without_alpha_and_greedy_with_one_candidate() -> None:
    scores = torch.randn(2, 30)
    ids = torch.randint(0, 30, (2, 40))
    assert MomentumProcessor(alpha=0)(ids, scores) is scores
    assert torch.equal(MomentumProcessor(top_k=1)(ids, scores).argmax(-1), scores.argmax(-1))
    assert torch.equal(MomentumProcessor()(torch.full((2, 5), 31), scores).argmax(-1), scores.argmax(-1))


def test_a_loop_ends() -> None:
    """The random model repeats itself under greedy search; under momentum four-grams hardly come back."""
    ids = torch.tensor([[2, 20, 21]])
    options = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "max_new_tokens": 80, "min_new_tokens": 80}

    def repeated(sequence: list[int]) -> float:
        grams = [tuple(sequence[i : i + 4]) for i in range(len(sequence) - 3)]
        return 1 - len(set(grams)) / len(grams)

    greedy = llama().generate(**options)[0, 3:].tolist()
    moving = llama().generate(**options, logits_processor=[MomentumProcessor()])[0, 3:].tolist()
    assert repeated(greedy) > 0.4 and repeated(moving) < 0.1


@pytest.mark.parametrize("options", [{}, {"do_sample": True}, {"num_beams": 3}])
def test_constraint_and_momentum(options: dict) -> None:
    ids = torch.tensor([[2, 20, 21], [2, 9, 9]])
    combined = toy_list(Lists(3), max_new_tokens=12) + MomentumProcessor()
    out = llama().generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12,
                           logits_processor=combined, **options)  # fmt: skip
    for row in out[:, 3:].tolist():
        text, ended = spell(toy_vocabulary(), row)
        assert ended and Lists(3).complete(text)


@pytest.mark.parametrize("wrong", [{"alpha": -1}, {"top_k": 0}, {"longest": 0}, {"temperature": 0}])
def test_settings_out_of_range(wrong: dict) -> None:
    with pytest.raises(GenerationError, match=next(iter(wrong))):
        MomentumProcessor(**wrong)


@pytest.mark.parametrize("kind", [ProcessorList, LogitsProcessorList])
def test_padding_is_no_history(kind: type) -> None:
    """The padding token itself is a candidate, as it is where models pad with EOS."""
    model, seen, processor = llama(), {}, MomentumProcessor()
    for prompts in ([[2, 20, 21]], [[2, 20, 21], [2, 9, 31, 9, 31, 30]]):
        length = max(map(len, prompts))
        ids = torch.tensor([[PAD] * (length - len(each)) + each for each in prompts])

        def favoured(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            scores = scores.clone()
            scores[:, PAD] = scores.max() + 1
            return scores

        out = model.generate(
            input_ids=ids, attention_mask=(ids != PAD).long(), max_new_tokens=1, do_sample=False, output_scores=True,
            return_dict_in_generate=True, logits_processor=kind([favoured, processor]),
        )  # fmt: skip
        seen[len(prompts)] = out.scores[0][0]
    torch.testing.assert_close(seen[1], seen[2], atol=1e-4, rtol=1e-4)
