"""Does mirostat hold the mean surprise of SmolLM2-135M's text at its target, where fixed truncation drifts?

    python benchmarks/steering/mirostat.py --out mirostat.json --picture docs/methods/mirostat.svg

Each of 16 beginnings is continued by 500 tokens (EOS banned) with mirostat 1 and 2 for tau in {2, 3, 4, 5}, and with
top-p and top-k. Surprise is -log2 p(token) under the model, before any truncation. Reported: the mean over all tokens
with a 95% interval over texts, the largest error of a single text, and how the second half differs from the first.
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

import guided
from guided.demo.model import load_smollm2

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


def surprises(model: Any, tokenizer: Any, tokens: int, options: dict[str, Any], processor: Any) -> np.ndarray:
    """bits [texts, tokens]: surprise of each generated token under the model with EOS banned."""
    tokenizer.padding_side = "left"
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    inputs = tokenizer(BEGINNINGS, return_tensors="pt", padding=True)
    torch.manual_seed(0)
    seen: list[torch.Tensor] = []

    def watch(_: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        seen.append(torch.log_softmax(scores, dim=-1))
        if len(seen) > 1:
            seen[-2] = seen[-2].gather(1, _[:, -1:])  # only the chosen token's is needed
        return scores

    out = model.generate(**inputs, do_sample=True, max_new_tokens=tokens, min_new_tokens=tokens,
                         logits_processor=[watch, *processor], **options)  # fmt: skip
    seen[-1] = seen[-1].gather(1, out[:, -1:])
    return -torch.cat(seen, dim=1).numpy() / math.log(2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("--eta", type=float, default=0.1)
    parser.add_argument("--out", type=Path, default=Path("mirostat.json"))
    parser.add_argument("--only", nargs="*", help="runs by name; the others are taken from --out if they are there")
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    loaded = load_smollm2()
    plain = {"top_k": 0}
    runs: dict[str, tuple[dict[str, Any], list[Any], float | None]] = {
        "top-p 0.9": ({"top_k": 0, "top_p": 0.9}, [], None),
        "top-p 0.95": ({"top_k": 0, "top_p": 0.95}, [], None),
        "top-k 50": ({"top_k": 50}, [], None),
    }
    for version in (2, 1):
        for tau in (2.0, 3.0, 4.0, 5.0):
            processor = guided.mirostat(tau, given.eta, version=version)
            runs[f"mirostat {version}, tau {tau:g}"] = (plain, list(processor), tau)
    record: dict[str, Any] = json.loads(given.out.read_text()) if given.only is not None and given.out.exists() else {}
    half = given.tokens // 2
    print("| run | mean surprise, bits (95%) | error | worst text | second half - first (95%) |\n|---|---|---|---|---|")
    for name, (options, processor, tau) in runs.items():
        if given.only is not None and name not in given.only:
            continue
        bits = surprises(loaded.model, loaded.tokenizer, given.tokens, options, processor)
        means, drift = bits.mean(1), bits[:, half:].mean(1) - bits[:, :half].mean(1)
        error = "" if tau is None else f"{means.mean() / tau - 1:+.1%}"
        worst = "" if tau is None else f"{np.abs(means / tau - 1).max():.1%}"
        print(f"| {name} | {shown(means)} | {error} | {worst} | {shown(drift)} |", flush=True)
        blocks = bits[:, : given.tokens // 25 * 25].reshape(len(bits), -1, 25).mean(2)
        record[name] = {"tau": tau, "mean": interval(means), "drift": interval(drift), "texts": means.tolist(),
                        "blocks_of_25": blocks.mean(0).tolist()}  # fmt: skip
        given.out.write_text(json.dumps(record, indent=1))
    if given.picture:
        draw(record, given.picture)


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
