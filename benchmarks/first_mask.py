"""Seconds from `import guided` to the first mask, in a fresh process: on a new machine, and on one that has been used.

    GUIDED_DATA=... python benchmarks/first_mask.py [--rounds 3] [--imports torch]

A new machine has no cache of kernels (each round gets an empty folder); the next process finds what the first has left.
`--imports` come before the clock starts. With $GUIDED_DATA also a mask of the Llama-3.1 vocabulary, whose tokenizer
transformers reads in a time of its own. Compiled Python files are kept in a folder that all processes share.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = """
import importlib, json, os, sys, time
for name in sys.argv[1:]:
    importlib.import_module(name)
clock, cpu = time.perf_counter(), time.process_time()
laps = {}
def lap(name):
    global clock, cpu
    laps[name] = (time.perf_counter() - clock, time.process_time() - cpu)
    clock, cpu = time.perf_counter(), time.process_time()
import guided
import numpy as np
properties = {"name": {"type": "string"}, "age": {"type": "integer"}}
schema = {"type": "object", "properties": properties, "required": ["name"]}
def first(vocabulary):
    matcher = guided.Matcher(guided.compile_json_schema(schema), vocabulary)
    row = np.zeros(vocabulary.words, np.int32)
    matcher.fill_mask(row)
    assert row.any() and matcher.accept_bytes(b"{")
    matcher.fill_mask(row)
first(guided.Vocabulary.from_bytes([*(bytes((b,)) for b in range(256)), None], eos_ids=[256]))
lap("byte vocabulary")
data = os.environ.get("GUIDED_DATA")
if data:
    from transformers import PreTrainedTokenizerFast
    file = os.path.join(data, "llama31-tokenizer", "tokenizer.json")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=file, eos_token="<|end_of_text|>")
    lap("(tokenizer)")
    first(guided.Vocabulary.from_tokenizer(tokenizer))
    lap("Llama-3.1 vocabulary")
print(json.dumps(laps))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--imports", nargs="*", default=["torch"])
    options = parser.parse_args()
    root = str(Path(__file__).parents[1])
    with tempfile.TemporaryDirectory() as folder:
        env = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "GUIDED_CACHE_DIR")}
        env.update(PYTHONPATH=root, PYTHONPYCACHEPREFIX=f"{folder}/python")

        def run(cache: str) -> dict[str, list[float]]:
            command = [sys.executable, "-c", CHILD, *options.imports]
            done = subprocess.run(command, env={**env, "NUMBA_CACHE_DIR": cache}, check=True, stdout=subprocess.PIPE)
            laps: dict[str, list[float]] = json.loads(done.stdout)
            return laps

        run(f"{folder}/ahead")  # Python's own compiled files and the system's file cache are not what is asked about
        found: dict[str, list[dict[str, list[float]]]] = {"new machine": [], "used": []}
        for k in range(options.rounds):
            for name in found:
                found[name].append(run(f"{folder}/{k}"))
    for name, rounds in found.items():
        for part in rounds[0]:
            wall = statistics.median(laps[part][0] for laps in rounds)
            cpu = statistics.median(laps[part][1] for laps in rounds)
            print(f"{name:12} {part:22} {wall:7.2f} s   processor {cpu:7.2f} s")


if __name__ == "__main__":
    main()
