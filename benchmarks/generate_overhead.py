"""What a constraint costs `generate` per token on SmolLM2: constrained and plain generation of equal length, in turns.

    python benchmarks/generate_overhead.py [--rounds 3] [--tokens 24] [--seconds 200]

Each schema: constrained generation of up to `--tokens` tokens, then plain greedy generation of exactly as many from the
same prompt, whoever begins rotating. Told are the time within the processor as a share of the constrained run (its
direct cost), and the ratio of the two runs' times (all else as well, and noise: the median of the pairs and their
middle half). Times are of the processor, which a busy machine changes less; set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch

import guided
from guided.demo.model import load_smollm2

SCHEMAS: dict[str, Any] = {
    "object": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["name", "age", "tags"],
    },
    "text": {"type": "string", "minLength": 400},
    "numbers": {"type": "array", "items": {"type": "number"}, "minItems": 40},
    "any value": {"type": "array", "minItems": 30},
}


class Timed:
    """A list of processors whose calls are timed."""

    def __init__(self, processors: Any) -> None:
        self.processors, self.spent, self.calls = processors, 0.0, 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        start = time.process_time()
        for processor in self.processors:
            scores = processor(input_ids, scores)
        self.spent += time.process_time() - start
        self.calls += 1
        return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=200)
    options = parser.parse_args()
    loaded = load_smollm2()
    model, tokenizer = loaded.model, loaded.tokenizer
    inputs = loaded.chat("Describe a sailor in JSON.")
    prompt = inputs["input_ids"].shape[1]
    begun = time.process_time()

    def run(tokens: int, processors: Any) -> tuple[float, int]:
        start = time.process_time()
        least = tokens if processors is None else None
        more = {} if processors is None else {"logits_processor": processors}
        out = model.generate(**inputs, max_new_tokens=tokens, min_new_tokens=least, do_sample=False, **more)
        return time.process_time() - start, out.shape[1] - prompt

    shares: dict[str, list[float]] = {name: [] for name in SCHEMAS}
    calls: dict[str, list[float]] = {name: [] for name in SCHEMAS}
    ratios: dict[str, list[float]] = {name: [] for name in SCHEMAS}
    lengths: dict[str, int] = {}
    for name, schema in SCHEMAS.items():
        lengths[name] = run(options.tokens, guided.json(schema, tokenizer=tokenizer))[1]
    run(8, None)
    for k in range(options.rounds):
        for name, schema in SCHEMAS.items():
            if time.process_time() - begun > options.seconds:
                continue
            timed = Timed(guided.json(schema, tokenizer=tokenizer))
            times = {}
            for kind in ("constrained", "plain") if k % 2 else ("plain", "constrained"):
                # min_new_tokens adds a processor to the plain run as well, so both inspect one
                times[kind] = run(lengths[name], [timed] if kind == "constrained" else None)[0]
            shares[name].append(timed.spent / times["constrained"])
            calls[name].append(1e6 * timed.spent / timed.calls)
            ratios[name].append(times["constrained"] / times["plain"])
    for name in SCHEMAS:
        if shares[name]:
            low, middle, high = statistics.quantiles(ratios[name], n=4) if len(ratios[name]) > 1 else 3 * ratios[name]
            share, call = statistics.median(shares[name]), statistics.median(calls[name])
            told = f"{name:10} {lengths[name]:4} tokens   processor {call:6.0f} us a token, {100 * share:.2f} %"
            print(f"{told}   constrained / plain {middle:.3f} [{low:.3f}, {high:.3f}]")
    everything = [x for found in shares.values() for x in found]
    together = [x for found in ratios.values() for x in found]
    print(f"all: processor {100 * statistics.mean(everything):.2f} %, ratio {statistics.median(together):.3f}")


if __name__ == "__main__":
    main()
