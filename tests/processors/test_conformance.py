"""What holds for every method that steers, from the table in `methods`: one row, all of these rules.

Where a rule compares calls, a spy stands around the processor inside a real `generate`, and each row it saw is asked
again of a fresh processor that knows that row only: whatever beams, batches, padding and drafts did, the answer is that
of the row alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

import guided
from processors import ProcessorList, Stage, UnsupportedGeneration, stage_of
from tests.processors.methods import METHODS, Method
from tests.processors.tiny import llama
from tests.processors.toys import EOS, PAD, WIDTH, Language, Lists, Words, spell, toy_list, toy_vocabulary

PROMPTS = [[2, 20, 21, 22, 23], [2, 30], [2, 9, 31]]
NEW = 7
all_methods = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
MODES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sampling": {"do_sample": True, "num_return_sequences": 2},
    "beams": {"num_beams": 3},
}


class Spy:
    """Notes what a processor is called with and answers; tells it that a generation begins."""

    def __init__(self, inner: ProcessorList) -> None:
        (self.inner,) = inner.parts
        self.calls: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self.inner.announce()  # type: ignore[attr-defined]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        before = scores.clone()
        out = self.inner(input_ids, scores)
        assert torch.equal(scores, before), "scores are never changed in place"
        self.calls.append((input_ids.clone(), before, out.clone()))
        return out


def generate(processors: Any, prompts: list[list[int]], **options: Any) -> Any:
    length = max(map(len, prompts))
    ids = torch.tensor([[PAD] * (length - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    torch.manual_seed(11)
    options = {"max_new_tokens": NEW, **options}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="transformers")
        warnings.filterwarnings("ignore", category=guided.MirostatWarning)  # of top_k=50, which is meant here
        return llama().generate(input_ids=ids, attention_mask=mask, logits_processor=processors, **options)


def alone(method: Method, prompt: list[int], tail: list[int], row: Callable[[int], torch.Tensor]) -> torch.Tensor:
    """What a fresh processor says of one row after `tail`, called at each id; row(n) gives the scores after n ids."""
    (processor,) = method.make([prompt]).parts
    processor.announce()
    out = torch.empty(0)
    for length in range(len(tail) + 1):
        out = processor(torch.tensor([prompt + tail[:length]]), row(length)[None])[0]
    return out


def check_alone(method: Method, calls: list[Any], atol: float, rtol: float) -> None:
    """A sample of the rows of `calls` (ids, scores, answer), asked again alone; rows of a call share one code path."""
    width, checked = max(map(len, PROMPTS)), 0
    known: dict[tuple[int, ...], torch.Tensor] = {}
    for ids, scores, out in calls:
        each = len(ids) // len(PROMPTS)
        for r, row in enumerate(ids.tolist()):
            known[(r // each, *row[width:])] = scores[r]
        for r, row in enumerate(ids.tolist()):
            tail = row[width:]
            if EOS in tail or (len(tail) not in (0, 3, NEW - 1) or r % each == 1):
                continue
            at = lambda length, r=r, tail=tail, each=each: known[(r // each, *tail[:length])]  # noqa: E731
            expected = alone(method, PROMPTS[r // each], tail, at)
            assert torch.equal(out[r].isfinite(), expected.isfinite())
            torch.testing.assert_close(out[r], expected, atol=atol, rtol=rtol)
            checked += 1
    assert checked >= 3


@all_methods
@pytest.mark.parametrize("mode", MODES)
def test_every_row_is_answered_as_if_it_were_alone(method: Method, mode: str) -> None:
    """Batch = single, left-padded = unpadded, cached = uncached, beams and several sequences follow their prefix."""
    spy = Spy(method.make(PROMPTS))
    generate([spy], PROMPTS, **MODES[mode])
    check_alone(method, spy.calls, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "method", [method for method in METHODS if not method.feedback], ids=lambda method: method.name
)
def test_leaps_rollbacks_and_drafts_change_nothing(method: Method) -> None:
    """Step by step, in one leap, ahead of a draft, after a rollback, from another object: one answer for one prefix."""
    tail = [30, 8, 41, 9, 12]
    prompt = PROMPTS[0]
    random = torch.Generator().manual_seed(3)
    scores = {n: torch.randn(1, WIDTH, generator=random) * 3 for n in range(len(tail) + 1)}
    ids = {n: torch.tensor([prompt + tail[:n]]) for n in scores}
    stepped, leaping, drafting = (method.make([prompt]).parts[0] for _ in range(3))
    expected = {n: stepped(ids[n], scores[n]) for n in scores}
    leaping(ids[0], scores[0])
    for n in (5, 2, 3, 5, 1, 4):
        torch.testing.assert_close(leaping(ids[n], scores[n]), expected[n], atol=2e-5, rtol=1e-5)
    if hasattr(drafting, "prefetch"):
        drafting(ids[0], scores[0])
        drafting.prefetch(torch.tensor([[*prompt, *tail[:3], 50, 51]]), 5)
        for n in (1, 2, 3, 4, 5):
            torch.testing.assert_close(drafting(ids[n], scores[n]), expected[n], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("method", [method for method in METHODS if method.off], ids=lambda method: method.name)
@pytest.mark.parametrize("mode", MODES)
def test_switched_off_is_the_model_itself(method: Method, mode: str) -> None:
    assert method.off is not None
    spy = Spy(method.off(PROMPTS))
    steered = generate([spy], PROMPTS, **MODES[mode])
    assert torch.equal(steered, generate(None, PROMPTS, **MODES[mode]))
    for _, scores, out in spy.calls:
        assert torch.equal(out, scores)


@all_methods
def test_drafts_change_no_greedy_output(method: Method) -> None:
    plain = generate(method.make(PROMPTS[:1]), PROMPTS[:1])
    for options in ({"prompt_lookup_num_tokens": 3}, {"assistant_model": llama(seed=3)}):
        assert torch.equal(generate(method.make(PROMPTS[:1]), PROMPTS[:1], **options), plain)


@all_methods
def test_one_object_serves_many_generations(method: Method) -> None:
    """Also a second one whose prompt is the first one's output, and a batch after a single prompt."""
    shared = method.make(PROMPTS[:1])
    first = generate(shared, PROMPTS[:1])
    if method.name not in ("cad", "cad, cut", "adacad"):  # their second prompt belongs to the first
        again = [first[0].tolist()]
        fresh = method.make(PROMPTS[:1])
        assert torch.equal(generate(shared, again), generate(fresh, again))
    assert torch.equal(generate(shared, PROMPTS[:1]), first)


