"""`python -m jsonschemabench generate`: documents written by a real model."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer
from rich.markup import escape

from grammars.errors import GuidedError
from jsonschemabench.commands.shared import (
    DataOption,
    OutOption,
    SeedOption,
    SplitsOption,
    find_definitions,
    out,
    progress,
)


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
    pool = find_definitions(data, splits, schemas, seed)[0]
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
