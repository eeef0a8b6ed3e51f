"""The most probable part of a text, and the most probable place of marks in one: exact, under the free model.

The functions are those of `processors.spans`; they write nothing token by token, so they are no logits processors.
"""

from __future__ import annotations

from processors.spans.codec import Projection, marked_texts, project_label
from processors.spans.extract import Span, exact_extract

__all__ = ["Projection", "Span", "exact_extract", "marked_texts", "project_label"]
