"""Trained draft heads: the model's last hidden state tells more about the next tokens than any look-up.

modules   `DraftHeads`, the one interface, and Medusa, Hydra and feature-level heads behind it
drafter   `Heads`: heads as a drafter for `guided.generate`
corpus    what heads learn from: the model's own texts with its hidden states
prompts   what the model is asked for them
training  the loss and the loop
command   the command line: `guided train-heads`
store     heads on disk
"""

from __future__ import annotations

from guided.drafters.heads.corpus import Corpus, collect
from guided.drafters.heads.drafter import Heads
from guided.drafters.heads.modules import DraftHeads, HeadsConfig, make_heads
from guided.drafters.heads.store import HeadsFileError, load_heads, save_heads
from guided.drafters.heads.training import Report, draft_vocabulary, train

__all__ = [
    "Corpus", "DraftHeads", "Heads", "HeadsConfig", "HeadsFileError", "Report", "collect", "draft_vocabulary",
    "load_heads", "make_heads", "save_heads", "train",
]  # fmt: skip
