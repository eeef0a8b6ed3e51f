"""Results as JSON lines: a header that says what ran where, one line a schema and engine, a summary at the end."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from jsonschemabench.masks import Measurement, Run

__all__ = ["append", "header", "measurement_of", "schema_record"]

Record = dict[str, Any]

PACKAGES = (
    "guided", "llguidance", "xgrammar", "outlines-core", "lm-format-enforcer", "numba", "numpy", "torch",
    "transformers",
)  # fmt: skip


def processor_name() -> str:
    """The processor as the system names it, or its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def header(mode: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """What ran, when, with which versions, on what."""
    return {
        "kind": "run",
        "mode": mode,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"processor": processor_name(), "cores": os.cpu_count(), "system": platform.platform()},
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := installed(name))},
        "options": dict(options),
    }


def schema_record(measurement: Measurement) -> Record:
    """One schema under one engine, all times included (nanoseconds)."""
    flags = {name: True for name in ("timed_out", "crashed") if getattr(measurement, name)}
    return {
        "kind": "schema",
        "split": measurement.split,
        "name": measurement.name,
        "engine": measurement.engine,
        "ttfm_ns": measurement.ttfm,
        **({"compile_error": measurement.compile_error} if measurement.compile_error else {}),
        **flags,
        "features": list(measurement.features),
        "runs": [
            {
                "instance": run.instance,
                "spelling": run.spelling,
                "valid": run.valid,
                "accepted": run.accepted,
                **({"error": run.error} if run.error else {}),
                **({"text": run.text} if run.text else {}),
                "masks_ns": run.masks,
                "advances_ns": run.advances,
            }
            for run in measurement.runs
        ],
    }


def measurement_of(record: Mapping[str, Any]) -> Measurement:
    """A `schema_record` read back."""
    runs = [
        Run(
            run["instance"], run["spelling"], run["valid"], run["accepted"], run.get("error", ""),
            run.get("text", ""), *(np.array(run[times], dtype=np.int64) for times in ("masks_ns", "advances_ns")),
        )
        for run in record["runs"]
    ]  # fmt: skip
    return Measurement(
        record["split"], record["name"], record["engine"], record["ttfm_ns"], record.get("compile_error", ""),
        record.get("timed_out", False), record.get("crashed", False), runs=runs, features=record.get("features", ()),
    )  # fmt: skip


def append(path: Path | None, record: Mapping[str, Any]) -> None:
    """Add one line to a file of results; None keeps nothing."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as out:
        out.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
