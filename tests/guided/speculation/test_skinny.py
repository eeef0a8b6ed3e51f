"""Skinny products against torch's: any number of rows, widths, several weights at once, several threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from guided.speculation.skinny import LANES, Skinny


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def close(found: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> bool:
    return torch.allclose(found.double(), x.double() @ weight.double().t(), atol=1e-4)


@pytest.mark.parametrize("rows", [*range(1, 14), 16, 23, 32, 65])
def test_every_number_of_rows(own: Skinny, threads: int, rows: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    x = torch.randn((rows, 5 * LANES), generator=generator)
    for sizes in ([1], [3, 4, 5], [129], [64, 2]):
        weights = [torch.randn((size, 5 * LANES), generator=generator) for size in sizes]
        found = own.products(x, weights)
        assert [tuple(out.shape) for out in found] == [(rows, size) for size in sizes]
        assert all(close(out, x, weight) for out, weight in zip(found, weights, strict=True))


def test_sums_are_exact_where_numbers_allow_it(own: Skinny) -> None:
    """Small whole numbers: every order of summation gives the same, so not one product may be left out or doubled."""
    generator = torch.Generator().manual_seed(0)
    for width in (LANES, 3 * LANES, 40 * LANES):
        x = torch.randint(-9, 10, (7, width), generator=generator).float()
        weight = torch.randint(-9, 10, (50, width), generator=generator).float()
        assert torch.equal(own.products(x, [weight])[0], x @ weight.t())


def test_nothing_is_written_beside_the_result(own: Skinny, monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = torch.ones(5, LANES), torch.ones(6, LANES)
    memory = torch.full((2 + 5 * 6 + 2,), 7.0)
    monkeypatch.setattr(torch, "empty", lambda *_: memory[2:-2].view(5, 6))
    own.products(x, [weight])
    assert memory[:2].tolist() == memory[-2:].tolist() == [7.0, 7.0] and bool((memory[2:-2] == LANES).all())


def test_callers_do_not_disturb_one_another(own: Skinny) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    wrong: list[bool] = []

    def work(seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for turn in range(150):
            x = torch.randn((1 + turn % 9, 4 * LANES), generator=generator)
            weights = [torch.randn((40 + turn, 4 * LANES), generator=generator) for _ in range(1 + turn % 3)]
            wrong.extend(not close(o, x, w) for o, w in zip(own.products(x, weights), weights, strict=True))

    callers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    torch.set_num_threads(before)
    assert len(wrong) == 4 * 300 and not any(wrong)
