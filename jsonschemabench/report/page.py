"""Summaries as one HTML page that needs nothing else: styles, pictures and the search of failures are inside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from grammars.errors import shorten
from jsonschemabench.report.headings import facts_of
from jsonschemabench.report.plots import bars, curves, duration, heat_map
from jsonschemabench.stats import CURVE
from jsonschemabench.suite import OUTCOMES
from jsonschemabench.tables import JUDGEMENT, PAIRED, decimals, interval

__all__ = ["page"]

Summary = Mapping[str, Any]

TITLES = {"masks": "Masks", "suite": "JSON Schema Test Suite", "generate": "Generation", "batch": "Batches"}
MOST_LISTED = 3000  # failures of one engine and kind that are written into the page

SEARCH = """
document.querySelectorAll('input[type=search]').forEach(box => box.addEventListener('input', () => {
  const wanted = box.value.toLowerCase();
  box.parentElement.querySelectorAll('details.item').forEach(item => {
    item.hidden = wanted !== '' && !item.textContent.toLowerCase().includes(wanted);
  });
  box.parentElement.querySelectorAll('details.kind').forEach(kind => { if (wanted) kind.open = true; });
}));
"""


def page(summaries: Sequence[Summary]) -> str:
    """The whole page."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    links = "".join(f'<a href="#s{i}">{escape(TITLES[s["mode"]])}</a>' for i, s in enumerate(summaries))
    body = "".join(section(i, summary) for i, summary in enumerate(summaries))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>JSONSchemaBench</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
        f"<body><h1>JSONSchemaBench</h1><nav>{links}</nav>{body}<script>{SEARCH}</script></body></html>\n"
    )


def section(number: int, summary: Summary) -> str:
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts_of(summary))
    cards = "".join(SECTIONS[summary["mode"]](summary))
    title = escape(TITLES[summary["mode"]])
    return f'<h2 id="s{number}">{title}</h2><dl class="facts">{facts}</dl><div class="cards">{cards}</div>'


