"""Internationalised host names (RFC 5890-5893), from below: what is in the language is valid, not the reverse.

Beside `formats`, which unites this with the ASCII host names. A U-label is valid or not by things that no automaton of
sensible size can follow (the length of its Punycode, normalisation over any distance), so the language is cut to
where it can be decided character by character:
  - names of at most 30 characters with labels of at most 11, so that a Punycode label fits 63 octets, the name 253;
  - code points that RFC 5892 derives as PVALID from this Python's Unicode tables, without those that could compose
    with what stands before them (so a label is always in NFC), and one combining mark with a class at a time;
  - a label is either free of right-to-left characters, or right-to-left throughout with one kind of digits (RFC 5893),
    and a name is of one of the two kinds;
  - of the contextual rules: middle dot between two l, keraia before Greek, geresh and gershayim after Hebrew, katakana
    middle dot beside kana or Han, joiners after a virama, the non-joiner between Arabic letters that join.
Labels that begin with xn-- (or have -- there) are left out: their validity is that of the Punycode behind it.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from grammars.regex import Charset, Regex, charset

__all__ = ["idn_hostname"]

_VALID = {0xDF, 0x3C2, 0x6FD, 0x6FE, 0xF0B, 0x3007}
_INVALID = {0x640, 0x7FA, 0x302E, 0x302F, *range(0x3031, 0x3036), 0x303B}
_CONTEXT = {0xB7, 0x375, 0x5F3, 0x5F4, 0x30FB, 0x200C, 0x200D}
_JAMO = (range(0x1100, 0x1200), range(0xA960, 0xA980), range(0xD7B0, 0xD800))
_IGNORABLE = tuple(
    range(*ends)
    for ends in ((0x20D0, 0x2100), (0x1D100, 0x1D250), (0x180B, 0x1810), (0xFE00, 0xFE10), (0xE0000, 0xE1000))
)
_LETTER_DIGIT = {"Ll", "Lu", "Lo", "Nd", "Lm", "Mn", "Mc"}


def _permitted(code: int) -> bool:
    """PVALID by the derivation of RFC 5892, section 3."""
    char = chr(code)
    if code in _VALID:
        return True
    if code in _INVALID or code in _CONTEXT or unicodedata.category(char) not in _LETTER_DIGIT:
        return False
    if any(code in block for block in (*_JAMO, *_IGNORABLE)) or code in (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164):
        return False
    normal = unicodedata.normalize
    return normal("NFKC", normal("NFKC", char).casefold()) == char


@lru_cache(maxsize=1)
def _tables() -> dict[str, Charset]:
    """Permitted characters by role; about 0.3 s, once, and only where the format is asked for."""
    composing = set()
    for code in range(0xA0, 0x30000):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            composing.add(int(parts[1], 16))
    roles: dict[str, list[tuple[int, int]]] = {}
    for low, high in charset.complement(charset.category("Cn") or ()):
        for code in range(max(low, 0x80), min(high, 0x2FFFF) + 1):
            if not _permitted(code) or code in composing:
                continue
            char = chr(code)
            direction = unicodedata.bidirectional(char)
            combining = unicodedata.combining(char)
            if combining:
                role = "virama" if combining == 9 else "mark" if direction == "NSM" else "other"
            elif unicodedata.category(char) in ("Mn", "Mc"):
                role = "sign" if direction in ("L", "NSM") else "other"
            elif direction in ("R", "AL"):
                role = "right"
            elif direction in ("AN", "L", "EN"):
                role = {"AN": "arabic_digit", "L": "left", "EN": "digit"}[direction]
            else:
                role = "neutral"
            roles.setdefault(role, []).append((code, code))
    return {role: charset.normalise(pairs) for role, pairs in roles.items()}


def idn_hostname() -> Regex:
    """Names with at least the right to hold U-labels; ASCII names are added by the caller."""
    roles = {name: Regex.chars(found) for name, found in _tables().items()}
    never = Regex.never()
    letter = Regex.chars(charset.from_chars("abcdefghijklmnopqrstuvwxyz"))
    digit = Regex.chars(charset.from_chars("0123456789"))
    dots = Regex.chars(charset.from_chars(".\u3002\uff0e\uff61"))
    hyphen = Regex.literal("-")

    base = letter | digit | roles["left"] | roles.get("digit", never) | roles.get("neutral", never)
    joined = roles["virama"].concat(Regex.chars(((0x200C, 0x200D),)).repeat(0, 1))
    marked = base.concat(roles["sign"].repeat(0, 2)).concat((joined | roles["mark"]).repeat(0, 1))
    catalan = Regex.literal("l").concat(Regex.literal("\xb7l").repeat(1, None))
    greek = Regex.literal("\u0375").concat(Regex.chars(((0x3B1, 0x3C1), (0x3C3, 0x3C9))))
    kana = Regex.chars(((0x3041, 0x3093), (0x30A1, 0x30F3), (0x4E00, 0x9FA5)))
    dotted_kana = Regex.literal("\u30fb").concat(kana) | kana.concat(Regex.literal("\u30fb"))
    unit = marked | catalan | greek | dotted_kana
    left = unit | unit.concat((unit | hyphen).repeat(0, None)).concat(unit)

    # a non-joiner may stand between letters that join on both sides (RFC 5892, A.1; here the basic Arabic ones)
    joining = Regex.chars(((0x628, 0x628), (0x62A, 0x62E), (0x633, 0x63A), (0x641, 0x647), (0x649, 0x64A)))
    joining |= Regex.chars(((0x67E, 0x67E), (0x686, 0x686), (0x6A9, 0x6A9), (0x6AF, 0x6AF), (0x6CC, 0x6CC)))
    apart = joining.concat(Regex.literal("\u200c").concat(joining).repeat(1, None))
    hebrew = Regex.chars(((0x5D0, 0x5EA),))
    strong = roles["right"] | apart | hebrew.concat(Regex.chars(((0x5F3, 0x5F4),)))
    right = never
    for number in (digit | roles.get("digit", never), roles["arabic_digit"]):
        inner = (strong | number).concat(roles["mark"].repeat(0, 1))
        right |= strong.concat(roles["mark"].repeat(0, 1)).concat((hyphen.repeat(0, 1).concat(inner)).repeat(0, None))

    # "--" in the third and fourth place is reserved, whatever stands before it.
    reserved = Regex.length(2, 2).concat(Regex.literal("--")).concat(Regex.any_string())
    names = never
    for label in (left, right):
        label = label & Regex.length(1, 11) & ~reserved
        names |= label.concat(dots.concat(label).repeat(0, None))
    return names & Regex.length(1, 30)
