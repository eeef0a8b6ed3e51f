"""Alignment while decoding, as lists for `generate(logits_processor=...)`; they compose with constraints.

Under `guided.json(schema) + guided.transfer_q(...)` candidates are allowed tokens only, and rollouts stay
inside the constraint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch

from grammars.vocabulary import Vocabulary
from guided.tokenizers import resolve_vocabulary
from processors.composition import ProcessorList
from processors.value.probe import LinearValue
from processors.value.probe import fit_value as _fit_value
from processors.value.reward import ClassifierReward, Reward
from processors.value.transfer_q import Args, TransferQ, ValueGuided, as_reward

__all__ = ["args", "classifier_reward", "controlled_decoding", "fit_value", "transfer_q"]


def transfer_q(
    *,
    policy: Any,
    reward: Reward,
    tokenizer: Any = None,
    top_k: int = 10,
    alpha: float | Sequence[float] = 1.0,
    max_rollout: int = 32,
    rollouts: int = 1,
    rollout_temperature: float = 1.0,
    rollout_weight: float = 0.0,
    baseline_reward: Reward | None = None,
    beta: float = 1.0,
    text: Literal["response", "full"] = "response",
    normalize: Literal["none", "zscore"] = "none",
    stride: int = 1,
    seed: int = 0,
    eos_ids: Sequence[int] | None = None,
) -> ProcessorList:
    """Tokens re-weighted by the reward of where a policy would take them: Transfer Q* (Chakraborty et al. 2024).

        score(z) = ln p(z) + Q(z) / alpha,   Q(z) = mean reward of `rollouts` completions after z by `policy`

    `policy`           an aligned model (or the one that generates); it finishes the text for each of the `top_k` tokens
    `reward`           function of a list of texts giving a number each, or `guided.classifier_reward(model, tokenizer)`
    `alpha`            reward units a nat: small follows the reward, large the model; inf switches the method off
    `max_rollout`      tokens of a completion; the reward sees it cut there, so give it room to end. 0 is ARGS. Under a
                       constraint the shortest end follows: every completion is a whole valid text, where this can be
    `rollouts`         completions for each candidate: 1 is greedy, more are drawn at `rollout_temperature`
    `rollout_weight`   rollouts follow the reward of the unfinished text as well, as `args` with this weight: an aligned
                       policy out of one that is not, for rewards that can judge beginnings. `top_k` rewards a token
    `baseline_reward`  the reward that `policy` was trained for, with KL strength `beta`, if that is another one:
                       indirect transfer, Q = E[w r] / E[w] with w = exp((r - r_BL) / beta); needs `rollouts` > 1
    `text`             the reward judges the "response", or the "full" text with the prompt
    `normalize`        "zscore": rewards in standard deviations of a step's candidates
    `stride`           every so many tokens; in between the model goes on alone

    Each object serves any number of generations, batches, beams.

    >>> aligned = guided.transfer_q(policy=model, reward=lambda texts: [-len(t) for t in texts])  # doctest: +SKIP
    >>> model.generate(**inputs, logits_processor=guided.json(schema) + aligned)  # doctest: +SKIP

    Cost a token: one pass of the policy, and `max_rollout` passes (and those of the shortest end) of at most
    top_k * rollouts rows, and the rewards of new texts. Errors: `GenerationError` for settings out of range and for
    rewards that are no numbers.
    """
    tokenizer = _decoder(tokenizer)
    judged = as_reward(reward, tokenizer, text)
    baseline = None if baseline_reward is None else as_reward(baseline_reward, tokenizer, text)
    return ProcessorList(
        [
            TransferQ(
                policy,
                judged,
                max_rollout=max_rollout,
                rollouts=rollouts,
                rollout_temperature=rollout_temperature,
                rollout_weight=rollout_weight,
                baseline_reward=baseline,
                beta=beta,
                normalize=normalize,
                seed=seed,
                eos_ids=eos_ids,
                alpha=alpha,
                top_k=top_k,
                stride=stride,
            )
        ]
    )


def args(
    reward: Reward,
    *,
    tokenizer: Any = None,
    weight: float = 1.0,
    top_k: int = 10,
    text: Literal["response", "full"] = "response",
    stride: int = 1,
    eos_ids: Iterable[int] = (),
) -> ProcessorList:
    """Tokens re-weighted by the reward of the unfinished text (ARGS, Khanov et al., ICLR 2024).

        score(z) = ln p(z) + weight * r(text so far, z)      on the best `top_k`

    Works where the reward can judge beginnings; `transfer_q` is for rewards that only show at the end (and is this with
    `max_rollout=0`). `eos_ids`: rows that have ended are not judged any more. Cost: no forward pass, `top_k` rewards.

    >>> model.generate(**inputs, logits_processor=guided.args(reward, tokenizer=tokenizer))  # doctest: +SKIP
    """
    alpha = float("inf") if weight == 0 else 1.0 / weight
    judged = as_reward(reward, _decoder(tokenizer), text)
    return ProcessorList([Args(judged, alpha=alpha, top_k=top_k, stride=stride, eos_ids=eos_ids)])


def controlled_decoding(
    policy: Any,
    value: Callable[[torch.Tensor], torch.Tensor],
    *,
    weight: float = 1.0,
    top_k: int = 10,
    stride: int = 1,
) -> ProcessorList:
    """Tokens re-weighted by a learned value of the policy's hidden state after each (Mudgal et al. 2024, token-wise).

        score(z) = ln p(z) + weight * V(h_z)                 on the best `top_k`

    `value` maps float32 [n, d] to [n]; `guided.fit_value` learns a linear one. (Block-wise: `blockwise_decoding`.)
    Cost a token: two passes of `policy`, the second with `top_k` rows of one token.

    >>> value = guided.fit_value(model, inputs, reward, tokenizer=tokenizer, max_new_tokens=32)  # doctest: +SKIP
    >>> model.generate(**inputs, logits_processor=guided.controlled_decoding(model, value))  # doctest: +SKIP
    """
    alpha = float("inf") if weight == 0 else 1.0 / weight
    return ProcessorList([ValueGuided(policy, value, alpha=alpha, top_k=top_k, stride=stride)])


def fit_value(
    model: Any,
    inputs: dict[str, torch.Tensor],
    reward: Reward,
    *,
    tokenizer: Any = None,
    text: Literal["response", "full"] = "response",
    samples: int = 16,
    ridge: float = 1.0,
    **generate_options: Any,
) -> LinearValue:
    """A linear value of hidden states, learnt from `samples` texts that `model` draws for each prompt of `inputs`.

    `ridge` is relative to the states' mean variance; `generate_options` go to `generate`. For `controlled_decoding`.
    """
    judged = as_reward(reward, _decoder(tokenizer), text)
    return _fit_value(model, inputs, judged, samples=samples, ridge=ridge, **generate_options)


def classifier_reward(
    model: Any, tokenizer: Any, label: int | str | None = None, *, batch_size: int = 32
) -> ClassifierReward:
    """A sequence-classification model as a reward: its logit, or the log-probability of `label` if it has several.

    `tokenizer` is the classifier's own: texts are handed over as texts. Errors: `GenerationError` for a wrong label.
    """
    return ClassifierReward(model, tokenizer, label, batch_size=batch_size)


class VocabularyDecoder:
    """A vocabulary as a tokenizer that decodes: the bytes of the tokens, in order; special tokens write nothing."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def decode(self, ids: torch.Tensor, skip_special_tokens: bool = True) -> str:
        """The text of int64 [n]; bytes that are no UTF-8 become U+FFFD."""
        size = self.vocabulary.size
        written = b"".join(self.vocabulary.token_bytes(token) for token in ids.tolist() if 0 <= token < size)
        return written.decode("utf-8", "replace")


def _decoder(tokenizer: Any) -> Any:
    """What turns ids into texts: the tokenizer given, or the process-wide default."""
    if tokenizer is None or isinstance(tokenizer, Vocabulary):
        return VocabularyDecoder(resolve_vocabulary(tokenizer))
    return tokenizer
