"""`python -m jsonschemabench run`: the whole benchmark in one command, as far as data and engines are there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jsonschemabench.commands import masks as masks_command
from jsonschemabench.commands import suite as suite_command
from jsonschemabench.commands.shared import (
    CORE,
    DataOption,
    EnginesOption,
    JobsOption,
    SplitsOption,
    TokenizerOption,
    default_data,
    err,
    write_report,
)


def run(
    data: DataOption = None,
    splits: SplitsOption = CORE,
    limit: Annotated[int | None, typer.Option(help="Schemas of each split, chosen by the seed.")] = 40,
    engines: EnginesOption = "all",
    tokenizer: TokenizerOption = None,
    drafts: Annotated[str, typer.Option(help="Drafts of the test suite; '' runs none.")] = "draft2020-12",
    time_limit: Annotated[float, typer.Option("--time-limit", help="Seconds for one schema, per engine.")] = 20,
    jobs: JobsOption = 1,
    folder: Annotated[Path, typer.Option("--folder", help="Where results and report go; a killed run goes on.")] = Path(
        "out/jsonschemabench"
    ),
) -> None:
    """Masks, then the test suite, then one report: on the built-in schemas where there is no data."""
    from jsonschemabench.report import load_summaries
    from jsonschemabench.suite import SUITE_ARCHIVE

    files = [folder / "masks.jsonl"]
    masks_command.masks(
        data=data, splits=splits, limit=limit, engines=engines, tokenizer=tokenizer, time_limit=time_limit, jobs=jobs,
        path=files[0],
    )  # fmt: skip
    there = Path(data) if data and Path(data).is_dir() else default_data()
    if drafts and (there / SUITE_ARCHIVE).is_file():
        files.append(folder / "suite.jsonl")
        # Verdicts do not depend on the vocabulary, and single bytes are much quicker for most engines.
        suite_command.suite(
            drafts=drafts, engines=engines, data=data, tokenizer=tokenizer or "bytes", time_limit=time_limit, jobs=jobs,
            path=files[1], listed=0,
        )  # fmt: skip
    elif drafts:
        err.print(f"[yellow]without the test suite:[/] no {there / SUITE_ARCHIVE}")
    write_report(folder / "report", *(summary for file in files for summary in load_summaries(file)))
