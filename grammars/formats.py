"""The named string formats of JSON Schema as exact regular languages.

Beside `grammars.regex`, above nothing else; the JSON front-end asks `format_regex(name)` and intersects. Each language
is what the RFC that JSON Schema names says, with month lengths, leap years, label and total lengths:

    date, time, date-time   RFC 3339. :60 only where UTC is 23:59 and, in a date-time, at the end of June or December.
    duration                RFC 3339 appendix A
    email, idn-email        RFC 5321 Mailbox (dot-string or quoted, domain or address literal; 64 octets before the @);
                            idn: RFC 6531, any non-ASCII character in addition
    hostname                RFC 1123: labels of letters, digits and inner hyphens, 63 at most, 253 in all; labels that
                            begin with xn-- are left out, for whether they are valid is up to their Punycode
    idn-hostname            the same and, from below, names with U-labels (see `_idn`)
    ipv4, ipv6              RFC 2673 dotted quad; RFC 4291 with every place of "::" and embedded IPv4
    uri ... iri-reference   RFC 3986, RFC 3987
    uri-template            RFC 6570, without the operators that it reserves for the future (= , ! @ |)
    uuid                    RFC 4122 (8-4-4-4-12)
    json-pointer, relative-json-pointer   RFC 6901 and the relative draft
    regex                   from below: ECMA-262 patterns (without the flag u), groups at most three deep,
                            look-around without groups in it, class ranges among letters or digits, one named group or
                            back-references \\k to one group of one letter
A name that is not in the table is an annotation: `format_regex` gives None. Where a language is from below,
`format_bound` gives one from above, so that `not` can be sure as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from grammars._idn import idn_hostname
from grammars._leap import LeapSeconds
from grammars.regex import Regex, parse

__all__ = ["FORMATS", "format_bound", "format_regex"]


def _full(pattern: str) -> Regex:
    return parse(pattern, dialect="python", search=False)


# --- dates and times (RFC 3339) -----------------------------------------------------------------------------------

_LEAP_YEAR = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE = (
    r"(?:\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    rf"|02-(?:0[1-9]|1\d|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
_HOUR, _MINUTE, _FRACTION = r"(?:[01]\d|2[0-3])", r"[0-5]\d", r"(?:\.\d+)?"
_TIME = rf"{_HOUR}:{_MINUTE}:{_MINUTE}{_FRACTION}(?:[Zz]|[+-]{_HOUR}:{_MINUTE})"


def _time() -> Regex:
    return _full(_TIME) | Regex.read_by(LeapSeconds(west=True, east=True))


def _date_time() -> Regex:
    west = _full(r"\d{4}-(?:06-30|12-31)[Tt]").concat(Regex.read_by(LeapSeconds(west=True, east=False)))
    east = _full(r"\d{4}-(?:07-01|01-01)[Tt]").concat(Regex.read_by(LeapSeconds(west=False, east=True)))
    return _full(f"{_DATE}[Tt]{_TIME}") | west | east


_DURATION = (
    r"P(?:\d+W|(?:\d+D|\d+M(?:\d+D)?|\d+Y(?:\d+M(?:\d+D)?)?)(?:T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S))?"
    r"|T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S))"
)

# --- addresses ----------------------------------------------------------------------------------------------------

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"


def _ipv6() -> str:
    group = "[0-9a-fA-F]{1,4}"
    last = f"(?:{group}:{group}|{_IPV4})"
    forms = [f"(?:{group}:){{6}}{last}"]
    for after in range(5, -1, -1):
        before = 5 - after
        head = f"(?:(?:{group}:){{0,{before - 1}}}{group})?" if before else ""
        forms.append(f"{head}::(?:{group}:){{{after}}}{last}")
    forms.append(f"(?:(?:{group}:){{0,5}}{group})?::{group}")
    forms.append(f"(?:(?:{group}:){{0,6}}{group})?::")
    return f"(?:{'|'.join(forms)})"


_LABEL = (
    "(?:[a-wyzA-WYZ0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?|[xX](?:[a-mo-zA-MO-Z0-9](?:[a-zA-Z0-9-]{0,60}[a-zA-Z0-9])?"
    "|-[a-zA-Z0-9-]{0,60}[a-zA-Z0-9]|[nN](?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,59}[a-zA-Z0-9])?"
    "|-[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,58}[a-zA-Z0-9])?)?)?)"
)
"""Not xn--..."""


def _hostname() -> Regex:
    return _full(rf"{_LABEL}(?:\.{_LABEL})*") & Regex.length(1, 253)


def _idn_hostname() -> Regex:
    return _hostname() | idn_hostname()


_NON_ASCII = r"\u0080-\U0010ffff"


def _email(more: str) -> Regex:
    """RFC 5321 Mailbox; `more` are the characters that RFC 6531 adds (none for plain e-mail)."""
    atom = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~{more}-]+"
    quoted = rf'"(?:[\x20\x21\x23-\x5b\x5d-\x7e{more}]|\\[\x20-\x7e])*"'
    local = _full(rf"(?:{atom}(?:\.{atom})*|{quoted})")
    if not more:
        local &= Regex.length(1, 64)
    label = f"[a-zA-Z0-9{more}](?:[a-zA-Z0-9{more}-]{{0,61}}[a-zA-Z0-9{more}])?"
    domain = _full(rf"{label}(?:\.{label})*") & Regex.length(1, 253)
    ipv6 = rf"[Ii][Pp][Vv]6:{_ipv6()}"
    literal = _full(rf"\[(?:{_IPV4}|{ipv6})\]")
    return local.concat(Regex.literal("@")).concat(domain | literal)


# --- URIs (RFC 3986), IRIs (RFC 3987), templates (RFC 6570) ---------------------------------------------------------

_UCSCHAR = r"\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef" + "".join(
    rf"\U{plane:04x}{'1000' if plane == 14 else '0000'}-\U{plane:04x}fffd" for plane in range(1, 15)
)
_IPRIVATE = r"\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"


def _uri(*, reference: bool, international: bool) -> Regex:
    ucs, private = (_UCSCHAR, _IPRIVATE) if international else ("", "")
    escape = "%[0-9A-Fa-f]{2}"
    plain = rf"A-Za-z0-9._~!$&'()*+,;={ucs}-"
    segment = f"(?:[:@{plain}]|{escape})"
    colon_less = f"(?:[@{plain}]|{escape})"
    user = f"(?:[:{plain}]|{escape})*"
    name = f"(?:[{plain}]|{escape})*"
    future = r"[vV][0-9A-Fa-f]+\.[:A-Za-z0-9._~!$&'()*+,;=-]+"
    authority = rf"(?:{user}@)?(?:\[(?:{_ipv6()}|{future})\]|{name})(?::\d*)?"
    slashed = f"(?:/{segment}*)*"
    rooted = f"/(?:{segment}+{slashed})?"
    common = f"|//{authority}{slashed}|{rooted}|"
    tail = rf"(?:\?(?:[:@/?{private}{plain}]|{escape})*)?(?:#(?:[:@/?{plain}]|{escape})*)?"
    absolute = rf"[A-Za-z][A-Za-z0-9+.-]*:(?:{common}{segment}+{slashed}){tail}"
    relative = rf"(?:{common}{colon_less}+{slashed}){tail}"
    return _full(f"(?:{absolute}|{relative})" if reference else absolute)


def _uri_template() -> Regex:
    escape = "%[0-9A-Fa-f]{2}"
    literal = rf"(?:[\x21\x23\x24\x26-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e{_UCSCHAR}{_IPRIVATE}]|{escape})"
    char = f"(?:[A-Za-z0-9_]|{escape})"
    name = rf"{char}(?:\.?{char})*"
    spec = rf"{name}(?::[1-9]\d{{0,3}}|\*)?"
    return _full(rf"(?:{literal}|\{{[+#./;?&]?{spec}(?:,{spec})*\}})*")


_POINTER = r"(?:/(?:[^~/]|~[01])*)*".replace("[^~/]", r"[\x00-.0-}\x7f-\U0010ffff]")


def _regex() -> Regex:
    """Patterns that ECMA-262 reads without the flag u; most of them it reads with u, too."""
    spans = [(chr(code), end) for first, end in ("az", "AZ", "09") for code in range(ord(first), ord(end) + 1)]
    ordered = [f"{low}-[{low}-{end}]" for low, end in spans]
    shared = r"\\(?:[dDwWsSnrtfv\\^$.*+?()\[\]{}|/ !'\"#%&,:;<=>@`~-]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|c[a-zA-Z])"
    item = rf"(?:{'|'.join(ordered)}|{shared}|[a-zA-Z0-9 _.,:;!?/@#%=+*$()<>'\"`&~{{}}|\u0080-\U0010ffff])"
    # Two-digit counts in order: tens below, or tens equal and units not above.
    pairs = [rf"{t}{u},{t}[{u}-9]" for t in range(1, 10) for u in range(10)]
    pairs += [rf"{t}\d,[{t + 1}-9]\d" for t in range(1, 9)] + [rf"{u},(?:[{u}-9]|[1-9]\d)" for u in range(10)]
    repeat = rf"(?:[*+?]\??|\{{(?:[1-9]?\d,?|{'|'.join(pairs)})\}}\??)?"
    atom = rf"(?:[^\\^$.*+?()\[\]{{}}|\ud800-\udfff]|\.|{shared}|\\k<[a-z]>|\[\^?-?{item}*-?\])"
    around = rf"[(][?]<?[=!](?:{atom}{repeat}|[|$^])*[)]"
    body = ""
    for _ in range(4):
        group = rf"|(?:[(](?:[?](?::|<[A-Za-z_$][A-Za-z0-9_$]*>))?{body}[)])" if body else ""
        body = rf"(?:(?:{atom}{group}){repeat}|[|$^]|\\[bB]{f'|{around}' if body else ''})*"
    return _full(body) & _named_groups()


def _named_groups() -> Regex:
    """At most one named group; or back-references to the only one, by a name of one letter."""
    opening = r"[(][?]<[^=!]"
    any_text = Regex.any_string()
    several = any_text.concat(_full(rf"{opening}[^]*{opening}".replace("[^]", r"[\s\S]"))).concat(any_text)
    referring = any_text.concat(_full(r"\\k")).concat(any_text)
    # no class and no escaped bracket, in which what looks like a group might be none
    plain = r"(?:[^\\\[]|\\[^\\(\[k])"
    referred = [_full(rf"{plain}*[(][?]<{c}>(?:{plain}|\\k<{c}>)*") for c in "abcdefghijklmnopqrstuvwxyz"]
    return ~several & (~referring | Regex.any_of(referred))


_MAKERS: dict[str, Callable[[], Regex]] = {
    "date": lambda: _full(_DATE),
    "time": _time,
    "date-time": _date_time,
    "duration": lambda: _full(_DURATION),
    "email": lambda: _email(""),
    "idn-email": lambda: _email(_NON_ASCII),
    "hostname": _hostname,
    "idn-hostname": _idn_hostname,
    "ipv4": lambda: _full(_IPV4),
    "ipv6": lambda: _full(_ipv6()),
    "uri": lambda: _uri(reference=False, international=False),
    "uri-reference": lambda: _uri(reference=True, international=False),
    "iri": lambda: _uri(reference=False, international=True),
    "iri-reference": lambda: _uri(reference=True, international=True),
    "uri-template": _uri_template,
    "regex": _regex,
    "uuid": lambda: _full("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "json-pointer": lambda: _full(_POINTER),
    "relative-json-pointer": lambda: _full(rf"(?:0|[1-9]\d*)(?:#|{_POINTER})"),
}

FORMATS = tuple(sorted(_MAKERS))


_UPPER_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_BOUNDS: dict[str, Callable[[], Regex]] = {
    "hostname": lambda: _full(rf"{_UPPER_LABEL}(?:\.{_UPPER_LABEL})*"),
    "idn-hostname": lambda: _full(rf"{_UPPER_LABEL}(?:\.{_UPPER_LABEL})*|[\s\S]*[^\x00-\x7f][\s\S]*"),
    "regex": lambda: ~_full(r"[*+?)][\s\S]*|(?:[^\\]|\\[\s\S])*\\"),
}


@cache
def format_bound(name: str) -> Regex | None:
    """A language outside of which nothing is of the format: `format_regex` where that is exact."""
    maker = _BOUNDS.get(name)
    return format_regex(name) if maker is None else maker()


@cache
def format_regex(name: str) -> Regex | None:
    """The language of a named format; None when the name is not known (then it is only an annotation)."""
    maker = _MAKERS.get(name)
    return None if maker is None else maker()
