"""Tier 1 against stepping each token by hand: rows, frontiers and the merged tries below them."""

from __future__ import annotations

import ctypes
import random
from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grammars import Vocabulary, terminalmasks
from grammars.automaton.lower_json import JsonLowering
from grammars.automaton.terminals import TerminalStore, row_of
from grammars.bytegroups import BROKEN, CONTINUES, GROUPS
from grammars.jsonschema import SchemaCompiler
from grammars.kernels.layout import BOUNDARY, LABEL, UNMERGED
from grammars.kernels.tries import list_children
from grammars.masktable import Tier1
from tests.strategies.grammars import json_vocabularies, unpacked
from tests.strategies.vocabularies import vocabularies

SCHEMAS: tuple[dict[str, Any], ...] = (
    {"type": "string"},
    {"type": "string", "pattern": "^(a|ab|b)*$"},
    {"type": "string", "pattern": "^é?\\d{0,2}$"},
    {"type": "string", "pattern": "^(?:[a-c]+ ){0,30}[a-c]{1,4}$"},
    {"type": "string", "pattern": "^[ab]{2,40}c|a{3,}$", "maxLength": 9},
    {"type": "string", "pattern": "^.*a.{2}$", "minLength": 2, "maxLength": 6},
    {"type": "integer", "maximum": 120},
    {"type": "number", "minimum": 0},
    {"type": "object", "patternProperties": {"^a": {}, "^b": {"type": "null"}}, "additionalProperties": {"const": 1}},
)


def store_of(schema: dict[str, Any], whitespace: str, spelling: str) -> TerminalStore:
    """A store with the terminals of a schema and of its punctuation."""
    store = TerminalStore()
    lowering = JsonLowering(
        SchemaCompiler(schema), store, property_order="any", whitespace=whitespace, spelling=spelling
    )
    lowering.program.expand_all()
    return store


def due(store: TerminalStore, q: int) -> int:
    """Characters on the shortest way from a state to an end: breadth first, bytes within a character before others."""
    queue, seen = deque([(q, 0)]), set[int]()
    while queue:
        state, characters = queue.popleft()
        if int(store.info.data[state]) & LABEL:
            return characters
        if state in seen:
            continue
        seen.add(state)
        for t in {int(t) for t in row_of(store, state) if t >= 0} - seen:
            if int(store.info.data[t]) & BOUNDARY:
                queue.append((t, characters + 1))
            else:
                queue.appendleft((t, characters))
    raise AssertionError(f"no way from state {q} to an end")


class Expected:
    """What a terminal state with low..high characters to come makes of a text, step by step."""

    def __init__(self, store: TerminalStore, q: int, low: int, high: int) -> None:
        self.store, self.q, self.low, self.high = store, q, low, high
        self.due: dict[int, int] = {}

    def read(self, text: bytes) -> tuple[bool, int]:
        """(allowed, label if the terminal ends with the last byte, else -1)."""
        q, characters, label = self.q, 0, -1
        for byte in text:
            q = int(row_of(self.store, q)[byte]) if q >= 0 else -1
            if q < 0:
                return False, -1
            leaves = bool((row_of(self.store, q) >= 0).any())
            info = int(self.store.info.data[q])
            if leaves:
                characters += bool(info & BOUNDARY)
                if self.high >= 0:
                    if q not in self.due:
                        self.due[q] = due(self.store, q)
                    if self.high < characters + self.due[q]:
                        return False, -1
            label = (info & LABEL) - 1 if characters >= self.low else -1
            if not leaves:
                if label < 0:
                    return False, -1
                q = -1
        return True, label


def packed_row(tier: Tier1, entry: int) -> np.ndarray[Any, Any]:
    """A copy of the row of an entry, by its address."""
    address = int(tier.entry.data[8 * entry])
    return np.array((ctypes.c_int32 * tier.words).from_address(address), np.int32)


