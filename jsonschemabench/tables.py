"""Draws summaries in the terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from grammars.errors import shorten
from jsonschemabench.suite import OUTCOMES, tally_cases

__all__ = ["judgement_table", "number", "slowest_table", "suite_cases", "suite_tables", "timing_table"]

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


def suite_tables(records: Iterable[dict[str, Any]]) -> Iterator[Table]:
    """The test suite: all drafts, then each keyword's cases right, one column an engine."""
    tallies = tally_cases(records)
    whole = Table(title="JSON Schema Test Suite, cases", title_style="bold")
    by_place = Table(title="right of all cases, per keyword; w: judged wrongly, c: crashed", title_style="bold")
    for table in (whole, by_place):
        table.add_column("draft")
        table.add_column("" if table is whole else "keyword")
        for engine in tallies:
            table.add_column(engine, justify="right")
    for draft in ("", *sorted({draft for places in tallies.values() for draft, _ in places})):
        sums = {e: sum((c for p, c in t.items() if draft in ("", p[0])), Counter()) for e, t in tallies.items()}
        for outcome in OUTCOMES:
            cells = (f"{total[outcome]:,}" for total in sums.values())
            whole.add_row(draft or "all", outcome, *cells, end_section=outcome == OUTCOMES[-1])
    for place in sorted({place for places in tallies.values() for place in places}):
        by_place.add_row(*place, *(_cell(places.get(place, Counter())) for places in tallies.values()))
    yield whole
    yield by_place


def _cell(counts: Counter[str]) -> str:
    """`12/14 w1 c1`, red where something was judged wrongly."""
    if not counts:
        return ""
    wrong, crashed = counts["wrong accept"] + counts["wrong refuse"], counts["crash"]
    text = f"{counts['right']}/{counts.total()}" + (f" w{wrong}" if wrong else "") + (f" c{crashed}" if crashed else "")
    return f"[red]{text}[/]" if wrong or crashed else text if counts["refused"] else f"[green]{text}[/]"


def suite_cases(records: Iterable[Mapping[str, Any]], most: int) -> Iterator[str]:
    """Every case that is not right, one line each, at most so many an engine; the file of results has all of them."""
    shown: Counter[str] = Counter()
    for record in records:
        if record["kind"] != "case" or record["outcome"] == "right":
            continue
        engine = record["engine"]
        shown[engine] += 1
        if shown[engine] <= most:
            schema, data = (shorten(json.dumps(record[part], ensure_ascii=False), 100) for part in ("schema", "data"))
            place = f"{record['draft']}/{record['file']}"
            text = f"{record['description']} schema {schema} instance {data} {shorten(record['detail'], 160)}"
            yield f"{engine} [bold]{record['outcome']}[/] {escape(f'{place}: {text}')}"
    for engine, count in shown.items():
        if count > most:
            yield f"{engine}: {count - most:,} more are not shown (--list, or see --out)"
