"""Kernels made of inner functions, with numba's own way of finishing them and without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from numba import njit

from grammars.kernels import through_numba as cache


@pytest.mark.parametrize("known", [True, False], ids=["ingredients", "as numba does"])
def test_a_kernel_of_inner_functions(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where numba lacks one of the names that are replaced, the result is the same."""
    monkeypatch.setattr(cache, "_KNOWN", cache._KNOWN and known)
    before = [vars(owner)[name] for owner, name, _ in cache._FINISHING]

    @cache.inner
    def tripled(x: Any) -> Any:
        return 3 * x

    @cache.inner
    def sum_of(x: Any, y: Any) -> Any:
        return tripled(x) + max(x, y)

    kernel: Any = njit(lambda x: sum_of(x, 7))
    assert kernel(5) == 22 and kernel(10) == 40
    assert [vars(owner)[name] for owner, name, _ in cache._FINISHING] == before


@pytest.mark.parametrize("missing", ["stamp", "file", "cache"])
def test_a_kernel_whose_stamp_cannot_be_set(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where numba has no such field the kernel is compiled as well, and not kept on disk under a stamp that lies."""
    made: list[dict[str, Any]] = []

    def changed(function: Any, **options: Any) -> Any:
        dispatcher: Any = njit(function, **{name: value for name, value in options.items() if name != "cache"})
        made.append(options)
        if options.get("cache"):
            file = SimpleNamespace() if missing == "stamp" else None
            held = SimpleNamespace() if missing == "file" else SimpleNamespace(_cache_file=file)
            dispatcher._cache = None if missing == "cache" else held
        return dispatcher

    monkeypatch.setattr(cache, "njit", changed)
    assert cache.kernel(lambda x: x + 1)(4) == 5
    assert [options.get("cache", False) for options in made] == [True, False]


def test_a_kernel_is_stamped_over_the_whole_folder() -> None:
    def more(x: Any) -> Any:
        return x + 1

    dispatcher = cache.kernel(more)
    assert dispatcher._cache._cache_file._source_stamp == cache._STAMP
    assert {entry[0] for entry in cache._STAMP} >= {"cache.py", "walk.py", "step.py", "layout.py"}


def test_all_names_that_are_replaced_are_there() -> None:
    """Else the first start takes twice as long: numba has changed."""
    assert cache._KNOWN


def test_kernels_compile_with_numba_as_well() -> None:
    """In a process that asks for it; the smaller ones, for time."""
    use = (
        "import numpy as np; from grammars.kernels import tier1; from grammars.automaton.arrays import address;"
        "row, to = np.arange(4, dtype=np.int32), np.zeros(4, np.int32); tier1.copy_row(address(to), row);"
        "assert to.tolist() == [0, 1, 2, 3]; assert hasattr(tier1.copy_row, 'py_func');"
        "keys, values = np.zeros(8, np.int64), np.zeros(8, np.int64); tier1.insert(keys, values, 5, 7);"
        "assert values[keys == 5].tolist() == [7]"
    )
    environment = {**os.environ, "GUIDED_KERNELS": "numba", "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", use], check=True, env=environment, timeout=120)
