"""What the commands share: options, where data and tokenizer are, the progress bar, files of reports."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from grammars.errors import GuidedError
from jsonschemabench.data import CORE_SPLITS, Definition, Source, sample
from jsonschemabench.engines import ENGINES, PACKAGES
from jsonschemabench.guard import Limits
from jsonschemabench.runner import AnyCrew
from jsonschemabench.sources import BUILTIN, open_source
from jsonschemabench.tokens import BYTES

out, err = Console(), Console(stderr=True, soft_wrap=True)

DataOption = Annotated[
    str | None,
    typer.Option("--data", help="Folder, hf:NAME or builtin (default: $GUIDED_DATA, ../shared/data, else builtin)."),
]
ReportOption = Annotated[
    Path | None, typer.Option("--report", help="Write PATH.json, PATH.md and PATH.html, the report of this run.")
]
TokenizerOption = Annotated[
    str | None,
    typer.Option("--tokenizer", help="Folder, hub name or 'bytes' (default: llama31-tokenizer beside the data)."),
]
SplitsOption = Annotated[
    str, typer.Option("--splits", help="Comma-separated names, or 'all' (default: the core of JSONSchemaBench).")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Chooses schemas and drives all randomness.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="File of results: appended as they come; a killed run goes on from it.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="An engine's option: guided.whitespace=any, xgrammar.strict=yes, ...")
]
EnginesOption = Annotated[
    str, typer.Option("--engines", help="Comma-separated, or 'all' that are installed; the first is compared.")
]
JobsOption = Annotated[int, typer.Option("--jobs", min=1, help="Worker processes.")]
RayOption = Annotated[
    str | None, typer.Option("--ray", help="Run on the Ray cluster at this address; 'local': one started here.")
]
TimeOption = Annotated[float, typer.Option("--time-limit", help="Seconds for one schema, per engine.")]
MemoryOption = Annotated[float, typer.Option("--memory-limit", help="GiB an engine may add to its start; 0: no limit.")]
CORE = ""


def default_data() -> Path:
    """`$GUIDED_DATA`, or `../shared/data` beside the checkout."""
    return Path(os.environ.get("GUIDED_DATA") or Path("..") / "shared" / "data")


def find_source(given: str | None) -> tuple[Source, Path]:
    """The definitions asked for, and the folder in which a tokenizer may lie beside them."""
    folder = default_data()
    if given is None and not folder.is_dir():
        err.print(f"[yellow]no data in {folder}: measuring the built-in schemas[/] (--data names others)")
        given = BUILTIN
    there = Path(given) if given and Path(given).is_dir() else folder
    return open_source(given or str(folder)), there


def split_names(splits: str, source: Source) -> list[str]:
    """The splits asked for; by default the core ones where the source has them, else all."""
    names = source.names()
    if splits == "all":
        return names
    return [name for name in splits.split(",") if name] or [name for name in CORE_SPLITS if name in names] or names


def find_definitions(
    data: str | None, splits: str, limit: int | None, seed: int
) -> tuple[list[Definition], Path, list[str]]:
    """The definitions of a run, the folder of the data, and the names of the splits."""
    source, folder = find_source(data)
    names = split_names(splits, source)
    return sample(source, names, limit=limit, seed=seed), folder, names


def find_tokenizer(given: str | None, data: Path) -> str:
    """The tokenizer's name for `load_tools`: as given, else the benchmark's, else single bytes."""
    beside = data / "llama31-tokenizer"
    if given:
        return given
    if beside.is_dir():
        return str(beside)
    err.print(f"[yellow]no tokenizer in {beside}: measuring with single bytes[/] (--tokenizer names another)")
    return BYTES


def find_engines(names: str) -> list[str]:
    """The engines asked for that are installed; the others are named with what installs them."""
    asked = list(ENGINES) if names == "all" else [name for name in names.split(",") if name]
    found = []
    for name in asked:
        if name in PACKAGES and importlib.util.find_spec(PACKAGES[name][0]) is None:
            err.print(f"[yellow]without {name}:[/] it is not installed (pip install {PACKAGES[name][1]})")
        else:
            found.append(name)
    if not found:
        raise GuidedError(f"no engine of {names} is installed")
    return found


def engine_options(settings: list[str] | None, engines: list[str]) -> dict[str, dict[str, str]]:
    """`["guided.whitespace=any"]` -> `{"guided": {"whitespace": "any"}}`, for every engine named."""
    options: dict[str, dict[str, str]] = {name: {} for name in engines}
    for setting in settings or []:
        target, _, value = setting.partition("=")
        engine, _, key = target.rpartition(".")
        if engine not in options or not key or not value:
            raise GuidedError(f"--set {setting}: expected ENGINE.OPTION=VALUE, with an engine of {', '.join(engines)}")
        options[engine][key] = value
    return options


def limits_of(seconds: float, gibibytes: float) -> Limits:
    return Limits(seconds, int(gibibytes * (1 << 30)))


def write_report(path: Path | None, *summaries: Mapping[str, Any]) -> None:
    """`path` with .json, .md and .html, when there is a path."""
    if path is None:
        return
    from jsonschemabench.report import write_all

    for written in write_all(path, summaries):
        err.print(f"wrote {written}", highlight=False)


def report_missing(crew: AnyCrew) -> None:
    for name, reason in crew.missing.items():
        err.print(f"[red]{name} did not start:[/] {reason}", markup=True, highlight=False)


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
