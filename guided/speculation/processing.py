"""Which processors a generation has, where its constraint is, and whether rows can be processed one by one.

Rows of a batch accept drafts of different lengths. Plain `generate` calls processors with all rows at one length; a
processor that looks at one row at a time does not care, so rows may run ahead of each other. For any other (contrastive
passes with caches of their own, callables we do not know) the rows stay in step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from processors.composition import FusedProcessor
from processors.constraint import Constraint, ConstraintProcessor

__all__ = ["constraint_of", "flat_processors", "row_processors"]

Processor = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# Of transformers: functions of one row's ids and scores, without memory.
_ROW_WISE = {
    "EpsilonLogitsWarper", "EtaLogitsWarper", "ExponentialDecayLengthPenalty", "ForcedBOSTokenLogitsProcessor",
    "ForcedEOSTokenLogitsProcessor", "InfNanRemoveLogitsProcessor", "LogitNormalization", "MinLengthLogitsProcessor",
    "MinNewTokensLengthLogitsProcessor", "MinPLogitsWarper", "NoBadWordsLogitsProcessor",
    "NoRepeatNGramLogitsProcessor", "RepetitionPenaltyLogitsProcessor", "SequenceBiasLogitsProcessor",
    "SuppressTokensAtBeginLogitsProcessor", "SuppressTokensLogitsProcessor", "TemperatureLogitsWarper",
    "TopHLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper", "TypicalLogitsWarper",
}  # fmt: skip


def flat_processors(processors: Iterable[Any]) -> list[Processor]:
    """The processors of a list as `generate` prepares it."""
    return list(list.__iter__(processors)) if isinstance(processors, list) else list(processors)


def constraint_of(processors: Iterable[Any]) -> ConstraintProcessor | None:
    """The constraint among processors, inside a fused one too."""
    for processor in processors:
        if isinstance(processor, ConstraintProcessor):
            return processor
        if isinstance(processor, FusedProcessor) and (found := constraint_of(processor.parts)) is not None:
            return found
    return None


def owner_of(processor: ConstraintProcessor, row: int, rows: int) -> Constraint | None:
    """The constraint of a row."""
    return processor.constraints[row * len(processor.constraints) // rows]


def row_processors(processors: Iterable[Any], row: int, rows: int) -> list[Processor] | None:
    """Processors for one row alone; None when one of them must see the whole batch."""
    found: list[Processor] = []
    for processor in processors:
        if isinstance(processor, ConstraintProcessor):
            owner = owner_of(processor, row, rows)
            if owner is not None:
                found.append(ConstraintProcessor([owner]))
        elif isinstance(processor, FusedProcessor):
            parts = row_processors(processor.parts, row, rows)
            if parts is None:
                return None
            if parts:
                found.append(FusedProcessor(parts))
        elif _is_row_wise(processor):
            found.append(processor)
        else:
            return None
    return found


def _is_row_wise(processor: Any) -> bool:
    kind = type(processor)
    known = kind.__name__ in _ROW_WISE and kind.__module__.startswith("transformers.")
    return known and getattr(processor, "prompt_ignore_length", None) is None  # which may hold a length for each row
