"""What an engine does to its process costs one row; a run that stopped half way goes on with the same totals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grammars.errors import GuidedError
from jsonschemabench.data import Definition
from jsonschemabench.guard import Limits, Recipe
from jsonschemabench.mask_job import MaskJob, definition_of
from jsonschemabench.report import summary_of
from jsonschemabench.runner import Results, run_tasks

pytest.importorskip("transformers", reason="the byte-level tokenizer is one of transformers'")

BAD, GOOD, BROKEN = (f"tests.jsonschemabench.{name}" for name in ("fakes", "fakes_good", "fakes_broken"))
BEHAVIOUR = [
    "",
    "compile segfault",
    "mask segfault",
    "compile memory",
    "mask hang",
    "compile exit",
    "compile refuse",
    "",
]


def definition(number: int, what: str, key: str = "x-do") -> Definition:
    tests = [{"valid": True, "data": value} for value in (1, "two")]
    return Definition.from_record("split", {"name": f"s{number}", "schema": {key: what}, "tests": tests})


DEFINITIONS = [definition(number, what) for number, what in enumerate(BEHAVIOUR)]


class Stop(Exception):
    """Stands for a kill."""


def run(results: Results, *engines: str, definitions: list[Definition] = DEFINITIONS, jobs: int = 1, **options: Any):
    recipe = Recipe(MaskJob(), engines, limits=Limits(2.0, 1 << 28))
    results.open("masks", {"engines": engines})
    return run_tasks(definitions, recipe, results, definition_of, jobs=jobs, **options)


def totals(results: Results) -> dict[str, Any]:
    summary = summary_of(results)
    return {engine: entry["tally"] for engine, entry in summary["engines"].items()}


def rows(results: Results, engine: str) -> dict[str, Any]:
    return {record["name"]: record for record in results if record.get("engine") == engine}


def test_a_bad_engine_costs_its_rows_and_no_one_elses(tmp_path: Path) -> None:
    """Segmentation fault, all memory, a call that never returns, an exit: each is one row; the good engine has all."""
    results = Results(tmp_path / "r.jsonl")
    crew = run(results, GOOD, BAD)
    bad = rows(results, "fakes")
    assert crew.facts[BAD]["version"] == "1.2" and not crew.missing
    assert bad["s1"]["compile_error"].startswith("killed by SIGSEGV") and bad["s1"]["crashed"]
    assert bad["s2"]["runs"][0]["error"].startswith("killed by SIGSEGV")
    assert bad["s3"]["compile_error"].startswith("MemoryError")
    assert bad["s4"]["runs"][0]["error"].startswith("the time limit passed") and bad["s4"]["timed_out"]
    assert "code 3; its last words: thread main panicked" in bad["s5"]["compile_error"]
    assert bad["s6"]["compile_error"] == "not this one"
    assert totals(results)["fakes_good"]["passed"] == len(DEFINITIONS) == len(bad)
    tally = totals(results)["fakes"]
    assert (tally["schemas"], tally["passed"], tally["crashes"], tally["time_outs"]) == (8, 2, 3, 1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_run_goes_on_with_the_same_totals(tmp_path: Path, jobs: int) -> None:
    definitions = [definition(number, "compile refuse" if number % 5 == 0 else "", "x-good") for number in range(12)]
    whole, halves = Results(tmp_path / "whole.jsonl"), Results(tmp_path / "halves.jsonl")
    run(whole, GOOD, definitions=definitions)
    seen = 0

    def kill_in_the_middle(count: int) -> None:
        nonlocal seen
        seen += count
        if seen >= 5:
            raise Stop

    with pytest.raises(Stop):
        run(halves, GOOD, definitions=definitions, jobs=jobs, advance=kill_in_the_middle)
    assert halves.path is not None
    with halves.path.open("a") as out:
        out.write('{"kind": "schema", "torn')  # a kill in the middle of a line
    assert totals(halves)["fakes_good"]["schemas"] == 5
    run(halves, GOOD, definitions=definitions, jobs=jobs)
    assert totals(halves) == totals(whole)
    lines = halves.path.read_text().splitlines()
    assert len(lines) == 1 + 12 and all(json.loads(line) for line in lines)


def test_another_runs_file_is_refused(tmp_path: Path) -> None:
    results = Results(tmp_path / "r.jsonl")
    results.open("masks", {"seed": 1, "engines": ["a"]})
    assert results.open("masks", {"seed": 1, "engines": ["a", "b"]}) is True
    with pytest.raises(GuidedError, match="differs in: seed"):
        results.open("masks", {"seed": 2, "engines": ["a"]})
    with pytest.raises(GuidedError, match="another run"):
        results.open("suite", {"seed": 1})


def test_an_engine_that_does_not_start_is_left_out() -> None:
    results = Results(None)
    crew = run(results, BROKEN, GOOD, definitions=DEFINITIONS[:1])
    assert "code 7" in crew.missing[BROKEN]
    assert set(rows(results, "fakes_good")) == {"s0"}
    with pytest.raises(GuidedError, match="no engine started"):
        run(Results(None), BROKEN, definitions=DEFINITIONS[:1])
