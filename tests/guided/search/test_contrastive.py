"""Contrastive search against the definition, recomputed from scratch at each step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from guided.search import contrastive_search
from processors.errors import GenerationError, UnsupportedGeneration
from tests.processors.tiny import llama, t5
from tests.processors.toys import PAD, Lists, spell, toy_list, toy_vocabulary

PROMPT = [2, 20, 21, 22, 9]


@torch.no_grad()
def naive(model, prompt: list[int], count: int, alpha: float, k: int) -> list[int]:
    """The formula in numpy, without a cache."""
    ids = list(prompt)
    for _ in range(count):
        logits = model(torch.tensor([ids])).logits[0, -1].double().numpy()
        p = np.exp(logits - logits.max())
        p /= p.sum()
        best, chosen = -np.inf, -1
        for v in np.argsort(-p)[:k]:
            states = model.model(torch.tensor([[*ids, int(v)]])).last_hidden_state[0].double().numpy()
            states /= np.linalg.norm(states, axis=1, keepdims=True)
            score = (1 - alpha) * p[v] - alpha * (states[:-1] @ states[-1]).max()
            if score > best:
                best, chosen = score, int(v)
        ids.append(chosen)
    return ids


def run(prompts: list[list[int]], strategy, count: int = 12, **options) -> torch.Tensor:
    longest = max(map(len, prompts))
    ids = torch.tensor([[PAD] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    return llama().generate(input_ids=ids, attention_mask=mask, max_new_tokens=count, custom_generate=strategy,
                            **options)  # fmt: skip


@pytest.mark.parametrize(("alpha", "k"), [(0.6, 4), (0.3, 6), (0.9, 3)])
def test_cached_search_equals_the_definition(alpha: float, k: int) -> None:
    out = run([PROMPT], contrastive_search(alpha, k), eos_token_id=None)
    assert out[0].tolist() == naive(llama(), PROMPT, 12, alpha, k)


def test_batch_and_left_padding_change_nothing() -> None:
    prompts = [PROMPT, [2, 30], [2, 9, 9, 40, 41, 42, 43]]
    together = run(prompts, contrastive_search(), eos_token_id=None)
    for row, prompt in zip(together.tolist(), prompts, strict=True):
        assert row[-12:] == run([prompt], contrastive_search(), eos_token_id=None)[0].tolist()[-12:]


@pytest.mark.parametrize("strategy", [contrastive_search(0.0, 5), contrastive_search(0.6, 1)])
def test_greedy_without_alpha_or_choice(strategy) -> None:
    ids = torch.tensor([PROMPT])
    greedy = llama().generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12)
    assert run([PROMPT], strategy).tolist() == greedy.tolist()


def test_two_candidates_change_places_where_the_formula_says() -> None:
    """p = .6, .4 and penalties .9, .1: the second wins from alpha = 0.2 on."""
    from guided.search.contrastive import ContrastiveSearch

    for alpha, winner in ((0.19, 0), (0.21, 1), (0.6, 1)):
        rows: Any = _FakeRows()
        search = ContrastiveSearch(alpha, 2)
        real, candidates = torch.tensor([[True, False]]), torch.tensor([[7, 8]])
        context = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]])
        p = torch.tensor([[0.6, 0.4]])
        token, _ = search._choose(rows, context, real, p, candidates)
        assert token.tolist() == [7 + winner]


class _FakeRows:
    """Look-ahead states with cosines .9 and .1 to the first context state; the second is padding."""

    state = torch.tensor([[0.9, (1 - 0.81) ** 0.5], [0.1, (1 - 0.01) ** 0.5]])

    def repeat(self, times: int) -> None:
        assert times == 2

    def step(self, tokens: torch.Tensor) -> None:
        assert tokens.tolist() == [7, 8]


def test_constraint_and_end() -> None:
    combined = toy_list(Lists(3), max_new_tokens=10)
    out = run([PROMPT, [2, 30]], contrastive_search(), count=10, logits_processor=combined)
    for row in out[:, 5:].tolist():
        text, ended = spell(toy_vocabulary(), row)
        assert ended and Lists(3).complete(text) and set(row[row.index(1) + 1 :]) <= {PAD}


def test_returns_what_generate_returns() -> None:
    out = run([PROMPT], contrastive_search(), return_dict_in_generate=True, output_scores=True)
    assert out.sequences.shape[1] == 5 + len(out.scores)  # type: ignore[attr-defined]


def test_what_it_cannot_do_is_refused() -> None:
    for wrong in ({"alpha": 1.5}, {"alpha": -0.1}, {"top_k": 0}):
        with pytest.raises(GenerationError, match=next(iter(wrong))):
            contrastive_search(**wrong)
    with pytest.raises(UnsupportedGeneration, match="num_beams"):
        run([PROMPT], contrastive_search(), num_beams=2)
    with pytest.raises(UnsupportedGeneration, match="encoder-decoder"):
        t5().generate(input_ids=torch.tensor([PROMPT]), custom_generate=contrastive_search(), max_new_tokens=3)
    embeddings = llama().get_input_embeddings()(torch.tensor([PROMPT])).detach()
    with pytest.raises(UnsupportedGeneration, match="inputs_embeds"):
        llama().generate(inputs_embeds=embeddings, custom_generate=contrastive_search(), max_new_tokens=3)
