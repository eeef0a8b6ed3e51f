"""Sets of characters as sorted, disjoint, non-adjacent ranges of Unicode scalar values.

Lowest part of `grammars.regex`: the parser builds these, the alphabet cuts them into classes. A charset is a plain
tuple of (low, high) pairs, both inclusive, so that it hashes and compares fast. Surrogates (U+D800..U+DFFF) are not
characters: `clip` drops them, and no complement brings them in.
"""

from __future__ import annotations

import sys
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby

__all__ = [
    "ALL",
    "NOTHING",
    "Charset",
    "category",
    "clip",
    "complement",
    "fold_case",
    "from_chars",
    "intersect",
    "narrowest",
    "normalise",
    "union",
]

Charset = tuple[tuple[int, int], ...]

ALL: Charset = ((0, 0xD7FF), (0xE000, 0x10FFFF))
NOTHING: Charset = ()


def normalise(ranges: Iterable[tuple[int, int]]) -> Charset:
    """Sorted, merged ranges; surrogates removed."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return clip(merged)


def clip(ranges: Iterable[tuple[int, int]]) -> Charset:
    """The scalar values of sorted `ranges`: whatever lies in the surrogate block is cut out."""
    out: list[tuple[int, int]] = []
    for low, high in ranges:
        if high < 0xD800 or low > 0xDFFF:
            out.append((low, high))
            continue
        if low < 0xD800:
            out.append((low, 0xD7FF))
        if high > 0xDFFF:
            out.append((0xE000, high))
    return tuple(out)


def from_chars(chars: str) -> Charset:
    """The set of the characters of `chars`."""
    return normalise((ord(c), ord(c)) for c in chars)


def narrowest(charset: Charset) -> int:
    """Bytes of the shortest character in UTF-8; 4 for the empty set."""
    first = charset[0][0] if charset else sys.maxunicode
    return 1 if first < 0x80 else 2 if first < 0x800 else 3 if first < 0x10000 else 4


def union(*sets: Charset) -> Charset:
    """Characters in at least one of `sets`."""
    return normalise(pair for one in sets for pair in one)


def complement(charset: Charset) -> Charset:
    """Scalar values not in `charset`."""
    out: list[tuple[int, int]] = []
    start = 0
    for low, high in charset:
        if low > start:
            out.append((start, low - 1))
        start = high + 1
    if start <= 0x10FFFF:
        out.append((start, 0x10FFFF))
    return clip(out)


def intersect(one: Charset, other: Charset) -> Charset:
    """Characters in both sets, by merging the two sorted lists."""
    out: list[tuple[int, int]] = []
    i = j = 0
    while i < len(one) and j < len(other):
        low, high = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if low <= high:
            out.append((low, high))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return tuple(out)


@lru_cache(maxsize=1)
def _by_category() -> dict[str, list[tuple[int, int]]]:
    """General category -> ranges, in one pass over Unicode (about 20 ms, only when a pattern says \\p).

    Planes 4 to 13 hold nothing in any version of Unicode so far, and the last two are for private use; a test compares
    with a pass over all of it.
    """
    table: dict[str, list[tuple[int, int]]] = {"Cn": [(0x40000, 0xDFFFF)]}
    start = 0
    for first, last in ((0, 0x3FFFF), (0xE0000, 0xE1FFF)):
        start = first
        for name, run in groupby(map(unicodedata.category, map(chr, range(first, last + 1)))):
            size = sum(1 for _ in run)
            table.setdefault(name, []).append((start, start + size - 1))
            start += size
    table["Cn"] += [(start, 0xEFFFF), (0xFFFFE, 0xFFFFF), (0x10FFFE, 0x10FFFF)]
    table["Co"] += [(0xF0000, 0xFFFFD), (0x100000, 0x10FFFD)]
    return table


_LONG_CATEGORIES = {
    "letter": "L", "cased_letter": "LC", "uppercase_letter": "Lu", "lowercase_letter": "Ll", "titlecase_letter": "Lt",
    "modifier_letter": "Lm", "other_letter": "Lo", "mark": "M", "nonspacing_mark": "Mn", "spacing_mark": "Mc",
    "enclosing_mark": "Me", "number": "N", "decimal_number": "Nd", "digit": "Nd", "letter_number": "Nl",
    "other_number": "No", "punctuation": "P", "punct": "P", "connector_punctuation": "Pc", "dash_punctuation": "Pd",
    "open_punctuation": "Ps", "close_punctuation": "Pe", "initial_punctuation": "Pi", "final_punctuation": "Pf",
    "other_punctuation": "Po", "symbol": "S", "math_symbol": "Sm", "currency_symbol": "Sc", "modifier_symbol": "Sk",
    "other_symbol": "So", "separator": "Z", "space_separator": "Zs", "line_separator": "Zl",
    "paragraph_separator": "Zp", "other": "C", "control": "Cc", "cntrl": "Cc", "format": "Cf", "private_use": "Co",
    "unassigned": "Cn", "surrogate": "Cs", "combining_mark": "M",
}  # fmt: skip


@lru_cache(maxsize=256)
def category(name: str) -> Charset | None:
    """The characters of a general category ("Lu", "L", "Letter") or of Any, ASCII, Assigned; None when unknown."""
    if name == "Any":
        return ALL
    if name == "ASCII":
        return ((0, 0x7F),)
    table = _by_category()
    if name == "Assigned":
        return complement(normalise(table["Cn"]))
    short = name if name in table else _LONG_CATEGORIES.get(name.lower(), name)
    if short == "LC":
        return normalise(pair for key in ("Lu", "Ll", "Lt") for pair in table[key])
    keys = [key for key in table if key == short or (len(short) == 1 and key[0] == short)]
    if not keys:
        return None
    return normalise(pair for key in keys for pair in table[key])


_BINARY = frozenset(
    """ASCII_Hex_Digit AHex Alphabetic Alpha Bidi_Control Cased Dash Default_Ignorable_Code_Point Diacritic Emoji
    Emoji_Component Emoji_Modifier Emoji_Modifier_Base Emoji_Presentation Extended_Pictographic Extender Grapheme_Base
    Grapheme_Extend Hex_Digit ID_Continue IDC ID_Start IDS Ideographic Ideo Join_Control Lowercase Lower Math
    Noncharacter_Code_Point Pattern_Syntax Pattern_White_Space Quotation_Mark Regional_Indicator Sentence_Terminal
    Soft_Dotted Terminal_Punctuation Unified_Ideograph Uppercase Upper Variation_Selector White_Space space XID_Continue
    XID_Start""".split()
)


@lru_cache(maxsize=64)
def script_or_binary(name: str) -> Charset | None:
    """The characters of a script ("Script=Greek", "sc=Grek") or of a binary property of ECMA-262; None when unknown.

    Python's own tables lack both; the package `regex`, on which transformers depends, has them.
    """
    key = name.partition("=")[0]
    if key not in ("Script", "sc", "Script_Extensions", "scx") and name not in _BINARY:
        return None
    try:
        import regex
    except ImportError:
        return None
    try:
        pattern = regex.compile(rf"\p{{{name}}}+")
    except regex.error:
        return None
    pairs: list[tuple[int, int]] = []
    for first, last in ((0, 0xD7FF), (0xE000, 0x10FFFF)):
        text = "".join(map(chr, range(first, last + 1)))
        pairs.extend((first + found.start(), first + found.end() - 1) for found in pattern.finditer(text))
    return normalise(pairs)


@lru_cache(maxsize=1)
def _case_classes() -> dict[int, frozenset[int]]:
    """Each cased character -> all characters that differ from it by case only (simple mappings)."""
    groups: dict[str, set[int]] = {}
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        lower, upper = char.lower(), char.upper()
        if lower != char or upper != char:
            for key in {lower, upper}:
                if len(key) == 1:
                    groups.setdefault(key, set()).update({code, ord(key)})
    parent: dict[int, set[int]] = {}
    for members in groups.values():
        joined = set(members)
        for code in members:
            joined |= parent.get(code, set())
        for code in joined:
            parent[code] = joined
    return {code: frozenset(members) for code, members in parent.items() if len(members) > 1}


def fold_case(charset: Charset) -> Charset:
    """`charset` closed under simple case mapping.

    An ASCII letter gains ASCII letters only: as in ECMA without the u flag, `s` must not match U+017F (long s).
    """
    extra: list[tuple[int, int]] = []
    for low, high in charset:
        for first, last, shift in ((0x41, 0x5A, 32), (0x61, 0x7A, -32)):
            a, b = max(low, first), min(high, last)
            if a <= b:
                extra.append((a + shift, b + shift))
    if charset and charset[-1][1] > 0x7F:
        classes = _case_classes()
        highs = [high for _, high in charset]
        for code, others in classes.items():
            if code > 0x7F:
                index = bisect_left(highs, code)
                if index < len(charset) and charset[index][0] <= code:
                    extra.extend((other, other) for other in others if other > 0x7F)
    return normalise([*charset, *extra]) if extra else charset
