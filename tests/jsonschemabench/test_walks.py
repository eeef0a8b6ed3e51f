"""Random walks over a matcher small enough to know every text it may write."""

from __future__ import annotations

import numpy as np
import pytest

from guided.demo.judge import Judge
from jsonschemabench.data import Definition
from jsonschemabench.walks import DeadEnd, Report, Tokens, walk, walk_all

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


def definition(schema: object) -> Definition:
    return Definition("split", "s", schema)


def test_walks_end_in_the_language_and_repeat_by_seed() -> None:
    texts = ("true", "[true]", "[1,22,true]", "[]")
    matcher = TextMatcher(*texts)
    seen = {walk(matcher, TOKENS, seed)[0] for seed in range(60)}
    assert seen == set(texts)
    assert walk(matcher, TOKENS, 7) == walk(matcher, TOKENS, 7)


def test_walks_are_judged_one_by_one() -> None:
    """Two schemas, one of which forbids what the matcher allows: its failures carry schema, seed and text."""
    report = Report()
    definitions = [definition({"type": "boolean"}), definition({"type": "array"})]
    for _ in walk_all(definitions, lambda schema: TextMatcher("true"), TOKENS, 9, 100, report):
        pass
    assert (report.walks, report.valid, report.dead_ends) == (9, 5, 0)
    assert [(failure.seed, failure.text) for failure in report.failures] == [(seed, "true") for seed in range(105, 109)]
    assert "type" in report.failures[0].problem


def test_an_empty_mask_is_a_dead_end() -> None:
    with pytest.raises(DeadEnd, match="no token allowed"):
        walk(TextMatcher("[]", trap=True), TOKENS, 0)
    report = Report()
    for _ in walk_all([definition(True)], lambda schema: TextMatcher("[]", trap=True), TOKENS, 3, 0, report):
        pass
    assert (report.walks, report.valid, report.dead_ends, len(report.failures)) == (3, 0, 3, 3)


@pytest.mark.parametrize(
    ("schema", "text", "complaint"),
    [
        ({"type": "integer"}, "3", ""),
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
