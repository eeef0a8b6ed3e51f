"""Draws summaries in the terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from grammars.errors import shorten
from jsonschemabench.suite import OUTCOMES

__all__ = ["batch_table", "mask_tables", "metric_table", "number", "suite_cases", "suite_tables"]

Summary = Mapping[str, Any]

JUDGEMENT = {
    "schemas": "schemas",
    "compiled": "compiled",
    "compile_errors": "compile errors",
    "instances": "instances run",
    "validation_errors": "valid ones refused",
    "invalidation_errors": "invalid ones accepted",
    "time_outs": "schemas timed out",
    "crashes": "schemas that crashed it",
    "passed": "schemas passed",
}
TIMES = {
    "ttfm": "time to first mask (compile + mask), all schemas it compiles",
    "tbm": "mask, all documents",
    "advance": "advance by one token, all documents",
}
PAIRED = {"ttfm": "first mask", "mask": "mask", "advance": "advance", "step": "mask + advance"}
"""The first over the schemas that both engines compile, the others over the documents that both judged rightly."""


def number(value: float) -> str:
    """About three significant digits, thousands separated."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def columns(title: str, names: Sequence[str], first: Sequence[str] = ("",)) -> Table:
    table = Table(title=title, title_style="bold")
    for name in first:
        table.add_column(name)
    for name in names:
        table.add_column(name, justify="right")
    return table


def mask_tables(summary: Summary) -> Iterator[Table]:
    """All tables of a `masks` run."""
    engines = summary["engines"]
    if not engines:
        return
    judged = columns("judgement", list(engines))
    for key, label in JUDGEMENT.items():
        judged.add_row(label, *(f"{entry['tally'][key]:,}" for entry in engines.values()))
    yield judged
    splits = columns("schemas passed of all, per split", list(engines))
    for split in sorted({split for entry in engines.values() for split in entry["splits"]}):
        splits.add_row(split, *(share(entry["splits"].get(split)) for entry in engines.values()))
    yield splits
    for section, title in TIMES.items():
        table = columns(f"{title}, µs", list(engines))
        table.add_row("count", *(f"{entry[section]['count']:,}" for entry in engines.values()))
        for name in next(iter(engines.values()))[section]["values"]:
            table.add_row(name, *(number(entry[section]["values"][name]) for entry in engines.values()))
        yield table
    for other, pair in summary["pairs"].items():
        yield pair_table(summary["first"], other, pair)
    for engine, worst in summary["slowest"].items():
        if engine == summary["first"]:
            yield slowest_table(worst, engine)


def share(tally: Mapping[str, int] | None) -> str:
    """`97.5% (39/40)`."""
    if not tally or not tally["schemas"]:
        return ""
    return f"{tally['passed'] / tally['schemas']:.1%} ({tally['passed']:,}/{tally['schemas']:,})"


def interval(ratio: Sequence[float] | None) -> str:
    """`0.15 [0.14, 0.17]`."""
    return f"{decimals(ratio[0])} [{decimals(ratio[1])}, {decimals(ratio[2])}]" if ratio else ""


def decimals(ratio: float) -> str:
    """Two decimals, or two digits where that would be nothing."""
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def pair_table(first: str, other: str, pair: Summary) -> Table:
    """Two engines in turns: their times and the ratios with 95% intervals."""
    title = f"{first} beside {other}: {pair['documents']:,} documents of {pair['schemas']:,} schemas, µs"
    table = columns(title, [first, other, "ratio [95%]"], ("", ""))
    for kind, label in PAIRED.items():
        sides = pair[kind]
        for row, name in enumerate(sides["first"]["values"]):
            if name in ("avg", "p50", "p90", "p99", "p99.9", "max"):
                values = [sides[side]["values"][name] for side in ("first", "other")]
                ratio = interval(sides["ratios"].get(name))
                if not ratio and values[1]:
                    ratio = decimals(values[0] / values[1])
                table.add_row(label if not row else "", name, *map(number, values), ratio, end_section=name == "max")
    return table


