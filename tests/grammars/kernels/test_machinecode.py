"""Machine code on disk: made once, whoever asks first, wherever it may be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grammars.kernels.choice import NUMBA

if NUMBA:
    pytest.skip("numba compiles the kernels (GUIDED_KERNELS, or an llvmlite before 0.45)", allow_module_level=True)

ROOT = Path(__file__).parents[3]
# insert a key and read it back; says where the module lies and whether it had to compile
USE = """
import numpy as np
from grammars.kernels import machinecode, tier1
ready = machinecode.loaded("tier1") is not None
keys, values = np.zeros(8, np.int64), np.zeros(8, np.int64)
tier1.insert(keys, values, 5, 7)
assert values[keys == 5].tolist() == [7]
print(ready, tier1.__file__)
"""


def use(package: Path = ROOT, **environment: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "GUIDED_CACHE_DIR")}
    env = {**kept, "PYTHONPATH": str(package), **environment}
    return subprocess.Popen([sys.executable, "-B", "-c", USE], env=env, text=True, stdout=subprocess.PIPE, cwd="/")


def answer(process: subprocess.Popen[str]) -> list[str]:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return out.split()


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.kernels"))


def test_processes_that_start_together(tmp_path: Path) -> None:
    """All work; one file is left, whole, and later ones are ready with it. A file that is not whole is made anew."""
    together = [use(NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(3)]
    for process in together:
        answer(process)
    (made,) = files(tmp_path)
    assert not list(tmp_path.rglob("*.tmp"))
    assert answer(use(NUMBA_CACHE_DIR=str(tmp_path)))[0] == "True"
    whole = made.read_bytes()
    made.write_bytes(whole[:-100])
    assert answer(use(NUMBA_CACHE_DIR=str(tmp_path)))[0] == "False"
    assert made.read_bytes() == whole


def test_an_installed_package_that_cannot_be_written(tmp_path: Path) -> None:
    """The code goes to the user's cache, and the next process finds it there; an edited kernel is another version."""
    site, home = tmp_path / "site-packages", tmp_path / "home"
    home.mkdir()
    shutil.copytree(ROOT / "grammars", site / "grammars", ignore=shutil.ignore_patterns("__pycache__"))
    kernels = site / "grammars" / "kernels"
    # no folder can be made where a file stands: as good as no permission, and true for root as well
    (kernels / "__pycache__").write_text("")
    told = answer(use(site, XDG_CACHE_HOME=str(home)))
    assert told == ["False", str(kernels / "tier1.py")]
    assert [path.parent for path in files(tmp_path)] == [home / "guided" / "kernels"]
    assert answer(use(site, XDG_CACHE_HOME=str(home)))[0] == "True"
    with open(kernels / "layout.py", "a") as file:
        file.write("\n# another version\n")
    assert answer(use(site, XDG_CACHE_HOME=str(home)))[0] == "False"
    assert len(files(tmp_path)) == 2


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    """Compiled each time, and that is all."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert answer(use(GUIDED_CACHE_DIR=str(blocked)))[0] == "False"
