"""Tiny models run on one thread; trees over them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from guided.conditioning.tree import PrefixTree
from tests.guided.conditioning import worlds


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tree() -> Any:
    """tree(name, **options): the prefixes of the worlds' prompt under one language."""

    def make(name: str | None, seed: int = 4, **options: Any) -> PrefixTree:
        owner = None if name is None else worlds.constraint(name).parts[0].constraints[0]
        return PrefixTree(
            worlds.model(seed), torch.tensor(worlds.PROMPT), law=lambda ids, scores: scores, constraint=owner,
            limit=worlds.LIMIT, eos_ids=[worlds.EOS], **options,
        )  # fmt: skip

    return make
