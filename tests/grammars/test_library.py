"""The ready grammars: their examples, walks judged by lark (or an Earley recogniser) and by the standard library."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Callable
from datetime import date
from random import Random
from xml.etree import ElementTree

import pytest

from grammars import library
from tests.grammars.cfg.judging import accepts, lark_judge, mutations, walks


@pytest.mark.parametrize("name", library.names())
def test_examples(name: str) -> None:
    found = library.load(name)
    grammar = found.compile()
    assert found.description and found.accepted and found.refused
    for text in found.accepted:
        assert accepts(grammar, text), text
    for text in found.refused:
        assert not accepts(grammar, text), text


@pytest.mark.parametrize("name", [n for n in library.names() if library.load(n).language == "lark"])
def test_walks_and_mutations_are_judged_as_lark_does(name: str) -> None:
    found = library.load(name)
    grammar, judge, random = found.compile(), lark_judge(found.text, {}), Random(name)
    for text in walks(grammar, random, 3, longest=15, samples=found.accepted):
        assert judge(text), text
    for seed in [*found.accepted, *found.refused]:
        for text in mutations(seed, random, "a1 \"'(,.<&=-", 8):
            assert accepts(grammar, text) == judge(text), text


def _html(text: str) -> None:
    ElementTree.fromstring(f"<x>{text.replace('&nbsp;', ' ')}</x>")


def _lines(text: str) -> None:
    for line in text.rstrip(" \t").removesuffix("\n").split("\n"):  # as readers of JSON Lines do
        json.loads(line)


JUDGES: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "json_lines": _lines,
    "iso_date": lambda text: date.fromisoformat(text[:10]),
    "csv_row": lambda text: list(csv.reader([text], strict=True)),
    "html_fragment": _html,
    "python_expression": lambda text: ast.parse(text.strip(), mode="eval"),
}


@pytest.mark.parametrize("name", JUDGES)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_the_standard_library_reads_what_is_written(name: str) -> None:
    found = library.load(name)
    for text in [*found.accepted, *walks(found.compile(), Random(name), 4, 15, found.accepted)]:
        if name == "iso_date" and text.startswith("0000"):
            continue  # Python's dates begin with the year 1
        JUDGES[name](text)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(KeyError, match="sql_select"):
        library.load("cobol")
