"""The built-in definitions: `jsonschema` agrees with every label, and every keyword occurs."""

from __future__ import annotations

import json

import pytest

from guided.demo.judge import Judge
from jsonschemabench.data import KEYWORDS, Definition, sample
from jsonschemabench.engines import create_engine
from jsonschemabench.masks import measure
from jsonschemabench.sources import open_source
from jsonschemabench.stats import tally
from jsonschemabench.tokens import load_tools

SOURCE = open_source("builtin")
DEFINITIONS = sample(SOURCE, SOURCE.names())


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.name)
def test_labels_are_right(definition: Definition) -> None:
    judge = Judge(definition.schema)
    for instance in definition.instances:
        complaint = judge.complaint(json.dumps(instance.data))
        assert not complaint.startswith("oracle")
        assert instance.valid == (not complaint), (instance.data, complaint)


def test_every_keyword_occurs_and_every_schema_has_a_valid_instance() -> None:
    assert len(DEFINITIONS) >= 60 and len({definition.name for definition in DEFINITIONS}) == len(DEFINITIONS)
    features = {feature for definition in DEFINITIONS for feature in definition.features}
    assert {feature for feature in features if not feature.startswith("format: ")} == KEYWORDS
    assert all(any(instance.valid for instance in definition.instances) for definition in DEFINITIONS)


def test_guided_judges_them_rightly() -> None:
    """What it compiles; a refusal is told by the benchmark itself."""
    tools = load_tools("bytes")
    engine = create_engine("guided", tools.tokenizer, {})
    results = [measure(definition, [engine], tools.encode, tools.eos_ids)[0] for definition in DEFINITIONS]
    total = tally(results)
    assert (total.validation_errors, total.invalidation_errors, total.time_outs) == (0, 0, 0)
    assert total.compiled >= 55
