"""Small worlds whose conditional law can be written down: a random Llama over twelve tokens, and languages on it.

`exact_law` enumerates every text of a language by brute force: the model is asked about whole sequences without a
cache, and membership is decided by Python's `re`, so nothing is shared with what is tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import product
from typing import Any

import torch

import guided
from tests.processors.tiny import llama

EOS, PAD = 1, 0
TEXTS = ("a", "b", "c", "ab", "ba", "cc")
WIDTH = 12
PROMPT = (9, 10, 11)
LIMIT = 5  # tokens of a text, EOS included

LANGUAGES = {
    "corner": "aaa|b[ab][ab]",  # one way leads into a corner, the other is wide
    "repeat": "(ab){1,2}|c(cc)?",
    "last": "[ab]{2}c|cb",
    "star": "a*b|c+",
    "rare": "ca?b|bb?c?a",
}


@cache
def vocabulary() -> guided.Vocabulary:
    return guided.Vocabulary.from_bytes([None, None, *(text.encode() for text in TEXTS)], eos_ids=[EOS], size=WIDTH)


@cache
def model(seed: int = 4) -> Any:
    return llama(seed, WIDTH)


@cache
def constraint(name: str) -> Any:
    return guided.regex(LANGUAGES[name], tokenizer=vocabulary())


@torch.no_grad()
def law_after(prefixes: Iterable[tuple[int, ...]], temperature: float = 1.0, seed: int = 4) -> torch.Tensor:
    """softmax(logits / temperature) after prompt + prefix, float64 [n, V], a whole sequence each time."""
    out = [model(seed)(torch.tensor([[*PROMPT, *prefix]])).logits[0, -1] for prefix in prefixes]
    return (torch.stack(out).double() / temperature).softmax(-1)


@cache
def exact_law(name: str, temperature: float = 1.0, seed: int = 4) -> tuple[dict[tuple[int, ...], float], float]:
    """Conditional law of token sequences (without EOS), and the probability of the language within the limit."""
    pattern = re.compile(LANGUAGES[name])
    texts = [
        tokens
        for length in range(LIMIT)
        for tokens in product(range(2, 2 + len(TEXTS)), repeat=length)
        if pattern.fullmatch("".join(TEXTS[token - 2] for token in tokens))
    ]
    prefixes = sorted({text[:cut] for text in texts for cut in range(len(text) + 1)})
    rows = dict(zip(prefixes, law_after(prefixes, temperature, seed), strict=True))
    joint = {}
    for text in texts:
        probability = float(rows[text][EOS])
        for place, token in enumerate(text):
            probability *= float(rows[text[:place]][token])
        joint[text] = probability
    total = sum(joint.values())
    return {text: probability / total for text, probability in joint.items()}, total


@cache
def masked_law(name: str, temperature: float = 1.0, seed: int = 4) -> dict[tuple[int, ...], float]:
    """The law of masking token by token."""
    texts = list(exact_law(name, temperature, seed)[0])
    legal: dict[tuple[int, ...], set[int]] = {}
    for text in texts:
        for place, token in enumerate((*text, EOS)):
            legal.setdefault(text[:place], set()).add(token)
    rows = dict(zip(legal, law_after(list(legal), temperature, seed), strict=True))
    law = {}
    for text in texts:
        law[text] = 1.0
        for place, token in enumerate((*text, EOS)):
            row = rows[text[:place]]
            law[text] *= float(row[token]) / float(sum(row[other] for other in legal[text[:place]]))
    return law


def distance(first: dict[Any, float], second: dict[Any, float]) -> float:
    """Total variation."""
    return 0.5 * sum(abs(first.get(key, 0.0) - second.get(key, 0.0)) for key in {*first, *second})


def frequencies(samples: Iterable[tuple[int, ...]]) -> dict[tuple[int, ...], float]:
    counts: dict[tuple[int, ...], float] = {}
    drawn = list(samples)
    for sample in drawn:
        counts[sample] = counts.get(sample, 0.0) + 1 / len(drawn)
    return counts
