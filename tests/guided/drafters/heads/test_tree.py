"""A pass over a tree says at every node what the model says about that path alone."""

from __future__ import annotations

import random
from typing import Any

import torch
from transformers import DynamicCache

from guided.modelcalls import cache_keyword
from guided.speculation.draft import Draft
from guided.speculation.passes import Passes

PROMPT = [7, 8, 30, 12]


def test_tree_attention_equals_sequential_evaluation(model: Any) -> None:
    """Logits and hidden states of four random trees, and of the next pass after a path was committed."""
    pick = random.Random(3)
    with torch.no_grad():
        for _ in range(4):
            keep: dict[str, Any] = {cache_keyword(model): DynamicCache(config=model.config)}
            first = model(torch.tensor([PROMPT]), use_cache=True, **keep)
            passes = Passes(model, keep, 1, watch_hidden=True)
            passes.length, passes.plain, passes.branches = len(PROMPT), True, True
            passes._next = torch.tensor([[len(PROMPT)]])
            written = [*PROMPT, int(first.logits[0, -1].argmax())]
            for _ in range(2):
                draft = Draft(written[-1])
                for _ in range(10):
                    draft.add(pick.randrange(len(draft)), pick.randrange(3, 60), "x")
                logits = passes.run([draft])
                assert passes.hidden is not None
                for node in range(len(draft)):
                    out = model(torch.tensor([[*written, *draft.path(node)]]), output_hidden_states=True)
                    assert torch.allclose(logits[0, node], out.logits[0, -1], atol=1e-4)
                    assert torch.allclose(passes.hidden[0, node], out.hidden_states[-1][0, -1], atol=1e-5)
                node = pick.randrange(len(draft))
                path: list[int] = []
                while node > 0:
                    path.insert(0, node)
                    node = draft.parents[node]
                passes.commit([path])
                written += [draft.tokens[each] for each in path] + [pick.randrange(3, 60)]