def merged_tries(vocab: Vocabulary, tier: Tier1, entry: int) -> dict[int, dict[bytes, list[int]]]:
    """Label -> path below the frontier -> tokens, read back from the merged tries."""
    found: dict[int, dict[bytes, list[int]]] = {}
    merged: set[int] = set()
    first, count = tier.entry.data[8 * entry + 4 : 8 * entry + 6].tolist()
    for k in range(first, first + count):
        label, root = tier.root1.data[2 * k : 2 * k + 2].tolist()
        if root < 0:
            for path, own in below_node(vocab, UNMERGED - root).items():
                found.setdefault(label, {}).setdefault(path, []).extend(own)
            continue
        tokens: dict[bytes, list[int]] = {}
        path, ends = b"", [int(tier.mend.data[root])]
        for node in range(root + 1, int(tier.mend.data[root])):
            while node >= ends[-1]:
                ends.pop()
                path = path[:-1]
            path += bytes((int(tier.mbyte.data[node]),))
            ends.append(int(tier.mend.data[node]))
            at, size = tier.mtok.data[2 * node : 2 * node + 2].tolist()
            if size:
                assert path not in tokens, "a path is one node"
                tokens[path] = sorted(tier.mlist.data[at : at + size].tolist())
        assert label not in merged, "a label has one trie"
        merged.add(label)
        for path, own in tokens.items():
            found.setdefault(label, {}).setdefault(path, []).extend(own)
    return {label: {path: sorted(own) for path, own in by.items()} for label, by in found.items()}


def below_node(vocab: Vocabulary, root: int) -> dict[bytes, list[int]]:
    """Path below a node of the vocabulary's trie -> tokens."""
    paths: dict[int, bytes] = {root: b""}
    tokens: dict[bytes, list[int]] = {}
    for node in range(root + 1, int(vocab.trie_end[root])):
        path = paths[node] = paths[int(vocab.trie_parent[node])] + bytes((int(vocab.trie_byte[node]),))
        token = int(vocab.trie_token[node])
        while token >= 0:
            tokens.setdefault(path, []).append(token)
            token = int(vocab.dup_next[token])
    return tokens


def check(vocab: Vocabulary, entries: list[bytes | None], store: TerminalStore, q: int, low: int, high: int) -> None:
    """Build one entry and compare all of it."""
    tier = Tier1(store, vocab)
    tier.build(q, low, high)
    entry = tier.entry.n // 8 - 1
    expected = Expected(store, q, low, high)
    bits = unpacked(packed_row(tier, entry))
    assert not bits[vocab.size :].any()
    for token, text in enumerate(entries):
        assert bits[token] == (text is not None and expected.read(text)[0]), (q, low, high, token, text)
    _, first, parents, items = tier.entry.data[8 * entry : 8 * entry + 4].tolist()
    front = tier.front.data[2 * first : 2 * (first + items)].reshape(-1, 2).tolist()
    paths = node_paths(vocab)
    ends = {path: expected.read(path)[1] for path in paths}
    assert sorted((paths[node], label) for node, label in front) == sorted(
        (path, label) for path, label in ends.items() if path and label >= 0
    )
    inner = [vocab.trie_end[node] > node + 1 for node, _ in front]
    assert inner == [True] * parents + [False] * (items - parents), "items with children come first"
    below: dict[int, dict[bytes, list[int]]] = {label: {} for node, label in front[:parents]}
    for token, text in enumerate(entries):
        for cut in range(1, len(text or b"")):
            assert text is not None
            label = ends[text[:cut]]
            if label >= 0:
                below[label].setdefault(text[cut:], []).append(token)
    expected_tries = {label: {k: sorted(v) for k, v in by.items()} for label, by in below.items()}
    assert merged_tries(vocab, tier, entry) == expected_tries


def node_paths(vocab: Vocabulary) -> list[bytes]:
    """The bytes that lead to each trie node."""
    paths = [b""]
    for node in range(1, len(vocab.trie_byte)):
        paths.append(paths[vocab.trie_parent[node]] + bytes((int(vocab.trie_byte[node]),)))
    return paths


stores = st.builds(
    store_of,
    st.sampled_from(SCHEMAS),
    st.sampled_from(("default", "compact", "any")),
    st.sampled_from(("canonical", "any")),
)


