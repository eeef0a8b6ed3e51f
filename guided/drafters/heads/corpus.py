"""Self-distillation: the model writes, and what a draft head needs of every position is kept.

One pass gives everything. While the model generates in batches, its last hidden state is at hand at every step (it has
just been multiplied with the output matrix), and so are the probabilities of the likeliest next tokens. Both are stored
beside the tokens; training then never runs the model again.

    position i of a text:  hidden[i] --(output matrix)--> distribution of tokens[i];  top_ids[i], top_probs[i] hold it

A depth-k head reads hidden[i] (and the tokens i .. i+k-1 where it is sequential) and is taught the distribution at i+k.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from guided.modelcalls import cache_keyword

__all__ = ["Corpus", "collect"]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Texts written by a model, laid end to end.

    tokens     int64 [N]        what was written, prompts excluded, EOS included
    hidden     float16 [N, d]   the last hidden state (after the final norm) from which tokens[i] was chosen
    top_ids    int32 [N, K]     the K likeliest tokens there, descending
    top_probs  float16 [N, K]   their probabilities under the whole vocabulary
    starts     int64 [T + 1]    text t is tokens[starts[t] : starts[t + 1]]
    """

    tokens: torch.Tensor
    hidden: torch.Tensor
    top_ids: torch.Tensor
    top_probs: torch.Tensor
    starts: torch.Tensor

    def __len__(self) -> int:
        return int(self.tokens.numel())

    def windows(self, length: int) -> torch.Tensor:
        """Positions i such that i .. i + length - 1 belong to one text; int64 [M]."""
        spans = [
            torch.arange(int(start), max(int(start), int(end) - length + 1))
            for start, end in zip(self.starts[:-1], self.starts[1:], strict=True)
        ]
        return torch.cat(spans) if spans else torch.empty(0, dtype=torch.int64)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file (1.3 kB a position for 576 wide states)."""
        from safetensors.torch import save_file

        names = ("tokens", "hidden", "top_ids", "top_probs", "starts")
        save_file({name: getattr(self, name).contiguous() for name in names}, str(path))

    @classmethod
    def load(cls, path: str | Path) -> Corpus:
        """Read what `save` wrote."""
        from safetensors.torch import load_file

        return cls(**load_file(str(path)))

    @classmethod
    def join(cls, parts: Sequence[Corpus]) -> Corpus:
        """Several corpora of one model as one."""
        lengths = torch.cat([part.starts.diff() for part in parts])
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
        names = ("tokens", "hidden", "top_ids", "top_probs")
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names}, starts=starts)


@torch.inference_mode()
def collect(
    model: Any,
    prompts: Iterable[torch.Tensor],
    *,
    max_new_tokens: int = 192,
    batch_size: int = 64,
    temperature: float = 0.7,
    greedy_share: float = 0.5,
    top_k: int = 16,
    max_seconds: float | None = None,
    seed: int = 0,
    on_batch: Callable[[int, float], None] | None = None,
) -> Corpus:
    """Let `model` go on from `prompts` (int64 [length] each, chat template applied) and keep what heads learn from.

    The first `greedy_share` of each batch is decoded greedily, the rest sampled at `temperature`. Texts end at EOS or
    after `max_new_tokens`. After `max_seconds` no further batch is begun. `on_batch(tokens so far, seconds)` reports.

    Cost: a pass of the model per step of a batch; finished rows leave the batch when a quarter of it is finished.
    """
    generator = torch.Generator().manual_seed(seed)
    waiting = list(prompts)
    waiting.sort(key=len)  # of equal length together: little padding
    batches = [waiting[i : i + batch_size] for i in range(0, len(waiting), batch_size)]
    order = torch.randperm(len(batches), generator=generator).tolist()
    parts: list[Corpus] = []
    begun, total = time.perf_counter(), 0
    for number in order:
        if max_seconds is not None and parts and time.perf_counter() - begun > max_seconds:
            break
        greedy = round(greedy_share * len(batches[number]))
        parts.append(_write(model, batches[number], max_new_tokens, temperature, greedy, top_k, generator))
        total += len(parts[-1])
        if on_batch is not None:
            on_batch(total, time.perf_counter() - begun)
    if not parts:
        raise ValueError("no prompts: there is nothing for the model to go on from")
    return Corpus.join(parts)


def _write(
    model: Any,
    prompts: Sequence[torch.Tensor],
    steps: int,
    temperature: float,
    greedy: int,
    top_k: int,
    generator: torch.Generator,
) -> Corpus:
    """One batch."""
    from transformers import DynamicCache

    rows, width = len(prompts), max(len(prompt) for prompt in prompts)
    device = model.device
    ids = torch.zeros(rows, width, dtype=torch.int64, device=device)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :], mask[row, width - len(prompt) :] = prompt.to(device), 1
    eos = model.generation_config.eos_token_id
    ends = torch.tensor([eos] if isinstance(eos, int) else list(eos or []), device=device)
    greedy_rows = (torch.arange(rows) < greedy).to(device)
    alive = torch.arange(rows, device=device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    written: list[list[tuple[torch.Tensor, ...]]] = [[] for _ in range(rows)]
    for _ in range(steps):
        states = _hidden(decoder, ids, mask, positions, cache)
        logits = head(states).float()
        probs = logits.softmax(-1)
        top_probs, top_ids = probs.topk(min(top_k, probs.shape[-1]))
        drawn = torch.multinomial((logits / temperature).softmax(-1).cpu(), 1, generator=generator)[:, 0].to(device)
        chosen = torch.where(greedy_rows, logits.argmax(-1), drawn)
        kept = (chosen.cpu(), states.half().cpu(), top_ids.int().cpu(), top_probs.half().cpu())
        for place, row in enumerate(alive.tolist()):
            if not written[row] or not bool(torch.isin(written[row][-1][0], ends.cpu())):
                written[row].append(tuple(part[place] for part in kept))
        going = ~torch.isin(chosen, ends)
        if not bool(going.any()):
            break
        if int(going.sum()) <= 0.75 * len(alive):
            keep = going.nonzero()[:, 0]
            cache.batch_select_indices(keep)
            alive, chosen, greedy_rows, mask = alive[keep], chosen[keep], greedy_rows[keep], mask[keep]
            positions = positions[keep]
        ids = chosen[:, None]
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        positions = positions[:, -1:] + 1
    lengths = torch.tensor([len(text) for text in written])
    flat = [step for text in written for step in text]
    tokens, hidden, top_ids, top_probs = (torch.stack(column) for column in zip(*flat, strict=True))
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    return Corpus(tokens, hidden, top_ids, top_probs, starts)


def _hidden(decoder: Any, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any) -> torch.Tensor:
    """The decoder's last hidden state at the last position, [rows, d]; `cache` is written."""
    keep = {cache_keyword(decoder): cache}
    out = decoder(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True, **keep)
    return out.last_hidden_state[:, -1]  # type: ignore[no-any-return]
