"""The same rows from a local Ray cluster as without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from jsonschemabench.data import Definition
from jsonschemabench.guard import Limits, Recipe
from jsonschemabench.mask_job import MaskJob, definition_of
from jsonschemabench.report import summary_of
from jsonschemabench.runner import Results, run_tasks

pytest.importorskip("ray", reason="Ray is not installed: pip install ray")

GOOD, BAD = "tests.jsonschemabench.fakes_good", "tests.jsonschemabench.fakes"


@pytest.mark.filterwarnings("ignore")  # what Ray warns about is its own affair
def test_a_local_cluster_writes_the_same_rows(tmp_path: Path) -> None:
    tests = [{"valid": True, "data": 1}]
    definitions = [
        Definition.from_record("s", {"name": f"n{i}", "schema": {"x-do": what}, "tests": tests})
        for i, what in enumerate(["", "compile segfault", "compile refuse", ""])
    ]
    tallies = []
    for ray in (None, "local"):
        results = Results(tmp_path / f"{ray}.jsonl")
        results.open("masks", {"engines": [GOOD, BAD]})
        recipe = Recipe(MaskJob(), (GOOD, BAD), limits=Limits(5.0, 1 << 28))
        crew = run_tasks(definitions, recipe, results, definition_of, jobs=1, ray=ray)
        assert set(crew.facts) == {GOOD, BAD} and not crew.missing
        tallies.append({name: entry["tally"] for name, entry in summary_of(results)["engines"].items()})
    assert tallies[0] == tallies[1]
    assert tallies[0]["fakes"]["crashes"] == 1 and tallies[0]["fakes_good"]["passed"] == 4
