"""Paired mask timing: engines take turns on the same document, in one process, on one thread.

The protocol is MaskBench's. For each schema: time to first mask (TTFM) = compile + first mask. For each instance,
written compact and with default separators and tokenised without special tokens: before each token compute the mask
(its time is one TBM sample), look whether the token is allowed, advance (timed apart: MaskBench's own script adds the
two, here `step`); after the last token the end-of-text token must be allowed.

Which engine goes first rotates from document to document, so that none always finds the caches cold. The garbage
collector is off while the clock runs. A document judged wrongly keeps its times, but the paired comparison uses only
documents that every engine judged rightly: a wrong answer has no time.
"""

from __future__ import annotations

import gc
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from jsonschemabench.data import SPELLINGS, Definition
from jsonschemabench.engines import Engine, EngineFailure, Row, Session, Walk

__all__ = ["COMPILE", "Measurement", "Run", "TimeLimit", "measure", "warm_up"]

COMPILE = -1
"""The stage while a schema is compiled; from 0 on it is the number of a document and spelling."""

SHOWN = 400  # characters of a wrongly judged document that its record keeps

Clock = Callable[[], int]  # nanoseconds
Encode = Callable[[str], list[int]]
Watch = Callable[[int, int, float], None]
Times = list[int] | npt.NDArray[np.int64]
"""Nanoseconds: a list while they are taken, an array when read back."""


class TimeLimit(EngineFailure):
    """An engine took longer over one schema than the limit."""


