"""Every keyword of each draft, as that draft writes and means it, with `jsonschema` as the judge."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from grammars.errors import BudgetExceeded, UnsatisfiableSchema, UnsupportedSchema
from grammars.jsonschema import SchemaCompiler
from grammars.jsonschema._reader import _TABLES
from grammars.jsonschema.membership import contains
from tests.strategies import schemas as strategies

DRAFTS: dict[int, Any] = {
    4: jsonschema.Draft4Validator, 6: jsonschema.Draft6Validator, 7: jsonschema.Draft7Validator,
    2019: jsonschema.Draft201909Validator, 2020: jsonschema.Draft202012Validator,
}  # fmt: skip
CHECKER = jsonschema.Draft202012Validator.FORMAT_CHECKER


@pytest.mark.parametrize("year", DRAFTS)
def test_the_strategy_knows_each_keyword(year: int) -> None:
    known = strategies.drafts(year).keys() - {"then", "else", "additionalItems"}
    assert known == _TABLES[year].keys() - {"$recursiveRef"}  # that one stands below `properties`


def documents(year: int) -> st.SearchStrategy[dict[str, Any]]:
    table = strategies.drafts(year)
    if year >= 2019:
        del table["dependencies"]  # no keyword of the draft any more: we assert it still, the judge does not
    definition = {"type": ["integer", "string", "object"], "properties": {"a": {"$ref": "#/definitions/d"}}}
    anchor = {"$dynamicAnchor": "d"} if year == 2020 else {}
    chosen = st.lists(st.sampled_from(sorted(table)), min_size=1, max_size=4, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: table[name] for name in names})).map(
        lambda schema: {"$schema": DRAFTS[year].META_SCHEMA.get("$schema"), **schema,
                        "definitions": {"d": {**anchor, **definition}}}
    )  # fmt: skip


INSTANCES = st.lists(strategies.instances() | st.sampled_from(strategies.TEXTS), min_size=6, max_size=10)


@pytest.mark.parametrize("year", DRAFTS)
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=40)
@given(data=st.data())
def test_agrees(year: int, data: st.DataObject) -> None:
    schema, instances = data.draw(documents(year)), data.draw(INSTANCES)
    judge = DRAFTS[year](schema, format_checker=CHECKER)
    try:
        source = SchemaCompiler(schema)
    except UnsatisfiableSchema:
        source = None
    except (UnsupportedSchema, BudgetExceeded):
        assume(False)
    for instance in instances:
        got = source is not None and contains(source, instance)
        assert got == judge.is_valid(instance), (schema, instance)
