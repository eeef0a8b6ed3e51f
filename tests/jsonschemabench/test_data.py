"""Definitions are read from compressed and plain files, and sampled the same way each time."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from jsonschemabench.commands.shared import engine_options
from jsonschemabench.data import DataMissing, load, sample, splits_in
from jsonschemabench.engines import EngineMissing, create_engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [{"name": f"n{i}", "schema": {}, "tests": [{"valid": i % 2 == 0, "data": i}]} for i in range(20)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "maskbench").mkdir()
    (tmp_path / "maskbench" / "A.jsonl.xz").write_bytes(lzma.compress(text.encode()))
    (tmp_path / "maskbench" / "B.jsonl").write_text(text)
    return tmp_path


def test_both_forms_read_the_same(folder: Path) -> None:
    assert splits_in(folder) == ["A", "B"]
    a, b = list(load(folder, "A")), list(load(folder, "B"))
    assert [definition.name for definition in a] == [definition.name for definition in b]
    assert a[3].split == "A" and a[3].instances[0].data == 3 and not a[3].instances[0].valid


def test_a_sample_is_fixed_by_its_seed(folder: Path) -> None:
    names = [definition.name for definition in sample(folder, ["A"], limit=5, seed=1)]
    assert names == [definition.name for definition in sample(folder, ["A"], limit=5, seed=1)]
    assert len(names) == 5 and names != [definition.name for definition in sample(folder, ["A"], limit=5, seed=2)]
    assert len(sample(folder, ["A", "B"])) == 40


def test_missing_data_says_what_there_is(folder: Path) -> None:
    with pytest.raises(DataMissing, match="There are: A, B"):
        list(load(folder, "C"))
    with pytest.raises(DataMissing, match="--data"):
        splits_in(folder / "nowhere")


def test_engine_options_are_read_or_refused() -> None:
    assert engine_options(["guided.whitespace=any"], ["guided"]) == {"guided": {"whitespace": "any"}}
    for wrong in ("other.x=1", "guided=1", "guided.x="):
        with pytest.raises(Exception, match=r"ENGINE\.OPTION=VALUE"):
            engine_options([wrong], ["guided"])


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(EngineMissing, match="There are: guided, llguidance, xgrammar, outlines_core, lmfe"):
        create_engine("other", None, {})
