"""Blockwise controlled decoding (Mudgal et al. 2024, arXiv 2310.17022): sample K blocks of M tokens, keep
the best, repeat.

The value of a text so far is any callable on texts; with blocks as long as the whole text this is best-of-K, with K = 1
it is plain sampling.
"""

from __future__ import annotations

from typing import Any

import torch

from guided.search._rows import Rows
from guided.search._strategy import Job, Strategy, answer, at_least
from processors.value.reward import Reward, TextReward

__all__ = ["BlockwiseDecoding", "blockwise_decoding"]


def blockwise_decoding(
    value: Reward, tokenizer: Any, num_blocks: int = 4, block_length: int = 16, *, text: str = "response"
) -> BlockwiseDecoding:
    """Text of high value by choosing among sampled blocks, for `generate(do_sample=True, custom_generate=...)`.

    `value(texts)` judges unfinished texts too: after each block, the best of `num_blocks` stays; a block ends early
    with the text. `text="full"`: the value sees prompt and response, else the response. `tokenizer` makes texts of ids.
    Sampling settings are `generate`'s; under a constraint all blocks are within it.

    >>> search = guided.blockwise_decoding(reward, tokenizer)  # doctest: +SKIP
    >>> model.generate(**inputs, do_sample=True, custom_generate=search)  # doctest: +SKIP

    Cost: one pass a token, `num_blocks` rows wide, and a value for each block. Errors: `GenerationError`.
    """
    return BlockwiseDecoding(TextReward(value, tokenizer, text), num_blocks, block_length)


class BlockwiseDecoding(Strategy):
    """See `blockwise_decoding`."""

    def __init__(self, value: TextReward, num_blocks: int, block_length: int) -> None:
        at_least("blockwise_decoding", 1, num_blocks=num_blocks, block_length=block_length)
        self.value, self.num_blocks, self.block_length = value, num_blocks, block_length

    def run(self, job: Job) -> Any:
        """int64 [prompts, length], or a `GenerateDecoderOnlyOutput`."""
        prompts, start, k = len(job.ids), job.ids.shape[1], self.num_blocks
        rows = Rows(job.model, job.ids, job.mask)
        rows.repeat(k)
        ids = job.ids.repeat_interleave(k, dim=0)
        live = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
        while True:
            for _ in range(self.block_length):
                scores = job.process(ids, rows.logits)
                if job.config.do_sample:
                    token = torch.multinomial(torch.softmax(scores, dim=-1), 1)[:, 0]
                else:
                    token = scores.argmax(dim=-1)
                token = torch.where(live, token, job.pad)
                ids = torch.cat([ids, token[:, None]], dim=1)
                live &= ~job.ended(ids)
                if not bool(live.any()):
                    break
                rows.step(token)
            winners = self._winners(ids, start, prompts) if k > 1 else torch.arange(prompts, device=ids.device)
            if not bool(live[winners].any()):
                break
            at = winners.repeat_interleave(k)
            ids, live = ids[at], live[at]
            rows.select(at)
        return answer(job, ids[winners])

    def _winners(self, ids: torch.Tensor, start: int, prompts: int) -> torch.Tensor:
        values = self.value(ids[:, :start], [row[start:] for row in ids]).view(prompts, self.num_blocks)
        best = values.argmax(dim=-1).to(ids.device)
        return torch.arange(prompts, device=ids.device) * self.num_blocks + best
