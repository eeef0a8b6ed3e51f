"""Every installed engine, through its adapter, on schemas whose answer nobody disputes."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest

from jsonschemabench.data import Definition
from jsonschemabench.engines import ENGINES, create_engine
from jsonschemabench.masks import measure
from jsonschemabench.stats import tally

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


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """A byte-level tokenizer of 256 tokens and an end: no file, no training."""
    pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(["<eos>"])
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>")


@pytest.mark.parametrize("name", ENGINES)
def test_adapter(name: str, tokenizer: Any) -> None:
    if name != "guided":
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'guided[bench]'")
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
        assert results[0].compile_error == ""
        assert (total.instances, total.validation_errors, total.invalidation_errors) == (len(tests), 0, 0)
