"""What the commands share: options, where data and tokenizer are, the progress bar, files of reports."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from grammars.errors import GuidedError
from jsonschemabench.data import CORE_SPLITS, DataMissing, splits_in
from jsonschemabench.engines import ENGINES, PACKAGES
from jsonschemabench.guard import Crew, Limits
from jsonschemabench.tokens import BYTES

out, err = Console(), Console(stderr=True, soft_wrap=True)

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder with maskbench/ (default: $GUIDED_DATA, else ../shared/data).")
]
TokenizerOption = Annotated[
    str | None,
    typer.Option("--tokenizer", help="Folder, hub name or 'bytes' (default: llama31-tokenizer beside the data)."),
]
SplitsOption = Annotated[str, typer.Option("--splits", help="Comma-separated names, or 'all'.")]
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
TimeOption = Annotated[float, typer.Option("--time-limit", help="Seconds for one schema, per engine.")]
MemoryOption = Annotated[float, typer.Option("--memory-limit", help="GiB an engine may add to its start; 0: no limit.")]
CORE = ",".join(CORE_SPLITS)


def default_data() -> Path:
    """`$GUIDED_DATA`, or `../shared/data` beside the checkout."""
    return Path(os.environ.get("GUIDED_DATA") or Path("..") / "shared" / "data")


def find_data(given: Path | None) -> Path:
    """The data folder from the option, the environment, or beside the checkout."""
    path = given or default_data()
    if not path.is_dir():
        raise DataMissing(f"no data folder {path}.\n  Give --data, or set GUIDED_DATA.")
    return path


def split_names(splits: str, data: Path) -> list[str]:
    return splits_in(data) if splits == "all" else [name for name in splits.split(",") if name]


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


def report_missing(crew: Crew) -> None:
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
