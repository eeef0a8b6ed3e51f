"""The judge knows what `jsonschema` alone gets wrong: decimals in binary, and Python's reading of ECMA-262 patterns."""

from __future__ import annotations

import pytest

from guided.demo.judge import Judge


@pytest.mark.parametrize(
    ("unit", "text", "fits"),
    [(0.01, "2568.49", True), (0.01, "2568.491", False), (0.1, "0.3", True), (2, "1e4848", True), (2, "1e-400", False)],
)
def test_multiples_are_worked_out_in_decimal(unit: float, text: str, fits: bool) -> None:
    assert (Judge({"multipleOf": unit}).complaint(text) == "") is fits


def test_whole_numbers_with_a_point_are_integers() -> None:
    assert Judge({"type": "integer"}).complaint("1.0") == ""
    assert Judge({"type": "integer"}).complaint("1.5") != ""


def test_patterns_are_those_of_ecma_262() -> None:
    pytest.importorskip("regress", reason="the judge reads patterns as Python does without `pip install regress`")
    schema = {"patternProperties": {r"^x\s$": {"type": "integer"}}, "additionalProperties": {"pattern": r"^\w$"}}
    judge = Judge(schema)
    assert judge.complaint('{"x\ufeff":1}') == "" and judge.complaint('{"a":"b"}') == ""
    assert judge.complaint('{"x\ufeff":"1"}') and judge.complaint('{"a":"é"}') and judge.complaint('{"a":"b\\n"}')
    assert Judge({"patternProperties": {r"^\s$": {}}, "additionalProperties": False}).complaint('{"b":1}')


@pytest.mark.parametrize(("text", "fits"), [('"509/a~0"', True), ('"10#"', True), ('"01/a"', False), ('"1/~2"', False)])
def test_relative_pointers(text: str, fits: bool) -> None:
    assert (Judge({"format": "relative-json-pointer"}).complaint(text) == "") is fits


def test_regexes_are_those_of_ecma_262() -> None:
    pytest.importorskip("regress", reason="the judge reads patterns as Python does without `pip install regress`")
    judge = Judge({"format": "regex"})
    assert judge.complaint('"[^]\\\\cA"') == "" and judge.complaint('"(?P<a>x)"') and judge.complaint('"("')


def test_other_formats_are_still_checked() -> None:
    assert Judge({"format": "date"}).complaint('"2023-02-30"') and not Judge({"format": "date"}).complaint(
        '"2024-02-29"'
    )
