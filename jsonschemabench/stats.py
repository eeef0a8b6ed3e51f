"""Percentiles, tallies and ratios of measurements: numbers only, no drawing."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from jsonschemabench.bootstrap import ratios
from jsonschemabench.masks import Measurement, Run

__all__ = ["PERCENTILES", "Distribution", "Pair", "Tally", "pair_up", "slowest", "summarise", "tally"]

PERCENTILES = {"p25": 25.0, "p50": 50.0, "p75": 75.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}
CURVE = [0, 5, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 93, 95, 97, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.99, 100]
"""Percentiles of the curves in reports."""

Nanoseconds = npt.NDArray[np.float64]
SlowMask = tuple[float, str, int, str, int]
"""Microseconds, schema, instance, spelling, token."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Count, mean, percentiles and maximum of times, in microseconds; all zero when there are none."""

    count: int
    values: dict[str, float]
    curve: list[float]

    @classmethod
    def of(cls, nanoseconds: Iterable[int] | Nanoseconds) -> Distribution:
        if not isinstance(nanoseconds, np.ndarray):
            nanoseconds = np.fromiter(nanoseconds, dtype=np.float64)
        times = nanoseconds / 1e3
        if not times.size:
            return cls(0, dict.fromkeys(["avg", *PERCENTILES, "max"], 0.0), [])
        at = np.percentile(times, [*PERCENTILES.values(), *CURVE])
        middle = {name: float(value) for name, value in zip(PERCENTILES, at, strict=False)}
        values = {"avg": float(times.mean()), **middle, "max": float(times.max())}
        return cls(int(times.size), values, [round(float(value), 3) for value in at[len(PERCENTILES) :]])


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
    time_outs: int = 0  # schemas whose compile or documents took too long, within the errors above
    crashes: int = 0  # schemas that killed the engine's process, within the errors above


def tally(measurements: Iterable[Measurement]) -> Tally:
    """Count what one engine did."""
    total = Tally()
    for measurement in measurements:
        total.schemas += 1
        total.compiled += not measurement.compile_error
        total.compile_errors += bool(measurement.compile_error)
        total.passed += measurement.passed
        total.time_outs += measurement.timed_out
        total.crashes += measurement.crashed
        wrong = {run.instance for run in measurement.runs if not run.right}
        accepted_invalid = {run.instance for run in measurement.runs if run.accepted and not run.valid}
        total.instances += len({run.instance for run in measurement.runs})
        total.invalidation_errors += len(accepted_invalid)
        total.validation_errors += len(wrong - accepted_invalid)
    return total


Sides = tuple[list[Nanoseconds], list[Nanoseconds]]
"""For two engines, the times of each schema."""


@dataclass(slots=True)
class Pair:
    """Two engines over the documents that both judged rightly, cut to the tokens both saw.

    (Engines refuse an invalid document at different tokens; what only one of them computed is not compared.)
    `ttfm` is over the schemas that both compile, `step` is mask plus advance.
    """

    documents: int = 0
    ttfm: Sides = field(default_factory=lambda: ([], []))
    mask: Sides = field(default_factory=lambda: ([], []))
    advance: Sides = field(default_factory=lambda: ([], []))
    step: Sides = field(default_factory=lambda: ([], []))

    def summary(self) -> dict[str, Any]:
        """Counts, both distributions of each kind, and the ratios of the first to the other with their intervals."""
        found: dict[str, Any] = {"documents": self.documents, "schemas": len(self.mask[0])}
        for kind in PAIRED:
            first, other = getattr(self, kind)
            both = [asdict(Distribution.of(np.concatenate(side) if side else np.zeros(0))) for side in (first, other)]
            found[kind] = {"first": both[0], "other": both[1], "ratios": ratios(first, other)}
        return found


PAIRED = ("ttfm", "mask", "advance", "step")


