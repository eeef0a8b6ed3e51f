"""Models so small that all of their texts can be written down."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM


def tiny_llama(width: int, eos: int, seed: int = 0, scale: float = 20.0) -> Any:
    """A random Llama over `width` tokens: small enough to enumerate all of its texts."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=width,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        bos_token_id=None,
        eos_token_id=eos,
        pad_token_id=eos,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(scale)
    return model


@torch.no_grad()
def enumerate_texts(model: Any, prompt: list[int], eos: int, length: int) -> dict[tuple[int, ...], float]:
    """ln p of every text that ends within `length` tokens, or is cut there; by the model alone, without a cache."""
    found: dict[tuple[int, ...], float] = {}
    level: dict[tuple[int, ...], float] = {(): 0.0}
    for step in range(length):
        ids = torch.tensor([[*prompt, *text] for text in level])
        logp = torch.log_softmax(model(ids).logits[:, -1].double(), -1)
        following: dict[tuple[int, ...], float] = {}
        for (text, score), row in zip(level.items(), logp.tolist(), strict=True):
            for token, each in enumerate(row):
                target = found if token == eos or step == length - 1 else following
                target[(*text, token)] = score + each
        level = following
    return found
