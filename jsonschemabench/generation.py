"""Documents written by a real model: how many are valid, and what the constraint costs.

A *configuration* is who constrains and how the model decodes: `free` (nobody, greedy), an engine (greedy, through its
masks), or guided's own processors in its modes `greedy`, `sampled` (temperature 1, no truncation), `batch` (four
prompts with four schemas at once, left padded) and `beams` (three). Every schema is counted in every configuration:
one that is not compiled, and a text cut off by the limit of tokens, are failures.

Coverage as in JSONSchemaBench (Geng et al. 2025): *declared*, the share of schemas the engine accepts; *empirical*, the
share for which it wrote a valid document; *compliance*, the second over the first; *true*, by proxy the share that it
accepts and whose labelled instances it judges rightly, mask by mask. Speed counts from the first token's processor
call to the last one's, so that reading the prompt does not dilute it.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from grammars.errors import GuidedError
from guided.demo.judge import Judge
from guided.demo.model import LoadedModel
from jsonschemabench.data import Definition
from jsonschemabench.engines import Engine
from jsonschemabench.masks import describe, limited, measure

__all__ = ["FREE", "METRICS", "MODES", "EngineMasks", "choose", "metrics_of", "prompt_for", "truly_covered", "write"]

FREE = "free"
MODES = ("greedy", "sampled", "batch", "beams")
BATCH, BEAMS = 4, 3
COMPILE_LIMIT = 10.0  # seconds, the benchmark's own
PROMPT_SCHEMA_CHARACTERS = 600  # enough to say what is wanted; reading longer prompts only takes time

Record = dict[str, Any]
Constrain = Callable[[Any], Any]
"""A schema -> logits processors for one prompt, made anew each time."""


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


class EngineMasks:
    """Any engine's masks as a logits processor for one row that decodes greedily or by sampling."""

    def __init__(self, engine: Engine, schema: Any) -> None:
        self._engine, self._walk = engine, engine.compile(schema).start()
        self._seen = 0

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import numpy as np
        import torch

        if self._seen and not self._walk.accept(int(input_ids[0, -1])):
            raise RuntimeError("the engine's mask allows a token that it then refuses")
        self._seen += 1
        self._walk.fill()
        width = scores.shape[-1]
        allowed = np.unpackbits(self._engine.row.view(np.uint8), bitorder="little")[:width]
        mask = torch.zeros(width, dtype=torch.bool)
        mask[: len(allowed)] = torch.from_numpy(allowed.astype(bool))
        return scores.masked_fill(~mask, float("-inf"))


Constrained = Mapping[str, tuple[str, Constrain | None]]
"""Configuration -> its mode and who constrains (None: nobody)."""


def prompt_for(definition: Definition) -> str:
    """One user turn that shows the schema, cut to a length a small model can read."""
    text = json.dumps(definition.schema, ensure_ascii=False)
    if len(text) > PROMPT_SCHEMA_CHARACTERS:
        text = text[:PROMPT_SCHEMA_CHARACTERS] + " ..."
    return f"Write one JSON document with made-up values that satisfies this JSON Schema:\n{text}"


def choose(definitions: Sequence[Definition], compile_schema: Callable[[Any], Any], tokens: int) -> list[Definition]:
    """Those with a document within half the tokens, and those that do not compile: they count as failures."""
    chosen = []
    for definition in definitions:
        try:
            matcher = compile_schema(definition.schema)
        except GuidedError:
            chosen.append(definition)
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


def judged(loaded: LoadedModel, definition: Definition, ids: Any) -> Record:
    """One row of ids as a record; the padding after its end is not counted."""
    text = loaded.text(ids)
    ends = (ids == loaded.tokenizer.eos_token_id).nonzero()
    count = int(ends[0]) + 1 if len(ends) else len(ids)
    problem = Judge(definition.schema).complaint(text)
    outcome = "valid" if not problem else "invalid" if len(ends) else "cut off"
    return {"text": text, "tokens": count, "problem": problem, "outcome": outcome}


