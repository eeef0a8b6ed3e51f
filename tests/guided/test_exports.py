"""The public surface: complete, sorted, and cheap to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import guided
import processors

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("package", [guided, processors], ids=lambda package: package.__name__)
def test_all_is_sorted_and_every_name_is_there(package: object) -> None:
    names = package.__all__  # type: ignore[attr-defined]
    assert names == sorted(set(names)) and dir(package) == names
    for name in names:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        package.nothing_of_the_kind  # type: ignore[attr-defined]  # noqa: B018


def test_every_exported_thing_is_documented() -> None:
    for name in guided.__all__:
        assert getattr(guided, name).__doc__, name


def test_star_import() -> None:
    names: dict[str, object] = {}
    exec("from guided import *", names)
    assert set(guided.__all__) <= set(names)


@pytest.mark.parametrize("package", ["guided", "processors"])
def test_the_import_loads_nothing_heavy(package: str) -> None:
    code = (
        f"import sys, {package}; print(*(m for m in ('torch', 'transformers', 'numba', 'numpy') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []


def test_errors_share_one_root() -> None:
    for name in guided.__all__:
        thing = getattr(guided, name)
        if isinstance(thing, type) and issubclass(thing, Exception) and not issubclass(thing, Warning):
            assert issubclass(thing, guided.GuidedError)
