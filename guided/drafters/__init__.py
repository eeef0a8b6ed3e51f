"""Drafters: ways of guessing what a model will write. `guided.generate(..., drafter=guided.drafters.PromptLookup())`.

auto       `Auto`: merges several, sends what is worth its time; what `drafter="auto"` means
copyedit   `CopyEdit`: an edited copy of the text before, followed over its edits
heads      `Heads`: trained on the model's own texts (docs/draft_heads.md)
jacobi     `Jacobi`: a window of guesses that every pass improves
layers     `LayerSkip`: the target without some of its layers
lookup     `PromptLookup`: text that stands in the prompt, or was written before
model      `DraftModel`: a smaller model, as one draft or several (`SpecTr`, `RecursiveDrafts`)
recall     `Recall`: the model's own runners-up with their probabilities, after the same two tokens
recycling  `TokenRecycling`: the model's runners-up after the same token, in a fixed tree
schema     `SchemaLookup`: reads the automaton
trigram    `Trigram`: a table of pairs that follows the model, searched for likely paths
"""

from guided.drafters.auto import Auto
from guided.drafters.copyedit import CopyEdit
from guided.drafters.heads.drafter import Heads
from guided.drafters.jacobi import Jacobi
from guided.drafters.layers import LayerSkip
from guided.drafters.lookup import PromptLookup
from guided.drafters.model import DraftModel, RecursiveDrafts, SpecTr
from guided.drafters.recall import Recall
from guided.drafters.recycling import TokenRecycling
from guided.drafters.schema import SchemaLookup
from guided.drafters.trigram import Trigram

__all__ = [
    "Auto",
    "CopyEdit",
    "DraftModel",
    "Heads",
    "Jacobi",
    "LayerSkip",
    "PromptLookup",
    "Recall",
    "RecursiveDrafts",
    "SchemaLookup",
    "SpecTr",
    "TokenRecycling",
    "Trigram",
]
