"""Assisted generation across tokenizers: the assistant's ids reach the processor and must leave no trace."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch

from tests.processors.tiny import llama
from tests.processors.toys import EOS, PAD, TEXTS, WIDTH, Lists, Words, spell, toy_list, toy_vocabulary


def tokenizer_of(words: dict[str, int]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    rust = Tokenizer(models.WordLevel(words, unk_token="<3>"))
    rust.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    rust.decoder = decoders.WordPiece(prefix="", cleanup=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=rust, pad_token="<0>", eos_token="<1>", bos_token="<2>", unk_token="<3>"
    )


@pytest.mark.parametrize("width", [48, 96])
@pytest.mark.parametrize("sampled", [False, True], ids=["greedy", "sampled"])
@pytest.mark.parametrize("language", [Words((b"cabcab12",)), Lists(3)], ids=["word", "lists"])
def test_output_is_in_the_language(language: Any, sampled: bool, width: int) -> None:
    """Assistants with fewer and with more tokens, and ids of their own; of equal width, `generate` refuses them."""
    own = {f"<{i}>": i for i in range(WIDTH)}
    own = {name: i for name, i in own.items() if not 6 <= i < 6 + len(TEXTS)} | {t: 6 + i for i, t in enumerate(TEXTS)}
    other = {f"<{i}>": i for i in range(4)} | {t: width - 1 - i for i, t in enumerate(TEXTS)}
    other |= {f"w{i}": i for i in range(4, width - len(TEXTS))}
    ids = torch.tensor([[2, 20, 21, 22]])
    processor = toy_list(language, max_new_tokens=12)
    torch.manual_seed(2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="transformers")
        for _ in range(2):
            out = llama().generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=12,
                do_sample=sampled,
                assistant_model=copy.deepcopy(llama(9, width)),  # sampling prunes its head
                tokenizer=tokenizer_of(own),
                assistant_tokenizer=tokenizer_of(other),
                logits_processor=processor,
            )
            written = out[0, 4:].tolist()
            text, ended = spell(toy_vocabulary(), written)
            assert ended and language.complete(text)
            assert set(written[written.index(EOS) :]) <= {EOS, PAD}
