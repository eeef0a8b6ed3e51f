"""Samplers that transformers has are not written again: with a constraint they do what they should."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    MinPLogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TypicalLogitsWarper,
)

from processors import ProcessorList
from tests.processors.tiny import llama
from tests.processors.toys import WIDTH, Lists, spell, toy_list, toy_vocabulary

WARPERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "typical": (TypicalLogitsWarper(0.5), {"typical_p": 0.5}),
    "min-p": (MinPLogitsWarper(0.3), {"min_p": 0.3}),
    "eta": (EtaLogitsWarper(0.1), {"eta_cutoff": 0.1}),
    "epsilon": (EpsilonLogitsWarper(0.2), {"epsilon_cutoff": 0.2}),
    "top-h": (TopHLogitsWarper(0.4), {"top_h": 0.4}),
    "top-k": (TopKLogitsWarper(2), {"top_k": 2}),
}
IDS = torch.tensor([[2, 20, 21]] * 3)


@pytest.mark.parametrize("name", WARPERS)
def test_valid_as_a_part_and_as_an_argument(name: str) -> None:
    warper, arguments = WARPERS[name]
    for processor, options in ((toy_list(Lists(3), max_new_tokens=10) + warper, {"top_k": 0}),
                               (toy_list(Lists(3), max_new_tokens=10), {"top_k": 0, **arguments})):  # fmt: skip
        torch.manual_seed(0)
        out = llama().generate(input_ids=IDS, attention_mask=torch.ones_like(IDS), max_new_tokens=10, do_sample=True,
                               logits_processor=processor, **options)  # fmt: skip
        for row in out[:, 3:].tolist():
            text, ended = spell(toy_vocabulary(), row)
            assert ended and Lists(3).complete(text)


@pytest.mark.parametrize("name", WARPERS)
def test_a_part_sees_the_constrained_distribution_and_leaves_something(name: str) -> None:
    """What is kept is allowed, is never nothing, and is what the warper keeps of the masked scores alone."""
    warper, _ = WARPERS[name]
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        scores = torch.randn(3, WIDTH, generator=generator) * 3
        masked = toy_list(Lists(3))(IDS, scores).clone()
        out = (toy_list(Lists(3)) + ProcessorList([warper]))(IDS, scores)
        assert torch.equal(out, warper(IDS, masked.clone()))
        assert out.isfinite().any(dim=1).all() and not (out.isfinite() & ~masked.isfinite()).any()
