"""Is greedy output token-identical to plain constrained generation? `python benchmarks/speculation/identity.py FOLDER`.

Schemas of the public set (FOLDER as `jsonschemabench` reads it), taken evenly from its splits; the prompt asks for a
document and shows the schema's beginning. Each drafter writes what plain `model.generate` wrote under the same
constraint. Where they differ, the gap between the two tokens' logits is told: passes over other shapes differ in the
last bits, so a tie within 1e-4 may go either way. Also counts tokens a pass: a by-product that no clock disturbs.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from speed import DRAFTERS

import guided
from grammars.errors import GuidedError
from guided.demo.model import load_smollm2
from jsonschemabench.data import Definition
from jsonschemabench.sources import open_source


def definitions(folder: str, count: int, start: int) -> Iterator[Definition]:
    """`count` of them, the first of each split, then the second of each."""
    source = open_source(folder)
    splits = [source.load(split) for split in source.names()]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*(itertools.islice(s, 0, None, 7) for s in splits)))
    return itertools.islice((found for found in turns if found is not None), start, start + count)


def gap(loaded: Any, ids: torch.Tensor, other: torch.Tensor) -> float:
    """Difference of the logits of two tokens at the first place where two texts part."""
    length = min(ids.shape[1], other.shape[1])
    at = int((ids[0, :length] != other[0, :length]).nonzero()[0]) if not ids.equal(other) else length
    with torch.no_grad():
        logits = loaded.model(input_ids=ids[:, :at]).logits[0, -1]
    return float((logits[ids[0, at]] - logits[other[0, at]]).abs())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--drafters", default="auto,forced,schema,lookup,recall,recycling,trigram")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--narrow", default="auto", choices=["auto", "in-place", "off"])
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load_smollm2(given.device)
    model, made = loaded.model, {name: DRAFTERS[name]() for name in given.drafters.split(",")}
    same, tied, tokens, passes, seen, refused = Counter[str](), Counter[str](), Counter[str](), Counter[str](), 0, 0
    for definition in definitions(given.folder, given.count, given.start):
        schema = json.dumps(definition.schema)
        inputs = loaded.chat(f"Write one JSON document for this schema:\n{schema[:400]}")
        try:
            constraint = guided.json(definition.schema, tokenizer=loaded.tokenizer, model=model)
        except GuidedError as error:
            refused += 1
            print(definition.split, definition.name, "not compiled:", str(error).splitlines()[0][:90], flush=True)
            continue
        options: dict[str, Any] = {"max_new_tokens": given.tokens, "do_sample": False}
        plain = model.generate(**inputs, logits_processor=constraint, **options)
        seen += 1
        for name, drafter in made.items():
            out = guided.generate(model, inputs, constraint, drafter, narrow=given.narrow, **options)
            right = torch.equal(out.sequences, plain)
            same[name] += right
            tokens[name] += plain.shape[1] - inputs["input_ids"].shape[1]
            passes[name] += out.stats.passes
            if not right:
                apart = gap(loaded, plain, out.sequences)
                tied[name] += apart < 1e-4
                print(definition.split, definition.name, name, f"differs; logits {apart:.2e} apart", flush=True)
        shown = {name: f"{same[name]}/{seen}, {tokens[name] / passes[name]:.2f} a pass" for name in made}
        print(seen, shown, flush=True)
        if given.out:
            given.out.write_text(json.dumps({"seen": seen, "same": same, "tied": tied, "tokens": tokens,
                                             "passes": passes, "refused": refused}))  # fmt: skip


if __name__ == "__main__":
    main()
