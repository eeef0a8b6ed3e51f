"""Texts for grammars: walks under the mask, derivations, mutations; and judges that share nothing with the engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from random import Random
from typing import Any

import lark
import numpy as np

from grammars import Matcher, Vocabulary

__all__ = ["accepts", "derivations", "lark_judge", "mutations", "walk_vocabulary", "walks"]


@lru_cache(maxsize=128)
def walk_vocabulary(words: tuple[str, ...] = ()) -> Vocabulary:
    """All bytes, pieces of two to four characters that cross terminals, and words of the language."""
    pieces = [" ", "  ", "\n", "if", "in", "0x", "1.", "e+", '"', '",', "*/", "/*", "//", "()", "){", "a1", "ab", "abc",
              "=1", "==", "->", "- ", "+", "++", ", ", ": ", "];", "};", "é", "😀", "SEL", "select ", "from", " then",
              "true", "nul", "l;", "'x", "''", "end", "z;", "&a", "</", "/>", "<a", "\r\n", " like"]  # fmt: skip
    long = dict.fromkeys(p.encode() for p in (*pieces, *words) if len(p.encode()) > 1)
    entries = [*(bytes((b,)) for b in range(256)), *long]
    return Vocabulary.from_bytes([*entries, b""], eos_ids=[len(entries)])


def accepts(grammar: Any, text: str) -> bool:
    """What the engine says of a whole text."""
    matcher = Matcher(grammar, walk_vocabulary())
    return (not text or matcher.accept_bytes(text.encode())) and matcher.is_accepting()


def lark_judge(text: str, options: dict[str, Any]) -> Callable[[str], bool]:
    """What lark says of a text."""
    parser = lark.Lark(text, **{"parser": "lalr", **options})

    def judge(candidate: str) -> bool:
        try:
            parser.parse(candidate)
        except lark.exceptions.LarkError:
            return False
        return True

    return judge


def walks(grammar: Any, random: Random, count: int, longest: int = 60, samples: tuple[str, ...] = ()) -> Iterator[str]:
    """Texts of random tokens under the mask: past `longest` tokens a walk prefers the words of the samples and what
    closes, and ends at the first chance; it is given up after twenty times as many. A dead end is an error."""
    vocab = walk_vocabulary(tuple(dict.fromkeys(re.findall(r"\w+|\W{2,3}", " ".join(samples)))))
    row = np.zeros(vocab.words, np.int32)
    eos = vocab.eos_ids[0]
    for _ in range(count):
        matcher = Matcher(grammar, vocab)
        text = b""
        for step in range(longest * 20):
            matcher.fill_mask(row)
            bits = np.unpackbits(row.view(np.uint8), bitorder="little")[: vocab.size]
            allowed = np.flatnonzero(bits).tolist()
            assert allowed, f"dead end after {text!r}"
            if eos in allowed and (step >= longest or len(allowed) == 1 or random.random() < 0.1):
                yield text.decode()
                break
            choices = [t for t in allowed if t != eos]
            printable = [t for t in choices if vocab.token_bytes(t)[0] in _COMMON]
            if step >= longest:  # close what is open
                closing = [t for t in choices if vocab.token_bytes(t)[0] in _CLOSING]
                whole = [t for t in choices if len(vocab.token_bytes(t)) > 1]
                printable = (whole if random.random() < 0.5 else closing) or printable
            token = random.choice(printable or choices)
            assert matcher.accept(token), f"token {vocab.token_bytes(token)!r} after {text!r} is allowed and refused"
            text += vocab.token_bytes(token)


_COMMON = frozenset(b'abcxyz01 \n"+-*/(){}[]<>=;:,.' + "é".encode())
_CLOSING = frozenset(b')}]";>.1a\n')


def mutations(text: str, random: Random, alphabet: str, count: int) -> Iterator[str]:
    """Texts that differ from `text` by one character: removed, inserted, replaced, or two exchanged."""
    for _ in range(count):
        at = random.randrange(len(text) + 1)
        kind = random.randrange(4)
        char = random.choice(alphabet)
        if kind == 0:
            yield text[:at] + char + text[at:]
        elif kind == 1:
            yield text[:at] + text[at + 1 :]
        elif kind == 2:
            yield text[:at] + char + text[at + 1 :]
        else:
            yield text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]


def derivations(text: str, options: dict[str, Any], random: Random, count: int) -> Iterator[str]:
    """Texts derived from lark's own rules, terminals sampled from their patterns, with ignored text between."""
    loaded = lark.Lark(text, **{"parser": "lalr", **options})
    rules: dict[str, list[list[Any]]] = {}
    for rule in loaded.rules:
        rules.setdefault(rule.origin.name, []).append(list(rule.expansion))
    depth: dict[str, int] = {}
    for _ in range(len(rules) + 1):
        for name, rights in rules.items():
            known = [max([depth.get(s.name, 99) for s in right if not s.is_term], default=0) for right in rights]
            depth[name] = min([1 + d for d in known] + [depth.get(name, 99)])
    patterns = {t.name: t.pattern.to_regexp() for t in loaded.parser.lexer_conf.terminals}

    def derive(name: str, left: int) -> list[str]:
        rights = rules[name]
        if left <= 0:
            rights = sorted(rights, key=lambda r: max([depth[s.name] for s in r if not s.is_term], default=0))[:1]
        out: list[str] = []
        for symbol in random.choice(rights):
            out += [sample_pattern(patterns[symbol.name], random)] if symbol.is_term else derive(symbol.name, left - 1)
        return out

    for _ in range(count):
        parts = derive(options.get("start", "start"), random.randrange(2, 9))
        between = [sample_pattern(patterns[n], random) for n in loaded.ignore_tokens] or [""]
        often = random.random()
        yield "".join(part + (random.choice(between) if random.random() < often else "") for part in parts)


