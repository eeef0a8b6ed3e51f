"""What every strategy does with the arguments that `generate` hands to a callable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from processors.errors import GenerationError, UnsupportedGeneration

__all__ = ["Job", "Strategy", "answer", "at_least", "check", "padded"]


def check(method: str, name: str, value: object, fine: bool, wanted: str) -> None:
    """Raise `GenerationError` unless `fine`."""
    if not fine:
        raise GenerationError(f"{method}({name}={value!r})", f"{name} must be {wanted}.")


def at_least(method: str, least: int, **values: int) -> None:
    """Each of `values` is a whole number, `least` or more."""
    for name, value in values.items():
        check(method, name, value, value >= least, f"a whole number, {least} or more")


@dataclass
class Job:
    """One call of `generate`, as a strategy sees it."""

    model: Any
    ids: torch.Tensor
    """int64 [prompts, length]"""
    mask: torch.Tensor | None
    process: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    stop: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    config: Any

    @property
    def limit(self) -> int:
        """Length at which a sequence is cut, prompt included."""
        return int(self.config.max_length)

    @property
    def eos(self) -> torch.Tensor:
        """Ids that end a sequence, int64 [n]."""
        given = self.config.eos_token_id
        ends = [] if given is None else given if isinstance(given, list | tuple) else [given]
        return torch.tensor(list(ends), dtype=torch.long, device=self.ids.device)

    @property
    def pad(self) -> int:
        """The id that stands after the end of a sequence in a batch."""
        if self.config.pad_token_id is not None:
            return int(self.config.pad_token_id)
        ends = self.eos.tolist()
        return ends[0] if ends else 0

    def ended(self, ids: torch.Tensor) -> torch.Tensor:
        """bool [rows]: which rows end with their newest id, or by a stopping criterion of `generate`."""
        return self.stop(ids, None).to(ids.device)  # type: ignore[arg-type]


def answer(job: Job, sequences: torch.Tensor, **more: Any) -> Any:
    """What `generate` returns: the sequences [rows, length], or its record of them."""
    from transformers.generation.utils import GenerateBeamDecoderOnlyOutput, GenerateDecoderOnlyOutput

    if not job.config.return_dict_in_generate:
        return sequences
    kind: Any = GenerateBeamDecoderOnlyOutput if "sequences_scores" in more else GenerateDecoderOnlyOutput
    return kind(sequences=sequences, **more)


def padded(job: Job, texts: list[torch.Tensor]) -> torch.Tensor:
    """Sequences of different lengths as int64 [texts, longest], padded at their ends."""
    width = max(map(len, texts))
    return torch.stack([torch.nn.functional.pad(each, (0, width - len(each)), value=job.pad) for each in texts])


class Strategy:
    """A callable for `generate(custom_generate=...)`; subclasses give `run`.

    Errors: `UnsupportedGeneration` for encoder-decoder models, `inputs_embeds`, and `num_beams` or
    `num_return_sequences` given to `generate` instead of to the strategy.
    """

    def run(self, job: Job) -> Any:
        """What `generate` shall return."""
        raise NotImplementedError

    @torch.no_grad()
    def __call__(
        self,
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        **model_kwargs: Any,
    ) -> Any:
        name = type(self).__name__
        if getattr(model.config, "is_encoder_decoder", False):
            raise UnsupportedGeneration(f"{name}: encoder-decoder models are not supported", "Use a decoder.")
        if model_kwargs.get("inputs_embeds") is not None:
            raise UnsupportedGeneration(f"{name}: inputs_embeds are not supported", "Give input_ids.")
        if max(generation_config.num_beams or 1, generation_config.num_return_sequences or 1) > 1:
            raise UnsupportedGeneration(
                f"{name}: num_beams and num_return_sequences were given to generate()",
                "Give them to the strategy, where it has them.",
            )
        job = Job(
            model, input_ids, model_kwargs.get("attention_mask"), logits_processor, stopping_criteria, generation_config
        )
        return self.run(job)
