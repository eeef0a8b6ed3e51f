"""Constraint, method, and a third part: walks over random logits, as greedy, sampling and beam search would take them.

No model writes the logits, so they are as odd as hypothesis makes them: flat, sharp, with what is banned ahead of all.
At each step: nothing banned is revived, something allowed is left in every row, nothing is NaN; at the end each text is
judged by a reader that shares nothing with the engine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopPLogitsWarper, TypicalLogitsWarper

import guided
from processors import ProcessorList
from tests.processors.methods import METHODS, Method
from tests.processors.toys import EOS, PAD, WIDTH, spell, toy_vocabulary

PROMPTS = [[2, 20, 21, 22, 23], [2, 30], [2, 9, 31]]
NEW = 12
BEAMS = 2


@dataclass(frozen=True)
class Constraint:
    make: Callable[[], ProcessorList]
    valid: Callable[[str], bool]


def _numbers(text: str) -> bool:
    value = json.loads(text)
    return isinstance(value, list) and 1 <= len(value) <= 3 and all(type(each) is int and each < 60 for each in value)


ITEMS = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "exclusiveMaximum": 60},
    "minItems": 1,
    "maxItems": 3,
}
LARK = 'start: item ["," item]\nitem: "[" WORD "]"\nWORD: /[a-d]{1,3}/'
TEXT, CHOICES = "abcabdcab", ["abc", "abcab", "cab", "d12", "12", "1"]
GIVEN: dict[str, Any] = {"tokenizer": toy_vocabulary()}
CONSTRAINTS = {
    "json": Constraint(lambda: guided.json(ITEMS, **GIVEN, whitespace="compact", max_new_tokens=NEW), _numbers),
    "regex": Constraint(
        lambda: guided.regex(r"[a-d]{2,4}(\[\d\])?", **GIVEN),
        lambda text: bool(re.fullmatch(r"[a-d]{2,4}(\[\d\])?", text)),
    ),
    "choice": Constraint(lambda: guided.choice(CHOICES, **GIVEN), lambda text: text in CHOICES),
    "substring": Constraint(lambda: guided.substring(TEXT, **GIVEN), lambda text: text in TEXT),
    "lark": Constraint(
        lambda: guided.lark(LARK, **GIVEN),
        lambda text: bool(re.fullmatch(r"\[[a-d]{1,3}\](,\[[a-d]{1,3}\])?", text)),
    ),
}
MODES = ("greedy", "sampling", "beams")
SAMPLERS: list[Callable[[], Any]] = [
    list,
    lambda: TemperatureLogitsWarper(0.7),
    lambda: TopPLogitsWarper(0.6),
    lambda: MinPLogitsWarper(0.3),
    lambda: TypicalLogitsWarper(0.5),
    lambda: guided.mirostat(1.5, 0.5),
    lambda: guided.momentum(0.3, 4),
]


def logits(random: np.random.Generator, rows: int) -> torch.Tensor:
    """Flat, ordinary or sharp ones, sometimes with ties, or with one token far ahead of all."""
    scores = random.normal(size=(rows, WIDTH)) * random.choice([0.0, 1.0, 8.0, 80.0])
    if random.random() < 0.3:
        scores = scores.round()
    if random.random() < 0.3:
        scores[np.arange(rows), random.integers(0, WIDTH, rows)] += 1e4
    return torch.from_numpy(scores).float()


def walk(combined: ProcessorList, constraint: Constraint, mode: str, seed: int) -> None:
    """One generation, checked at every step and at its end."""
    random, draw = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    each = {"greedy": 1, "sampling": 2, "beams": BEAMS}[mode]
    width = max(map(len, PROMPTS))
    prompts = [[PAD] * (width - len(prompt)) + prompt for prompt in PROMPTS for _ in range(each)]
    ids, total = torch.tensor(prompts), torch.zeros(len(prompts))
    if mode == "beams":
        total[torch.arange(len(prompts)) % BEAMS > 0] = -1e9  # beams begin alike: all but the first are put last
    reference, texts = constraint.make(), []
    (processor,) = combined
    for each_list in (reference, combined):
        each_list[0].announce()
    for _ in range(NEW + 1):
        scores = logits(random, len(ids))
        if mode == "beams":
            scores = scores.log_softmax(-1)
        before = scores.clone()
        allowed = reference[0](ids, scores).isfinite()
        out = processor(ids, scores)
        ended = (ids[:, width:] == EOS).any(1)
        assert torch.equal(scores, before) and out.shape == scores.shape
        assert not out.isnan().any() and not out.isposinf().any()
        assert not (out.isfinite() & ~allowed).any(), "a banned token was revived"
        assert out.isfinite().any(1).all(), "nothing was left"
        if bool(ended.all()):
            break
        if mode == "beams":
            ids, total, finished = beam_step(ids, total, out)
            texts += finished
        else:
            token = out.argmax(-1) if mode == "greedy" else torch.multinomial(out.softmax(-1), 1, generator=draw)[:, 0]
            ids = torch.cat([ids, torch.where(ended, PAD, token)[:, None]], dim=1)
    texts += [row for row in ids.tolist() if EOS in row[width:]]
    assert len(texts) >= len(PROMPTS) and (mode == "beams" or len(texts) == len(prompts))
    for row in texts:
        text, ended_well = spell(toy_vocabulary(), row[width:])
        assert ended_well and constraint.valid(text.decode()), text


def beam_step(
    ids: torch.Tensor, total: torch.Tensor, out: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, list[list[int]]]:
    """The best continuations of each prompt, ended ones set aside; where none goes on, an ended one stays as a row."""
    rows, totals, finished = [], [], []
    for at in range(0, len(ids), BEAMS):
        ended = (ids[at : at + BEAMS] == EOS).any(1)
        weight = (total[at : at + BEAMS, None] + out[at : at + BEAMS]).masked_fill(ended[:, None], -torch.inf)
        best = weight.flatten().topk(2 * BEAMS)
        found = [
            ([*ids[at + place // WIDTH].tolist(), place % WIDTH], value)
            for value, place in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            if value > -torch.inf
        ]
        finished += [row for row, value in found if row[-1] == EOS and value > -1e8]
        going = [each for each in found if each[0][-1] != EOS] + [each for each in found if each[0][-1] == EOS]
        going = going or [([*row.tolist(), PAD], 0.0) for row in ids[at : at + BEAMS]]
        for row, value in (going * BEAMS)[:BEAMS]:
            rows.append(row)
            totals.append(value)
    return torch.tensor(rows), torch.tensor(totals), finished


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=3)
@given(name=st.sampled_from(list(CONSTRAINTS)), seed=st.integers(0, 2**32 - 1))
@example(name="lark", seed=1)
def test_constraint_and_method(method: Method, mode: str, name: str, seed: int) -> None:
    constraint = CONSTRAINTS[name]
    walk(method.make(PROMPTS) + constraint.make(), constraint, mode, seed)


@pytest.mark.parametrize("first", METHODS, ids=lambda method: method.name)
@settings(max_examples=12)
@given(
    second=st.sampled_from(METHODS), name=st.sampled_from(list(CONSTRAINTS)), mode=st.sampled_from(MODES),
    sampler=st.sampled_from(SAMPLERS), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_constraint_two_methods_and_a_sampler(
    first: Method, second: Method, name: str, mode: str, sampler: Callable[[], Any], seed: int
) -> None:
    """Any two methods (the same one twice as well), and a sampler behind them, in whatever order they were written."""
    constraint = CONSTRAINTS[name]
    walk(sampler() + second.make(PROMPTS) + constraint.make() + first.make(PROMPTS), constraint, mode, seed)


class Revives:
    """Breaks the rule that it claims to keep."""

    mask_transparent = True

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(scores)


class LeavesNothing(Revives):
    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return torch.full_like(scores, -torch.inf)


@pytest.mark.parametrize(("wrong", "told"), [(Revives(), "revived"), (LeavesNothing(), "nothing was left")])
def test_walks_can_fail(wrong: Any, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        walk(CONSTRAINTS["choice"].make() + wrong, CONSTRAINTS["choice"], "greedy", 0)
