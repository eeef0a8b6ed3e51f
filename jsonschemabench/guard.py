"""Guarded workers: engines run in a process of their own, and what kills it or hangs it costs one row and not the run.

A worker holds all engines, so that they can take turns on one document (ratios of times need that). What tells them
apart when it dies is the *beacon*, three shared numbers written before each call into an engine: which one, at which
stage, until when. The parent sees a death or a missed deadline, enters a row for the engine that the beacon names, and
gives the task to a new worker with the other engines.

Limits: seconds for each engine and task (the worker first tries to interrupt itself), and memory beyond what the
started engines take, as the system's limit on address space: an allocation beyond it fails in the worker alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import multiprocessing
import multiprocessing.connection
import os
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from grammars.errors import GuidedError
from jsonschemabench.engines import Engine, create_engine
from jsonschemabench.tokens import Tools, load_tools

__all__ = ["Beacon", "Crew", "Job", "Limits", "Recipe", "Record"]

Record = dict[str, Any]

IDLE, STARTING = -1, -2
GRACE = 5.0  # seconds between a deadline and the end of the worker that missed it
START_LIMIT = 600.0  # seconds for one engine to read the vocabulary, compile its kernels and warm up


class Beacon:
    """Three shared doubles: engine, stage, deadline on the monotonic clock that all processes share."""

    def __init__(self, cells: Any) -> None:
        self.cells = cells

    def enter(self, engine: int, stage: int, seconds: float) -> None:
        self.cells[1], self.cells[2] = stage, time.monotonic() + seconds
        self.cells[0] = engine

    def leave(self) -> None:
        self.cells[0], self.cells[2] = IDLE, math.inf

    @property
    def engine(self) -> int:
        return int(self.cells[0])

    @property
    def stage(self) -> int:
        return int(self.cells[1])

    @property
    def late(self) -> bool:
        return bool(time.monotonic() > self.cells[2] + GRACE)


@dataclass(frozen=True, slots=True)
class Limits:
    """For each engine: seconds a task, bytes beyond those at the start (0: no limit)."""

    seconds: float = 60.0
    memory: int = 4 << 30


class Job(Protocol):
    """What workers do; its instance is pickled to them."""

    def warm_up(self, engines: Mapping[int, Engine], tools: Tools) -> None:
        """Pay what is paid once in a process, before the clock starts."""
        ...

    def run(
        self, task: Any, engines: Mapping[int, Engine], tools: Tools, beacon: Beacon, limits: Limits
    ) -> tuple[list[Record], bool]:
        """The records of one task, and whether the worker should be replaced (it was interrupted or lacks memory)."""
        ...

    def crashed(self, task: Any, engine: str, stage: int, reason: str) -> list[Record]:
        """The records of a task that killed an engine or made it hang."""
        ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a worker needs to set itself up."""

    job: Job
    engines: tuple[str, ...]
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tokenizer: str = "bytes"
    limits: Limits = Limits()

    @staticmethod
    def label(name: str) -> str:
        """An engine's name in records: of a module in another package, the last part."""
        return name.rpartition(".")[2]


def limit_memory(extra: int) -> None:
    """Let the address space of this process grow by `extra` bytes from now on; where the system knows no such limit,
    nothing happens."""
    if not extra:
        return
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra,) * 2)


def die_with_parent() -> None:
    """Where the system can: a worker in the middle of a call that never ends goes when its parent is killed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def serve(recipe: Recipe, wanted: Sequence[int], cells: Any, pipe: Any, log: str) -> None:
    """A worker's life: create the engines, say so, then task after task until the parent has no more."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    with open(log, "ab", buffering=0) as output:  # what engines print would tear the progress bar
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    beacon = Beacon(cells)
    tools = load_tools(recipe.tokenizer)
    engines: dict[int, Engine] = {}
    facts: dict[int, Any] = {}
    for index in wanted:
        name = recipe.engines[index]
        start = time.perf_counter()
        beacon.enter(index, STARTING, START_LIMIT)
        try:
            engine = create_engine(name, tools.tokenizer, recipe.options.get(name, {}))
            engine.name = recipe.label(name)
            recipe.job.warm_up({index: engine}, tools)
        except Exception as error:
            facts[index] = f"{type(error).__name__}: {error}"
            continue
        engines[index] = engine
        facts[index] = {"version": engine.version, "start_seconds": round(time.perf_counter() - start, 3)}
    beacon.leave()
    limit_memory(recipe.limits.memory)
    pipe.send(facts)
    while (order := pipe.recv()) is not None:
        task, chosen = order
        pipe.send(recipe.job.run(task, {i: engines[i] for i in chosen}, tools, beacon, recipe.limits))
        beacon.leave()


