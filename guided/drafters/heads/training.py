"""Training heads on a `Corpus`: the model never runs, its hidden states and likeliest tokens were kept.

Loss: cross-entropy to the target's own distribution at each depth (its stored top tokens, restricted to the draft
vocabulary and renormalised), depths weighted by 0.8^k; for feature heads also a smooth L1 distance between the first
half of the guessed hidden state and the target's. AdamW, cosine schedule with warm-up, gradients clipped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional as F

from guided.drafters.heads.corpus import Corpus
from guided.drafters.heads.modules import DraftHeads, FeatureHeads, HeadsConfig, make_heads

__all__ = ["Report", "draft_vocabulary", "evaluate", "train"]

_DECAY = 0.8  # weight of depth k: 0.8^k
_ALIGN = 0.5  # weight of the alignment of features


@dataclass
class Report:
    """What training did: seconds, positions seen, and accuracy on the held-out texts, best guess and best four."""

    seconds: float = 0.0
    positions: int = 0
    losses: list[float] = field(default_factory=list)
    top1: list[float] = field(default_factory=list)
    top4: list[float] = field(default_factory=list)


def draft_vocabulary(corpus: Corpus, size: int = 4096, always: torch.Tensor | None = None) -> torch.Tensor:
    """The `size` tokens that the model wrote or nearly wrote most often, most frequent first; int64 [<= size].

    `always`: ids that are in it whatever their frequency, such as the tokens of the schemas that will be used.
    """
    weight = torch.bincount(corpus.tokens).double()
    likely = corpus.top_ids.long().flatten()
    width = int(max(len(weight), int(likely.max()) + 1, 0 if always is None else int(always.max()) + 1))
    weight = F.pad(weight, (0, width - len(weight)))
    weight.index_add_(0, likely, corpus.top_probs.double().flatten())
    if always is not None:
        weight[always] = float("inf")
    order = weight.argsort(descending=True, stable=True)
    return order[: min(size, int((weight > 0.05).sum()))]


def train(
    model: Any,
    corpus: Corpus,
    config: HeadsConfig,
    *,
    vocabulary_size: int = 4096,
    vocabulary: torch.Tensor | None = None,
    epochs: int = 4,
    batch: int = 128,
    learning_rate: float = 1e-3,
    held_out: float = 0.05,
    max_seconds: float | None = None,
    seed: int = 0,
    on_step: Callable[[int, int, float], None] | None = None,
) -> tuple[DraftHeads, Report]:
    """Heads for `model`, trained on what it wrote.

    `held_out`     share of the texts (the last ones) that is kept for the report
    `max_seconds`  training ends then, its learning rate having fallen as if that had been planned
    `on_step`      (step, steps, loss), for a progress bar
    """
    torch.manual_seed(seed)
    if vocabulary is None:
        vocabulary = draft_vocabulary(corpus, vocabulary_size)
    heads = make_heads(config, vocabulary).bind(model, fresh=True)
    if config.kind != "medusa":  # whose first guess is the model's own: the others begin at the tokens' frequencies
        counts = torch.bincount(corpus.tokens, minlength=heads.places.numel())[vocabulary].float()
        with torch.no_grad():
            heads.bias.copy_((counts + 0.5).log() - (counts + 0.5).sum().log())
    cut = int(corpus.starts[max(1, round((len(corpus.starts) - 1) * (1 - held_out)))])
    windows = corpus.windows(config.depth + 1)
    learn, check = windows[windows + config.depth < cut], windows[windows >= cut]
    if not len(learn):
        raise ValueError(f"no text of the corpus is longer than {config.depth} tokens")
    optimizer = torch.optim.AdamW(heads.parameters(), lr=learning_rate, weight_decay=0.01)
    steps = max(1, epochs * (len(learn) // batch))
    report, begun, step = Report(), time.perf_counter(), 0
    heads.train()
    done = 0.0
    while step < steps and done < 1.0:
        order = learn[torch.randperm(len(learn))]
        for at in range(0, max(len(order) - batch, 0) + 1, batch):
            done = step / steps
            if max_seconds is not None:
                done = max(done, (time.perf_counter() - begun) / max_seconds)
            if step >= steps or done >= 1.0:
                break
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * _schedule(done)
            loss = _loss(heads, corpus, order[at : at + batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(heads.parameters(), 1.0)
            optimizer.step()
            step += 1
            report.positions += min(batch, len(order) - at)
            report.losses.append(float(loss.detach()))
            if on_step is not None:
                on_step(step, steps, report.losses[-1])
    heads.eval().requires_grad_(False)
    report.seconds = time.perf_counter() - begun
    if len(check):
        report.top1, report.top4 = evaluate(heads, corpus, check)
    return heads, report


def _schedule(done: float) -> float:
    """Warm-up over the first twentieth, then a cosine to a twentieth."""
    from math import cos, pi

    return done / 0.05 + 0.02 if done < 0.05 else 0.05 + 0.95 * 0.5 * (1 + cos(pi * (done - 0.05) / 0.95))


def _loss(heads: DraftHeads, corpus: Corpus, windows: torch.Tensor) -> torch.Tensor:
    depth = heads.config.depth
    hidden = corpus.hidden[windows].float()
    tokens = corpus.tokens[windows[:, None] + torch.arange(depth)]
    logits, states = heads.unroll(hidden, tokens)
    total = torch.zeros(())
    for k in range(depth):
        at = windows + k + 1  # the position whose token is guessed
        places = heads.places[corpus.top_ids[at].long()]
        probs = torch.where(places >= 0, corpus.top_probs[at].float(), 0.0)
        mass = probs.sum(-1, keepdim=True)
        chosen = logits[k].log_softmax(-1).gather(-1, places.clamp(min=0))
        total = total - _DECAY**k * (probs / mass.clamp(min=1e-6) * chosen).sum(-1).mean()
        if isinstance(heads, FeatureHeads):
            half = heads.config.hidden_size // 2
            target = corpus.hidden[at].float()
            unit = target.square().mean().sqrt()
            distance = F.smooth_l1_loss(states[k][:, :half] / unit, target[:, :half] / unit)
            total = total + _ALIGN * _DECAY**k * distance
    return total


@torch.inference_mode()
def evaluate(heads: DraftHeads, corpus: Corpus, windows: torch.Tensor) -> tuple[list[float], list[float]]:
    """At each depth: how often the written token is the best guess, and among the best four."""
    top1, top4 = [], []
    depth = heads.config.depth
    logits, _ = heads.unroll(corpus.hidden[windows].float(), corpus.tokens[windows[:, None] + torch.arange(depth)])
    for k, out in enumerate(logits):
        best = heads.vocabulary[out.topk(min(4, out.shape[-1])).indices]
        hits = best == corpus.tokens[windows + k + 1][:, None]
        top1.append(float(hits[:, 0].float().mean()))
        top4.append(float(hits.any(-1).float().mean()))
    return top1, top4
