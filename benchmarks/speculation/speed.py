"""Speculation beside plain `model.generate`, in one run: `python benchmarks/speculation/speed.py [--tokens 96] ...`.

For each task and drafter: the processor time of `guided.generate` over that of plain generation of the *same number of
tokens* (unconstrained for JSON: what a constraint is feared to cost). Runs alternate. Greedy, one thread, and processor
time instead of the clock, so that other programs on the machine do not count. `--threads N`: N threads and the clock,
on a machine that has nothing else to do. The prompt's pass is in both.

    tokens/pass  tokens emitted per forward pass, the prompt's included
    speed        plain seconds per token / ours
    same         token-identical to plain constrained generation
    projected    tokens over the cost of all passes but the prompt's, if a pass of 16 tokens cost 1.2 passes of one, as
                 with weights that are kept packed (`--assume 1.2`: let "auto" choose by such a cost)
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from tasks import TASKS, Task

import guided
from guided import drafters
from guided.speculation import costs
from guided.speculation.costs import PassCosts, costs_of

DRAFTERS: dict[str, Callable[[], Any]] = {
    "auto": drafters.Auto,
    "forced": lambda: None,
    "lookup": drafters.PromptLookup,
    "schema": drafters.SchemaLookup,
    "recall": drafters.Recall,
    "recycling": drafters.TokenRecycling,
    "trigram": drafters.Trigram,
}


class Assumed(PassCosts):
    """Costs as they would be elsewhere: a pass of 16 tokens costs `sixteen` passes of one."""

    def __init__(self, sixteen: float) -> None:
        super().__init__()
        self.slope = (sixteen - 1) / 15

    def seconds(self, tokens: int) -> float:
        return 1 + self.slope * (tokens - 1)

    def note(self, tokens: int, seconds: float) -> None:
        pass

    def wants_single(self) -> bool:
        return False


def measure(
    task: Task, loaded: Any, names: list[str], made: dict[str, Any], tokens: int, now: Callable[[], float]
) -> Iterator[dict[str, Any]]:
    model, tokenizer = loaded.model, loaded.tokenizer
    inputs = loaded.chat(task.prompt)

    def constrain() -> Any:
        return guided.json(task.schema, tokenizer=tokenizer, model=model) if task.schema is not None else None

    constraint = constrain()
    given = {} if constraint is None else {"logits_processor": constraint}
    model.generate(**inputs, **given, max_new_tokens=2, do_sample=False)  # masks of the first states, kernels
    plain = model.generate(**inputs, **given, max_new_tokens=tokens, do_sample=False)
    length = plain.shape[1] - inputs["input_ids"].shape[1]
    for name in names:
        start = now()
        model.generate(**inputs, max_new_tokens=length, min_new_tokens=length, do_sample=False)
        middle = now()
        out = guided.generate(model, inputs, constrain(), made[name], max_new_tokens=tokens, do_sample=False)
        end = now()
        yield {
            "kind": task.kind, "task": task.name, "drafter": name, "tokens": length, "passes": out.stats.passes,
            "drafted": out.stats.drafted, "accepted": out.stats.accepted, "forced": out.stats.forced,
            "tokens_per_pass": length / out.stats.passes, "plain_s": middle - start, "ours_s": end - middle,
            "speed": (middle - start) / (end - middle), "same": bool(torch.equal(out.sequences, plain)),
            "projected": (length - 1) / max(sum(Assumed(1.2).seconds(r.nodes) for r in out.stats.rounds[1:]), 1e-9),
            "draft_s": out.stats.draft_seconds, "mask_s": out.stats.mask_seconds,
            "sizes": [r.nodes for r in out.stats.rounds[1:]],
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--kinds", default="json,correct,free")
    parser.add_argument("--drafters", default="auto,forced,lookup,schema,recall,recycling,trigram")
    parser.add_argument("--assume", type=float, default=None, help="what a pass of 16 tokens costs")
    parser.add_argument("--out", type=Path, default=None, help="JSON lines of every measurement")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    now = time.process_time if options.threads == 1 else time.perf_counter
    loaded = load()
    if options.assume is not None:
        costs._known[loaded.model] = Assumed(options.assume)
    names = options.drafters.split(",")
    made = {name: DRAFTERS[name]() for name in names}
    rows = []
    for kind in options.kinds.split(","):
        for task in (task for task in TASKS if task.kind == kind):
            for row in measure(task, loaded, names, made, options.tokens, now):
                rows.append(row)
                shown = ("kind", "task", "drafter", "tokens", "passes", "tokens_per_pass", "speed", "projected", "same")
                print(*(f"{row[key]:.2f}" if isinstance(row[key], float) else row[key] for key in shown), flush=True)
                if options.out:
                    with options.out.open("a") as lines:
                        lines.write(json.dumps(row) + "\n")
    known = costs_of(loaded.model)
    print("\npass of n tokens, in passes of one:", {n: round(known.cost(n), 2) for n in (1, 2, 4, 8, 16, 32)})
    print("\n| task | drafter | tokens/pass | speed, median | least | projected | same |")
    print("|---|---|---|---|---|---|---|")
    for kind in options.kinds.split(","):
        for name in names:
            own = [row for row in rows if row["kind"] == kind and row["drafter"] == name]
            if own:
                per_pass = sum(row["tokens"] for row in own) / sum(row["passes"] for row in own)
                speeds = [row["speed"] for row in own]
                same = f"{sum(row['same'] for row in own)}/{len(own)}"
                middle = f"{statistics.median(speeds):.2f} | {min(speeds):.2f}"
                projected = statistics.median(row["projected"] for row in own)
                print(f"| {kind} | {name} | {per_pass:.2f} | {middle} | {projected:.2f} | {same} |")


def load() -> Any:
    from guided.demo.model import load_smollm2

    return load_smollm2()


if __name__ == "__main__":
    main()
