"""Runs a job over tasks: what a results file already holds is skipped, what is done is appended at once.

So a run that was killed goes on where it was, with the same totals at the end: the summary is always made from the
file's records and never from what one process happens to remember.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from grammars.errors import GuidedError
from jsonschemabench import records
from jsonschemabench.guard import Crew, Recipe, Record

__all__ = ["AnyCrew", "Keyed", "Results", "run_tasks"]


class Keyed(Protocol):
    """A task that knows its name: the same in every run."""

    @property
    def key(self) -> tuple[str, str]: ...


class AnyCrew(Protocol):
    """Who runs tasks: `guard.Crew` on this machine, `cluster.RayCrew` on a cluster."""

    facts: dict[str, Any]
    missing: dict[str, str]

    def run(self, tasks: Iterable[tuple[Any, Sequence[str]]]) -> Iterator[list[Record]]: ...


class Results:
    """A file of JSON lines, or memory when there is no path."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._kept: list[Record] = []

    def __iter__(self) -> Iterator[Record]:
        if self.path is None:
            yield from self._kept
        elif self.path.exists():
            yield from read_lines(self.path)

    def append(self, new: Sequence[Record]) -> None:
        """Add records; all of one call together."""
        if self.path is None:
            self._kept += new
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as out:
            out.write("".join(json.dumps(record, separators=(",", ":"), ensure_ascii=True) + "\n" for record in new))

    def open(self, mode: str, options: Mapping[str, Any]) -> bool:
        """Write the header, or find that the file holds the same run already: True when it goes on.

        `engines` may differ, so that one engine's rows can be added later. Raises `GuidedError` for another run's file.
        """
        header = next(iter(self), None)
        if header is None:
            self.append([records.header(mode, options)])
            return False
        before, now = ({k: v for k, v in o.items() if k != "engines"} for o in (header.get("options", {}), options))
        now = json.loads(json.dumps(now))
        if header.get("mode") != mode or before != now:
            differ = ", ".join(sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k)))
            raise GuidedError(
                f"{self.path} holds the records of another run ({header.get('mode')}; differs in: {differ or 'mode'})."
                "\n  Choose another --out, or repeat that run's options to go on with it."
            )
        cut_torn_line(self.path)
        return True


def read_lines(path: Path) -> Iterator[Record]:
    """Records of a file; a last line that a kill cut short is left out."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)


def cut_torn_line(path: Path | None) -> None:
    """Take away what stands after the last line's end."""
    if path is None:
        return
    with path.open("rb+") as file:
        size = file.seek(0, 2)
        position, step = size, 1 << 16
        while position > 0:
            start = max(0, position - step)
            file.seek(start)
            found = file.read(position - start).rfind(b"\n")
            if found >= 0:
                file.truncate(start + found + 1)
                return
            position = start
        file.truncate(0)


def run_tasks(
    tasks: Iterable[Keyed],
    recipe: Recipe,
    results: Results,
    done_key: Callable[[Record], tuple[str, str] | None],
    *,
    jobs: int = 1,
    ray: str | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> AnyCrew:
    """Run what is not yet in `results`; `done_key` says which task a record belongs to. Returns the crew, which knows
    versions and which engines did not start. `ray`: the address of a cluster, or "local" for one started here.
    """
    done: dict[tuple[str, str], set[str]] = {}
    for record in results:
        if (key := done_key(record)) is not None:
            done.setdefault(key, set()).add(record["engine"])
    crew: AnyCrew = Crew(recipe, jobs)
    if ray is not None:
        from jsonschemabench.cluster import RayCrew

        crew = RayCrew(recipe, jobs, ray)
    total = len(recipe.engines)

    def open_tasks() -> Iterator[tuple[Any, list[str]]]:
        for task in tasks:
            left = [name for name in recipe.engines if recipe.label(name) not in done.get(task.key, ())]
            if len(left) < total:
                advance(total - len(left))
            if left:
                yield task, left

    for new in crew.run(open_tasks()):
        results.append(new)
        advance(len({record["engine"] for record in new}))
    return crew
