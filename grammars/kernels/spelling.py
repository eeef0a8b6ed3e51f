"""JSON strings byte by byte: escapes, surrogate pairs and UTF-8 to code points."""

from __future__ import annotations

from grammars.kernels.cache import inner


@inner
def _hex(b):
    if 48 <= b <= 57:
        return b - 48
    if 65 <= b <= 70:
        return b - 55
    if 97 <= b <= 102:
        return b - 87
    return -1


@inner
def _escape(b):
    """Code point of the short escape with letter b, or -1."""
    if b == 34 or b == 92 or b == 47:
        return b
    if b == 98:
        return 8
    if b == 102:
        return 12
    if b == 110:
        return 10
    if b == 114:
        return 13
    if b == 116:
        return 9
    return -1


# Phases of free spelling, kept in bits 32.. of c (digits and partial code points above them):
# 0 between characters; 1 after a backslash; 2..5 after \u and 0..3 digits; 6 high surrogate complete; 7 its backslash;
# 8..11 its \u and 0..3 digits; 12..14 UTF-8: 1..3 continuation bytes to come.
@inner
def _decode(phase, value, b):
    """One byte of a freely spelled string: (phase, value). Phase 0: `value` is a complete code point; -1: illegal."""
    if phase == 0:
        if b == 92:
            return 1, 0
        if b < 32 or b == 34:
            return -1, 0
        if b < 128:
            return 0, b
        if b < 0xC2 or b > 0xF4:
            return -1, 0
        if b < 0xE0:
            return 12, b & 31
        if b < 0xF0:
            return 13, b & 15
        return 14, b & 7
    if phase == 1:
        if b == 117:
            return 2, 0
        return (0, _escape(b)) if _escape(b) >= 0 else (-1, 0)
    if phase == 6:
        return (7, value) if b == 92 else (-1, 0)
    if phase == 7:
        return (8, (value - 0xD800) << 16) if b == 117 else (-1, 0)
    if phase >= 12:
        if b < 0x80 or b > 0xBF:
            return -1, 0
        value = (value << 6) | (b & 63)
        if phase == 14 and (value < 0x10 or value > 0x10F):
            return -1, 0
        if phase == 13 and (value < 0x20 or 0x360 <= value < 0x380) and value < 0x400:
            return -1, 0
        return (0, value) if phase == 12 else (phase - 1, value)
    digit = _hex(b)
    if digit < 0:
        return -1, 0
    if phase < 6:
        value = value * 16 + digit
        if phase < 5:
            # DC00..DFFF cannot start a character; \ud[c-f] is refused at its second digit
            if phase == 3 and value >= 0xDC and value <= 0xDF:
                return -1, 0
            return phase + 1, value
        return (6, value) if 0xD800 <= value < 0xDC00 else (0, value)
    low = (value & 0xFFFF) * 16 + digit
    if (phase == 8 and low != 0xD) or (phase == 9 and not 0xDC <= low <= 0xDF):
        return -1, 0
    if phase < 11:
        return phase + 1, (value & ~0xFFFF) | low
    return 0, 0x10000 + ((value >> 16) << 10) + (low - 0xDC00)
