"""Two models at work on one text. They must share a tokenizer: the same id means the same token in both.

contrast    `ContrastiveProcessor`, `ProxyTuningProcessor`: a large model corrected by small ones
routing     `ConsultProcessor`: a small model that asks a large one where it is unsure (FS-GEN)
adaptive    `EntropyAdaptiveProcessor`: long stretches by the small model, hard ones by the large (EAD)
transfer    `RapidProcessor`: what a drafter that reads the retrieved text knows (RAPID)
"""

from __future__ import annotations

from processors.collaborative.adaptive import EntropyAdaptiveProcessor
from processors.collaborative.contrast import ContrastiveProcessor, ProxyTuningProcessor
from processors.collaborative.routing import ConsultProcessor
from processors.collaborative.transfer import RapidProcessor

__all__ = [
    "ConsultProcessor",
    "ContrastiveProcessor",
    "EntropyAdaptiveProcessor",
    "ProxyTuningProcessor",
    "RapidProcessor",
]
