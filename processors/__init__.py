"""Logits processors for transformers: what may be written, and what should be.

errors       what can go wrong between `generate` and a processor
stage        the order in which composed processors run
kernels      packed masks -> masked scores, on CPU, GPU, any device
prefix       which matcher belongs to a row: found from the ids of a call
constraint   `ConstraintProcessor`: the hard mask of a grammar
composition  several processors as one; the list that `generate` takes
sampling     mirostat, momentum: samplers that transformers has not
value        Transfer Q*, ARGS, controlled decoding: rewards of what tokens lead to
forward      forward passes with caches of their own, and `SteeringProcessor`, the base of what steers

Importing this package is cheap: numba and transformers are loaded when a name that needs them is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from processors.composition import FusedProcessor, ProcessorList, compose, stage_of
    from processors.constraint import Constraint, ConstraintProcessor, ConstraintWarning
    from processors.errors import CompositionError, DeadEnd, GenerationError, UnsupportedGeneration
    from processors.forward.steering import SteeringProcessor
    from processors.sampling.mirostat import MirostatProcessor, MirostatWarning
    from processors.sampling.momentum import MomentumProcessor
    from processors.stage import Stage
    from processors.value.reward import ClassifierReward
    from processors.value.transfer_q import Args, TransferQ, ValueGuided

__all__ = [
    "Args",
    "ClassifierReward",
    "CompositionError",
    "Constraint",
    "ConstraintProcessor",
    "ConstraintWarning",
    "DeadEnd",
    "FusedProcessor",
    "GenerationError",
    "MirostatProcessor",
    "MirostatWarning",
    "MomentumProcessor",
    "ProcessorList",
    "Stage",
    "SteeringProcessor",
    "TransferQ",
    "UnsupportedGeneration",
    "ValueGuided",
    "compose",
    "stage_of",
]

_HOME = {
    "CompositionError": "errors",
    "Constraint": "constraint",
    "ConstraintProcessor": "constraint",
    "ConstraintWarning": "constraint",
    "DeadEnd": "errors",
    "FusedProcessor": "composition",
    "GenerationError": "errors",
    "ProcessorList": "composition",
    "Args": "value.transfer_q",
    "TransferQ": "value.transfer_q",
    "ValueGuided": "value.transfer_q",
    "ClassifierReward": "value.reward",
    "MirostatProcessor": "sampling.mirostat",
    "MirostatWarning": "sampling.mirostat",
    "MomentumProcessor": "sampling.momentum",
    "Stage": "stage",
    "SteeringProcessor": "forward.steering",
    "UnsupportedGeneration": "errors",
    "compose": "composition",
    "stage_of": "composition",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"processors.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
