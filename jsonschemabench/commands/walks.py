"""`python -m jsonschemabench walks`: random walks under guided's mask."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer
from rich.markup import escape

from grammars.errors import GuidedError
from jsonschemabench.commands.shared import (
    CORE,
    DataOption,
    OutOption,
    SeedOption,
    SetOption,
    SplitsOption,
    TokenizerOption,
    engine_options,
    find_definitions,
    find_tokenizer,
    out,
    progress,
)


def walks(
    count: Annotated[int, typer.Option(help="Number of walks, spread over the schemas that compile.")] = 10_000,
    data: DataOption = None,
    splits: SplitsOption = CORE,
    limit: Annotated[int | None, typer.Option(help="Schemas of each split, chosen by the seed.")] = None,
    tokenizer: TokenizerOption = None,
    setting: SetOption = None,
    seed: SeedOption = 0,
    path: OutOption = None,
) -> None:
    """Random walks under guided's mask to the end; every text must be a valid instance."""
    import guided
    from jsonschemabench import records
    from jsonschemabench.tokens import load_tools
    from jsonschemabench.walks import Report, Tokens, Walker, walk_all

    chosen, folder, split_list = find_definitions(data, splits, limit, seed)
    options: dict[str, Any] = {"property_order": "any", **engine_options(setting, ["guided"])["guided"]}
    vocabulary = guided.Vocabulary.from_tokenizer(load_tools(find_tokenizer(tokenizer, folder)).tokenizer)
    tokens = Tokens([vocabulary.token_bytes(i) for i in range(vocabulary.size)], vocabulary.eos_ids)

    def compile_schema(schema: Any) -> Walker:
        matcher: Walker = guided.Matcher(guided.compile_json_schema(schema, **options), vocabulary)
        return matcher

    definitions = []
    refused = 0
    for definition in chosen:
        try:
            compile_schema(definition.schema)
        except GuidedError:
            refused += 1
        else:
            definitions.append(definition)
    records.append(path, records.header("walks", {"count": count, "splits": split_list, "seed": seed, "set": options}))
    report = Report()
    shown = 0
    with progress() as bar:
        task = bar.add_task("walks", total=count)
        for _ in walk_all(definitions, compile_schema, tokens, count, seed, report):
            bar.advance(task)
            for failure in report.failures[shown:]:
                records.append(path, {"kind": "failure", **dataclasses.asdict(failure)})
                out.print(f"[red]✗[/] {escape(f'{failure.schema} seed {failure.seed}: {failure.problem}')}")
                out.print(f"    {escape(failure.text)}", highlight=False)
            shown = len(report.failures)
    out.print(
        f"{report.walks:,} walks over {len(report.per_schema):,} schemas ({refused:,} did not compile): "
        f"{report.valid:,} valid, {len(report.failures):,} failures of which {report.dead_ends:,} dead ends, "
        f"{report.oracle:,} not judged; {report.tokens:,} tokens",
        highlight=False,
    )
    if report.failures:
        raise typer.Exit(1)
