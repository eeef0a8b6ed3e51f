"""How far sampled texts are from the model's law given the constraint: `python benchmarks/aligned.py`.

Five small grammars over a random Llama with twelve tokens. For each way of sampling: total variation between the
frequencies of many samples and the conditional law, which is enumerated. Behind each figure stands the noise of as many
samples, measured with samples drawn from the enumerated law itself. Sequential Monte Carlo is exact as `--particles`
grow, and faster so with exact masses ("smc") than with estimated ones ("awrs").
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import guided
from guided.conditioning.smc import smc
from guided.conditioning.tree import PrefixTree
from guided.conditioning.walk import Walks
from tests.guided.conditioning import worlds

Law = dict[tuple[int, ...], float]


def grow(name: str) -> PrefixTree:
    owner = worlds.constraint(name).parts[0].constraints[0]
    return PrefixTree(
        worlds.model(), torch.tensor(worlds.PROMPT), law=lambda ids, scores: scores, constraint=owner,
        limit=worlds.LIMIT, eos_ids=[worlds.EOS],
    )  # fmt: skip


def walks(exact: bool) -> Callable[[str, int, np.random.Generator], tuple[Law, int, int]]:
    def measure(name: str, count: int, rng: np.random.Generator) -> tuple[Law, int, int]:
        tree = grow(name)
        source = Walks(tree, lambda: float(rng.random()), max_passes=100_000)
        nodes, _ = source.sample(count, exact=exact)
        return worlds.frequencies(tuple(node.path()[:-1]) for node in nodes), tree.passes, source.attempts

    return measure


def particles(number: int, proposal: Any) -> Callable[[str, int, np.random.Generator], tuple[Law, int, int]]:
    def measure(name: str, count: int, rng: np.random.Generator) -> tuple[Law, int, int]:
        tree, found = grow(name), []
        for _ in range(count):
            end = smc(tree, rng, particles=number, proposal=proposal)
            weights = end.probabilities()
            if weights.any():
                node = end.nodes[int(rng.choice(number, p=weights))]
                assert node is not None
                found.append(tuple(node.path()[:-1]))
        return worlds.frequencies(found), tree.passes, count * number

    return measure


def masked(name: str, count: int, rng: np.random.Generator) -> tuple[Law, int, int]:
    """`generate` with the plain processor: what every engine does."""
    torch.manual_seed(int(rng.integers(2**31)))
    rows = []
    for begun in range(0, count, 2000):
        size = min(2000, count - begun)
        ids = torch.tensor([worlds.PROMPT]).repeat(size, 1)
        processor = guided.regex(worlds.LANGUAGES[name], tokenizer=worlds.vocabulary())
        out = worlds.model().generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, do_sample=True, top_k=0,
            logits_processor=processor, eos_token_id=worlds.EOS, pad_token_id=worlds.PAD,
        )  # fmt: skip
        rows += [row[: row.index(worlds.EOS)] for row in out[:, len(worlds.PROMPT) :].tolist() if worlds.EOS in row]
    return worlds.frequencies(tuple(row) for row in rows), 0, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--smc-samples", type=int, default=4_000)
    parser.add_argument("--particles", type=int, default=64, help="of each sample of smc; awrs has four times as many")
    parser.add_argument("--only", nargs="*", help="masking, rejection, asap, smc, awrs; default: all")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    ways: dict[str, tuple[Any, int]] = {
        "masking": (masked, given.samples // 4),
        "rejection": (walks(True), given.samples),
        "asap": (walks(False), given.samples),
        "smc": (particles(given.particles, "mask"), given.smc_samples),
        "awrs": (particles(4 * given.particles, "awrs"), given.smc_samples // 4),
    }
    ways = {way: how for way, how in ways.items() if not given.only or way in given.only}
    table = Table("grammar", "texts", "Pr(language)", *ways, title="total variation to the conditional law (noise)")
    records = []
    for name, pattern in worlds.LANGUAGES.items():
        exact, mass = worlds.exact_law(name)
        texts, shares = list(exact), np.array(list(exact.values()))
        cells, record = [], {"grammar": pattern, "texts": len(exact), "mass": mass}
        for way, (measure, count) in ways.items():
            law, passes, attempts = measure(name, count, rng)
            drawn = worlds.frequencies(texts[i] for i in rng.choice(len(texts), count, p=shares / shares.sum()))
            far, noise = worlds.distance(law, exact), worlds.distance(drawn, exact)
            record[way] = {"tv": far, "noise": noise, "passes": passes, "attempts": attempts, "samples": count}
            cells.append(f"{far:.4f} ({noise:.4f})")
        records.append(record)
        print(json.dumps(record), flush=True)
        table.add_row(escape(pattern), str(len(exact)), f"{mass:.4f}", *cells)
    Console(width=140).print(table)
    if given.out:
        given.out.write_text(json.dumps(records, indent=1))


if __name__ == "__main__":
    main()
