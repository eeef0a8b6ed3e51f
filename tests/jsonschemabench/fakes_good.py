"""The same engine without its bad habits, to run beside the bad one. It obeys `x-good` only."""

from __future__ import annotations

from typing import Any

from tests.jsonschemabench.fakes import Fake


def create(tokenizer: Any, options: dict[str, str]) -> Fake:
    return Fake(tokenizer, {"obeys": "x-good"})
