"""What lies between products, against torch: norm, rotation, gating, attention with and without masks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional

from guided.speculation.skinny import Skinny


@pytest.fixture(params=[1, 2], autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_norm(own: Skinny) -> None:
    x, weight = 3 * drawn(5, 64), drawn(64)
    x[2] = 0
    assert torch.allclose(own.norm(x, weight, 1e-5), functional.rms_norm(x, (64,), weight, 1e-5), atol=1e-5)


def test_gate_over_the_whole_range_of_numbers(own: Skinny) -> None:
    x = torch.cat([torch.linspace(-120, 120, 4000), torch.linspace(-1, 1, 4000)])
    up = drawn(8000)
    expected = functional.silu(x.double()) * up
    found = own.gate(x.clone(), up).double()
    assert torch.allclose(found, expected, rtol=1e-6, atol=1e-30)


def test_heads_are_laid_out_and_turned(own: Skinny) -> None:
    x, cos, sin = drawn(5, 96), drawn(5, 32), drawn(6, 32)[:5]
    heads = x.view(1, 5, 3, 32).transpose(1, 2)
    half = torch.cat([-heads[..., 16:], heads[..., :16]], -1)
    assert torch.equal(own.by_head(x, 32), heads)
    assert torch.allclose(own.by_head(x, 32, (cos, sin)), heads * cos + half * sin, atol=1e-5)


@pytest.mark.parametrize(("heads", "shared"), [(4, 2), (6, 2), (3, 3), (8, 1)])
@pytest.mark.parametrize("slots", [1, 4, 7, 8, 9, 31, 100])
def test_attention(own: Skinny, heads: int, shared: int, slots: int) -> None:
    for count in (1, 2, 3, 5, 8, 9):
        q, room = drawn(1, heads, count, 32), drawn(2, shared, slots + 3, 32)
        keys, values = room[:1, :, :slots], room[1:, :, :slots]  # views: heads lie further apart than their numbers
        hidden = torch.rand((1, 1, count, slots), generator=torch.Generator().manual_seed(count)) < 0.5
        hidden[..., 0] = False
        mask = torch.zeros(hidden.shape).masked_fill(hidden, torch.finfo(torch.float32).min)
        for given in (None, mask):
            k, v = (x.repeat_interleave(heads // shared, 1) for x in (keys, values))
            expected = functional.scaled_dot_product_attention(q, k, v, attn_mask=given, scale=0.3)
            found = own.attend(q, keys, values, given, 0.3)
            assert torch.allclose(found, expected.transpose(1, 2).reshape(count, -1), atol=1e-5)


def test_large_scores_do_not_overflow(own: Skinny) -> None:
    q, keys, values = 100 * drawn(1, 1, 3, 16), 100 * drawn(1, 1, 9, 16), drawn(1, 1, 9, 16)
    expected = functional.scaled_dot_product_attention(q, keys, values, scale=1.0)[0, 0]
    assert torch.allclose(own.attend(q, keys, values, None, 1.0), expected, atol=1e-4)


def test_torch_gets_its_threads_back(own: Skinny) -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), own.threads(), own.threads():
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == before
