"""The flat trie against a plain trie of dicts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given

from grammars.vocabulary import Vocabulary
from tests.strategies.vocabularies import vocabularies


def reference(entries: list[bytes | None]) -> tuple[list[tuple[bytes, int, int, int]], dict[bytes, list[int]]]:
    """Preorder list of (path, end, parent, lowest token), and the ids of each spelling."""
    ids: dict[bytes, list[int]] = {}
    for i, entry in enumerate(entries):
        if entry:
            ids.setdefault(entry, []).append(i)
    paths = sorted({word[:k] for word in ids for k in range(len(word) + 1)} | {b""})
    at = {path: i for i, path in enumerate(paths)}
    nodes = []
    for i, path in enumerate(paths):
        end = next((j for j in range(i + 1, len(paths)) if not paths[j].startswith(path)), len(paths))
        nodes.append((path, end, at[path[:-1]] if path else -1, ids.get(path, [-1])[0]))
    return nodes, ids


@given(vocabularies())
def test_trie_equals_reference(case: tuple[Vocabulary, list[bytes | None]]) -> None:
    """Every array of the flat trie is what the obvious algorithm on sorted prefixes gives."""
    vocabulary, entries = case
    nodes, ids = reference(entries)
    assert vocabulary.trie_byte.tolist() == [path[-1] if path else 0 for path, *_ in nodes]
    assert vocabulary.trie_end.tolist() == [end for _, end, _, _ in nodes]
    assert vocabulary.trie_parent.tolist() == [parent for _, _, parent, _ in nodes]
    assert vocabulary.trie_token.tolist() == [token for *_, token in nodes]
    assert vocabulary.trie_depth.tolist() == [len(path) for path, *_ in nodes]
    for name, array in vocabulary._arrays().items():
        assert array.flags.c_contiguous, name
    assert vocabulary.trie_byte.dtype == np.uint8
    for array in (vocabulary.trie_end, vocabulary.trie_token, vocabulary.trie_parent, vocabulary.trie_depth):
        assert array.dtype == np.int32
        assert array.flags.writeable
    dup_next = [-1] * len(entries)
    for same in ids.values():
        for first, second in pairwise(same):
            dup_next[first] = second
    assert vocabulary.dup_next.tolist() == dup_next
    assert [vocabulary.token_bytes(i) or None for i in range(vocabulary.size)] == entries
    assert vocabulary.max_token_bytes == max(map(len, ids), default=0)
    assert vocabulary.words == -(-vocabulary.size // 32)
