"""Verdicts on a suite of one file, by engines that accept everything, refuse everything, or fall over."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jsonschemabench.data import DataMissing
from jsonschemabench.engines import AS_WRITTEN, EngineFailure, Reading, Row, Unsatisfiable, Walk, create_engine
from jsonschemabench.guard import Beacon, Limits
from jsonschemabench.suite import SuiteJob, read_groups, read_remotes, tally_cases, unpacked, written
from jsonschemabench.tokens import Tools, load_tools

GROUPS = [
    {
        "description": "a reference elsewhere",
        "schema": {"$ref": "http://localhost:1234/int.json"},
        "tests": [
            {"description": "an integer", "data": 12, "valid": True},
            {"description": "a string", "data": "a", "valid": False},
        ],
    },
    {
        "description": "nothing",
        "schema": {"minimum": 3, "maximum": 2, "type": "number"},
        "tests": [{"description": "a number", "data": 1, "valid": False}],
    },
]


class Scripted:
    """Accepts or refuses every text, or raises what it is given at compile."""

    version = "0"

    def __init__(self, name: str, answer: bool | Exception) -> None:
        self.name, self.answer = name, answer
        self.row: Row = np.full(9, -1 if answer is True else 0, dtype=np.int32)
        self.readings: list[Reading] = []

    def compile(self, schema: Any, reading: Reading = AS_WRITTEN) -> Scripted:
        self.readings.append(reading)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self

    def start(self) -> Walk:
        return Walk(lambda: None, lambda token: True)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    for path, content in {
        "tests/draft7/ref.json": GROUPS,
        "tests/draft7/optional/format/date.json": GROUPS[1:],
        "remotes/int.json": {"type": "integer"},
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(json.dumps(content))
    return tmp_path


@pytest.fixture(scope="module")
def tools() -> Tools:
    return load_tools("bytes")


def outcomes(suite: Path, engine: Any, tools: Tools) -> dict[tuple[str, str], Mapping[str, int]]:
    beacon = Beacon([0.0, 0.0, 0.0])
    job = SuiteJob(read_remotes(suite))
    records = []
    for group in read_groups(suite, ["draft7"], optional=True):
        records += job.run(group, {0: engine}, tools, beacon, Limits())[0]
    return {place: dict(counts) for place, counts in tally_cases(records)[engine.name].items()}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (True, {"right": 1, "wrong accept": 2}),
        (False, {"right": 2, "wrong refuse": 1}),
        (Unsatisfiable("none"), {"right": 2, "wrong refuse": 1}),
        (EngineFailure("no"), {"refused": 3}),
        (ZeroDivisionError("oh"), {"crash": 3}),
    ],
)
def test_outcomes(suite: Path, tools: Tools, answer: bool | Exception, expected: dict[str, int]) -> None:
    assert outcomes(suite, Scripted("scripted", answer), tools)["draft7", "ref"] == expected


def test_the_engine_is_told_draft_formats_and_remotes(suite: Path, tools: Tools) -> None:
    engine = Scripted("scripted", True)
    outcomes(suite, engine, tools)
    assert [reading.formats for reading in engine.readings] == ["assert", "annotate", "annotate"]
    assert {reading.draft for reading in engine.readings} == {"7"}
    assert engine.readings[0].remotes == {"http://localhost:1234/int.json": {"type": "integer"}}


def test_guided_reads_the_small_suite_rightly(suite: Path, tools: Tools) -> None:
    engine = create_engine("guided", tools.tokenizer, {"whitespace": "any", "spelling": "any"})
    assert outcomes(suite, engine, tools) == {
        ("draft7", "ref"): {"right": 3},
        ("draft7", "optional/format/date"): {"right": 1},
    }


def test_a_schema_is_told_its_draft_only_where_it_does_not_say() -> None:
    reading = Reading("4")
    assert reading.stated({"a": 1}) == {"$schema": "http://json-schema.org/draft-04/schema#", "a": 1}
    assert reading.stated({"$schema": "x"}) == {"$schema": "x"}
    assert reading.stated(True) is True
    assert AS_WRITTEN.stated({}) == {}


def test_the_suite_is_read_from_an_archive_as_from_a_folder(suite: Path, tmp_path: Path) -> None:
    archive = tmp_path / "suite.tar.xz"
    with tarfile.open(archive, "w:xz") as out:
        for path in sorted((suite / "tests").rglob("*.json")):
            content = path.read_bytes()
            entry = tarfile.TarInfo(f"some-folder/{path.relative_to(suite)}")
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    with unpacked(archive) as root, unpacked(suite) as same:
        assert list(read_groups(root, ["draft7"])) == list(read_groups(same, ["draft7"]))


def test_what_is_not_there_is_named(suite: Path) -> None:
    with pytest.raises(DataMissing, match="There are: draft7"):
        list(read_groups(suite, ["draft9"]))
    with pytest.raises(DataMissing, match="--suite"), unpacked(suite / "nothing.tar"):
        pass


def test_half_a_surrogate_pair_is_escaped() -> None:
    assert written({"a": "é"}) == '{"a":"é"}'
    assert written("\ud800") == '"\\ud800"'
