"""`python -m jsonschemabench masks | walks | generate`."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from grammars.errors import GuidedError
from jsonschemabench.data import CORE_SPLITS, DataMissing, sample, splits_in

__all__ = ["app", "main"]

app = typer.Typer(
    name="jsonschemabench",
    help="JSONSchemaBench over constrained-decoding engines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out, err = Console(), Console(stderr=True, soft_wrap=True)

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder with maskbench/ (default: $GUIDED_DATA, else ../shared/data).")
]
SplitsOption = Annotated[str, typer.Option("--splits", help="Comma-separated names, or 'all'.")]
TokenizerOption = Annotated[
    str | None, typer.Option("--tokenizer", help="Folder or hub name (default: llama31-tokenizer beside the data).")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Chooses schemas and drives all randomness.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="File to append JSON lines to.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="An engine's option: guided.whitespace=any, xgrammar.strict=yes, ...")
]
CORE = ",".join(CORE_SPLITS)


def main() -> NoReturn:
    """Entry point: typed errors become one message and exit code 2."""
    try:
        app()
    except GuidedError as error:
        err.print(f"[bold red]{type(error).__name__}[/]: {escape(str(error))}", highlight=False)
        sys.exit(2)
    sys.exit(0)


def find_data(given: Path | None) -> Path:
    """The data folder from the option, the environment, or beside the checkout."""
    named = given or (Path(os.environ["GUIDED_DATA"]) if os.environ.get("GUIDED_DATA") else None)
    path = named or Path("..") / "shared" / "data"
    if not path.is_dir():
        raise DataMissing(f"no data folder {path}.\n  Give --data, or set GUIDED_DATA.")
    return path


def split_names(splits: str, data: Path) -> list[str]:
    return splits_in(data) if splits == "all" else [name for name in splits.split(",") if name]


def read_tokenizer(given: str | None, data: Path) -> Any:
    from transformers import AutoTokenizer

    beside = data / "llama31-tokenizer"
    if given is None and not beside.is_dir():
        raise DataMissing(f"no tokenizer in {beside}.\n  Give --tokenizer.")
    return AutoTokenizer.from_pretrained(given or beside)


def engine_options(settings: list[str] | None, engines: list[str]) -> dict[str, dict[str, str]]:
    """`["guided.whitespace=any"]` -> `{"guided": {"whitespace": "any"}}`, for every engine named."""
    options: dict[str, dict[str, str]] = {name: {} for name in engines}
    for setting in settings or []:
        target, _, value = setting.partition("=")
        engine, _, key = target.partition(".")
        if engine not in options or not key or not value:
            raise GuidedError(f"--set {setting}: expected ENGINE.OPTION=VALUE, with an engine of {', '.join(engines)}")
        options[engine][key] = value
    return options


def progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )


@app.command()
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

    folder = find_data(data)
    names = [name for name in engines.split(",") if name]
    options = engine_options(setting, names)
    definitions = sample(folder, split_names(splits, folder), limit=limit, seed=seed)
    tok = read_tokenizer(tokenizer, folder)
    starts = {}
    running = []
    for name in names:
        start = time.perf_counter()
        running.append(create_engine(name, tok, options[name]))
        starts[name] = time.perf_counter() - start

    def encode(text: str) -> list[int]:
        return list(tok.encode(text, add_special_tokens=False))

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


@app.command()
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
    from jsonschemabench.walks import Report, Tokens, Walker, walk_all

    folder = find_data(data)
    options: dict[str, Any] = {"property_order": "any", **engine_options(setting, ["guided"])["guided"]}
    vocabulary = guided.Vocabulary.from_tokenizer(read_tokenizer(tokenizer, folder))
    tokens = Tokens([vocabulary.token_bytes(i) for i in range(vocabulary.size)], vocabulary.eos_ids)

    def compile_schema(schema: Any) -> Walker:
        matcher: Walker = guided.Matcher(guided.compile_json_schema(schema, **options), vocabulary)
        return matcher

    definitions = []
    refused = 0
    for definition in sample(folder, split_names(splits, folder), limit=limit, seed=seed):
        try:
            compile_schema(definition.schema)
        except GuidedError:
            refused += 1
        else:
            definitions.append(definition)
    records.append(path, records.header("walks", {"count": count, "splits": splits, "seed": seed, "set": options}))
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


@app.command()
def generate(
    schemas: Annotated[int, typer.Option(help="Number of schemas, chosen by the seed.")] = 40,
    tokens: Annotated[int, typer.Option(help="Most tokens for each document.")] = 64,
    modes: Annotated[str, typer.Option(help="Comma-separated: greedy, sampled, batch, beams.")] = (
        "greedy,sampled,batch,beams"
    ),
    data: DataOption = None,
    splits: SplitsOption = "Glaiveai2K,Github_easy,BFCL",
    seed: SeedOption = 0,
    path: OutOption = None,
) -> None:
    """Documents written by SmolLM2 under the constraint: share valid, and speed beside free text."""
    import random

    import guided
    from guided.demo.model import load_smollm2
    from jsonschemabench import records
    from jsonschemabench.data import Definition
    from jsonschemabench.generation import MODES, ModeReport, choose, generate_all

    chosen_modes = [mode for mode in modes.split(",") if mode]
    if unknown := set(chosen_modes) - set(MODES):
        raise GuidedError(f"no mode {', '.join(sorted(unknown))}.\n  There are: {', '.join(MODES)}")
    folder = find_data(data)
    pool = sample(folder, split_names(splits, folder), limit=schemas, seed=seed)
    random.Random(seed).shuffle(pool)
    loaded = load_smollm2()
    vocabulary = guided.Vocabulary.from_tokenizer(loaded.tokenizer)
    usable = choose(pool, lambda s: guided.Matcher(guided.compile_json_schema(s), vocabulary), tokens)[:schemas]

    def constrain(definition: Definition) -> Any:
        return guided.json(definition.schema, tokenizer=loaded.tokenizer, max_new_tokens=tokens)

    reports = {mode: ModeReport(mode) for mode in chosen_modes}
    facts = {"schemas": len(usable), "tokens": tokens, "splits": splits, "seed": seed}
    records.append(path, records.header("generate", facts))
    with progress() as bar:
        task = bar.add_task("documents", total=len(usable) * len(chosen_modes))
        for mode, written in generate_all(loaded, usable, chosen_modes, constrain, guided.batch, tokens, seed):
            reports[mode].documents.append(written)
            records.append(path, {"kind": "document", "mode": mode, **dataclasses.asdict(written)})
            if written.problem:
                bar.console.print(f"[red]✗[/] {mode} {escape(written.schema)}: {escape(written.problem)}")
                bar.console.print(f"    {escape(written.text)}", highlight=False)
            bar.advance(task)
    for report in reports.values():
        line = f"{report.mode:8} {report.valid} of {len(report.documents)} valid"
        if (ratios := report.speed_ratio())[0]:
            line += f", speed {ratios[0]:.3f} of free text (median over schemas {ratios[1]:.3f})"
        out.print(line, highlight=False)
    if any(report.valid < len(report.documents) for report in reports.values()):
        raise typer.Exit(1)
