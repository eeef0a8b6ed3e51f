"""`python -m jsonschemabench batch`: masks of many sequences at once, on one thread and on several."""

from __future__ import annotations

from typing import Annotated

import typer

from grammars.errors import GuidedError
from jsonschemabench.commands.shared import (
    CORE,
    DataOption,
    OutOption,
    ReportOption,
    SeedOption,
    SplitsOption,
    TokenizerOption,
    find_definitions,
    find_engines,
    find_tokenizer,
    out,
    write_report,
)


def batch(
    rows: Annotated[int, typer.Option(min=1, help="Sequences in the batch.")] = 32,
    threads: Annotated[str, typer.Option(help="Numbers of threads, comma-separated.")] = "1,2",
    steps: Annotated[int, typer.Option(min=1, help="Steps to time.")] = 200,
    engines: Annotated[str, typer.Option("--engines", help="guided, llguidance, xgrammar.")] = "guided,llguidance",
    data: DataOption = None,
    splits: SplitsOption = CORE,
    limit: Annotated[int | None, typer.Option(help="Schemas of each split, chosen by the seed.")] = 8,
    tokenizer: TokenizerOption = None,
    seed: SeedOption = 0,
    path: OutOption = None,
    report: ReportOption = None,
) -> None:
    """Time to fill the masks of a whole batch, by number of threads."""
    from jsonschemabench.batch import BATCHERS, run_batches
    from jsonschemabench.report import summary_of
    from jsonschemabench.runner import Results
    from jsonschemabench.tables import batch_table
    from jsonschemabench.tokens import load_tools

    names = find_engines(engines)
    if unknown := set(names) - set(BATCHERS):
        raise GuidedError(f"{', '.join(sorted(unknown))} fills no batches.\n  There are: {', '.join(BATCHERS)}")
    definitions, folder, split_list = find_definitions(data, splits, limit, seed)
    tools = load_tools(find_tokenizer(tokenizer, folder))
    results = Results(path)
    counts = [int(count) for count in threads.split(",")]
    results.open("batch", {"rows": rows, "threads": counts, "steps": steps, "splits": split_list, "limit": limit})
    results.append(run_batches(names, definitions, tools, rows, counts, steps))
    summary = summary_of(results)
    out.print(batch_table(summary))
    write_report(report, summary)
