"""The demonstration's parts that need no model: its cases, its clock, its pictures."""

from __future__ import annotations

import io

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

import guided
from guided.demo import show
from guided.demo.cases import CASES, Case
from guided.demo.judge import Judge

GOOD = {
    "record": '{"name": "Maria Lopez", "age": 34, "occupation": null, "is_member": true}',
    "nested": '{"shops":[{"shop":"bakery","items":[[2,"bread"],[6,"rolls"]]},{"shop":"stall","items":[[3,"figs"]]}]}',
    "enums": '{"category":"delivery","priority":1,"mood":"angry","schema_version":"2.1","summary":"A late parcel"}',
    "recursion": '{"name":"project","children":[{"name":"readme.md"},{"name":"src","children":[{"name":"main.py"}]}]}',
    "call": '{"name": "get_weather", "arguments": {"city": "Paris", "days": 3, "unit": "celsius"}}',
    "formats": '{"order":"ORD-204417","shipped":"2025-03-04","contact":"e@mail.es","country":"ES","weight_kg":2.5}',
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_answer_one_hopes_for_is_in_the_language(case: Case) -> None:
    """Each schema is well-formed, compiles, and admits the answer that its prompt asks for."""
    Draft202012Validator.check_schema(case.schema)
    assert Judge(case.schema).complaint(GOOD[case.name]) == ""
    vocabulary = guided.Vocabulary.from_bytes([*(bytes([value]) for value in range(256)), None], eos_ids=[256])
    matcher = guided.Matcher(guided.compile_json_schema(case.schema), vocabulary)
    assert matcher.accept_bytes(GOOD[case.name].encode()) and matcher.is_accepting()


def test_there_are_enough_kinds() -> None:
    assert len(CASES) >= 5 and set(GOOD) == {case.name for case in CASES}


def test_the_stop_watch_counts_and_passes_on() -> None:
    seen: list[int] = []
    watch = show.StopWatch([lambda ids, scores: scores + 1, lambda ids, scores: scores * 2], lambda: seen.append(1))
    assert watch(None, 3) == 8 and watch(None, 0) == 2
    assert len(watch.seconds) == len(seen) == 2


def test_pictures_show_text_verdict_and_cost() -> None:
    case = CASES[0]
    good = show.Outcome(case, GOOD["record"], "", 40, 0.002, 2.0, 1.9, [8e-6] * 39 + [40e-6])
    bad = show.Outcome(case, '{"name"', "not JSON", 3, 0.002, 0.2, 0.2, [1e-5] * 3)
    console = Console(file=io.StringIO(), width=120, record=True)
    console.print(show.draw(good, 1), show.draw(bad, 2), show.summary([good, bad]))
    text = console.export_text()
    for expected in ("Maria Lopez", "jsonschema accepts it", "20.0 tokens/s", "9 µs mean", "✗ jsonschema: not JSON"):
        assert expected in text
    assert "1 of 2" in text and "0.95" in text


def test_an_unknown_case_is_refused_by_name() -> None:
    assert show.choose("enums")[0].name == "enums"
    with pytest.raises(guided.GuidedError, match="record, nested"):
        show.choose("nothing")
