"""The timing loop under a clock and an engine whose numbers are known by hand."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jsonschemabench.data import Definition
from jsonschemabench.engines import AS_WRITTEN, EngineFailure, Reading, Walk
from jsonschemabench.masks import Measurement, Run, allowed, limited, measure, order
from jsonschemabench.records import measurement_of, schema_record
from jsonschemabench.stats import Distribution, pair_up, slowest, summarise, tally

EOS = 256


class Clock:
    """Nanoseconds that pass only when an engine says so."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class FakeEngine:
    """Tokens are bytes; the language is a fixed set of texts. A compile costs 1000 ns, a mask `cost`, an advance 1."""

    version = "0"

    def __init__(self, name: str, clock: Clock, texts: list[str], cost: int = 10, fails: str = "") -> None:
        self.name, self.clock, self.cost, self.fails = name, clock, cost, fails
        self.texts = [text.encode() for text in texts]
        self.row = np.zeros(9, dtype=np.int32)
        self.begun: list[str] = []

    def compile(self, schema: Any, reading: Reading = AS_WRITTEN) -> FakeEngine:
        self.clock.now += 1000
        if self.fails == "compile":
            raise EngineFailure("no idea what this schema\nmeans")
        return self

    def start(self) -> Walk:
        self.text = b""
        self.begun.append(self.name)
        return Walk(self.fill, self.accept)

    def fill(self) -> None:
        self.clock.now += self.cost
        if self.fails == "mask" and len(self.text) == 1:
            raise RuntimeError("lost")
        self.row[:] = 0
        for text in self.texts:
            if text.startswith(self.text):
                token = text[len(self.text)] if len(text) > len(self.text) else EOS
                self.row[token >> 5] |= np.int32(np.uint32(1 << (token & 31)).astype(np.int32))

    def accept(self, token: int) -> bool:
        self.clock.now += 1
        self.text += bytes([token])
        return self.fails != "accept"


def encode(text: str) -> list[int]:
    return list(text.encode())


def definition(*tests: tuple[bool, Any]) -> Definition:
    record = {"name": "s", "schema": {}, "tests": [{"valid": valid, "data": data} for valid, data in tests]}
    return Definition.from_record("split", record)


def run_one(*tests: tuple[bool, Any], texts: list[str], fails: str = "") -> Measurement:
    clock = Clock()
    return measure(definition(*tests), [FakeEngine("fake", clock, texts, fails=fails)], encode, [EOS], clock=clock)[0]


BOTH = ["[1,2]", "[1, 2]"]


def test_times_are_counted_token_by_token() -> None:
    """TTFM = compile + first mask; a document of n tokens has n + 1 masks and n advances."""
    result = run_one((True, [1, 2]), texts=BOTH)
    assert result.ttfm == 1010
    compact, default = result.runs
    assert (compact.spelling, default.spelling) == ("compact", "default")
    assert (compact.masks, compact.advances) == ([10] * 6, [1] * 5)
    assert (default.masks, default.advances) == ([10] * 7, [1] * 6)
    assert compact.accepted and default.accepted and result.passed


def test_a_refused_token_ends_the_document() -> None:
    result = run_one((True, [1, 3]), (False, [1, 3]), texts=BOTH)
    assert [(run.accepted, len(run.masks), run.right) for run in result.runs] == [
        (False, 4, False),
        (False, 5, False),
        (False, 4, True),
        (False, 5, True),
    ]
    assert not result.passed


def test_the_end_must_be_allowed_too() -> None:
    """A valid prefix of the language is no document."""
    assert [run.accepted for run in run_one((True, 1), texts=["12"]).runs] == [False, False]
    assert [run.accepted for run in run_one((True, 1), texts=["1", "12"]).runs] == [True, True]


def test_tally_counts_instances_once() -> None:
    """One spelling refused is one validation error; one accepted invalid instance is one invalidation error."""
    result = run_one((True, [1, 2]), (False, [1, 3]), (True, 7), texts=["[1,2]", "[1,3]", "[1, 3]", "7"])
    total = tally([result])
    assert (total.instances, total.validation_errors, total.invalidation_errors) == (3, 1, 1)
    assert (total.schemas, total.compiled, total.passed, total.compile_errors) == (1, 1, 0, 0)


@pytest.mark.parametrize("valid", [True, False])
@pytest.mark.parametrize("fails", ["mask", "accept"])
def test_an_exception_is_no_verdict(fails: str, valid: bool) -> None:
    """Not even on an invalid instance: falling over is not refusing."""
    result = run_one((valid, [1, 2]), texts=BOTH, fails=fails)
    assert all(run.error for run in result.runs)
    assert tally([result]).validation_errors == 1


def test_a_compile_error_has_no_runs() -> None:
    result = run_one((True, [1, 2]), texts=BOTH, fails="compile")
    assert result.compile_error == "no idea what this schema means"
    assert result.runs == [] and not result.passed
    assert tally([result]).compile_errors == 1