def sample_pattern(pattern: str, random: Random) -> str:
    """A text that a pattern matches (look-arounds are not minded)."""
    parser: Any = re._parser
    return _sample(parser.parse(pattern), random)


def _sample(parsed: Any, random: Random) -> str:
    out = ""
    for code, value in parsed:
        kind = str(code)
        if kind == "LITERAL":
            out += chr(value)
        elif kind in ("NOT_LITERAL", "ANY"):
            out += random.choice([c for c in "abz 1_é" if kind == "ANY" or ord(c) != value])
        elif kind == "IN":
            out += _one_of(value, random)
        elif kind == "BRANCH":
            out += _sample(random.choice(value[1]), random)
        elif kind == "SUBPATTERN":
            out += _sample(value[3], random)
        elif kind in ("MAX_REPEAT", "MIN_REPEAT"):
            most = value[0] + 3 if str(value[1]) == "MAXREPEAT" else value[1]
            for _ in range(random.randint(value[0], most)):
                out += _sample(value[2], random)
    return out


def _one_of(items: Any, random: Random) -> str:
    negated = str(items[0][0]) == "NEGATE"
    pool = "abcxyzABC019 _-+.,;:()[]{}<>=*/\\'\"&\n\té😀"
    if negated:
        found = [c for c in pool if not any(_within(c, item) for item in items[1:])]
        return random.choice(found)
    code, value = random.choice(items)
    if str(code) == "LITERAL":
        return chr(value)
    if str(code) == "RANGE":
        return chr(random.randint(value[0], value[1]))
    return random.choice([c for c in pool if _within(c, (code, value))])


def _within(char: str, item: Any) -> bool:
    code, value = item
    if str(code) == "LITERAL":
        return ord(char) == value
    if str(code) == "RANGE":
        return bool(value[0] <= ord(char) <= value[1])
    name = str(value).removeprefix("CATEGORY_")
    found = {"DIGIT": char.isdigit(), "SPACE": char.isspace(), "WORD": char.isalnum() or char == "_"}[
        name.removeprefix("NOT_")
    ]
    return not found if name.startswith("NOT_") else found
