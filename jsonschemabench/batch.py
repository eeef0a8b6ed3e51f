"""Masks of a whole batch at once: what a server with many sequences asks of an engine, on one thread and on several.

Sequences of different schemas walk their valid instances in step; a step fills the masks of all rows, and only that is
timed. A sequence that has ended begins anew, so that the batch stays full.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from jsonschemabench.data import Definition
from jsonschemabench.engines import EngineFailure
from jsonschemabench.guard import Record
from jsonschemabench.masks import allowed
from jsonschemabench.tokens import Tools

__all__ = ["BATCHERS", "Batcher", "measure_batch"]

Rows = npt.NDArray[np.int32]


class Batcher(Protocol):
    """An engine that fills the masks of many sequences."""

    rows: Rows

    def begin(self, row: int, schema: Any) -> None:
        """Compile a schema (remembered) and start row `row` of the batch with it."""
        ...

    def fill(self) -> None: ...

    def accept(self, row: int, token: int) -> bool: ...


class GuidedBatcher:
    """`guided.fill_masks`."""

    def __init__(self, tokenizer: Any, size: int, threads: int) -> None:
        import guided

        self._guided, self._threads = guided, threads
        self._vocabulary = guided.Vocabulary.from_tokenizer(tokenizer)
        self._grammars: dict[str, Any] = {}
        self._matchers: list[Any] = [None] * size
        self.rows: Rows = np.zeros((size, self._vocabulary.words), dtype=np.int32)

    def begin(self, row: int, schema: Any) -> None:
        key = json.dumps(schema)
        if key not in self._grammars:
            try:
                self._grammars[key] = self._guided.compile_json_schema(schema, property_order="any")
            except self._guided.GuidedError as error:
                raise EngineFailure(str(error)) from error
        self._matchers[row] = self._guided.Matcher(self._grammars[key], self._vocabulary)

    def fill(self) -> None:
        self._guided.fill_masks(self._matchers, self.rows, threads=self._threads)

    def accept(self, row: int, token: int) -> bool:
        return bool(self._matchers[row].accept(token))


class LlguidanceBatcher:
    """`LLExecutor`."""

    def __init__(self, tokenizer: Any, size: int, threads: int) -> None:
        import llguidance.hf

        self._llguidance = llguidance
        self._tokenizer = llguidance.hf.from_tokenizer(tokenizer)
        self._executor = llguidance.LLExecutor(num_threads=threads)
        self.rows: Rows = np.zeros((size, (self._tokenizer.vocab_size + 31) // 32), dtype=np.int32)
        self._tasks: list[tuple[Any, int]] = [(None, row) for row in range(size)]

    def begin(self, row: int, schema: Any) -> None:
        matcher_of = self._llguidance.LLMatcher
        matcher = matcher_of(self._tokenizer, matcher_of.grammar_from_json_schema(json.dumps(schema)), log_level=0)
        if matcher.is_error():
            raise EngineFailure(matcher.get_error())
        self._tasks[row] = (matcher, row)

    def fill(self) -> None:
        width = self.rows.shape[1] * 4
        self._executor.unsafe_compute_mask_ptr(self._tasks, self.rows.ctypes.data, width, len(self.rows))

    def accept(self, row: int, token: int) -> bool:
        return bool(self._tasks[row][0].consume_token(token))


class XgrammarBatcher:
    """`BatchGrammarMatcher`."""

    def __init__(self, tokenizer: Any, size: int, threads: int) -> None:
        import xgrammar

        self._xgrammar = xgrammar
        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=len(tokenizer))
        self._compiler = xgrammar.GrammarCompiler(info, max_threads=1)
        self._batch = xgrammar.BatchGrammarMatcher(max_threads=threads)
        self._bitmask = xgrammar.allocate_token_bitmask(size, info.vocab_size)
        self.rows: Rows = self._bitmask.numpy()
        self._matchers: list[Any] = [None] * size

    def begin(self, row: int, schema: Any) -> None:
        try:
            compiled = self._compiler.compile_json_schema(json.dumps(schema), strict_mode=False, any_order=True)
        except (RuntimeError, ValueError) as error:
            raise EngineFailure(str(error)) from error
        self._matchers[row] = self._xgrammar.GrammarMatcher(compiled)

    def fill(self) -> None:
        self._batch.batch_fill_next_token_bitmask(self._matchers, self._bitmask)

    def accept(self, row: int, token: int) -> bool:
        return bool(self._matchers[row].accept_token(token))


BATCHERS: dict[str, Callable[[Any, int, int], Batcher]] = {
    "guided": GuidedBatcher, "llguidance": LlguidanceBatcher, "xgrammar": XgrammarBatcher,
}  # fmt: skip


def measure_batch(
    batcher: Batcher, definitions: Sequence[Definition], tools: Tools, steps: int, clock: Callable[[], int]
) -> tuple[list[int], int, int]:
    """Nanoseconds of each step, how many schemas took part, and how many documents came to their end.

    A row takes the next valid instance when its last one has ended or was refused.
    """
    work = [(d.schema, tools.encode(json.dumps(i.data, separators=(",", ":"), ensure_ascii=False)))
            for d in definitions for i in d.instances if i.valid]  # fmt: skip
    if not work:
        raise EngineFailure("no valid instances to walk")
    size = len(batcher.rows)
    texts: list[list[int]] = [[] for _ in range(size)]
    places, turn, ended, refused = [0] * size, 0, 0, set()

    def begin(row: int) -> None:
        nonlocal turn
        for _ in range(len(work)):
            number, turn = turn % len(work), turn + 1
            if number in refused:
                continue
            try:
                batcher.begin(row, work[number][0])
            except EngineFailure:
                refused.add(number)
                continue
            texts[row], places[row] = work[number][1], 0
            return
        raise EngineFailure("it compiles none of the schemas")

    for row in range(size):
        begin(row)
    times = []
    for _ in range(steps):
        start = clock()
        batcher.fill()
        times.append(clock() - start)
        for row in range(size):
            place = places[row]
            if place < len(texts[row]) and allowed(batcher.rows[row], texts[row][place]):
                batcher.accept(row, texts[row][place])
                places[row] += 1
                continue
            ended += place == len(texts[row])
            begin(row)
    return times, len(work) - len(refused), ended


def batch_record(engine: str, rows: int, threads: int, times: Sequence[int], documents: int, ended: int) -> Record:
    """One line of results: microseconds of a step."""
    microseconds = np.asarray(times, dtype=np.float64) / 1e3
    return {
        "kind": "batch", "engine": engine, "rows": rows, "threads": threads, "steps": len(times),
        "documents": documents, "ended": int(ended), "avg_us": float(microseconds.mean()),
        **{f"p{p}_us": float(np.percentile(microseconds, p)) for p in (50, 90, 99)},
        "rows_per_second": rows * 1e6 / float(microseconds.mean()),
    }  # fmt: skip


def run_batches(
    names: Sequence[str], definitions: Sequence[Definition], tools: Tools, size: int, threads: Sequence[int], steps: int
) -> list[Record]:
    """Every engine with every number of threads, in turns; a first round over the same work is not counted."""
    records = []
    for count in threads:
        for name in names:
            batcher = BATCHERS[name](tools.tokenizer, size, count)
            measure_batch(batcher, definitions, tools, max(steps // 4, 1), time.perf_counter_ns)
            found = measure_batch(batcher, definitions, tools, steps, time.perf_counter_ns)
            records.append(batch_record(name, size, count, *found))
    return records
