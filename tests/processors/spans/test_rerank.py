"""Candidates for a projected span by the way back and by their spelling."""

from __future__ import annotations

import difflib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from processors.errors import GenerationError
from processors.spans.codec import Projection
from processors.spans.rerank import ReverseScore, rerank_projections, similarity
from tests.processors.tiny import llama

TEXT = "Ayer la ciudad de Nueva York ardió"


def spans(*texts: str) -> list[Projection]:
    """Candidates in the order of their probability."""
    return [
        Projection(text, TEXT.index(text), TEXT.index(text) + len(text), TEXT, -float(k))
        for k, text in enumerate(texts)
    ]


def order(found: list[Projection]) -> list[str]:
    return [each.span for each in found]


def test_spelling_alone_keeps_the_order_among_equals() -> None:
    given = spans("la ciudad", "ciudad de Nueva York", "Nueva York", "ardió")
    assert order(rerank_projections(given, "New York", translation="Nueva York")) == [
        "Nueva York", "ciudad de Nueva York", "la ciudad", "ardió",
    ]  # fmt: skip
    assert rerank_projections(given[:1], "New York") == given[:1] and rerank_projections([], "x") == []


def test_the_way_back_decides_among_those_that_fit() -> None:
    given = spans("la ciudad", "Ayer", "ardió")
    back = {"la ciudad": -4.0, "Ayer": -9.0, "ardió": -1.0}
    assert order(rerank_projections(given, "fire", reverse=lambda texts: [back[text] for text in texts])) == [
        "ardió", "la ciudad", "Ayer",
    ]  # fmt: skip


def test_a_shorter_span_that_leads_back_better_wins_over_spelling() -> None:
    given = spans("Nueva York", "York", "Ayer")
    back = {"Nueva York": -3.0, "York": -2.0, "Ayer": -1.0}
    found = rerank_projections(given, "Nueva York", reverse=lambda texts: [back[text] for text in texts])
    assert order(found) == ["York", "Nueva York", "Ayer"]


@given(st.lists(st.floats(-20, 0), min_size=1, max_size=5))
def test_nothing_is_lost_and_fitting_ones_come_first(back: list[float]) -> None:
    given = spans("la ciudad", "Nueva York", "York", "Ayer", "ardió")[: len(back)]
    found = rerank_projections(given, "New York", reverse=lambda texts: back)
    assert sorted(order(found)) == sorted(order(given))
    cost = {each.span: -score for each, score in zip(given, back, strict=True)}
    fits = [cost[text] < 5 or similarity(text, "New York") > 0.5 for text in order(found)]
    assert fits == sorted(fits, reverse=True)


def test_similarity_is_the_ratio_of_matching_characters() -> None:
    assert similarity("York", "yorK") == 1.0 and similarity("abc", "xyz") == 0.0
    assert similarity("New York", "Nueva York") == difflib.SequenceMatcher(None, "new york", "nueva york").ratio()


class Letters:
    def __call__(self, text: str, add_special_tokens: bool = True, return_tensors: str | None = None) -> dict:
        ids = ([2] if add_special_tokens else []) + [19 + "abcdefgh".index(char) for char in text]
        return {"input_ids": torch.tensor([ids]) if return_tensors else ids}


def test_the_way_back_of_a_model() -> None:
    score = ReverseScore(llama(), Letters(), "cab", prompt="a{}b")
    for span, found in zip(["d", "ef"], score(["d", "ef"]), strict=True):
        prompt = Letters()(f"a{span}b")["input_ids"]
        ids = [*prompt, *Letters()("cab", False)["input_ids"], 1]
        with torch.no_grad():
            logp = llama()(torch.tensor([ids])).logits[0].log_softmax(-1)
        assert found == pytest.approx(sum(float(logp[k - 1, ids[k]]) for k in range(len(prompt), len(ids))), abs=1e-4)
    open_ended = ReverseScore(llama(), Letters(), "cab", prompt="a{}b", end_ids=[])
    assert open_ended(["d"])[0] > score(["d"])[0]


def test_errors() -> None:
    with pytest.raises(GenerationError, match="place for the span"):
        ReverseScore(llama(), Letters(), "cab", prompt="a")
    with pytest.raises(GenerationError, match="1 numbers for 2"):
        rerank_projections(spans("Ayer", "York"), "x", reverse=lambda texts: [0.0])
