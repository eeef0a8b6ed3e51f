"""A pass over a tree scores each node as a pass over its path would, and what is committed is as if read afresh."""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache, GenerationConfig

from guided.speculation.draft import Draft
from guided.speculation.passes import Passes
from tests.processors.tiny import llama


def random_draft(root: int, nodes: int, generator: torch.Generator) -> Draft:
    draft = Draft(root)
    while len(draft) <= nodes:
        parent = int(torch.randint(0, len(draft), (), generator=generator))
        draft.add(parent, int(torch.randint(0, 64, (), generator=generator)), "random")
    return draft


def prefilled(ids: torch.Tensor, mask: torch.Tensor | None) -> Passes:
    model = llama()
    kwargs = {"cache": DynamicCache(config=model.config), "use_cache": True, "attention_mask": mask}
    if mask is not None:
        kwargs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    passes = Passes(model, kwargs, len(ids))
    passes.prefill(ids, GenerationConfig())
    return passes


def afresh(ids: list[int]) -> torch.Tensor:
    logits: torch.Tensor = llama()(input_ids=torch.tensor([ids])).logits[0, -1]
    return logits


@pytest.mark.parametrize("padded", [False, True])
@torch.no_grad()
def test_trees_and_commits(padded: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    rows = 2 if padded else 1
    prompt = torch.randint(6, 60, (rows, 7), generator=generator)
    mask = None
    texts = [row.tolist() for row in prompt]
    if padded:
        mask = torch.ones_like(prompt)
        mask[1, :3] = 0
        texts[1] = texts[1][3:]
    passes = prefilled(prompt, mask)
    for text in texts:
        text.append(11)  # the first token, whose key and value the next pass writes
    for turn in range(6):
        drafts = [random_draft(text[-1], 3 + 4 * ((turn + row) % 2), generator) for row, text in enumerate(texts)]
        logits = passes.run(drafts)
        for row, draft in enumerate(drafts):
            for node in range(len(draft)):
                expected = afresh(texts[row] + draft.path(node))
                assert torch.allclose(logits[row, node], expected, atol=1e-4)
        paths = []
        for row, draft in enumerate(drafts):
            node = int(torch.randint(0, len(draft), (), generator=generator)) if (turn + row) % 3 else 0
            path = []
            while node > 0:
                path.append(node)
                node = draft.parents[node]
            paths.append(path[::-1])
            texts[row] += [draft.tokens[node] for node in paths[-1]] + [turn + 13]
        passes.commit(paths)
        if not padded:
            assert passes.cache.get_seq_length() == passes.length == len(texts[0]) - 1


@torch.no_grad()
def test_a_draft_rides_along_with_the_prompt() -> None:
    """Logits of the prompt's last token and of the draft behind it; what was refused is forgotten."""
    model = llama()
    ids = torch.randint(6, 60, (1, 7), generator=torch.Generator().manual_seed(5))
    kwargs = {"cache": DynamicCache(config=model.config), "use_cache": True, "logits_to_keep": 1}
    passes = Passes(model, kwargs, 1)
    config = GenerationConfig()
    assert passes.reads_ahead(ids, config)
    ahead = [9, 10, 11]
    logits = passes.prefill(ids, config, ahead)
    text = ids[0].tolist()
    assert logits.shape[1] == 4
    for count in range(4):
        assert torch.allclose(logits[0, count], afresh(text + ahead[:count]), atol=1e-4)
    passes.commit([[1]])
    assert passes.length == 8
    draft = Draft(12)
    draft.add(0, 13, "")
    scores = passes.run([draft])
    assert torch.allclose(scores[0, 0], afresh([*text, 9, 12]), atol=1e-4)
    assert torch.allclose(scores[0, 1], afresh([*text, 9, 12, 13]), atol=1e-4)
    assert not passes.reads_ahead(ids, config)  # something is cached


@torch.no_grad()
def test_padded_prompts_are_read_alone() -> None:
    ids = torch.randint(6, 60, (1, 7))
    mask = torch.ones_like(ids)
    mask[0, 0] = 0
    kwargs = {"cache": DynamicCache(config=llama().config), "use_cache": True, "logits_to_keep": 1}
    assert not Passes(llama(), {**kwargs, "attention_mask": mask}, 1).reads_ahead(ids, GenerationConfig())
    assert not Passes(llama(), kwargs, 2).reads_ahead(ids, GenerationConfig())
