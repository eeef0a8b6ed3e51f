"""Blockwise decoding: plain sampling with one block, best-of-K with blocks as long as the text."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from guided.search import blockwise_decoding
from processors.errors import GenerationError
from tests.processors.tiny import llama
from tests.processors.toys import EOS, PAD, Lists, spell, toy_list, toy_vocabulary

PROMPTS = torch.tensor([[2, 20, 21, 22], [PAD, PAD, 2, 30]])
OPTIONS: dict[str, Any] = {
    "input_ids": PROMPTS, "attention_mask": (PROMPTS != PAD).long(), "max_new_tokens": 10, "do_sample": True
}  # fmt: skip


class Letters:
    """A tokenizer of ids as letters."""

    def decode(self, ids: torch.Tensor, skip_special_tokens: bool = True) -> str:
        return " ".join(str(i) for i in ids.tolist() if i > 2)


def count_9(texts: list[str]) -> list[float]:
    return [float(text.split().count("20")) + 0.01 * len(text) for text in texts]


def test_one_block_is_plain_sampling() -> None:
    torch.manual_seed(0)
    plain = llama().generate(**OPTIONS)
    torch.manual_seed(0)
    out = llama().generate(**OPTIONS, custom_generate=blockwise_decoding(count_9, Letters(), 1, 3))
    assert out.tolist() == plain.tolist()


def test_endless_blocks_are_the_best_of_k() -> None:
    torch.manual_seed(0)
    many = llama().generate(**OPTIONS, num_return_sequences=5)
    torch.manual_seed(0)
    out = llama().generate(**OPTIONS, custom_generate=blockwise_decoding(count_9, Letters(), 5, 99))
    values = torch.tensor(count_9([Letters().decode(row[4:]) for row in many])).view(2, 5)
    for p in range(2):
        best = many[p * 5 + int(values[p].argmax())].tolist()
        own = out[p].tolist()
        assert own + [PAD] * (len(best) - len(own)) == best + [PAD] * (len(own) - len(best))


def test_blocks_raise_the_value_and_keep_the_constraint() -> None:
    options = {**OPTIONS, "input_ids": PROMPTS.repeat(10, 1), "attention_mask": OPTIONS["attention_mask"].repeat(10, 1)}

    def fives(texts: list[str]) -> list[float]:
        return [float(len(text.split())) for text in texts]

    means = []
    for k in (1, 8):
        torch.manual_seed(1)
        out = llama().generate(**options, custom_generate=blockwise_decoding(fives, Letters(), k, 3),
                               logits_processor=toy_list(Lists(3), max_new_tokens=10))  # fmt: skip
        for row in out[:, 4:].tolist():
            text, ended = spell(toy_vocabulary(), row)
            assert ended and Lists(3).complete(text)
            assert EOS in row
        means.append(sum(fives([Letters().decode(row[4:]) for row in out])) / len(out))
    assert means[1] > means[0] + 0.5


@pytest.mark.parametrize("wrong", [{"num_blocks": 0}, {"block_length": 0}, {"text": "prompt"}])
def test_settings_out_of_range(wrong: dict) -> None:
    with pytest.raises(GenerationError, match=next(iter(wrong))):
        blockwise_decoding(count_9, Letters(), **wrong)


def test_rewards_that_are_no_numbers() -> None:
    for wrong in (lambda texts: [1.0], lambda texts: [float("nan")] * len(texts)):
        with pytest.raises(GenerationError, match="one finite number"):
            llama().generate(**OPTIONS, custom_generate=blockwise_decoding(wrong, Letters(), 4, 3))
