"""A smaller model with the same vocabulary, where there is none: the model itself, without some of its layers.

`python benchmarks/speculation/shallow.py` finds which layers the model misses least: one after the other, always the
one without which it agrees best with what it wrote itself (the share of tokens that it would have written again), on
greedy answers to prompts that no other benchmark uses. Nothing is trained, and weights are shared, not copied.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from typing import Any

import torch

from guided.drafters.heads.prompts import built_in_prompts

# 24 of the 30 layers of SmolLM2-135M-Instruct: on the answers to three prompts it agrees with all 30 on 56 % of tokens.
KEPT = (0, 1, 2, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 27, 28, 29)


def shallow(model: Any, kept: Sequence[int]) -> Any:
    """`model` with the layers `kept`, ascending; its weights are those of `model`."""
    config = copy.deepcopy(model.config)
    config.num_hidden_layers = len(kept)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[layer] for layer in kept]
    with torch.device("meta"):
        small = type(model)(config)
    places = {str(layer): str(place) for place, layer in enumerate(kept)}
    state = {}
    for name, value in model.state_dict().items():
        parts = name.split(".")
        if "layers" in parts:
            at = parts.index("layers") + 1
            if parts[at] not in places:
                continue
            parts[at] = places[parts[at]]
        state[".".join(parts)] = value
    small.load_state_dict(state, assign=True, strict=False)
    small.tie_weights()
    small.model.rotary_emb = model.model.rotary_emb
    return small.eval()


@torch.no_grad()
def agreement(model: Any, texts: Sequence[tuple[torch.Tensor, int]]) -> float:
    """The share of tokens behind the prompts that `model` would have written."""
    right = total = 0
    for ids, begin in texts:
        best = model(input_ids=ids, use_cache=False).logits[0, begin - 1 : -1].argmax(-1)
        right += int((best == ids[0, begin:]).sum())
        total += len(best)
    return right / total


def main() -> None:
    from guided.demo.model import load_smollm2

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--prompts", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load_smollm2()
    texts = []
    for prompt in built_in_prompts(given.prompts, seed=7):
        inputs = loaded.chat(prompt)
        ids = loaded.model.generate(**inputs, max_new_tokens=64, do_sample=False)
        texts.append((ids, inputs["input_ids"].shape[1]))
    kept = list(range(loaded.model.config.num_hidden_layers))
    while len(kept) > given.layers:
        tried = {layer: shallow(loaded.model, [k for k in kept if k != layer]) for layer in kept[1:-1]}
        scores = {layer: agreement(small, texts) for layer, small in tried.items()}
        gone = max(scores, key=lambda layer: scores[layer])
        kept.remove(gone)
        print(f"{len(kept)} layers, without {gone}: agreement {scores[gone]:.2f}", kept, flush=True)


if __name__ == "__main__":
    main()
