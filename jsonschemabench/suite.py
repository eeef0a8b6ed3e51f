"""The official JSON Schema Test Suite at mask level: is each instance, token by token, allowed or refused as it should?

A schema is compiled with the draft of its folder and the suite's `remotes/` as the documents it may refer to. An
instance is written compact, tokenised, and walked: each token must be allowed by the mask and taken, and the end must
be allowed after the last. A schema that an engine calls unsatisfiable refuses everything, which is a verdict.

Outcomes of a case: `right`; `wrong accept`; `wrong refuse`; `refused` (the engine says, at compile or on the way, that
it cannot do this schema); `crash` (it died, hung, or raised what is no refusal). Formats assert in `optional/format`
and annotate elsewhere, as the suite means it; so do contents in `optional/content`.
"""

from __future__ import annotations

import contextlib
import json
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grammars.errors import GuidedError
from jsonschemabench.data import DataMissing
from jsonschemabench.engines import Engine, EngineFailure, Reading, Session, Unsatisfiable
from jsonschemabench.guard import Beacon, Limits, Record
from jsonschemabench.masks import COMPILE, TimeLimit, allowed, describe, limited
from jsonschemabench.tokens import Tools

__all__ = [
    "DRAFTS",
    "OUTCOMES",
    "Group",
    "SuiteJob",
    "group_of",
    "read_groups",
    "read_remotes",
    "tally_cases",
    "unpacked",
]

DRAFTS = ("draft4", "draft6", "draft7", "draft2019-09", "draft2020-12")
"""Folders of the suite that are run by default; it also has draft3, v1 and latest (a link)."""

OUTCOMES = ("right", "wrong accept", "wrong refuse", "refused", "crash")
REMOTE = "http://localhost:1234/"
SUITE_ARCHIVE = "json-schema-test-suite.tar.xz"


@dataclass(frozen=True, slots=True)
class Group:
    """One schema of the suite with its cases. `file` is relative to the draft's folder."""

    draft: str
    file: str
    number: int
    description: str
    schema: Any
    tests: tuple[tuple[str, Any, bool], ...]  # description, data, valid

    @property
    def key(self) -> tuple[str, str]:
        return self.draft, f"{self.file}#{self.number}"

    @property
    def keyword(self) -> str:
        """`optional/format/date` for `optional/format/date.json`."""
        return self.file.removesuffix(".json")

    @property
    def asserts_formats(self) -> bool:
        return self.file.startswith(("optional/format", "format/"))


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The suite's folder: `path` itself, or what its archive holds for as long as the context lasts."""
    if path.is_dir():
        yield path
        return
    if not path.is_file():
        raise DataMissing(
            f"no JSON Schema Test Suite in {path}.\n  Give --suite a folder or a tar archive of "
            "github.com/json-schema-org/JSON-Schema-Test-Suite."
        )
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
        roots = sorted(Path(folder).glob("**/tests"))
        yield roots[0].parent if roots else Path(folder)


def read_remotes(suite: Path) -> dict[str, Any]:
    """`remotes/` by address."""
    root = suite / "remotes"
    return {
        REMOTE + path.relative_to(root).as_posix(): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(root.rglob("*.json"))
    }


def read_groups(suite: Path, drafts: Sequence[str] = DRAFTS, *, optional: bool = False) -> Iterator[Group]:
    """All groups of the drafts' folders, in order; the optional and format files only when asked for."""
    for draft in drafts:
        root = suite / "tests" / draft
        if not root.is_dir():
            there = ", ".join(sorted(path.name for path in (suite / "tests").glob("*") if path.is_dir()))
            raise DataMissing(f"no draft {draft!r} in {suite / 'tests'}.\n  There are: {there}")
        for path in sorted(root.rglob("*.json")):
            file = path.relative_to(root).as_posix()
            if "/" in file and not optional:
                continue
            for number, group in enumerate(json.loads(path.read_text(encoding="utf-8"))):
                tests = tuple((test["description"], test["data"], test["valid"]) for test in group["tests"])
                yield Group(draft, file, number, group["description"], group["schema"], tests)


