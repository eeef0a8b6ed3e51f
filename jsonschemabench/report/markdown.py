"""Summaries as Markdown: the tables of the terminal, for a README or a note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jsonschemabench.report.headings import facts_of
from jsonschemabench.suite import OUTCOMES
from jsonschemabench.tables import JUDGEMENT, PAIRED, TIMES, interval, number, share, suite_cell

__all__ = ["markdown"]

Summary = Mapping[str, Any]
MOST_FAILURES = 40


def markdown(summaries: Sequence[Summary]) -> str:
    """All summaries, one after the other."""
    parts = ["# JSONSchemaBench"]
    for summary in summaries:
        parts += ["## " + summary["mode"], "\n".join(f"- {name}: {value}" for name, value in facts_of(summary))]
        parts += SECTIONS[summary["mode"]](summary)
    return "\n\n".join(parts) + "\n"


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table; the first `left` columns are text, the others numbers."""
    lines = [head, ["---" if i < left else "---:" for i in range(len(head))], *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )


def masks(summary: Summary) -> list[str]:
    engines = summary["engines"]
    names = list(engines)
    parts = [grid(["", *names], [[label, *(f"{e['tally'][key]:,}" for e in engines.values())]
                                 for key, label in JUDGEMENT.items()])]  # fmt: skip
    splits = sorted({split for entry in engines.values() for split in entry["splits"]})
    parts += ["### Schemas passed", grid(["split", *names], [
        [split, *(share(e["splits"].get(split)) for e in engines.values())] for split in splits])]  # fmt: skip
    for section, title in TIMES.items():
        rows = [[name, *(number(e[section]["values"][name]) for e in engines.values())]
                for name in (next(iter(engines.values()))[section]["values"] if engines else ())]  # fmt: skip
        parts += [f"### {title.capitalize()}, µs", grid(["", *names], rows)]
    for other, pair in summary["pairs"].items():
        rows = []
        for kind, label in PAIRED.items():
            for name, ratio in pair[kind]["ratios"].items():
                values = (number(pair[kind][side]["values"][name]) for side in ("first", "other"))
                rows.append([label, name, *values, interval(ratio)])
        title = (
            f"### {summary['first']} beside {other}: {pair['documents']:,} documents of {pair['schemas']:,} schemas, µs"
        )
        parts += [title, grid(["", "", summary["first"], other, "ratio [95%]"], rows, left=2)]
    failed = [[f["engine"], f["split"], f["name"], f["kind"], (f["problems"] or [{"detail": ""}])[0]["detail"][:120]]
              for f in summary["failures"]]  # fmt: skip
    if failed:
        parts += [f"### Failures ({len(failed):,}; the first {min(len(failed), MOST_FAILURES)})",
                  grid(["engine", "split", "schema", "what", "detail"], failed[:MOST_FAILURES], left=5)]  # fmt: skip
    return parts


def suite(summary: Summary) -> list[str]:
    engines = summary["engines"]
    names = list(engines)
    drafts = sorted({draft for entry in engines.values() for draft in entry["drafts"]})
    rows = [[draft or "all", outcome, *(f"{(e['drafts'].get(draft, {}) if draft else e['total']).get(outcome, 0):,}"
             for e in engines.values())] for draft in ("", *drafts) for outcome in OUTCOMES]  # fmt: skip
    parts = [grid(["draft", "", *names], rows, left=2)]
    rows = []
    for draft in drafts:
        for keyword in sorted({k for e in engines.values() for k in e["keywords"].get(draft, ())}):
            cells = (suite_cell(e["keywords"].get(draft, {}).get(keyword, {})) for e in engines.values())
            rows.append([draft, keyword, *(cell.replace("[red]", "**").replace("[green]", "")
                         .replace("[/]", "**" if "[red]" in cell else "") for cell in cells)])  # fmt: skip
    return [*parts, "### Cases right, per keyword (w: judged wrongly, c: crashed)",
            grid(["draft", "keyword", *names], rows, left=2)]  # fmt: skip


def generate(summary: Summary) -> list[str]:
    from jsonschemabench.generation import METRICS

    engines = summary["engines"]
    rows = [[label, *(form(e[key]) for e in engines.values())] for key, (label, form) in METRICS.items()]
    return [grid(["", *engines], rows)]


def batch(summary: Summary) -> list[str]:
    rows = [[r["engine"], str(r["rows"]), str(r["threads"]), number(r["p50_us"]), number(r["p99_us"]),
             number(r["rows_per_second"])] for r in summary["rows"]]  # fmt: skip
    return [grid(["engine", "rows", "threads", "step p50 µs", "step p99 µs", "rows/s"], rows)]


SECTIONS = {"masks": masks, "suite": suite, "generate": generate, "batch": batch}
