"""`a + b`: one processor, one order, and nothing that revives a banned token."""

from __future__ import annotations

import inspect
import operator
from typing import Any

import pytest
import torch
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from processors import CompositionError, ConstraintProcessor, FusedProcessor, ProcessorList, Stage, compose, stage_of
from tests.processors.tiny import llama
from tests.processors.toys import WIDTH, Lists, Words, spell, toy_list, toy_vocabulary

WORDS = Words((b"abc", b"abcab", b"cab"))
PROMPT = torch.tensor([[2, 20, 21]])


class Noted:
    """A processor of a stage that writes its name down."""

    def __init__(self, name: str, stage: Stage, log: list[str]) -> None:
        self.name, self.stage, self.log = name, stage, log

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.log.append(self.name)
        return scores


def test_stages_run_in_their_order_whatever_the_user_wrote() -> None:
    log: list[str] = []
    parts = [
        Noted("mirostat", Stage.SAMPLING, log),
        Noted("value", Stage.VALUE, log),
        Noted("cad", Stage.EVIDENCE, log),
    ]
    lists = [ProcessorList([part]) for part in parts]
    combined = lists[0] + lists[1] + toy_list(WORDS) + lists[2] + Noted("last", Stage.SAMPLING, log)
    assert LogitsProcessorList in type(combined).__mro__ and len(combined) == 1
    combined(PROMPT, torch.zeros(1, WIDTH))
    assert log == ["cad", "value", "mirostat", "last"]
    assert isinstance(combined.parts[0], ConstraintProcessor)
    assert stage_of(TemperatureLogitsWarper(1.0)) is Stage.SAMPLING


def test_every_way_to_compose_gives_the_same_parts() -> None:
    warm, top = TemperatureLogitsWarper(0.5), TopKLogitsWarper(3)
    constraint = toy_list(WORDS)
    expected = (*constraint.parts, warm, top)
    grown, extended, inserted = (ProcessorList(constraint) for _ in range(3))
    grown += [warm, top]
    extended.extend([warm])
    extended.append(top)
    inserted.insert(0, warm)
    inserted.insert(9, top)
    ways = [
        constraint + warm + top,
        constraint + LogitsProcessorList([warm, top]),
        [warm] + constraint + [top],  # noqa: RUF005 (this is the claim)
        compose(constraint, [warm, (top,)]),
        ProcessorList([[[constraint]], [warm], FusedProcessor([top])]),
        grown,
        extended,
        inserted,
    ]
    for way in ways:
        assert type(way) is ProcessorList and len(way) == 1 and way.parts == expected
    assert constraint.parts == expected[:1]


def test_equality_is_identity() -> None:
    """`generate` drops processors that compare equal; lists compare by their content unless told otherwise."""
    constraint = toy_list(WORDS)
    assert constraint == constraint and constraint != ProcessorList(constraint)
    assert not operator.eq(ProcessorList(), ProcessorList()) and len({constraint, ProcessorList(constraint)}) == 2
    assert constraint[0] != toy_list(WORDS)[0]


def test_signature_is_what_generate_asks_for() -> None:
    combined = toy_list(WORDS) + TemperatureLogitsWarper(0.5)
    for call in (combined[0].__call__, toy_list(WORDS)[0].__call__, combined.__call__):
        assert list(inspect.signature(call).parameters) == ["input_ids", "scores"]


class Revive:
    """What no processor may do: give a finite score to everything."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(scores)


class BanAll:
    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return scores.fill_(float("-inf"))


@pytest.mark.parametrize("foreign", [Revive(), BanAll(), lambda ids, scores: scores + 1], ids=["revive", "ban", "add"])
def test_no_foreign_processor_changes_what_is_allowed(foreign: Any) -> None:
    alone = toy_list(WORDS)(PROMPT, torch.zeros(1, WIDTH)).clone()
    composed = (toy_list(WORDS) + foreign)(PROMPT, torch.zeros(1, WIDTH))
    assert torch.equal(alone.isfinite(), composed.isfinite())


def test_two_constraints_are_refused() -> None:
    with pytest.raises(CompositionError, match="allOf"):
        toy_list(WORDS) + toy_list(Lists(2))


@pytest.mark.parametrize("wrong", [3, "abc", TemperatureLogitsWarper, None, lambda ids, scores, more: scores])
def test_what_is_no_processor_is_refused(wrong: Any) -> None:
    with pytest.raises(CompositionError):
        toy_list(WORDS) + wrong


@pytest.mark.parametrize("options", [{}, {"do_sample": True}, {"num_beams": 3}, {"prompt_lookup_num_tokens": 3}])
def test_composed_generation_is_in_the_language(options: dict[str, Any]) -> None:
    torch.manual_seed(5)
    constraint = toy_list(Lists(3), max_new_tokens=10)
    combined = TopPLogitsWarper(0.9) + constraint + RepetitionPenaltyLogitsProcessor(1.3)
    for _ in range(2):
        out = llama().generate(input_ids=PROMPT, attention_mask=torch.ones_like(PROMPT), max_new_tokens=10,
                               logits_processor=combined, **options)  # fmt: skip
        text, ended = spell(toy_vocabulary(), out[0, 3:].tolist())
        assert ended and Lists(3).complete(text)


def test_temperature_is_applied_once() -> None:
    cold = toy_list(WORDS) + TemperatureLogitsWarper(0.5)
    scores = torch.randn(1, WIDTH)
    out = cold(PROMPT, scores)
    kept = out.isfinite()
    assert torch.equal(out[kept], scores[kept] / 0.5)
