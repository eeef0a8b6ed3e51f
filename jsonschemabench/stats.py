"""Percentiles, tallies and ratios of measurements: numbers only, no drawing."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from jsonschemabench.masks import Measurement, Run

__all__ = ["PERCENTILES", "Distribution", "Tally", "paired_runs", "slowest", "summarise", "tally"]

PERCENTILES = {"p25": 25.0, "p50": 50.0, "p75": 75.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}


SlowMask = tuple[float, str, int, str, int]
"""Microseconds, schema, instance, spelling, token."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Count, mean, percentiles and maximum of times, in microseconds; all zero when there are none."""

    count: int
    values: dict[str, float]

    @classmethod
    def of(cls, nanoseconds: Iterable[int]) -> Distribution:
        times = np.fromiter(nanoseconds, dtype=np.float64) / 1e3
        if not times.size:
            return cls(0, dict.fromkeys(["avg", *PERCENTILES, "max"], 0.0))
        at = np.percentile(times, list(PERCENTILES.values()))
        middle = {name: float(value) for name, value in zip(PERCENTILES, at, strict=True)}
        return cls(int(times.size), {"avg": float(times.mean()), **middle, "max": float(times.max())})


@dataclass(slots=True)
class Tally:
    """How an engine judged. Instances are counted once, whatever number of spellings went wrong."""

    schemas: int = 0
    compiled: int = 0
    passed: int = 0
    instances: int = 0
    compile_errors: int = 0
    validation_errors: int = 0  # valid instances refused, and exceptions on the way
    invalidation_errors: int = 0  # invalid instances accepted


def tally(measurements: Iterable[Measurement]) -> Tally:
    """Count what one engine did."""
    total = Tally()
    for measurement in measurements:
        total.schemas += 1
        total.compiled += not measurement.compile_error
        total.compile_errors += bool(measurement.compile_error)
        total.passed += measurement.passed
        wrong = {run.instance for run in measurement.runs if not run.right}
        accepted_invalid = {run.instance for run in measurement.runs if run.accepted and not run.valid}
        total.instances += len({run.instance for run in measurement.runs})
        total.invalidation_errors += len(accepted_invalid)
        total.validation_errors += len(wrong - accepted_invalid)
    return total


def paired_runs(measurements: Sequence[Measurement]) -> dict[str, list[Run]]:
    """For each engine, its runs of the documents that every engine judged rightly, cut to the tokens all of them saw.

    (Engines refuse an invalid document at different tokens; what only one of them computed is not compared.)
    """
    by_document: dict[tuple[str, str, int, str], dict[str, Run]] = {}
    engines = sorted({measurement.engine for measurement in measurements})
    for measurement in measurements:
        for run in measurement.runs:
            if run.right:
                key = (measurement.split, measurement.name, run.instance, run.spelling)
                by_document.setdefault(key, {})[measurement.engine] = run
    paired: dict[str, list[Run]] = {engine: [] for engine in engines}
    for runs in by_document.values():
        if len(runs) < len(engines):
            continue
        masks, advances = (min(len(times) for times in kind) for kind in zip(*map(_times, runs.values()), strict=True))
        for engine, run in runs.items():
            paired[engine].append(replace(run, masks=run.masks[:masks], advances=run.advances[:advances]))
    return paired


def slowest(measurements: Iterable[Measurement], engine: str, count: int = 10) -> list[SlowMask]:
    """The slowest masks of one engine, the worst of each document."""
    worst = (
        (max(run.masks) / 1e3, measurement.name, run.instance, run.spelling, run.masks.index(max(run.masks)))
        for measurement in measurements
        if measurement.engine == engine
        for run in measurement.runs
        if run.masks
    )
    return heapq.nlargest(count, worst)


def _times(run: Run) -> tuple[list[int], list[int]]:
    return run.masks, run.advances


def steps(run: Run) -> Iterable[int]:
    """Mask plus advance, token by token."""
    return (mask + advance for mask, advance in zip(run.masks, run.advances, strict=False))


def summarise(measurements: Sequence[Measurement]) -> dict[str, dict[str, Any]]:
    """For each engine: its tally, TTFM, TBM over all masks, and TBM, advance and step over the paired documents."""
    paired = paired_runs(measurements)
    summary = {}
    for engine, runs in paired.items():
        own = [measurement for measurement in measurements if measurement.engine == engine]
        summary[engine] = {
            "tally": asdict(tally(own)),
            "ttfm": asdict(Distribution.of(m.ttfm for m in own if not m.compile_error)),
            "tbm": asdict(Distribution.of(t for m in own for run in m.runs for t in run.masks)),
            "paired_documents": len(runs),
            "paired_tbm": asdict(Distribution.of(t for run in runs for t in run.masks)),
            "paired_advance": asdict(Distribution.of(t for run in runs for t in run.advances)),
            "paired_step": asdict(Distribution.of(t for run in runs for t in steps(run))),
        }
    return summary
