"""Does structure hurt the answer? The benchmark's quality tasks, each with a schema for reasoning and answer.

Last Letter (join the last letters of names) and Shuffled Objects (three people swap three things) are made here from a
seed; GSM8K is read from a file of JSON lines with `question` and `answer` (the number after `####`). Free text is
searched for its answer: JSON first, then what follows the last "answer".
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschemabench.data import DataMissing

__all__ = ["Question", "answer_in", "gsm8k", "last_letter", "right", "shuffled_objects"]

NAMES = ("Ada Alan Barbara Claude Dana Edsger Frances Grace Hedy Ivan Jean Karen Leslie Margaret Niklaus Ole Peter "
         "Radia Sophie Tim Ursula Vint Wanda Yukihiro Zoe").split()  # fmt: skip
THINGS = "red ball,blue book,green hat,yellow cup,black pen,white kite".split(",")


@dataclass(frozen=True, slots=True)
class Question:
    """One item of a task: the prompt, the schema of its answer, and the answer that is right."""

    task: str
    number: int
    prompt: str
    schema: dict[str, Any]
    gold: str


def form(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"reasoning": {"type": "string", "maxLength": 160}, "answer": answer},
        "required": ["reasoning", "answer"],
        "additionalProperties": False,
    }


SHAPE = 'Reply with JSON: {"reasoning": "...", "answer": "..."}.'


def last_letter(count: int, seed: int = 0) -> Iterator[Question]:
    """The last letters of two names, joined."""
    rng = random.Random(f"{seed}/last letter")
    for number in range(count):
        names = rng.sample(NAMES, 2)
        example = 'For "Tim Zoe" the reply is {"reasoning": "Tim ends with m, Zoe with e", "answer": "me"}.'
        prompt = f'Take the last letters of the words in "{" ".join(names)}" and join them. {SHAPE} {example}'
        gold = "".join(name[-1] for name in names)
        yield Question("last_letter", number, prompt, form({"type": "string", "pattern": "^[a-z]{2}$"}), gold)


def shuffled_objects(count: int, seed: int = 0) -> Iterator[Question]:
    """Who has what after three swaps, as a choice of three."""
    rng = random.Random(f"{seed}/shuffled objects")
    for number in range(count):
        people, things = rng.sample(NAMES, 3), rng.sample(THINGS, 3)
        has = dict(zip(people, things, strict=True))
        start = ", ".join(f"{person} has the {thing}" for person, thing in has.items())
        swaps = []
        for _ in range(3):
            one, other = rng.sample(people, 2)
            has[one], has[other] = has[other], has[one]
            swaps.append(f"{one} and {other} swap")
        asked = rng.choice(people)
        options = "; ".join(f"({letter}) the {thing}" for letter, thing in zip("ABC", things, strict=True))
        story = f"{start}. Then {', then '.join(swaps)}."
        prompt = f"{story} What does {asked} have now? Options: {options}. {SHAPE} The answer is A, B or C."
        yield Question(
            "shuffled_objects", number, prompt, form({"enum": ["A", "B", "C"]}), "ABC"[things.index(has[asked])]
        )


def gsm8k(path: Path, count: int) -> Iterator[Question]:
    """The first questions of a GSM8K file."""
    if not path.is_file():
        raise DataMissing(f"no file {path}.\n  GSM8K is a file of JSON lines with question and answer.")
    with path.open(encoding="utf-8") as lines:
        for number, line in zip(range(count), lines, strict=False):
            record = json.loads(line)
            gold = record["answer"].rpartition("####")[2].strip().replace(",", "")
            yield Question("gsm8k", number, f"{record['question']} {SHAPE}", form({"type": "number"}), gold)


def answer_in(text: str) -> str:
    """The answer in a text: of the JSON in it, else what stands after the last "answer"; "" when there is none."""
    decoder = json.JSONDecoder()
    for start in (match.start() for match in re.finditer(r"\{", text)):
        try:
            found, _ = decoder.raw_decode(text, start)
        except ValueError:
            continue
        if isinstance(found, dict) and "answer" in found:
            return str(found["answer"])
    matches = re.findall(r'answer"?\s*(?:is|:|=)*\s*[("]*([\w.,$-]+)', text, re.IGNORECASE)
    return matches[-1] if matches else ""


def right(question: Question, text: str) -> bool:
    """Whether a text answers a question rightly; numbers are compared as numbers."""
    answer = answer_in(text).strip().strip("().$").replace(",", "")
    try:
        return float(answer) == float(question.gold)
    except ValueError:
        return answer == question.gold
