"""A tiny model, what it wrote, and heads trained on that: made once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from guided.drafters.heads import Corpus, HeadsConfig, collect, train
from tests.processors.tiny import llama

KINDS = ("medusa", "hydra", "feature")
DEPTH = 3


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def model() -> Any:
    return llama(2)


@pytest.fixture(scope="package")
def corpus(model: Any) -> Corpus:
    generator = torch.Generator().manual_seed(0)
    prompts = [torch.randint(3, 60, (3 + n % 4,), generator=generator) for n in range(80)]
    return collect(model, prompts, max_new_tokens=40, batch_size=20, top_k=6)


@pytest.fixture(scope="package", params=KINDS)
def trained(request: Any, model: Any, corpus: Corpus) -> Any:
    config = HeadsConfig(request.param, 16, depth=DEPTH, width=64, rank=8 if request.param == "hydra" else 0)
    return train(model, corpus, config, epochs=5, batch=64, learning_rate=5e-3, held_out=0.1)
