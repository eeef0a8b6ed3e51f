"""A picture of a generation: one line a pass, one box a token, coloured by who drafted it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from guided.speculation.stats import Stats

__all__ = ["timeline_svg"]

_MODEL = "#c9ced6"
_FORCED = "#7fc8a9"
_PALETTE = ("#f2b46d", "#86b6f0", "#d9a0d9", "#e58f8f", "#c9d46a", "#8fd6d6", "#b7a3f0", "#d1b38c")
_LINE, _CHARACTER, _LABEL = 24, 7.2, 150


def timeline_svg(stats: Stats, text_of: Callable[[int], str], *, row: int = 0, limit: int = 400) -> str:
    """An SVG document: for each pass of `row` its nodes and milliseconds, then what it emitted.

    Grey: the model's own token, which every pass adds; green: forced by the constraint; other colours: drafters, by the
    legend. `text_of` spells a token; at most `limit` passes are drawn.
    """
    rounds = [entry for entry in stats.rounds if entry.row == row][:limit]
    names = list(dict.fromkeys(source for entry in rounds for source in entry.sources if source not in ("", "forced")))
    colours = {"": _MODEL, "forced": _FORCED, **{n: _PALETTE[at % len(_PALETTE)] for at, n in enumerate(names)}}
    body: list[str] = []
    x, widest = 10.0, 400.0
    for name, colour in colours.items():
        label = name or "model"
        body.append(_box(x, 6, len(label), colour, label))
        x += len(label) * _CHARACTER + 18
    widest = max(widest, x)
    for place, entry in enumerate(rounds):
        y = 38 + place * _LINE
        label = f"{place + 1}: {entry.nodes} nodes, {1e3 * entry.seconds:.0f} ms"
        body.append(f'<text x="10" y="{y + 14}" class="l">{escape(label)}</text>')
        x = float(_LABEL)
        for token, source in zip(entry.tokens, entry.sources, strict=True):
            text = text_of(token).replace(" ", "\u2423").replace("\n", "\u23ce") or "\u00b7"
            body.append(_box(x, y, len(text), colours[source], text))
            x += len(text) * _CHARACTER + 10
        widest = max(widest, x)
    height = 50 + len(rounds) * _LINE
    style = "<style>text{font:12px ui-monospace,monospace;fill:#222}.l{fill:#666}</style>"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{widest + 10:.0f}" height="{height}" role="img">'
    title = f"<title>{escape(str(stats))}</title>"
    return "\n".join([head, title, style, *body, "</svg>"])


def _box(x: float, y: float, characters: int, colour: str, text: str) -> str:
    width = characters * _CHARACTER + 6
    rectangle = f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="19" rx="4" fill="{colour}"/>'
    return f'{rectangle}<text x="{x + 3:.1f}" y="{y + 14}" xml:space="preserve">{escape(text)}</text>'
