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
from guided.speculation.narrow import COMPACT, ORDINARY, SIZES, SKINNY, Products, linears, narrow_passes


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


def choose(model: nn.Module, plan: list[int]) -> Products:
    """Measured products whose plans do not depend on the clock."""
    products = narrow.products_of(model)
    if products is None:
        pytest.skip("this processor has no skinny products")
    for shape in products.plans:
        products.plans[shape] = plan
    return products


@pytest.mark.parametrize("together", [1, 2, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_modules_with_the_same_rows_are_multiplied_together(small: None, together: int, bias: bool) -> None:
    torch.manual_seed(together)
    modules = [nn.Linear(24, width, bias=bias).requires_grad_(False) for width in (40, 7, 16)[:together]]
    products = choose(nn.ModuleList(modules), [0, 1, 1, 0, 1])
    products.plans[16, 24] = [0, 1, 0, 1, 1]  # one that is better off apart
    product = narrow.Product(modules, products)
    for rows in range(1, 7):
        x = torch.randn(rows, 24)
        for found, module in zip(product(x), modules, strict=True):
            assert torch.allclose(found, module(x), atol=1e-5)
    across = torch.randn(24, 4).t()  # rows that do not lie in a row
    assert torch.allclose(product(across)[0], modules[0](across), atol=1e-5)


def test_modules_are_exchanged_and_restored(small: None) -> None:
    model = build()
    choose(model, [0, *[SKINNY] * 4, *[ORDINARY] * 4, *[SKINNY] * (SIZES[-1] - 8)])
    xs = [torch.randn(1, rows, 24) for rows in (1, 3, 4, 9, 40)]
    expected = [model(x) for x in xs]
    with torch.no_grad(), narrow_passes(model), narrow_passes(model):
        assert all("forward" in module.__dict__ for module in model)
        for x, own in zip(xs, expected, strict=True):
            assert torch.allclose(model(x), own, atol=1e-5)
    assert not any("forward" in module.__dict__ for module in model)
    with pytest.raises(KeyError), narrow_passes(model):
        raise KeyError
    assert not any("forward" in module.__dict__ for module in model)


@torch.no_grad()
def halved() -> nn.Sequential:
    """A model with a weight that has a compact copy, and one that has none."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 40), nn.Linear(40, 24, bias=False)).requires_grad_(False)
    first = linears(model)[0]
    first.weight.copy_(first.weight.half().float())
    return model


def test_compact_copies_change_no_number(small: None) -> None:
    """Where a module has none, or its weight was written meanwhile, the weight itself is read."""
    model = halved()
    first, second = linears(model)
    products = choose(model, [0, *[COMPACT] * SIZES[-1]])
    products.bare = {shape: [0, *[SKINNY] * SIZES[-1]] for shape in products.bare}
    in_place = narrow.products_of(model, "in-place")
    assert in_place is not None and in_place.copies is None and products.copies is not None
    in_place.plans = products.bare
    for turn in range(3):
        if turn:
            first.weight.data.mul_(2.0 if turn == 1 else 1.1)  # the second time to numbers with no short form
        with torch.no_grad():
            for rows in (1, 5, 32):
                x = torch.randn(rows, 32)
                with narrow_passes(model, "in-place"):
                    expected = model(x)
                with narrow_passes(model):
                    assert torch.equal(model(x), expected)
            size = 40 * 32 * 2 if turn < 2 else 0
            assert products.copies.size() == size
            with narrow_passes(model):
                first.weight.add_(1.0)
                between = functional.linear(x, first.weight, first.bias)
                assert torch.allclose(model(x), functional.linear(between, second.weight), atol=1e-4)
                first.weight.sub_(1.0)


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
    choose(model, [0, *[SKINNY] * SIZES[-1]])
    with narrow_passes(model):
        model(torch.randn(2, 24)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_small_models_and_off_change_nothing() -> None:
    model = build()
    modes: list[Any] = ["auto", "in-place", "off"]
    for mode in modes:
        with narrow_passes(model, mode) as products:
            assert products is None and not any("forward" in module.__dict__ for module in model)
    with pytest.raises(ValueError, match="narrow='fast'"), narrow_passes(model, "fast"):  # type: ignore[arg-type]
        pass


def test_threads_share_a_block(small: None) -> None:
    model = build()
    choose(model, [0, *[SKINNY] * 4, *[ORDINARY] * (SIZES[-1] - 4)])
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
