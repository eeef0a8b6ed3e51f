"""Chi-square of sampled output over a six-token model, 20 seeds: `python benchmarks/speculation/law.py [--count N]`.

For each rule and drafter, with and without a constraint: the p-values of 20 seeds against the exact law, found by
enumeration. If the law is right they are uniform: the least of 20 falls below 0.01 in one table in five, below 0.0005
in one of a hundred, and about 1 % of all p-values lie below 0.01.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.guided.speculation.test_law import DRAFTERS
from tests.guided.speculation.toy_chain import Table, chi_square_p, exact_law, simulate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="sequences a seed")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default="", help="names of drafters, separated by commas")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| drafter and rule | constraint | least p | median p | below 0.01 |\n|---|---|---|---|---|")
    low = total = 0
    chosen = {name: DRAFTERS[name] for name in options.only.split(",")} if options.only else DRAFTERS
    for name, drafter in chosen.items():
        for constrained in (False, True):
            values = []
            for seed in range(options.seeds):
                torch.manual_seed(1000 + seed)
                table, other = Table(seed), Table(seed + 100)
                other.logits = 0.6 * table.logits + 0.5 * other.logits
                setting = {"temperature": 0.7 + 0.05 * seed, "constrained": constrained, "top": 6 - seed % 3}
                found = simulate(drafter, table, other, options.count, **setting)
                values.append(chi_square_p(found, exact_law(table, **setting)))
            values.sort()
            below = sum(value < 0.01 for value in values)
            low, total = low + below, total + len(values)
            print(f"| {name} | {'yes' if constrained else 'no'} | {values[0]:.3f} | {values[len(values) // 2]:.2f} | "
                  f"{below} of {len(values)} |", flush=True)  # fmt: skip
    print(f"\np < 0.01: {low} of {total} ({low / total:.1%}; 1 % expected)")


if __name__ == "__main__":
    main()
