"""Lossy rules on numbers that can be checked by hand, and in the loop under a constraint."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch

import guided
from guided.drafters.heads import Heads
from guided.drafters.heads.acceptance import Judge, Typical, linear_judge
from guided.speculation.draft import Draft
from tests.processors.toys import Lists, spell, toy_list, toy_vocabulary

P = torch.tensor([0.5, 0.3, 0.15, 0.05])  # entropy 1.142 nats, exp(-H) = 0.319
SCORES = P.log()


def drafted(*tokens: int) -> Draft:
    draft = Draft(9)
    for token in tokens:
        draft.add(0, token, "x")
    return draft


def test_typical_takes_the_likeliest_above_the_threshold() -> None:
    rule = Typical(epsilon=0.3, delta=0.5)  # threshold min(0.3, 0.5 * 0.319) = 0.1596
    assert rule.choose(SCORES, drafted(3, 1), 0) == 1
    assert rule.choose(SCORES, drafted(3, 2), 0) == 0  # 0.15 and 0.05 are too little: the model's own
    assert rule.choose(SCORES, None, 0) == 0
    assert Typical(epsilon=0.04, delta=1.0).choose(SCORES, drafted(3), 0) == 3
    assert not rule.lossless


def test_typical_asks_less_where_the_model_is_undecided() -> None:
    flat = torch.zeros(100)  # exp(-H) = 0.01
    assert Typical(delta=0.09).choose(flat, drafted(7), 0) == 7
    sure = torch.tensor([0.97, 0.03]).log()
    assert Typical(delta=0.09).choose(sure, drafted(1), 0) == 0


def test_a_judge_can_only_accept_drafts() -> None:
    always, never = Judge(lambda *_: 1.0), Judge(lambda *_: 0.0)
    for draft in (drafted(3, 1), drafted(0, 3), None):
        assert never.choose(SCORES, draft, 0) == 0
    assert always.choose(SCORES, drafted(3, 1), 0) == 1
    assert always.choose(SCORES, drafted(0, 1), 0) == 0  # what the exact rule wants was drafted
    assert always.choose(torch.tensor([0.0, -torch.inf]), drafted(1), 0) == 0  # illegal


def test_a_linear_judge() -> None:
    judge = linear_judge(bias=1.0, token=2.0, best=-2.0, entropy=0.5)
    assert judge(0.3, 0.5, 1.142) == pytest.approx(1 / (1 + (0.5 / 0.3) ** 2 * 2.718281828 ** -(1 + 0.571)))
    assert linear_judge(0.0, 1.0, 0.0, 0.0)(0.0, 1.0, 0.0) == pytest.approx(0.0, abs=1e-20)
    assert linear_judge(log(3), 0, 0, 0)(0.1, 0.9, 0.3) == pytest.approx(0.75)


@pytest.mark.parametrize("acceptance", [Typical(0.05, 1.0), Judge(lambda *_: 1.0)], ids=["typical", "judge"])
def test_the_constraint_holds_all_the_same(model: Any, trained: Any, acceptance: Any) -> None:
    ids = torch.tensor([[7, 8, 30, 12]])
    out = guided.generate(
        model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, toy_list(Lists()),
        Heads(trained[0], least=0.0), max_new_tokens=40, do_sample=False, acceptance=acceptance,
    )  # fmt: skip
    text, _ = spell(toy_vocabulary(), out.new_tokens[0].tolist())
    assert Lists().viable(text)
    assert out.stats.accepted > 0


@pytest.mark.parametrize("options", [{"epsilon": 0.0}, {"epsilon": 1.0}, {"delta": 0.0}, {"delta": 1.5}])
def test_useless_thresholds_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="epsilon"):
        Typical(**options)
