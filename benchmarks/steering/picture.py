"""CAD's effect on the best tokens of one step, as a picture: python benchmarks/steering/picture.py FILE"""

from __future__ import annotations

import html
import sys
from pathlib import Path

import torch
from common import chat_ids, load

import guided

PASSAGE, QUESTION = "The colour of fresh snow is orange.", "What is the colour of fresh snow?"
OPENING = "The colour of fresh snow is"
SHOWN = 7


def bars(title: str, rows: list[tuple[str, float]], x: int, colour: str) -> list[str]:
    out = [f'<text x="{x}" y="24" font-weight="600">{html.escape(title)}</text>']
    for place, (word, p) in enumerate(rows):
        y = 44 + 24 * place
        out.append(f'<text x="{x + 86}" y="{y + 12}" text-anchor="end">{html.escape(word)}</text>')
        out.append(f'<rect x="{x + 94}" y="{y}" width="{max(1.0, 130 * p):.1f}" height="16" rx="3" fill="{colour}"/>')
        out.append(f'<text x="{x + 100 + max(1.0, 130 * p):.1f}" y="{y + 12}" fill="#666">{p:.2f}</text>')
    return out


def main() -> None:
    loaded = load()
    model, tokenizer = loaded.model, loaded.tokenizer
    full = torch.tensor([chat_ids(loaded, f"{PASSAGE}\n{QUESTION}", OPENING)])
    bare = torch.tensor([chat_ids(loaded, QUESTION, OPENING)])
    with torch.no_grad():
        scores, without = model(full).logits[:, -1].float(), model(bare).logits[:, -1].float()
    columns = [
        ("without the passage", without.softmax(-1)[0], "#b0b7c3"),
        ("with the passage", scores.softmax(-1)[0], "#7aa6d8"),
        ("CAD, alpha 1", guided.cad(model, bare, alpha=1.0)(full, scores).softmax(-1)[0], "#2a6fbb"),
    ]
    parts = []
    for place, (title, p, colour) in enumerate(columns):
        best = p.topk(SHOWN)
        rows = [(tokenizer.decode([t]).strip() or repr(tokenizer.decode([t])), v) for v, t in
                zip(best.values.tolist(), best.indices.tolist(), strict=True)]  # fmt: skip
        parts += bars(title, rows, 10 + 280 * place, colour)
        print(title, [(word, round(value, 3)) for word, value in rows])
    height = 60 + 24 * SHOWN
    Path(sys.argv[1]).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 850 {height}" font-family="system-ui, sans-serif" '
        f'font-size="13"><rect width="850" height="{height}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


if __name__ == "__main__":
    main()