class Worker:
    """One process, seen from the parent."""

    def __init__(self, recipe: Recipe, wanted: Sequence[int]) -> None:
        context = multiprocessing.get_context("spawn")
        self.beacon = Beacon(context.RawArray("d", [IDLE, 0.0, math.inf]))
        self.pipe, theirs = context.Pipe()
        handle, self.log = tempfile.mkstemp(prefix="jsonschemabench-", suffix=".log")
        os.close(handle)
        self.process = context.Process(target=serve, args=(recipe, tuple(wanted), self.beacon.cells, theirs, self.log))
        self.process.daemon = True
        self.process.start()
        theirs.close()
        self.ready = False
        self.task: Any = None
        self.chosen: tuple[int, ...] = ()

    def give(self, task: Any, chosen: tuple[int, ...]) -> None:
        self.task, self.chosen = task, chosen
        self.pipe.send((task, chosen))

    def end(self, reason: str = "") -> str:
        """Stop it; says how it ended, `reason` if it had to be killed."""
        alive = self.process.is_alive()
        if alive:
            self.process.kill()
        self.process.join()
        self.pipe.close()
        last = last_line(Path(self.log))
        Path(self.log).unlink(missing_ok=True)
        code = self.process.exitcode or 0
        if alive and reason:
            return reason
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"the process ended with code {code}"
        return f"{how}; its last words: {last}" if last else how


def last_line(path: Path) -> str:
    """What a dead worker wrote last, for the row about its death."""
    with path.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - 2000))
        lines = log.read().decode(errors="replace").split("\n")
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")


class Crew:
    """Runs tasks on `jobs` workers and yields the records of each task as it is done, in no particular order."""

    def __init__(self, recipe: Recipe, jobs: int = 1, *, keep: bool = False) -> None:
        self.recipe, self.jobs = recipe, jobs
        self.keep = keep  # workers stay for the next `run`, until `close`
        self.facts: dict[str, Any] = {}
        """For each engine that started: version and seconds to start."""
        self.missing: dict[str, str] = {}
        """Engines that did not start, and why."""
        self._workers: list[Worker] = []
        self._waiting: list[tuple[Any, tuple[int, ...]]] = []

    def run(self, tasks: Iterable[tuple[Any, Sequence[str]]]) -> Iterator[list[Record]]:
        """For each task and the engines it is for: its records, all engines together."""
        numbers = {name: index for index, name in enumerate(self.recipe.engines)}
        source = iter((task, tuple(numbers[name] for name in names)) for task, names in tasks)
        try:
            while True:
                order = self._next(source)
                if order is None:
                    if not any(worker.task is not None for worker in self._workers):
                        return
                elif not (chosen := tuple(index for index in order[1] if index in self._usable())):
                    continue
                elif idle := [worker for worker in self._workers if worker.ready and worker.task is None]:
                    self._send(idle[0], order[0], chosen)
                    continue
                else:
                    self._waiting.append(order)
                    if len(self._workers) < self.jobs:
                        self._workers.append(Worker(self.recipe, self._usable()))
                yield from self._attend([w for w in self._workers if w.task is not None or not w.ready])
        finally:
            if not self.keep:
                self.close()

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def _next(self, source: Iterator[tuple[Any, tuple[int, ...]]]) -> tuple[Any, tuple[int, ...]] | None:
        return self._waiting.pop() if self._waiting else next(source, None)

    def _usable(self) -> list[int]:
        usable = [i for i, name in enumerate(self.recipe.engines) if name not in self.missing]
        if not usable:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.missing.items())
            raise GuidedError(f"no engine started.\n  {reasons}")
        return usable

    def _send(self, worker: Worker, task: Any, chosen: tuple[int, ...]) -> None:
        with contextlib.suppress(OSError):  # it died while idle: `_attend` finds that out
            worker.give(task, chosen)

    def _attend(self, busy: Sequence[Worker]) -> Iterator[list[Record]]:
        """Wait a moment; take in answers, deaths and missed deadlines."""
        heard = multiprocessing.connection.wait([w.pipe for w in busy], timeout=0.2)
        for worker in busy:
            if worker.pipe in heard:
                try:
                    answer = worker.pipe.recv()
                except (EOFError, OSError):
                    yield from self._bury(worker, "")
                    continue
                yield from self._answer(worker, answer)
            elif worker.beacon.late:
                yield from self._bury(worker, "the time limit passed and the call did not return")

    def _answer(self, worker: Worker, answer: Any) -> Iterator[list[Record]]:
        if not worker.ready:
            worker.ready = True
            for index, fact in answer.items():
                name = self.recipe.engines[index]
                if isinstance(fact, str):
                    self.missing.setdefault(name, fact)
                else:
                    self.facts.setdefault(name, fact)
            return
        records, spent = answer
        worker.task = None
        if spent:
            self._remove(worker)
        yield records

    def _remove(self, worker: Worker, reason: str = "") -> str:
        self._workers.remove(worker)
        return worker.end(reason)

    def _bury(self, worker: Worker, reason: str) -> Iterator[list[Record]]:
        """A worker died or hangs: enter it for the engine at work, give the task to the others."""
        engine, stage, task = worker.beacon.engine, worker.beacon.stage, worker.task
        how = self._remove(worker, reason)
        if engine < 0:
            raise GuidedError(f"a worker died outside of any engine: {how}")
        name = self.recipe.engines[engine]
        if not worker.ready:
            self.missing[name] = f"it did not start: {how}"
            return
        others = tuple(index for index in worker.chosen if index != engine)
        if others:
            self._waiting.append((task, others))
        yield self.recipe.job.crashed(task, self.recipe.label(name), stage, how)
