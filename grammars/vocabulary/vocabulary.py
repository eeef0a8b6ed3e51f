"""What a model can write: the bytes of every token, as a trie in flat arrays.

Built from a tokenizer (`_reading` lists the kinds) or from a plain list of byte strings. Everything that masks logits
walks the arrays of this class (their layout is the table in `_trie`); nothing here knows grammars.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np
import numpy.typing as npt

from grammars.errors import TokenizerError
from grammars.vocabulary._cache import PerObject, load_arrays, save_arrays
from grammars.vocabulary._reading import as_ids, inner_tokenizer, own_eos, read_tokenizer
from grammars.vocabulary._spelling import Spelled
from grammars.vocabulary._trie import TrieArrays, build_trie

__all__ = ["RAW_FF", "Vocabulary", "special_bytes"]

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]

_WORTH_A_FILE = 10_000  # tokens; a smaller vocabulary is built in the time that its file would take to open


class Vocabulary:
    """The bytes that each token of a model writes, and the trie over them.

    `size` is the width of the logits, `words` = ceil(size / 32) the width of a packed mask row. Special tokens, EOS
    and ids past the tokenizer's end write nothing: `token_bytes` gives `b""`, and they are not in the trie.

    Leading spaces: tokens of sentencepiece carry them (`▁the` is b" the"). After a prompt that is what they write.
    But a tokenizer of that family drops the first space of what it decodes, so where the new tokens are decoded
    alone, a text may begin with one space more than is seen: `strips_leading_space` says so.

    Immutable. Equal vocabularies from one tokenizer are the same object; `fingerprint` names the content, across
    processes. The arrays are C-contiguous and writable, as numba compiles read-only ones apart: do not write to them.
    """

    __slots__ = (
        "__weakref__",
        "_blob",
        "_edges",
        "_offsets",
        "dup_next",
        "eos_ids",
        "fingerprint",
        "max_token_bytes",
        "size",
        "strips_leading_space",
        "trie_byte",
        "trie_depth",
        "trie_end",
        "trie_parent",
        "trie_token",
        "words",
    )

    _blob: bytes
    _edges: tuple[Int64, Int64] | None  # (parent * 256 + byte, child), sorted; made when text is first encoded
    _offsets: Int64
    size: int
    words: int
    eos_ids: tuple[int, ...]
    fingerprint: str
    strips_leading_space: bool
    max_token_bytes: int
    trie_byte: UInt8
    trie_end: Int32
    trie_token: Int32
    trie_parent: Int32
    trie_depth: Int32
    dup_next: Int32

    def __init__(self, arrays: dict[str, Any]) -> None:
        """From the arrays of `_arrays`; use `from_tokenizer` or `from_bytes`."""
        size, strips, *eos = (int(n) for n in arrays["numbers"])
        trie = TrieArrays(*(arrays[name] for name in TrieArrays._fields))
        self._blob, self._offsets, self._edges = bytes(arrays["blob"]), arrays["offsets"], None
        self.size, self.words, self.eos_ids = size, (size + 31) // 32, tuple(eos)
        self.fingerprint = bytes(arrays["fingerprint"]).hex()
        self.strips_leading_space = bool(strips)
        self.trie_byte, self.trie_end, self.trie_token, self.trie_parent, self.trie_depth, self.dup_next = trie
        self.max_token_bytes = int(self.trie_depth.max())

    def _arrays(self) -> dict[str, Any]:
        trie = TrieArrays(
            self.trie_byte, self.trie_end, self.trie_token, self.trie_parent, self.trie_depth, self.dup_next
        )
        return {
            "numbers": np.array([self.size, self.strips_leading_space, *self.eos_ids], dtype=np.int64),
            "fingerprint": np.frombuffer(bytes.fromhex(self.fingerprint), dtype=np.uint8),
            "blob": np.frombuffer(self._blob, dtype=np.uint8),
            "offsets": self._offsets,
            **trie._asdict(),
        }

    @classmethod
    def from_bytes(
        cls,
        tokens: Sequence[bytes | None],
        eos_ids: int | Iterable[int],
        size: int | None = None,
        *,
        strips_leading_space: bool = False,
    ) -> Vocabulary:
        """A vocabulary from the bytes of each token; `None` and `b""` mark tokens that write nothing.

        `size` is the width of the logits when it differs from `len(tokens)`; rows past the tokens are banned.

        >>> vocabulary = Vocabulary.from_bytes([b"a", b"ab", None, b"b"], eos_ids=2)
        >>> vocabulary.encode_greedy(b"aabb")
        [0, 1, 3]
        """
        spelled = Spelled.from_words([word or b"" for word in tokens])
        return cls._build(spelled, as_ids(eos_ids), size, strips_leading_space)

    @classmethod
    def from_tokenizer(cls, tokenizer: Any, *, eos_ids: Any = None, size: int | None = None) -> Vocabulary:
        """The vocabulary of a tokenizer of transformers, tokenizers, tiktoken, sentencepiece or mistral-common.

        `eos_ids` (one or several) default to the tokenizer's own; where a model ends on others or on more, pass
        `model.generation_config.eos_token_id`. `size` is the width of the logits when the model pads its head (or
        cuts it). Special tokens are banned; added tokens that are not special are text.

        The bytes are read from the tokenizer's decoder and a sample is checked against what it decodes;
        `TokenizerError` says when they cannot be determined, nothing is guessed.

        Cost for 128k tokens: 0.3 s the first time; 0.15 s where a file of an earlier process is found (see
        `_cache` for the place); 30 µs for a tokenizer object seen before. Adding tokens, changing special tokens
        or EOS is noticed; replacing the decoder of a tokenizer in place is not.
        """
        tokenizer = inner_tokenizer(tokenizer)
        eos = own_eos(tokenizer) if eos_ids is None else as_ids(eos_ids)
        size = None if size is None else int(size)
        stamp = _stamp(tokenizer)
        known = _of_tokenizer.get(tokenizer, (eos, size), stamp)
        if known is None:
            known = cls._from_reading(tokenizer, eos, size)
            _of_tokenizer.put(tokenizer, (eos, size), stamp, known)
        return known

    @classmethod
    def _from_reading(cls, tokenizer: Any, eos: tuple[int, ...], size: int | None) -> Vocabulary:
        reading = read_tokenizer(tokenizer)
        digest = hashlib.blake2b(reading.digest + repr((eos, size)).encode(), digest_size=16).hexdigest()
        known = _of_digest.get(digest)
        if known is None:
            arrays = load_arrays(digest)
            known = None if arrays is None else _trusted(arrays)
        if known is None:
            words = reading.words()
            known = cls._build(words.spelled, eos, size, words.strips_leading_space)
            if known.size >= _WORTH_A_FILE:
                save_arrays(digest, known._arrays())
        return _of_digest.setdefault(digest, known)

    @classmethod
    def _build(cls, spelled: Spelled, eos: tuple[int, ...], size: int | None, strips_leading_space: bool) -> Vocabulary:
        count = len(spelled.lengths)
        size = count if size is None else size
        eos = _checked_eos(eos, size)
        # A token without a logit can never be drawn, and EOS writes nothing: neither may be in the trie.
        starts, lengths = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        starts[:count], lengths[:count] = spelled.starts[:size], spelled.lengths[:size]
        lengths[list(eos)] = 0
        offsets = np.zeros(size + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        source = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
        blob = np.frombuffer(spelled.blob, dtype=np.uint8)[source]
        numbers = np.array([size, strips_leading_space, *eos], dtype=np.int64)
        digest = hashlib.blake2b(numbers.tobytes() + offsets.tobytes() + blob.tobytes(), digest_size=16).digest()
        own = {"numbers": numbers, "fingerprint": digest, "blob": blob, "offsets": offsets}
        return cls(own | build_trie(blob, offsets, size)._asdict())

    def token_bytes(self, token: int) -> bytes:
        """What `token` writes; `b""` for special, EOS and unused ids."""
        if not 0 <= token < self.size:
            raise IndexError(f"token {token} is outside of 0 .. {self.size - 1}")
        return self._blob[self._offsets[token] : self._offsets[token + 1]]

    def with_specials(self) -> Vocabulary:
        """This vocabulary with a spelling for every id that writes no text (EOS apart), see `special_bytes`.

        For grammars that speak of such tokens (`compile_tagged`): there any of them may stand in free text, and one of
        them may begin or end a region. Made once, about 0.2 s for 128k tokens.
        """
        known = _with_specials.get(self)
        if known is None:
            words = [self.token_bytes(token).replace(b"\xff", RAW_FF) for token in range(self.size)]
            for token, word in enumerate(words):
                if not word and token not in self.eos_ids:
                    words[token] = special_bytes(token)
            known = _with_specials[self] = Vocabulary.from_bytes(
                words, self.eos_ids, strips_leading_space=self.strips_leading_space
            )
        return known

    def decode(self, tokens: Iterable[int]) -> bytes:
        """What a row of tokens writes, all spaces kept; unlike a tokenizer's `decode` it never tidies up."""
        return b"".join(self.token_bytes(int(token)) for token in tokens)

    def spellings(self, node: int) -> list[int]:
        """All tokens with the bytes of the path to trie node `node`, ascending."""
        out, token = [], int(self.trie_token[node])
        while token >= 0:
            out.append(token)
            token = int(self.dup_next[token])
        return out

    def encode_greedy(self, data: bytes) -> list[int]:
        """`data` as tokens, longest match first: the same bytes, not always the tokenizer's own spelling of them.

        `TokenizerError` where no token begins with the next byte, or the longest match leaves a rest that none
        begins. About 2 µs a byte: for forced text and tests, not for documents.
        """
        out: list[int] = []
        at = 0
        while at < len(data):
            best, length = self._longest(data, at)
            if best < 0:
                raise TokenizerError(
                    f"no token spells byte 0x{data[at]:02x} at offset {at}",
                    "Write only text that this vocabulary can spell.",
                )
            out.append(best)
            at += length
        return out

    def _longest(self, data: bytes, at: int) -> tuple[int, int]:
        """The longest token that `data` goes on with at `at`, and its length; (-1, 0) when there is none."""
        if self._edges is None:
            every = self.trie_parent.astype(np.int64) * 256 + self.trie_byte
            order = np.argsort(every)
            self._edges = every[order], order
        keys, nodes = self._edges
        node, best, length = 0, -1, 0
        for k in range(at, len(data)):
            key = node * 256 + data[k]
            place = keys.searchsorted(key)
            if place == len(keys) or keys[place] != key:
                break
            node = int(nodes[place])
            token = int(self.trie_token[node])
            if token >= 0:
                best, length = token, k - at + 1
        return best, length

    def tree(self, limit: int = 100) -> str:
        """The trie drawn, one line a node, with the tokens that end there; for small vocabularies and debugging.

        >>> print(Vocabulary.from_bytes([b"a", b"ab", None, b"ab"], eos_ids=2).tree())
        a  0
          b  1 3
        """
        lines = []
        for node in range(1, min(len(self.trie_byte), limit + 1)):
            byte = repr(self.trie_byte[node].tobytes())[2:-1]
            tokens = " ".join(map(str, self.spellings(node)))
            lines.append(f"{'  ' * (int(self.trie_depth[node]) - 1)}{byte}  {tokens}".rstrip())
        if len(self.trie_byte) > limit + 1:
            lines.append(f"... {len(self.trie_byte) - limit - 1} more nodes")
        return "\n".join(lines)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        eos = ", ".join(map(str, self.eos_ids))
        return f"Vocabulary({self.size} tokens, EOS {eos}, {self.fingerprint[:8]})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Vocabulary, (self._arrays(),)


