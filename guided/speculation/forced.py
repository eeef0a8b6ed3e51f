"""Forced text: what the constraint leaves no choice about rides along in the next pass.

The automaton forces a *string*. Where several tokenisations of it are legal, committing one of them would bend the
distribution (`order` for keys `orderId` and `orderName` makes `orderId` unreachable as one token), so the string is
drafted in the model's own spelling and verified like any draft: it costs its share of a pass and no more. Where one
*token* is legal, its probability is 1 and verification cannot refuse it. The exception, committed without a pass: the
end of the text, when nothing else may follow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guided.speculation.draft import Draft, View
from guided.speculation.spelling import Speller

__all__ = ["FORCED", "add_forced", "only_legal_token"]

FORCED = "forced"


def add_forced(view: View, draft: Draft, speller: Speller) -> int:
    """Draft the forced text at the root; `view` (ids and matcher) moves to its end, the node given back.

    The caller takes `view.matcher` back by as many tokens as the node is deep.
    """
    matcher = view.matcher
    node = 0
    while True:
        data = matcher.forced_bytes()
        if not data:
            return node
        before = node
        for token in speller.spell(view.ids, data):
            following = draft.add(node, token, FORCED)
            if following < 0:
                return node
            if not matcher.accept(token):
                return node  # trimmed later
            view.ids.append(token)
            node = following
        if node == before:
            return node


def only_legal_token(matcher: Any, row: Any) -> int:
    """The one token that may come next, -1 if there are several. `row` int32 [words] is overwritten."""
    matcher.fill_mask(row)
    words = np.flatnonzero(row)
    if len(words) != 1:
        return -1
    bits = int(row[words[0]]) & 0xFFFFFFFF
    return -1 if bits & (bits - 1) else int(words[0]) * 32 + bits.bit_length() - 1
