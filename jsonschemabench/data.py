"""Definitions: the schemas of JSONSchemaBench with their labelled instances, read from where the user keeps them.

One split is one `maskbench/<split>.jsonl.xz` (or `.jsonl`), one JSON object a line: `name`, `schema` and `tests`, each
test with `valid`, `data` and `description`.
"""

from __future__ import annotations

import json
import lzma
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from grammars.errors import GuidedError

__all__ = ["CORE_SPLITS", "SPELLINGS", "DataMissing", "Definition", "Instance", "load", "sample", "splits_in"]

CORE_SPLITS = ("Github_trivial", "Github_easy", "Glaiveai2K", "BFCL")
"""The splits that stay within the core of the language: the default everywhere."""

SPELLINGS: dict[str, dict[str, Any]] = {
    "compact": {"separators": (",", ":"), "ensure_ascii": False},
    "default": {"ensure_ascii": False},
}
"""How an instance is written out, as options of `json.dumps`; each instance is run in both."""


class DataMissing(GuidedError):
    """The benchmark's data is not where it was looked for."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One document with its label."""

    valid: bool
    data: Any
    description: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """One schema of one split with its instances."""

    split: str
    name: str
    schema: Any
    instances: tuple[Instance, ...] = ()

    @classmethod
    def from_record(cls, split: str, record: dict[str, Any]) -> Definition:
        tests = tuple(Instance(test["valid"], test["data"], test.get("description", "")) for test in record["tests"])
        return cls(split, record["name"], record["schema"], tests)


def folder(data: Path) -> Path:
    """The folder of the splits: `data` itself or its `maskbench`."""
    for candidate in (data / "maskbench", data):
        if any(candidate.glob("*.jsonl*")):
            return candidate
    raise DataMissing(
        f"no JSONSchemaBench in {data}.\n  Give --data a folder with maskbench/<split>.jsonl.xz "
        "(github.com/guidance-ai/jsonschemabench)."
    )


def splits_in(data: Path) -> list[str]:
    """Names of all splits there."""
    return sorted({path.name.partition(".")[0] for path in folder(data).glob("*.jsonl*")})


def load(data: Path, split: str) -> Iterator[Definition]:
    """The definitions of one split, in file order."""
    here = folder(data)
    for path in (here / f"{split}.jsonl.xz", here / f"{split}.jsonl"):
        if path.is_file():
            with open_text(path) as lines:
                for line in lines:
                    yield Definition.from_record(split, json.loads(line))
            return
    raise DataMissing(f"no split {split!r} in {here}.\n  There are: {', '.join(splits_in(data))}")


def open_text(path: Path) -> IO[str]:
    return lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8")


def sample(data: Path, splits: Iterable[str], *, limit: int | None = None, seed: int = 0) -> list[Definition]:
    """All definitions of the splits; with a limit, that many of each split, chosen by the seed, in file order."""
    chosen: list[Definition] = []
    for split in splits:
        definitions = list(load(data, split))
        if limit is not None and limit < len(definitions):
            picks = random.Random(f"{seed}/{split}").sample(range(len(definitions)), limit)
            definitions = [definitions[i] for i in sorted(picks)]
        chosen += definitions
    return chosen
