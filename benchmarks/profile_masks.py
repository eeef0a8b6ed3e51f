"""Where cold masks spend their time: what kernels asked Python for, by request, over schemas of the benchmark's data.

    python benchmarks/profile_masks.py [--splits all] [--limit 20] [--seed 0] [--worst 30]

Follows each document as `jsonschemabench masks` does, one engine only, each schema once. Per mask: its time, and of
that the time in answers (parts lowered, terminal rows, tier-1 entries, room); the rest is the kernel. Prints totals,
quantiles and the slowest masks with what they did.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

import grammars.masktable as masktable
import guided
from grammars.kernels import layout as at
from jsonschemabench.data import sample
from jsonschemabench.sources import open_source
from jsonschemabench.tokens import load_tools

NAMES = {at.NEED_T1: "tier1", at.NEED_NODE: "node", at.NEED_ROW: "row", at.NEED_ROOM: "room"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", default="all")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worst", type=int, default=30)
    parser.add_argument("--names", help="only these schemas of the splits, separated by commas")
    parser.add_argument("--set", nargs="*", default=["property_order=any"])
    options = parser.parse_args()
    data = os.environ.get("GUIDED_DATA", "../shared/data")
    source = open_source(data)
    splits = source.names() if options.splits == "all" else options.splits.split(",")
    if options.names:
        names = options.names.split(",")
        definitions = [d for split in splits for d in source.load(split) if d.name in names]
    else:
        definitions = sample(source, splits, limit=options.limit, seed=options.seed)
    tools = load_tools(Path(data) / "llama31-tokenizer")
    vocabulary = guided.Vocabulary.from_tokenizer(tools.tokenizer)
    chosen: dict[str, Any] = dict(pair.split("=") for pair in options.set)
    clock = time.thread_time_ns  # a busy machine must not show
    current: dict[str, list[float]] = defaultdict(lambda: [0, 0])
    notes: list[str] = []
    plain = masktable.Binding.answer

    def answer(self: masktable.Binding, status: int, ctx: Any) -> None:
        start = clock()
        before = len(self.program.store)
        plain(self, status, ctx)
        spent = clock() - start
        entry = current[NAMES.get(status, str(status))]
        entry[0] += 1
        entry[1] += spent
        if status == at.NEED_T1 and spent > 200_000:
            q = int(ctx[at.OUT0])
            terminal, local = self.program.store.known_as(q)
            notes.append(
                f"tier1 q={q} {tuple(int(ctx[s]) for s in (at.OUT1, at.OUT2, at.OUT3))} {spent / 1e3:.0f} us, "
                f"{len(self.program.store) - before} new states, of {str(getattr(terminal, 'key', ''))[:200]}/{local}"
            )

    masktable.Binding.answer = answer  # type: ignore[method-assign]
    row = np.zeros(vocabulary.words, np.int32)
    table = masktable.Table(256)
    table.grow()
    warm_up = guided.compile_json_schema({"type": ["object", "array", "string", "number"]}, **chosen)
    matcher = guided.Matcher(warm_up, vocabulary)
    for token in tools.encode('{"a": [1, "b"]}'):
        matcher.fill_mask(row)
        matcher.accept(token)
    masks: list[tuple[int, str, str, dict[str, tuple[int, int]], list[str]]] = []
    firsts, compiles, matchers, advances = [], [], [], []
    for definition in definitions:
        start = clock()
        try:
            grammar = guided.compile_json_schema(definition.schema, **chosen)
            compiles.append(clock() - start)
            then = clock()
            matcher = guided.Matcher(grammar, vocabulary)
            matchers.append(clock() - then)
            matcher.fill_mask(row)
        except guided.GuidedError:
            continue
        firsts.append(clock() - start)
        for instance in definition.instances:
            for spelled in ({"separators": (",", ":")}, {}):
                text = json.dumps(instance.data, ensure_ascii=False, **spelled)  # type: ignore[arg-type]
                matcher.reset()
                done = ""
                for token in [*tools.encode(text), vocabulary.eos_ids[0]]:
                    current.clear()
                    notes.clear()
                    start = clock()
                    try:
                        matcher.fill_mask(row)
                    except guided.GuidedError:
                        break
                    spent = clock() - start
                    requests = {name: (int(n), int(t)) for name, (n, t) in current.items()}
                    masks.append((spent, f"{definition.split}/{definition.name}", done[-60:], requests, [*notes]))
                    start = clock()
                    if not matcher.accept(token):
                        break
                    advances.append(clock() - start)
                    done += vocabulary.token_bytes(token).decode(errors="replace")
    times = np.array([m[0] for m in masks]) / 1e3
    total = times.sum()
    print(f"{len(firsts)} schemas, {len(times)} masks, {total / 1e6:.2f} s in masks")
    for name, values in (
        ("mask", times),
        ("advance", np.array(advances) / 1e3),
        ("first mask", np.array(firsts) / 1e3),
        ("compile", np.array(compiles) / 1e3),
        ("matcher", np.array(matchers) / 1e3),
    ):
        p = np.percentile(values, [50, 90, 99, 99.9])
        print(
            f"{name:12} avg {values.mean():9.1f}  p50 {p[0]:8.1f}  p90 {p[1]:8.1f}  p99 {p[2]:9.1f}  "
            f"p99.9 {p[3]:9.1f}  max {values.max():10.1f} us"
        )
    spent = defaultdict(lambda: [0, 0.0])
    kernel = 0.0
    for mask in masks:
        rest = mask[0]
        for name, (n, t) in mask[3].items():
            spent[name][0] += n
            spent[name][1] += t / 1e3
            rest -= t
        kernel += rest / 1e3
    for name, (n, t) in spent.items():
        print(f"  {name:6} {n:7.0f} requests {t / 1e6:8.3f} s  {100 * t / total:5.1f} %")
    print(f"  kernel {' ' * 24}{kernel / 1e6:8.3f} s  {100 * kernel / total:5.1f} %")
    edges = [0, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 1e9]
    for low, high in itertools.pairwise(edges):
        inside = times[(times >= low) & (times < high)]
        share = 100 * inside.sum() / total
        print(f"  {low:>7.0f}..{high:<12.0f} us  {len(inside):7} masks  {share:5.1f} % of the time")
    for mask in sorted(masks, key=lambda m: -m[0])[: options.worst]:
        print(f"{mask[0] / 1e3:10.0f} us {mask[1]} after {mask[2]!r} {mask[3]}")
        for note in mask[4]:
            print("            ", note)


if __name__ == "__main__":
    main()
