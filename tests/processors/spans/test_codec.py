"""CODEC: brute force over all places of the marks, by random tables and by a tiny model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from processors.errors import GenerationError
from processors.spans import codec
from processors.spans.codec import marked_texts, project_label
from tests.processors.spans.tables import TableTeacher, Words, log_p, random_table
from tests.processors.tiny import llama

WORDS = Words("A B C D [ ] ((")


def brute_force(table: Any, ids: list[int], opening: list[int], closing: list[int]) -> dict[tuple[int, int], float]:
    n = len(ids)
    return {
        (i, j): log_p(table, [*ids[:i], *opening, *ids[i:j], *closing, *ids[j:], 0])
        for i in range(n)
        for j in range(i + 1, n + 1)
    }


@given(
    st.lists(st.sampled_from("A B C D".split()), min_size=1, max_size=8), st.integers(0, 2**16), st.integers(1, 4),
    st.sampled_from([" [", " (( ["]), st.integers(1, 5),
)  # fmt: skip
def test_exact_search_equals_brute_force(words: list[str], seed: int, n_best: int, opening: str, batch: int) -> None:
    table, template = random_table(seed, len(WORDS.words)), " ".join(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "Teacher", TableTeacher)
        found = project_label(
            table, {}, template, tokenizer=WORDS, opening=opening, n_best=n_best, end_ids=[0], batch=batch
        )
    ids = [WORDS.words.index(word) for word in words]
    marks = WORDS(opening, False)["input_ids"], WORDS(" ]", False)["input_ids"]
    expected = brute_force(table, ids, *marks)
    best = sorted(expected.values(), reverse=True)[:n_best]
    assert [each.log_prob for each in found] == pytest.approx(best)
    for each in found:
        assert template[each.start : each.end] == each.span
        assert " ".join(each.text.replace(opening, "").replace(" ]", "").split()) == template
        i = len(template[: each.start].split())
        assert each.log_prob == pytest.approx(expected[i, i + len(each.span.split())])
    assert len({each.text for each in found}) == len(found)


@given(st.integers(0, 2**16), st.integers(1, 9), st.integers(1, 3), st.integers(0, 4), st.integers(1, 5))
def test_the_faster_bound(seed: int, size: int, n_best: int, look_ahead: int, batch: int) -> None:
    """Its texts are texts with their right probability, no better than the best; far ahead it is the exact bound."""
    table, template = random_table(seed, len(WORDS.words)), " ".join("ABCDABCDA"[:size])
    options: dict[str, Any] = {"tokenizer": WORDS, "n_best": n_best, "end_ids": [0], "batch": batch}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "Teacher", TableTeacher)
        exact = project_label(table, {}, template, **options)
        hasty = project_label(table, {}, template, **options, look_ahead=look_ahead)
        patient = project_label(table, {}, template, **options, look_ahead=99)
    assert patient == exact
    ids = WORDS(template, False)["input_ids"]
    expected = brute_force(table, ids, [WORDS.words.index("[")], [WORDS.words.index("]")])
    assert len(hasty) == len(exact)
    for best, each in zip(exact, hasty, strict=True):
        i = len(template[: each.start].split())
        assert each.log_prob == pytest.approx(expected[i, i + len(each.span.split())])
        assert each.log_prob <= best.log_prob + 1e-9
    assert len({each.text for each in hasty}) == len(hasty)


def test_the_faster_bound_by_its_definition() -> None:
    """What is dropped: an opening no better than as much of the best text as is written up to its closing mark."""
    p = {"[": 0.5, "A": 0.4, "]": 0.05}

    def table(prefix: tuple[int, ...]) -> list[float]:
        """A dear closing mark; an opening mark gets cheaper, and the texts with it, from left to right."""
        opened = WORDS.words.index("[") in prefix
        weight = {WORDS.words.index(word): each for word, each in p.items()}
        if not opened:
            weight[WORDS.words.index("[")] = 0.3 + 0.1 * len(prefix)
        row = [weight.get(k, 0.001) for k in range(len(WORDS.words))]
        return [each / sum(row) for each in row]

    read: dict[int | None, int] = {}
    for look_ahead in (None, 0, 99):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(codec, "Teacher", TableTeacher)
            table.rows = 0  # type: ignore[attr-defined]
            project_label(table, {}, "A A A A A A", tokenizer=WORDS, end_ids=[0], batch=1, look_ahead=look_ahead)
            read[look_ahead] = table.rows  # type: ignore[attr-defined]
    assert read[0] < read[None] and read[0] < read[99]


def test_bounds_save_rows_on_a_sharp_model() -> None:
    """A sharp model reads fewer rows than the 78 of brute force, though its marks are as random."""
    rows = []
    for seed in range(20):
        table = random_table(seed, len(WORDS.words), sharp=4.0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(codec, "Teacher", TableTeacher)
            project_label(table, {}, " ".join("ABCDABCDABCD"), tokenizer=WORDS, end_ids=[0], batch=1)
        rows.append(table.rows)
    assert sum(rows) / len(rows) < 78 * 0.6


def test_neutral_marks_tie() -> None:
    """Where the marks say nothing, all places are equal and the earliest comes first."""

    def neutral(prefix: tuple[int, ...]) -> list[float]:
        return [1 / len(WORDS.words)] * len(WORDS.words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "Teacher", TableTeacher)
        found = project_label(neutral, {}, "A B C", tokenizer=WORDS, n_best=9, end_ids=[0])
    assert len(found) == 6 and len({round(each.log_prob, 9) for each in found}) == 1
    assert found[0].text == " [A ] B C"


class Letters:
    """Letters are tokens, marks too."""

    def __call__(self, text: str, add_special_tokens: bool, return_offsets_mapping: bool = False) -> dict[str, Any]:
        ids = [{" ": 5, "[": 6, "]": 7}.get(char, 19 + "abcdefgh".find(char)) for char in text]
        return {"input_ids": ids, "offset_mapping": [(i, i + 1) for i in range(len(text))]}


@pytest.mark.parametrize("boundaries", ["word", "token"])
def test_a_tiny_model_by_brute_force(boundaries: Any) -> None:
    template, prompt = "ab c dab", torch.tensor([[2, 20, 21]])
    found = project_label(llama(), {"input_ids": prompt}, template, tokenizer=Letters(), opening="[", closing="]",
                          n_best=99, boundaries=boundaries)  # fmt: skip
    places = [at for at in range(len(template) + 1) if boundaries == "token" or at in (0, len(template))
              or not (template[at - 1].isalnum() and template[at].isalnum())]  # fmt: skip
    expected = {}
    for i in places:
        for j in (at for at in places if at > i):
            text = template[:i] + "[" + template[i:j] + "]" + template[j:]
            ids = [*Letters()(text, False)["input_ids"], 1]
            with torch.no_grad():
                logp = torch.log_softmax(llama()(torch.tensor([[2, 20, 21, *ids]])).logits[0, 2:-1], -1)
            expected[text] = sum(float(logp[k, t]) for k, t in enumerate(ids))
    assert {each.text: each.log_prob for each in found} == pytest.approx(expected, abs=1e-4)


def test_texts_for_a_choice_constraint() -> None:
    assert marked_texts("a bc", " [", " ]") == [" [a ] bc", " [a bc ]", "a [ bc ]"]
    assert len(marked_texts("one two three four")) == 10
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "Teacher", TableTeacher)
        found = project_label(random_table(1, 8), {}, "A B C", tokenizer=WORDS, n_best=9, end_ids=[0])
    assert sorted(each.text for each in found) == sorted(marked_texts("A B C"))


@pytest.mark.parametrize(
    "wrong",
    [{"n_best": 0}, {"boundaries": "line"}, {"opening": " "}, {"closing": "A"}, {"opening": " A"}, {"look_ahead": -1}],
)
def test_settings_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(GenerationError):
        project_label(llama(), {"input_ids": torch.tensor([[2]])}, "A B", tokenizer=WORDS, **wrong)
    with pytest.raises(GenerationError, match="no word"):
        project_label(llama(), {"input_ids": torch.tensor([[2]])}, "", tokenizer=WORDS)
