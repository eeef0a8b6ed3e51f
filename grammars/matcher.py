"""`Matcher`: one sequence under a grammar and a vocabulary.

Owns the arena that the kernels write (states and frames of this sequence) and drives them: a kernel either answers
or names what it lacks (a part not lowered, a row not computed, room), which is supplied before it is called again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grammars.automaton.arrays import address
from grammars.errors import BudgetExceeded
from grammars.kernels import layout as at
from grammars.kernels.distance import distance, recost
from grammars.kernels.masks import fill, fill_alone, recall
from grammars.kernels.moves import accept, forced, rollback, start
from grammars.masktable import Binding, binding_for
from grammars.memory import touch
from grammars.vocabulary import Vocabulary

if TYPE_CHECKING:
    from grammars.blame import Ban

__all__ = ["Explanation", "Matcher", "fill_masks"]

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]

_ARENA = 12288  # words; only those that are written to take memory
_TEXT = 1024
_FINISHED = 1
_MANY_BYTES = 4 << 20
_OK = at.OK


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a token is allowed or banned: how many of its bytes fit, and what could stand at the first that does not.

    `pointer` is where the innermost value is described; `bans` are the keywords of a JSON Schema that forbid the token,
    with their pointers (see `grammars.blame`).
    """

    token: int
    text: bytes
    allowed: bool
    fits: int
    expected: tuple[str, ...]
    pointer: str
    bans: tuple[Ban, ...] = ()

    def __str__(self) -> str:
        if self.allowed:
            return f"token {self.token} {self.text!r} is allowed"
        reasons = "; ".join(map(str, self.bans))
        if not self.text:
            if any(ban.kind == "json" for ban in self.bans):
                reasons = "the document is incomplete"
            why = f"\n  the text cannot end here: {reasons}" if reasons else ""
            return f"token {self.token} writes no text: it is special, EOS before the end, or unused{why}"
        place = f" (at {self.pointer})" if self.pointer else ""
        expected = ", ".join(self.expected[:12]) or "the end of the text"
        told = f"token {self.token} {self.text!r} is banned: after {self.text[: self.fits]!r} comes {expected}{place}"
        return f"{told}\n  banned by {reasons}" if reasons else told


