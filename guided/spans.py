"""The most probable part of a text, and the most probable place of marks in one: exact, under the free model.

The functions are those of `processors.spans`; they write nothing token by token, so they are no logits processors.
"""

from __future__ import annotations

from processors.spans.codec import Projection, marked_texts, project_label
from processors.spans.extract import Span, exact_extract
from processors.spans.rerank import ReverseScore, rerank_projections

__all__ = [
    "Projection",
    "ReverseScore",
    "Span",
    "exact_extract",
    "marked_texts",
    "project_label",
    "rerank_projections",
]