def test_engines_take_turns() -> None:
    """Each document begins with another engine than the one before."""
    clock = Clock()
    engines = [FakeEngine(name, clock, BOTH) for name in "ab"]
    begun: list[str] = []
    for engine in engines:
        engine.begun = begun
    measure(definition((True, [1, 2])), engines, encode, [EOS], clock=clock)
    assert begun == ["a", "b", "b", "a", "a", "b"]  # first masks, compact, default
    assert [order(3, turn) for turn in range(3)] == [[0, 1, 2], [1, 2, 0], [2, 0, 1]]


def test_paired_times_need_both_to_be_right() -> None:
    clock = Clock()
    engines = [FakeEngine("slow", clock, [*BOTH, "7"], cost=40), FakeEngine("quick", clock, BOTH, cost=10)]
    results = measure(definition((True, [1, 2]), (True, 7)), engines, encode, [EOS], clock=clock)
    summary = summarise(results)
    pair = summary["pairs"]["quick"]
    assert (pair["documents"], pair["schemas"]) == (2, 1)
    assert pair["mask"]["first"]["values"]["avg"] == pytest.approx(0.040)
    assert pair["mask"]["other"]["values"]["max"] == pytest.approx(0.010)
    assert pair["step"]["other"]["values"]["p50"] == pytest.approx(0.011)
    assert pair["mask"]["ratios"]["avg"] == pytest.approx((4, 4, 4))
    assert pair["ttfm"]["ratios"]["p50"][0] == pytest.approx(1040 / 1010)
    assert summary["engines"]["slow"]["tbm"]["count"] == 13 + 2 * 2
    json.dumps(summary)


def test_paired_times_are_of_the_same_tokens() -> None:
    """One engine refuses at the first token, the other at the fourth: one mask of each is compared."""
    clock = Clock()
    engines = [FakeEngine("late", clock, BOTH), FakeEngine("early", clock, ["7"])]
    late, early = measure(definition((False, [1, 3])), engines, encode, [EOS], clock=clock)
    pair = pair_up([late], [early])
    assert [len(times) for side in pair.mask for times in side] == [2, 2]  # one mask in each of two spellings
    assert [len(times) for side in pair.advance for times in side] == [0, 0]


def test_a_warm_round_is_measured_alone() -> None:
    """The second round's first mask is that of a compiled schema, and the first round's documents are not counted."""
    clock = Clock()
    [result] = measure(
        definition((True, [1, 2])), [FakeEngine("fake", clock, BOTH)], encode, [EOS], clock=clock, warm=True
    )
    assert result.ttfm == 10
    assert [len(run.masks) for run in result.runs] == [6, 7]


def test_an_engine_out_of_time_is_not_asked_again() -> None:
    class Sleepy(FakeEngine):
        def fill(self) -> None:
            if self.text:
                time.sleep(5)
            super().fill()

    [result] = measure(definition((True, [1, 2])), [Sleepy("fake", Clock(), BOTH)], encode, [EOS], time_limit=0.2)
    assert result.timed_out and result.spent and not result.passed
    assert ["longer than" in run.error for run in result.runs] == [True, False]
    assert "not run" in result.runs[1].error


def test_records_are_read_back() -> None:
    result = run_one((True, [1, 3]), (False, [1, 3]), texts=BOTH)
    again = measurement_of(json.loads(json.dumps(schema_record(result))))
    assert schema_record(replace(again, runs=[])) == schema_record(replace(result, runs=[]))
    assert [(list(run.masks), run.right, run.text) for run in again.runs] == [
        (run.masks, run.right, run.text) for run in result.runs
    ]
    assert result.runs[0].text == "[1,3]" and result.runs[2].text == ""


def test_the_slowest_masks_are_named() -> None:
    run = Run(3, "compact", valid=True, masks=[5_000, 9_000, 1_000])
    results = [Measurement("split", "s", "e", runs=[run, Run(4, "compact", valid=True)])]
    assert slowest(results, "e") == [(9.0, "s", 3, "compact", 1)]
    assert slowest(results, "other") == []


def test_percentiles_by_hand() -> None:
    """101 equidistant times: the k-th percentile is k; microseconds out of nanoseconds in."""
    values = Distribution.of(range(0, 101_000, 1000)).values
    assert {name: round(value, 6) for name, value in values.items()} == {
        "avg": 50.0, "p25": 25.0, "p50": 50.0, "p75": 75.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9,
        "max": 100.0,
    }  # fmt: skip
    assert Distribution.of([]).count == 0


def test_mask_bits() -> None:
    row = np.array([1, -(2**31)], dtype=np.int32)
    assert [token for token in range(100) if allowed(row, token)] == [0, 63]


def test_a_time_limit_is_a_failure() -> None:
    with pytest.raises(EngineFailure, match=r"longer than 0\.01 s"), limited(0.01):
        while True:
            pass
    with limited(math.inf):
        pass


def test_run_is_right_only_without_error() -> None:
    assert Run(0, "compact", valid=False).right
    assert not Run(0, "compact", valid=False, error="boom").right
