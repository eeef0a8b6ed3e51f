"""Each method equals its formula, written in plain numpy over a Llama in plain numpy: log-probabilities within 1e-5.

The processors are called as `generate` calls them, one id a step, so caches are in play; the oracle computes each step
from the whole text. Every second step some tokens are banned, as behind a constraint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from processors.collaborative import ContrastiveProcessor, ProxyTuningProcessor, RapidProcessor
from processors.evidence import AdaCADProcessor, CADProcessor, DoLaProcessor, ICDProcessor, LOLProcessor, VDGDProcessor
from tests.processors.numpy_llama import log_softmax, logits
from tests.processors.tiny import llama
from tests.processors.toys import WIDTH

PROMPT, OTHER, THIRD = [2, 20, 21, 22], [2, 21], [2, 9, 20, 21, 22]
TAIL = [30, 8, 8, 41]
DESCRIPTION = [12, 40, 41, 13]

Array = np.ndarray[Any, Any]
Oracle = Callable[[Array, Array, list[int]], Array]


def jsd(p: Array, q: Array, base: float = np.e) -> float:
    """Of two log-distributions, by the definition on probabilities."""
    a, b = np.exp(p), np.exp(q)
    m = (a + b) / 2
    terms = [x[x > 0] * (np.log(x[x > 0]) - np.log(m[x > 0])) for x in (a, b)]
    return float(sum(t.sum() for t in terms) / 2 / np.log(base))


def at(prompt: list[int], tail: list[int], allowed: Array, seed: int = 0, layer: int | None = None) -> Array:
    return log_softmax(logits(llama(seed), prompt + tail, layer)[-1], allowed)


def head(lp: Array, alpha: float) -> Array:
    return lp >= lp.max() + np.log(alpha)


def cad(lp: Array, ok: Array, tail: list[int]) -> Array:
    return lp + 0.7 * np.where(ok, lp - at(OTHER, tail, ok), 0)


def cad_plausible(lp: Array, ok: Array, tail: list[int]) -> Array:
    return np.where(head(lp, 0.2), cad(lp, ok, tail), -np.inf)


def adacad(lp: Array, ok: Array, tail: list[int]) -> Array:
    null = at(OTHER, tail, ok)
    return lp + jsd(lp, null) * np.where(ok, lp - null, 0)


def adacad_bits(lp: Array, ok: Array, tail: list[int]) -> Array:
    null = at(OTHER, tail, ok)
    return lp + max(0.3, jsd(lp, null, 2)) * np.where(ok, lp - null, 0)


def icd(lp: Array, ok: Array, tail: list[int]) -> Array:
    return np.where(head(lp, 0.1) & ok, 1.2 * lp - at(PROMPT, tail, ok, seed=7), -np.inf)


def icd_prompt(lp: Array, ok: Array, tail: list[int]) -> Array:
    return np.where(head(lp, 0.1) & ok, lp - at(THIRD, tail, ok), -np.inf)


def dola(lp: Array, ok: Array, tail: list[int]) -> Array:
    early = max((at(PROMPT, tail, ok, layer=layer) for layer in (0, 1)), key=lambda q: jsd(lp, q))
    return np.where(head(lp, 0.1) & ok, lp - early, -np.inf)


def lol(lp: Array, ok: Array, tail: list[int]) -> Array:
    lower = at(PROMPT, tail, ok, layer=1) - at(PROMPT, tail, ok, seed=7, layer=1)
    refocus = at(THIRD, tail, ok) - lp
    fused = lp - at(PROMPT, tail, ok, seed=7) + 0.3 * np.clip(lower, -20, 20) + 0.5 * refocus
    return np.where(head(lp, 0.1) & ok, fused, -np.inf)


def grounding() -> Array:
    return log_softmax(logits(llama(), PROMPT + DESCRIPTION)[len(PROMPT) - 1 : -1])


def vdgd(lp: Array, ok: Array, tail: list[int]) -> Array:
    return np.where(head(lp, 0.1) & ok, grounding().max(axis=0), -np.inf)


def vdgd_nucleus(lp: Array, ok: Array, tail: list[int]) -> Array:
    p = np.exp(log_softmax(lp / 0.5, ok))
    kept, total = set(), 0.0
    for token in np.argsort(-p, kind="stable"):
        if total >= 0.6:
            break
        kept.add(int(token))
        total += p[token]
    candidates = np.array([token in kept for token in range(WIDTH)]) & ok
    return np.where(candidates, 0.25 * lp + 0.75 * grounding().mean(axis=0), -np.inf)


def contrastive(lp: Array, ok: Array, tail: list[int]) -> Array:
    amateur = log_softmax(logits(llama(7), PROMPT + tail)[-1] / 1.5, ok)
    return np.where(head(lp, 0.1) & ok, 1.5 * lp - 0.5 * amateur, -np.inf)


def proxy(lp: Array, ok: Array, tail: list[int]) -> Array:
    return lp + 0.8 * np.where(ok, at(PROMPT, tail, ok, seed=7) - at(PROMPT, tail, ok, seed=8), 0)


def rapid(lp: Array, ok: Array, tail: list[int]) -> Array:
    p = np.exp(log_softmax(lp / 0.8, ok))
    q = np.exp(log_softmax(logits(llama(7), OTHER + tail)[-1] / 0.8, ok))
    return lp + 4 * 0.8 * (q - p)


CASES: list[tuple[Oracle, Callable[[], Any]]] = [
    (cad, lambda: CADProcessor(llama(), OTHER, alpha=0.7)),
    (cad_plausible, lambda: CADProcessor(llama(), OTHER, alpha=0.7, plausibility=0.2)),
    (adacad, lambda: AdaCADProcessor(llama(), OTHER)),
    (adacad_bits, lambda: AdaCADProcessor(llama(), OTHER, base="bits", floor=0.3)),
    (icd, lambda: ICDProcessor(llama(), llama(7), beta=1.2)),
    (icd_prompt, lambda: ICDProcessor(llama(), THIRD)),
    (dola, lambda: DoLaProcessor(llama(), layers=(0, 1))),
    (lol, lambda: LOLProcessor(llama(), llama(7), layers=1, instructed=THIRD)),
    (vdgd, lambda: VDGDProcessor(llama(), DESCRIPTION, context=PROMPT)),
    (
        vdgd_nucleus,
        lambda: VDGDProcessor(
            llama(), DESCRIPTION, context=PROMPT, alpha=0, top_p=0.6, reduction="mean", mix=0.75
        ),
    ),
    (contrastive, lambda: ContrastiveProcessor(llama(7), temperature=1.5)),
    (proxy, lambda: ProxyTuningProcessor(llama(7), llama(8), alpha=0.8)),
    (rapid, lambda: RapidProcessor(llama(7), OTHER, eta=4, temperature=0.8)),
]  # fmt: skip


@pytest.mark.parametrize(("oracle", "make"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_equals_its_formula_in_numpy(oracle: Oracle, make: Callable[[], Any]) -> None:
    processor = make()
    random = np.random.default_rng(4)
    for length in range(len(TAIL) + 1):
        tail = TAIL[:length]
        allowed = np.ones(WIDTH, dtype=bool) if length % 2 == 0 else random.random(WIDTH) < 0.3
        raw = logits(llama(), PROMPT + tail)[-1]
        scores = torch.from_numpy(np.where(allowed, raw, -np.inf)).float()[None]
        found = processor(torch.tensor([PROMPT + tail]), scores)[0].double().numpy()
        with np.errstate(invalid="ignore"):  # -inf - (-inf), where the token is banned anyway
            expected = log_softmax(oracle(log_softmax(raw, allowed), allowed, tail))
        assert np.array_equal(np.isfinite(found), np.isfinite(expected)), length
        finite = np.isfinite(expected)
        np.testing.assert_allclose(found[finite], expected[finite], atol=1e-5)


def test_layers_read_while_generating_equal_a_pass_of_their_own() -> None:
    """DoLa reads its layers from `generate`'s own pass; without one it runs a pass. Both say the same."""
    ids = torch.tensor([PROMPT])
    tapped, alone = DoLaProcessor(llama(), layers=(0, 1)), DoLaProcessor(llama(), layers=(0, 1))
    seen: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def spy(input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        kept = scores.clone()  # prompt lookup writes into it
        out = tapped(input_ids, scores)
        seen.append((input_ids, kept, out))
        return out

    for options in ({}, {"num_beams": 3}, {"prompt_lookup_num_tokens": 3}):
        seen.clear()
        llama().generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, **options,
                         logits_processor=[spy])  # fmt: skip
        if "prompt_lookup_num_tokens" not in options:
            assert tapped.forwards == 0, "no pass of its own"
        alone.announce()
        for input_ids, scores, out in seen:
            llama()(torch.tensor([[1, 2, 3]]))  # whatever the tap heard last, it is not this
            torch.testing.assert_close(alone(input_ids, scores), out, atol=1e-5, rtol=1e-5)
        assert alone.forwards > 0
