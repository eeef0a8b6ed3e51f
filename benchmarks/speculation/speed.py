"""Speculation beside plain `model.generate`, in one run: `python benchmarks/speculation/speed.py [--tokens 96] ...`.

For each task and drafter: the processor time of `guided.generate` over that of plain generation of the *same number of
tokens* (unconstrained for JSON: what a constraint is feared to cost). Runs alternate. Greedy, one thread, and processor
time instead of the clock, so that other programs on the machine do not count. `--threads N`: N threads and the clock,
on a machine that has nothing else to do. The prompt's pass is in both; how much of a run it is depends on the lengths
of prompt and answer, so `after` leaves it out: of plain generation by a run of one token, of ours as it was measured.

    tokens/pass  tokens emitted per forward pass, the prompt's included
    speed        plain seconds per token / ours
    after        the same without the prompts' passes
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
from guided.demo.model import load_smollm2
from guided.speculation import costs
from guided.speculation.costs import PassCosts, costs_of
from guided.speculation.narrow import products_of

DRAFTERS: dict[str, Callable[[], Any]] = {
    "auto": drafters.Auto,
    "forced": lambda: None,
    "copy": drafters.CopyEdit,
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


def clock() -> float:
    """The clock, when the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def reference(task: Task, loaded: Any, tokens: int) -> torch.Tensor:
    """What plain constrained generation writes, prompt included; warms masks and kernels."""
    given = {} if task.schema is None else {"logits_processor": constraint_of(task, loaded)}
    plain: torch.Tensor = loaded.model.generate(
        **loaded.chat(task.prompt), **given, max_new_tokens=tokens, do_sample=False
    )
    return plain


def constraint_of(task: Task, loaded: Any) -> Any:
    if task.schema is None:
        return None
    return guided.json(task.schema, tokenizer=loaded.tokenizer, model=loaded.model)


def warm_up(loaded: Any, narrow: Any) -> None:
    """What a process pays once: products are measured, layers are looked at. Told apart from the rest."""
    began = time.perf_counter()
    guided.generate(loaded.model, loaded.chat("Hello"), None, None, max_new_tokens=3, do_sample=False, narrow=narrow)
    print(f"first call of the process: {time.perf_counter() - began:.2f} s", flush=True)


def measure(
    task: Task,
    loaded: Any,
    names: list[str],
    made: dict[str, Any],
    tokens: int,
    now: Callable[[], float],
    plain: torch.Tensor,
    narrow: Any,
) -> Iterator[dict[str, Any]]:
    model = loaded.model
    inputs = loaded.chat(task.prompt)
    length = plain.shape[1] - inputs["input_ids"].shape[1]
    for name in names:
        begin = now()
        model.generate(**inputs, max_new_tokens=1, do_sample=False)
        start = now()
        model.generate(**inputs, max_new_tokens=length, min_new_tokens=length, do_sample=False)
        middle = now()
        options: Any = {"max_new_tokens": tokens, "do_sample": False, "narrow": narrow, "tokenizer": loaded.tokenizer}
        out = guided.generate(model, inputs, constraint_of(task, loaded), made[name], **options)
        end = now()
        yield {
            "kind": task.kind, "task": task.name, "drafter": name, "tokens": length, "passes": out.stats.passes,
            "drafted": out.stats.drafted, "accepted": out.stats.accepted, "forced": out.stats.forced,
            "tokens_per_pass": length / out.stats.passes, "plain_s": middle - start, "ours_s": end - middle,
            "speed": (middle - start) / (end - middle),
            "after": (middle - start - (start - begin)) / max(end - middle - out.stats.prompt_seconds, 1e-9),
            "same": bool(torch.equal(out.sequences, plain)),
            "projected": (length - 1) / max(sum(Assumed(1.2).seconds(r.nodes) for r in out.stats.rounds[1:]), 1e-9),
            "draft_s": out.stats.draft_seconds, "mask_s": out.stats.mask_seconds,
            "sizes": [r.nodes for r in out.stats.rounds[1:]],
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--kinds", default="json,correct,free")
    parser.add_argument("--drafters", default="auto,forced,copy,lookup,schema,recall,recycling,trigram")
    parser.add_argument("--assume", type=float, default=None, help="what a pass of 16 tokens costs")
    parser.add_argument("--out", type=Path, default=None, help="JSON lines of every measurement")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="elsewhere than on a CPU the clock counts")
    parser.add_argument("--narrow", default="auto", choices=["auto", "in-place", "off"], help="see guided.generate")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    now = time.process_time if options.threads == 1 and options.device == "cpu" else clock
    loaded = load_smollm2(options.device)
    wanted = [task for kind in options.kinds.split(",") for task in TASKS if task.kind == kind]
    written = {task.name: reference(task, loaded, options.tokens) for task in wanted}
    products = None if options.narrow == "off" else products_of(loaded.model)
    if options.assume is not None:
        costs._known[loaded.model] = {products: Assumed(options.assume)}
    warm_up(loaded, options.narrow)
    report(loaded, wanted, written, products, options, now)


def report(
    loaded: Any, wanted: list[Task], written: dict[str, torch.Tensor], products: Any, options: Any, now: Any
) -> None:
    names = options.drafters.split(",")
    made = {name: DRAFTERS[name]() for name in names}
    rows = []
    for task in wanted:
        for row in measure(task, loaded, names, made, options.tokens, now, written[task.name], options.narrow):
            rows.append(row)
            shown = ("kind", "task", "drafter", "tokens", "passes", "tokens_per_pass", "speed", "after", "same")
            print(*(f"{row[key]:.2f}" if isinstance(row[key], float) else row[key] for key in shown), flush=True)
            if options.out:
                with options.out.open("a") as lines:
                    lines.write(json.dumps(row) + "\n")
    known = costs_of(loaded.model, products)
    print("\npass of n tokens, in passes of one:", {n: round(known.cost(n), 2) for n in (1, 2, 4, 8, 16, 32)})
    print("\n| task | drafter | tokens/pass | speed, median | least | after | projected | same |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in options.kinds.split(","):
        for name in names:
            own = [row for row in rows if row["kind"] == kind and row["drafter"] == name]
            if own:
                per_pass = sum(row["tokens"] for row in own) / sum(row["passes"] for row in own)
                speeds = [row["speed"] for row in own]
                same = f"{sum(row['same'] for row in own)}/{len(own)}"
                middle = f"{statistics.median(speeds):.2f} | {min(speeds):.2f}"
                projected = statistics.median(row["projected"] for row in own)
                after = statistics.median(row["after"] for row in own)
                print(f"| {kind} | {name} | {per_pass:.2f} | {middle} | {after:.2f} | {projected:.2f} | {same} |")


if __name__ == "__main__":
    main()
