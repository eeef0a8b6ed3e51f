"""Random walks over a matcher small enough to know every text it may write."""

from __future__ import annotations

import numpy as np
import pytest

from grammars.errors import UnsatisfiableSchema
from guided.demo.judge import Judge
from jsonschemabench.data import Definition
from jsonschemabench.walks import DeadEnd, Refusal, Report, Tokens, walk, walk_all

SPELLED = [bytes([value]) for value in range(256)] + [b"true", b""]
EOS = 257
TOKENS = Tokens(SPELLED, [EOS])


class TextMatcher:
    """Allows exactly the given texts, over bytes and the token `true`."""

    def __init__(self, *texts: str, trap: bool = False) -> None:
        self.texts, self.trap = [text.encode() for text in texts], trap
        self.reset()

    def reset(self) -> None:
        self.text = b""

    def rests(self) -> list[bytes]:
        return [text[len(self.text) :] for text in self.texts if text.startswith(self.text)]

    def fill_mask(self, row: np.ndarray, budget: int | None = None) -> None:
        row[:] = 0
        if self.trap and len(self.text) == 1:
            return
        for token, spelled in enumerate(SPELLED):
            fits = any(
                (spelled and rest.startswith(spelled) and (budget is None or len(rest) - len(spelled) < budget))
                or (token == EOS and not rest)
                for rest in self.rests()
            )
            if fits:
                row.view(np.uint32)[token >> 5] |= np.uint32(1 << (token & 31))

    def accept(self, token: int) -> bool:
        self.text += SPELLED[token]
        return bool(self.rests())

    def is_accepting(self) -> bool:
        return b"" in self.rests()

    def min_tokens(self) -> int:
        return min(map(len, self.rests()))


def definition(schema: object, name: str = "s") -> Definition:
    return Definition("split", name, schema)


def test_walks_end_in_the_language_and_repeat_by_seed() -> None:
    texts = ("true", "[true]", "[1,22,true]", "[]")
    matcher = TextMatcher(*texts)
    seen = {walk(matcher, TOKENS, seed)[0] for seed in range(60)}
    assert seen == set(texts)
    assert walk(matcher, TOKENS, 7) == walk(matcher, TOKENS, 7)


def test_walks_are_judged_one_by_one() -> None:
    """Two schemas, one of which forbids what the matcher allows: its failures carry schema, seed and text."""
    definitions = [definition({"type": "boolean"}, "yes"), definition({"type": "array"}, "no")]
    report = Report()
    for outcome in walk_all(definitions, lambda schema: TextMatcher("true"), TOKENS, 9, 100):
        report.enter(outcome)
    wrong = report.per_schema["split", "no"]
    assert {wrong, report.per_schema["split", "yes"]} == {4, 5}
    assert (report.walks, report.valid, report.dead_ends) == (9, 9 - wrong, 0)
    assert {failure.text for failure in report.failures} == {"true"}
    assert {failure.schema for failure in report.failures} == {"no"}
    assert "type" in report.failures[0].problem


def test_walks_go_on_where_they_were_stopped() -> None:
    """Whatever the point of the interruption, the rest is walked once, and refused schemas give up their share."""

    def compile_schema(schema: object) -> TextMatcher:
        if schema is False:
            raise UnsatisfiableSchema("", "nothing")
        return TextMatcher("true", "[]")

    definitions = [definition(schema, str(name)) for name, schema in enumerate([True, False, {}, False])]
    everything = list(walk_all(definitions, compile_schema, TOKENS, 7, 3))
    walked = [outcome for outcome in everything if not isinstance(outcome, Refusal)]
    assert {outcome.schema for outcome in walked} == {"0", "2"}
    assert [outcome.seed for outcome in walked] == list(range(3, 3 + len(walked)))
    for stop in range(len(everything) + 1):
        done = everything[:stop]
        assert done + list(walk_all(definitions, compile_schema, TOKENS, 7, 3, done)) == everything


def test_fewer_walks_than_schemas_take_a_sample() -> None:
    definitions = [definition(True, str(name)) for name in range(50)]
    outcomes = list(walk_all(definitions, lambda schema: TextMatcher("true"), TOKENS, 10, 1))
    names = {outcome.schema for outcome in outcomes}
    assert len(outcomes) == len(names) == 10
    assert names != {str(name) for name in range(10)}


def test_an_empty_mask_is_a_dead_end() -> None:
    with pytest.raises(DeadEnd, match="no token allowed"):
        walk(TextMatcher("[]", trap=True), TOKENS, 0)
    report = Report()
    for outcome in walk_all([definition(True)], lambda schema: TextMatcher("[]", trap=True), TOKENS, 3, 0):
        report.enter(outcome)
    assert (report.walks, report.valid, report.dead_ends, len(report.failures)) == (3, 0, 3, 3)


@pytest.mark.parametrize(
    ("schema", "text", "complaint"),
    [
        ({"type": "integer"}, "3", ""),
        ({"format": "time"}, '"00:25:60-23:34"', ""),  # 23:59 in Greenwich
        ({"format": "time"}, '"00:26:60-23:34"', "at $: format"),
        ({"format": "date-time"}, '"2016-12-31T23:59:60Z"', ""),
        ({"format": "date-time"}, '"2015-02-29T00:00:00Z"', "at $: format"),
        ({"type": "integer"}, "3.5", "at $: type"),
        ({"format": "date"}, '"2025-02-30"', "at $: format"),
        ({}, '{"a": 1, "a": 1}', "'a' stands twice"),
        ({}, "NaN", "not JSON"),
        ({}, "[1", "not JSON"),
        ({}, "1" * 5000, ""),
        ({"pattern": "("}, '"x"', "oracle"),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": True}, "1", "at $"),
    ],
)
def test_the_judge(schema: object, text: str, complaint: str) -> None:
    verdict = Judge(schema).complaint(text)
    assert complaint in verdict and bool(complaint) == bool(verdict)
