"""What samplers, the value stage and strategies cost beside their forward passes.

    python benchmarks/steering/cost_own.py [--tokens N] [--only NAME ...]

All processor time outside the model's forward calls, less what plain `generate` spends there (greedy or sampling, as
the method; four rows for blockwise decoding, which samples four), as a share of the forward calls of the same run. One
run on one thread, so that the load is the same for all; the better of `--rounds` runs of each method counts, after one
to warm up.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch

import guided
from guided.demo.model import load_smollm2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load_smollm2()
    model, tokenizer = loaded.model, loaded.tokenizer
    inputs = loaded.chat("Tell me about the sea and the animals that live in it.")
    reward = lambda texts: [float(len(text)) for text in texts]  # noqa: E731
    attribute = guided.not_degenerate(
        min_new_tokens=4, no_repeat_ngram=3, eos_ids=[model.generation_config.eos_token_id]
    )
    methods: dict[str, dict[str, Any]] = {
        "plain": {},
        "plain, sampled": {"do_sample": True, "top_k": 0},
        "plain, sampled, 4 rows": {"do_sample": True, "top_k": 0, "num_return_sequences": 4},
        "mirostat 2": {"logits_processor": guided.mirostat(3.0), "do_sample": True, "top_k": 0},
        "mirostat 1": {"logits_processor": guided.mirostat(3.0, version=1), "do_sample": True, "top_k": 0},
        "momentum": {"logits_processor": guided.momentum()},
        "args": {"logits_processor": guided.args(reward, tokenizer=tokenizer)},
        "controlled": {"logits_processor": guided.controlled_decoding(model, lambda hidden: hidden[:, 0])},
        "transfer_q": {"logits_processor": guided.transfer_q(policy=model, reward=reward, tokenizer=tokenizer, top_k=4,
                                                             max_rollout=8)},
        "contrastive search": {"custom_generate": guided.contrastive_search()},
        "diverse beams": {"custom_generate": guided.diverse_beam_search(4, 2)},
        "conditional beams": {"custom_generate": guided.conditional_beam_search(attribute, 4)},
        "superposed": {"custom_generate": guided.superposed_decoding()},
        "blockwise": {"custom_generate": guided.blockwise_decoding(reward, tokenizer), "do_sample": True},
    }  # fmt: skip
    spent, inner = 0.0, model.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        nonlocal spent
        start = time.process_time()
        out = inner(*args, **kwargs)
        spent += time.process_time() - start
        return out

    forward.__signature__ = __import__("inspect").signature(inner)  # type: ignore[attr-defined]
    model.forward = forward
    bases: dict[tuple[bool, int], float] = {}
    print("| method | forward calls, ms a token | the rest, ms a token | more than plain, as a share of the calls |")
    print("|---|---|---|---|")
    for name, options in methods.items():
        if given.only is not None and not name.startswith("plain") and name not in given.only:
            continue
        found = []
        for _ in range(1 + given.rounds):
            torch.manual_seed(0)
            spent, start = 0.0, time.process_time()
            out = model.generate(**inputs, max_new_tokens=given.tokens, min_new_tokens=given.tokens, **options)
            total = time.process_time() - start
            tokens = out.shape[1] - inputs["input_ids"].shape[1]
            found.append(((total - spent) / tokens * 1e3, spent / tokens * 1e3))
        rest, calls = min(found[1:])
        kind = (bool(options.get("do_sample")), 4 if "rows" in name or name == "blockwise" else 1)
        base = bases.setdefault(kind, rest)  # the first of its kind is the plain one
        print(f"| {name} | {calls:.1f} | {rest:.2f} | {(rest - base) / calls:+.1%} |", flush=True)


if __name__ == "__main__":
    main()
