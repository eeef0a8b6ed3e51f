"""Documents written by a real model under the constraint: every one must be valid, and cost next to nothing.

Modes: `greedy`, `sampled` (temperature 1, no truncation), `batch` (four prompts with four schemas at once, left
padded) and `beams` (three). In greedy mode each schema is also generated freely, for exactly as many tokens, the two
in alternating order: the ratio of their speeds is what the constraint costs. Speed counts from the first token's
processor call to the last one's, so that reading the prompt does not dilute it.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from grammars.errors import GuidedError
from guided.demo.judge import Judge
from guided.demo.model import LoadedModel
from jsonschemabench.data import Definition

__all__ = ["GENERATION_SPLITS", "MODES", "Document", "ModeReport", "choose", "generate_all", "prompt_for"]

GENERATION_SPLITS = ("Glaiveai2K", "Github_easy", "BFCL")
MODES = ("greedy", "sampled", "batch", "beams")
BATCH, BEAMS = 4, 3
PROMPT_SCHEMA_CHARACTERS = 600  # enough to say what is wanted; reading longer prompts only takes time


@dataclass(frozen=True, slots=True)
class Document:
    """One output. `problem` "" when valid; seconds of its tokens, and of as many free ones (0: not timed)."""

    schema: str
    text: str
    problem: str
    tokens: int
    seconds: float = 0.0
    free_seconds: float = 0.0


@dataclass(slots=True)
class ModeReport:
    """All documents of one mode."""

    mode: str
    documents: list[Document] = field(default_factory=list)

    @property
    def valid(self) -> int:
        return sum(not document.problem for document in self.documents)

    def timed(self) -> list[Document]:
        return [document for document in self.documents if document.seconds and document.free_seconds]

    def speed_ratio(self) -> tuple[float, float]:
        """Constrained over free tokens per second: of the whole, and the median over schemas; (0, 0) untimed."""
        timed = self.timed()
        if not timed:
            return 0.0, 0.0
        whole = sum(d.free_seconds for d in timed) / sum(d.seconds for d in timed)
        return whole, statistics.median(d.free_seconds / d.seconds for d in timed)


class Clocked:
    """A processor around processors that notes when it was called for each token."""

    def __init__(self, processors: Sequence[Callable[[Any, Any], Any]] = ()) -> None:
        self.processors = tuple(processors)
        self.times: list[float] = []

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        self.times.append(time.perf_counter())
        for processor in self.processors:
            scores = processor(input_ids, scores)
        return scores

    def span(self, tokens: int) -> float:
        """Seconds from the first token's call to the call for token `tokens`: so many steps less one, prompt apart."""
        return self.times[tokens - 1] - self.times[0]


def prompt_for(definition: Definition) -> str:
    """One user turn that shows the schema, cut to a length a small model can read."""
    text = json.dumps(definition.schema, ensure_ascii=False)
    if len(text) > PROMPT_SCHEMA_CHARACTERS:
        text = text[:PROMPT_SCHEMA_CHARACTERS] + " ..."
    return f"Write one JSON document with made-up values that satisfies this JSON Schema:\n{text}"


def choose(definitions: Sequence[Definition], compile_schema: Callable[[Any], Any], tokens: int) -> list[Definition]:
    """Those that compile and have a document within half the tokens."""
    chosen = []
    for definition in definitions:
        try:
            matcher = compile_schema(definition.schema)
        except GuidedError:
            continue
        if matcher.min_tokens() <= tokens // 2:
            chosen.append(definition)
    return chosen


def run(
    loaded: LoadedModel, inputs: Any, processors: Sequence[Any], tokens: int, **options: Any
) -> tuple[Any, Clocked]:
    """New ids [rows, n] and the clock of its tokens."""
    import torch
    from transformers import LogitsProcessorList

    clock = Clocked(processors)
    with torch.inference_mode():
        ids = loaded.model.generate(
            **inputs, logits_processor=LogitsProcessorList([clock]), max_new_tokens=tokens, **options
        )
    return ids[:, inputs["input_ids"].shape[1] :], clock


def document(
    loaded: LoadedModel, definition: Definition, ids: Any, seconds: float = 0.0, free_seconds: float = 0.0
) -> Document:
    """One row of ids as a judged document; the padding after its end is not counted."""
    text = loaded.text(ids)
    ends = (ids == loaded.tokenizer.eos_token_id).nonzero()
    count = int(ends[0]) + 1 if len(ends) else len(ids)
    problem = Judge(definition.schema).complaint(text)
    return Document(definition.name, text, problem, count, seconds, free_seconds)


def generate_greedy(
    loaded: LoadedModel, definition: Definition, constrain: Callable[[Definition], Any], tokens: int, turn: int
) -> Document:
    """Constrained and free, one after the other, free first on odd turns; both timed over the same number of tokens."""
    inputs = loaded.chat(prompt_for(definition))

    def free(count: int) -> Clocked:
        return run(loaded, inputs, (), count, do_sample=False, min_new_tokens=count)[1]

    before = free(tokens) if turn % 2 else None
    ids, clock = run(loaded, inputs, constrain(definition), tokens, do_sample=False)
    count = ids.shape[1]
    beside = before or free(count)
    return document(loaded, definition, ids[0], clock.span(count), beside.span(count))


def generate_batch(
    loaded: LoadedModel,
    definitions: Sequence[Definition],
    constrain: Callable[[Definition], Any],
    batch: Callable[[list[Any]], Any],
    tokens: int,
) -> list[Document]:
    """Several prompts at once, each with its own constraint, left padded."""
    prompts = [
        loaded.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt_for(definition)}], add_generation_prompt=True, tokenize=False
        )
        for definition in definitions
    ]
    loaded.tokenizer.padding_side = "left"
    inputs = loaded.tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    processors = batch([constrain(definition) for definition in definitions])
    ids, _ = run(loaded, inputs, processors, tokens, do_sample=False)
    return [document(loaded, definition, row) for definition, row in zip(definitions, ids, strict=True)]


def generate_all(
    loaded: LoadedModel,
    definitions: Sequence[Definition],
    modes: Sequence[str],
    constrain: Callable[[Definition], Any],
    batch: Callable[[list[Any]], Any],
    tokens: int,
    seed: int,
) -> Iterator[tuple[str, Document]]:
    """Every mode over every schema; yields documents as they are written."""
    import torch

    for mode in modes:
        torch.manual_seed(seed)
        if mode == "batch":
            for first in range(0, len(definitions), BATCH):
                group = definitions[first : first + BATCH]
                for written in generate_batch(loaded, group, constrain, batch, tokens):
                    yield mode, written
            continue
        for turn, definition in enumerate(definitions):
            if mode == "greedy":
                yield mode, generate_greedy(loaded, definition, constrain, tokens, turn)
                continue
            options: dict[str, Any] = {"do_sample": False, "num_beams": BEAMS}
            if mode == "sampled":
                options = {"do_sample": True, "temperature": 1.0, "top_k": 0}
            inputs = loaded.chat(prompt_for(definition))
            ids, _ = run(loaded, inputs, constrain(definition), tokens, **options)
            yield mode, document(loaded, definition, ids[0])


METRICS: dict[str, Any] = {}


def metrics_of(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {"engines": {}, "failures": []}
