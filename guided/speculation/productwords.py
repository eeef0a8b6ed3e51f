"""Sizes of the products' code, and the words of the state that its threads share.

Words have 64 bit; those that several threads write lie 64 bytes or more apart.
"""

from __future__ import annotations

LANES = 8
ROWS = 4  # of W at a time
SEGMENTS = 3  # products of the same x that can be asked for at once

TICKET, DONE, KIND = 0, 16, 32
X, N, K, SIZE, SEGMENT = 33, 34, 35, 36, 37  # of a product
SEGMENT_WORDS = 6  # W, out, y, first piece, number of the form, bytes of a row
ATTENTION = 33  # of attention: the names in `ATTEND_WORDS`, in their order
WORDS = SEGMENT + SEGMENTS * SEGMENT_WORDS
ATTEND_WORDS = "q K V mask out scores n T d ld scale R blocks size K_head V_head".split()
