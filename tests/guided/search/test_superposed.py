"""Superposed decoding: greedy in its simplest form, worked numbers, and a linear model on which it is exact."""

from __future__ import annotations

import math

import pytest
import torch

from guided.search import NGrams, superposed_decoding
from guided.search.superposed import SuperposedDecoding
from processors.errors import GenerationError
from tests.processors.tiny import llama
from tests.processors.toys import PAD, Lists, spell, toy_list, toy_vocabulary

PROMPTS = torch.tensor([[2, 20, 21, 22], [PAD, PAD, 2, 30]])
MASK = (PROMPTS != PAD).long()


def run(strategy, ids=PROMPTS, mask=MASK, **options):
    return llama().generate(input_ids=ids, attention_mask=mask, custom_generate=strategy, return_dict_in_generate=True,
                            **options)  # fmt: skip


def test_one_draft_is_greedy_search() -> None:
    greedy = llama().generate(input_ids=PROMPTS, attention_mask=MASK, max_new_tokens=10)
    for strategy in (superposed_decoding(1, 1), superposed_decoding(1, 1, temperature=1.0)):
        assert run(strategy, max_new_tokens=10).sequences.tolist() == greedy.tolist()


def test_first_tokens_are_the_best_ones_and_the_second_step_is_the_mixture() -> None:
    """After one step the drafts are the top K; after two, scores follow from a forward pass on the mixture."""
    out = run(superposed_decoding(3, 9, temperature=1.0), PROMPTS[:1], MASK[:1], max_new_tokens=2, eos_token_id=None)
    model, prompt = llama(), PROMPTS[:1]
    with torch.no_grad():
        first = model(prompt).logits[0, -1].topk(9)
        lp1 = torch.log_softmax(first.values, -1)[:3]
        tokens = first.indices[:3]
        gamma = torch.softmax(lp1, -1)
        embed = model.get_input_embeddings()
        mixed = torch.cat([embed(prompt), (gamma[:, None] * embed(tokens)).sum(0)[None, None]], 1)
        second = model(inputs_embeds=mixed).logits[0, -1].topk(9)
    lp2 = torch.log_softmax(second.values, -1)
    totals = (lp1[:, None] + lp2).flatten().topk(3)
    expected = [[int(tokens[i // 9]), int(second.indices[i % 9])] for i in totals.indices.tolist()]
    assert out.sequences[:, 4:].tolist() == expected
    torch.testing.assert_close(out.sequences_scores, totals.values, atol=1e-4, rtol=0)


def test_worked_numbers() -> None:
    gamma = torch.softmax(torch.tensor([-1.0, -2.0, -3.0]), -1)
    torch.testing.assert_close(gamma, torch.tensor([0.665241, 0.244728, 0.090031]), atol=1e-6, rtol=0)

    class Fixed(NGrams):
        def logprobs(self, tail, tokens):
            return [{5: math.log(0.2), 6: -math.inf, 7: math.log(0.1)}[token] for token in tokens]

    strategy = SuperposedDecoding(1, 3, 1.0, Fixed([]), 0.54)
    z = torch.full((1, 10), -30.0)
    z[0, 5:8] = torch.tensor([0.5, 0.3, 0.2]).log()
    out = strategy._weights(torch.tensor([[1, 2]]), z)[0, 5:8].tolist()
    assert out == pytest.approx([-1.187944, -math.inf, -1.983737], abs=1e-5)


def test_a_draft_that_the_ngrams_have_never_seen_pays_and_goes_on() -> None:
    strategy = SuperposedDecoding(1, 2, 1.0, NGrams([[50, 51]]), 0.5)
    z = torch.zeros(1, 10)
    out = strategy._weights(torch.tensor([[1, 2]]), z)
    assert sorted(out[out.isfinite()].tolist()) == pytest.approx([0.5 * math.log(0.5) - 200.0] * 2)


def test_ngrams_are_counts() -> None:
    grams = NGrams([[1, 2, 3, 2, 4]], weights=(0.5, 0.25))
    assert [math.exp(each) for each in grams.logprobs([1, 2], [3, 4, 1])] == pytest.approx([0.5 / 2 + 0.25, 0.25, 0.0])


def test_equal_drafts_are_an_ordinary_step() -> None:
    """Mixing one embedding with itself changes nothing: all drafts end with the forced token."""
    forced = 25

    def force(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if ids.shape[1] == 5:
            return torch.full_like(scores, -torch.inf).index_fill(1, torch.tensor([forced]), 0.0)
        return scores

    out = run(superposed_decoding(2, 4, temperature=1.0), PROMPTS[:1], MASK[:1], max_new_tokens=3,
              logits_processor=[force], eos_token_id=None)  # fmt: skip
    assert out.sequences[:, 5].tolist() == [forced] * 2


@pytest.mark.parametrize("ngrams", [None, NGrams([[6, 8, 10, 8, 9, 7], [6, 6, 9, 7, 7]])])
def test_each_draft_is_in_the_language(ngrams) -> None:
    out = run(superposed_decoding(3, 9, temperature=0.5, ngrams=ngrams), max_new_tokens=10,
              logits_processor=toy_list(Lists(3), max_new_tokens=10))  # fmt: skip
    assert out.sequences.shape[0] == 6
    for row in out.sequences[:, 4:].tolist():
        text, ended = spell(toy_vocabulary(), row)
        assert ended and Lists(3).complete(text)
    assert out.sequences_scores.view(2, 3).diff().le(0).all()


def test_batch_equals_single() -> None:
    together = run(superposed_decoding(3, 9), max_new_tokens=6, eos_token_id=None).sequences
    alone = run(superposed_decoding(3, 9), PROMPTS[1:, 2:], MASK[1:, 2:], max_new_tokens=6, eos_token_id=None).sequences
    assert together[3:, 4:].tolist() == alone[:, 2:].tolist()


@pytest.mark.parametrize("wrong", [{"num_drafts": 0}, {"top_n": 0}, {"temperature": 0}])
def test_settings_out_of_range(wrong: dict) -> None:
    with pytest.raises(GenerationError, match=next(iter(wrong))):
        superposed_decoding(**wrong)