def written(data: Any) -> str:
    """An instance as text: compact; escaped where it holds half a surrogate pair, which UTF-8 cannot write."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(data, separators=(",", ":"))
    return text


def accepts(engine: Engine, session: Session, tokens: Sequence[int], eos_ids: Sequence[int]) -> bool:
    """Whether every token and then the end is allowed."""
    walk = session.start()
    for token in tokens:
        walk.fill()
        if not allowed(engine.row, token):
            return False
        if not walk.accept(token):
            raise RuntimeError(f"the mask allows token {token} and advancing refuses it")
    walk.fill()
    return any(allowed(engine.row, token) for token in eos_ids)


def outcome_of(error: Exception) -> str:
    """What an exception means: engines refuse by `EngineFailure` or the project's errors; anything else is a crash."""
    refuses = isinstance(error, EngineFailure | GuidedError) and not isinstance(error, TimeLimit)
    return "refused" if refuses else "crash"


@dataclass(frozen=True, slots=True)
class SuiteJob:
    """Judges groups in a worker."""

    remotes: Mapping[str, Any]

    def warm_up(self, engines: Mapping[int, Engine], tools: Tools) -> None:
        for engine in engines.values():
            accepts(engine, engine.compile({"type": "array"}), tools.encode("[1]"), tools.eos_ids)

    def run(
        self, task: Group, engines: Mapping[int, Engine], tools: Tools, beacon: Beacon, limits: Limits
    ) -> tuple[list[Record], bool]:
        records: list[Record] = []
        spent = False
        for index, engine in engines.items():
            beacon.enter(index, COMPILE, limits.seconds)
            verdicts = self.judge(task, engine, tools, limits)
            spent = spent or any(detail.startswith(("TimeLimit", "MemoryError")) for _, detail in verdicts)
            records += self.records(task, engine.name, verdicts)
        return records, spent

    def judge(self, group: Group, engine: Engine, tools: Tools, limits: Limits) -> list[tuple[str, str]]:
        """Outcome and detail of each case."""
        reading = Reading(
            group.draft.removeprefix("draft"),
            "assert" if group.asserts_formats else "annotate",
            "assert" if group.file == "optional/content.json" else "annotate",
            self.remotes,
        )
        session: Session | None = None
        verdicts: list[tuple[str, str]] = []
        try:
            with limited(limits.seconds):
                with contextlib.suppress(Unsatisfiable):
                    session = engine.compile(group.schema, reading)
                for _, data, valid in group.tests:
                    verdicts.append(judge_case(engine, session, data, valid, tools))
        except Exception as error:
            rest = len(group.tests) - len(verdicts)
            verdicts += [(outcome_of(error), describe(error))] * rest
        return verdicts

    def records(self, group: Group, engine: str, verdicts: Iterable[tuple[str, str]]) -> list[Record]:
        return [
            {
                "kind": "case", "engine": engine, "draft": group.draft, "file": group.file, "group": group.number,
                "case": number, "outcome": outcome, "valid": valid,
                **({} if outcome == "right" else {
                    "detail": detail, "description": f"{group.description}: {description}",
                    "schema": group.schema, "data": data,
                }),
            }
            for number, ((outcome, detail), (description, data, valid)) in enumerate(
                zip(verdicts, group.tests, strict=True)
            )
        ]  # fmt: skip

    def crashed(self, task: Group, engine: str, stage: int, reason: str) -> list[Record]:
        return self.records(task, engine, [("crash", reason)] * len(task.tests))


def judge_case(engine: Engine, session: Session | None, data: Any, valid: bool, tools: Tools) -> tuple[str, str]:
    """Outcome and detail of one case; no session: unsatisfiable."""
    try:
        accepted = session is not None and accepts(engine, session, tools.encode(written(data)), tools.eos_ids)
    except TimeLimit:
        raise
    except Exception as error:
        return outcome_of(error), describe(error)
    if accepted == valid:
        return "right", ""
    return ("wrong accept", "") if accepted else ("wrong refuse", "unsatisfiable, it says" if session is None else "")


def group_of(record: Record) -> tuple[str, str] | None:
    """The key of the group that a record belongs to."""
    return (record["draft"], f"{record['file']}#{record['group']}") if record["kind"] == "case" else None


def tally_cases(records: Iterable[Record]) -> dict[str, dict[tuple[str, str], Counter[str]]]:
    """Engine -> (draft, keyword) -> outcome -> number of cases."""
    tallies: dict[str, dict[tuple[str, str], Counter[str]]] = {}
    for record in records:
        if record["kind"] == "case":
            place = record["draft"], record["file"].removesuffix(".json")
            tallies.setdefault(record["engine"], {}).setdefault(place, Counter())[record["outcome"]] += 1
    return tallies
