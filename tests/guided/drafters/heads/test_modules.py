"""Each architecture against its formula, written out for one row."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from guided.drafters.heads import HeadsConfig, make_heads

VOCABULARY = torch.tensor([9, 4, 30, 12, 7])
TOKENS = torch.tensor([[5, 30, 9], [60, 1, 2]])


def made(kind: Any, model: Any, **options: Any) -> Any:
    heads = make_heads(HeadsConfig(kind, 16, depth=3, width=6, **options), VOCABULARY).bind(model, fresh=True)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in heads.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return heads.eval()


def formula(kind: str, heads: Any, model: Any, hidden: torch.Tensor, tokens: list[int]) -> torch.Tensor:
    """Logits after the last of `tokens`."""
    table = model.get_input_embeddings().weight
    e = [table[token] / table.square().mean().sqrt() for token in tokens]
    k = len(tokens) - 1

    def unit(x: torch.Tensor) -> torch.Tensor:
        return x / x.square().mean().sqrt()

    if kind == "medusa":
        z = hidden + F.silu(heads.blocks[k].weight @ hidden + heads.blocks[k].bias)
    elif kind == "hydra":
        read = torch.cat([unit(hidden), *e])
        inner = F.silu(heads.down[k].weight @ read + heads.down[k].bias)
        z = heads.keep[k] * hidden + heads.up[k].weight @ inner + heads.up[k].bias
    else:
        z = hidden
        for each in e:
            gated = F.silu(heads.gate(unit(z))) * heads.value(each)
            z = heads.keep * z + heads.out(F.silu(heads.mix(torch.cat([unit(z), each, gated]))))
    return model.get_output_embeddings().weight[VOCABULARY] @ z + heads.bias


@pytest.mark.parametrize("kind", ["medusa", "hydra", "feature"])
def test_steps_follow_the_formula(model: Any, kind: str) -> None:
    heads = made(kind, model)
    hidden = torch.randn(2, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits, _ = heads.unroll(hidden, TOKENS)
        for row in range(2):
            for k in range(3):
                expected = formula(kind, heads, model, hidden[row], TOKENS[row, : k + 1].tolist())
                assert torch.allclose(logits[k][row], expected, atol=1e-4)


def test_untrained_medusa_heads_repeat_the_models_own_guess(model: Any) -> None:
    heads = make_heads(HeadsConfig("medusa", 16, depth=3, width=6), VOCABULARY).bind(model, fresh=True)
    hidden = torch.randn(2, 16)
    with torch.no_grad():
        logits, _ = heads.unroll(hidden, TOKENS)
    expected = hidden @ model.get_output_embeddings().weight[VOCABULARY].T
    assert all(torch.allclose(out, expected, atol=1e-5) for out in logits)


def test_full_rank_is_the_models_matrix(model: Any) -> None:
    heads = make_heads(HeadsConfig("feature", 16, rank=5), VOCABULARY).bind(model, fresh=True)
    hidden = torch.randn(3, 16)
    with torch.no_grad():
        expected = hidden @ model.get_output_embeddings().weight[VOCABULARY].T
        assert torch.allclose(heads.logits(hidden), expected, atol=1e-4)


def test_heads_of_another_model_are_refused(model: Any) -> None:
    with pytest.raises(ValueError, match="another model"):
        make_heads(HeadsConfig("medusa", 32), VOCABULARY).bind(model)
    with pytest.raises(ValueError, match="another model"):
        make_heads(HeadsConfig("medusa", 16), torch.tensor([64])).bind(model)


@pytest.mark.parametrize("options", [{"kind": "clover"}, {"depth": 0}, {"rank": -1}])
def test_useless_configs_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"kind|depth"):
        HeadsConfig(**{"kind": "medusa", "hidden_size": 16, **options})
