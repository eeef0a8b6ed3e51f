"""Trained heads beside drafters that need no training, on free text.

    python benchmarks/draft_heads.py heads.safetensors

Greedy answers to prompts about topics that the built-in training prompts never mention. Every way writes every answer,
in turns, in one process; output must be that of plain `generate`. Tokens a pass do not depend on the machine; seconds
are processor time on one thread, as ratios to plain `generate` of the same prompts. `--threads N`: N threads and the
clock, on a machine that has nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import guided
from guided.demo.model import load_smollm2
from guided.drafters.heads.prompts import held_out_prompts


def ways(files: list[Path], nodes: int, least: float, only: list[str]) -> dict[str, Any]:
    """Every drafter that is there, warm from one answer to the next as it would be in use."""
    found: dict[str, Any] = {"plain generate": None}
    for name in ("CopyEdit", "PromptLookup", "TokenRecycling", "Trigram", "Recall", "Jacobi", "Auto"):
        found[name] = getattr(guided.drafters, name)()
    for path in files:
        heads = guided.drafters.Heads(path, nodes=nodes, least=least)
        found[f"heads: {heads.heads.config.kind}"] = heads
        also = guided.drafters.Heads(heads.heads, nodes=nodes, least=least, beam=1)
        found[f"Auto, heads: {heads.heads.config.kind}"] = guided.drafters.Auto(more=[also])
    return {name: found[name] for name in found if not only or name == "plain generate" or name in only}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("heads", type=Path, nargs="*")
    parser.add_argument("--prompts", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--nodes", type=int, default=12)
    parser.add_argument("--least", type=float, default=0.04)
    parser.add_argument("--only", default="", help='names of drafters as in the table, separated by "+"; default: all')
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    now = time.process_time if given.threads == 1 else time.perf_counter
    loaded = load_smollm2()
    model = loaded.model
    runs = ways(given.heads, given.nodes, given.least, given.only.split("+") if given.only else [])
    rows = {name: {"tokens": 0, "turns": 0, "nodes": 0, "seconds": 0.0, "same": 0} for name in runs}
    options = {"max_new_tokens": given.tokens, "do_sample": False}
    for number, prompt in enumerate(held_out_prompts(given.prompts)):
        inputs = loaded.chat(prompt)
        order = list(runs)[number % len(runs) :] + list(runs)[: number % len(runs)]
        texts = {}
        for name in order:
            begun = now()
            if runs[name] is None:
                texts[name] = model.generate(**inputs, **options)
                turns = nodes = texts[name].shape[1] - inputs["input_ids"].shape[1]
            else:
                out = guided.generate(model, inputs, None, runs[name], progress=False, **options)
                texts[name] = out.sequences
                turns, nodes = len(out.stats.rounds), sum(each.nodes for each in out.stats.rounds)
            row = rows[name]
            row["seconds"] += now() - begun
            row["tokens"] += texts[name].shape[1] - inputs["input_ids"].shape[1]
            row["turns"] += turns
            row["nodes"] += nodes
        for name in runs:
            rows[name]["same"] += bool(torch.equal(texts[name], texts["plain generate"]))
        print(number, {name: round(row["tokens"] / max(row["turns"], 1), 2) for name, row in rows.items()}, flush=True)
    plain = rows["plain generate"]["seconds"] / max(rows["plain generate"]["tokens"], 1)
    table = Table("drafter", "tokens a pass", "nodes a pass", "speed", "same output", title="greedy free text")
    for name, row in rows.items():
        row["tokens_per_pass"] = row["tokens"] / max(row["turns"], 1)
        row["speed"] = plain * row["tokens"] / row["seconds"]
        table.add_row(
            name, f"{row['tokens_per_pass']:.2f}", f"{row['nodes'] / max(row['turns'], 1):.1f}", f"{row['speed']:.2f}",
            f"{row['same']}/{given.prompts}",
        )  # fmt: skip
    Console(width=110).print(table)
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
