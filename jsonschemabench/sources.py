"""Readers of the forms in which the benchmark is around.

    builtin                 schemas written for this project, with instances: needs no data and no network
    hf:NAME                 a Hugging Face data set as `epfl-dlab/JSONSchemaBench` is (package `datasets`)
    folder/*.jsonl.xz       one split a file, one JSON object a line: `name`, `schema`, `tests` (also in maskbench/)
    folder/data/*/*.json    the layout on GitHub: one schema a file, one split a folder
    folder/data/A---b.json  the same with instances (its maskbench/data): the split is before the dashes
    folder of anything      every .json file below it is a schema, or a record with `schema` and `tests`

A test has `valid`, `data` and `description`; the forms without tests measure compiling only.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from jsonschemabench.data import DataMissing, Definition, Source

__all__ = ["BUILTIN", "Files", "HuggingFace", "Lines", "open_source"]

BUILTIN = "builtin"
HUB = "hf:"
HOME = "github.com/guidance-ai/jsonschemabench"


def open_source(name: str) -> Source:
    """The source of that name: `builtin`, `hf:NAME`, or a folder in one of the forms above."""
    if name == BUILTIN:
        return Lines(Path(__file__).parent / "definitions")
    if name.startswith(HUB):
        return HuggingFace(name.removeprefix(HUB))
    path = Path(name)
    if not path.is_dir():
        raise DataMissing(f"no data folder {path}.\n  Give --data a folder, {HUB}NAME or {BUILTIN}; home: {HOME}")
    for folder in (path / "maskbench", path):
        if folder.is_dir() and any(folder.glob("*.jsonl*")):
            return Lines(folder)
    for folder in (path / "maskbench" / "data", path / "data", path):
        if folder.is_dir() and any(folder.rglob("*.json")):
            return Files(folder)
    raise DataMissing(f"no schemas in {path}.\n  Give --data a folder with <split>.jsonl.xz or .json files ({HOME}).")


def no_split(split: str, where: object, names: Iterable[str]) -> DataMissing:
    return DataMissing(f"no split {split!r} in {where}.\n  There are: {', '.join(names)}")


class Lines:
    """One file a split, one definition a line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        return sorted({path.name.partition(".")[0] for path in self.folder.glob("*.jsonl*")})

    def load(self, split: str) -> Iterator[Definition]:
        for path in (self.folder / f"{split}.jsonl.xz", self.folder / f"{split}.jsonl"):
            if path.is_file():
                with open_text(path) as lines:
                    for line in lines:
                        yield Definition.from_record(split, json.loads(line))
                return
        raise no_split(split, self.folder, self.names())


def open_text(path: Path) -> IO[str]:
    return lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8")


class Files:
    """One file a definition. Its split is what stands before `---` in its name, else its folder's name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._splits: dict[str, list[Path]] = {}
        for path in sorted(folder.rglob("*.json")):
            split, dashes, _ = path.stem.partition("---")
            self._splits.setdefault(split if dashes else path.parent.name, []).append(path)

    def names(self) -> list[str]:
        return sorted(self._splits)

    def load(self, split: str) -> Iterator[Definition]:
        if split not in self._splits:
            raise no_split(split, self.folder, self.names())
        for path in self._splits[split]:
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise DataMissing(f"{path} is not JSON: {error}") from error
            name = path.relative_to(self.folder).with_suffix("").as_posix()
            yield Definition.from_record(split, as_record(name, content))


def as_record(name: str, content: Any) -> dict[str, Any]:
    """A file's content as a record: it is one, or a schema."""
    if isinstance(content, dict) and "schema" in content and isinstance(content.get("tests"), list):
        return {"name": name, "schema": content["schema"], "tests": content["tests"]}
    return {"name": name, "schema": content}


class HuggingFace:
    """A data set whose configurations are the splits, with columns `json_schema` (text) and `unique_id`; its own
    train, val and test are read one after the other."""

    def __init__(self, name: str) -> None:
        try:
            import datasets
        except ImportError as error:
            raise DataMissing(f"{HUB}{name} needs the package datasets.\n  pip install datasets") from error
        self.name, self._datasets = name, datasets

    def names(self) -> list[str]:
        return sorted(self._datasets.get_dataset_config_names(self.name))

    def load(self, split: str) -> Iterator[Definition]:
        if split not in self.names():
            raise no_split(split, self.name, self.names())
        for part in self._datasets.load_dataset(self.name, split).values():
            for row in part:
                yield Definition.from_record(
                    split, {"name": row["unique_id"], "schema": json.loads(row["json_schema"])}
                )