RAW_FF = b"\xff\x00"  # the byte 0xff of a token's text, where ids without text have spellings


def special_bytes(token: int) -> bytes:
    """How `Vocabulary.with_specials` spells an id without text: 0xff, which no UTF-8 text holds, and three digits."""
    return bytes((0xFF, 0x80 | token >> 14 & 0x7F, 0x80 | token >> 7 & 0x7F, 0x80 | token & 0x7F))


_with_specials: WeakKeyDictionary[Vocabulary, Vocabulary] = WeakKeyDictionary()
_of_tokenizer: PerObject[Vocabulary] = PerObject()
_of_digest: WeakValueDictionary[str, Vocabulary] = WeakValueDictionary()  # equal tokenizers share one vocabulary


def _stamp(tokenizer: Any) -> Hashable:
    """What changes cheaply visibly when somebody edits a tokenizer: its length and its special ids."""
    try:
        count = len(tokenizer)
    except TypeError:
        sized = getattr(tokenizer, "get_vocab_size", None)
        count = -1 if sized is None else sized()
    return count, tuple(getattr(tokenizer, "all_special_ids", ()))


def _trusted(arrays: dict[str, Any]) -> Vocabulary | None:
    """A vocabulary from a file, unless arrays are missing or do not fit together."""
    try:
        known = Vocabulary(arrays)
        fits = len(known._offsets) == known.size + 1 and known.trie_end[0] == len(known.trie_token)
    except (KeyError, ValueError, TypeError, IndexError):
        return None
    return known if fits else None


def _checked_eos(eos: tuple[int, ...], size: int) -> tuple[int, ...]:
    """Sorted, without repetitions, inside the logits."""
    eos = tuple(sorted(set(eos)))
    if not eos:
        raise TokenizerError(
            "there is no end-of-sequence token, so no text could ever end",
            "Pass eos_ids=model.generation_config.eos_token_id, or the ids that your model ends on.",
        )
    if not 0 <= eos[0] <= eos[-1] < size:
        raise TokenizerError(
            f"eos_ids {list(eos)} are not all inside the logits, which have {size} entries",
            "Pass size= (the width of the model's logits) or the right eos_ids.",
        )
    return eos