def card(title: str, content: str, note: str = "", wide: bool = False) -> str:
    if not content:
        return ""
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<section class="card{" wide" if wide else ""}"><h3>{escape(title)}</h3>{content}{below}</section>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Cells are text; the first `left` columns stand left."""
    top = "".join(f"<th{' class=text' if i < left else ''}>{escape(cell)}</th>" for i, cell in enumerate(head))
    body = "".join(
        "<tr>"
        + "".join(f"<td{' class=text' if i < left else ''}>{escape(c)}</td>" for i, c in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def legend(engines: Iterable[str]) -> str:
    spans = (f'<span><i style="background:var(--c{i % 8})"></i>{escape(e)}</span>' for i, e in enumerate(engines))
    return f'<div class="legend">{"".join(spans)}</div>'


def masks(summary: Summary) -> Iterable[str]:
    engines = summary["engines"]
    names = list(engines)
    yield card("Judgement", table(["", *names], (
        [label, *(f"{e['tally'][key]:,}" for e in engines.values())] for key, label in JUDGEMENT.items())),
        "A schema passes when it compiles and none of its instances is judged wrongly.")  # fmt: skip
    splits = sorted({split for entry in engines.values() for split in entry["splits"]})
    rows = {split: {name: (t["passed"], t["schemas"]) for name, e in engines.items() if (t := e["splits"].get(split))}
            for split in splits}  # fmt: skip
    yield card("Schemas passed, per split", legend(names) + bars("schemas passed per split", rows, names))
    warm = summary["header"]["options"].get("warm")
    for key, title in (("tbm", "Time between tokens: one mask"), ("ttfm", "Time to first mask: compile and mask")):
        plot = curves(title, CURVE, {name: e[key]["curve"] for name, e in engines.items()})
        counts = ", ".join(f"{name} {e[key]['count']:,}" for name, e in engines.items())
        note = f"Samples: {counts}. " + ("Second round over each schema." if warm else "Each schema seen once.")
        yield card(title, legend(names) + plot if plot else "", note)
    shown = ["avg", "p50", "p90", "p99", "p99.9"]
    for other, pair in summary["pairs"].items():
        lines = []
        for kind, label in PAIRED.items():
            for name in shown:
                values = [pair[kind][side]["values"][name] for side in ("first", "other")]
                ratio = interval(pair[kind]["ratios"].get(name)) or (
                    decimals(values[0] / values[1]) if values[1] else "")  # fmt: skip
                lines.append([label if name == "avg" else "", name, *map(duration, values), ratio])
        note = (f"{pair['documents']:,} documents of {pair['schemas']:,} schemas that both judged rightly, in turns in "
                "one process; 95% intervals by bootstrap over schemas.")  # fmt: skip
        head = ["", "", summary["first"], other, "ratio [95%]"]
        yield card(f"{summary['first']} beside {other}", table(head, lines, left=2), note)
    features = sorted({f for e in engines.values() for f in e["features"]},
                      key=lambda f: (-max(e["features"].get(f, [0])[0] for e in engines.values()), f))  # fmt: skip
    heat = {f: {name: (e["features"][f][2], e["features"][f][0]) for name, e in engines.items() if f in e["features"]}
            for f in features}  # fmt: skip
    yield card("Schemas passed, per keyword", heat_map(heat, names, "schemas with it pass") if heat else "",
               "Of the schemas that use the keyword anywhere; their number stands beside it.", wide=True)  # fmt: skip
    listed = drill_down(summary["failures"], lambda f: f["kind"], lambda f: f"{f['split']} / {f['name']}", mask_failure)
    yield card("Failures", listed, wide=True)


def mask_failure(failure: Summary) -> str:
    return "".join(
        f"<pre>{escape(problem['what'])}: {escape(problem['detail'])}"
        + (f"\n{escape(problem['text'])}" if problem.get("text") else "") + "</pre>"
        for problem in failure["problems"]
    )  # fmt: skip


def drill_down(
    failures: Sequence[Summary],
    kind_of: Callable[[Summary], str],
    title_of: Callable[[Summary], str],
    show: Callable[[Summary], str],
) -> str:
    """Engine and kind, then one entry each, with a box that searches them."""
    groups: dict[tuple[str, str], list[Summary]] = {}
    for failure in failures:
        groups.setdefault((failure["engine"], kind_of(failure)), []).append(failure)
    parts = []
    for (engine, kind), members in sorted(groups.items()):
        items = "".join(
            f'<details class="item"><summary>{escape(title_of(f))}</summary>{show(f)}</details>'
            for f in members[:MOST_LISTED]
        )
        more = f"<p>{len(members) - MOST_LISTED:,} more in the results</p>" if len(members) > MOST_LISTED else ""
        head = f"<summary><b>{escape(engine)}</b>: {escape(kind)} ({len(members):,})</summary>"
        parts.append(f'<details class="kind">{head}{items}{more}</details>')
    if not parts:
        return '<p class="note">None.</p>'
    return f'<div class="failures"><input type="search" placeholder="Search the failures">{"".join(parts)}</div>'


def suite(summary: Summary) -> Iterable[str]:
    engines = summary["engines"]
    names = list(engines)
    drafts = sorted({draft for entry in engines.values() for draft in entry["drafts"]})
    rows = [[outcome, *(f"{e['total'][outcome]:,}" for e in engines.values())] for outcome in OUTCOMES]
    yield card("Cases", table(["", *names], rows), "Refused: the engine says that it cannot do this schema.")
    by_draft = {d: {name: (c["right"], sum(c.values())) for name, e in engines.items() if (c := e["drafts"].get(d))}
                for d in drafts}  # fmt: skip
    yield card("Cases right, per draft", legend(names) + bars("cases right per draft", by_draft, names))
    for draft in drafts:
        keywords = sorted({k for e in engines.values() for k in e["keywords"].get(draft, ())})
        heat = {k: {name: (c["right"], sum(c.values())) for name, e in engines.items()
                    if (c := e["keywords"].get(draft, {}).get(k))} for k in keywords}  # fmt: skip
        yield card(f"{draft}: cases right", heat_map(heat, names, "cases right"), wide=True)
    listed = drill_down(
        summary["failures"],
        lambda f: f["outcome"],
        lambda f: f"{f['draft']}/{f['file'].removesuffix('.json')}: {f['description']}",
        suite_failure,
    )
    yield card("Cases that are not right", listed, wide=True)


def suite_failure(failure: Summary) -> str:
    schema = shorten(json.dumps(failure["schema"], ensure_ascii=False), 1000)
    data = shorten(json.dumps(failure["data"], ensure_ascii=False), 300)
    label = "valid" if failure["valid"] else "invalid"
    detail = f"\n{failure['detail']}" if failure["detail"] else ""
    return f"<pre>schema   {escape(schema)}\ninstance {escape(data)} ({label}){escape(detail)}</pre>"


def generate(summary: Summary) -> Iterable[str]:
    from jsonschemabench.generation import METRICS

    engines = summary["engines"]
    rows = [[label, *(form(e[key]) for e in engines.values())] for key, (label, form) in METRICS.items()]
    yield card("Documents by a model", table(["", *engines], rows))
    yield card("Documents that are not valid", drill_down(
        summary["failures"], lambda f: f["kind"], lambda f: f["schema"],
        lambda f: f"<pre>{escape(f['problem'])}\n{escape(f['text'])}</pre>"), wide=True)  # fmt: skip


def batch(summary: Summary) -> Iterable[str]:
    rows = [[r["engine"], str(r["rows"]), str(r["threads"]), duration(r["p50_us"]), duration(r["p99_us"]),
             f"{r['rows_per_second']:,.0f}"] for r in summary["rows"]]  # fmt: skip
    head = ["engine", "rows", "threads", "a step p50", "p99", "rows/s"]
    yield card("Masks of a batch", table(head, rows), "A step fills the masks of all rows.")


SECTIONS: dict[str, Callable[[Summary], Iterable[str]]] = {
    "masks": masks, "suite": suite, "generate": generate, "batch": batch,
}  # fmt: skip
