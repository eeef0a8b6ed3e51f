"""`contentEncoding` and `contentMediaType` of JSON Schema as languages of strings.

Beside `formats`. The standard calls both annotations (draft 7 lets a validator assert them), so they are asserted where
the user asks for it only. A language is given from below and from above: what is in the first is valid, what is not in
the second is not. They are equal for encodings alone:

    base64, base64url, base32, base16   RFC 4648, padded (base64url: or not)
    application/json                    from below: arrays and objects up to `DEPTH` levels deep (a string is no place
                                        for a stack); under base64 as UTF-8. From above: its first character
Other encodings and media types assert nothing: `content_regex` gives None.
"""

from __future__ import annotations

from functools import cache

from grammars.regex import Regex, parse

__all__ = ["DEPTH", "ENCODINGS", "MEDIA_TYPES", "content_regex"]

DEPTH = 4
ENCODINGS = ("base64", "base64url", "base32", "base16")
MEDIA_TYPES = ("application/json",)

_PATTERNS = {
    "base64": "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
    "base64url": "(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}(?:==)?|[A-Za-z0-9_-]{3}=?)?",
    "base32": "(?:[A-Z2-7]{8})*(?:[A-Z2-7]{2}={6}|[A-Z2-7]{4}={4}|[A-Z2-7]{5}={3}|[A-Z2-7]{7}=)?",
    "base16": "(?:[0-9A-Fa-f]{2})*",
}
_BEYOND_ASCII = r"\u0080-\ud7ff\ue000-\U0010ffff"
_UTF8 = (
    r"|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    r"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)


def _full(pattern: str) -> Regex:
    return parse(pattern, dialect="python", search=False)


@cache
def _json(in_bytes: bool) -> Regex:
    """JSON text, as characters or as the bytes of its UTF-8."""
    more, others = ("", _UTF8) if in_bytes else (_BEYOND_ASCII, "")
    plain = rf"[\x20\x21\x23-\x5b\x5d-\x7f{more}]{others}"
    string = rf'"(?:{plain}|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}}))*"'
    scalar = _full(rf"(?:{string}|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)")
    blank, comma = _full(r"[ \t\n\r]*"), Regex.literal(",")
    name = blank.concat(_full(string)).concat(blank).concat(Regex.literal(":"))
    value = scalar
    for _ in range(DEPTH):
        item = blank.concat(value).concat(blank)
        array, members = item.concat(comma.concat(item).repeat(0)), name.concat(item)
        members = members.concat(comma.concat(members).repeat(0))
        value = (
            scalar
            | Regex.literal("[").concat(array | blank).concat(Regex.literal("]"))
            | Regex.literal("{").concat(members | blank).concat(Regex.literal("}"))
        )
    return blank.concat(value).concat(blank)


@cache
def content_regex(encoding: str | None, media_type: str | None) -> tuple[Regex, Regex] | None:
    """The strings of a content from below and from above; None where neither part is known."""
    pattern = _PATTERNS.get(encoding or "")
    outer = None if pattern is None else _full(pattern)
    if media_type not in MEDIA_TYPES or (encoding is not None and encoding != "base64"):
        return None if outer is None else (outer, outer)
    if outer is not None:
        return _json(True).in_base64(), outer
    return _json(False), _full(r'[ \t\n\r]*["\[{0-9tfn-][\s\S]*')