@dataclass(slots=True)
class Run:
    """One document under one engine. Times in nanoseconds, one of each list a token (and a last mask for the end)."""

    instance: int
    spelling: str
    valid: bool
    accepted: bool = False
    error: str = ""
    text: str = ""  # the beginning of the document, where it was judged wrongly
    masks: Times = field(default_factory=list)
    advances: Times = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Judged as labelled, without an error."""
        return not self.error and self.accepted == self.valid


@dataclass(slots=True)
class Measurement:
    """One schema under one engine; `compile_error` "" when it compiled."""

    split: str
    name: str
    engine: str
    ttfm: int = 0
    compile_error: str = ""
    timed_out: bool = False
    crashed: bool = False
    spent: bool = False  # interrupted or out of memory: not to be trusted with more
    runs: list[Run] = field(default_factory=list)
    features: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        return not self.compile_error and all(run.right for run in self.runs)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `TimeLimit` in the body after so many seconds (a native call is interrupted only when it returns)."""
    possible = hasattr(signal, "SIGALRM") and threading.current_thread() is threading.main_thread()
    if not possible or not math.isfinite(seconds):
        yield
        return

    def stop(*_: object) -> None:
        raise TimeLimit(f"longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """The collector's pauses belong to nobody's mask."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def allowed(row: Row, token: int) -> bool:
    """Whether a mask row allows a token."""
    word = token >> 5
    return word < len(row) and bool(int(row[word]) >> (token & 31) & 1)


def walk_document(walk: Walk, row: Row, tokens: Sequence[int], eos_ids: Sequence[int], run: Run, clock: Clock) -> bool:
    """Follow a document token by token, noting times in `run`; True when all of it, and its end, is allowed."""
    fill, accept = walk.fill, walk.accept
    masks: list[int] = []
    advances: list[int] = []
    run.masks, run.advances = masks, advances
    for token in tokens:
        start = clock()
        fill()
        stop = clock()
        masks.append(stop - start)
        if not allowed(row, token):
            return False
        start = clock()
        taken = accept(token)
        stop = clock()
        advances.append(stop - start)
        if not taken:
            raise EngineFailure(f"the mask allows token {token} and advancing refuses it")
    start = clock()
    fill()
    stop = clock()
    masks.append(stop - start)
    return any(allowed(row, token) for token in eos_ids)


def describe(error: Exception) -> str:
    """An exception on one line, with its type."""
    text = " ".join(str(error).split())
    return (text if type(error) is EngineFailure else f"{type(error).__name__}: {text}")[:300]


def compile_timed(engine: Engine, schema: Any, clock: Clock) -> tuple[Session, int]:
    """Compile and fill the first mask: the session and the nanoseconds."""
    start = clock()
    session = engine.compile(schema)
    session.start().fill()
    return session, clock() - start


class Turns:
    """One schema under several engines in turns: who still has time, and what was measured."""

    def __init__(self, definition: Definition, engines: Sequence[Engine], clock: Clock, seconds: float, watch: Watch):
        self.definition, self.engines, self.clock, self.watch = definition, engines, clock, watch
        self.results = [Measurement(definition.split, definition.name, engine.name) for engine in engines]
        self.sessions: dict[int, Session] = {}
        self.left = dict.fromkeys(range(len(engines)), seconds)

    @contextmanager
    def allowance(self, index: int, stage: int) -> Iterator[None]:
        """What is left of an engine's time, for one call."""
        started = time.monotonic()
        self.watch(index, stage, self.left[index])
        try:
            with limited(self.left[index]):
                yield
        except (TimeLimit, MemoryError):
            self.results[index].spent = True
            raise
        finally:
            self.left[index] -= time.monotonic() - started

    def compile(self, turn: int) -> None:
        for index in order(len(self.engines), turn):
            result = self.results[index]
            try:
                with self.allowance(index, COMPILE):
                    session, result.ttfm = compile_timed(self.engines[index], self.definition.schema, self.clock)
                self.sessions[index] = session
            except Exception as error:
                result.compile_error = describe(error)
                result.timed_out = isinstance(error, TimeLimit)

    def documents(self, spellings: Sequence[str], encode: Encode, eos_ids: Sequence[int], turn: int) -> None:
        """Every instance in every spelling; the runs of an earlier round are replaced."""
        for index in self.sessions:
            self.results[index].runs = []
        stage = 0
        for number, instance in enumerate(self.definition.instances):
            for spelling in spellings:
                text = json.dumps(instance.data, **SPELLINGS[spelling])
                tokens = encode(text)
                turn += 1
                for index in order(len(self.engines), turn):
                    if index in self.sessions:
                        run = Run(number, spelling, instance.valid)
                        self.results[index].runs.append(run)
                        self.document(index, stage, tokens, eos_ids, run)
                        run.text = "" if run.right else text[:SHOWN]
                stage += 1

    def document(self, index: int, stage: int, tokens: Sequence[int], eos_ids: Sequence[int], run: Run) -> None:
        result = self.results[index]
        try:
            if result.spent:
                raise EngineFailure("not run: the engine's time or memory for this schema was used up before")
            with self.allowance(index, stage):
                walk = self.sessions[index].start()
                run.accepted = walk_document(walk, self.engines[index].row, tokens, eos_ids, run, self.clock)
        except Exception as error:
            run.accepted, run.error = False, describe(error)
            result.timed_out = result.timed_out or isinstance(error, TimeLimit)

    def first_mask_again(self, turn: int) -> None:
        """The time to a first mask where the schema is compiled already: a fresh sequence and its mask."""
        for index in order(len(self.engines), turn):
            if index in self.sessions and not self.results[index].spent:
                start = self.clock()
                self.sessions[index].start().fill()
                self.results[index].ttfm = self.clock() - start


def measure(
    definition: Definition,
    engines: Sequence[Engine],
    encode: Encode,
    eos_ids: Sequence[int],
    *,
    clock: Clock = time.perf_counter_ns,
    time_limit: float = 60.0,
    turn: int = 0,
    spellings: Sequence[str] = ("compact", "default"),
    warm: bool = False,
    watch: Watch = lambda index, stage, seconds: None,
) -> list[Measurement]:
    """Run one schema and all its documents under all engines in turns; `turn` says who begins.

    `warm`: run everything once unseen, then measure a second round with the compiled schemas, as a server meets a
    schema it knows. `time_limit`: seconds for each engine over the whole schema; `math.inf` sets none. `watch` is told
    before each call which engine works, at which stage (a document's number, or `COMPILE`) and how long it may.
    """
    turns = Turns(definition, engines, clock, time_limit, watch)
    gc.collect()
    with no_garbage_collection():
        turns.compile(turn)
        turns.documents(spellings, encode, eos_ids, turn)
        if warm:
            turns.first_mask_again(turn)
            turns.documents(spellings, encode, eos_ids, turn)
    return turns.results


def order(count: int, turn: int) -> list[int]:
    """0..count-1, beginning with another one each turn."""
    return [(turn + i) % count for i in range(count)]


WARM_UP: tuple[tuple[Any, Any], ...] = (
    ({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "array"}}}, {"a": "hello", "b": [1]}),
    ({"type": "array", "items": {"type": ["number", "boolean", "null"]}, "maxItems": 4}, [1.5, -3, True, None]),
    ({"enum": ["red", "green"]}, "red"),
    ({"type": "string", "pattern": "^[a-z]{2,5}$"}, "abc"),
    ({"type": "object", "additionalProperties": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}, {"x": 1}),
)


def warm_up(engines: Sequence[Engine], encode: Encode, eos_ids: Sequence[int]) -> None:
    """Pay what is paid once in a process (kernels loaded, vocabulary read) before the clock starts."""
    definitions: Iterable[Definition] = (
        Definition.from_record("warm-up", {"name": str(i), "schema": s, "tests": [{"valid": True, "data": d}]})
        for i, (s, d) in enumerate(WARM_UP)
    )
    for definition in definitions:
        # No limit here: to interrupt a compiler in the middle of its work would leave half of it behind.
        measure(definition, engines, encode, eos_ids, time_limit=math.inf)
