"""Pictures as inline SVG: percentile curves on log axes, bars, heat maps. Numbers in, markup out; no library.

Colours are CSS variables of the page, so that the same picture suits a light and a dark one: `--c0` .. `--c7` for the
engines (Okabe and Ito's set, told apart by colour-blind eyes), and classes for axes and text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

__all__ = ["bars", "curves", "duration", "heat_map"]

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 14, 40
CHUNK = 20  # rows of a heat map beside the next ones
TICKS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99)


def duration(microseconds: float) -> str:
    """`350 ns`, `12 µs`, `3.4 ms`, `2 s`."""
    for unit, size in (("s", 1e6), ("ms", 1e3), ("µs", 1.0)):
        if microseconds >= size:
            return f"{microseconds / size:.3g} {unit}"
    return f"{microseconds * 1e3:.3g} ns"


def tail(percentile: float) -> float:
    """Place of a percentile on an axis whose unit is one nine; the maximum stands half a nine after the last tick."""
    return min(-math.log10(max(1 - percentile / 100, 1e-12)), 4.5)


def svg(width: float, height: float, parts: Sequence[str], title: str) -> str:
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title, quote=True)}">'
    return head + "".join(parts) + "</svg>"


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def curves(title: str, percentiles: Sequence[float], series: Mapping[str, Sequence[float]]) -> str:
    """Time at each percentile, one curve an engine; both axes are logarithmic, the percentiles towards their tail."""
    shown = {name: values for name, values in series.items() if len(values) == len(percentiles)}
    times = [value for values in shown.values() for value in values if value > 0]
    if not times:
        return ""
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    high = max(high, low + 1)
    span_x = (WIDTH - LEFT - RIGHT) / 4.5
    span_y = (HEIGHT - TOP - BOTTOM) / (high - low)

    def x_of(percentile: float) -> float:
        return LEFT + tail(percentile) * span_x

    def y_of(value: float) -> float:
        return HEIGHT - BOTTOM - (math.log10(max(value, 10.0**low)) - low) * span_y

    parts = []
    for power in range(low, high + 1):
        parts += [line(LEFT, y_of(10.0**power), WIDTH - RIGHT, y_of(10.0**power), "grid"),
                  text(LEFT - 6, y_of(10.0**power) + 4, duration(10.0**power), "tick", "end")]  # fmt: skip
    for percentile in TICKS:
        parts += [line(x_of(percentile), TOP, x_of(percentile), HEIGHT - BOTTOM, "grid"),
                  text(x_of(percentile), HEIGHT - BOTTOM + 16, f"{percentile:g}%", "tick", "middle")]  # fmt: skip
    parts.append(text(x_of(100), HEIGHT - BOTTOM + 16, "max", "tick", "end"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "share of samples at most so slow", "label", "middle"))
    for number, (name, values) in enumerate(series.items()):
        if name not in shown:
            continue
        points = " ".join(f"{x_of(p):.1f},{y_of(v):.1f}" for p, v in zip(percentiles, values, strict=True))
        parts.append(f'<polyline points="{points}" class="curve" style="stroke:var(--c{number % 8})"/>')
        for percentile, value in zip(percentiles, values, strict=True):
            if percentile in (50, 90, 99, 99.9, 100):
                where = "max" if percentile == 100 else f"p{percentile:g}"
                parts.append(f'<circle cx="{x_of(percentile):.1f}" cy="{y_of(value):.1f}" r="3.5" '
                             f'style="fill:var(--c{number % 8})"><title>{escape(name)} {where}: {duration(value)}'
                             "</title></circle>")  # fmt: skip
    return svg(WIDTH, HEIGHT, parts, title)


def bars(title: str, rows: Mapping[str, Mapping[str, tuple[int, int]]], engines: Sequence[str]) -> str:
    """For each row (a split) one bar an engine: `good` of `all`."""
    left, thick, gap = 130, 11, 10
    group = thick * len(engines) + gap
    height = TOP + group * len(rows) + 24
    width = WIDTH - left - 96
    parts = []
    for quarter in range(5):
        x = left + width * quarter / 4
        parts += [line(x, TOP - 4, x, height - 22, "grid"), text(x, height - 6, f"{quarter * 25}%", "tick", "middle")]
    for place, (row, cells) in enumerate(rows.items()):
        top = TOP + group * place
        parts.append(text(left - 8, top + thick * len(engines) / 2 + 4, row, "label", "end"))
        for number, engine in enumerate(engines):
            if engine not in cells or not cells[engine][1]:
                continue
            good, total = cells[engine]
            y = top + thick * number
            parts.append(f'<rect x="{left}" y="{y:.1f}" width="{width * good / total:.1f}" height="{thick - 2}" '
                         f'style="fill:var(--c{number % 8})"><title>{escape(engine)}, {escape(row)}: {good:,} of '
                         f"{total:,}</title></rect>")  # fmt: skip
            label = f"{good / total:.1%} of {total:,}"
            parts.append(text(left + width * good / total + 5, y + thick - 3, label, "tick"))
    return svg(WIDTH, height, parts, title)


def heat_map(rows: Mapping[str, Mapping[str, tuple[int, int]]], engines: Sequence[str], what: str) -> str:
    """A table of shares, coloured: rows are keywords, columns engines, a cell `good` of `all`."""
    head = "".join(f"<th>{escape(engine)}</th>" for engine in engines)
    body = []
    for row, cells in rows.items():
        line_cells = []
        for engine in engines:
            good, total = cells.get(engine, (0, 0))
            if not total:
                line_cells.append('<td class="none">–</td>')
                continue
            share = good / total
            shown = "100%" if good == total else f"{min(share, 0.999):.1%}" if share > 0.99 else f"{share:.0%}"
            line_cells.append(f'<td class="heat" style="--share:{share:.3f}" title="{good:,} of {total:,} {what}">'
                              f"{shown}</td>")  # fmt: skip
        most = max((total for _, total in cells.values()), default=0)
        body.append(f"<tr><th>{escape(row)}<small>{most:,}</small></th>{''.join(line_cells)}</tr>")
    chunks = [body[start : start + CHUNK] for start in range(0, len(body), CHUNK)]
    top = f'<table class="heatmap"><thead><tr><th></th>{head}</tr></thead><tbody>'
    return '<div class="chunks">' + "".join(f"{top}{''.join(chunk)}</tbody></table>" for chunk in chunks) + "</div>"
