"""From the text of a token, as a tokenizer stores it, to the bytes that it writes.

A reader (`_rust`, `_python`) finds the texts and the rule, this module applies the rule. The rule of a Rust tokenizer
is its decoder, a list of small steps, and only those that treat each token on its own have an answer:

step           what it does to a token                                            found in
ByteLevel      each character stands for a byte (GPT-2's alphabet)                GPT-2, Llama 3, Qwen, DeepSeek
Replace        a string by a string, `▁` by a space                               Llama 2, Mistral, Gemma
ByteFallback   the token `<0xNN>` is the byte NN                                  the same
Metaspace      `▁` is a space; the text's first ones are dropped                  T5, XLM-R
Fuse           joins the tokens; nothing before it looks at its neighbours
Strip          after Fuse: drops a space at the start of the text

So the leading-space convention is the only thing that depends on the place of a token, and it is kept apart, as
`strips_leading_space`: the bytes of `▁the` are b" the". WordPiece (spaces depend on the neighbours, and are removed
before punctuation), `</w>` suffixes and CTC are refused. Known departure: in the unusual order ByteFallback before
Metaspace, U+2581 spelled by three byte tokens becomes a space; here it stays U+2581.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grammars.errors import TokenizerError

__all__ = [
    "BYTE_LEVEL",
    "GIVE_BYTES",
    "SENTENCEPIECE",
    "Reading",
    "Rule",
    "Spelled",
    "Words",
    "read_decoder",
    "special_ids",
    "spell",
]

Int64 = npt.NDArray[np.int64]

GIVE_BYTES = "Pass the bytes of each token yourself: Vocabulary.from_bytes([...], eos_ids=[...])."


class Spelled(NamedTuple):
    """Token i writes `blob[starts[i] : starts[i] + lengths[i]]`; length 0: it writes nothing."""

    blob: bytes
    starts: Int64
    lengths: Int64

    @classmethod
    def from_words(cls, words: Sequence[bytes]) -> Spelled:
        """From one byte string a token."""
        lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
        return cls(b"".join(words), np.cumsum(lengths) - lengths, lengths)

    def without(self, ids: Iterable[int]) -> Spelled:
        """The same with `ids` writing nothing."""
        lengths = self.lengths.copy()
        lengths[[i for i in ids if 0 <= i < len(lengths)]] = 0
        return self._replace(lengths=lengths)

    def word(self, i: int) -> bytes:
        """The bytes of token i."""
        return self.blob[self.starts[i] : self.starts[i] + self.lengths[i]]


class Words(NamedTuple):
    """The bytes of all tokens, and whether a text decoded alone loses its first space."""

    spelled: Spelled
    strips_leading_space: bool


class Reading(NamedTuple):
    """A tokenizer in two halves, so that a cached vocabulary costs only the first.

    `digest` changes whenever the bytes of any token may change; `words` computes the bytes and checks them.
    """

    digest: bytes
    words: Callable[[], Words]


def special_ids(tokenizer: Any) -> set[int]:
    """The ids that a class of transformers holds for special; names without an id count for nothing."""
    return {i for i in getattr(tokenizer, "all_special_ids", ()) if isinstance(i, int)}


class Rule(NamedTuple):
    """How texts become bytes: string replacements, then byte tokens, or GPT-2's alphabet."""

    replacements: tuple[tuple[str, str], ...] = ()
    strips: tuple[tuple[str, int, int], ...] = ()  # of each token: (character, at most from the left, from the right)
    byte_fallback: bool = False
    byte_level: bool = False
    strips_leading_space: bool = False


BYTE_LEVEL = Rule(byte_level=True)
SENTENCEPIECE = Rule(replacements=(("▁", " "),), byte_fallback=True, strips_leading_space=True)


def read_decoder(config: dict[str, Any] | None) -> Rule:
    """The rule of a decoder of the tokenizers library, given as its JSON; `TokenizerError` when there is none."""
    if config is None:
        raise TokenizerError(
            "the tokenizer has no decoder, so its tokens are joined by spaces",
            "Set one, e.g. backend_tokenizer.decoder = tokenizers.decoders.ByteLevel(). " + GIVE_BYTES,
        )
    rule, fused = Rule(), False
    for step in _flat(config):
        kind = step["type"]
        if kind == "Fuse":
            fused = True
        elif kind in _STEPS:
            rule, fused = _STEPS[kind](rule, step, fused)
        else:
            raise _refused(f"the decoder {kind} spaces tokens by their neighbours")
    return rule


def _flat(config: dict[str, Any]) -> Iterable[dict[str, Any]]:
    if config["type"] == "Sequence":
        for step in config["decoders"]:
            yield from _flat(step)
    else:
        yield config