@given(st.one_of(vocabularies(), json_vocabularies()), stores, st.data())
def test_entries_equal_stepping_each_token(
    made: tuple[Vocabulary, list[bytes | None]], store: TerminalStore, data: st.DataObject
) -> None:
    vocab, entries = made
    q = data.draw(st.integers(1, len(store) - 1), "q")
    low = data.draw(st.integers(0, 3), "low")
    high = data.draw(st.just(-1) | st.integers(low, 9), "high")
    if not hasattr(store.owner_of(q), "need"):
        low, high = 0, -1  # only characters of strings are counted
    elif low > 0 or high >= 0:
        store.count(q)
    check(vocab, entries, store, q, low, high)


def test_large_tries_below_the_frontier_are_not_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminalmasks, "_LARGE", 6)
    tails = [bytes((34, 97 + a, 97 + b)) for a in range(4) for b in range(4)]
    entries: list[bytes | None] = [b'"', b'x"', *tails, *(b"y" + t for t in tails[:3])]
    entries += [*(b"z" + t for t in tails), None]
    vocab = Vocabulary.from_bytes(entries, [len(entries) - 1])
    store = store_of({"type": "string"}, "any", "any")
    large = 0
    for q in range(1, len(store)):
        check(vocab, entries, store, q, 0, -1)
        tier = Tier1(store, vocab)
        tier.build(q, 0, -1)
        large += int((tier.root1.data[1 : tier.root1.n : 2] < 0).sum())
    assert large


def test_many_tokens_outgrow_the_first_buffers() -> None:
    """More frontier items, merged nodes and missing rows than the buffers hold at first."""
    pairs = [bytes((34, a, b)) for a in range(32, 96) for b in range(97, 123)]
    tails = [bytes((97 + a, 34, 97 + b, 97 + c)) for a in range(20) for b in range(20) for c in range(9)]
    entries: list[bytes | None] = [b'"', *pairs, *tails, None]
    vocab = Vocabulary.from_bytes(entries, [len(entries) - 1])
    store = store_of({"type": "string"}, "any", "any")
    for q in range(1, len(store)):
        check(vocab, entries, store, q, 0, -1)


def test_room_for_merged_tries_is_all_that_grows_with_them() -> None:
    """The scratch of merging once doubled whenever the arrays that are kept were full, until no memory was left."""
    entries: list[bytes | None] = [bytes((34, a, b)) for a in range(32, 96) for b in range(97, 123)]
    vocab = Vocabulary.from_bytes([*entries, None], [len(entries)])
    tier = Tier1(store_of({"type": "string"}, "any", "any"), vocab)
    quote = np.array((int(np.flatnonzero(vocab.trie_byte == 34)[0]),), np.int32)
    room, root = tier.mbyte.data.size, 0
    scratch = tier._work.size
    while tier.mbyte.data.size < 8 * room:
        root = tier.merged(quote)
    assert tier._work.size == scratch
    assert tier.mlist.data[tier.mlist.n - len(entries) : tier.mlist.n].tolist() == list(range(len(entries)))
    assert tier.mend.data[root] == tier.mbyte.n


COUNTING = (
    ("^[ab]{0,10}c$", "aaaaaaaaaa"),
    ("^(?:a-?){0,9}b$", "a-aaa-a-aaa"),
    ("^(?:[ab.]-?){2,12}$", "a.a-a.a.a-a"),
    ("^[ab](?:[ab-]{0,11}[ab])?(?:\\.[ab](?:[ab-]{0,9}[ab])?)*$", "a-------a.aaaaaaa"),
    ("^(?:[ab]+\\.){0,10}[ab]+$", "a.a.a.a.a.a"),
    ("^(?:(?:a{1,9}b?){1,9}-|b{0,12})$", "aaaaabaaa"),
    ("^(?:[ab]{0,4}|-)*a.{3}$", "aaa-a"),
)
BESIDE = ("", "^[\\s\\S]{0,12}$", "^[\\s\\S]{1,11}$", "^[\\s\\S]{5,13}$", "^[^d]{0,30}$")


