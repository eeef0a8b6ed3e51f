"""Groups of bytes that patterns treat alike, as bits: what a stretch of the vocabulary's trie is made of.

Beside `regex` (which says over which groups a state stays alive) and `kernels` (which marks each node of the trie with
the groups below it): where the first holds the second, a whole sub-trie is allowed without stepping it.
"""

from __future__ import annotations

__all__ = ["BROKEN", "CONTINUES", "CONTROLS", "GROUPS", "GROUP_OF_BYTE", "NEVER", "QUOTING"]

_RUNS = [(0x30, 0x39), (0x61, 0x66), (0x67, 0x7A), (0x41, 0x46), (0x47, 0x5A)]
_SINGLE = [*range(0x20, 0x30), *range(0x3A, 0x41), *range(0x5B, 0x61), *range(0x7B, 0x80), 0x09, 0x0A, 0x0D]

_LEADS = [(0xC2, 0xC2), (0xC3, 0xC3), (0xC4, 0xC9), (0xCA, 0xCF), (0xD0, 0xD1), (0xD2, 0xDF), (0xE0, 0xE0),
          (0xE1, 0xE1), (0xE2, 0xE2), (0xE3, 0xE3), (0xE4, 0xE9), (0xEA, 0xED), (0xEE, 0xEE), (0xEF, 0xEF),
          (0xF0, 0xF4)]  # fmt: skip


def _codes(low: int, high: int) -> tuple[tuple[int, int], ...]:
    """The code points whose UTF-8 begins with a byte in low..high."""
    if high < 0xE0:
        return (((low & 0x1F) << 6, (high & 0x1F) << 6 | 0x3F),)
    if high < 0xF0:
        first, last = max(0x800, (low & 0xF) << 12), (high & 0xF) << 12 | 0xFFF
        return ((first, min(last, 0xD7FF)),) if high == 0xED else ((first, last),)
    return ((0x10000, 0x10FFFF),)


GROUPS: tuple[tuple[tuple[int, int], ...], ...] = (
    *(((low, high),) for low, high in _RUNS),
    *(((byte, byte),) for byte in _SINGLE),
    ((0x00, 0x08), (0x0B, 0x0C), (0x0E, 0x1F)),
    *(((0x2000, 0x2027), (0x202A, 0x2FFF)) if low == 0xE2 else _codes(low, high) for low, high in _LEADS),
    ((0x2028, 0x2029),),
)
"""Ranges of code points by bit: decimal digits, letters in four runs, each other character of ASCII, then by the first
byte of their UTF-8; at last the two of E2 that end a line, which `.` does not hold."""

BROKEN = len(GROUPS)  # bytes that are no UTF-8, and whatever follows them: in no state's groups
CONTINUES = 1 << (BROKEN + 1)  # the bit of bytes within a character: in the groups of each state between two
_ASCII = len(GROUPS) - len(_LEADS) - 1
GROUP_OF_BYTE = bytes(
    next((bit for bit, runs in enumerate(GROUPS[:_ASCII]) if any(low <= byte <= high for low, high in runs)), BROKEN)
    if byte < 0x80
    else len(GROUPS) - 1
    if byte == 0x80
    else next((_ASCII + k for k, (low, high) in enumerate(_LEADS) if low <= byte <= high), BROKEN)
    for byte in range(256)
)
"""Of continuation bytes BROKEN, as they belong to the group of their first byte; but of 0x80 that of U+2028."""
CONTROLS = sum(1 << GROUP_OF_BYTE[byte] for byte in (0x00, 0x09, 0x0A, 0x0D))
QUOTING = 1 << GROUP_OF_BYTE[0x22] | 1 << GROUP_OF_BYTE[0x5C]
NEVER = {"utf8": 1 << BROKEN, "json": 1 << BROKEN | CONTROLS, "json_any": 1 << BROKEN | CONTROLS}
"""By encoding: groups of which no text has a byte between two characters."""
