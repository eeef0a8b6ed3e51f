"""What masks are made of for one vocabulary: tier-1 rows per terminal store, remembered rows per grammar.

`Tier1` (`terminalmasks`) belongs to a store and a vocabulary, `Binding` to a grammar and a
vocabulary. A binding keeps the template of a matcher's context vector and answers the kernels' requests for rows,
parts and room. Rows live in blocks that are never moved, since kernels and other matchers hold their addresses.
"""

from __future__ import annotations

import json
import os
import threading
import time
import weakref

import numpy as np
import numpy.typing as npt

from grammars import memory
from grammars.automaton.arrays import address
from grammars.automaton.lr_costs import parser_costs
from grammars.automaton.program import Program
from grammars.cfg.terminals import LexTerminal, PlainTerminal
from grammars.errors import BudgetExceeded
from grammars.kernels import layout as at
from grammars.kernels.costs import NEVER, solve_costs, spelling_costs
from grammars.kernels.masks import let_go, seize
from grammars.kernels.tier1 import insert, rehash
from grammars.rowblocks import Rows, Table
from grammars.terminalmasks import MASK_FUEL, Tier1, put_array
from grammars.vocabulary import Vocabulary

__all__ = ["Binding", "Table", "Tier1", "binding_for"]

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

_GROWN = (at.NODE, at.ALTS, at.ST, at.EDGE, at.OSPEC, at.ASPEC, at.BOUNDS, at.ROOTS, at.WORDS, at.WHASH, at.LR)
_PRICED = (at.OSPEC, at.ASPEC, at.KSUF)  # tables that costs are written to, so each vocabulary has its own
ROWS_LIMIT = 128 << 20  # bytes of remembered rows of one grammar and vocabulary


class Alone:
    """Holds the rows of a binding, as a context: no other thread computes masks of it meanwhile, nor changes them.

    Kernels take the word R_BUSY themselves for a mask, without Python's lock; Python takes both. Can be entered again
    by the same thread.
    """

    def __init__(self, room: Int64) -> None:
        self._lock = threading.RLock()
        self._room = room  # kept, as `_word` is an address in it
        self._word, self._depth = address(room) + 8 * at.R_BUSY, 0
        _all.add(self)

    def free(self) -> None:
        """Whoever held the rows is gone."""
        self._lock, self._depth = threading.RLock(), 0
        let_go(self._word)

    def enter(self, wait: bool = True) -> bool:
        """Whether the rows are held now: with `wait`, once nobody else does."""
        if not self._lock.acquire(blocking=wait):
            return False
        try:
            tries = 0
            while self._depth == 0 and seize(self._word):
                if not wait:
                    self._lock.release()
                    return False
                tries += 1
                time.sleep(0 if tries < 50 else 5e-5)  # a kernel is at work, for microseconds, rarely milliseconds
        except BaseException:
            self._lock.release()
            raise
        self._depth += 1
        return True

    def leave(self) -> None:
        """The end of what `enter` began."""
        self._depth -= 1
        if self._depth == 0:
            let_go(self._word)
        self._lock.release()

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, *_: object) -> None:
        self.leave()


_all: weakref.WeakSet[Alone] = weakref.WeakSet()


def _free_all() -> None:
    for alone in list(_all):
        alone.free()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_all)  # a forked process has none of its parent's other threads


