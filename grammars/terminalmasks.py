"""Masks of terminal states for one vocabulary: tier 1, shared by all grammars of a store.

`Tier1` computes rows, frontiers and merged tries when a kernel asks (`kernels.tier1`), and shares what states have in
common: one pass for all lengths of a counted string, one row for states that differ in a count which no token reaches.
Rows live in blocks that are never moved (`rowblocks`), since kernels and other matchers hold their addresses.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grammars import memory
from grammars.automaton.arrays import GrowArray, Moves, address
from grammars.automaton.terminals import TerminalStore
from grammars.bytegroups import BROKEN, CONTINUES, GROUP_OF_BYTE, QUOTING
from grammars.cfg.terminals import LexTerminal
from grammars.errors import TokenizerError
from grammars.kernels import layout as at
from grammars.kernels.lrcosts import NEVER, terminal_tokens
from grammars.kernels.tier1 import copy_row, cut, tier1
from grammars.kernels.tries import find_next, list_children, measure_trie, merge, sort_frontier
from grammars.lexedmasks import Lexed
from grammars.rowblocks import Rows, Table
from grammars.vocabulary import Vocabulary

__all__ = ["MASK_FUEL", "Tier1", "put_array"]

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

UInt16 = npt.NDArray[np.uint16]

MASK_FUEL = 50_000_000
_ENTRIES = 1024  # room at first: pages that nothing was written to cost nothing, growing is felt in some mask
_OPEN = 64  # counted states whose tokens' needs are kept: a quarter of a megabyte each
_FRESH_STATES = 64  # that a walk may make; where it needs more, it comes back
_MANY_STATES = 3_000  # of a terminal without competitors: from there on bytes are counted rather than tokens
_STEPS = 20_000  # for the fewest tokens from a state
_MOST_NODES = 1 << 24  # of a vocabulary's trie: children are listed as numbers of 24 bits beside their byte
_SHORT = 1024  # bytes of a frontier: up to so many it is its own key
_LARGE = 4096  # trie nodes below a frontier node: from there on they are not merged with others


# all groups but what even patterns that nearly any text fits leave out
_USUAL = ((1 << (BROKEN + 1)) - 1 | CONTINUES) & ~(QUOTING | 1 << GROUP_OF_BYTE[0x80])
_NOTHING: UInt16 = np.zeros(0, np.uint16)
_NO_ITEMS: Int32 = np.zeros(0, np.int32)
_BEGIN = np.array([0, 0, 0, 1, 0, 0, 0, 0], np.int64)  # `progress` of a walk: one stretch


class Open(NamedTuple):
    """What a terminal state without bounds allows."""

    row: Int32
    items: Int32  # the frontier, three words an item
    needs: UInt16  # of each token, or empty
    labels: int  # of the items, more than the highest one
    ends: int  # one more than the most characters of an item
    reach: int  # no token takes and leaves due more characters
    alike: int  # a state of the same

    def reaching(self, reach: int) -> Open:
        """The same for a state whose tokens take and leave due other numbers of characters."""
        return Open(self.row, self.items, self.needs, self.labels, self.ends, reach, self.alike)


def put_array(ctx: Int64, slot: int, array: npt.NDArray[Any]) -> None:
    ctx[slot] = address(array)
    ctx[slot + 64] = array.size


class Tier1:
    """Rows and frontiers of terminal states for one vocabulary."""

    def __init__(self, store: TerminalStore, vocab: Vocabulary) -> None:
        self.store = store
        self.words = vocab.words
        self.trie_end = vocab.trie_end
        # the context has their addresses, and an equal vocabulary may outlive this one
        self._kept = (vocab.trie_byte, vocab.trie_token, vocab.trie_parent, vocab.dup_next)
        self._moves, self._prices_moved = Moves(), Moves()
        self._clear()
        self._longest = vocab.max_token_bytes
        self.used = 0
        self._signature = np.zeros(len(vocab.trie_byte), np.int64)
        self._characters, self._most = (np.zeros(len(vocab.trie_byte), np.uint8) for _ in range(2))
        work, path = np.zeros(len(vocab.trie_byte), np.int32), np.zeros(len(vocab.trie_byte), np.int64)
        self._group = np.frombuffer(GROUP_OF_BYTE, np.uint8)
        self._of_tokens = np.full(32 * vocab.words, -1, np.int64), np.zeros(32 * vocab.words, np.uint8)
        trie = vocab.trie_byte, vocab.trie_parent, vocab.trie_token, vocab.dup_next
        counts = self._signature, self._characters, self._most
        measure_trie(*trie, self._group, work, *counts, path, *self._of_tokens)
        self._next_rare = np.zeros(len(vocab.trie_byte) + 1, np.int32)
        find_next(self._signature, vocab.trie_end, _USUAL, self._next_rare)
        if len(vocab.trie_byte) > _MOST_NODES:
            raise TokenizerError(f"its tokens have {len(vocab.trie_byte):,} beginnings, more than {_MOST_NODES:,}")
        self._nodes = np.zeros(4 * (len(vocab.trie_byte) + 2), np.int32)
        self._kids = np.zeros(len(vocab.trie_byte), np.int32)
        list_children(trie[0], trie[1], vocab.trie_end, trie[2], trie[3], self._nodes, self._kids)
        self._work = np.zeros(16384, np.int64)
        self._out = np.zeros(4096, np.int32)
        self.levels = np.zeros(4 * (vocab.max_token_bytes + 3), np.int64)
        self._stretches, self._holes = np.zeros(1 << 14, np.int64), np.zeros(1 << 14, np.int64)
        self._progress = np.zeros(8, np.int64)
        self.ctx = np.zeros(at.CONTEXT, np.int64)
        first = np.full(256, -1, np.int32)
        child = 1
        while child < len(vocab.trie_byte):
            first[vocab.trie_byte[child]] = child
            child = int(vocab.trie_end[child])
        self._root_children = first
        self._generation = np.zeros(1, np.int64)
        self._known = 0
        self._fresh: tuple[int, ...] = ()
        self._token_offsets = vocab._offsets.astype(np.int32)
        self._token_bytes = np.frombuffer(vocab._blob, np.uint8)
        if not len(self._token_bytes):
            self._token_bytes = np.zeros(1, np.uint8)
        # how many values a token can open at most
        opening = np.cumsum(np.concatenate(([0], np.isin(self._token_bytes, np.frombuffer(b"{[,", np.uint8)))))
        ends = np.minimum(vocab._offsets, len(opening) - 1)
        self.openers = int(np.diff(opening[ends]).max(initial=0))
        self._eos = np.array(vocab.eos_ids, np.int32)
        for slot, array in (
            (at.TBYTE, vocab.trie_byte),
            (at.TEND, vocab.trie_end),
            (at.TTOK, vocab.trie_token),
            (at.TDUP, vocab.dup_next),
            (at.TPAR, vocab.trie_parent),
            (at.ROOTC, first),
            (at.TOKOFF, self._token_offsets),
            (at.TOKBYTE, self._token_bytes),
            (at.EOS, self._eos),
            (at.TIER1, self._generation),
            (at.TSIG, self._signature),
        ):
            put_array(self.ctx, slot, array)
        self.ctx[at.TCHARS], self.ctx[at.TMOST] = address(self._characters), address(self._most)
        self.ctx[at.VNODE], self.ctx[at.VKIDS] = address(self._nodes), address(self._kids)
        self.ctx[at.TNEXT], self.ctx[at.S_USUAL] = address(self._next_rare), _USUAL
        self.ctx[at.TOKSIG], self.ctx[at.TOKCHARS] = address(self._of_tokens[0]), address(self._of_tokens[1])
        self.ctx[at.GROUP] = address(self._group)
        self.ctx[at.S_WORDS] = vocab.words
        self.ctx[at.S_LONGEST] = vocab.max_token_bytes
        self.ctx[at.S_FUEL] = MASK_FUEL
        self.refresh(self.ctx)
        self._address = address(self.ctx)
        memory.enlist(self)

    def _clear(self) -> None:
        self._moves.n += 1
        self._prices_moved.n += 1
        self._built: set[tuple[int, int, int, int]] = set()
        self.table = Table(1024)
        self.entry = GrowArray(np.int64, 8 * _ENTRIES, moves=self._moves)
        self.front = GrowArray(np.int32, 256 * _ENTRIES, moves=self._moves)
        self.root1 = GrowArray(np.int32, 4 * _ENTRIES, moves=self._moves)
        self.mbyte = GrowArray(np.uint8, 256 * _ENTRIES, moves=self._moves)
        self.mend = GrowArray(np.int32, 256 * _ENTRIES, moves=self._moves)
        self.mtok = GrowArray(np.int32, 512 * _ENTRIES, moves=self._moves)
        self.mlist = GrowArray(np.int32, 256 * _ENTRIES, moves=self._moves)
        self.reach = GrowArray(np.int32, 3 << 10, -1, self._moves)
        self.tokat = GrowArray(np.int32, 64, moves=self._prices_moved)
        self.tokends = GrowArray(np.int32, 64, moves=self._prices_moved)
        self.tokends.extend((0,))
        self._open: dict[tuple[int, bool], Open] = {}
        self._entries: dict[tuple[int, bool], int] = {}
        self._cuts: dict[tuple[int, int, int, bool], int] = {}
        self._fronts: dict[bytes, tuple[int, ...]] = {}
        self.rows = Rows(self.words)
        self._lexed = Lexed(self)
        self._next, self._left = 0, 0

    @property
    def nbytes(self) -> int:
        """Bytes of the rows and of what finds them."""
        grown = (self.entry, self.front, self.root1, self.mbyte, self.mend, self.mtok, self.mlist, self.reach)
        kept = sum(int(found.row.nbytes + found.needs.nbytes) for found in list(self._open.values()))
        kept += 2 * self.table.keys.nbytes + self._lexed.nbytes
        return self.rows.nbytes + sum(a.n * a.data.itemsize for a in grown) + kept

    def forget(self) -> bool:
        """Drop all entries; matchers that know the old arrays keep them, and ask anew as the generation has changed."""
        if not self.store.lock.acquire(blocking=False):
            return False
        try:
            self._clear()
            self._publish()
            self.refresh(self.ctx)
        finally:
            self.store.lock.release()
        return True

    def refresh(self, ctx: Int64) -> None:
        """Write the current addresses of what grows."""
        store = self.store
        self._point(ctx)
        for slot, grown in (
            (at.REACH, self.reach),
            (at.ENTRY, self.entry),
            (at.FRONT, self.front),
            (at.ROOT1, self.root1),
            (at.MBYTE, self.mbyte),
            (at.MEND, self.mend),
            (at.MTOK, self.mtok),
            (at.MLIST, self.mlist),
        ):
            ctx[slot], ctx[slot + 64] = grown.address, grown.data.size
        if 0 < self.tokat.n < len(store):
            self.tokat.reserve(len(store) - self.tokat.n)
            self.tokat.n = len(store)
        ctx[at.TOKAT], ctx[at.TOKENDS] = self.tokat.address, self.tokends.address
        put_array(ctx, at.T1KEY, self.table.keys)
        put_array(ctx, at.T1VAL, self.table.values)
        ctx[at.S_TIER1] = self._generation[0]

    def stamp(self) -> tuple[int, ...]:
        """Another one where `refresh` would write something else than before."""
        store, prices = self.store, self._prices_moved
        return self._known, self.table.place, len(store) if self.tokat.n else 0, store.moves.n, prices.n

    def _publish(self) -> None:
        """Tell matchers that know older addresses, before they can find an entry that needs the new ones."""
        if self._moves.n != self._known:
            self._known = self._moves.n
            self._generation[0] += 1

    def _merge(self, first: int, ends: list[int]) -> tuple[int, int]:
        """Merged tries below the frontier items from `first` on, one for each label: (first root, number of roots).

        ends: of each label, the place after its last item with children, from `first` on; their number; how many of
        them are large.
        """
        first_root, low = self.root1.n // 2, 0
        for label, high in enumerate(ends[:-2]):
            if high > low:
                if ends[-1]:
                    self._merge_large(label, first + low, first + high)
                else:
                    self.root1.extend((label, self._merge_nodes(self.front.data, first + low, first + high, 0)))
                low = high
        return first_root, self.root1.n // 2 - first_root

    def _merge_large(self, label: int, first: int, stop: int) -> None:
        """Roots for the frontier nodes [first, stop) of a label. What is large by itself, as the half of the vocabulary
        that begins with a blank, stays as it is: merging would copy it."""
        nodes = self.front.data[2 * first : 2 * stop : 2]
        large = self.trie_end[nodes] - nodes > _LARGE
        for node in nodes[large].tolist():
            self.root1.extend((label, at.UNMERGED - node))
        if not large.all():
            rest = np.zeros(2 * int((~large).sum()), np.int32)
            rest[::2] = nodes[~large]
            self.root1.extend((label, self._merge_nodes(rest, 0, len(rest) // 2, 0)))

    def _merge_nodes(self, front: Int32, first: int, stop: int, whole: int) -> int:
        """Enter the tries below the nodes [first, stop), or of these (`whole`), laid over each other; their root."""
        mbyte, mend, mtok, mlist = self.mbyte, self.mend, self.mtok, self.mlist
        root, listed, room = mbyte.n, mlist.n, 256
        while True:
            for grown, width in ((mbyte, 1), (mend, 1), (mtok, 2), (mlist, 1)):
                grown.reserve(width * room)
            there = mbyte.data[root:], mend.data[root:], mtok.data[2 * root :], mlist.data[listed:]
            packed = int(merge(self._address, front, first, stop, whole, *there, root, listed, self._work))
            if packed >= 0:
                break
            if packed == -1:
                room *= 2
            else:
                self._work = np.zeros(2 * self._work.size, np.int64)
        nodes, tokens = packed & 0xFFFFFFFF, packed >> 32
        mbyte.n, mend.n, mtok.n, mlist.n = root + nodes, root + nodes, 2 * (root + nodes), listed + tokens
        return root

    def merged(self, nodes: Int32) -> int:
        """Root of the tries of some nodes laid over each other: of children of nodes where a terminal ends."""
        front = np.zeros(2 * len(nodes), np.int32)
        front[::2] = nodes
        return self._merge_nodes(front, 0, len(nodes), 1)

    def enter_lexed(self, row: Int32, roots: list[tuple[int, int]]) -> int:
        """Number of a new entry of a lexer's state: a copy of the row, and the tries below the ends by label."""
        first = self.root1.n // 2
        self.root1.extend([number for root in roots for number in root])
        return self._enter_row(row, 0, 0, 0, first, len(roots))

    def pointed(self) -> int:
        """Address of the context, up to date with the store."""
        self._point(self.ctx)
        return self._address

    def keep(self) -> tuple[object, ...]:
        """The arrays whose addresses `refresh` wrote: whoever holds a context holds these."""
        store = self.store
        return (store, store.trans.data, store.info.data, store.dist.data, store.need.data, store.steady.data,
                self.reach.data, self.table.keys, self.table.values,
                self.entry.data, self.front.data, self.root1.data, self.mbyte.data, self.mend.data, self.mtok.data,
                self.mlist.data, self.tokat.data, self.tokends.data)  # fmt: skip

    def _point(self, ctx: Int64) -> None:
        """Write the addresses that filling rows changes."""
        store = self.store
        for slot, grown in (
            (at.TRANS, store.trans),
            (at.INFO, store.info),
            (at.DIST, store.dist),
            (at.STEADY, store.steady),
        ):
            ctx[slot], ctx[slot + 64] = grown.address, grown.data.size
        ctx[at.NEED], ctx[at.ORIGIN] = store.need.address, store.origin.address
        ctx[at.COUNTS] = store.counts_address

    def ends(self, q: int) -> dict[int, int]:
        """Tokens from the start state q of a parser's terminal to each of its labels; measured for all later states."""
        store = self.store
        with store.lock:
            if not self.ends_known(q):
                store.measure(q)
                return {0: int(store.dist.data[3 * q])}
            place = int(self.tokat.data[q])
            count = int(self.tokends.data[place])
            return dict(self.tokends.data[place + 2 : place + 2 + 2 * count].reshape(count, 2).tolist())

    def ends_known(self, q: int) -> bool:
        """Measure the states from q on label by label, once; False: they are too many."""
        return bool(self.tokat.n > q and self.tokat.data[q]) or self._measure_ends(q)

    def _measure_ends(self, q: int) -> bool:
        """Fill `tokends` for the states from q on; False: they are too many."""
        store = self.store
        states, known = [q], {q: 0}
        for state in states:
            store.fill(state)
            for target in set(store.trans.data[256 * state : 256 * state + 256].tolist()):
                if target > 0 and target not in known:
                    known[target] = len(states)
                    states.append(target)
            if len(states) > _MANY_STATES and not isinstance(store.owner_of(q), LexTerminal):
                return False
        listed = np.array(states, np.int32)
        local = np.full(len(store) + 1, -1, np.int32)
        local[listed] = np.arange(len(listed))
        rows = store.trans.data[: 256 * len(store)].reshape(-1, 256)[listed]
        pairs = np.unique((local[rows].astype(np.int64) << 32) + np.arange(len(listed))[:, None])
        pairs = pairs[pairs >= 0]
        first = np.searchsorted(pairs >> 32, np.arange(len(listed) + 1)).astype(np.int32)
        before = (pairs & 0xFFFFFFFF).astype(np.int32)
        labels = (store.info.data[listed] & at.LABEL).astype(np.int32) - 1
        kinds, numbers = np.unique(labels[labels >= 0], return_inverse=True)
        labels[labels >= 0] = numbers
        tok = np.full(len(listed) * max(1, len(kinds)), NEVER, np.int32)
        scratch = np.zeros((2, len(listed)), np.int32)
        self._point(self.ctx)
        terminal_tokens(self._address, listed, local, labels, len(kinds), first, before, scratch[0], scratch[1],
                        np.zeros(3 * (self._longest + 3), np.int64), tok, _STEPS)  # fmt: skip
        table = tok.reshape(len(listed), -1)
        most = int(table.min(axis=1).max())
        if self.tokat.n < len(store):
            self.tokat.reserve(len(store) - self.tokat.n)
            self.tokat.n = len(store)
        for place, state in enumerate(states):
            own = table[place]
            order = [k for k in np.argsort(own, kind="stable").tolist() if own[k] < NEVER and len(kinds)]
            flat = [len(order), most]
            for k in order:
                flat += (int(kinds[k]), int(own[k]))
            self.tokat.data[state] = self.tokends.extend(flat)
        return True

    def build(self, q: int, low: int, high: int, limit: int = at.NO_LIMIT) -> None:
        """Compute the entry of terminal state q with low..high characters to come; no frontier where `low` says so."""
        with self.store.lock:
            if (q, low, high, limit) in self._built:
                return
            self._built.add((q, low, high, limit))
            bare, due = low & at.LAST != 0, low & ~at.LAST
            if isinstance(self.store.owner_of(q), LexTerminal):
                entry = self._lexed.entry(q, max(0, -2 - high))
            elif limit != at.NO_LIMIT:
                found, _ = self._walk(q, due, high, limit)
                entry = self._enter(found.row, found.items, found.labels, bare)
            elif due <= 0 and high < 0:
                entry = self._unbounded(q, bare)
            else:
                entry = self._bounded(q, due, high, bare)
            self._publish()
            self.table.enter(q, low, high, limit, entry)
            stamp = self.stamp()
            if stamp != self._fresh:
                self._fresh = stamp
                self.refresh(self.ctx)

    def build_ahead(self, starts: list[int]) -> bool:
        """Compute entries that texts will come to from some start states of a lexer, where it is a small one; whether
        there are any."""
        with self.store.lock:
            states = self._lexed.states_ahead(starts)
            for q in states:
                self.build(q, 0, -1)
            return bool(states)

    def _walk(
        self, q: int, low: int, high: int, limit: int, counted: bool = False, like: int = -1, known: Open | None = None,
        horizon: int = -1,
    ) -> tuple[Open, bool]:  # fmt: skip
        """A state's row and so on; whether it differs from `known`, that of `like`, which holds for texts of up to
        `horizon` characters."""
        self.store.fill(q)
        row, needs, old, rounds = np.zeros(0, np.int32), _NOTHING, _NO_ITEMS, 0
        never = self.store.never(q)
        while True:
            if len(self.store) < self.store.max_states:
                self.store.make_room(_FRESH_STATES)
            self._point(self.ctx)
            if rounds == 0:
                plain = known is None and limit == at.NO_LIMIT and not self.store.info.data[q] & at.LABEL
                self._progress[:] = _BEGIN
                if plain:
                    self._progress[5] = 2 if int(self.store.steady.data[6 * q]) & ~CONTINUES else 1
                work = self._stretches
                work[0], work[1], work[2], work[3] = 1, self.trie_end[0], q, like
                if known is None:
                    row = np.zeros(self.words, np.int32)
                    needs = np.full(32 * self.words, 0xFFFF, np.uint16) if counted else _NOTHING
                else:
                    row, old, needs = known.row.copy(), known.items, known.needs.copy()
            rounds += 1
            buffers = self._out, self.levels, needs, self._stretches, self._holes, self._progress
            found = int(tier1(self._address, q, low, high, limit, like, horizon, never, old, row, *buffers))
            holes = int(self._progress[4])
            if holes:
                self._fill_holes(min(4 * holes, self._holes.size))
                self._progress[3] = holes
                self._stretches, self._holes = self._holes, self._stretches
                if 4 * holes > self._holes.size:
                    self._stretches, self._holes = np.zeros(8 * holes, np.int64), np.zeros(8 * holes, np.int64)
                    rounds = 0
            elif 3 * found > self._out.size:
                self._out = np.zeros(6 * found, np.int32)
                rounds = 0
            else:
                items = self._out[: 3 * found].copy()
                if rounds > 1:
                    items = items.reshape(found, 3)[np.argsort(items[::3])].reshape(-1)
                _, differs, reach, _, _, _, labels, ends = self._progress.tolist()
                if known is not None:
                    reach = max(reach, known.reach)
                return Open(row, items, needs, labels, ends, reach, q), differs > 0

    def _fill_holes(self, size: int) -> None:
        """Compute the rows that were missing in these words of `holes`."""
        states = {*(self._holes[2:size:4] & 0xFFFFFFFF).tolist(), *self._holes[3:size:4].tolist()}
        for state in sorted(states):
            if state >= 0:
                self.store.fill_all(state)

    def _open_row(self, q: int, counted: bool) -> Open:
        """What a state without bounds allows, if `counted` with the tokens' needs.

        States that differ in a count are walked together with the one without the count, and those in which nearly
        any text may follow together with the one in which any may.
        """
        store = self.store
        found = self._open.pop((q, counted), None)
        if found is None:
            like = store.endless(q)
            wide = q if counted or like != q else store.universal(q, self._longest)
            if wide != q:
                base = self._open_row(wide, False)
                found, differs = self._walk(q, 0, -1, at.NO_LIMIT, False, wide, base)
                if not differs:
                    found = base.reaching(found.reach)
            elif like == q:
                found, _ = self._walk(q, 0, -1, at.NO_LIMIT, counted)
            else:
                base = self._open_row(like, counted)
                found, differs = base, False
                horizon = store.agreement(q)
                if horizon < self._longest:
                    found, differs = self._walk(q, 0, -1, at.NO_LIMIT, counted, like, base, horizon)
                if not differs:
                    found = base.reaching(found.reach)
        self._open[q, counted] = found
        while len(self._open) > _OPEN:
            del self._open[next(iter(self._open))]
        return found

    def _unbounded(self, q: int, bare: bool) -> int:
        """The entry of a state without bounds; one that other states have as well where counts are all that differs."""
        known = self._entries.get((q, bare))
        if known is None:
            found = self._open_row(q, False)
            if found.alike == q:
                known = self._enter(found.row, found.items, found.labels, bare)
            else:
                known = self._unbounded(found.alike, bare)
            self._entries[q, bare] = known
            self._set_reach(q, found)
        return known

    def _set_reach(self, q: int, found: Open) -> None:
        most, ends = -1, -1
        if self.store.is_counted(q):
            ends = found.ends
            most = max(found.reach, ends - 1)
        reach = self._reach_of(q)
        reach[0], reach[1], reach[2] = most, ends, found.alike

    def _reach_of(self, q: int) -> Int32:
        """The three words of `reach` of a state."""
        if self.reach.n < 3 * q + 3:
            self.reach.reserve(3 * q + 3 - self.reach.n)
            self.reach.n = 3 * q + 3
        return self.reach.data[3 * q : 3 * q + 3]

    def _bounded(self, q: int, low: int, high: int, bare: bool) -> int:
        """The entry of a state with bounds: tokens are taken from the one without."""
        entry = self._unbounded(q, bare)
        if self._reach_of(q)[0] < 0:  # made before its characters were counted
            self._open.clear()
            self._set_reach(q, self._open_row(q, False))
        most, ends, alike = self._reach_of(q).tolist()
        low, high = min(low, ends), -1 if high >= most else high
        if low <= 0 and high < 0:
            return entry
        known = self._cuts.get((alike, low, high, bare))
        if known is None:
            found = self._open_row(alike, high >= 0)
            row, out = found.row.copy(), np.empty(len(found.items), np.int32)
            kept = int(cut(self._address, found.needs, found.items, low, high, row, out))
            known = self._enter(row, out[: 3 * kept], found.labels, bare)
            self._cuts[alike, low, high, bare] = known
        return known

    def _enter(self, row: Int32, items: Int32, labels: int, bare: bool) -> int:
        """Number of a new entry: a copy of the row, the frontier (`labels`: more than the highest one) and the merged
        tries below it (`bare`: without)."""
        count = len(items) // 3
        if bare or not count:
            return self._enter_row(row, 0, 0, 0, 0, 0)
        front, ends = self.front, np.zeros(labels + 2, np.int64)
        front.reserve(2 * count)
        place = front.n
        parents = int(sort_frontier(self._address, items, _LARGE, ends, front.data[place:]))
        key = front.data[place : place + 2 * count].tobytes()
        if len(key) > _SHORT:
            key = blake2b(key, digest_size=16).digest()
        known = self._fronts.get(key)
        if known is None:
            front.n += 2 * count
            known = place // 2, parents, count, *self._merge(place // 2, ends.tolist())
            self._fronts[key] = known
        return self._enter_row(row, *known)

    def _enter_row(self, row: Int32, *known: int) -> int:
        """Number of a new entry with a copy of the row."""
        if not self._left:
            self._next, self._left = self.rows.block()
            memory.take(self, 4 * self.words * self._left)
        place = self._next
        self._next += 4 * self.words
        self._left -= 1
        copy_row(place, row)
        return self.entry.extend((place, *known, 0, 0)) // 8
