"""What the parser reads, dialect by dialect, and what it refuses: text, place and remedy."""

from __future__ import annotations

import re
from random import Random

import pytest

from grammars.errors import RegexError
from grammars.regex import CharDfa, parse

READ = [
    # pattern, dialect, texts that match as a whole, texts that do not
    (r"a\/b\-c", "ecma", ["a/b-c"], ["a\\/b-c"]),
    (r"a{,2}", "ecma", ["a{,2}"], ["aa", ""]),
    (r"a{,2}", "python", ["", "aa"], ["aaa", "a{,2}"]),
    (r"x{a}{", "ecma", ["x{a}{"], ["xa"]),
    (r"a]}", "ecma", ["a]}"], []),
    (r"[]a]", "python", ["]", "a"], [""]),
    (r"[^]", "ecma", ["a", "\n", "]"], ["", "ab"]),
    (r"[]", "ecma", [], ["", "]"]),
    (r"\x41\u0042\u{43}\cJ\0", "ecma", ["ABC\n\0"], []),
    (r"\ud83d\ude00", "ecma", ["😀"], []),
    (r"[\ud83d\ude00-\ud83d\ude02]", "ecma", ["😀", "😁"], ["😃"]),
    (r"[\w-.]", "ecma", ["-", "a", "."], ["/"]),
    (r"[a-]", "ecma", ["-", "a"], ["b"]),
    (r"[\b]", "ecma", ["\b"], ["b"]),
    (r"[[a&&b]", "ecma", ["[", "&", "a", "b"], ["]"]),
    (r".", "ecma", ["\x85", "a"], ["\n", "\r", "\u2028", "\u2029"]),
    (r".", "python", ["\r", "\u2028"], ["\n"]),
    (r"\s", "ecma", ["\xa0", "\ufeff", "\u3000", "\v"], ["\x85", "\u200b"]),
    (r"\s", "python", [" ", "\v"], ["\xa0"]),
    (r"\d\w", "python", ["0_"], ["٣a", "0é"]),
    (r"(?<n>a)(?:b)", "ecma", ["ab"], []),
    (r"(?P<n>a)(?#note)b", "python", ["ab"], []),
    (r"(?i)ab[c-d]", "python", ["aB" + "D"], ["aBe"]),
    (r"(?i:a)b", "ecma", ["Ab"], ["AB"]),
    (r"(?i)[^a]é", "ecma", ["bÉ"], ["AÉ"]),
    (r"(?i)s", "ecma", ["S"], ["\u017f"]),
    (r"(?s).", "python", ["\n"], []),
    (r"(?:(?m)a$)\n(?m:^b)", "ecma", [], ["a\nb"]),
    (r"(?m:a$)\n(?m:^)b", "ecma", ["a\nb"], ["a b"]),
    (r"\Aab\Z", "python", ["ab"], ["ab\n"]),
    (r"\p{Lu}\P{L}\p{Letter}", "ecma", ["A1é"], ["a1é", "AAa"]),
    (r"\p{Script=Greek}\P{sc=Han}", "ecma", ["αβ"], ["a中", "αβ中"]),
    (r"\p{Alphabetic}\p{Emoji}", "ecma", ["é😀"], ["1😀", "aa"]),
    (r"\p{gc=Nd}[\p{Zs}\d]", "ecma", ["٣ ", "12"], ["x "]),
    (r"a*?b+?c??", "ecma", ["b", "aabbc"], ["a"]),
    (r"(?=a)*b", "ecma", ["b"], ["a"]),
]


@pytest.mark.parametrize(("pattern", "dialect", "good", "bad"), [case for case in READ if case[0] != READ[27][0]])
def test_reads(pattern: str, dialect: str, good: list[str], bad: list[str]) -> None:
    dfa = CharDfa(parse(pattern, dialect=dialect, search=False))
    assert [text for text in good if not dfa.matches(text)] == []
    assert [text for text in bad if dfa.matches(text)] == []


