"""The table of methods: one row for each processor that steers. `test_conformance` holds every row to the same rules.

To add a method, add a row. `make(prompts)` gives a fresh list for a batch of these prompts (lists of ids) in which a
prompt's settings depend on that prompt alone; `off(prompts)` one with the setting that must leave the model's scores as
they are, bit for bit, or None if the method has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import guided
from tests.processors.tiny import llama
from tests.processors.toys import EOS, PAD, toy_vocabulary

__all__ = ["METHODS", "Method"]

Prompts = list[list[int]]
Make = Callable[[Prompts], Any]


@dataclass(frozen=True)
class Method:
    """`feedback`: what it says depends on the scores of earlier calls too, not on the ids and scores of this one alone.

    `random`: it draws. `normalised`: gives log-probabilities over the allowed tokens.
    """

    name: str
    make: Make
    off: Make | None = None
    feedback: bool = False
    normalised: bool = True


def short(prompts: Prompts) -> Prompts:
    """Second prompts of other lengths than the first ones; they depend on their own prompt only."""
    return [[2, prompt[-1], 9] if len(prompt) % 2 else [sum(prompt) % 50 + 6] for prompt in prompts]


def long(prompts: Prompts) -> Prompts:
    return [[2, 40, 41, *prompt[1:]] for prompt in prompts]


def padded(prompts: Prompts) -> Any:
    """The prompts as a tokenizer gives them."""
    length = max(map(len, prompts))
    return {
        "input_ids": [[PAD] * (length - len(prompt)) + prompt for prompt in prompts],
        "attention_mask": [[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts],
    }


def each(prompts: Prompts, *values: float) -> list[float]:
    """Another number for each prompt, by its content, so that a row has the same alone and in a batch."""
    return [values[sum(prompt) % len(values)] for prompt in prompts]


def variety(texts: list[str]) -> list[float]:
    return [len(set(text)) / 3 for text in texts]


def size(texts: list[str]) -> list[float]:
    return [len(text) / 10 for text in texts]


METHODS = [
    Method(
        "cad",
        lambda p: guided.cad(llama(), short(p), alpha=1.0),
        lambda p: guided.cad(llama(), short(p), alpha=0),
    ),
    Method("cad, cut", lambda p: guided.cad(llama(), short(p), alpha=each(p, 0.3, 1.5, 0.9), plausibility=0.05)),
    Method("adacad", lambda p: guided.adacad(llama(), short(p), floor=0.2)),
    Method("icd", lambda p: guided.icd(llama(), llama(7))),
    Method("icd, prompt", lambda p: guided.icd(llama(), long(p), plausibility=each(p, 0.1, 0.01, 0.3))),
    Method("dola", lambda p: guided.dola(llama(), layers=(0, 1))),
    Method("lol", lambda p: guided.lol(llama(), llama(7), layers=1, instructed=long(p))),
    Method("lol, layers", lambda p: guided.lol(llama(), short(p), layers=(0, 1), instructed=long(p), gamma=1.0)),
    Method(
        "vdgd",
        lambda p: guided.vdgd(llama(), [[*prompt, 30, 31] for prompt in p]),
        lambda p: guided.vdgd(llama(), [[*prompt, 30, 31] for prompt in p], mix=0, alpha=0),
    ),
    Method(
        "vdgd, nucleus",
        lambda p: guided.vdgd(llama(), [12, 40, 41], alpha=0, top_p=0.7, reduction="mean", mix=each(p, 0.5, 1.0, 0.9)),
    ),
    Method(
        "contrastive",
        lambda p: guided.contrastive_decoding(llama(7)),
        lambda p: guided.contrastive_decoding(llama(7), beta=0),
    ),
    Method("contrastive, difference", lambda p: guided.contrastive_decoding(llama(7), form="difference", beta=1.0)),
    Method(
        "proxy",
        lambda p: guided.proxy_tuning(llama(7), llama(8), alpha=each(p, 1.0, -0.5)),
        lambda p: guided.proxy_tuning(llama(7), llama(8), alpha=0),
    ),
    Method(
        "consult",
        lambda p: guided.consult(llama(7), limit=0.35),
        lambda p: guided.consult(llama(7), limit=0),
        normalised=False,
    ),
    Method("consult, mixed", lambda p: guided.consult(llama(7), router="entropy", limit=2, beta=0.6), normalised=False),
    Method(
        "ead",
        lambda p: guided.ead(llama(7), tau=3.0, window=2, stay=1),
        lambda p: guided.ead(llama(7), tau=float("inf")),
        feedback=True,
        normalised=False,
    ),
    Method(
        "rapid",
        lambda p: guided.rapid(llama(7), short(p), eta=6, temperature=0.8),
        lambda p: guided.rapid(llama(7), short(p), eta=0),
    ),
    Method(
        "transfer_q",
        lambda p: guided.transfer_q(policy=llama(7), reward=variety, tokenizer=toy_vocabulary(), top_k=3, max_rollout=2,
                                    alpha=each(p, 0.3, 1.0)),
        lambda p: guided.transfer_q(policy=llama(7), reward=variety, tokenizer=toy_vocabulary(), alpha=float("inf")),
    ),
    Method(
        "transfer_q, drawn",
        lambda p: guided.transfer_q(policy=llama(7), reward=variety, tokenizer=toy_vocabulary(), top_k=2, max_rollout=2,
                                    rollouts=2, baseline_reward=size, beta=0.5),
    ),
    Method(
        "args",
        lambda p: guided.args(variety, tokenizer=toy_vocabulary(), weight=2.0, top_k=3, eos_ids=[EOS]),
        lambda p: guided.args(variety, tokenizer=toy_vocabulary(), weight=0),
    ),
    Method(
        "controlled",
        lambda p: guided.controlled_decoding(llama(7), lambda hidden: hidden[:, 0], top_k=4),
        lambda p: guided.controlled_decoding(llama(7), lambda hidden: hidden[:, 0], weight=0),
    ),
    Method(
        "mirostat",
        lambda p: guided.mirostat(2.5, 0.3),
        lambda p: guided.mirostat(mu=float("inf"), eta=0),
        feedback=True,
        normalised=False,
    ),
    Method(
        "mirostat, warm",
        lambda p: guided.mirostat(5.0, 0.5, mu=7, warmup=3, heat=True),
        feedback=True,
        normalised=False,
    ),
    Method("mirostat 1", lambda p: guided.mirostat(2.5, 0.3, version=1), feedback=True, normalised=False),
    Method("momentum", lambda p: guided.momentum(0.3, 4), lambda p: guided.momentum(0)),
]  # fmt: skip
