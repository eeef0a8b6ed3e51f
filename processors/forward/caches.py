"""Rows of a cache chosen without copying them, where the cache only ever concatenates.

`DynamicCache` copies keys and values once more when it appends, so a copy made by choosing rows just before is thrown
away. A run of neighbouring rows, and one row several times, are views; what reads and writes them makes no difference.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

__all__ = ["select_rows"]


def select_rows(cache: Any, rows: torch.Tensor) -> None:
    """Go on with these rows (indices int64 [n], in this order) of the cache, in place."""
    layers: list[Any] = cache.layers if type(cache) is DynamicCache else []
    live = [layer for layer in layers if layer.get_seq_length() > 0]
    viewed = live and len(rows) and rows.is_cpu  # to look at indices on a device would wait for it
    if not viewed or any(type(layer) is not DynamicLayer for layer in layers):
        cache.reorder_cache(rows)
        return
    order, held = rows.tolist(), live[0].keys.shape[0]
    first, count = order[0], len(order)
    if order == list(range(first, first + count)):
        if count == held:
            return
        for layer in live:
            layer.keys, layer.values = layer.keys[first : first + count], layer.values[first : first + count]
    elif order == [first] * count:
        for layer in live:
            layer.keys = layer.keys[first : first + 1].expand(count, -1, -1, -1)
            layer.values = layer.values[first : first + 1].expand(count, -1, -1, -1)
    else:
        cache.reorder_cache(rows)
