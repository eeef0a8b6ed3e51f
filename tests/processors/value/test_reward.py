"""Rewards: classifiers, answers that are no numbers, texts asked once; values learnt from texts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from processors.errors import GenerationError
from processors.value.probe import fit_value
from processors.value.reward import ClassifierReward, TextReward
from tests.processors.value.worlds import Letters, bigram


class Classifier(torch.nn.Module):
    """Logits: how many "a" and how many "b" a text has."""

    device = torch.device("cpu")

    def __init__(self, labels: int) -> None:
        super().__init__()
        names = {"A": 0, "B": 1} if labels == 2 else {"SCORE": 0}
        self.config = type("Config", (), {"num_labels": labels, "label2id": names})()

    def forward(self, counts: torch.Tensor) -> Any:
        return type("Output", (), {"logits": counts[:, : self.config.num_labels].float()})()


class Counts(dict):
    def to(self, device: Any) -> Counts:
        return self


def tokenize(texts: list[str], **options: Any) -> Counts:
    assert options == {"padding": True, "truncation": True, "return_tensors": "pt"}
    return Counts(counts=torch.tensor([[text.count("a"), text.count("b")] for text in texts]))


def test_classifiers() -> None:
    texts = ["aab", "b", "", "abab"]
    one = ClassifierReward(Classifier(1), tokenize, batch_size=3)
    assert one(texts).tolist() == [2, 0, 0, 2]
    for label in ("B", 1):
        two = ClassifierReward(Classifier(2), tokenize, label)
        expected = torch.tensor([[2.0, 1], [0, 1], [0, 0], [2, 2]]).log_softmax(-1)[:, 1]
        assert two(texts).tolist() == pytest.approx(expected.tolist())
    for wrong in (None, "C", 2):
        with pytest.raises(GenerationError, match="2 labels"):
            ClassifierReward(Classifier(2), tokenize, wrong)


def test_each_text_is_asked_once() -> None:
    asked: list[str] = []

    def length(texts: list[str]) -> list[int]:
        asked.extend(texts)
        return [len(text) for text in texts]

    reward = TextReward(length, Letters("ab"))
    prompts, responses = torch.zeros(3, 1, dtype=torch.long), [torch.tensor(ids) for ids in ([0, 1], [0, 1, 5], [1])]
    assert reward(prompts, responses).tolist() == [2, 2, 1] and asked == ["ab", "b"]
    assert reward(prompts, responses).tolist() == [2, 2, 1] and reward.asked == 2
    assert TextReward(length, Letters("ab"), "full")(prompts, responses).tolist() == [3, 3, 2]


@pytest.mark.parametrize("wrong", [[1.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_answers_that_are_no_numbers(wrong: list[float]) -> None:
    reward = TextReward(lambda texts: wrong, Letters("ab"))
    with pytest.raises(GenerationError, match="one finite number"):
        reward(torch.zeros(2, 1, dtype=torch.long), [torch.tensor([0]), torch.tensor([1])])
    with pytest.raises(GenerationError, match="called"):
        TextReward(3, Letters("ab"))  # type: ignore[arg-type]


def test_a_value_learns_what_the_last_token_tells() -> None:
    """Texts of two letters from a bigram model, reward 1 for "b" at the end: V after the last letter is the reward."""
    table = torch.full((4, 4), -30.0)
    table[2, :2] = table[0, :2] = table[1, :2] = 0.0
    model = bigram(table, eos=3)
    torch.manual_seed(0)
    reward = TextReward(lambda texts: [float(text.endswith("b")) for text in texts], Letters("ab"))
    inputs = {"input_ids": torch.tensor([[2], [2]]), "attention_mask": torch.ones(2, 1, dtype=torch.long)}
    value = fit_value(model, inputs, reward, samples=400, ridge=1e-6, max_new_tokens=1, pad_token_id=3)
    states = torch.tensor([[2.0, 0, 0, 0], [0, 2.0, 0, 0]])
    assert value(states).tolist() == pytest.approx([0.0, 1.0], abs=1e-3)
    longer = fit_value(model, inputs, reward, samples=400, ridge=1e-6, max_new_tokens=2, pad_token_id=3)
    assert longer(states).tolist() == pytest.approx([0.25, 0.75], abs=0.06)  # half of the states are the last one's
