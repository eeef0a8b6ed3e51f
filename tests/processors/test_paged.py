"""Continuous batching is refused instead of writing unconstrained text."""

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from processors import ConstraintProcessor, ProcessorList, UnsupportedGeneration
from tests.processors.toys import Lists, toy_constraint


def _model() -> Any:
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, pad_token_id=0
    )
    return LlamaForCausalLM(config).eval()


def _constraint() -> ProcessorList:
    return ProcessorList([ConstraintProcessor([toy_constraint(Lists(2))])])


def test_generate_batch_is_refused() -> None:
    with pytest.raises(UnsupportedGeneration, match="not be constrained"):
        _model().generate_batch([[1, 2]], logits_processor=_constraint())


def test_a_paged_cache_is_refused() -> None:
    with pytest.raises(UnsupportedGeneration, match="paged"):
        _model().generate(
            torch.tensor([[1, 2]]), logits_processor=_constraint(), cache_implementation="paged", max_new_tokens=2
        )
