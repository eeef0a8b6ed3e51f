"""Tokens a pass of every drafter, on one set of tasks: `python benchmarks/speculation/tokens.py [--heads FILE] ...`.

Greedy; every drafter writes every answer, which must be that of plain `generate`. The prompt's pass counts. No clock
decides anything: "auto" chooses by fixed costs (a pass of 16 tokens costs `--assume` passes of one), so the figures
are the same on every machine and number of threads, but for ties in the last bits of a float. A drafter keeps what it
has learnt from one task to the next, as in use.

    accepted    drafted tokens accepted per pass, over all passes
    tokens      tokens emitted per pass: accepted ones, and the one that the pass itself gives
    nodes       tokens checked per pass, beside the one that is the pass's own

The smaller model is SmolLM2-135M itself with the layers `shallow.KEPT`: there is none with its vocabulary.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from shallow import KEPT, shallow
from speed import DRAFTERS, Assumed, constraint_of, reference
from tasks import TASKS, Task

import guided
from guided import drafters
from guided.demo.model import load_smollm2
from guided.drafters.heads.prompts import held_out_prompts
from guided.speculation import costs
from guided.speculation.narrow import products_of


def makers(model: Any, heads: Path | None) -> dict[str, Callable[[], Any]]:
    small = shallow(model, KEPT)
    found = dict(DRAFTERS)
    found["jacobi"] = drafters.Jacobi
    found["layers"] = drafters.LayerSkip
    found["layers 20 %"] = lambda: drafters.LayerSkip(0.2)
    found["model"] = lambda: drafters.DraftModel(small)
    found["model, overlap"] = lambda: drafters.DraftModel(small, overlap=True)
    found["spectr"] = lambda: drafters.SpecTr(small)
    found["rsd tree"] = lambda: drafters.RecursiveDrafts(small)
    found["rsd beam"] = lambda: drafters.RecursiveDrafts(small, beam=True)
    if heads is not None:
        found["heads"] = lambda: drafters.Heads(heads)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--free", type=int, default=6, help="held-out prompts beside the three of free text")
    parser.add_argument("--drafters", default="", help="names, separated by "+"; default: all")
    parser.add_argument("--heads", type=Path, default=None, help="a file of trained heads")
    parser.add_argument("--assume", type=float, default=1.9, help="what a pass of 16 tokens costs, for auto")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load_smollm2()
    costs._known[loaded.model] = {products_of(loaded.model): Assumed(given.assume), None: Assumed(given.assume)}
    known = makers(loaded.model, given.heads)
    names = given.drafters.split("+") if given.drafters else list(known)
    made = {name: known[name]() for name in names}
    tasks = [*TASKS, *(Task("free", f"held out {i}", p) for i, p in enumerate(held_out_prompts(given.free)))]
    counts: Counter[tuple[str, str, str]] = Counter()
    for task in tasks:
        inputs = loaded.chat(task.prompt)
        plain = reference(task, loaded, given.tokens)
        for name, drafter in made.items():
            options: Any = {"max_new_tokens": given.tokens, "do_sample": False, "tokenizer": loaded.tokenizer}
            out = guided.generate(loaded.model, inputs, constraint_of(task, loaded), drafter, **options)
            stats, same = out.stats, torch.equal(out.sequences, plain)
            for what, count in (("passes", stats.passes), ("tokens", stats.tokens), ("accepted", stats.accepted),
                                ("drafted", stats.drafted), ("texts", 1), ("same", int(same))):  # fmt: skip
                counts[task.kind, name, what] += count
        print(task.kind, task.name, {n: counts[task.kind, n, "tokens"] for n in made}, flush=True)
        if given.out:
            given.out.write_text(json.dumps([[*key, count] for key, count in counts.items()]))
    report(list(made), list(dict.fromkeys(task.kind for task in tasks)), counts)


def report(names: list[str], kinds: list[str], counts: Counter[tuple[str, str, str]]) -> None:
    print("\n| drafter |", " | ".join(f"{kind}: accepted | tokens | nodes | same" for kind in kinds), "|")
    print("|---|" + "---|---|---|---|" * len(kinds))
    for name in names:
        cells = []
        for kind in kinds:
            passes = max(counts[kind, name, "passes"], 1)
            shares = [f"{counts[kind, name, what] / passes:.2f}" for what in ("accepted", "tokens", "drafted")]
            cells += [*shares, f"{counts[kind, name, 'same']}/{counts[kind, name, 'texts']}"]
        print(f"| {name} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
