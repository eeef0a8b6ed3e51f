"""Sampled output has the model's law, for every rule, with and without a constraint: chi-square on a six-token model.

Hypothesis: the counts come from the exact law. 300 sequences a case with fixed seeds; a case fails below p = 1e-4, so
that all of them together raise a false alarm once in 600 changes of the seeds. `benchmarks/speculation/law.py` counts
more, over 20 seeds.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from guided.drafters.jacobi import Jacobi, _Jacobi
from guided.drafters.lookup import PromptLookup
from guided.drafters.model import DraftModel, _Drafting
from guided.speculation import rules, verify
from guided.speculation.draft import Draft, Draws, Setup, View
from tests.guided.speculation.toy_chain import Table, chi_square_p, exact_law, simulate


def model_drafter(**options: Any) -> Any:
    owner = DraftModel(None, **options)
    return lambda setup, machine: _Drafting(owner, setup, machine)


class _Independent(_Drafting):
    """Several independent drafts, as SpecTr draws them, under the recursive rule for independent draws."""

    def propose(self, view: View, draft: Draft, node: int) -> None:
        super().propose(view, draft, node)
        draft.draws = {at: Draws("recursive", draws.q, draws.tokens) for at, draws in draft.draws.items()}


def independent(setup: Setup, machine: Any) -> _Independent:
    return _Independent(DraftModel(None, 2, shape="sequential", width=3), setup, machine)


DRAFTERS: dict[str, Any] = {
    "chain": model_drafter(tokens=2, stop=1.0),
    "stopping chain": model_drafter(tokens=3, stop=0.4),
    "overlap": model_drafter(tokens=2, stop=1.0, overlap=True),
    "independent": independent,
    "k-sequential": model_drafter(tokens=2, shape="sequential", width=3),
    "tree": model_drafter(tokens=2, shape="tree", width=3),
    "beam": model_drafter(tokens=2, shape="beam", width=3),
    "jacobi": lambda setup, machine: _Jacobi(Jacobi(3), setup),
    "lookup": lambda setup, machine: PromptLookup(3).start(setup),
}
SETTINGS = [(0.7, False, 6), (1.3, True, 4)]
COUNT = 300


@pytest.mark.parametrize("setting", SETTINGS, ids=["free", "constrained"])
@pytest.mark.parametrize("name", DRAFTERS)
def test_output_has_the_models_law(name: str, setting: tuple[float, bool, int]) -> None:
    temperature, constrained, top = setting
    torch.manual_seed(1)
    table, other = Table(1), Table(2)
    other.logits = 0.6 * table.logits + 0.5 * other.logits  # a draft model that knows something
    options: dict[str, Any] = {"temperature": temperature, "constrained": constrained, "top": top}
    found = simulate(DRAFTERS[name], table, other, COUNT, **options)
    assert chi_square_p(found, exact_law(table, **options)) > 1e-4


def test_the_test_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hiding draws that were refused (a fresh token instead of the residual) bends the law, and is seen."""

    def careless(p: torch.Tensor, draws: Draws) -> int:
        token = draws.tokens[0]
        return token if rules.uniform() * float(draws.q[token]) < float(p[token]) else rules.draw(p)

    monkeypatch.setattr(verify, "select", careless)
    torch.manual_seed(1)
    table, other = Table(1), Table(2)
    options: dict[str, Any] = {"temperature": 1.0, "constrained": False, "top": 6}
    found = simulate(DRAFTERS["chain"], table, other, 4 * COUNT, **options)
    assert chi_square_p(found, exact_law(table, **options)) < 1e-4
