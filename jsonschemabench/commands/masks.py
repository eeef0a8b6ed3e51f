"""`python -m jsonschemabench masks`: mask time and judgement of engines."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from jsonschemabench.commands.shared import (
    CORE,
    DataOption,
    OutOption,
    SeedOption,
    SetOption,
    SplitsOption,
    TokenizerOption,
    engine_options,
    find_data,
    find_tokenizer,
    out,
    progress,
    split_names,
)
from jsonschemabench.data import sample


def masks(
    data: DataOption = None,
    splits: SplitsOption = CORE,
    limit: Annotated[int | None, typer.Option(help="Schemas of each split, chosen by the seed.")] = None,
    engines: Annotated[str, typer.Option(help="Comma-separated; the first is compared with the others.")] = (
        "guided,llguidance"
    ),
    tokenizer: TokenizerOption = None,
    time_limit: Annotated[float, typer.Option(help="Seconds for one schema with all its documents, per engine.")] = 60,
    setting: SetOption = None,
    seed: SeedOption = 0,
    path: OutOption = None,
) -> None:
    """Mask time and judgement of engines, in turns on the same documents."""
    from jsonschemabench import records, stats, tables
    from jsonschemabench.engines import create_engine
    from jsonschemabench.masks import Measurement, measure, warm_up
    from jsonschemabench.tokens import load_tools

    folder = find_data(data)
    names = [name for name in engines.split(",") if name]
    options = engine_options(setting, names)
    definitions = sample(folder, split_names(splits, folder), limit=limit, seed=seed)
    tools = load_tools(find_tokenizer(tokenizer, folder))
    tok, encode = tools.tokenizer, tools.encode
    starts = {}
    running = []
    for name in names:
        start = time.perf_counter()
        running.append(create_engine(name, tok, options[name]))
        starts[name] = time.perf_counter() - start

    eos_ids = [tok.eos_token_id]
    warm_up(running, encode, eos_ids)
    facts = {"splits": splits, "limit": limit, "seed": seed, "engines": names, "set": options, "start_seconds": starts}
    records.append(path, records.header("masks", facts))
    measurements: list[Measurement] = []
    with progress() as bar:
        task = bar.add_task("schemas", total=len(definitions))
        for turn, definition in enumerate(definitions):
            results = measure(definition, running, encode, eos_ids, time_limit=time_limit, turn=turn)
            for result in results:
                records.append(path, records.schema_record(result))
            measurements += results
            bar.advance(task)
    summary = stats.summarise(measurements)
    summary = {name: summary[name] for name in names if name in summary}
    records.append(path, {"kind": "summary", "engines": summary})
    out.print(tables.judgement_table(summary))
    for section in tables.SECTIONS:
        out.print(tables.timing_table(summary, section))
    if summary:
        first = next(iter(summary))
        out.print(tables.slowest_table(stats.slowest(measurements, first), first))
