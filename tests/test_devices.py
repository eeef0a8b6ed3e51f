"""On a CUDA device everything says what it says on the CPU. Skipped where there is none.

The tiny Llama is the same on both; the CPU's answers are themselves held against oracles by the other tests.
"""

from __future__ import annotations

import copy
import gc
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import guided
from guided.generation import generate
from processors.kernels import EMPTY, Masker
from tests.guided.drafters.test_drafters import MADE, PATTERN, VOCABULARY
from tests.processors.kernels.triton_cases import check
from tests.processors.methods import METHODS, Method
from tests.processors.test_conformance import MODES, NEW, PROMPTS, check_alone
from tests.processors.tiny import llama, models_on
from tests.processors.toys import EOS, PAD, Lists, spell, toy_list, toy_vocabulary

DEVICE = "cuda"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def batch(prompts: list[list[int]], device: str = DEVICE) -> dict[str, torch.Tensor]:
    length = max(map(len, prompts))
    ids = [[PAD] * (length - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return {"input_ids": torch.tensor(ids, device=device), "attention_mask": torch.tensor(mask, device=device)}


def test_triton_kernel_gives_the_bits_of_the_definition() -> None:
    check(DEVICE, 120)


def test_rows_are_revived_by_whichever_program_is_last() -> None:
    """Hundreds of launches of many programs a row: a stretch written after the row was revived would show."""
    random, width = np.random.default_rng(2), 128_256
    masker = Masker(8, width, width // 32)
    scores = torch.full((8, width), -torch.inf, device=DEVICE)
    for step in range(200):
        masker.before_writing()
        masker.rows[:] = random.integers(-(2**31), 2**31, masker.rows.shape)
        scores[0, ::3] = float(step)  # this row lives
        out, _ = masker.apply(scores)
        bits = torch.from_numpy(masker.rows.copy()).cuda()
        allowed = ((bits[:, :, None] >> torch.arange(32, device=DEVICE)) & 1).bool().flatten(1)
        assert torch.equal(out[1:] == 0, allowed[1:]) and torch.equal(out[1:].isneginf(), ~allowed[1:]), step
        assert torch.equal(out[0].isneginf(), ~allowed[0] | scores[0].isneginf()), step
    assert masker._told.tolist() == [0, *[1] * 7]


@pytest.mark.parametrize("backend", [None, "plain"])
def test_rows_may_be_rewritten_as_soon_as_the_masker_says_so(backend: str | None) -> None:
    """Hundreds of steps without a wait for the device: no mask overtakes the copy of the one before."""
    random = np.random.default_rng(1)
    width, steps = 50_000, 300
    device, host = Masker(4, width, 1563, backend=backend), Masker(4, width, 1563)
    scores = torch.randn(4, width)
    on_device = scores.cuda()
    filler = torch.randn(2048, 2048, device="cuda")
    rows = random.integers(-(2**31), 2**31, (steps, 4, 1563)).astype(np.int32)
    kept = []
    for step in range(steps):
        filler = filler @ filler / 50  # the device is behind
        device.before_writing()
        device.rows[:] = rows[step]
        kept.append(device.apply(on_device)[0][:, ::97].clone())
    for step in range(steps):
        host.rows[:] = rows[step]
        assert torch.equal(kept[step].cpu(), host.apply(scores)[0][:, ::97]), step


def test_an_empty_row_is_told_at_once() -> None:
    masker = Masker(2, 64, 2)
    masker.rows[0] = -1
    assert masker.apply(torch.zeros(2, 64, device="cuda"))[1] == EMPTY
    assert masker.states()[1] == EMPTY


def test_ids_are_read_while_the_pass_runs() -> None:
    """The device is kept busy, so that a copy at the wrong time would see something else."""
    found = []
    filler = torch.randn(2048, 2048, device=DEVICE)

    def busy(*_: Any) -> None:
        for _turn in range(20):
            filler.copy_(filler @ filler / 50)

    for device in ("cpu", DEVICE):
        with models_on(device):
            model = copy.deepcopy(llama())
        if device != "cpu":
            model.model.layers[0].register_forward_pre_hook(busy)
        processors, steps = toy_list(Lists(3), max_new_tokens=40), 0
        for prompts in (PROMPTS[:1], PROMPTS):
            out = model.generate(**batch(prompts, device), logits_processor=processors, max_new_tokens=40)
            found.append(out.cpu().tolist())
            steps += out.shape[1] - max(map(len, prompts))
        constraint: Any = processors.parts[0]
        if device != "cpu":
            assert constraint._reader.early >= steps - 1  # all but the first step, after which the model is known
            twin = copy.deepcopy(model)
            del processors, constraint
            gc.collect()
            model(torch.tensor([[2, 20]], device=device))
            assert not model._forward_pre_hooks
            twin(torch.tensor([[2, 20]], device=device))
    assert found[:2] == found[2:]


class Spy:
    def __init__(self, inner: Any) -> None:
        (self.inner,) = inner.parts
        self.calls: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self.inner.announce()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        out = self.inner(input_ids, scores)
        assert out.device == scores.device
        self.calls.append((input_ids.cpu(), scores.cpu(), out.cpu()))
        return out


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_says_the_same(method: Method, mode: str) -> None:
    """Each row that a batch on the device has seen, asked again on the CPU, alone."""
    with models_on(DEVICE), warnings.catch_warnings():
        warnings.simplefilter("ignore", guided.MirostatWarning)
        spy = Spy(method.make(PROMPTS))
        torch.manual_seed(11)
        llama().generate(**batch(PROMPTS), logits_processor=[spy], max_new_tokens=NEW, **MODES[mode])
    check_alone(method, spy.calls, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_constrained_method_writes_valid_texts(method: Method, mode: str) -> None:
    language = Lists(3)
    with models_on(DEVICE), warnings.catch_warnings():
        warnings.simplefilter("ignore", guided.MirostatWarning)
        combined = method.make(PROMPTS) + toy_list(language, max_new_tokens=10)
        torch.manual_seed(3)
        out = llama().generate(**batch(PROMPTS), logits_processor=combined, max_new_tokens=10, **MODES[mode])
    for row in out[:, max(map(len, PROMPTS)) :].tolist():
        text, ended = spell(toy_vocabulary(), row)
        assert ended and language.complete(text), text


@pytest.mark.parametrize("constrained", [False, True], ids=["free", "constrained"])
@pytest.mark.parametrize("name", MADE)
def test_drafts_change_no_greedy_output(name: str, constrained: bool) -> None:
    """One prompt, and a left-padded batch."""
    with models_on(DEVICE):
        model, drafter = llama(), MADE[name]()
        constraint = guided.regex(PATTERN, tokenizer=VOCABULARY) if constrained else None
        for prompts in ([[2, 20, 21, 22, 23, 20, 21, 22]], [[2, 9, 31, 9, 31], [2, 20, 21], [2, 7]]):
            options: dict[str, Any] = {"max_new_tokens": 24, "do_sample": False}
            plain = model.generate(**batch(prompts), logits_processor=constraint or [], **options)
            out = generate(model, batch(prompts), constraint, drafter, **options)
            assert out.stats.fallback is None or name == "overlap", out.stats.fallback
            assert torch.equal(out.sequences, plain)


@pytest.mark.parametrize("name", MADE)
def test_sampled_drafts_stay_legal(name: str) -> None:
    with models_on(DEVICE):
        torch.manual_seed(5)
        constraint = guided.regex(r"[a-c]{2,6}", tokenizer=VOCABULARY)
        out = generate(llama(), batch([[2, 20, 21]]), constraint, MADE[name](), max_new_tokens=12, do_sample=True)
    text, ended = spell(toy_vocabulary(), out.sequences[0, 3:].tolist())
    assert ended and 2 <= len(text) <= 6 and set(text) <= set(b"abc")


def searches() -> dict[str, Any]:
    attribute = guided.not_degenerate(min_new_tokens=2, no_repeat_ngram=3, eos_ids=[EOS])
    return {
        "contrastive": guided.contrastive_search(),
        "diverse": guided.diverse_beam_search(4, 2),
        "conditional": guided.conditional_beam_search(attribute, 3),
        "superposed": guided.superposed_decoding(),
    }


@pytest.mark.parametrize("name", searches())
def test_a_search_finds_the_same(name: str) -> None:
    found = []
    for device in ("cpu", DEVICE):
        with models_on(device):
            out = llama().generate(
                **batch(PROMPTS[:1], device), custom_generate=searches()[name], max_new_tokens=NEW, do_sample=False
            )
            found.append(getattr(out, "sequences", out).cpu())
    assert torch.equal(*found)


SAMPLERS: dict[str, dict[str, Any]] = {
    "rejection": {"method": "rejection"},
    "asap": {"method": "asap"},
    "smc": {"method": "smc"},
    "smc, awrs": {"method": "smc", "proposal": "awrs"},
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_aligned_sampling_is_legal(name: str) -> None:
    with models_on(DEVICE):
        torch.manual_seed(5)
        constraint = guided.regex(r"[a-c]{2,6}", tokenizer=VOCABULARY)
        sampler = guided.aligned(**SAMPLERS[name])
        options: dict[str, Any] = {"max_new_tokens": 12, "num_return_sequences": 3, "top_k": 0}
        out = generate(llama(), batch([[2, 20, 21]]), constraint, sampling=sampler, **options)
    for row in out.sequences[:, 3:].tolist():
        text, _ = spell(toy_vocabulary(), row)
        assert 2 <= len(text) <= 6 and set(text) <= set(b"abc")
