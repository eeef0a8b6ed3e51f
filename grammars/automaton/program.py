"""A grammar as flat arrays over a terminal store: control nodes, literal tries, object and array tables.

Built by a lowering (`lower_json`, `lower_text`), read by the kernels; `layout` lists the columns. Nodes are interned,
so equal continuations are one node and masks are shared. A node of kind OP_LAZY stands for a part that has not been
lowered; `expand` (set by the lowering) does it when a kernel asks.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from grammars.automaton.arrays import GrowArray
from grammars.automaton.terminals import TerminalStore
from grammars.errors import BudgetExceeded
from grammars.kernels.layout import (
    O_Q,
    OP_ALT,
    OP_CALL,
    OP_DONE,
    OP_DTRIE,
    OP_END,
    OP_KEY,
    OP_LAZY,
    OP_OBJ,
    OP_POP,
    OP_TERM,
    OP_TRIE,
)
from grammars.kernels.words import write_trie

__all__ = ["Program", "Word"]

Word = tuple[bytes | str, int, bytes | None]
"""Symbols (bytes, or characters under free spelling), payload (node or property), and for each place in it a flag:
whether it lies between characters (None: all do)."""


class Program:
    """Mutable while it is being lowered (under `lock`), append-only for the kernels."""

    def __init__(self, store: TerminalStore, *, free_spelling: bool = False) -> None:
        self.store = store
        self.free_spelling = free_spelling
        self.node = GrowArray(np.int32, 256)
        self.alts = GrowArray(np.int32, 64)
        self.st = GrowArray(np.int32, 1024)
        self.edge = GrowArray(np.int32, 1024)
        self.ospec = GrowArray(np.int32, 512)
        self.aspec = GrowArray(np.int32, 64)
        self.bounds = GrowArray(np.int32, 16)
        self.roots = GrowArray(np.int32, 18)
        self.words = GrowArray(np.int32, 2)  # of arrays with unique items: where the hashes of a word's values stand
        self.whash = GrowArray(np.int64, 1)
        self.unique = False
        self.specials = False  # tokens without text are named in it: matchers take `Vocabulary.with_specials`
        self.lr = GrowArray(np.int32, 2)  # tables of LR parsers
        self.parsers: list[Any] = []  # and what they were made from (`lower_cfg.Parser`)
        self.lex_keys: npt.NDArray[np.int64] = np.zeros(64, np.int64)
        self.lex_values: npt.NDArray[np.int64] = np.zeros(64, np.int64)
        self.lex_count = 0
        self.lex_known: tuple[int, ...] = ()
        self.lex: Callable[[int, int, int, int], int] | None = None  # (table, context, obligation, terminals) -> node
        self.parsed_only = False  # a parser, and nothing around or within it
        self._known: tuple[int, ...] = ()
        self.pointers: dict[tuple[int, int], str] = {}  # (kind of frame, its table) -> place in the schema
        self.expand: Callable[[int], None] | None = None
        self.keys: list[tuple[int, str]] = []  # names of properties, each with the first of its places
        self.key_places = 0  # of all names, their ends included
        self.literal_tries: list[tuple[int, int, int]] = []
        self.bindings: dict[object, object] = {}
        self.lock = threading.RLock()
        self._interned: dict[tuple[int, ...], int] = {}
        self.end = self.add(OP_END)
        self.done = self.add(OP_DONE)
        self.pop = self.add(OP_POP)
        self.key = self.add(OP_KEY)

    def add(self, op: int, a: int = 0, b: int = 0, c: int = -1) -> int:
        """An interned control node."""
        key = (op, a, b, c)
        node = self._interned.get(key)
        if node is None:
            node = self._interned[key] = self.node.extend(key) >> 2
        return node

    def fresh(self, op: int, a: int = 0, b: int = 0, c: int = -1) -> int:
        """A control node of its own (blocks of consecutive continuations, nodes to be patched)."""
        return self.node.extend((op, a, b, c)) >> 2

    def patch(self, node: int, op: int, a: int, b: int, c: int) -> None:
        """Give a lazy node its content; the operation is written last, as other threads may be reading.

        Where other arrays have been replaced since the last time, so is that of the nodes: a matcher which knows the
        old addresses must not meet a node that needs the new ones.
        """
        store = self.store
        grown = (self.alts, self.st, self.edge, self.ospec, self.aspec, self.bounds, self.words, self.whash)
        known = (*(array.address for array in grown), store.trans.address, store.info.address, store.dist.address,
                 store.need.address, store.steady.address)  # fmt: skip
        if known != self._known:
            self._known = known
            self.node.renew()
        words = self.node.data
        words[4 * node + 1 : 4 * node + 4] = (a, b, c)
        words[4 * node] = op

    def become(self, node: int, other: int) -> None:
        """Let a lazy node do what `other` does."""
        op, a, b, c = self.node.data[4 * other : 4 * other + 4].tolist()
        if op == OP_LAZY:
            op, a, b = OP_ALT, self.alts.extend((other,)), 1
        self.patch(node, op, a, b, c)

    def block(self, nodes: Sequence[int]) -> int:
        """Consecutive nodes that do what `nodes` do (continuations by label); -1 of none."""
        if not nodes:
            return -1
        rows = self.node.data[: self.node.n].reshape(-1, 4)[list(nodes)]
        for place in np.flatnonzero(rows[:, 0] == OP_LAZY).tolist():
            rows[place] = (OP_ALT, self.alts.extend((nodes[place],)), 1, -1)
        return self.node.extend(rows.reshape(-1)) >> 2

    def terminal(self, q: int, following: int, bounds: tuple[int, int | None, int] | None = None) -> int:
        """A terminal, then node `following` + label. `bounds`: characters low, high, and bytes of the shortest one."""
        index = -1
        if bounds is not None:
            low, high, width = bounds
            key = (-1, low, -1 if high is None else high, width)
            known = self._interned.get(key)
            if known is None:
                known = self._interned[key] = self.bounds.extend(key[1:])
            index = known
        return self.add(OP_TERM, q, following, index)

    def call(self, node: int, following: int) -> int:
        """`node` as a part that returns, then `following`. A part at the end of another one returns for both."""
        return node if following == self.done else self.add(OP_CALL, node, following)

    def choice(self, nodes: Sequence[int]) -> int:
        """Any of the nodes."""
        distinct = list(dict.fromkeys(nodes))
        if len(distinct) == 1:
            return distinct[0]
        return self.fresh(OP_ALT, self.alts.extend(distinct), len(distinct))

    def trie(self, words: Sequence[Word], number: int = 0) -> int:
        """Root state of the literal trie over `words`, which are sorted by their symbols and distinct.

        The payload of a word is written to its state; `lo, hi` of a state are the words below it, by position, counted
        from `number`.
        """
        texts = [word[0] for word in words]
        joined = texts[0][:0].join(texts)  # type: ignore[arg-type]  # all are of one kind
        text = joined if isinstance(joined, str) else joined.decode("latin-1")
        symbols = memoryview(text.encode("utf-32-le", "surrogatepass")).cast("i")
        marked = any(word[2] is not None for word in words)
        inside = b"".join(word[2] or b"\1" * (len(word[0]) + 1) for word in words) if marked else b""
        n, total = len(words), len(text)
        lengths, values = array("i", map(len, texts)), array("i", [word[1] for word in words])
        st, edge = self.st, self.edge
        st.reserve(6 * total + 6)
        edge.reserve(2 * total)
        base = st.n // 6
        work = np.empty(3 * total + 3 + n, np.int64)
        first = edge.n // 2
        room = st.data[st.n :], edge.data[edge.n :]
        made = write_trie(symbols, lengths, values, n, inside, marked, number, base, first, work, *room)
        st.n += 6 * made
        edge.n += 2 * made - 2
        return base

    def hashed(self, values: Sequence[Sequence[int]]) -> int:
        """Number of the first of some words; each is given by the hashes of its values, none where it has many."""
        first = self.words.n // 2
        for hashes in values:
            self.words.extend((self.whash.extend(hashes) if hashes else 0, len(hashes)))
        return first

    def trie_node(self, words: Sequence[Word], number: int = 0) -> int:
        """A node that reads one of `words` and goes on at its payload."""
        root = self.trie(words, number)
        self.literal_tries.append((root, self.st.n // 6, 1))
        return self.add(OP_TRIE, root)

    def expand_all(self, most: int = 50_000) -> None:
        """Lower every part, as costs need it."""
        with self.lock:
            done = 0
            at = 0
            while 4 * at < self.node.n:
                if self.node.data[4 * at] == OP_LAZY:
                    assert self.expand is not None
                    self.expand(at)
                    done += 1
                    if done > most:
                        raise BudgetExceeded("max_parts", most, remedy="Limit the output by other means than a budget.")
                at += 1

    def terminals_of(self, node: int) -> list[int]:
        """Start states of the terminals that a node reads at once."""
        op, a, b, _ = self.node.data[4 * node : 4 * node + 4].tolist()
        if op == OP_ALT:
            return [q for other in self.alts.data[a : a + b].tolist() for q in self.terminals_of(other)]
        return [a] if op == OP_TERM else []

    def terminals(self) -> set[int]:
        """Start states of the terminals that the nodes and the keys use."""
        words = self.node.data[: self.node.n].reshape(-1, 4)
        found = set(words[words[:, 0] == OP_TERM, 1].tolist()) | set(words[words[:, 0] == OP_DTRIE, 2].tolist())
        for spec in words[words[:, 0] == OP_OBJ, 1].tolist():
            found.add(int(self.ospec.data[spec + O_Q]))
        return found
