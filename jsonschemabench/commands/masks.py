"""`python -m jsonschemabench masks`: mask time and judgement of engines, in turns on the same documents."""

from __future__ import annotations

from typing import Annotated

import typer

from grammars.errors import GuidedError
from jsonschemabench.commands.shared import (
    CORE,
    DataOption,
    EnginesOption,
    JobsOption,
    MemoryOption,
    OutOption,
    RayOption,
    ReportOption,
    SeedOption,
    SetOption,
    SplitsOption,
    TimeOption,
    TokenizerOption,
    engine_options,
    find_definitions,
    find_engines,
    find_tokenizer,
    limits_of,
    out,
    progress,
    report_missing,
    write_report,
)


def masks(
    data: DataOption = None,
    splits: SplitsOption = CORE,
    limit: Annotated[int | None, typer.Option(help="Schemas of each split, chosen by the seed.")] = None,
    engines: EnginesOption = "guided,llguidance",
    tokenizer: TokenizerOption = None,
    spellings: Annotated[str, typer.Option(help="How instances are written: compact, default, ascii.")] = (
        "compact,default"
    ),
    warm: Annotated[
        bool, typer.Option("--warm/--cold", help="Measure a second round over each schema, or the first (protocol).")
    ] = False,
    time_limit: TimeOption = 60,
    memory_limit: MemoryOption = 4,
    jobs: JobsOption = 1,
    ray: RayOption = None,
    setting: SetOption = None,
    seed: SeedOption = 0,
    path: OutOption = None,
    report: ReportOption = None,
) -> None:
    """Mask time and judgement of engines, in turns on the same documents."""
    from jsonschemabench import tables
    from jsonschemabench.data import SPELLINGS
    from jsonschemabench.guard import Recipe
    from jsonschemabench.mask_job import MaskJob, definition_of
    from jsonschemabench.report import summary_of
    from jsonschemabench.runner import Results, run_tasks

    names = find_engines(engines)
    options = engine_options(setting, names)
    written = tuple(name for name in spellings.split(",") if name)
    if unknown := set(written) - set(SPELLINGS):
        raise GuidedError(f"no spelling {', '.join(sorted(unknown))}.\n  There are: {', '.join(SPELLINGS)}")
    if "ascii" in written and "guided" in options:
        options["guided"] = {"spelling": "any", **options["guided"]}
    definitions, folder, split_list = find_definitions(data, splits, limit, seed)
    recipe = Recipe(
        MaskJob(written, warm), tuple(names), options, find_tokenizer(tokenizer, folder),
        limits_of(time_limit, memory_limit),
    )  # fmt: skip
    results = Results(path)
    results.open("masks", {
        "splits": split_list, "limit": limit, "seed": seed, "engines": names, "set": options, "spellings": spellings,
        "warm": warm, "time_limit": time_limit, "memory_limit": memory_limit, "tokenizer": recipe.tokenizer,
    })  # fmt: skip
    with progress() as bar:
        task = bar.add_task("schemas x engines", total=len(definitions) * len(names))
        crew = run_tasks(
            definitions,
            recipe,
            results,
            definition_of,
            jobs=jobs,
            ray=ray,
            advance=lambda count: bar.advance(task, count),
        )
    report_missing(crew)
    summary = summary_of(results)
    for table in tables.mask_tables(summary):
        out.print(table)
    write_report(report, summary)
