"""What is written in the benchmarks of speculation: JSON from a prompt's facts, corrections, free text.

Prompts are our own. Each JSON task names all its facts, so that the form is what takes the model's time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from guided.demo.cases import CASES


@dataclass(frozen=True, slots=True)
class Task:
    kind: str  # "json", "correct", "free"
    name: str
    prompt: str
    schema: Any = None


SENTENCES = {
    "harbour": (
        "She dont know where the keys is, so she have asked the man which sell tickets at the harbour. He tell her "
        "that the ferry was leaving since ten minutes and that the next one leave at noon."
    ),
    "garden": (
        "Last summer me and my brother was planting tomatos in the garden behind the house. Every morning we goes out "
        "to water them before the sun get too hot, and in august we has more tomatos than we could eat."
    ),
    "meeting": (
        "The meeting have been moved to thursday because most of the team are traveling on wednesday. Please brings "
        "the printed report, the list of open question and a pen, there is no computer in the room."
    ),
}
FREE = {
    "rain": "Explain to a child why it rains, in one paragraph.",
    "letter": "Write a short letter to a friend about moving to a new city.",
    "steps": "List five steps to bake a simple bread, one sentence each.",
}

TASKS = [
    *(Task("json", case.name, case.prompt, case.schema) for case in CASES),
    *(
        Task("correct", name, f"Correct the grammar of this text and repeat all of it, changing nothing else:\n{text}")
        for name, text in SENTENCES.items()
    ),
    *(Task("free", name, prompt) for name, prompt in FREE.items()),
]
