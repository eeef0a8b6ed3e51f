"""Drafters: ways of guessing what a model will write. `guided.generate(..., drafter=guided.drafters.PromptLookup())`.

heads    `Heads`: trained on the model's own texts (docs/draft_heads.md)
lookup   `PromptLookup`: text that stands in the prompt, or was written before
"""

from guided.drafters.heads.drafter import Heads
from guided.drafters.lookup import PromptLookup

__all__ = ["Heads", "PromptLookup"]
