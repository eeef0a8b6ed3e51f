"""Search strategies that need a loop of their own: callables for `generate(custom_generate=...)`.

    model.generate(**inputs, custom_generate=guided.contrastive_search(), logits_processor=guided.json(schema))

_rows        a model's rows: cache, mask and positions that grow together
_strategy    what every strategy does: reads generate's arguments, refuses what it cannot do, ends, pads
contrastive  contrastive search: likely and unlike what stands there
beams        beam search with groups that avoid each other (diverse) and under a condition (not degenerate)
superposed   several drafts from one row: their embeddings are superposed
blockwise    controlled decoding: the best of several sampled blocks, by a value

transformers keeps contrastive search and group beam search in hub repositories only (`trust_remote_code`), the others
nowhere. Constraints and samplers run as `generate` runs them: on log-probabilities in beams, on logits elsewhere.
"""

from __future__ import annotations

from guided.search.beams import BeamSearch, conditional_beam_search, diverse_beam_search, not_degenerate
from guided.search.blockwise import BlockwiseDecoding, blockwise_decoding
from guided.search.contrastive import ContrastiveSearch, contrastive_search
from guided.search.superposed import NGrams, SuperposedDecoding, superposed_decoding

__all__ = [
    "BeamSearch",
    "BlockwiseDecoding",
    "ContrastiveSearch",
    "NGrams",
    "SuperposedDecoding",
    "blockwise_decoding",
    "conditional_beam_search",
    "contrastive_search",
    "diverse_beam_search",
    "not_degenerate",
    "superposed_decoding",
]