def document_record(configuration: str, definition: Definition, found: Record) -> Record:
    return {
        "kind": "document", "engine": configuration, "split": definition.split, "schema": definition.name, **found,
    }  # fmt: skip


def write_one(
    loaded: LoadedModel, definition: Definition, mode: str, constrain: Constrain | None, tokens: int
) -> Record:
    """One document: compile, generate, judge; times in seconds."""
    inputs = loaded.chat(prompt_for(definition))
    start = time.perf_counter()
    try:
        with limited(COMPILE_LIMIT):
            processors = constrain(definition.schema) if constrain else ()
    except Exception as error:
        return {"outcome": "not compiled", "problem": describe(error), "text": "", "tokens": 0}
    compiled = time.perf_counter() - start
    options: dict[str, Any] = {"do_sample": False}
    if mode == "sampled":
        options = {"do_sample": True, "temperature": 1.0, "top_k": 0}
    elif mode == "beams":
        options = {"do_sample": False, "num_beams": BEAMS}
    try:
        ids, clock = run(loaded, inputs, processors, tokens, **options)
    except Exception as error:
        return {"outcome": "error", "problem": describe(error), "text": "", "tokens": 0, "compile_s": compiled}
    count = ids.shape[1]
    return {
        **judged(loaded, definition, ids[0]), "compile_s": compiled, "ttft_s": clock.times[0] - start,
        "seconds": clock.span(count), "steps": count,
    }  # fmt: skip


def write_batch(
    loaded: LoadedModel, definitions: Sequence[Definition], constrain: Constrain, batch: Constrain, tokens: int
) -> list[Record]:
    """Several prompts at once, each with its own constraint, left padded; those that do not compile stay out."""
    processors: list[Any] = []
    found: list[Record | None] = []
    for definition in definitions:
        try:
            processors.append(constrain(definition.schema))
            found.append(None)
        except Exception as error:
            found.append({"outcome": "not compiled", "problem": describe(error), "text": "", "tokens": 0})
    writing = [definition for definition, record in zip(definitions, found, strict=True) if record is None]
    rows: Iterator[Any] = iter(())
    if writing:
        prompts = [
            loaded.tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt_for(definition)}], add_generation_prompt=True, tokenize=False
            )
            for definition in writing
        ]
        loaded.tokenizer.padding_side = "left"
        inputs = loaded.tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
        rows = iter(run(loaded, inputs, batch(processors), tokens, do_sample=False)[0])
    return [
        judged(loaded, definition, next(rows)) if record is None else record
        for definition, record in zip(definitions, found, strict=True)
    ]


def write(
    loaded: LoadedModel,
    definitions: Sequence[Definition],
    configurations: Constrained,
    batch: Constrain,
    tokens: int,
    seed: int,
    done: set[tuple[str, str]],
) -> Iterator[list[Record]]:
    """Every schema in every configuration that is not `done`; configurations take turns on a schema."""
    import torch

    for name, (mode, constrain) in configurations.items():
        if mode == "batch" and constrain:
            left = [definition for definition in definitions if (name, definition.name) not in done]
            for first in range(0, len(left), BATCH):
                group = left[first : first + BATCH]
                found = write_batch(loaded, group, constrain, batch, tokens)
                yield [document_record(name, d, record) for d, record in zip(group, found, strict=True)]
    singles = [(name, *how) for name, how in configurations.items() if how[0] != "batch"]
    for turn, definition in enumerate(definitions):
        for place in range(len(singles)):
            name, mode, constrain = singles[(turn + place) % len(singles)]
            if (name, definition.name) not in done:
                torch.manual_seed(seed + turn)
                yield [document_record(name, definition, write_one(loaded, definition, mode, constrain, tokens))]


def truly_covered(
    definition: Definition, engine: Engine, encode: Callable[[str], list[int]], eos: Sequence[int]
) -> bool:
    """Whether an engine compiles a schema and judges its labelled instances rightly."""
    return measure(definition, [engine], encode, eos, time_limit=COMPILE_LIMIT)[0].passed


