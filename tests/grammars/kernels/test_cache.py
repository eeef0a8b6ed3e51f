"""Kernels made of inner functions, with numba's own way of finishing them and without."""

from __future__ import annotations

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


def test_all_names_that_are_replaced_are_there() -> None:
    """Else the first start takes twice as long: numba has changed."""
    assert cache._KNOWN
