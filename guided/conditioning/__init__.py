"""Sampling from the model's law given the constraint, where masking token by token would bend it.

aligned   the public entry: a `custom_generate` with three methods
walk      walks under ASAp's law; the exact sampler by adaptive rejection
oracle    ASAp's bounds on the mass that ends in the language
smc       particles with importance weights
awrs      legal tokens and unbiased weights without masks
tree      prefixes scored once, in one shared cache; what all of them stand on
output    what a generation gives back
"""

from __future__ import annotations

from guided.conditioning.aligned import AlignedSampler, AlignmentWarning, aligned
from guided.conditioning.awrs import awrs
from guided.conditioning.output import AlignedOutput, AlignedStats
from guided.conditioning.smc import Particles, smc
from guided.conditioning.tree import PrefixTree

__all__ = [
    "AlignedOutput", "AlignedSampler", "AlignedStats", "AlignmentWarning", "Particles", "PrefixTree", "aligned", "awrs",
    "smc",
]  # fmt: skip
