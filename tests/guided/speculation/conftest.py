"""What tests of the narrow products share."""

from __future__ import annotations

import pytest

from guided.speculation.skinny import Skinny, skinny


@pytest.fixture(scope="session")
def own() -> Skinny:
    found = skinny()
    if found is None:
        pytest.skip("this processor has no fused multiply-add on vectors")
    return found