def runs() -> tuple[Vocabulary, list[bytes | None]]:
    """Tokens as long as the counts in `COUNTING`, of the same letters; no two of them begin alike for long."""
    units = (b"a", b"b", b"-", b"ab", b"a-", b"a.", b".")
    entries: list[bytes | None] = [unit * k for unit in units for k in (1, 2, 5)]
    letters, draw = (b"a", b"ab", b"ab", b"ab-", b"a-", b"a."), random.Random(0)
    entries += [bytes(draw.choices(draw.choice(letters), k=k)) for k in range(6, 15) for _ in range(12)]
    entries += [unit * k + end for unit in (b"a", b"-", b"a.") for k in (1, 4, 9, 12) for end in (b'"', b'a"', b'c",')]
    entries += [b'"', b"c", b'c"', b"\\n", "é".encode(), None]
    return Vocabulary.from_bytes(entries, [len(entries) - 1]), entries


@pytest.mark.parametrize(
    ("pattern", "text", "beside"),
    [(*counting, BESIDE[(k + j) % len(BESIDE)]) for k, counting in enumerate(COUNTING) for j in range(2)],
)
def test_states_that_differ_in_a_count_from_one_whose_row_is_known(pattern: str, text: str, beside: str) -> None:
    """Along a text whose counts run out, tokens longer than what is left included; with and without a length."""
    schema: dict[str, Any] = {"type": "string", "pattern": pattern}
    if beside:
        schema = {"allOf": [schema, {"pattern": beside}]}
    store = store_of(schema, "compact", "canonical")
    vocab, entries = runs()
    start = next(q for q in range(len(store)) if getattr(store.owner_of(q), "chars", None) and is_pattern(store, q))
    assert store.count(start)
    q = start
    for place, byte in enumerate(text.encode()):
        if place < 3 or place > len(text) - 2:  # counts are small then, and all of them are kept
            for high in (-1, len(text) - place):
                check(vocab, entries, store, q, 0, high)
        q = int(row_of(store, q)[byte])
        if q < 0:
            assert place > 9, "the text ends where the length beside it does"
            break


def is_pattern(store: TerminalStore, q: int) -> bool:
    """Whether q is the first state of a string with a pattern."""
    terminal, local = store.known_as(q)
    return local == terminal.start and not terminal.chars.is_universal(local)


PIECES = (b"a", b"b", b"!", b'"', b"\\n", b"\n", "é".encode(), b"\xe2\x80\xa8", b"\xe2\x80\xa6", b"\xe2\x94\x81",
          "あ".encode(), "😀".encode(), b"\xe2", b"\xe2\x80", b"\xf0\x9f", b"\x80", b"\xff")  # fmt: skip


def mixed(seed: int, *more: bytes) -> tuple[Vocabulary, list[bytes | None]]:
    """Tokens of whole characters, parts of them and what is no UTF-8, and of more pieces."""
    draw = random.Random(seed)
    entries: list[bytes | None] = [b"".join(draw.choices(PIECES + more, k=draw.randint(1, 4))) for _ in range(150)]
    return Vocabulary.from_bytes([*entries, None], [len(entries)]), [*entries, None]


@pytest.mark.parametrize("longest", [4, 300])
@pytest.mark.parametrize(
    "pattern",
    ["^[a-y]*$", "^[a-z]*$", "^[a-c]{0,280}$", "^(?:[a-f]{0,280}-){0,2}$", "^[b-z\\u2028]{1,9}$", "^[1-9A-HJ-NP-Zb]+$",
     "^(?:[a-m]|\\u0400)*z?$", "^[\\u2028xé]*$", "^[a-f\\u2028]*$", "^(?:[a-m]+[n-z])*$", "^[^b-n]{2,}$", "^[a!]*z$"],
)  # fmt: skip
def test_states_that_some_bytes_of_a_group_leave_as_they_are(pattern: str, longest: int) -> None:
    """Whole groups and parts of them are read in a row without entering a level; beyond 255 characters they are not."""
    store = store_of({"type": "string", "pattern": pattern}, "compact", "canonical")
    letters = (b"c", b"n", b"z", b"1", b"0", b"AB", "Ѐ".encode(), b"\xd0")
    _, entries = mixed(3, *letters, *((b"c" * longest,) if longest > 4 else ()))
    entries[:4] = b"cn" * 5, "d\u2028".encode(), "e\u2028e".encode(), b"c" * longest
    vocab = Vocabulary.from_bytes(entries, [len(entries) - 1])
    q = next(q for q in range(len(store)) if getattr(store.owner_of(q), "chars", None) and is_pattern(store, q))
    assert store.count(q)
    for state in sorted({q, *(int(t) for t in row_of(store, q) if t >= 0)}):
        for low, high in ((0, -1), (2, 7), *((0, most) for most in (1, 2, 3, 4, 5, 6, 8, 9, 280))):
            check(vocab, entries, store, state, low, high)


