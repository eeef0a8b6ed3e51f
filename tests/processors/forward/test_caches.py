"""Rows chosen by views are what copies would be, and go on like them; other caches are left to their own method."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import DynamicCache

from processors.forward.caches import select_rows
from tests.processors.tiny import llama


def filled(rows: int) -> tuple[Any, torch.Tensor]:
    cache = DynamicCache()
    ids = torch.randint(6, 60, (rows, 5), generator=torch.Generator().manual_seed(rows))
    with torch.no_grad():
        llama()(input_ids=ids, past_key_values=cache)
    return cache, ids


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [1, 2], [3], [2, 2, 2], [0, 0], [3, 0, 1], [1, 1, 2, 2], [0, 2]])
def test_rows_are_those_asked_for_and_grow(order: list[int]) -> None:
    (cache, _), (other, _) = filled(4), filled(4)
    before = [layer.keys.clone() for layer in other.layers]
    select_rows(cache, torch.tensor(order))
    other.batch_select_indices(torch.tensor(order))
    more = torch.arange(7, 7 + len(order))[:, None]
    with torch.no_grad():
        for _ in range(2):
            found, expected = (llama()(input_ids=more, past_key_values=each).logits for each in (cache, other))
            assert torch.equal(found, expected)
    for layer, twin, was in zip(cache.layers, other.layers, before, strict=True):
        assert torch.equal(layer.keys, twin.keys) and torch.equal(layer.values, twin.values)
        assert torch.equal(layer.keys[..., :5, :], was[order])


def test_a_row_or_a_run_of_rows_costs_no_copy() -> None:
    for order in ([2], [1, 1, 1], [0, 1]):
        cache, _ = filled(4)
        at = cache.layers[0].keys.untyped_storage().data_ptr()
        select_rows(cache, torch.tensor(order))
        assert cache.layers[0].keys.untyped_storage().data_ptr() == at
        assert cache.layers[0].keys.shape[0] == len(order)


def test_an_empty_cache_and_a_foreign_one() -> None:
    select_rows(DynamicCache(), torch.tensor([0, 0]))
    asked = []

    class Foreign:
        def reorder_cache(self, rows: torch.Tensor) -> None:
            asked.append(rows.tolist())

    select_rows(Foreign(), torch.tensor([1, 0]))
    assert asked == [[1, 0]]