def _refused(problem: str) -> TokenizerError:
    return TokenizerError(f"{problem}; the bytes of a token cannot be determined", GIVE_BYTES)


def _replace(rule: Rule, step: dict[str, Any], fused: bool) -> tuple[Rule, bool]:
    old = step["pattern"].get("String")
    if not old or (fused and len(old) > 1) or rule.byte_level or rule.strips:
        raise _refused(f"the decoder replaces {step['pattern']} across tokens")
    return rule._replace(replacements=(*rule.replacements, (old, step["content"]))), fused


def _byte_fallback(rule: Rule, step: dict[str, Any], fused: bool) -> tuple[Rule, bool]:
    if fused or rule.byte_level:
        raise _refused("the decoder reads byte tokens after it has joined them")
    return rule._replace(byte_fallback=True), fused


def _metaspace(rule: Rule, step: dict[str, Any], fused: bool) -> tuple[Rule, bool]:
    strips = step.get("prepend_scheme", "always") != "never" and step.get("add_prefix_space", True)
    if fused or rule.byte_level or rule.strips:
        raise _refused("the decoder replaces blanks after it has joined the tokens")
    replacements = (*rule.replacements, (step["replacement"], " "))
    return rule._replace(replacements=replacements, strips_leading_space=strips or rule.strips_leading_space), fused


def _byte_level(rule: Rule, step: dict[str, Any], fused: bool) -> tuple[Rule, bool]:
    if fused or rule != Rule():
        raise _refused("the decoder reads a byte alphabet after other steps")
    return BYTE_LEVEL, True


def _strip(rule: Rule, step: dict[str, Any], fused: bool) -> tuple[Rule, bool]:
    content, start, stop = step["content"], step["start"], step["stop"]
    if not fused and not rule.byte_fallback:
        return rule._replace(strips=(*rule.strips, (content, start, stop))), fused
    if content != " " or stop or not fused:
        raise _refused(f"the decoder strips {content!r} from the text")
    return rule._replace(strips_leading_space=start > 0 or rule.strips_leading_space), fused


_STEPS: dict[str, Callable[[Rule, dict[str, Any], bool], tuple[Rule, bool]]] = {
    "Replace": _replace,
    "ByteFallback": _byte_fallback,
    "Metaspace": _metaspace,
    "ByteLevel": _byte_level,
    "Strip": _strip,
}


def spell(rule: Rule, texts: Sequence[str]) -> Spelled:
    """The bytes of each text (`""`: an unused id)."""
    if rule.byte_level:
        return _spell_byte_level(texts)
    raw = {}
    if rule.byte_fallback:
        raw = {i: bytes([int(t[3:5], 16)]) for i, t in enumerate(texts) if t.startswith("<0x") and _is_byte(t)}
    words = list(texts)
    for old, new in rule.replacements:
        words = [text.replace(old, new) for text in words]
    for content, left, right in rule.strips:
        words = [_stripped(text, content, left, right) for text in words]
    spelled = [text.encode() for text in words]
    for i, byte in raw.items():
        spelled[i] = byte
    return Spelled.from_words(spelled)


def _is_byte(text: str) -> bool:
    return len(text) == 6 and text[5] == ">" and all(c in "0123456789abcdefABCDEF" for c in text[3:5])


def _stripped(text: str, content: str, left: int, right: int) -> str:
    while left and text.startswith(content):
        text, left = text[len(content) :], left - 1
    while right and text.endswith(content):
        text, right = text[: -len(content)], right - 1
    return text


def _byte_level_table() -> npt.NDArray[np.int16]:
    """Code point -> byte: printable characters stand for themselves, the other 68 bytes for U+0100 and up."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in printable]
    table = np.full(0x100 + len(rest) + 1, -1, dtype=np.int16)  # the last entry: any other character
    table[printable] = printable
    table[0x100:-1] = rest
    return table


_TABLE = _byte_level_table()


def _spell_byte_level(texts: Sequence[str]) -> Spelled:
    """All characters at once; a text with a character outside of the alphabet is written as it is.

    A third of the time of `str.translate` for each.
    """
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    ends = np.cumsum(lengths)
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype="<u4")
    values = _TABLE[np.minimum(codes, len(_TABLE) - 1)]
    blob, starts = values.astype(np.uint8).tobytes(), ends - lengths
    foreign = np.unique(np.searchsorted(ends, np.flatnonzero(values < 0), side="right"))
    if len(foreign):
        plain = Spelled.from_words([texts[i].encode() for i in foreign.tolist()])
        starts[foreign], lengths[foreign] = plain.starts + len(blob), plain.lengths
        blob += plain.blob
    return Spelled(blob, starts, lengths)
