"""Definitions are read from compressed and plain files, and sampled the same way each time."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from jsonschemabench.commands.shared import engine_options
from jsonschemabench.data import DataMissing, keywords_of, sample
from jsonschemabench.engines import EngineMissing, create_engine
from jsonschemabench.sources import Files, open_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [{"name": f"n{i}", "schema": {}, "tests": [{"valid": i % 2 == 0, "data": i}]} for i in range(20)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "maskbench").mkdir()
    (tmp_path / "maskbench" / "A.jsonl.xz").write_bytes(lzma.compress(text.encode()))
    (tmp_path / "maskbench" / "B.jsonl").write_text(text)
    return tmp_path


def test_both_forms_read_the_same(folder: Path) -> None:
    assert open_source(str(folder)).names() == ["A", "B"]
    a, b = list(open_source(str(folder)).load("A")), list(open_source(str(folder)).load("B"))
    assert [definition.name for definition in a] == [definition.name for definition in b]
    assert a[3].split == "A" and a[3].instances[0].data == 3 and not a[3].instances[0].valid


def test_a_sample_is_fixed_by_its_seed(folder: Path) -> None:
    def names(seed: int) -> list[str]:
        return [definition.name for definition in sample(open_source(str(folder)), ["A"], limit=5, seed=seed)]

    assert names(1) == names(1) != names(2)
    assert len(names(1)) == 5
    assert len(sample(open_source(str(folder)), ["A", "B"])) == 40


def test_missing_data_says_what_there_is(folder: Path) -> None:
    with pytest.raises(DataMissing, match="There are: A, B"):
        list(open_source(str(folder)).load("C"))
    with pytest.raises(DataMissing, match="--data"):
        open_source(str(folder / "nowhere"))


def test_engine_options_are_read_or_refused() -> None:
    assert engine_options(["guided.whitespace=any"], ["guided"]) == {"guided": {"whitespace": "any"}}
    for wrong in ("other.x=1", "guided=1", "guided.x="):
        with pytest.raises(Exception, match=r"ENGINE\.OPTION=VALUE"):
            engine_options([wrong], ["guided"])


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(EngineMissing, match="There are: guided, llguidance, xgrammar, outlines_core, lmfe"):
        create_engine("other", None, {})


def test_schema_files_are_definitions(tmp_path: Path) -> None:
    """The two layouts on GitHub: bare schemas in a folder for each split, and records with the split in their name."""
    for name, content in {
        "data/Kubernetes/kb_1.json": {"type": "object"},
        "data/Snowplow/sp_1.json": True,
        "data/Github_easy---o1.json": {"schema": {"minimum": 1}, "tests": [{"valid": True, "data": 1}]},
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    source = open_source(str(tmp_path))
    assert isinstance(source, Files) and source.names() == ["Github_easy", "Kubernetes", "Snowplow"]
    [definition] = source.load("Github_easy")
    assert definition.schema == {"minimum": 1} and definition.instances[0].valid
    assert [d.schema for split in ("Kubernetes", "Snowplow") for d in source.load(split)] == [{"type": "object"}, True]


def test_keywords_are_found_where_they_are_keywords() -> None:
    schema = {
        "properties": {"pattern": {"enum": [{"minimum": 1}]}},
        "allOf": [{"items": {"maxLength": 3, "format": "date"}}],
        "title": "not listed",
    }
    assert keywords_of(schema) == [
        "allOf", "enum", "format", "format: date", "items", "maxLength", "properties",
    ]  # fmt: skip
    assert keywords_of(False) == []


def test_the_data_set_on_the_hub_is_read_through_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stand-in for the package: configurations are splits, each with its own train and test."""
    import sys
    from types import SimpleNamespace

    def load_dataset(name: str, split: str) -> dict[str, list[dict[str, str]]]:
        assert (name, split) == ("some/name", "Snowplow")
        return {part: [{"json_schema": '{"minimum": 1}', "unique_id": part}] for part in ("train", "test")}

    fake = SimpleNamespace(load_dataset=load_dataset, get_dataset_config_names=lambda name: ["Snowplow"])
    monkeypatch.setitem(sys.modules, "datasets", fake)
    source = open_source("hf:some/name")
    assert source.names() == ["Snowplow"]
    assert [(d.name, d.schema, d.instances) for d in source.load("Snowplow")] == [
        ("train", {"minimum": 1}, ()),
        ("test", {"minimum": 1}, ()),
    ]
    with pytest.raises(DataMissing, match="There are: Snowplow"):
        list(source.load("other"))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataMissing, match="pip install datasets"):
        open_source("hf:some/name")
