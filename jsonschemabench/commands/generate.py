"""`python -m jsonschemabench generate`: documents and answers written by a real model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from grammars.errors import GuidedError
from jsonschemabench.commands.shared import (
    CORE,
    DataOption,
    OutOption,
    ReportOption,
    SeedOption,
    SplitsOption,
    find_definitions,
    out,
    progress,
    write_report,
)


def load_model(name: str | None) -> Any:
    """The demonstration's small model, or any of transformers'."""
    from guided.demo.model import LoadedModel, load_smollm2

    if name is None:
        return load_smollm2()
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return LoadedModel(name, AutoModelForCausalLM.from_pretrained(name).eval(), AutoTokenizer.from_pretrained(name))


def configurations_of(engines: list[str], modes: list[str], loaded: Any, tokens: int) -> tuple[Any, dict[str, Any]]:
    """Who constrains, by name; and the engines themselves, for what is asked of their masks."""
    import guided
    from jsonschemabench.engines import create_engine
    from jsonschemabench.generation import FREE, EngineMasks

    made = {name: create_engine(name, loaded.tokenizer, {}) for name in engines if name != FREE}
    found: dict[str, Any] = {}

    def of_guided(schema: Any) -> Any:
        return guided.json(schema, tokenizer=loaded.tokenizer, max_new_tokens=tokens)

    for name in engines:
        if name == FREE:
            found[FREE] = ("greedy", None)
        elif name == "guided":
            found |= {"guided" if mode == "greedy" else f"guided {mode}": (mode, of_guided) for mode in modes}
        else:
            found[name] = ("greedy", lambda schema, engine=made[name]: [EngineMasks(engine, schema)])
    return found, made


def generate(
    schemas: Annotated[int, typer.Option(help="Number of schemas, chosen by the seed.")] = 40,
    tokens: Annotated[int, typer.Option(help="Most tokens for each document.")] = 64,
    engines: Annotated[str, typer.Option(help="Comma-separated; free: no constraint.")] = "guided,free",
    modes: Annotated[str, typer.Option(help="guided's modes: greedy, sampled, batch, beams.")] = "greedy",
    model: Annotated[str | None, typer.Option(help="Folder or hub name (default: SmolLM2-135M-Instruct).")] = None,
    tasks: Annotated[int, typer.Option(help="Questions of each quality task; 0: none.")] = 0,
    gsm8k_file: Annotated[Path | None, typer.Option("--gsm8k", help="GSM8K as JSON lines, for the tasks.")] = None,
    data: DataOption = None,
    splits: SplitsOption = CORE,
    seed: SeedOption = 0,
    path: OutOption = None,
    report: ReportOption = None,
) -> None:
    """Documents written by a model under each engine and freely: coverage, compliance, speed, answers."""
    import random

    import guided
    from jsonschemabench import tables
    from jsonschemabench.generation import MODES, choose, truly_covered, write
    from jsonschemabench.report import summary_of
    from jsonschemabench.runner import Results

    chosen_modes = [mode for mode in modes.split(",") if mode]
    if unknown := set(chosen_modes) - set(MODES):
        raise GuidedError(f"no mode {', '.join(sorted(unknown))}.\n  There are: {', '.join(MODES)}")
    pool, _, names = find_definitions(data, splits, schemas, seed)
    random.Random(seed).shuffle(pool)
    loaded = load_model(model)
    vocabulary = guided.Vocabulary.from_tokenizer(loaded.tokenizer)
    usable = choose(pool, lambda s: guided.Matcher(guided.compile_json_schema(s), vocabulary), tokens)[:schemas]
    asked = [name for name in engines.split(",") if name]
    configurations, made = configurations_of(asked, chosen_modes, loaded, tokens)
    results = Results(path)
    results.open("generate", {
        "model": loaded.name, "schemas": len(usable), "tokens": tokens, "splits": names, "seed": seed, "tasks": tasks,
        "engines": list(configurations),
    })  # fmt: skip
    done = {(r["engine"], r["schema"]) for r in results if r["kind"] == "document"}
    covered = {(r["engine"], r["schema"]) for r in results if r["kind"] == "coverage"}
    with progress() as bar:
        task = bar.add_task("documents", total=len(usable) * len(configurations), completed=len(done))
        for new in write(loaded, usable, configurations, guided.batch, tokens, seed, done):
            results.append(new)
            bar.advance(task, len(new))
            for record in new:
                if record["outcome"] != "valid" and record["engine"] != "free":
                    bar.console.print(f"[red]✗[/] {record['engine']} {escape(record['schema'])}: {record['outcome']} "
                                      f"{escape(record['problem'])}")  # fmt: skip
        task = bar.add_task("labelled instances", total=len(usable) * len(made), completed=len(covered))
        for definition in usable:
            for name, engine in made.items():
                if (name, definition.name) not in covered:
                    right = truly_covered(definition, engine, encoder(loaded), [loaded.tokenizer.eos_token_id])
                    results.append([{"kind": "coverage", "engine": name, "schema": definition.name, "covered": right}])
                    bar.advance(task)
        for answer in answers(loaded, configurations, tasks, gsm8k_file, seed, results):
            results.append([answer])
    summary = summary_of(results)
    out.print(tables.metric_table(summary))
    write_report(report, summary)


def encoder(loaded: Any) -> Any:
    return lambda text: list(loaded.tokenizer.encode(text, add_special_tokens=False))


def answers(
    loaded: Any, configurations: Any, count: int, gsm8k_file: Path | None, seed: int, results: Any
) -> Iterator[dict[str, Any]]:
    """The quality tasks, in each greedy configuration."""
    from jsonschemabench import quality
    from jsonschemabench.generation import run

    questions = [*quality.last_letter(count, seed), *quality.shuffled_objects(count, seed)]
    if gsm8k_file is not None and count:
        questions += quality.gsm8k(gsm8k_file, count)
    done = {(r["engine"], r["task"], r["number"]) for r in results if r["kind"] == "answer"}
    for question in questions:
        for name, (mode, constrain) in configurations.items():
            if mode != "greedy" or (name, question.task, question.number) in done:
                continue
            processors = constrain(question.schema) if constrain else ()
            ids, _ = run(loaded, loaded.chat(question.prompt), processors, 128, do_sample=False)
            text = loaded.text(ids[0])
            yield {
                "kind": "answer", "engine": name, "task": question.task, "number": question.number,
                "right": quality.right(question, text), "gold": question.gold, "text": text,
            }  # fmt: skip
