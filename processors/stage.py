"""Where a processor stands when several are composed: one fixed order, whatever order the user wrote."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Stage"]


class Stage(IntEnum):
    """The four stages; each sees what the ones before it left.

    CONSTRAINT  hard masks, so that everything after them reasons about allowed tokens only
    EVIDENCE    arithmetic on logits from extra forward passes
    VALUE       re-weighting of the best allowed tokens
    SAMPLING    temperature, truncation and the like: sees the final distribution
    """

    CONSTRAINT = 0
    EVIDENCE = 1
    VALUE = 2
    SAMPLING = 3
