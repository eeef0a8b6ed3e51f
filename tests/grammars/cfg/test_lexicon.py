"""Ends of tokens as `re` finds them: greedy, lazy, first branch, look-ahead, look-behind."""

from __future__ import annotations

import re
from random import Random

import pytest

from grammars import GrammarError
from grammars.cfg.lexicon import BLOCKED, Lexicon
from grammars.cfg.patterns import read_pattern

PATTERNS = (
    r"a+?b?", r"a|ab|abc", r"(?:a|ab)(?:c|bcd)?", r"(?!(?:if|in)\b)\w+", r"\w+(?=[0-9];)", r"a(?!b)|ab(?!c)|abc",
    r"if\b|\w+", r"(?=.b)a\w*", r"a{2,3}b??", r"x(?!y(?!z))", r'"(?!"").*?(?<!\\)(\\\\)*?"', r"(?:aa|a)(?:a|b)*?c",
    r"(?i:ab|A)c*", r"\d+(?:\.\d+)?(?:e\d+)?", r"[^\W\d]\w*", r"/\*[^*]*\*+(?:[^/*][^*]*\*+)*/", r"a.*?b|c",
    r"a(?=b)b|a", r"(?s:a.)$", r"(?m)a\n?$|a", r"(?x) a  b # c",
)  # fmt: skip


def ends(lexicon: Lexicon, component: int, text: str) -> list[int]:
    """Where the token at the start of a text may end, the obligation being held by the rest."""
    found, state, at = [], component, 0
    while True:
        for _, duty in lexicon.automaton.ends[state]:
            for char in text[at:]:
                bit = 1 << lexicon.alphabet.class_at(ord(char))
                duty = next(after for mask, after in lexicon.duty_moves(duty) if mask & bit)
                if duty == BLOCKED:
                    break
            if duty != BLOCKED and lexicon.holds_at_end(duty):
                found.append(at)
        if at == len(text):
            return found
        bit = 1 << lexicon.alphabet.class_at(ord(text[at]))
        targets = [target for mask, target in lexicon.automaton.moves[state] if mask & bit]
        if not targets:
            return found
        state, at = targets[0], at + 1


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_token_ends_where_re_ends_it_and_nowhere_else(pattern: str) -> None:
    lexicon = Lexicon([read_pattern(pattern)], ["T"])
    component = lexicon.component((0,), (), frozenset())
    random = Random(pattern)
    own = re.sub(r"[()?:|=!{}\[\]^$+]", "", pattern)
    for _ in range(150):
        pool = own if random.random() < 0.7 else 'abcifn0;. "\\/*xyz1eAB-\n'
        text = "".join(random.choice(pool) for _ in range(random.randrange(1, 9)))
        match = re.match(pattern, text)
        assert ends(lexicon, component, text) == ([match.end()] if match else []), text


def test_obligations_that_forbid_the_same_are_one() -> None:
    """After each letter of a keyword other threads run, but all of them say that the name must not go on."""
    name = read_pattern(r"(?!(?:if|in|import|select)\b)[a-z]+")
    lexicon = Lexicon([name, read_pattern("="), read_pattern("==")], ["NAME", "IS", "EQUAL"])
    lexicon.component((0, 2, 1), (), frozenset())
    labels = {label for label in lexicon.automaton.ends if label}
    # nothing; no letter; a letter, or that the keyword goes on; no "="
    assert len(lexicon._duties) <= 5 and len(labels) <= 5
    assert len([label for label in lexicon.automaton.ends if label]) > 12


def test_characters_are_those_of_re() -> None:
    for pattern in (r"\w", r"\d", r"(?a:\w)", r"\s", r"(?i:[^k])", r"(?i:ß|ſ|[à-þ])", r"[^\W\d_]"):
        lexicon = Lexicon([read_pattern(pattern)], ["T"])
        mask, compiled = lexicon.first(0), re.compile(pattern)
        for code in [*range(0x600), 0x1E9E, 0x212A, 0x2028, 0x3000, 0xFF10, 0x1D7CE, 0x10FFFF]:
            assert bool(mask >> lexicon.alphabet.class_at(code) & 1) == bool(compiled.match(chr(code))), (pattern, code)


@pytest.mark.parametrize("pattern", [r"(?<=b)a", r"\ba", r"a(?=b(?=c)d)"])
def test_what_cannot_be_done_is_refused(pattern: str) -> None:
    with pytest.raises(GrammarError, match="terminal T"):
        Lexicon([read_pattern(pattern)], ["T"])
