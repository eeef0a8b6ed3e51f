"""exact-extract: the worked example, brute force over all spans, and a real (tiny) model without caches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from processors.errors import GenerationError
from processors.spans import extract
from processors.spans.extract import exact_extract
from processors.spans.teacher import Teacher
from tests.processors.spans.tables import TableTeacher, Words, log_p, random_table
from tests.processors.tiny import llama, t5

ABC = Words("A B C")
TABLE = {
    (): [0.1, 0.5, 0.3, 0.1],
    (1,): [0.3, 0.0, 0.6, 0.1],
    (2,): [0.8, 0.0, 0.0, 0.2],
    (3,): [0.9, 0.1, 0.0, 0.0],
    (1, 2): [0.3, 0.0, 0.0, 0.7],
    (2, 3): [1.0, 0.0, 0.0, 0.0],
    (1, 2, 3): [1.0, 0.0, 0.0, 0.0],
}


@pytest.fixture
def by_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "Teacher", TableTeacher)


@pytest.mark.usefixtures("by_table")
def test_worked_example() -> None:
    """Greedy writes A B C with .21; the best span is B with .24; by length, A B C again."""

    def table(prefix: tuple[int, ...]) -> list[float]:
        return TABLE.get(prefix, [0.25] * 4)

    found = exact_extract(table, {}, "A B C", tokenizer=ABC, n_best=9, end_ids=[0])
    probabilities = {span.text: math.exp(span.log_prob) for span in found}
    assert probabilities == pytest.approx({"B": 0.24, "A B C": 0.21, "A": 0.15, "A B": 0.09, "C": 0.09, "B C": 0.06})
    assert [span.text for span in found][:2] == ["B", "A B C"] and (found[0].start, found[0].end) == (2, 3)
    (longest,) = exact_extract(table, {}, "A B C", tokenizer=ABC, end_ids=[0], score="per_token")
    assert longest.text == "A B C" and longest.log_prob == pytest.approx(math.log(0.21) / 4)


@given(st.lists(st.sampled_from("A B C D".split()), min_size=1, max_size=7), st.integers(0, 2**16), st.integers(1, 7))
def test_brute_force_over_all_spans(words: list[str], seed: int, longest: int) -> None:
    tokenizer, table, passage = Words("A B C D"), random_table(seed, 5), " ".join(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extract, "Teacher", TableTeacher)
        found = exact_extract(table, {}, passage, tokenizer=tokenizer, n_best=100, end_ids=[0], max_tokens=longest)
    expected = {}
    for i in range(len(words)):
        for j in range(i + 1, min(len(words), i + longest) + 1):
            ids = [tokenizer.words.index(word) for word in words[i:j]]
            expected[" ".join(words[i:j])] = log_p(table, [*ids, 0])
    assert {span.text: span.log_prob for span in found} == pytest.approx(expected)
    assert all(passage[span.start : span.end] == span.text for span in found)
    assert [span.log_prob for span in found] == sorted((span.log_prob for span in found), reverse=True)


@pytest.mark.usefixtures("by_table")
def test_several_ends_are_summed_and_boundaries_hold() -> None:
    table = random_table(3, 4)
    (both,) = exact_extract(table, {}, "A", tokenizer=ABC, end_ids=[0, 2])
    assert both.log_prob == pytest.approx(math.log(table(())[1] * (table((1,))[0] + table((1,))[2])))
    assert {span.text for span in exact_extract(table, {}, "A B", tokenizer=ABC, n_best=9, end_ids=[0])} == {
        "A",
        "B",
        "A B",
    }


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_the_teacher_is_the_model(batch: int) -> None:
    """Batches with a shared prompt cache against each text alone, without a cache; and an encoder-decoder."""
    prompt = torch.tensor([[2, 20, 21]])
    texts = [[22, 9, 10], [7], [8, 8, 8, 8, 8], []]
    teacher = Teacher(llama(), {"input_ids": prompt}, batch=batch)
    token, after = teacher.score(texts, [1, 5])
    for text, own, ends in zip(texts, token, after, strict=True):
        with torch.no_grad():
            logp = torch.log_softmax(llama()(torch.tensor([[2, 20, 21, *text]])).logits[0, 2:], -1).double()
        np.testing.assert_allclose(own, [logp[k, t] for k, t in enumerate(text)], atol=1e-5)
        np.testing.assert_allclose(ends, logp[:, [1, 5]].logsumexp(-1), atol=1e-5)
    padded = {"input_ids": torch.tensor([[0, 0, 2, 20, 21]]), "attention_mask": torch.tensor([[0, 0, 1, 1, 1]])}
    again, _ = Teacher(llama(), padded, batch=batch).score(texts)
    for one, other in zip(token, again, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    model = t5()
    own = Teacher(model, {"input_ids": prompt}, batch=batch).score([[9, 10, 11]])[0][0]
    with torch.no_grad():
        logits = model(input_ids=prompt, decoder_input_ids=torch.tensor([[0, 9, 10]])).logits[0]
    np.testing.assert_allclose(own, torch.log_softmax(logits, -1)[[0, 1, 2], [9, 10, 11]], atol=1e-5)


class Letters:
    """Letters a..h are the toy vocabulary's tokens 19..26, a blank is token 5."""

    def __call__(self, text: str, add_special_tokens: bool, return_offsets_mapping: bool = False) -> dict[str, Any]:
        ids = [5 if char == " " else 19 + "abcdefgh".index(char) for char in text]
        return {"input_ids": ids, "offset_mapping": [(i, i + 1) for i in range(len(text))]}


@pytest.mark.parametrize("boundaries", ["word", "token"])
def test_spans_of_a_passage_under_a_tiny_model(boundaries: Any) -> None:
    passage, prompt = "ab cab cab", torch.tensor([[2, 20]])
    found = exact_extract(llama(), {"input_ids": prompt}, passage, tokenizer=Letters(), n_best=99,
                          boundaries=boundaries, lead=("", " "), max_tokens=8)  # fmt: skip
    scores: dict[str, float] = {}
    for i in range(len(passage)):
        for j in range(i + 1, len(passage) + 1):
            inside = boundaries == "word" and any(
                0 < at < len(passage) and passage[at - 1] != " " and passage[at] != " " for at in (i, j)
            )
            if passage[i] == " " or inside:
                continue
            for lead in ("", " "):
                ids = Letters()(lead + passage[i:j], False)["input_ids"]
                if len(ids) <= 8:
                    with torch.no_grad():
                        logp = torch.log_softmax(llama()(torch.tensor([[2, 20, *ids]])).logits[0, 1:], -1)
                    total = sum(float(logp[k, t]) for k, t in enumerate([*ids, 1]))
                    scores[passage[i:j]] = max(total, scores.get(passage[i:j], -math.inf))
    assert {span.text: span.log_prob for span in found} == pytest.approx(scores, abs=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [{"n_best": 0}, {"max_tokens": 0}, {"boundaries": "line"}, {"score": "mean"}, {"lead": ()}, {"end_ids": []}],
)
def test_settings_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(GenerationError):
        exact_extract(llama(), {"input_ids": torch.tensor([[2]])}, "ab", tokenizer=Letters(), **wrong)
    with pytest.raises(GenerationError, match="no span"):
        exact_extract(llama(), {"input_ids": torch.tensor([[2]])}, " ", tokenizer=Letters())
    with pytest.raises(GenerationError, match="one prompt"):
        exact_extract(llama(), {"input_ids": torch.ones(2, 2).long()}, "ab", tokenizer=Letters())
