"""The commands from end to end, with engines that are quick and no data: what a user sees and what is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jsonschemabench.cli import app
from jsonschemabench.report import load_summaries

pytest.importorskip("transformers", reason="the byte-level tokenizer is one of transformers'")

ENGINES = "tests.jsonschemabench.fakes_good,tests.jsonschemabench.fakes"


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GUIDED_DATA", str(tmp_path / "nowhere"))


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_run_needs_neither_data_nor_network(tmp_path: Path) -> None:
    result = call("run", "--engines", ENGINES, "--limit", 6, "--folder", tmp_path / "out")
    assert result.exit_code == 0 and "fakes_good" in result.output
    [summary] = load_summaries(tmp_path / "out" / "report.json")
    assert summary["engines"]["fakes"]["tally"]["schemas"] == 6
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")


def test_a_process_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    """SIGKILL to the process in the middle; the same command ends with all schemas, each once."""
    out = tmp_path / "r.jsonl"
    arguments = ["masks", "--engines", "tests.jsonschemabench.fakes_good", "--out", str(out)]
    with subprocess.Popen(
        [sys.executable, "-m", "jsonschemabench", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 300
        while not (out.exists() and out.read_text().count("\n") > 5) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    partial = out.read_text().count("\n")
    assert partial > 5
    assert call(*arguments).exit_code == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    names = [line["name"] for line in lines if line["kind"] == "schema"]
    assert len(names) == len(set(names)) == 62 and len(lines) == 63


def test_report_and_compare(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    record = {"kind": "case", "engine": "e", "draft": "d", "file": "f.json", "group": 0, "case": 0, "valid": True}
    failed = {"outcome": "crash", "detail": "", "description": "the case", "schema": 1, "data": 2}
    header = {"kind": "run", "mode": "suite", "date": "", "machine": {"processor": "", "cores": 1, "system": ""},
              "python": "", "versions": {}, "options": {}}  # fmt: skip
    good.write_text(json.dumps(header) + "\n" + json.dumps({**record, "outcome": "right"}) + "\n")
    bad.write_text(json.dumps(header) + "\n" + json.dumps({**record, **failed}) + "\n")
    assert call("report", good, bad, "--report", tmp_path / "both").exit_code == 0
    assert len(load_summaries(tmp_path / "both.json")) == 2
    assert call("compare", good, good).exit_code == 0
    worse = call("compare", good, bad)
    assert worse.exit_code == 1 and "d/f.json: the case: right -> crash" in worse.output.replace("\n", " ")


def test_what_cannot_be_measured_is_said() -> None:
    with pytest.raises(Exception, match="There are: compact, default, ascii"):
        call("masks", "--spellings", "wrong", "--engines", ENGINES)
    with pytest.raises(Exception, match="There are: guided"):
        call("masks", "--engines", "nobody")


def test_engines_without_batches_are_said() -> None:
    pytest.importorskip("lmformatenforcer", reason="lm-format-enforcer is not installed: pip install 'guided[bench]'")
    with pytest.raises(Exception, match="fills no batches"):
        call("batch", "--engines", "guided,lmfe")
