"""What a model can write: the bytes of every token, as a trie in flat arrays.

Built from a tokenizer (see `_reading` for the kinds) or from a plain list of byte strings. Everything that masks
logits walks the arrays of this class; nothing here knows grammars.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from grammars.errors import TokenizerError
from grammars.vocabulary._trie import build_trie

__all__ = ["Vocabulary"]

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]


class Vocabulary:
    """The bytes that each token of a model writes, and the trie over them.

    `size` is the width of the logits, `words` = ceil(size / 32) the width of a packed mask row. Special tokens, EOS
    and ids past the tokenizer's end write nothing: `token_bytes` gives `b""`, and they are not in the trie.
    The arrays are C-contiguous and writable (numba compiles read-only arrays a second time): do not write to them.
    """

    __slots__ = (
        "__weakref__",
        "_blob",
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

    def __init__(self, fields: dict[str, Any]) -> None:
        for name in self.__slots__[1:]:
            setattr(self, name, fields[name])

    @classmethod
    def from_bytes(
        cls,
        tokens: Sequence[bytes | None],
        eos_ids: Iterable[int],
        size: int | None = None,
        *,
        strips_leading_space: bool = False,
    ) -> Vocabulary:
        """A vocabulary from the bytes of each token; `None` and `b""` mark tokens that write nothing.

        `size` is the width of the logits when it differs from `len(tokens)`; rows past the tokens are banned.
        """
        words = [word or b"" for word in tokens]
        lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
        return cls._from_blob(b"".join(words), lengths, tuple(eos_ids), size, strips_leading_space)

    @classmethod
    def _from_blob(
        cls, blob: bytes, lengths: Int64, eos: tuple[int, ...], size: int | None, strips_leading_space: bool
    ) -> Vocabulary:
        size = len(lengths) if size is None else size
        eos = _checked_eos(eos, size)
        # A token without a logit can never be drawn, and EOS writes nothing: neither may be in the trie.
        keep = np.zeros(size, dtype=np.int64)
        keep[: len(lengths)] = lengths[:size]
        starts = np.zeros(size, dtype=np.int64)
        starts[: len(lengths)] = (np.cumsum(lengths) - lengths)[:size]
        keep[list(eos)] = 0
        offsets = np.zeros(size + 1, dtype=np.int64)
        np.cumsum(keep, out=offsets[1:])
        source = np.repeat(starts - offsets[:-1], keep) + np.arange(offsets[-1])
        blob = np.frombuffer(blob, dtype=np.uint8)[source].tobytes()
        trie = build_trie(blob, offsets, size)
        digest = hashlib.blake2b(repr((size, eos, strips_leading_space)).encode(), digest_size=16)
        digest.update(offsets.tobytes())
        digest.update(blob)
        return cls(
            {
                "_blob": blob,
                "_offsets": offsets,
                "size": size,
                "words": (size + 31) // 32,
                "eos_ids": eos,
                "fingerprint": digest.hexdigest(),
                "strips_leading_space": strips_leading_space,
                "max_token_bytes": int(trie.depth.max()),
                "trie_byte": trie.byte,
                "trie_end": trie.end,
                "trie_token": trie.token,
                "trie_parent": trie.parent,
                "trie_depth": trie.depth,
                "dup_next": trie.dup_next,
            }
        )

    @classmethod
    def from_tokenizer(
        cls, tokenizer: Any, *, eos_ids: int | Iterable[int] | None = None, size: int | None = None
    ) -> Vocabulary:
        """The vocabulary of a tokenizer of transformers, tokenizers or tiktoken.

        `eos_ids` default to the tokenizer's own; pass `model.generation_config.eos_token_id` where a model ends on
        several. `size` is the width of the logits, where the model pads its head.
        """
        from grammars.vocabulary._reading import read_tokenizer

        read = read_tokenizer(tokenizer)
        eos = read.eos_ids if eos_ids is None else (eos_ids,) if isinstance(eos_ids, int) else tuple(eos_ids)
        return cls._from_blob(read.blob, read.lengths, eos, size, read.strips_leading_space)

    def token_bytes(self, token: int) -> bytes:
        """What `token` writes; `b""` for special, EOS and unused ids."""
        if not 0 <= token < self.size:
            raise IndexError(f"token {token} is outside of 0 .. {self.size - 1}")
        return self._blob[self._offsets[token] : self._offsets[token + 1]]

    def encode_greedy(self, data: bytes) -> list[int]:
        """`data` as tokens, longest match first; not the tokenizer's own spelling, but the same bytes.

        Raises `TokenizerError` where no token continues the text.
        """
        byte, end, token = self.trie_byte, self.trie_end, self.trie_token
        out: list[int] = []
        at = 0
        while at < len(data):
            node, best, stop = 0, -1, at
            k = at
            while k < len(data):
                child, last = node + 1, int(end[node])
                while child < last and byte[child] != data[k]:
                    child = int(end[child])
                if child >= last:
                    break
                node, k = child, k + 1
                if token[node] >= 0:
                    best, stop = int(token[node]), k
            if best < 0:
                raise TokenizerError(
                    f"no token begins with byte 0x{data[at]:02x} at offset {at}",
                    "Write only text that this vocabulary can spell.",
                )
            out.append(best)
            at = stop
        return out

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"Vocabulary(size={self.size}, nodes={len(self.trie_byte)}, eos_ids={self.eos_ids})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Vocabulary, ({name: getattr(self, name) for name in self.__slots__[1:]},)


def _checked_eos(eos: tuple[int, ...], size: int) -> tuple[int, ...]:
    """Sorted, without repetitions, inside the logits."""
    eos = tuple(sorted({int(e) for e in eos}))
    if not eos:
        raise TokenizerError(
            "there is no end-of-sequence token, so no text could ever end", "Pass eos_ids=[...] of the model."
        )
    if not 0 <= eos[0] <= eos[-1] < size:
        raise TokenizerError(
            f"eos_ids {list(eos)} are not all inside the logits, which have {size} entries",
            "Pass size= (the width of the model's logits) or the right eos_ids.",
        )
    return eos
