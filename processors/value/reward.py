"""Rewards of texts: any callable, or a classification model of transformers, asked once for each text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch

from processors.errors import GenerationError

__all__ = ["ClassifierReward", "Reward", "TextReward"]

Reward = Callable[[list[str]], "Sequence[float] | torch.Tensor"]

_REMEMBERED = 20_000  # texts


class ClassifierReward:
    """A sequence-classification model as a reward.

    With one label its logit is the reward; with several the log-probability of `label` (an index, or a name out of the
    model's `label2id`). Texts are cut to the model's length from the left, in batches of `batch_size`.

    Errors: `GenerationError` when the model has several labels and none was chosen, or not this one.
    """

    def __init__(self, model: Any, tokenizer: Any, label: int | str | None = None, *, batch_size: int = 32) -> None:
        self.model, self.tokenizer, self.batch_size = model.eval(), tokenizer, batch_size
        names = {str(name): int(index) for name, index in (model.config.label2id or {}).items()}
        count = int(model.config.num_labels)
        index = names.get(label) if isinstance(label, str) else label
        if count > 1 and (index is None or not 0 <= index < count):
            raise GenerationError(
                f"label={label!r}: the classifier has {count} labels", f"Choose one of {sorted(names) or range(count)}."
            )
        self.label = None if count == 1 else index

    @torch.no_grad()
    def __call__(self, texts: list[str]) -> torch.Tensor:
        """float32 [texts]."""
        found = []
        for at in range(0, len(texts), self.batch_size):
            inputs = self.tokenizer(
                texts[at : at + self.batch_size], padding=True, truncation=True, return_tensors="pt"
            ).to(self.model.device)
            logits = self.model(**inputs).logits.float()
            found.append(logits[:, 0] if self.label is None else logits.log_softmax(-1)[:, self.label])
        return torch.cat(found).cpu()


class TextReward:
    """A reward on token ids: decodes, asks once for each different text, remembers.

    `text`: "response" (the generated part, special tokens left out) or "full" (prompt and response).

    Errors: `GenerationError` when the reward does not give one finite number for each text.
    """

    def __init__(self, reward: Reward, tokenizer: Any, text: Literal["response", "full"] | str = "response") -> None:
        if text not in ("response", "full"):
            raise GenerationError(f"text={text!r} is unknown", 'Use "response" or "full".')
        if not callable(reward):
            raise GenerationError(f"reward={reward!r} cannot be called", "Give a function of a list of texts.")
        self.reward, self.tokenizer, self.text = reward, tokenizer, text
        self._known: dict[str, float] = {}
        self.asked = 0

    def texts(self, prompts: torch.Tensor, responses: Sequence[torch.Tensor]) -> list[str]:
        """The texts to judge; prompts int64 [n, length], responses n tensors of ids."""
        written = [self.tokenizer.decode(each, skip_special_tokens=True) for each in responses]
        if self.text == "response":
            return written
        return [
            self.tokenizer.decode(prompt, skip_special_tokens=True) + response
            for prompt, response in zip(prompts, written, strict=True)
        ]

    def __call__(self, prompts: torch.Tensor, responses: Sequence[torch.Tensor]) -> torch.Tensor:
        """float64 [n]."""
        texts = self.texts(prompts, responses)
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            given = torch.as_tensor(self.reward(new), dtype=torch.float64).flatten()
            if len(given) != len(new) or not bool(given.isfinite().all()):
                raise GenerationError(
                    f"the reward gave {given.tolist()[:5]} for {len(new)} texts",
                    "It must give one finite number for each text.",
                )
            self.asked += len(new)
            self._known.update(zip(new, given.tolist(), strict=True))
        return torch.tensor([self._known[text] for text in texts], dtype=torch.float64)