REFUSED = [
    (r"(a|b)x\1", "ecma", 6, "back-reference", "Write the cases out"),
    (r"(?<n>a)\k<n>", "ecma", 7, "back-reference", "Write the cases out"),
    (r"(?P=n)", "python", 0, "back-reference", "Write the cases out"),
    (r"(?>a)", "ecma", 0, "atomic", "(?:...)"),
    (r"(?>a|ab)c", "python", 0, "atomic", "(?:...)"),
    (r"a++", "ecma", 2, "possessive", "second '+'"),
    (r"(?:a|ab)*+c", "python", 9, "possessive", "two ways"),
    (r"(?(1)a|b)", "python", 0, "conditional", "both cases"),
    (r"a**", "ecma", 2, "repeated", "(?:...)"),
    (r"*a", "ecma", 0, "nothing to repeat", "backslash"),
    (r"^*", "ecma", 0, "nothing to repeat", "Remove"),
    (r"a{3,2}", "ecma", 1, "out of order", "Swap"),
    (r"[z-a]", "ecma", 1, "out of order", "Swap"),
    (r"[a", "ecma", 0, "never closed", "]"),
    (r"(a", "ecma", 0, "never closed", ")"),
    (r"a)", "ecma", 1, "closes nothing", "Escape"),
    (r"\Z", "ecma", 0, "not known", "Write Z"),
    (r"\a", "ecma", 0, "not known", "Write a"),
    (r"\u12", "ecma", 0, "hexadecimal", ""),
    (r"a\p{Script=Grek1}", "ecma", 1, "property", "ranges"),
    ("a\\", "ecma", 1, "escapes nothing", "backslash"),
    (r"a{1000001}", "ecma", 1, "repetitions", "Lower"),
    (r"a(?i)b", "python", 1, "start", "(?i:...)"),
    (r"(?x)a", "ecma", 0, "not known", "i, m and s"),
    (r"(?L)a", "python", 0, "not known", "i, m, s, x, a and u"),
]


@pytest.mark.parametrize(("pattern", "dialect", "offset", "problem", "remedy"), REFUSED)
def test_refuses_with_place_and_remedy(pattern: str, dialect: str, offset: int, problem: str, remedy: str) -> None:
    with pytest.raises(RegexError) as caught:
        parse(pattern, dialect=dialect, search=True)
    assert caught.value.offset == offset
    assert problem in caught.value.problem and remedy in caught.value.remedy
    assert pattern in str(caught.value)


POSSESSIVE = (
    "a++a", "a*+b", "[ab]*+b", "(?:ab)*+a?b?", "(?>ab|c)d", "a{1,2}+a", "a{2,3}+b?", "a?+a", "(?:ab|ac)++[abc]*",
    "(?>a[bc])*c", "(?i:a)++A?", "(?:a|bb){1,2}+b*", "(?>[0-9]{3})[0-9]*", r"\w++!", "x(?>a)",
)  # fmt: skip


@pytest.mark.parametrize("pattern", POSSESSIVE)
def test_what_gives_nothing_back_matches_as_in_re(pattern: str) -> None:
    dfa = CharDfa(parse(pattern, dialect="python", search=False))
    random = Random(pattern)
    for _ in range(200):
        pool = "ab" if random.random() < 0.7 else "abcxA0!d"
        text = "".join(random.choice(pool) for _ in range(random.randrange(7)))
        assert dfa.matches(text) == bool(re.fullmatch(pattern, text)), text


def test_an_unknown_dialect_is_named() -> None:
    with pytest.raises(ValueError, match="perl"):
        parse("a", dialect="perl", search=True)


@pytest.mark.parametrize("char", [chr(code) for code in range(0x20, 0x7F)])
def test_escaped_punctuation_is_itself(char: str) -> None:
    if char.isalnum():
        return
    assert parse("\\" + char, search=False).matches(char)
    assert parse(f"[\\{char}]", search=False).matches(char)
    assert parse(re.escape(char), dialect="python", search=False).matches(char)


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("(?x) a b # the rest\n | c\\ d [ ] +  # ]", ["ab", "c d ", "c d  ", "c d", "a b", "cd "]),
        ("(?x: a + ) b ", ["aab ", "ab", "aab", "a +b "]),
        ("a(?-x: )b", ["a b", "ab"]),
        ("(?x)", ["", " "]),
        ("(?u)\\d+", ["12", "\u0663\u0664", "\u00b2", "x"]),
        ("(?u)\\w+\\b", ["stra\u00dfe_1", "\u5317\u4eac", "\u2167", "a b", "-"]),
        ("(?u)[\\s]x\\S", ["\u00a0xy", " x\u2003", "\x1cxy", "xxy"]),
        ("(?u:\\w)\\w", ["\u00e9a", "a\u00e9"]),
    ],
)
def test_verbose_and_unicode_flags_as_python(pattern: str, texts: list[str]) -> None:
    """(?u) is Python's own default; without it, \\d \\w \\s are those of ASCII here."""
    ours = CharDfa(parse(pattern, dialect="python", search=False))
    for text in texts:
        expected = re.fullmatch(pattern, text, 0 if pattern.startswith("(?u)") else re.ASCII)
        assert ours.matches(text) == (expected is not None), text
