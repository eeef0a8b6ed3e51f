"""Does mirostat hold the mean surprise of SmolLM2-135M's text at its target, where fixed truncation drifts?

    python benchmarks/steering/mirostat.py --out mirostat.json --picture docs/methods/mirostat.svg

Beginnings (`--texts`, up to 16) are continued by 500 tokens (EOS banned) under each setting: mirostat 1 and 2 for tau
in {2, 3, 4, 5}, version 2 with `warmup` and `heat`, and top-p and top-k. All run as rows of one batch. Surprise is
-log2 p(token) under the model, before any truncation. Reported: the mean over all tokens with a 95% interval by
bootstrap over texts, the largest error of a single text, and how the second half differs from the first. Results so far
are written every 50 tokens.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from intervals import interval, shown
from transformers import TopKLogitsWarper, TopPLogitsWarper

from guided.demo.model import load_smollm2
from processors import MirostatProcessor

BEGINNINGS = [
    "The old lighthouse keeper had not spoken to anyone for three weeks when",
    "In this report we describe the results of a survey among small farmers in",
    "My grandmother's recipe for bread begins with",
    "The history of the bicycle is longer than most people think.",
    "Dear editor, I am writing to you about",
    "On the first day of the expedition the weather was",
    "Water is one of the most common substances on Earth, and yet",
    "The market opened at six in the morning, and by seven",
    "Once upon a time, in a village between two rivers,",
    "To understand how a clock works, it helps to",
    "The committee met on Tuesday to discuss",
    "Birds that migrate over long distances",
    "When the train finally arrived,",
    "A good teacher knows that",
    "The second chapter of the book deals with",
    "Nobody in the office expected that the new printer",
]


SETTINGS: dict[str, tuple[Any, float | None]] = {
    "top-p 0.9": (TopPLogitsWarper(0.9), None),
    "top-p 0.95": (TopPLogitsWarper(0.95), None),
    "top-k 50": (TopKLogitsWarper(50), None),
    **{
        f"mirostat {v}, tau {tau:g}": (MirostatProcessor(tau, version=v), tau)
        for v in (2, 1)
        for tau in (2.0, 3.0, 4.0, 5.0)
    },
    **{
        f"with warmup and heat, tau {tau:g}": (MirostatProcessor(tau, warmup=30, heat=True), tau)
        for tau in (2.0, 3.0, 4.0, 5.0)
    },
    **{f"eta 1, heat, tau {tau:g}": (MirostatProcessor(tau, 1.0, heat=True), tau) for tau in (2.0, 3.0, 4.0, 5.0)},
}


class Rows:
    """Gives each setting its own rows of the batch, and notes the surprise of every chosen token, in bits."""

    def __init__(self, names: list[str], texts: int, out: Path) -> None:
        self.names, self.texts, self.out = names, texts, out
        self.bits: list[torch.Tensor] = []
        self.last: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.note(input_ids)
        self.last = torch.log_softmax(scores, dim=-1) / -math.log(2)
        parts = []
        for i, name in enumerate(self.names):
            own = slice(i * self.texts, (i + 1) * self.texts)
            parts.append(SETTINGS[name][0](input_ids[own], scores[own]))
        return torch.cat(parts)

    def note(self, input_ids: torch.Tensor) -> None:
        if self.last is not None:
            self.bits.append(self.last.gather(1, input_ids[:, -1:])[:, 0])
            if len(self.bits) % 50 == 0:
                report(self.names, self.texts, torch.stack(self.bits, dim=1).cpu().numpy(), self.out)


def report(names: list[str], texts: int, bits: np.ndarray, out: Path) -> None:
    """Write the record and the table of what has been generated so far: bits [settings * texts, tokens]."""
    record: dict[str, Any] = {}
    half = bits.shape[1] // 2
    print(
        f"\n{bits.shape[1]} tokens, {texts} texts\n| run | mean surprise, bits | error | worst text | 2nd half - 1st |"
    )
    print("|---|---|---|---|---|")
    for i, name in enumerate(names):
        own, tau = bits[i * texts : (i + 1) * texts], SETTINGS[name][1]
        means, drift = own.mean(1), own[:, half:].mean(1) - own[:, :half].mean(1)
        error = "" if tau is None else f"{means.mean() / tau - 1:+.1%}"
        worst = "" if tau is None else f"{np.abs(means / tau - 1).max():.1%}"
        print(f"| {name} | {shown(means)} | {error} | {worst} | {shown(drift)} |", flush=True)
        blocks = own[:, : bits.shape[1] // 25 * 25].reshape(texts, -1, 25).mean((0, 2))
        record[name] = {"tau": tau, "mean": interval(means), "drift": interval(drift), "texts": means.tolist(),
                        "tokens": bits.shape[1], "blocks_of_25": blocks.tolist()}  # fmt: skip
    out.write_text(json.dumps(record, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("--texts", type=int, default=16)
    parser.add_argument("--only", nargs="*", choices=list(SETTINGS), default=list(SETTINGS), help="settings by name")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("mirostat.json"))
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    loaded = load_smollm2(given.device)
    tokenizer = loaded.tokenizer
    tokenizer.padding_side = "left"
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    inputs = tokenizer(BEGINNINGS[: given.texts] * len(given.only), return_tensors="pt", padding=True)
    inputs = inputs.to(loaded.model.device)
    torch.manual_seed(given.seed)
    rows = Rows(given.only, given.texts, given.out)
    out = loaded.model.generate(**inputs, do_sample=True, top_k=0, max_new_tokens=given.tokens,
                                min_new_tokens=given.tokens, logits_processor=[rows])  # fmt: skip
    rows.note(out)
    if given.picture:
        draw(json.loads(given.out.read_text()), given.picture)


def draw(record: dict[str, Any], path: Path) -> None:
    """Mean surprise in blocks of 25 tokens. Needs matplotlib, which is no dependency of the project."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.6))
    for name, run in record.items():
        if not name.startswith("mirostat 1"):
            x = [25 * i + 12 for i in range(len(run["blocks_of_25"]))]
            fixed = run["tau"] is None
            (line,) = axes.plot(x, run["blocks_of_25"], "--" if fixed else "-", label=name, lw=1.3)
            if not fixed:
                axes.axhline(run["tau"], color=line.get_color(), lw=0.5, alpha=0.6)
    axes.set_xlabel("token")
    axes.set_ylabel("surprise, bits")
    axes.legend(ncol=3, fontsize=7, loc="upper right")
    axes.set_ylim(0, 8)
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
