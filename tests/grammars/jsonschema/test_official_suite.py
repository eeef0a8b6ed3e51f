"""The official test suite: no verdict is wrong, and nothing is refused."""

from __future__ import annotations

import json
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from grammars.errors import UnsatisfiableSchema, UnsupportedSchema
from grammars.jsonschema import SchemaCompiler
from grammars.jsonschema.membership import contains

DRAFTS = {"draft4": "4", "draft6": "6", "draft7": "7", "draft2019-09": "2019-09", "draft2020-12": "2020-12"}
REMOTE = "http://localhost:1234/"


@cache
def _archive(path: Path) -> dict[str, Any]:
    """The JSON files of the suite by their path in it."""
    files = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            if member.isfile() and member.name.endswith(".json"):
                contents = archive.extractfile(member)
                assert contents is not None
                for part in ("tests/", "remotes/"):
                    if f"/{part}" in f"/{member.name}":
                        files[part + f"/{member.name}".split(f"/{part}", 1)[1]] = json.load(contents)
    return files


@pytest.mark.parametrize("folder", DRAFTS)
def test_required_cases(folder: str, data_dir: Path) -> None:
    files = _archive(data_dir / "json-schema-test-suite.tar.xz")
    registry = {REMOTE + name.removeprefix("remotes/"): f for name, f in files.items() if name.startswith("remotes/")}
    right, refused, wrong = 0, [], []
    for name, groups in files.items():
        if not name.startswith(f"tests/{folder}/") or "/optional/" in name or "/proposals/" in name:
            continue
        for group in groups:
            for case in group["tests"]:
                try:
                    got = _verdict(group["schema"], case["data"], DRAFTS[folder], registry)
                except UnsupportedSchema as error:
                    refused.append((name, group["description"], str(error)))
                    continue
                right += got == case["valid"]
                if got != case["valid"]:
                    wrong.append((name, group["description"], case["description"]))
    assert right > 600
    assert not wrong
    assert not refused


def _verdict(schema: Any, instance: Any, draft: str, registry: dict[str, Any]) -> bool:
    try:
        source = SchemaCompiler(schema, format="annotate", default_draft=draft, registry=registry)
    except UnsatisfiableSchema:
        return False
    return contains(source, instance)
