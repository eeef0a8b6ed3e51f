"""What an installed package promises: types, a version, a command, no dependency that the source does not use."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from tests.test_architecture import FLOORS, ROOT, imported_packages, sources

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

OPTIONAL = {
    # package: who may import it without its being a dependency, and why
    "accelerate": "the demo's extra",
    "gguf": "the demo's extra",
    "llguidance": "an engine to compare with",
    "xgrammar": "an engine to compare with",
    "outlines_core": "an engine to compare with",
    "lmformatenforcer": "an engine to compare with",
    "ray": "clusters, where it is there",
    "datasets": "one form of the benchmark's data",
    "regress": "ECMA-262 patterns in the judge, where it is there",
    "pydantic": "only where the user has it: their models are read when given",
    "pydantic_core": "comes with pydantic; partial JSON says so where it is missing",
    "tokenizers": "comes with transformers and is what its tokenizers are made of",
    "triton": "comes with torch where there is a GPU",
    "huggingface_hub": "comes with transformers",
}


def names_of(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].replace("-", "_") for requirement in requirements}


def test_every_top_package_is_typed() -> None:
    assert [floor for floor in FLOORS if not (ROOT / floor / "py.typed").is_file()] == []


def test_the_wheel_holds_every_floor() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    assert set(build["targets"]["wheel"]["packages"]) == set(FLOORS)


def test_imports_are_declared() -> None:
    """Every import of the packages is of the standard library, of the project, a dependency, or listed above."""
    known = {*sys.stdlib_module_names, *FLOORS, *names_of(PROJECT["dependencies"]), *OPTIONAL}
    unknown = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(ROOT, *FLOORS)
        for name in imported_packages(path) - known
    }
    assert unknown == set()


def test_the_command_is_installed() -> None:
    try:
        scripts = metadata.distribution("guided").entry_points
    except metadata.PackageNotFoundError:
        pytest.skip("guided is not installed: pip install -e .")
    assert {script.name: script.value for script in scripts}["guided"] == PROJECT["scripts"]["guided"]


def test_version_is_the_same_everywhere() -> None:
    assert f"version: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_licence_is_complete() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text


def test_nothing_leads_outside_the_project() -> None:
    """No committed text names folders of somebody's machine."""
    texts = [*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml", *sources(ROOT, *FLOORS)]
    absolute = re.compile(r"(?<![\w.:/])/(?:home|root|work|Users)/\w")
    assert [str(path) for path in texts if Path(path).is_file() and absolute.search(path.read_text("utf-8"))] == []
