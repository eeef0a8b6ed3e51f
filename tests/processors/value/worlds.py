"""A bigram model that is exact: a Llama whose layers add nothing, so that its logits depend on the last token alone."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM


def bigram(logits: torch.Tensor, eos: int | None = None) -> Any:
    """A model with next-token logits `logits[last]`, [V, V] finite; caches and masks work as for any Llama."""
    width = len(logits)
    config = LlamaConfig(
        vocab_size=width,
        hidden_size=width,
        intermediate_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        max_position_embeddings=128,
        bos_token_id=None,
        eos_token_id=eos,
        pad_token_id=None,
        rms_norm_eps=1e-12,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "o_proj" in name or "down_proj" in name:
                parameter.zero_()
        model.get_input_embeddings().weight.copy_(torch.eye(width))
        model.lm_head.weight.copy_(logits.T / width**0.5)  # the final norm makes a unit vector sqrt(width) long
    return model


class Letters:
    """A tokenizer of the letters of `alphabet`; other ids write nothing."""

    def __init__(self, alphabet: str) -> None:
        self.alphabet = alphabet

    def decode(self, ids: torch.Tensor, skip_special_tokens: bool = True) -> str:
        return "".join(self.alphabet[i] for i in ids.tolist() if i < len(self.alphabet))
