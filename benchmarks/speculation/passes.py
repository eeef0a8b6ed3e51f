"""What a pass of n tokens takes: transformers, our products over the weights in place, and over compact copies.

`python benchmarks/speculation/passes.py [--threads 2] [--context 187]`: milliseconds, the median of paired turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import ExitStack
from typing import Any

import torch
from transformers import DynamicCache

from guided.demo.model import load_smollm2
from guided.speculation.lean import lean_layers
from guided.speculation.narrow import narrow_passes, products_of
from guided.speculation.passes import cut
from guided.speculation.skinny import skinny
from guided.speculation.whole import own_memory

KINDS: tuple[Any, ...] = ("off", "in-place", "auto")


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--context", type=int, default=187)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--sizes", default="1,2,4,8,16,32")
    parser.add_argument("--kinds", default=",".join(KINDS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load_smollm2().model
    kinds = options.kinds.split(",")
    for kind in kinds:
        began = time.perf_counter()
        with narrow_passes(model, kind) as products:
            print(f"{kind}: first use {time.perf_counter() - began:.2f} s", end="")
            if products is not None and products.copies is not None:
                print(f", {products.copies.size() / 1e6:.0f} MB of copies", end="")
            print()
        began = time.perf_counter()
        with narrow_passes(model, kind):
            print(f"{kind}: next use {1e3 * (time.perf_counter() - began):.1f} ms", flush=True)
    cache = DynamicCache(config=model.config)
    own = torch.Generator().manual_seed(0)
    model(torch.randint(0, 49152, (1, options.context), generator=own), past_key_values=cache)
    own_memory(cache)
    for size in map(int, options.sizes.split(",")):
        ids = torch.randint(0, 49152, (1, size), generator=own)
        mask = torch.full((size, options.context + size), torch.finfo(torch.float32).min).triu(options.context + 1)
        given = {"attention_mask": mask[None, None]} if size > 1 else {}  # as `Passes` has it
        spent: dict[str, list[float]] = {kind: [] for kind in kinds}
        found = {}
        for _ in range(options.turns):
            for kind in kinds:
                with ExitStack() as stack:
                    if kind != "off":
                        stack.enter_context(lean_layers(model, products_of(model, kind)))
                        stack.enter_context(narrow_passes(model, kind))
                        if (code := skinny()) is not None:
                            stack.enter_context(code.threads())
                    for _ in range(2):
                        began = time.perf_counter()
                        found[kind] = model(ids, past_key_values=cache, **given).logits
                        after = time.perf_counter()
                        cut(cache, size)
                    spent[kind].append(after - began)
        times = {kind: 1e3 * statistics.median(values) for kind, values in spent.items()}
        same = torch.equal(found[kinds[-1]], found[kinds[-2]]) if len(kinds) > 1 else None
        print(size, {kind: round(value, 1) for kind, value in times.items()}, "last two equal:", same, flush=True)


if __name__ == "__main__":
    main()
