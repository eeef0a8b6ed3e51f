"""Drafters: ways of guessing what a model will write. `guided.generate(..., drafter=guided.drafters.PromptLookup())`.

lookup   `PromptLookup`: text that stands in the prompt, or was written before
"""

from guided.drafters.lookup import PromptLookup

__all__ = ["PromptLookup"]
