"""`PrefixTree`: one shared cache answers as whole sequences do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import guided
from tests.guided.conditioning import worlds

PATHS = [(), (2,), (2, 3), (2, 4), (3, 3, 3), (7, 2), (7, 2, 2), (3,)]


def nodes_of(tree: Any, paths: Any) -> list[Any]:
    found = []
    for path in paths:
        node = tree.root
        for token in path:
            node = tree.adopt(node, token, 0.1)
        found.append(node)
    return found


@pytest.mark.parametrize("options", [{}, {"tree_attention": False}, {"slots": 4}], ids=["tree", "whole", "few slots"])
def test_rows_equal_sequential_evaluation(tree: Any, options: dict[str, Any]) -> None:
    grown = tree(None, **options)
    nodes = nodes_of(grown, PATHS)
    for stretch in (nodes[:3], nodes[2:6], nodes):
        for node, row in zip(stretch, grown.rows(stretch), strict=True):
            expected = worlds.law_after([tuple(node.path())])[0]
            np.testing.assert_allclose(row.probs, expected, atol=2e-6)


def test_one_pass_for_any_set_of_prefixes(tree: Any) -> None:
    grown = tree(None)
    nodes = nodes_of(grown, PATHS)
    grown.rows(nodes)
    assert grown.passes == 2  # the prompt, and all prefixes
    assert grown.scored == len(worlds.PROMPT) + len({path[:cut] for path in PATHS for cut in range(1, len(path) + 1)})
    grown.rows(nodes)
    assert grown.passes == 2


def test_dropped_rows_come_back_the_same(tree: Any) -> None:
    grown = tree(None, memory=0)
    nodes = nodes_of(grown, PATHS)
    first = [row.probs for row in grown.rows(nodes)]
    for node, probs in zip(nodes, first, strict=True):  # one at a time: each call drops the others' rows
        np.testing.assert_allclose(grown.rows([node])[0].probs, probs, atol=2e-6)
    assert sum(node.row is not None for node in nodes) == 1


def test_eager_attention_takes_the_mask_too(tree: Any) -> None:
    model = worlds.model()
    before = model.config._attn_implementation
    try:
        model.set_attn_implementation("eager")
        grown = tree(None)
        nodes = nodes_of(grown, PATHS)
        grown.rows(nodes[:2])
        rows = grown.rows(nodes)
    finally:
        model.set_attn_implementation(before)
    for node, row in zip(nodes, rows, strict=True):
        np.testing.assert_allclose(row.probs, worlds.law_after([tuple(node.path())])[0], atol=2e-6)


@pytest.mark.parametrize("name", worlds.LANGUAGES)
def test_single_checks_agree_with_masks(tree: Any, name: str) -> None:
    """`may_follow` is what `legal` says, near the limit too, and legal is what a text of the language needs."""
    grown = tree(name)
    texts = [(*text, worlds.EOS) for text in worlds.exact_law(name)[0]]
    for prefix in sorted({text[:cut] for text in texts for cut in range(len(text))}):
        node = nodes_of(grown, [prefix])[0]
        legal = {int(token) for token in grown.legal(node)}
        assert legal >= {text[len(prefix)] for text in texts if text[: len(prefix)] == prefix}
        assert len(prefix) < worlds.LIMIT - 1 or legal <= {worlds.EOS}
        assert legal == {token for token in range(worlds.WIDTH) if grown.may_follow(node, token)}


def test_a_limit_that_no_text_meets() -> None:
    with pytest.raises(guided.GenerationError, match="no text of the constraint"):
        worlds.model().generate(
            torch.tensor([worlds.PROMPT]), attention_mask=torch.ones(1, 3, dtype=torch.int64), do_sample=True, top_k=0,
            max_new_tokens=2, logits_processor=guided.regex("cbc", tokenizer=worlds.vocabulary()),
            custom_generate=guided.aligned(), eos_token_id=worlds.EOS, pad_token_id=worlds.PAD,
        )  # fmt: skip