def rows(random: np.random.Generator, count: int, dtype: torch.dtype) -> torch.Tensor:
    """Scores with many, few, one and no allowed tokens."""
    values = random.normal(size=(count, WIDTH)) * random.choice([0.1, 4.0, 60.0])
    for r in range(count):
        kept = random.permutation(WIDTH)[: int(random.choice([0, 1, 2, 5, WIDTH]))]
        banned = np.ones(WIDTH, dtype=bool)
        banned[kept] = False
        values[r, banned] = -np.inf
    return torch.from_numpy(values).to(dtype)


@all_methods
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
def test_banned_stays_banned_and_something_is_left(method: Method, seed: int, dtype: torch.dtype) -> None:
    """Random scores, in any float type: -inf in, -inf out; no NaN; never the last one banned; nothing in place."""
    random = np.random.default_rng(seed)
    prompts = [[2, *random.integers(6, WIDTH, 3).tolist()] for _ in range(3)]
    (processor,) = method.make(prompts).parts
    processor.announce()
    ids = torch.tensor(prompts)
    for _ in range(3):
        scores = rows(random, 3, dtype)
        before = scores.clone()
        out = processor(ids, scores)
        assert torch.equal(scores, before) and out.dtype == dtype and out.shape == scores.shape
        assert not out.isnan().any()
        assert not (out.isfinite() & ~scores.isfinite()).any()
        assert torch.equal(out.isfinite().any(dim=1), scores.isfinite().any(dim=1))
        if method.normalised and dtype == torch.float32:
            mass = out[scores.isfinite().sum(dim=1) > 1].logsumexp(dim=1)
            torch.testing.assert_close(mass, torch.zeros_like(mass), atol=1e-4, rtol=0)
        ids = torch.cat([ids, torch.from_numpy(random.integers(6, WIDTH, (3, 1)))], dim=1)


@all_methods
def test_declares_itself(method: Method) -> None:
    made = method.make(PROMPTS)
    assert isinstance(made, ProcessorList) and len(made) == 1
    (processor,) = made.parts
    assert stage_of(processor) in (Stage.EVIDENCE, Stage.VALUE, Stage.SAMPLING)
    assert getattr(processor, "supports_continuous_batching", True) is False
    with pytest.raises(UnsupportedGeneration):
        processor(torch.tensor([2, 20]), torch.zeros(2, WIDTH))


CONSTRAINTS: dict[str, Language] = {"lists": Lists(3), "words": Words((b"abc", b"abcab", b"cab", b"d12", b"12", b"1"))}
SAMPLERS: dict[str, Callable[[], Any]] = {
    "top-k": lambda: [TemperatureLogitsWarper(0.7), TopKLogitsWarper(3)],
    "top-p": lambda: TopPLogitsWarper(0.8),
    "mirostat": lambda: guided.mirostat(2.0),
}


def written(processors: Any, language: Any, **options: Any) -> Iterator[bytes]:
    for row in generate(processors, PROMPTS, max_new_tokens=10, **options)[:, 5:].tolist():
        text, ended = spell(toy_vocabulary(), row)
        assert ended and language.complete(text), text
        yield text


@all_methods
@pytest.mark.parametrize("mode", MODES)
def test_with_a_constraint_every_output_is_valid(method: Method, mode: str) -> None:
    language = list(CONSTRAINTS.values())[(METHODS.index(method) + list(MODES).index(mode)) % 2]
    combined = method.make(PROMPTS) + toy_list(language, max_new_tokens=10)
    assert len(list(written(combined, language, **MODES[mode]))) >= 3


@all_methods
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_constraint_method_and_sampler(method: Method, sampler: str) -> None:
    language = CONSTRAINTS["lists"]
    mode = "beams" if sampler == "top-p" else "sampling"
    combined = SAMPLERS[sampler]() + method.make(PROMPTS) + toy_list(language, max_new_tokens=10)
    assert list(written(combined, language, **MODES[mode], top_k=0))


PAIRS = [
    (first, second)
    for i, first in enumerate(METHODS)
    for second in METHODS[i + 1 :]
    if (i + METHODS.index(second)) % 8 == 0
]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda method: method.name)
def test_constraint_and_two_methods(first: Method, second: Method) -> None:
    """Some pairs of methods in real generations, each in one mode; `test_walks` has them all, over random logits."""
    place = PAIRS.index((first, second))
    language, mode = CONSTRAINTS["lists"], list(MODES)[place % 3]
    combined = toy_list(language, max_new_tokens=8) + second.make(PROMPTS) + first.make(PROMPTS)
    assert len(combined.parts) == 3
    rows = generate(combined, PROMPTS, max_new_tokens=8, **MODES[mode])[:, 5:].tolist()
    for row in rows:
        text, ended = spell(toy_vocabulary(), row)
        assert ended and language.complete(text)
