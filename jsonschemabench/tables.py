"""Draws summaries in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

__all__ = ["judgement_table", "number", "slowest_table", "timing_table"]

SECTIONS = {
    "ttfm": "time to first mask (compile + mask), all schemas it compiles",
    "tbm": "mask, all documents",
    "paired_tbm": "mask, documents all judged rightly",
    "paired_advance": "advance by one token, same documents",
    "paired_step": "mask + advance, same documents",
}


def number(value: float) -> str:
    """About three significant digits, thousands separated."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def judgement_table(summary: Mapping[str, Mapping[str, Any]]) -> Table:
    """Coverage and errors, one column an engine."""
    table = Table(title="judgement", title_style="bold")
    table.add_column("")
    for engine in summary:
        table.add_column(engine, justify="right")
    rows = {
        "schemas": "schemas",
        "compiled": "compiled",
        "compile_errors": "compile errors",
        "instances": "instances run",
        "validation_errors": "valid ones refused",
        "invalidation_errors": "invalid ones accepted",
        "passed": "schemas passed",
    }
    for key, label in rows.items():
        table.add_row(label, *(f"{entry['tally'][key]:,}" for entry in summary.values()))
    return table


def timing_table(summary: Mapping[str, Mapping[str, Any]], section: str) -> Table:
    """One distribution in microseconds, one column an engine, and the first engine's time over each other's."""
    engines: Sequence[str] = list(summary)
    table = Table(title=f"{SECTIONS[section]}, µs", title_style="bold")
    table.add_column("")
    for engine in engines:
        table.add_column(engine, justify="right")
    for other in engines[1:]:
        table.add_column(f"{engines[0]} / {other}", justify="right")
    table.add_row("count", *(f"{summary[engine][section]['count']:,}" for engine in engines))
    for name in summary[engines[0]][section]["values"]:
        times = [summary[engine][section]["values"][name] for engine in engines]
        ratios = [f"{times[0] / other:.2f}" if other else "" for other in times[1:]]
        table.add_row(name, *map(number, times), *ratios)
    return table


def slowest_table(worst: Sequence[tuple[float, str, int, str, int]], engine: str) -> Table:
    """Where to look first."""
    table = Table(title=f"slowest masks of {engine}, the worst of a document", title_style="bold")
    table.add_column("µs", justify="right")
    table.add_column("schema")
    table.add_column("instance", justify="right")
    table.add_column("spelling")
    table.add_column("token", justify="right")
    for microseconds, name, instance, spelling, token in worst:
        table.add_row(number(microseconds), name, str(instance), spelling, str(token))
    return table
