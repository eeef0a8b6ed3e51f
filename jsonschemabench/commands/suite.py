"""`python -m jsonschemabench suite`: verdicts on the official JSON Schema Test Suite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jsonschemabench.commands.shared import (
    DataOption,
    EnginesOption,
    JobsOption,
    MemoryOption,
    OutOption,
    RayOption,
    ReportOption,
    SetOption,
    TimeOption,
    TokenizerOption,
    default_data,
    engine_options,
    find_engines,
    find_tokenizer,
    limits_of,
    out,
    progress,
    report_missing,
    write_report,
)

MOST_LISTED = 60


def suite(
    suite: Annotated[
        Path | None, typer.Option("--suite", help="Folder or tar archive (default: in the data folder).")
    ] = None,
    drafts: Annotated[str, typer.Option("--drafts", help="Comma-separated folders of the suite.")] = (
        "draft4,draft6,draft7,draft2019-09,draft2020-12"
    ),
    optional: Annotated[bool, typer.Option("--optional", help="The optional and format files too.")] = False,
    engines: EnginesOption = "all",
    data: DataOption = None,
    tokenizer: TokenizerOption = None,
    setting: SetOption = None,
    jobs: JobsOption = 1,
    ray: RayOption = None,
    time_limit: TimeOption = 30,
    memory_limit: MemoryOption = 4,
    path: OutOption = None,
    report: ReportOption = None,
    listed: Annotated[int, typer.Option("--list", help="Wrong and refused cases to print, per engine.")] = MOST_LISTED,
) -> None:
    """Verdicts on the official JSON Schema Test Suite, per draft and keyword, at mask level."""
    from jsonschemabench import tables
    from jsonschemabench.guard import Recipe
    from jsonschemabench.report import summary_of
    from jsonschemabench.runner import Results, run_tasks
    from jsonschemabench.suite import SUITE_ARCHIVE, SuiteJob, group_of, read_groups, read_remotes, unpacked

    folder = Path(data) if data else default_data()
    names = find_engines(engines)
    options = engine_options(setting, names)
    if "guided" in options:
        options["guided"] = {"whitespace": "any", "spelling": "any", **options["guided"]}
    with unpacked(suite or folder / SUITE_ARCHIVE) as root:
        groups = list(read_groups(root, [name for name in drafts.split(",") if name], optional=optional))
        remotes = read_remotes(root)
    recipe = Recipe(
        SuiteJob(remotes), tuple(names), options, find_tokenizer(tokenizer, folder), limits_of(time_limit, memory_limit)
    )
    results = Results(path)
    facts = {"drafts": drafts, "optional": optional, "engines": names, "set": options, "tokenizer": recipe.tokenizer}
    results.open("suite", facts)
    with progress() as bar:
        task = bar.add_task("groups", total=len(groups) * len(names))
        crew = run_tasks(
            groups, recipe, results, group_of, jobs=jobs, ray=ray, advance=lambda count: bar.advance(task, count)
        )
    report_missing(crew)
    summary = summary_of(results)
    for table in tables.suite_tables(summary):
        out.print(table)
    for line in tables.suite_cases(summary, listed):
        out.print(line, highlight=False, soft_wrap=True)
    write_report(report, summary)