def slowest_table(worst: Sequence[Sequence[Any]], engine: str) -> Table:
    """Where to look first."""
    table = Table(title=f"slowest masks of {engine}, the worst of a document", title_style="bold")
    for name in ("µs", "schema", "instance", "spelling", "token"):
        table.add_column(name, justify="left" if name in ("schema", "spelling") else "right")
    for microseconds, name, instance, spelling, token in worst:
        table.add_row(number(microseconds), name, str(instance), spelling, str(token))
    return table


def suite_tables(summary: Summary) -> Iterator[Table]:
    """The test suite: all drafts, then each keyword's cases right, one column an engine."""
    engines = summary["engines"]
    whole = columns("JSON Schema Test Suite, cases", list(engines), ("draft", ""))
    drafts = sorted({draft for entry in engines.values() for draft in entry["drafts"]})
    for draft in ("", *drafts):
        sums = [entry["drafts"].get(draft, {}) if draft else entry["total"] for entry in engines.values()]
        for outcome in OUTCOMES:
            cells = (f"{total.get(outcome, 0):,}" for total in sums)
            whole.add_row(draft or "all", outcome, *cells, end_section=outcome == OUTCOMES[-1])
    yield whole
    title = "right of all cases, per keyword; w: judged wrongly, c: crashed"
    by_place = columns(title, list(engines), ("draft", "keyword"))
    for draft in drafts:
        for keyword in sorted({k for entry in engines.values() for k in entry["keywords"].get(draft, ())}):
            counts = (entry["keywords"].get(draft, {}).get(keyword, {}) for entry in engines.values())
            by_place.add_row(draft, keyword, *(suite_cell(count) for count in counts))
    yield by_place


def metric_table(summary: Summary) -> Table:
    """The metrics of a `generate` run, one column a configuration."""
    from jsonschemabench.generation import METRICS

    table = columns("documents by a model", list(summary["engines"]))
    for key, (label, form) in METRICS.items():
        cells = [form(entry[key]) for entry in summary["engines"].values()]
        if any(cells):
            table.add_row(label, *cells)
    return table


def batch_table(summary: Summary) -> Table:
    """The rows of a `batch` run."""
    table = columns("masks of a batch", ["rows", "threads", "step p50 µs", "p99 µs", "rows/s"], ("engine",))
    for row in summary["rows"]:
        times = (number(row[key]) for key in ("p50_us", "p99_us", "rows_per_second"))
        table.add_row(row["engine"], str(row["rows"]), str(row["threads"]), *times)
    return table


def suite_cell(counts: Mapping[str, int]) -> str:
    """`12/14 w1 c1`, red where something was judged wrongly."""
    total = sum(counts.values())
    if not total:
        return ""
    wrong, crashed = counts["wrong accept"] + counts["wrong refuse"], counts["crash"]
    text = f"{counts['right']}/{total}" + (f" w{wrong}" if wrong else "") + (f" c{crashed}" if crashed else "")
    return f"[red]{text}[/]" if wrong or crashed else text if counts["refused"] else f"[green]{text}[/]"


def suite_cases(summary: Summary, most: int) -> Iterator[str]:
    """Every case that is not right, one line each, at most so many an engine; the file of results has all of them."""
    shown: Counter[str] = Counter()
    for case in summary["failures"]:
        engine = case["engine"]
        shown[engine] += 1
        if shown[engine] <= most:
            schema, data = (shorten(json.dumps(case[part], ensure_ascii=False), 100) for part in ("schema", "data"))
            place = f"{case['draft']}/{case['file']}"
            text = f"{case['description']} schema {schema} instance {data} {shorten(case['detail'], 160)}"
            yield f"{engine} [bold]{case['outcome']}[/] {escape(f'{place}: {text}')}"
    for engine, count in shown.items():
        if count > most:
            yield f"{engine}: {count - most:,} more are not shown (--list, or see --out)"
