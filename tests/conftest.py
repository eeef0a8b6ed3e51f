"""Fixtures for the whole test tree: where the test data lies, the benchmark's tokenizer, hypothesis profiles.

Test data is never part of the project. It is looked for in the folder named by GUIDED_DATA, else in `../shared/data`
beside the checkout; a test that needs it is skipped, with a sentence on how to get it, where there is none.
"""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Kernels are compiled at their first call, inside some unlucky example: a deadline would only measure the compiler.
settings.register_profile("quick", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", settings.get_profile("quick"), max_examples=5_000)
settings.register_profile("repeatable", settings.get_profile("quick"), derandomize=True)
settings.load_profile(os.environ.get("GUIDED_HYPOTHESIS_PROFILE", "quick"))

REPOSITORY = Path(__file__).resolve().parent.parent


def find_data() -> Path | None:
    """The folder with the test data, or None."""
    given = os.environ.get("GUIDED_DATA")
    folder = Path(given) if given else REPOSITORY.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with `maskbench/`, `llama31-tokenizer/` and the official test suite."""
    folder = find_data()
    if folder is None:
        pytest.skip("no test data: set GUIDED_DATA to a folder with maskbench/ and llama31-tokenizer/ (README, Data)")
    return folder


@pytest.fixture(scope="session")
def llama_tokenizer(data_dir: Path) -> Any:
    """The Llama-3.1 tokenizer (128,256 tokens), the benchmark's standard vocabulary."""
    folder = data_dir / "llama31-tokenizer"
    if not folder.is_dir():
        pytest.skip(f"no Llama-3.1 tokenizer: put tokenizer.json and tokenizer_config.json into {folder}")
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="session")
def maskbench(data_dir: Path) -> Callable[[str], list[dict[str, Any]]]:
    """`maskbench("Glaiveai2K")`: that split's schemas, each with `name`, `schema` and labelled `tests`."""

    @cache
    def load(split: str) -> list[dict[str, Any]]:
        path = data_dir / "maskbench" / f"{split}.jsonl.xz"
        if not path.is_file():
            pytest.skip(f"no {path.name}: it is part of JSONSchemaBench (github.com/guidance-ai/jsonschemabench)")
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    return load
