"""A batch walks its documents in step and stays full."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jsonschemabench.batch import batch_record, measure_batch
from jsonschemabench.data import Definition
from jsonschemabench.engines import EngineFailure
from jsonschemabench.tokens import Tools


class Everything:
    """Two rows in which every token is allowed; refuses schemas that say so."""

    def __init__(self) -> None:
        self.rows = np.full((2, 9), -1, dtype=np.int32)
        self.taken: list[list[int]] = [[], []]

    def begin(self, row: int, schema: Any) -> None:
        if schema == {"refuse": True}:
            raise EngineFailure("no")
        self.taken[row].append(-1)

    def fill(self) -> None: ...

    def accept(self, row: int, token: int) -> bool:
        self.taken[row].append(token)
        return True


TOOLS = Tools(None, lambda text: list(text.encode()), (256,))


def definition(schema: Any, *values: Any) -> Definition:
    return Definition.from_record(
        "s", {"name": "n", "schema": schema, "tests": [{"valid": True, "data": v} for v in values]}
    )


def test_rows_take_the_next_document_when_theirs_has_ended() -> None:
    batcher = Everything()
    ticks = iter(range(0, 1000, 5))
    work = [definition({}, 1, 22), definition({"refuse": True}, 3)]
    times, documents, ended = measure_batch(batcher, work, TOOLS, 5, lambda: next(ticks))
    assert times == [5] * 5 and documents == 2
    assert batcher.taken == [[-1, 49, -1, 49, -1, 49], [-1, 50, 50, -1, 50, 50]]
    assert ended == 3


def test_nothing_to_walk() -> None:
    with pytest.raises(EngineFailure, match="none of the schemas"):
        measure_batch(Everything(), [definition({"refuse": True}, 3)], TOOLS, 1, lambda: 0)
    with pytest.raises(EngineFailure, match="no valid instances"):
        measure_batch(Everything(), [definition({})], TOOLS, 1, lambda: 0)


def test_rates() -> None:
    record = batch_record("e", 4, 2, [1_000_000] * 10, 3, 1)
    assert record["p50_us"] == 1000 and record["rows_per_second"] == 4000
