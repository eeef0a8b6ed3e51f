"""Reports of records made by hand: the numbers are in all three forms, the page is well-formed, changes are found."""

from __future__ import annotations

import copy
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from grammars.errors import GuidedError
from jsonschemabench import records
from jsonschemabench.masks import Measurement, Run
from jsonschemabench.report import load_summaries, summary_of, write_all
from jsonschemabench.report.compare import compare
from jsonschemabench.report.plots import bars, curves, duration, heat_map, tail
from jsonschemabench.runner import Results
from jsonschemabench.tables import mask_tables, suite_cases, suite_tables

VOID = {"meta", "input", "line", "circle", "rect", "polyline"}


class WellFormed(HTMLParser):
    """Every tag that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def mask_records(slow: int = 1) -> list[dict[str, Any]]:
    lines = [records.header("masks", {"engines": ["guided", "other"]})]
    for number in range(4):
        for engine, cost in (("guided", 2_000 * slow), ("other", 10_000)):
            runs = [Run(0, "compact", True, True, masks=[cost] * 5, advances=[100] * 4)]
            measurement = Measurement("A<b>", f"s{number}", engine, 50_000, runs=runs, features=["items", "type"])
            if engine == "other" and number == 3:
                measurement = Measurement("A<b>", "s3", engine, compile_error="no <script>", features=["items"])
            if engine == "other" and number == 2:
                runs[0] = Run(0, "compact", False, True, text='{"a": "<b>"}', masks=[cost], advances=[])
            lines.append(records.schema_record(measurement))
    return lines


def suite_records(outcome: str = "wrong accept") -> list[dict[str, Any]]:
    case = {"kind": "case", "engine": "guided", "draft": "draft7", "file": "not.json", "group": 0, "valid": False}
    failed = {"detail": "", "description": "not: a string", "schema": {"not": {}}, "data": "x"}
    first = {**case, "case": 0, "outcome": outcome, **({} if outcome == "right" else failed)}
    return [records.header("suite", {}), first, {**case, "case": 1, "outcome": "right"}]


def test_one_report_in_three_forms(tmp_path: Path) -> None:
    summaries = [summary_of(mask_records()), summary_of(suite_records())]
    written = write_all(tmp_path / "r.html", summaries)
    assert [path.name for path in written] == ["r.json", "r.md", "r.html"]
    assert load_summaries(tmp_path / "r.json") == json.loads(json.dumps(summaries))
    markdown = (tmp_path / "r.md").read_text()
    assert "| schemas passed | 4 | 2 |" in markdown and "| mask | avg | 2.00 | 10.0 | 0.20 [0.20, 0.20] |" in markdown
    assert "| draft7 | not | **1/2 w1** |" in markdown
    page = (tmp_path / "r.html").read_text()
    parser = WellFormed()
    parser.feed(page)
    assert parser.open == [] and {"svg", "polyline", "rect", "details", "table"} <= parser.seen
    assert "no &lt;script&gt;" in page and "no <script>" not in page
    assert "http" not in page.replace("http://www.w3.org", "")  # nothing is fetched


def test_tables_show_the_same() -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    for table in (*mask_tables(summary_of(mask_records())), *suite_tables(summary_of(suite_records()))):
        console.print(table)
    console.print(*suite_cases(summary_of(suite_records()), 10))
    text = console.export_text()
    assert "50.0% (2/4)" in text and "0.20 [0.20, 0.20]" in text and "1/2 w1" in text and "not: a string" in text


def test_the_last_record_of_a_schema_counts() -> None:
    lines = mask_records()
    again = copy.deepcopy(lines[2])
    again["compile_error"] = "now it fails"
    assert summary_of([*lines, again])["engines"]["other"]["tally"]["compile_errors"] == 2


def test_changes_between_runs_are_found() -> None:
    before, after = summary_of(mask_records()), summary_of(mask_records(slow=3))
    assert list(compare(before, before)) == []
    changes = {(change.engine, change.what): change for change in compare(before, after)}
    slower = changes["guided", "tbm p50, µs"]
    assert (slower.before, slower.after, slower.worse) == ("2", "6", True)
    assert changes["guided", "guided / other, mask avg"].worse
    worse = list(compare(summary_of(suite_records("right")), summary_of(suite_records())))
    assert [change.worse for change in worse] == [True, True, True]  # right fell, wrong rose, the case itself
    assert worse[-1].what == "draft7/not.json: not: a string" and worse[-1].after == "wrong accept"


def test_a_file_without_a_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GuidedError, match="header"):
        summary_of([])
    with pytest.raises(GuidedError, match="no file"):
        load_summaries(tmp_path / "nothing.jsonl")
    results = Results(tmp_path / "walks.jsonl")
    results.open("walks", {})
    with pytest.raises(GuidedError, match="records of walks have no summary"):
        load_summaries(tmp_path / "walks.jsonl")


def test_plots_place_what_they_are_given() -> None:
    assert [round(tail(p), 3) for p in (0, 90, 99, 99.9, 100)] == [0, 1, 2, 3, 4.5]
    assert [duration(value) for value in (0.35, 12, 3400, 2e6)] == ["350 ns", "12 µs", "3.4 ms", "2 s"]
    picture = curves("t", [0, 50, 100], {"a": [1, 10, 100], "none": []})
    assert picture.count("<polyline") == 1 and "a p50: 10 µs" in picture
    assert curves("t", [0, 50, 100], {"a": []}) == ""
    assert "a, split: 1 of 2" in bars("t", {"split": {"a": (1, 2)}}, ["a", "b"])
    table = heat_map({"items": {"a": (999, 1000), "b": (0, 0)}}, ["a", "b"], "pass")
    assert "99.9%" in table and "–" in table