@pytest.mark.parametrize("pattern", ["^.*a.{3}$", "^[^!]*$", "^[\\s\\S]*a$", "^[^\\u2028é]*.$"])
def test_states_beside_the_one_that_any_text_may_follow(pattern: str) -> None:
    """Also where a pattern leaves out single characters: line separators are no group of their first byte."""
    schema = {"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "string", "pattern": pattern}}}
    store = store_of(schema, "compact", "canonical")
    vocab, entries = mixed(1)
    strings = [q for q in range(len(store)) if getattr(store.owner_of(q), "chars", None)]
    q = next(q for q in strings if is_pattern(store, q))
    assert store.universal(q, 4) != q, "walked beside any text"
    for byte in b"ab":
        check(vocab, entries, store, q, 0, -1)
        q = int(row_of(store, q)[byte])
    check(vocab, entries, store, q, 0, -1)


@given(vocabularies())
def test_lists_of_children_are_the_trie(made: tuple[Vocabulary, list[bytes | None]]) -> None:
    vocab, _ = made
    size = len(vocab.trie_byte)
    records, kids = np.zeros(4 * (size + 2), np.int32), np.zeros(size, np.int32)
    trie = vocab.trie_byte, vocab.trie_parent, vocab.trie_end, vocab.trie_token, vocab.dup_next
    list_children(*trie, records, kids)
    nodes = records.reshape(-1, 4)
    for node in range(size):
        token = int(vocab.trie_token[node])
        assert nodes[node, 1:].tolist() == [vocab.trie_end[node], token, vocab.dup_next[token] if token >= 0 else -1]
        children, child = [], node + 1
        while child < vocab.trie_end[node]:
            children.append((int(vocab.trie_byte[child]), child))
            child = int(vocab.trie_end[child])
        listed = kids[nodes[node, 0] : nodes[node + 1, 0]].view(np.uint32).tolist()
        assert [(child >> 24, child & 0xFFFFFF) for child in listed] == children == sorted(children)


def test_groups_of_bytes_below_a_node_hold_all_characters_there() -> None:
    """And no others, where all texts below are whole characters."""
    vocab, entries = mixed(2)
    signature = Tier1(TerminalStore(), vocab)._signature
    for node, path in enumerate(node_paths(vocab)):
        if path and is_whole(path[:-1]):
            below = [text[len(path) - 1 :] for text in entries if text and text.startswith(path)]
            expected, found = 0, int(signature[node]) & ~CONTINUES
            for text in below:
                expected |= groups_of(text)
            assert expected & ~found == 0, (path, below)
            if all(map(is_whole, below)):
                assert expected == found, (path, below)


def is_whole(text: bytes) -> bool:
    """Whether the text is UTF-8 and ends between two characters."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def groups_of(text: bytes) -> int:
    """Bits of the groups of the characters of a text, and of all that its last bytes can become; BROKEN if nothing."""
    end = next(k for k in range(len(text), -1, -1) if is_whole(text[:k]))
    later = [c for c in SAMPLES if c.encode().startswith(text[end:])] if end < len(text) else []
    found = {k for k, runs in enumerate(GROUPS) for c in [*text[:end].decode(), *later] if holds(runs, c)}
    return sum(1 << k for k in found) | (1 << BROKEN if end < len(text) and not later else 0)


def holds(runs: tuple[tuple[int, int], ...], character: str) -> bool:
    """Whether a group holds a character."""
    return any(low <= ord(character) <= high for low, high in runs)


SAMPLES = [chr(c) for c in (*range(0x80, 0xD800, 61), 0x2028, 0x2029, 0x2026, *range(0x10000, 0x110000, 4099))]
