"""Every installed engine, through its adapter, on schemas whose answer nobody disputes."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

from jsonschemabench.data import Definition
from jsonschemabench.engines import ENGINES, PACKAGES, create_engine
from jsonschemabench.masks import measure
from jsonschemabench.stats import tally
from jsonschemabench.tokens import byte_tokenizer

CASES: list[tuple[Any, list[Any], list[Any]]] = [
    (
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"enum": ["x", "yy"]}},
            "required": ["a"],
            "additionalProperties": False,
        },
        [{"a": 1}, {"a": -20, "b": "yy"}],
        [{}, {"a": "1"}, {"a": 1, "b": "y"}, {"a": 1, "c": 2}, [1]],
    ),
    ({"type": "array", "items": {"type": "string", "maxLength": 3}}, [[], ["a", "éab"]], [["abcd"], [1], "a"]),
]

REFUSED = {"lmfe": [0, 1]}
"""Valid documents that an engine refuses, case by case: lm-format-enforcer knows characters only, not their bytes."""


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    pytest.importorskip("transformers")
    return byte_tokenizer()


@pytest.mark.parametrize("name", ENGINES)
def test_adapter(name: str, tokenizer: Any) -> None:
    if name != "guided":
        pytest.importorskip(PACKAGES[name][0], reason=f"{name} is not installed: pip install 'guided[bench]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a foreign engine warns about is its own affair
        engine = create_engine(name, tokenizer, {})
    for number, (schema, valid, invalid) in enumerate(CASES):
        tests = [{"valid": True, "data": data} for data in valid] + [{"valid": False, "data": data} for data in invalid]
        definition = Definition.from_record("cases", {"name": str(number), "schema": schema, "tests": tests})
        results = measure(
            definition,
            [engine],
            lambda text: list(tokenizer.encode(text, add_special_tokens=False)),
            [tokenizer.eos_token_id],
            time_limit=math.inf,  # the first mask of a process may compile kernels
        )
        total = tally(results)
        refused = REFUSED.get(name, [0, 0])[number]
        assert results[0].compile_error == ""
        assert (total.instances, total.validation_errors, total.invalidation_errors) == (len(tests), refused, 0)
