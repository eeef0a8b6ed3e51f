"""The base class in loops of one's own: no announcements, rows that come and go, several generations at once."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
import torch

import guided
from processors.evidence import CADProcessor, DoLaProcessor
from processors.forward import Call, ForwardPass, SteeringProcessor
from tests.processors.tiny import llama
from tests.processors.toys import WIDTH, Lists, toy_list

PROMPTS = [[2, 20, 21], [2, 30, 31], [2, 9, 8]]
NULLS = [[2, 40], [2, 41, 42], [7]]


def scores(seed: int, rows: int = 1) -> torch.Tensor:
    return torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(seed)) * 3


def single(row: int, tail: list[int], given: torch.Tensor) -> torch.Tensor:
    """A fresh processor that knows one row only."""
    processor = CADProcessor(llama(), NULLS[row], alpha=[0.5, 1.0, 2.0][row])
    processor(torch.tensor([PROMPTS[row]]), given[None])
    return processor(torch.tensor([PROMPTS[row] + tail]), given[None])[0]


def test_rows_may_be_dropped_and_exchanged_and_keep_prompt_and_setting() -> None:
    processor = CADProcessor(llama(), NULLS, alpha=[0.5, 1.0, 2.0])
    processor(torch.tensor(PROMPTS), scores(0, 3))
    for order in ([0, 1, 2], [2, 0, 1], [2, 1], [1], [1, 1]):
        tails = [[10 + row, 11] for row in order]
        ids = torch.tensor([PROMPTS[row] + tail for row, tail in zip(order, tails, strict=True)])
        given = scores(1, len(order))
        out = processor(ids, given)
        for r, row in enumerate(order):
            torch.testing.assert_close(out[r], single(row, tails[r], given[r]), atol=2e-5, rtol=1e-5)


def test_interleaved_generations_on_one_object() -> None:
    """Two loops take turns, nothing is announced: each is found by its prompt."""
    processor = CADProcessor(llama(), [2, 40])
    tails: list[list[int]] = [[], []]
    for turn in range(8):
        which = turn % 2
        given = scores(turn)
        out = processor(torch.tensor([PROMPTS[which] + tails[which]]), given)
        fresh = CADProcessor(llama(), [2, 40])
        fresh(torch.tensor([PROMPTS[which]]), given)
        torch.testing.assert_close(out, fresh(torch.tensor([PROMPTS[which] + tails[which]]), given), atol=2e-5, rtol=0)
        tails[which].append(10 + turn)
    assert processor.forwards == 8  # one pass a call: none was begun anew


def test_threads_do_not_disturb_each_other() -> None:
    shared = guided.cad(llama(), [2, 40], alpha=1.0)
    found: dict[int, torch.Tensor] = {}

    def run(row: int) -> None:
        ids = torch.tensor([PROMPTS[row]])
        found[row] = llama().generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8,
                                      logits_processor=shared)  # fmt: skip

    threads = [threading.Thread(target=run, args=(row,)) for row in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for row in range(3):
        ids = torch.tensor([PROMPTS[row]])
        alone = llama().generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8,
                                 logits_processor=guided.cad(llama(), [2, 40], alpha=1.0))  # fmt: skip
        assert torch.equal(found[row], alone)


def test_a_draft_costs_one_pass() -> None:
    processor = CADProcessor(llama(), [2, 40])
    composed = toy_list(Lists(3)) + processor
    prompt, draft = [2, 20, 21], [6, 12, 8]
    ids = torch.tensor([prompt + draft])
    composed(ids[:, :3], scores(0))
    before = processor.forwards
    composed.parts[1].prefetch(ids, 3)  # type: ignore[attr-defined]
    for length in range(3, 7):
        composed(ids[:, :length], scores(length))
    assert processor.forwards == before + 1


class BanAll(SteeringProcessor):
    def steer(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        return torch.full_like(logp, float("nan") if call.rows == 1 else float("-inf"))


def test_a_formula_that_bans_all_is_not_obeyed() -> None:
    for rows in (1, 2):
        given = scores(3, rows)
        given[:, ::2] = float("-inf")
        out = BanAll()(torch.full((rows, 2), 2), given)
        torch.testing.assert_close(out, given.log_softmax(-1))


def test_hooks_go_away_with_the_processor() -> None:
    model = llama()
    gc.collect()
    before = len(model._forward_hooks), len(model.model.layers[0]._forward_pre_hooks)
    processor: Any = DoLaProcessor(model, layers=(0, 1))
    assert len(model._forward_hooks) == before[0] + 1
    del processor
    gc.collect()
    assert (len(model._forward_hooks), len(model.model.layers[0]._forward_pre_hooks)) == before


def test_a_model_of_another_width() -> None:
    """A narrower amateur knows nothing of the last tokens; a wider one's extra ids are ignored."""
    for width in (WIDTH - 8, WIDTH + 8):
        other = llama(5, width)
        out = guided.contrastive_decoding(other, plausibility=0)(torch.tensor([[2, 20, 21]]), scores(4))
        assert out.shape == (1, WIDTH) and out.isfinite().all()
    ended = torch.tensor([[2, 20, WIDTH - 1]])  # an id that the narrow model has not
    assert guided.contrastive_decoding(llama(5, WIDTH - 8))(ended, scores(5)).isfinite().any()


def test_models_without_a_prompt_of_their_own_see_padding_as_padding() -> None:
    ids = torch.tensor([[0, 0, 2, 20], [2, 9, 8, 7]])
    state = ForwardPass(llama(), pad=0).begin(ids.numpy(), 4)
    with torch.no_grad():
        alone = llama()(torch.tensor([[2, 20]])).logits[0, -1]
    torch.testing.assert_close(state.logits(ids.numpy())[0], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_models_of_other_float_types(dtype: torch.dtype) -> None:
    import copy

    model = copy.deepcopy(llama()).to(dtype)
    ids = torch.tensor([[2, 20, 21]])
    out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=5,
                         logits_processor=guided.lol(model, [2, 9], layers=1, instructed=[2, 30, 31]))  # fmt: skip
    assert out.shape[1] == 8 or out[0, -1] == 1
