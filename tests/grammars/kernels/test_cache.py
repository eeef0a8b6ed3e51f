"""Kernels made of inner functions, with numba's own way of finishing them and without."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from numba import njit

from grammars.kernels import cache


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
