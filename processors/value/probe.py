"""A value learnt from a policy's own texts: V(h) ~ E[ r | text so far ], linear in the last hidden state.

Ridge regression of the reward of the finished text on the state at each of its tokens (Mudgal et al. 2024, CD-FUDGE's
target; closed form instead of gradient descent).
"""

from __future__ import annotations

from typing import Any

import torch

from processors.errors import GenerationError
from processors.value.reward import TextReward

__all__ = ["LinearValue", "fit_value"]


class LinearValue:
    """V(h) = w . (h - mean) + b for hidden states [n, d]; gives [n]."""

    def __init__(self, weight: torch.Tensor, bias: float, mean: torch.Tensor) -> None:
        self.weight, self.bias, self.mean = weight, bias, mean

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        return (hidden.cpu().double() - self.mean) @ self.weight + self.bias


@torch.no_grad()
def fit_value(
    model: Any,
    inputs: dict[str, torch.Tensor],
    reward: TextReward,
    *,
    samples: int = 16,
    ridge: float = 1.0,
    **generate_options: Any,
) -> LinearValue:
    """Draw `samples` texts for each prompt of `inputs` (left-padded), judge them, and regress.

    `ridge` is in units of the states' mean variance. `generate_options` go to `model.generate` (`max_new_tokens=...`).
    Errors: `GenerationError` for encoder-decoder models.
    """
    if getattr(model.config, "is_encoder_decoder", False):
        raise GenerationError("fit_value: encoder-decoder models are not supported", "Use a decoder-only model.")
    start = inputs["input_ids"].shape[1]
    options = {"do_sample": True, "top_k": 0, **generate_options}
    out = model.generate(**inputs, num_return_sequences=samples, **options)
    mask = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"])).repeat_interleave(samples, dim=0)
    given = model.generation_config.eos_token_id
    ends = given if isinstance(given, list) else [-1 if given is None else given]
    ended = torch.isin(out[:, start:], torch.tensor(ends, device=out.device))
    real = (ended.long().cumsum(dim=1) - ended.long()) == 0  # up to the first end
    mask = torch.cat([mask, real.long()], dim=1)
    states = model(
        input_ids=out, attention_mask=mask, position_ids=(mask.cumsum(-1) - 1).clamp_min(0), output_hidden_states=True
    ).hidden_states[-1][:, start:]
    responses = [row[start:][keep] for row, keep in zip(out, real, strict=True)]
    r = reward(out[:, :start], responses)
    x = states[real].cpu().double()
    y = r[:, None].expand(real.shape)[real.cpu()]
    mean = x.mean(dim=0)
    centred, target = x - mean, y - y.mean()
    gram = centred.T @ centred / len(x)
    gram += ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    weight = torch.linalg.solve(gram, centred.T @ target / len(x))
    return LinearValue(weight, float(y.mean()), mean)
