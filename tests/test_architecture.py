"""The rules of the house, checked on the source: imports go down, `grammars` knows no torch, files stay small.

Each check is a function of a folder or a text, so that the counter-tests can show that it is able to fail.
"""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("grammars", "processors", "guided", "jsonschemabench")  # from the ground up
MAX_LINES = 600


def sources(root: Path, *packages: str) -> Iterator[Path]:
    for package in packages:
        yield from sorted((root / package).rglob("*.py"))


def imported_packages(path: Path) -> set[str]:
    """Top-level names of all absolute imports in a file, wherever they stand (functions and TYPE_CHECKING included)."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def upward_imports(root: Path) -> list[str]:
    found = []
    for height, floor in enumerate(FLOORS):
        above = {*FLOORS[height + 1 :], "tests"}
        for path in sources(root, floor):
            found += [f"{path.relative_to(root)} imports {name}" for name in imported_packages(path) & above]
    return sorted(found)


def long_files(root: Path, limit: int) -> list[str]:
    counted = ((len(path.read_text(encoding="utf-8").splitlines()), path) for path in sources(root, *FLOORS, "tests"))
    return [f"{path.relative_to(root)}: {lines} lines" for lines, path in counted if lines > limit]


def exported(package: str, source: str) -> set[str]:
    """Public names that a package's `__init__.py` takes from the package's own modules."""
    names: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and (node.level or f"{node.module}.".startswith(f"{package}.")):
            names.update(alias.asname or alias.name for alias in node.names)
    return {name for name in names if not name.startswith("_")}


def modules_loaded_by(statement: str, *, path: Path) -> set[str]:
    """Names in `sys.modules` after `statement` in a fresh interpreter with `path` in front of the import path."""
    code = f"import sys\n{statement}\nprint(' '.join(sorted(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=path, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_imports_go_down_only() -> None:
    assert upward_imports(ROOT) == []


def test_the_import_check_can_fail(tmp_path: Path) -> None:
    (tmp_path / "grammars").mkdir()
    (tmp_path / "grammars" / "bad.py").write_text("def late() -> None:\n    from guided.cli import main\n")
    (tmp_path / "processors").mkdir()
    (tmp_path / "processors" / "good.py").write_text("import grammars\nfrom . import guided\n")
    assert upward_imports(tmp_path) == ["grammars/bad.py imports guided"]


def test_grammars_loads_no_torch() -> None:
    """Not the package, nor any module in it: whoever serves masks from another framework pays for none."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sources(ROOT, "grammars")
    ]
    loaded = modules_loaded_by("import " + ", ".join(["grammars", *modules]), path=ROOT)
    assert loaded.isdisjoint({"torch", "transformers"})


def test_the_torch_check_can_fail(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("")
    (tmp_path / "guilty.py").write_text("import torch\n")
    assert "torch" in modules_loaded_by("import guilty", path=tmp_path)
    assert "torch" not in modules_loaded_by("import json", path=tmp_path)


def test_no_file_is_longer_than_one_subject() -> None:
    """Over 600 lines there are usually two subjects in a file."""
    assert long_files(ROOT, MAX_LINES) == []


def test_the_length_check_can_fail(tmp_path: Path) -> None:
    (tmp_path / "guided").mkdir()
    (tmp_path / "guided" / "epic.py").write_text("pass\n" * 11)
    assert long_files(tmp_path, 10) == ["guided/epic.py: 11 lines"]
    assert long_files(tmp_path, 11) == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources(ROOT, *FLOORS)
        if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert silent == []


@pytest.mark.parametrize("floor", FLOORS)
def test_packages_export_what_they_say(floor: str) -> None:
    """`__all__` of every package holds all it re-exports, and nothing that is not there (ruff's RUF022 sorts it)."""
    for path in sources(ROOT, floor):
        dotted = ".".join(path.parent.relative_to(ROOT).parts)
        if path.name != "__init__.py" or not (names := exported(dotted, path.read_text(encoding="utf-8"))):
            continue
        package = importlib.import_module(dotted)
        listed = getattr(package, "__all__", None)
        assert listed is not None, f"{dotted} re-exports {sorted(names)} and has no __all__"
        assert names <= set(listed), f"{dotted}.__all__ lacks {sorted(names - set(listed))}"
        assert [name for name in listed if not hasattr(package, name)] == []


def test_the_export_check_sees_names() -> None:
    source = "from guided.cli import main as start, _hidden\nfrom .x import Y\nfrom typing import Any\nimport grammars"
    assert exported("guided", source) == {"start", "Y"}
