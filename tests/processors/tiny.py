"""Random models small enough to build in a moment: Llama and T5 over the toy vocabulary.

Making one leaves torch's random numbers as they were: which test is the first to ask for a model changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

from tests.processors.toys import BOS, EOS, PAD, WIDTH

_device = "cpu"


@contextmanager
def models_on(device: str) -> Iterator[None]:
    """Within the block `llama()` gives models on that device."""
    global _device
    before, _device = _device, device
    try:
        yield
    finally:
        _device = before


def llama(seed: int = 0, width: int = WIDTH) -> Any:
    """Two layers; logits are blown up so that sampling has preferences."""
    return _llama(seed, width, _device)


@cache
def _llama(seed: int, width: int, device: str) -> Any:
    config = LlamaConfig(
        vocab_size=width,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(20)
    model.generation_config.pad_token_id = PAD
    return model.to(device)


@cache
def t5() -> Any:
    options: dict[str, Any] = {"decoder_start_token_id": PAD, "tie_word_embeddings": False}
    config = T5Config(
        vocab_size=WIDTH,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=2,
        eos_token_id=EOS,
        pad_token_id=PAD,
        **options,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return T5ForConditionalGeneration(config).eval()