def pair_up(first: Iterable[Measurement], other: Iterable[Measurement]) -> Pair:
    """The documents of two engines that can be compared."""
    beside = {(m.split, m.name): m for m in other}
    pair = Pair()
    for measurement in first:
        mate = beside.get((measurement.split, measurement.name))
        if mate is None or measurement.compile_error or mate.compile_error:
            continue
        for side, one in zip(pair.ttfm, (measurement, mate), strict=True):
            side.append(np.array([one.ttfm], dtype=np.float64))
        runs = {(run.instance, run.spelling): run for run in mate.runs if run.right}
        both = [(run, runs[run.instance, run.spelling]) for run in measurement.runs
                if run.right and (run.instance, run.spelling) in runs]  # fmt: skip
        if not both:
            continue
        pair.documents += len(both)
        for number in (0, 1):
            times = [_cut(pair_of_runs, number) for pair_of_runs in both]
            for sides, parts in zip((pair.mask, pair.advance, pair.step), zip(*times, strict=True), strict=True):
                sides[number].append(np.concatenate(parts))
    return pair


def _cut(runs: tuple[Run, Run], number: int) -> tuple[Nanoseconds, Nanoseconds, Nanoseconds]:
    """Masks, advances and their sums of one of two runs, over the tokens that both have."""
    masks = np.asarray(runs[number].masks[: min(len(run.masks) for run in runs)], dtype=np.float64)
    advances = np.asarray(runs[number].advances[: min(len(run.advances) for run in runs)], dtype=np.float64)
    return masks, advances, masks[: len(advances)] + advances[: len(masks)]


def all_times(measurements: Iterable[Measurement], kind: str) -> Nanoseconds:
    """Every mask or advance of the measurements."""
    parts = [np.asarray(getattr(run, kind), dtype=np.float64) for m in measurements for run in m.runs]
    return np.concatenate(parts) if parts else np.zeros(0)


def by_feature(measurements: Iterable[Measurement]) -> dict[str, list[int]]:
    """For each keyword: schemas that use it, of these compiled, of these passed."""
    counts: dict[str, list[int]] = {}
    for measurement in measurements:
        for feature in measurement.features:
            row = counts.setdefault(feature, [0, 0, 0])
            row[0] += 1
            row[1] += not measurement.compile_error
            row[2] += measurement.passed
    return dict(sorted(counts.items()))


def summarise(measurements: Sequence[Measurement], first: str = "") -> dict[str, Any]:
    """All numbers of a run: `engines` (tally, splits, features, TTFM, TBM, advance of each) and `pairs`, the engine
    `first` (default: that of the first measurement) beside each other one."""
    groups: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        groups.setdefault(measurement.engine, []).append(measurement)
    first = first or next(iter(groups), "")
    engines = {}
    for engine, own in sorted(groups.items(), key=lambda item: item[0] != first):
        splits: dict[str, list[Measurement]] = {}
        for measurement in own:
            splits.setdefault(measurement.split, []).append(measurement)
        engines[engine] = {
            "tally": asdict(tally(own)),
            "splits": {split: asdict(tally(part)) for split, part in sorted(splits.items())},
            "features": by_feature(own),
            "ttfm": asdict(Distribution.of(m.ttfm for m in own if not m.compile_error)),
            "tbm": asdict(Distribution.of(all_times(own, "masks"))),
            "advance": asdict(Distribution.of(all_times(own, "advances"))),
        }
    pairs = {other: pair_up(groups[first], own).summary() for other, own in groups.items() if other != first}
    return {"engines": engines, "pairs": pairs}


def slowest(measurements: Iterable[Measurement], engine: str, count: int = 10) -> list[SlowMask]:
    """The slowest masks of one engine, the worst of each document."""
    worst = (
        (
            float(np.max(run.masks)) / 1e3,
            measurement.name,
            run.instance,
            run.spelling,
            int(np.argmax(run.masks)),
        )
        for measurement in measurements
        if measurement.engine == engine
        for run in measurement.runs
        if len(run.masks)
    )
    return heapq.nlargest(count, worst)
