"""The metrics by hand, the quality tasks by their answers, the mask processor on a model of four logits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jsonschemabench.engines import AS_WRITTEN, Reading, Row, Walk
from jsonschemabench.generation import METRICS, EngineMasks, metrics_of
from jsonschemabench.quality import Question, answer_in, gsm8k, last_letter, right, shuffled_objects


def document(engine: str, schema: str, outcome: str, **more: Any) -> dict[str, Any]:
    return {"kind": "document", "engine": engine, "split": "s", "schema": schema, "outcome": outcome, "problem": "",
            "text": "", **more}  # fmt: skip


def test_coverage_and_compliance() -> None:
    """Three schemas: one valid document, one invalid, one not compiled: declared 2/3, empirical 1/3, compliance 1/2."""
    found = metrics_of([
        document("e", "a", "valid"), document("e", "b", "invalid"), document("e", "c", "not compiled"),
        {"kind": "coverage", "engine": "e", "schema": "a", "covered": True},
        {"kind": "coverage", "engine": "e", "schema": "b", "covered": False},
    ])  # fmt: skip
    entry = found["engines"]["e"]
    assert [entry[key] for key in ("schemas", "declared", "empirical", "compliance", "true")] == [
        3,
        2 / 3,
        1 / 3,
        0.5,
        0.5,
    ]
    assert [failure["kind"] for failure in found["failures"]] == ["invalid", "not compiled"]
    json.dumps(found)


def test_times_are_per_token() -> None:
    """Five steps in four seconds are one a second, as is the free text's double; one token has no time per token."""
    found = metrics_of([
        document("e", "a", "valid", compile_s=0.5, ttft_s=1.0, seconds=4.0, steps=5),
        document("free", "a", "invalid", compile_s=0.0, ttft_s=0.5, seconds=2.0, steps=5),
        document("one", "a", "valid", compile_s=0.0, ttft_s=0.5, seconds=0.0, steps=1),
    ])["engines"]  # fmt: skip
    entry = found["e"]
    assert (entry["compile_ms"], entry["ttft_ms"], entry["tpot_ms"]) == (500, 1000, 1000)
    assert (entry["tokens_per_second"], entry["speed"]) == (1, 0.5)
    assert found["one"]["tpot_ms"] is None and found["one"]["tokens_per_second"] is None
    assert [form(found["one"][key]) for key, (_, form) in METRICS.items()].count("") == 7


def test_a_schema_s_last_record_counts() -> None:
    found = metrics_of([document("e", "a", "error"), document("e", "a", "valid")])
    assert found["engines"]["e"]["empirical"] == 1 and found["failures"] == []


class Two:
    """Allows token 1, then token 2."""

    name, version = "two", "0"

    def __init__(self) -> None:
        self.row: Row = np.zeros(1, dtype=np.int32)
        self.place = 0

    def compile(self, schema: Any, reading: Reading = AS_WRITTEN) -> Two:
        return self

    def start(self) -> Walk:
        return Walk(self.fill, self.accept)

    def fill(self) -> None:
        self.row[0] = 1 << (1 + self.place)

    def accept(self, token: int) -> bool:
        taken = token == 1 + self.place
        self.place += 1
        return taken


def test_an_engine_s_masks_reach_the_scores() -> None:
    torch = pytest.importorskip("torch")
    processor = EngineMasks(Two(), {})
    scores = torch.tensor([[5.0, 1.0, 2.0, 3.0]])
    assert int(processor(torch.tensor([[0]]), scores).argmax()) == 1
    assert int(processor(torch.tensor([[0, 1]]), scores).argmax()) == 2
    assert scores.isfinite().all()  # the model's own are left alone
    with pytest.raises(RuntimeError, match="refuses"):
        processor(torch.tensor([[0, 1, 3]]), scores)


def test_made_questions_have_their_answers() -> None:
    for question in last_letter(20, seed=3):
        [words] = re.findall(r'words in "(\w+) (\w+)"', question.prompt)
        assert question.gold == words[0][-1] + words[1][-1]
    for question in shuffled_objects(20, seed=3):
        story, _, rest = question.prompt.partition(" What does ")
        has = dict(re.findall(r"(\w+) has the (\w+ \w+)", story))
        for one, other in re.findall(r"(\w+) and (\w+) swap", story):
            has[one], has[other] = has[other], has[one]
        options = dict(re.findall(r"\((\w)\) the (\w+ \w+)", rest))
        assert options[question.gold] == has[rest.split()[0]]
    assert (
        [q.gold for q in last_letter(9, 1)] == [q.gold for q in last_letter(9, 1)] != [q.gold for q in last_letter(9)]
    )


def test_gsm8k_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gsm8k.jsonl"
    path.write_text(json.dumps({"question": "How many?", "answer": "Many. #### 1,200"}) + "\n")
    [question] = gsm8k(path, 5)
    assert question.gold == "1200" and right(question, '{"reasoning": "", "answer": 1200.0}')
    with pytest.raises(Exception, match="GSM8K"):
        list(gsm8k(tmp_path / "nothing", 1))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"reasoning": "x", "answer": "me"}', "me"),
        ('Sure! {"answer": 4} and more', "4"),
        ("The answer is: (B).", "B"),
        ('{"answer": "cut o', "cut"),
        ("no idea", ""),
    ],
)
def test_answers_are_found(text: str, answer: str) -> None:
    assert answer_in(text) == answer


def test_an_answer_is_right_as_text_or_number() -> None:
    question = Question("t", 0, "", {}, "B")
    assert right(question, "the answer is (B).") and not right(question, '{"answer": "A"}')
