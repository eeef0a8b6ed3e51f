"""Evidence: arithmetic on log-probabilities of extra forward passes, so that text keeps to what can be relied on.

cad          `CADProcessor`, `AdaCADProcessor`: what the context adds over the model's memory
contrast     `ICDProcessor`: what a truthful model says and an amateur does not; jensen_shannon, plausible
layers       `DoLaProcessor`: what late layers add over early ones
lol          `LOLProcessor`: the contrast at the last and at a lower layer, with a truthful instruction
vdgd         `VDGDProcessor`: what a description makes likely
"""

from __future__ import annotations

from processors.evidence.cad import AdaCADProcessor, CADProcessor
from processors.evidence.contrast import ICDProcessor, jensen_shannon, plausible
from processors.evidence.layers import DoLaProcessor
from processors.evidence.lol import LOLProcessor
from processors.evidence.vdgd import VDGDProcessor

__all__ = [
    "AdaCADProcessor",
    "CADProcessor",
    "DoLaProcessor",
    "ICDProcessor",
    "LOLProcessor",
    "VDGDProcessor",
    "jensen_shannon",
    "plausible",
]
