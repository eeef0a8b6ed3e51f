"""Cut from a draft what cannot be written, before the model sees it.

Only edges are asked about, one `accept` each (about 1 µs); masks are filled later, for the nodes that verification
really reaches. Draws keep their place in `Draft.draws` even when their node goes. End-of-text tokens are cut as well:
to emit one takes its parent's scores, and nothing follows it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from guided.speculation.draft import Draft

__all__ = ["trim"]


def trim(draft: Draft, matcher: Any, eos_ids: Collection[int], width: int) -> Draft:
    """The draft without illegal nodes, ids beyond the scores' `width`, ends of text, and all that follows them.

    `matcher` stands at the root (None: everything is legal) and stands there again afterwards.
    """
    kept = [0]
    stack = [(node, 0) for node in reversed(draft.children[0].values())]
    at = 0  # depth of the matcher
    while stack:
        node, depth = stack.pop()
        if matcher is not None and at > depth:
            matcher.rollback(at - depth)
        at = min(at, depth)
        token = draft.tokens[node]
        if token in eos_ids or not 0 <= token < width or (matcher is not None and not matcher.accept(token)):
            continue
        at = depth + 1
        kept.append(node)
        stack.extend((child, at) for child in reversed(draft.children[node].values()))
    if matcher is not None and at:
        matcher.rollback(at)
    kept.sort()
    return draft.keep(kept)
