"""Chi-square of sampled output over a six-token model, 20 seeds: `python benchmarks/speculation/law.py [--count N]`.

For each rule of verification and the drafters that use it, with and without a constraint: the p-values of 20 seeds
(each with other tables, temperature and top-k) against the exact law, found by enumeration. If the law is right, they
are uniform: one in a hundred lies below 0.01, so that with 20 seeds every fifth or sixth line of the table has one.
What a number of them means is told for each line and for all together by two tests:

    chance  that as many p-values or more lie below 0.01, if they are uniform (binomial)
    KS      Kolmogorov-Smirnov: p-value of their greatest distance from the uniform law
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.guided.speculation.test_law import DRAFTERS
from tests.guided.speculation.toy_chain import Table, chi_square_p, exact_law, simulate

RULES = {
    "lookup": "sample and match",
    "chain": "chain rejection",
    "stopping chain": "chain rejection",
    "overlap": "chain rejection",
    "jacobi": "chain rejection",
    "independent": "recursive, with replacement",
    "tree": "recursive, without replacement",
    "beam": "recursive, without replacement",
    "k-sequential": "K-SEQ",
}
LEVEL = 0.01


def chance_of_as_many(low: int, count: int) -> float:
    """P(X >= low) for X ~ Binomial(count, LEVEL)."""
    return float(1 - sum(math.comb(count, k) * LEVEL**k * (1 - LEVEL) ** (count - k) for k in range(low)))


def kolmogorov_smirnov_p(values: Sequence[float]) -> float:
    """p-value of the two-sided test against U(0, 1): Kolmogorov's series with Stephens' (1970) small-sample factor."""
    ordered, count = sorted(values), len(values)
    distance = max(max((at + 1) / count - value, value - at / count) for at, value in enumerate(ordered))
    scaled = distance * (math.sqrt(count) + 0.12 + 0.11 / math.sqrt(count))
    if scaled < 0.3:
        return 1.0  # the series converges slowly there; its value is above 0.99999
    return min(1.0, 2 * sum((1 if k % 2 else -1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101)))


def p_values(name: str, constrained: bool, seeds: range, count: int) -> list[float]:
    """One p-value a seed: `count` sequences against the exact law."""
    values = []
    for seed in seeds:
        torch.manual_seed(1000 + seed)
        table, other = Table(seed), Table(seed + 100)
        other.logits = 0.6 * table.logits + 0.5 * other.logits  # a draft model that knows something
        setting: dict[str, Any] = {"constrained": constrained, "top": 6 - seed % 3}
        setting["temperature"] = 0.7 + 0.05 * (seed % 20)
        found = simulate(DRAFTERS[name], table, other, count, **setting)
        values.append(chi_square_p(found, exact_law(table, **setting)))
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="sequences a seed")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="first seed; other seeds are a repetition")
    parser.add_argument("--only", default="", help="names of drafters, separated by commas")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| rule | drafter | constraint | least p | median p | below 0.01 | chance | KS |")
    print("|---|---|---|---|---|---|---|---|")
    every: list[float] = []
    for name in options.only.split(",") if options.only else RULES:
        for constrained in (False, True):
            values = p_values(name, constrained, range(options.first, options.first + options.seeds), options.count)
            every += values
            shown = f"{min(values):.3f} | {sorted(values)[len(values) // 2]:.2f}"
            line = (RULES[name], name, "yes" if constrained else "no", shown, judged(values))
            print("|", " | ".join(line), "|", flush=True)
    print(f"| all | | | {min(every):.4f} | {sorted(every)[len(every) // 2]:.2f} | {judged(every)} |")


def judged(values: Sequence[float]) -> str:
    low = sum(value < LEVEL for value in values)
    return f"{low} of {len(values)} | {chance_of_as_many(low, len(values)):.2f} | {kolmogorov_smirnov_p(values):.2f}"


if __name__ == "__main__":
    main()
