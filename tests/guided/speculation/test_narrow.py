"""Products chosen by measurement: the same numbers, only in plain modules, and the modules come back as they were."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from guided.speculation import narrow
from guided.speculation.costs import PassCosts
from guided.speculation.narrow import PACKED, SIZES, Products, can_pack, linears, narrow_passes, turned


class Odd(nn.Linear):
    pass


class OddTensor(torch.Tensor):
    pass


def build() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(24, 40), nn.Linear(40, 24, bias=False)).requires_grad_(False)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrow, "_LEAST", 0)


def choose(model: nn.Module, plan: list[int], mode: Any = "auto") -> Products:
    """Measured products whose plans do not depend on the clock."""
    products = narrow.products_of(model, mode)
    assert products is not None
    for shape in products.plans:
        products.plans[shape] = plan
    return products


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 16])
def test_other_products_give_the_same(rows: int, bias: bool) -> None:
    generator = torch.Generator().manual_seed(rows)
    x, weight = torch.randn((rows, 24), generator=generator), torch.randn((40, 24), generator=generator)
    offset = torch.randn(40, generator=generator) if bias else None
    expected = functional.linear(x, weight, offset)
    for filled in (rows, rows + 1, 16):
        found = turned(x, weight, offset, filled)
        assert torch.allclose(found, expected, atol=1e-5)
    if can_pack():
        with torch.no_grad():
            assert torch.allclose(narrow.packed_product(x, narrow.pack(weight), offset), expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["auto", "packed"])
def test_modules_are_exchanged_and_restored(small: None, mode: Any) -> None:
    model = build()
    plan = [0, 2, 2, 4, 4, *[PACKED if mode == "packed" and can_pack() else 16] * (SIZES[-1] - 4)]
    choose(model, plan, mode)
    xs = [torch.randn(1, rows, 24) for rows in (1, 3, 4, 9, 40)]
    expected = [model(x) for x in xs]
    with torch.no_grad(), narrow_passes(model, mode), narrow_passes(model, mode):
        assert all("forward" in module.__dict__ for module in model)
        for x, own in zip(xs, expected, strict=True):
            assert torch.allclose(model(x), own, atol=1e-5)
    assert not any("forward" in module.__dict__ for module in model)
    with pytest.raises(KeyError), narrow_passes(model, mode):
        raise KeyError
    assert not any("forward" in module.__dict__ for module in model)


def test_a_changed_weight_is_packed_anew(small: None) -> None:
    if not can_pack():
        pytest.skip("this torch has no packed products")
    model = build()
    choose(model, [0, *[PACKED] * SIZES[-1]], "packed")
    x = torch.randn(2, 24)
    for _ in range(2):
        with torch.no_grad(), narrow_passes(model, "packed"):
            found = model(x)
        assert torch.allclose(found, model(x), atol=1e-5)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(2)


def test_what_is_not_plain_is_left_alone(small: None) -> None:
    hooked, own, forwards = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
    hooked.register_forward_hook(lambda *_: None)
    forwards.forward = lambda x: x  # type: ignore[method-assign, assignment]
    tensor = nn.Linear(8, 8)
    tensor.weight = nn.Parameter(tensor.weight.detach().as_subclass(OddTensor))
    model = nn.ModuleList([Odd(8, 8), nn.Linear(8, 8, dtype=torch.bfloat16), hooked, forwards, tensor, own])
    assert linears(model) == [own]


def test_gradients_go_through_the_ordinary_product(small: None) -> None:
    model = build().requires_grad_(True)
    choose(model, [0, *[4] * SIZES[-1]])
    with narrow_passes(model):
        model(torch.randn(2, 24)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_small_models_and_off_change_nothing() -> None:
    model = build()
    modes: list[Any] = ["auto", "off"]
    for mode in modes:
        with narrow_passes(model, mode) as products:
            assert products is None and not any("forward" in module.__dict__ for module in model)
    with pytest.raises(ValueError, match="narrow='fast'"), narrow_passes(model, "fast"):  # type: ignore[arg-type]
        pass


def test_threads_share_a_block(small: None) -> None:
    model = build()
    choose(model, [0, *[4] * 4, *[0] * (SIZES[-1] - 4)])
    x = torch.randn(3, 24)
    expected, wrong = model(x), []

    def work() -> None:
        for _ in range(30):
            with torch.no_grad(), narrow_passes(model):
                wrong.append(not torch.allclose(model(x), expected, atol=1e-5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 120 and not any(wrong)
    assert not any("forward" in module.__dict__ for module in model)


def test_costs_follow_the_products_before_any_pass(small: None) -> None:
    products = Products(linears(build()))
    for known in products.seconds.values():
        for size in SIZES:
            known[size] = [1.0 if size < 8 else 3.0, 9.0, 9.0]
    products.plans = {key: [0] * (SIZES[-1] + 1) for key in products.plans}
    costs = PassCosts(products)
    assert costs.cost(4) < 1.1 < 2 < costs.cost(8)
    for _ in range(40):
        costs.note(8, products.pass_seconds(8) / 2)  # this machine's passes of eight are cheaper than thought
        costs.note(1, products.pass_seconds(1) * 1.35)
    assert costs.cost(8) < 1.4