def metrics_of(records: Sequence[Record]) -> dict[str, Any]:
    """Each configuration's metrics, and the documents that are not valid. A schema's last record counts."""
    documents: dict[str, dict[str, Record]] = {}
    coverage: dict[str, dict[str, bool]] = {}
    answers: dict[str, dict[tuple[str, int], Record]] = {}
    for record in records:
        if record["kind"] == "document":
            documents.setdefault(record["engine"], {})[record["schema"]] = record
        elif record["kind"] == "coverage":
            coverage.setdefault(record["engine"], {})[record["schema"]] = record["covered"]
        elif record["kind"] == "answer":
            answers.setdefault(record["engine"], {})[record["task"], record["number"]] = record
    engines = {}
    for name in dict.fromkeys([*documents, *answers]):
        own = list(documents.get(name, {}).values())
        engines[name] = {
            **document_metrics(own),
            "true": share(list(coverage[name].values())) if name in coverage else None,
            "speed": speed_beside(documents.get(name, {}), documents.get(FREE, {})),
            **{f"accuracy_{task}": share([a["right"] for (t, _), a in answers.get(name, {}).items() if t == task])
               for task in TASKS},
        }  # fmt: skip
    failures = [
        {"engine": r["engine"], "schema": f"{r['split']} / {r['schema']}", "kind": r["outcome"],
         "problem": r["problem"], "text": r["text"]}
        for own in documents.values() for r in own.values() if r["outcome"] != "valid"
    ]  # fmt: skip
    return {"engines": engines, "failures": failures}


TASKS = ("last_letter", "shuffled_objects", "gsm8k")


def share(answers: Sequence[bool]) -> float | None:
    return sum(answers) / len(answers) if answers else None


def median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def document_metrics(own: Sequence[Record]) -> dict[str, Any]:
    """Counts and times of one configuration's documents."""
    accepted = [r for r in own if r["outcome"] != "not compiled"]
    valid = [r for r in own if r["outcome"] == "valid"]
    timed = [r for r in own if r.get("steps", 0) > 1 and r["seconds"] > 0]
    return {
        "schemas": len(own),
        "declared": len(accepted) / len(own) if own else None,
        "empirical": len(valid) / len(own) if own else None,
        "compliance": len(valid) / len(accepted) if accepted else None,
        "cut_off": sum(r["outcome"] == "cut off" for r in own),
        "compile_ms": median([1e3 * r["compile_s"] for r in own if "compile_s" in r]),
        "ttft_ms": median([1e3 * r["ttft_s"] for r in own if "ttft_s" in r]),
        "tpot_ms": median([1e3 * r["seconds"] / (r["steps"] - 1) for r in timed]),
        "tokens_per_second": sum(r["steps"] - 1 for r in timed) / sum(r["seconds"] for r in timed) if timed else None,
    }


def speed_beside(own: Mapping[str, Record], free: Mapping[str, Record]) -> float | None:
    """Tokens per second over those of free text on the same schemas: the median of the ratios."""
    rates = []
    for schema in own.keys() & free.keys():
        pair = (own[schema], free[schema])
        if all(r.get("steps", 0) > 1 and r["seconds"] > 0 for r in pair):
            mine, theirs = ((r["steps"] - 1) / r["seconds"] for r in pair)
            rates.append(mine / theirs)
    return median(rates)


def percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def plain(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if float(value).is_integer() else f"{value:,.3g}"


METRICS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "schemas": ("schemas", plain),
    "declared": ("declared coverage", percent),
    "empirical": ("empirical coverage", percent),
    "compliance": ("compliance", percent),
    "true": ("true coverage, by labelled instances", percent),
    "cut_off": ("cut off by the token limit", plain),
    "compile_ms": ("grammar compile time p50, ms", plain),
    "ttft_ms": ("time to first token p50, ms", plain),
    "tpot_ms": ("time per output token p50, ms", plain),
    "tokens_per_second": ("tokens/s", plain),
    "speed": ("speed beside free text, median", plain),
    "accuracy_last_letter": ("Last Letter, accuracy", percent),
    "accuracy_shuffled_objects": ("Shuffled Objects, accuracy", percent),
    "accuracy_gsm8k": ("GSM8K, accuracy", percent),
}