class Binding:
    """A grammar's program with one vocabulary: template context, remembered rows, answers to the kernels."""

    def __init__(self, program: Program, vocab: Vocabulary) -> None:
        store = program.store
        known = store.tier1.get(vocab)
        if known is None:
            known = store.tier1[vocab] = Tier1(store, vocab)
        self.program, self.tier1, self.vocab = program, known, vocab
        tier1_rows = known
        self.memo = Table(256)
        self.rows = Rows(vocab.words)
        self.used = 0
        self.costed = False
        self.begun = False  # whether entries were made ahead of masks, and so the first mask is to be
        self.growth = 0
        self.ctx: Int64 = tier1_rows.ctx.copy()
        self.ctx[at.S_ANY] = program.free_spelling
        self._stcost = self._ncost = self._lrcost = np.zeros(1, np.int32)
        self._seen = np.zeros(1024, np.int64)
        self._wants = np.zeros(1 + at.MOST_WANTS * at.WANT, np.int64)
        self._closed = np.zeros(at.C_SIZE if program.parsed_only else at.C_HEAD, np.int64)
        self.ctx[at.S_PARSED] = program.parsed_only
        self._dearest = 0
        self.version = 0
        self._grown = (
            program.node, program.alts, program.st, program.edge, program.ospec, program.aspec, program.bounds,
            program.roots, program.words, program.whash, program.lr,
        )  # fmt: skip
        self._priced: tuple[Int32, ...] = ()
        self._tmp = np.zeros(vocab.words, np.int32)
        self._tests = np.zeros(vocab.words, np.int32)
        self._room = np.array((0, 0, self.memo.keys.size // 2, 0, 0, 0, 0), np.int64)
        self.alone = Alone(self._room)
        put_array(self.ctx, at.ROOM, self._room)
        put_array(self.ctx, at.TMP, self._tmp)
        put_array(self.ctx, at.TESTS, self._tests)
        self.refresh()
        memory.enlist(self)

    @property
    def nbytes(self) -> int:
        """Bytes of remembered rows and of what finds them."""
        return self.rows.nbytes + 2 * self.memo.keys.nbytes

    def is_last(self, turn: int) -> bool:
        """Whether no mask was computed since that one: what its kernel said it lacks stands there still."""
        return bool(turn == self._room[at.R_TURN])

    def forget(self) -> bool:
        """Drop all rows; matchers that point to the old arrays keep them alive until their next mask."""
        if not self.alone.enter(wait=False):
            return False
        try:
            self._forget()
        finally:
            self.alone.leave()
        return True

    def _forget(self) -> None:
        self.rows, self.memo = Rows(self.vocab.words), Table(256)
        self._room[: at.R_BUSY] = 0, 0, self.memo.keys.size // 2, 0, 0
        self.refresh()

    def refresh(self) -> None:
        """Bring the template up to date; matchers copy it when `version` has changed."""
        program, ctx = self.program, self.ctx
        self.tier1.refresh(ctx)
        self._stamp, self._known = self.tier1.stamp(), self._places()
        for slot, grown in zip(_GROWN, self._grown, strict=True):
            ctx[slot], ctx[slot + 64] = grown.address, grown.data.size
        for slot, table in zip(_PRICED, self._priced, strict=False):
            put_array(ctx, slot, table)
        ctx[at.S_UNIQUE] = program.unique
        put_array(ctx, at.MKEY, self.memo.keys)
        put_array(ctx, at.MVAL, self.memo.values)
        put_array(ctx, at.LEXKEY, program.lex_keys)
        put_array(ctx, at.LEXVAL, program.lex_values)
        put_array(ctx, at.STCOST, self._stcost)
        put_array(ctx, at.NCOST, self._ncost)
        ctx[at.LRCOST], ctx[at.SEEN] = address(self._lrcost), address(self._seen)
        ctx[at.WANTS], ctx[at.CLOSED] = address(self._wants), address(self._closed)
        self.kept = (
            *self.tier1.keep(), program.node.data, program.alts.data, program.st.data, program.edge.data,
            program.ospec.data, program.aspec.data, program.bounds.data, program.roots.data, *self._priced,
            program.words.data, program.whash.data, program.lr.data, program.lex_keys, program.lex_values, self._tests,
            self.memo.keys, self.memo.values, self._stcost, self._ncost, self._tmp,
            self._room, self.rows, self.tier1.rows, self._lrcost, self._seen, self._wants, self._closed,
        )  # fmt: skip
        self.version += 1

    def _places(self) -> tuple[int, ...]:
        """Another one where `refresh` would write something else than before, as nodes were added and rows made."""
        program, memo = self.program, self.memo
        grown = [array.address for array in self._grown]
        return *self.tier1.stamp(), *grown, program.unique, id(program.lex_keys), memo.place

    def prepare_costs(self) -> None:
        """Fill the cost tables (once): all parts are lowered, all terminals measured."""
        with self.alone:
            if self.costed:
                return
            program, store = self.program, self.program.store
            program.expand_all()
            places = np.zeros(program.key_places + 1, np.int32)
            self._priced = *(table.data[: table.n].copy() for table in (program.ospec, program.aspec)), places
            with store.lock:
                parsed = [q for q in program.terminals() if isinstance(store.owner_of(q), (LexTerminal, PlainTerminal))]
                for q in program.terminals() - {*parsed}:
                    store.measure(q)
                for q in parsed:
                    self.tier1.ends(q)
                self._cost_parsers()
                self._measure_keys()
            self.refresh()
            for offset, name in program.keys:
                self._cost_of_key(offset, name)
            nodes, states = program.node.n // 4, program.st.n // 6
            kinds = np.zeros(states, np.int8)
            for first, stop, kind in program.literal_tries:
                kinds[first:stop] = kind
            self._ncost = np.full(nodes, NEVER, np.int32)
            self._stcost = np.full(states, NEVER, np.int32)
            stack = np.zeros(1 << 14, np.int64)
            own = address(self.ctx)
            solve_costs(own, kinds, self._ncost, self._stcost, *self._priced[:2], stack)
            dearest = int(self._ncost[self._ncost < NEVER].max(initial=0))
            self.growth = (self.tier1.openers + 1) * (dearest + 8) + 64
            if program.parsers:
                self.growth += self.vocab.max_token_bytes * self._dearest
            self.ctx[at.S_COSTED] = 1
            self.costed = True
            self.refresh()

    def _measure_keys(self) -> None:
        """Where undeclared keys have duties it matters which label a key can still come to: each is measured."""
        words = self.program.node.data[: self.program.node.n].reshape(-1, 4)
        for spec in words[words[:, 0] == at.OP_OBJ, 1].tolist():
            table = self._priced[0][spec:]
            if table[at.O_DUTIES]:
                table[at.O_ENDS] = self.tier1.ends_known(int(table[at.O_Q]))

    def _cost_parsers(self) -> None:
        """Cost tables of the program's parsers."""
        blocks = [parser_costs(parser, self.tier1.ends) for parser in self.program.parsers]
        flat = [0] * len(blocks)
        for number, (block, _) in enumerate(blocks):
            flat[number] = len(flat)
            flat += block
        self._lrcost = np.array(flat or [0], np.int32)
        self._dearest = max((dearest for _, dearest in blocks), default=0)

    def _cost_of_key(self, offset: int, name: str) -> None:
        """Tokens from each place in a key to the end of its closing quote."""
        spelled = [json.dumps(c, ensure_ascii=False)[1:-1].encode() for c in name]
        text = np.frombuffer(b"".join(spelled) + b'"', np.uint8)
        out = np.zeros(len(text) + 1, np.int32)
        spelling_costs(address(self.ctx), text, out)
        ksuf = self._priced[2]
        if self.program.free_spelling:
            places = np.cumsum([0, *map(len, spelled)])
            ksuf[offset : offset + len(places)] = out[places]
        else:
            ksuf[offset : offset + len(text)] = out[:-1]

    def room(self, entries: int) -> None:
        """More room for remembered rows: at least `entries` memo entries (NEED_ROOM).

        Past the limit everything is forgotten; matchers that still point to the old arrays keep them alive.
        """
        room = self._room
        if self.rows.nbytes > ROWS_LIMIT:
            self._forget()
        if room[at.R_ROWS] <= 0:
            room[at.R_NEXT], room[at.R_ROWS] = self.rows.block()
            memory.take(self, 4 * self.vocab.words * int(room[at.R_ROWS]))
        self.memo.n = self.memo.keys.size // 2 - int(room[at.R_MEMO])
        if self.memo.keys.size // 2 - self.memo.n < entries + 32:
            while self.memo.keys.size // 2 - self.memo.n < 2 * entries + 64:
                self.memo.grow()
            self.refresh()
        room[at.R_MEMO] = self.memo.keys.size // 2 - self.memo.n

    def _lex(self, ctx: Int64) -> list[int]:
        """Make the node that reads the terminals which a kernel found to be possible; their start states."""
        program = self.program
        words = int(program.lr.data[int(ctx[at.OUT0]) + at.L_WORDS])
        terminals = sum(int(ctx[at.S_LEX0 + w]) << (60 * w) for w in range(words))
        with program.lock:
            assert program.lex is not None
            node = program.lex(int(ctx[at.OUT0]), int(ctx[at.OUT1]), int(ctx[at.OUT2]), terminals)
            starts = program.terminals_of(node)
            if self.costed:
                for q in starts:
                    self.tier1.ends(q)
            self.begun |= self.tier1.build_ahead(starts)
            self._add_lex(int(ctx[at.OUT3]), node)
        return starts

    def _supply_many(self, ctx: Int64) -> None:
        """All rows and nodes that a walk has listed, and the rows in which these begin."""
        count = int(self._wants[0])
        listed = self._wants[1 : 1 + count * at.WANT].reshape(count, at.WANT).copy()
        rows = listed[listed[:, 0] == at.NEED_ROW, 1].tolist()
        for want in listed[listed[:, 0] == at.NEED_LEX]:
            ctx[at.OUT0 : at.OUT0 + 4], ctx[at.S_LEX0 : at.S_LEX0 + 4] = want[1:5], want[5:9]
            rows += self._lex(ctx)
        for want in listed[listed[:, 0] == at.NEED_T1].tolist():
            self.tier1.build(*want[1:5])
        for q in rows:
            self.program.store.fill(q)

    def _add_lex(self, key: int, node: int) -> None:
        """Enter a node into new tables where arrays have been replaced: who reads the old ones must not find it."""
        program, store = self.program, self.program.store
        grown = (program.node, program.alts, store.trans, store.info, store.dist, store.need, store.steady)
        known = tuple(array.address for array in grown)
        size = program.lex_keys.size
        if known != program.lex_known or 2 * program.lex_count >= size:
            size = 2 * size if 2 * program.lex_count >= size else size
            keys, values = np.zeros(size, np.int64), np.zeros(size, np.int64)
            rehash(program.lex_keys, program.lex_values, keys, values)
            program.lex_keys, program.lex_values, program.lex_known = keys, values, known
        insert(program.lex_keys, program.lex_values, key, node)
        program.lex_count += 1

    def answer(self, status: int, ctx: Int64) -> None:
        """Do what a kernel asked for; raise if it cannot be done."""
        if status in (at.NEED_T1, at.NEED_ROW):
            if status == at.NEED_ROW:
                self.program.store.fill(int(ctx[at.OUT0]))
            else:
                self.tier1.build(int(ctx[at.OUT0]), int(ctx[at.OUT1]), int(ctx[at.OUT2]), int(ctx[at.OUT3]))
            if self.tier1.stamp() == self._stamp:
                return  # written into arrays that matchers know
        elif status == at.NEED_NODE:
            expand = self.program.expand
            assert expand is not None
            expand(int(ctx[at.OUT0]))
        elif status in (at.NEED_LEX, at.NEED_MANY):
            if status == at.NEED_LEX:
                self._lex(ctx)
            else:
                self._supply_many(ctx)
            if self._places() == self._known:
                return
        elif status == at.NEED_ROOM:
            self.room(int(ctx[at.OUT0]))
            return
        else:
            raise BudgetExceeded(
                "mask_fuel", MASK_FUEL, remedy="The grammar is too ambiguous here: write overlapping branches apart."
            )
        self.refresh()


def binding_for(program: Program, vocab: Vocabulary) -> Binding:
    """The binding of (program, vocab): made once, kept by the program."""
    found = program.bindings.get(vocab)
    if found is None:
        with program.lock:
            found = program.bindings.get(vocab)
            if found is None:
                found = program.bindings[vocab] = Binding(program, vocab)
    assert isinstance(found, Binding)
    return found