class Matcher:
    """The state of one sequence. Not for use by two threads at once; copies are independent.

    Cost: about 10 us to make, 1 us to accept a token, 1 to 3 us for a mask seen before.
    """

    __slots__ = (
        "_address",
        "_arena",
        "_binding",
        "_costed",
        "_ctx",
        "_ended",
        "_kept",
        "_scratch",
        "_states",
        "_text",
        "_version",
        "grammar",
    )

    def __init__(self, grammar: Any, vocab: Vocabulary) -> None:
        self.grammar = grammar
        if grammar.program.specials:
            vocab = vocab.with_specials()
        self._binding: Binding = binding_for(grammar.program, vocab)
        touch(self._binding)
        self._arena: Int64 = np.empty(_ARENA, np.int64)
        size = at.LEVELS + at.LEVEL_WORDS * (vocab.max_token_bytes + 2)
        self._scratch: Int64 = np.empty(size + 2 * at.CFG * (160 + 4 * vocab.max_token_bytes), np.int64)
        self._text: UInt8 = np.empty(_TEXT + 4 * vocab.max_token_bytes, np.uint8)
        self._states: list[int] = []
        self._ended = 0
        self._costed = self._binding.costed
        self._attach()
        self._states.append(self._drive(start))
        if self._binding.begun:
            self._begin()

    def _begin(self) -> None:
        """Make the mask that every text begins with, once for a grammar: nothing of it is left to the first token."""
        with suppress(BudgetExceeded):  # who asks for the mask is told
            self.fill_mask(np.empty(self.vocab.words, np.int32))
        self._binding.begun = False

    def _attach(self) -> None:
        """A context of its own, from the binding's template."""
        binding = self._binding
        self._ctx: Int64 = binding.ctx.copy()
        self._kept = binding.kept
        self._version = binding.version
        self._address = address(self._ctx)
        self._point()

    def _point(self) -> None:
        ctx = self._ctx
        ctx[at.MAT], ctx[at.MAT + 64] = address(self._arena), self._arena.size
        ctx[at.SCR], ctx[at.SCR + 64] = address(self._scratch), self._scratch.size
        ctx[at.TXT], ctx[at.TXT + 64] = address(self._text), self._text.size

    def _drive(self, run: Callable[..., Any], *arguments: Any) -> int:
        """Call a kernel until it has what it needs; the non-negative result, or DEAD."""
        while True:
            status = int(run(self._address, *arguments))
            if status >= 0 or status == at.DEAD:
                return status
            self._supply(status)

    def _supply(self, status: int) -> None:
        if status == at.GROW_MAT:
            top = self._arena.size
            grown = np.empty(2 * top, np.int64)
            grown[:top] = self._arena
            self._arena = grown
            self._point()
        elif status == at.GROW_TXT:
            text = np.empty(2 * self._text.size, np.uint8)
            text[: self._text.size] = self._text
            self._text = text
            self._point()
        elif status == at.GROW_SCR and self._scratch.size < 1 << 22:
            self._scratch = np.empty(2 * self._scratch.size, np.int64)
            self._point()
        else:
            self._binding.answer(status, self._ctx)
            if self._version != self._binding.version:
                self._attach()

    # ------------------------------------------------------------------------------------------------ reading

    @property
    def vocab(self) -> Vocabulary:
        """The vocabulary whose tokens are masked."""
        return self._binding.vocab

    @property
    def n_tokens(self) -> int:
        """Tokens accepted so far, EOS included."""
        return len(self._states) - 1 + self._ended

    def is_accepting(self) -> bool:
        """Whether the text so far is complete and valid."""
        return bool(self._arena[self._states[-1] + 1])

    def is_finished(self) -> bool:
        """Whether EOS was accepted."""
        return self._ended > 0

    def fill_mask(self, row: Int32, budget: int | None = None) -> None:
        """Write the mask: `row` int32[words], bit t % 32 of row[t // 32] set where token t may come; EOS at the end.

        `budget`: tokens that may still be written, this one and EOS included; only tokens from which the text can be
        finished within it stay allowed. After EOS: EOS only.
        """
        if self._ended or (budget is not None and budget <= 1 and self.is_accepting()):
            row[:] = 0
            for eos in self.vocab.eos_ids:
                row[eos >> 5] |= np.int32(np.uint32(1 << (eos & 31)).view(np.int32))
            return
        binding = self._binding
        left = -1 if budget is None else self._budget_left(budget)
        status = at.BUSY
        if left < 0 and self._version == binding.version:
            status = fill_alone(self._address, row)
            if status == _OK:
                return
        with binding.alone:
            if self._version != binding.version:
                self._attach()
            elif status != at.BUSY and binding.is_last(int(self._arena[at.M_TURN])):
                self._supply(status)
            while (status := fill(self._address, row, left)) != _OK:
                self._supply(status)
            if left >= 0:
                self._spend_reserve(row, left)

    def _ready(self) -> int:
        """Address of the context, where a remembered mask can be looked up as it is; else 0."""
        binding = self._binding
        return 0 if self._ended or self._version != binding.version else self._address

    def _spend_reserve(self, row: Int32, left: int) -> None:
        """Where the budget leaves no token: the least above it that leaves one, within the reserve.

        An item would be a repetition: tokens were kept back for it.
        """
        last = left + at.RESERVE * (1 + int(self._arena[at.M_LEVEL]))
        while left < last and not row.any():
            left += 1
            while (status := int(fill(self._address, row, left))) != at.OK:
                self._supply(status)

    def _budget_left(self, budget: int) -> int:
        """The kernel's limit: tokens after this one, EOS apart; -1 where no token can exceed it."""
        left = budget - 2
        if left >= self.min_tokens() + self._binding.growth:
            return -1
        return max(left, 0)

    def min_tokens(self) -> int:
        """Tokens that the shortest completion needs at most, EOS apart. The first call of a grammar prepares tables."""
        if self._ended:
            return 0
        binding = self._binding
        if not binding.costed:
            binding.prepare_costs()
            self._costed = False
        if self._version != binding.version:
            self._attach()
        with binding.alone if self.grammar.program.parsers else nullcontext():  # their distances share an array
            if not self._costed:
                self._drive(recost, np.array(self._states, np.int64))
                self._costed = True
            return self._drive(distance)

    def is_allowed(self, token: int) -> bool:
        """Whether the token may come next."""
        if token in self.vocab.eos_ids:
            return self._ended > 0 or self.is_accepting()
        return self.count_valid((token,)) == 1

    # ------------------------------------------------------------------------------------------------ moving

    def accept(self, token: int) -> bool:
        """Take a token. False: it is not allowed, and nothing has changed."""
        vocab = self._binding.vocab
        if self._ended or token in vocab.eos_ids:
            if token in vocab.eos_ids and (self._ended or self.is_accepting()):
                self._ended += 1
                return True
            return False
        if not 0 <= token < vocab.size:
            return False
        state = int(accept(self._address, token, 0, 0))
        if state < 0:
            if state == at.DEAD:
                return False
            self._supply(state)
            state = self._drive(accept, token, 0, 0)
            if state < 0:
                return False
        self._states.append(state)
        return True

    def accept_bytes(self, data: bytes) -> bool:
        """Take text as if it were one token. False: it is not allowed, and nothing has changed."""
        if self._ended:
            return False
        if not data:
            self._states.append(self._states[-1])
            return True
        buffer = np.frombuffer(data, np.uint8)
        state = self._drive(accept, -1, address(buffer), len(data))
        if state < 0:
            return False
        self._states.append(state)
        return True

    def rollback(self, n_tokens: int) -> None:
        """Take back the last `n_tokens` accepted tokens."""
        if not 0 <= n_tokens <= self.n_tokens:
            raise ValueError(f"cannot take back {n_tokens} of {self.n_tokens} tokens")
        ended = min(self._ended, n_tokens)
        self._ended -= ended
        n_tokens -= ended
        if n_tokens:
            del self._states[-n_tokens:]
            rollback(self._address, self._states[-1], 0)

    def reset(self) -> None:
        """Back to the start."""
        self.rollback(self.n_tokens)

    def copy(self) -> Matcher:
        """An independent matcher in the same state."""
        other = object.__new__(Matcher)
        other.grammar = self.grammar
        other._binding = self._binding
        used = int(self._arena[at.M_TOP])
        other._arena = np.empty(max(_ARENA, used + _ARENA // 2), np.int64)
        other._arena[:used] = self._arena[:used]
        other._scratch = np.empty(self._scratch.size, np.int64)
        other._text = self._text.copy()
        other._states = self._states.copy()
        other._ended = self._ended
        other._costed = self._costed
        other._attach()
        return other

    # ------------------------------------------------------------------------------------------------ looking ahead

    def count_valid(self, tokens: Sequence[int] | Iterable[int]) -> int:
        """How many of the tokens are allowed in turn; the state is unchanged."""
        taken = 0
        for token in tokens:
            if not self.accept(int(token)):
                break
            taken += 1
        self.rollback(taken)
        return taken

    def forced_bytes(self) -> bytes:
        """The only possible continuation, b"" if there is a choice (the end of the text is one)."""
        if self._ended:
            return b""
        out = np.empty(4096, np.uint8)
        return out[: self._drive(forced, out)].tobytes()

    def next_bytes(self) -> bytes:
        """The bytes that may come next, ascending."""
        if self._ended:
            return b""
        found = []
        probe = np.empty(1, np.uint8)
        for byte in range(256):
            probe[0] = byte
            if self._drive(accept, -1, address(probe), 1) >= 0:
                rollback(self._address, self._states[-1], 0)
                found.append(byte)
        return bytes(found)

    def text(self) -> bytes:
        """The text of the accepted tokens."""
        state = self._states[-1]
        end = int(self._arena[state + 2 + at.CFG * int(self._arena[state])])
        return self._text[:end].tobytes()

    def explain(self, token: int) -> Explanation:
        """Why a token is allowed or banned; of a JSON Schema, by which keywords.

        Cost: milliseconds to a second, as the schema is compiled again without some keywords.
        """
        text = self.vocab.token_bytes(token) if 0 <= token < self.vocab.size else b""
        if self.is_allowed(token):
            return Explanation(token, text, True, len(text), (), "")
        fits = 0
        while fits < len(text) and self.accept_bytes(text[: fits + 1]):
            self.rollback(1)
            fits += 1
        other = self
        if fits:
            other = self.copy()
            other.accept_bytes(text[:fits])
        expected = tuple(repr(bytes((b,)))[2:-1] for b in other.next_bytes())
        return Explanation(token, text, False, fits, expected, other.pointer(), self._bans(token, text, fits))

    def _bans(self, token: int, text: bytes, fits: int) -> tuple[Ban, ...]:
        recipe = getattr(self.grammar, "recipe", None)
        if self._ended or recipe is None or recipe["kind"] != "json" or not (text or token in self.vocab.eos_ids):
            return ()
        from grammars.blame import bans

        return bans(recipe, self.text() + text[:fits], text[fits : fits + 1] or None)

    def pointer(self) -> str:
        """Where in the schema the innermost open value is described, "" where that is not known."""
        arena, program = self._arena, self._binding.program
        state = self._states[-1]
        for k in range(int(arena[state])):
            frame = int(arena[state + 2 + at.CFG * k + 2])
            kind, spec = int(arena[frame + at.F_KIND]), int(arena[frame + at.F_SPEC])
            found = program.pointers.get((kind, spec))
            if found:
                return found
        return program.pointers.get((at.K_ROOT, 0), "")


def fill_masks(matchers: Sequence[Matcher | None], rows: Int32, threads: int | None = None) -> None:
    """Masks of a batch: `rows` int32[batch, words]; a matcher that is None leaves all tokens allowed.

    `threads`: how many work on it (default 1; the kernels release the GIL). Masks seen before are copied without a
    lock, new ones of one grammar wait for each other.
    """
    count = len(rows)
    if len(matchers) != count or rows.dtype != np.int32 or (count and not rows[0].flags.c_contiguous):
        raise ValueError(f"{len(matchers)} matchers need as many rows of int32, not {rows.shape} of {rows.dtype}")
    jobs = np.zeros((count, 3), np.int64)
    if count:
        if any(m is not None and m.vocab.words > rows.shape[1] for m in matchers):
            raise ValueError(f"rows of {rows.shape[1]} words are too short for the vocabulary")
        jobs[:, 0] = [0 if m is None else m._ready() for m in matchers]
        jobs[:, 1] = np.arange(count) * rows.strides[0] + address(rows)
    threads = min(threads or 1, count)
    # to wake a thread takes as long as to copy dozens of rows: copies are shared out only where there are many
    apart = threads if rows.nbytes >= _MANY_BYTES else 1

    def some(first: int) -> None:
        recall(jobs.reshape(-1), first, apart)

    def rest(first: int, left: list[int]) -> None:
        for k in left[first::threads]:
            matcher = matchers[k]
            if matcher is None:
                rows[k] = -1
            else:
                matcher.fill_mask(rows[k])

    _together(some, apart, threads)
    left: list[int] = np.flatnonzero(jobs[:, 2] == 0).tolist()
    if left:
        _together(lambda first: rest(first, left), min(threads, len(left)), threads)


def _together(work: Callable[[int], None], parts: int, threads: int) -> None:
    """Run work(0), work(1), ... at once, the first one here."""
    others = [_pool(threads).submit(work, k) for k in range(1, parts)]
    work(0)
    for future in others:
        future.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Kept: to start threads takes longer than to fill a few masks."""
    return ThreadPoolExecutor(threads, thread_name_prefix="guided-masks")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process has none of its parent's threads
