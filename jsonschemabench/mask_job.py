"""`masks` as a job for guarded workers: one task is one schema with all its documents under all engines in turns."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from jsonschemabench.data import Definition
from jsonschemabench.engines import Engine
from jsonschemabench.guard import Beacon, Limits, Record
from jsonschemabench.masks import COMPILE, Measurement, Run, measure, warm_up
from jsonschemabench.records import schema_record
from jsonschemabench.tokens import Tools

__all__ = ["MaskJob", "definition_of"]


@dataclass(frozen=True, slots=True)
class MaskJob:
    """Measures definitions in a worker."""

    spellings: tuple[str, ...] = ("compact", "default")
    warm: bool = False

    def warm_up(self, engines: Mapping[int, Engine], tools: Tools) -> None:
        warm_up(list(engines.values()), tools.encode, tools.eos_ids)

    def run(
        self, task: Definition, engines: Mapping[int, Engine], tools: Tools, beacon: Beacon, limits: Limits
    ) -> tuple[list[Record], bool]:
        numbers = list(engines)
        results = measure(
            task, list(engines.values()), tools.encode, tools.eos_ids, time_limit=limits.seconds,
            turn=zlib.crc32(task.name.encode()), spellings=self.spellings, warm=self.warm,
            watch=lambda index, stage, seconds: beacon.enter(numbers[index], stage, seconds),
        )  # fmt: skip
        for result in results:
            result.features = task.features
        return [schema_record(result) for result in results], any(result.spent for result in results)

    def crashed(self, task: Definition, engine: str, stage: int, reason: str) -> list[Record]:
        """A compile error, or an error in the document at work; what ran before it died with the process."""
        late = reason.startswith("the time limit")
        result = Measurement(task.split, task.name, engine, timed_out=late, crashed=not late, features=task.features)
        if stage == COMPILE:
            result.compile_error = reason
        else:
            number, spelling = divmod(stage, len(self.spellings))
            run = Run(number, self.spellings[spelling], task.instances[number].valid, error=reason)
            result.runs.append(run)
        return [schema_record(result)]


def definition_of(record: Record) -> tuple[str, str] | None:
    """The key of the definition that a record belongs to."""
    return (record["split"], record["name"]) if record["kind"] == "schema" else None
