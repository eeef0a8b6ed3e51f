"""Masks of the kinds of schema that are slow elsewhere, and how masks grow with the schema, beside llguidance in turns.

    python benchmarks/slow_kinds.py [--rounds 3] [--growth] [--fresh]

Each document is followed once per round and engine, engines in turns; the first round is cold (each schema seen for the
first time), later ones are warm. Times are by the wall's clock, as in `jsonschemabench`, so a quiet machine is needed:
the thread's own takes a microsecond to read, as long as some masks. What a process pays once for all schemas (the first
string, blanks, number, array) is paid before, but for `--fresh`. Garbage is not collected meanwhile, as in
`jsonschemabench`: a collection of 0.2 ms falls into whatever mask happens to allocate.
`--growth`: schemas ten times as large beside themselves, ours only.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from jsonschemabench.engines import Engine, EngineFailure
from jsonschemabench.engines.guided_engine import create as create_guided
from jsonschemabench.tokens import load_tools

Case = tuple[str, Any, Any]
WORDS = " ".join(["some words of a text that goes on"] * 9)


def branches(n: int) -> dict[str, Any]:
    """An array of objects of n kinds, told apart behind a shared prefix."""
    one = [
        {
            "type": "object",
            "properties": {"kind": {"const": f"shared_prefix_{i}"}, f"value_{i}": {"type": "string"}},
            "required": ["kind", f"value_{i}"],
            "additionalProperties": False,
        }
        for i in range(n)
    ]
    return {"type": "array", "items": {"anyOf": one}}


def properties(n: int) -> dict[str, Any]:
    """An object of n optional properties."""
    return {"type": "object", "properties": {f"property_{i}": {"type": "integer"} for i in range(n)}}


SLOW: list[Case] = [
    (
        "^.*a.{12}$",
        {"type": "string", "pattern": "^.*a.{12}$"},
        "abc abd aaaa some text, and so on atwelve chars",
    ),
    ("^[a-z ]{100,3000}$", {"type": "string", "pattern": "^[a-z ]{100,3000}$"}, WORDS),
    ("500 optional properties", properties(500), {f"property_{i}": i for i in range(0, 500, 25)}),
    # of 500 llguidance refuses the first token
    ("200 optional properties", properties(200), {f"property_{i}": i for i in range(0, 200, 10)}),
    ("maxLength 20000", {"type": "string", "maxLength": 20000}, WORDS),
    ("anyOf of 100 objects", branches(100), [{"kind": f"shared_prefix_{i}", f"value_{i}": "x"} for i in (5, 55, 99)]),
    ("words {0,49}, 300 long", {"type": "string", "pattern": r"^(?:\S+\s+){0,49}\S+$", "maxLength": 300}, WORDS[:200]),
    ("email, 100 long", {"type": "string", "format": "email", "maxLength": 100}, "john.doe@mail.example.com"),
]


def growing(n: int) -> list[Case]:
    """Cases of size n; the documents stay as they are."""
    nested: dict[str, Any] = {"type": "integer"}
    for _ in range(n):
        nested = {"type": "object", "properties": {"a": nested}}
    return [
        ("properties", properties(50 * n), {"property_3": 1, f"property_{10 * n}": 2}),
        ("enum", {"enum": [f"value number {i}" for i in range(50 * n)]}, "value number 17"),
        ("depth", nested, {"a": {"a": {}}}),
        ("maxLength", {"type": "string", "maxLength": 40 * n}, "a text of some length"),
        ("maxItems", {"type": "array", "items": {"type": "integer"}, "maxItems": 20 * n}, list(range(15))),
    ]


def follow(engine: Engine, session: Any, tokens: list[int]) -> list[float]:
    times: list[float] = []
    try:
        walk = session.start()
    except EngineFailure:
        return [float("nan")]
    for token in tokens:
        start = time.perf_counter_ns()
        try:
            walk.fill()
            spent = (time.perf_counter_ns() - start) / 1e3
            taken = walk.accept(token)
        except EngineFailure as error:
            print(f"{engine.name} fails at token {len(times)}: {str(error)[:70]}")
            break
        times.append(spent)
        if not taken:
            print(f"{engine.name} refuses token {len(times)} of {len(tokens)}: what follows is not measured")
            break
    return times


def compared(case: Case, engines: list[Engine], encode: Any, rounds: int) -> None:
    name, schema, document = case
    tokens = encode(json.dumps(document, separators=(",", ":")))
    sessions, first = [], []
    for engine in engines:
        start = time.perf_counter_ns()
        session = engine.compile(schema)
        session.start().fill()
        first.append((time.perf_counter_ns() - start) / 1e6)
        sessions.append(session)
    times: list[list[list[float]]] = [[] for _ in engines]
    for number in range(rounds):
        for k in range(len(engines)):
            k = (k + number) % len(engines)
            times[k].append(follow(engines[k], sessions[k], tokens))
    for k, engine in enumerate(engines):
        cold, warm = np.array(times[k][0]), np.array(times[k][1:] or [[0.0]])
        print(
            f"{name:26} {engine.name:11} first {first[k]:8.2f} ms   cold p50 {np.median(cold):8.1f}  "
            f"p99 {np.percentile(cold, 99):9.1f}  max {cold.max():9.1f}   warm p50 {np.median(warm):7.1f}  "
            f"p99 {np.percentile(warm, 99):8.1f} us"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    tools = load_tools(str(Path(os.environ.get("GUIDED_DATA", "../shared/data")) / "llama31-tokenizer"))
    engines: list[Engine] = [create_guided(tools.tokenizer, {})]
    ready = {"type": ["object", "string", "array"], "maxLength": 30, "properties": {"a": {"pattern": "^a{0,20}b"}}}
    for document in () if options.fresh else ({"a": "aab"}, "text", [], [1, {"a": "b"}, {}]):
        follow(engines[0], engines[0].compile(ready), tools.encode(json.dumps(document)))
    gc.collect()
    gc.freeze()
    gc.disable()
    if options.growth:
        for small, large in zip(growing(10), growing(100), strict=True):
            for case, size in ((small, "x1"), (large, "x10")):
                compared((f"{case[0]} {size}", case[1], case[2]), engines, tools.encode, options.rounds)
        return
    from jsonschemabench.engines.llguidance_engine import create as create_llguidance

    engines.append(create_llguidance(tools.tokenizer, {}))
    for case in SLOW:
        compared(case, engines, tools.encode, options.rounds)


if __name__ == "__main__":
    main()
