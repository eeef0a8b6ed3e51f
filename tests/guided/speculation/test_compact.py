"""Compact copies stand for the weight's own numbers, are refused where they would not, and are never out of date."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guided.speculation.compact import Copies, packed
from guided.speculation.packedcode import BFLOAT16, FORMS, HALF, Q4, Q8, Form
from guided.speculation.skinny import Packed, Skinny


def four_bits(rows: int, width: int, own: torch.Generator) -> torch.Tensor:
    d = torch.rand((rows, width // 32, 1), generator=own).half().float()
    m = -torch.rand((rows, width // 32, 1), generator=own).half().float()
    return (torch.randint(0, 16, (rows, width // 32, 32), generator=own) * d + m).view(rows, width)


def eight_bits(rows: int, width: int, own: torch.Generator) -> torch.Tensor:
    d = torch.rand((rows, width // 32, 1), generator=own).half().float()
    q = torch.randint(-127, 128, (rows, width // 32, 32), generator=own)
    q[..., 3] = 127
    return (q * d).view(rows, width)


def bfloats(rows: int, width: int, own: torch.Generator) -> torch.Tensor:
    return torch.randn((rows, width), generator=own).bfloat16().float()


def halves(rows: int, width: int, own: torch.Generator) -> torch.Tensor:
    return torch.randn((rows, width), generator=own).half().float()


MAKERS: dict[Form, Callable[[int, int, torch.Generator], torch.Tensor]] = {
    Q4: four_bits, Q8: eight_bits, BFLOAT16: bfloats, HALF: halves,
}  # fmt: skip
forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


def decoded(made: Packed) -> np.ndarray:
    """The numbers of a packed weight by the table of its forms, in float64 but for the last rounding."""
    form, records = made.form, made.records.numpy().reshape(-1, made.form.size)
    if form is BFLOAT16:
        out = (records.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    elif form is HALF:
        out = records.view(np.float16).astype(np.float32)
    else:
        d = records[:, :4].copy().view(np.float32).astype(np.float64)
        if form is Q8:
            out = (d * records[:, 4:].view(np.int8)).astype(np.float32)
        else:
            m = records[:, 4:8].copy().view(np.float32).astype(np.float64)
            words = records[:, 8:].copy().view(np.uint16)
            q = np.stack([words >> 4 * j & 15 for j in range(4)], 1).reshape(-1, 32)
            out = (d * q + m).astype(np.float32)
    return out.reshape(made.shape)


@forms
@pytest.mark.parametrize("rows", [1, 7, 130])
def test_the_form_is_found_and_gives_every_number_back(own: Skinny, form: Form, rows: int) -> None:
    weight = MAKERS[form](rows, 96, torch.Generator().manual_seed(rows))
    made = packed(weight, own)
    assert made is not None and made.form is form
    assert made.records.numel() == rows * 96 // form.weights * form.size
    assert np.array_equal(decoded(made), weight.numpy())
    assert torch.equal(own.unpacked(made), weight)


@forms
@given(rows=st.integers(1, 14), outs=st.lists(st.integers(1, 13), min_size=1, max_size=2), seed=st.integers(0, 99))
def test_products_are_the_weights_bit_for_bit(own: Skinny, form: Form, rows: int, outs: list[int], seed: int) -> None:
    """Packed and plain weights in one call, any number of rows; each as the plain weight alone would have it."""
    generator = torch.Generator().manual_seed(seed)
    weights = [MAKERS[form](out, 64, generator) for out in outs]
    copies = [packed(weight, own) for weight in weights]
    assert None not in copies
    x = torch.randn((rows, 64), generator=generator)
    plain = torch.randn((9, 64), generator=generator)
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        found = own.products(x, [*copies, plain])  # type: ignore[list-item]
        expected = own.products(x, [*weights, plain])
        torch.set_num_threads(before)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q8_0"])
def test_what_gguf_files_hold_is_compact(own: Skinny, kind: str) -> None:
    gguf = pytest.importorskip("gguf", reason="install gguf to compare with its own dequantization")
    type_ = gguf.GGMLQuantizationType[kind]
    raw = torch.randn((96, 160), generator=torch.Generator().manual_seed(0)).numpy()
    weight = torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(raw, type_), type_))
    made = packed(weight, own)
    assert made is not None and made.form is (Q8 if kind == "Q8_0" else Q4)
    assert torch.equal(own.unpacked(made), weight)


@pytest.mark.parametrize("form", [Q4, Q8, BFLOAT16], ids=lambda form: form.name)
def test_one_number_between_the_steps_refuses_the_form(own: Skinny, form: Form) -> None:
    weight = MAKERS[form](50, 64, torch.Generator().manual_seed(1))
    weight[31, 17] += weight[31].abs().max() / 1021
    made = packed(weight, own)
    assert made is None or (made.form is not form and torch.equal(own.unpacked(made), weight))


def test_numbers_of_every_kind(own: Skinny) -> None:
    for weight in (torch.zeros(3, 32), torch.full((3, 32), -2.5), torch.eye(32), -torch.eye(32)):
        made = packed(weight, own)
        assert made is not None and made.form is Q4 and torch.equal(own.unpacked(made), weight)
    assert packed(torch.randn((64, 64), generator=torch.Generator().manual_seed(0)), own) is None
    assert packed(torch.empty(0, 64), own) is None
    for odd in (float("nan"), 2.0**-149, 3e38):
        weight = four_bits(4, 64, torch.Generator().manual_seed(0))
        weight[2, 5] = odd
        assert packed(weight, own) is None
    infinite = bfloats(4, 64, torch.Generator().manual_seed(0))
    infinite[2, 5] = float("inf")
    made = packed(infinite, own)
    assert made is not None and made.form is BFLOAT16 and torch.equal(own.unpacked(made), infinite)


def test_a_difference_is_seen(own: Skinny) -> None:
    weight = four_bits(21, 96, torch.Generator().manual_seed(0))
    made = packed(weight, own)
    assert made is not None and own.unlike(made, weight) == 0
    for row, column in ((0, 0), (13, 50), (20, 95)):
        other = weight.clone()
        other[row, column] += 1
        assert own.unlike(made, other) == 1
        assert sum(own.unlike(made, other, turn) for turn in range(2 * 8 * 3)) >= 1
    assert own.unlike(made, weight + 1, 5) == 21 * 3 // 24  # one of eight rows' records, each turn


def written(weight: torch.Tensor) -> None:
    weight[1, 2] += 1


def through_data(weight: torch.Tensor) -> None:
    weight.data.mul_(2)


def through_numpy(weight: torch.Tensor) -> None:
    weight.detach().numpy()[:] *= 2


def exchanged(weight: torch.Tensor) -> None:
    weight.data = weight.detach() * 2


@pytest.mark.parametrize("edit", [written, through_data, through_numpy, exchanged])
def test_a_copy_is_not_used_once_the_weight_has_changed(own: Skinny, edit: Callable[[torch.Tensor], None]) -> None:
    module = torch.nn.Linear(64, 48, bias=False).requires_grad_(False)
    module.weight.copy_(four_bits(48, 64, torch.Generator().manual_seed(0)))
    copies = Copies()
    copy = copies.of(module)
    assert copy.of(module.weight) is None
    copies.renew([module], own)
    first = copy.of(module.weight)
    assert first is not None and copies.size() == first.records.numel()
    copies.renew([module], own)
    assert copy.of(module.weight) is first  # nothing to do
    edit(module.weight)
    if edit in (written, exchanged):
        assert copy.of(module.weight) is None  # seen at once
    copies.renew([module], own)
    again = copy.of(module.weight)
    assert again is not first
    assert again is None or torch.equal(own.unpacked(again), module.weight)


def test_another_tensor_has_no_copy(own: Skinny) -> None:
    module = torch.nn.Linear(64, 48, bias=False).requires_grad_(False)
    module.weight.copy_(four_bits(48, 64, torch.Generator().manual_seed(0)))
    copies = Copies()
    copies.renew([module], own)
    assert copies.of(module).of(module.weight.clone()) is None
    module.weight = torch.nn.Parameter(module.weight * 2, requires_grad=False)
    assert copies.of(module).of(module.weight) is None
    copies.renew([module], own)
    assert copies.of(module).of(module.weight) is not None
