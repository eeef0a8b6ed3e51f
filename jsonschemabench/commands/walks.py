"""`python -m jsonschemabench walks`: random walks under guided's mask."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

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

if TYPE_CHECKING:
    from jsonschemabench.walks import Outcome, Refusal


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
    from jsonschemabench.runner import Results
    from jsonschemabench.tokens import load_tools
    from jsonschemabench.walks import Refusal, Report, Tokens, Walker, walk_all

    definitions, folder, split_list = find_definitions(data, splits, limit, seed)
    options: dict[str, Any] = {"property_order": "any", **engine_options(setting, ["guided"])["guided"]}
    results = Results(path)
    results.open("walks", {"count": count, "splits": split_list, "limit": limit, "seed": seed, "set": options})
    vocabulary = guided.Vocabulary.from_tokenizer(load_tools(find_tokenizer(tokenizer, folder)).tokenizer)
    tokens = Tokens([vocabulary.token_bytes(i) for i in range(vocabulary.size)], vocabulary.eos_ids)

    def compile_schema(schema: Any) -> Walker:
        matcher: Walker = guided.Matcher(guided.compile_json_schema(schema, **options), vocabulary)
        return matcher

    done = [outcome for record in results if (outcome := outcome_of(record)) is not None]
    report = Report()
    for outcome in done:
        report.enter(outcome)
    with progress() as bar:
        task = bar.add_task("walks", total=count, completed=report.walks)
        for outcome in walk_all(definitions, compile_schema, tokens, count, seed, done):
            report.enter(outcome)
            kind = "refusal" if isinstance(outcome, Refusal) else "walk"
            results.append([{"kind": kind, **dataclasses.asdict(outcome)}])
            bar.update(task, completed=report.walks)
            if not isinstance(outcome, Refusal) and outcome.failed:
                out.print(f"[red]✗[/] {escape(f'{outcome.schema} seed {outcome.seed}: {outcome.problem}')}")
                out.print(f"    {escape(outcome.text)}", highlight=False)
    out.print(
        f"{report.walks:,} walks over {len(report.per_schema):,} schemas ({len(report.refusals):,} did not compile): "
        f"{report.valid:,} valid, {len(report.failures):,} failures of which {report.dead_ends:,} dead ends, "
        f"{report.oracle:,} not judged; {report.tokens:,} tokens",
        highlight=False,
    )
    if report.failures:
        raise typer.Exit(1)


def outcome_of(record: dict[str, Any]) -> Outcome | Refusal | None:
    """A line of the file read back; None for its header."""
    from jsonschemabench.walks import Outcome, Refusal

    made: dict[str, type[Outcome] | type[Refusal]] = {"walk": Outcome, "refusal": Refusal}
    fields = dict(record)
    kind = fields.pop("kind")
    return made[kind](**fields) if kind in made else None
