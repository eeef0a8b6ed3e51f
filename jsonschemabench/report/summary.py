"""Records -> summary: plain numbers, ready for JSON, tables and plots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from grammars.errors import GuidedError
from jsonschemabench.masks import Measurement
from jsonschemabench.records import measurement_of
from jsonschemabench.stats import slowest, summarise
from jsonschemabench.suite import OUTCOMES

__all__ = ["summary_of"]

Summary = dict[str, Any]
Record = Mapping[str, Any]


def summary_of(records: Iterable[Record]) -> Summary:
    """The summary of one run's records, whatever its mode. The last record of a schema and engine counts."""
    lines = iter(records)
    header = next(lines, None)
    if header is None or header.get("kind") != "run":
        raise GuidedError("no records of a run: the first line must be its header")
    makers = {"masks": of_masks, "suite": of_suite, "generate": of_generation, "batch": of_batch}
    mode = header["mode"]
    if mode not in makers:
        raise GuidedError(f"records of {mode} have no summary.\n  There are summaries of: {', '.join(makers)}")
    return {"mode": mode, "header": dict(header), **makers[mode](lines, header)}


def of_masks(records: Iterable[Record], header: Record) -> Summary:
    found: dict[tuple[str, str, str], Measurement] = {}
    for record in records:
        if record["kind"] == "schema":
            found[record["split"], record["name"], record["engine"]] = measurement_of(record)
    measurements = list(found.values())
    asked = [name.rpartition(".")[2] for name in header["options"].get("engines", ())]
    there = {measurement.engine for measurement in measurements}
    first = next((name for name in asked if name in there), "")
    summary = summarise(measurements, first)
    return {
        "first": first,
        **summary,
        "slowest": {engine: slowest(measurements, engine) for engine in summary["engines"]},
        "failures": [failure(m) for m in measurements if not m.passed],
    }


def failure(measurement: Measurement) -> Summary:
    """What went wrong with one schema under one engine."""
    problems = []
    if measurement.compile_error:
        problems.append({"what": "compile error", "detail": measurement.compile_error})
    for run in measurement.runs:
        if not run.right:
            what = run.error or ("accepted, invalid" if run.accepted else "refused, valid")
            where = f"instance {run.instance} {run.spelling}, token {len(run.advances)}"
            problems.append({"what": what, "detail": where, "text": run.text})
    return {
        "engine": measurement.engine, "split": measurement.split, "name": measurement.name,
        "kind": kind_of(measurement), "problems": problems,
    }  # fmt: skip


def kind_of(measurement: Measurement) -> str:
    """The worst thing that happened."""
    if measurement.crashed:
        return "crash"
    if measurement.timed_out:
        return "time-out"
    if measurement.compile_error:
        return "compile error"
    if any(run.accepted and not run.valid for run in measurement.runs):
        return "accepts an invalid instance"
    return "refuses a valid instance"


def of_suite(records: Iterable[Record], header: Record) -> Summary:
    engines: dict[str, dict[str, dict[str, Counter[str]]]] = {}
    failures = []
    for record in records:
        if record["kind"] != "case":
            continue
        keyword = record["file"].removesuffix(".json")
        draft = engines.setdefault(record["engine"], {}).setdefault(record["draft"], {})
        draft.setdefault(keyword, Counter())[record["outcome"]] += 1
        if record["outcome"] != "right":
            failures.append({name: value for name, value in record.items() if name != "kind"})
    return {
        "engines": {
            engine: {
                "total": _plain(sum((c for d in drafts.values() for c in d.values()), Counter())),
                "drafts": {name: _plain(sum(d.values(), Counter())) for name, d in sorted(drafts.items())},
                "keywords": {name: {k: _plain(c) for k, c in sorted(d.items())} for name, d in sorted(drafts.items())},
            }
            for engine, drafts in engines.items()
        },
        "failures": failures,
    }


def _plain(counts: Counter[str]) -> dict[str, int]:
    return {outcome: counts[outcome] for outcome in OUTCOMES}


def of_generation(records: Iterable[Record], header: Record) -> Summary:
    from jsonschemabench.generation import metrics_of

    return metrics_of([dict(record) for record in records])


def of_batch(records: Iterable[Record], header: Record) -> Summary:
    rows = [dict(record) for record in records if record["kind"] == "batch"]
    return {"rows": rows}
