"""`python -m jsonschemabench report` and `compare`: what files of results say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from grammars.errors import GuidedError
from jsonschemabench.commands.shared import out, write_report

MOST_CHANGES = 200


def report(
    files: Annotated[list[Path], typer.Argument(help="Files of records (--out), or reports' .json.")],
    path: Annotated[Path, typer.Option("--report", help="Writes PATH.json, PATH.md and PATH.html.")] = Path("report"),
) -> None:
    """One report of several runs: JSON, Markdown and one HTML page."""
    from jsonschemabench.report import load_summaries

    write_report(path, *(summary for file in files for summary in load_summaries(file)))


def compare(
    before: Annotated[Path, typer.Argument(help="A report's .json or a file of records.")],
    after: Annotated[Path, typer.Argument(help="The same of the newer run.")],
) -> None:
    """What changed between two runs; exit code 1 when something got worse."""
    from jsonschemabench.report import load_summaries
    from jsonschemabench.report.compare import OF_MODE, Change
    from jsonschemabench.report.compare import compare as changes_between

    sides = [{summary["mode"]: summary for summary in load_summaries(path)} for path in (before, after)]
    modes = [mode for mode in sides[0] if mode in sides[1] and mode in OF_MODE]
    if not modes:
        raise GuidedError(f"{before} and {after} have no mode in common that can be compared")
    changes: list[Change] = []
    for mode in modes:
        changes += changes_between(sides[0][mode], sides[1][mode])
    worse = sum(bool(change.worse) for change in changes)
    for change in sorted(changes, key=lambda change: not change.worse)[:MOST_CHANGES]:
        mark = {True: "[red]worse[/]", False: "[green]better[/]", None: "other"}[change.worse]
        out.print(f"{mark} {change.engine} {escape(change.what)}: {change.before} -> {change.after}", highlight=False)
    if len(changes) > MOST_CHANGES:
        out.print(f"... and {len(changes) - MOST_CHANGES:,} more")
    out.print(f"{len(changes):,} changes, {worse:,} of them for the worse", highlight=False)
    if worse:
        raise typer.Exit(1)
