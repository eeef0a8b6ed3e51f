"""`ConstraintProcessor`: the hard mask of a grammar as a logits processor of transformers.

Sits between `grammars` (a `Matcher` per sequence gives packed masks) and `generate` (scores in, scores out). It knows
nothing but the ids it is shown, see `processors.prefix`. When a generation begins:

- `ProcessorList` announces it: `generate` reads the list once, before its first step. The next call in that thread is
  the first of a new document, whatever came before, and its length is the length of the prompt.
- Where a processor was taken out of its list (own loops, `[*guided.json(...)]`), nothing announces anything. Then a
  call goes on with a known generation if each row is a known sequence, cut anywhere, plus at most one id, or plus
  several that are all legal; any other call begins a new generation. So an output that was cut short and comes back as
  a prompt goes on there, where the list would begin anew: give each generation an object of its own to be sure.

Answers for odd rows. A row whose text has left the language (beam sampling draws banned tokens when few are allowed;
foreign drafts), or goes on after its end: EOS only. Everything that is allowed was banned by an earlier processor:
the allowed tokens get score 0, and a warning once. A call from an assistant with another tokenizer: scores unchanged.
"""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from transformers import LogitsProcessor

from grammars.errors import BudgetExceeded, TokenizerError
from processors.callers import called_by_foreign_assistant
from processors.errors import CompositionError, DeadEnd, GenerationError, UnsupportedGeneration
from processors.kernels import EMPTY, MASKED, REVIVED, Masker
from processors.prefix import EXTENDS, LEAPS, REVISITS, Cursor, Generation
from processors.reading import IdsReader
from processors.stage import Stage

__all__ = ["Constraint", "ConstraintProcessor", "ConstraintWarning", "OnBudget"]

OnBudget = Literal["finish", "cut"]

_REMEMBERED = 8  # generations that are kept: interleaved loops on one object


class ConstraintWarning(UserWarning):
    """Something that another processor did to a constraint's row."""


class VocabularyLike(Protocol):
    """What the processor needs of `grammars.Vocabulary`."""

    size: int
    words: int
    eos_ids: tuple[int, ...]

    def token_bytes(self, token: int) -> bytes:
        """What a token writes."""
        ...


@dataclass(frozen=True, eq=False)
class Constraint:
    """What one sequence may be: a way to make matchers, and how the text begins and must end.

    `grammar` is what the matchers follow, for those who combine constraints; `reader` makes a value of a finished text
    and `decode` a text of ids (`parse`); all of them may be missing. `start` makes a matcher at the beginning of the
    text; `prefix` has already been written, by the prompt; `max_new_tokens` is the limit given to `generate` (EOS
    counts), and with `on_budget="finish"` only tokens from which the text can still be completed within it are allowed.
    Immutable and shared; compared by identity.

    Errors: `GenerationError` when the text cannot begin with `prefix`; `BudgetExceeded` when not even the shortest text
    fits into `max_new_tokens`.
    """

    start: Callable[[], Any]
    vocabulary: VocabularyLike
    prefix: bytes = b""
    max_new_tokens: int | None = None
    on_budget: OnBudget = "finish"
    grammar: Any = None
    reader: Callable[[str], Any] | None = None

    decode: Callable[[list[int]], str] | None = None

    def parse(self, written: str | Iterable[int]) -> Any:
        """The value of a finished output, text or ids (to EOS), that goes on from `prefix`; its text without a reader.

        Of ids, special tokens are left out but for those that the constraint speaks of.
        """
        if not isinstance(written, str):
            ids: list[int] = []
            for token in map(int, written):
                if token in self.vocabulary.eos_ids:
                    break
                ids.append(token)
            if self.decode is not None:
                written = self.decode(ids)
            else:
                written = b"".join(map(self.vocabulary.token_bytes, ids)).decode("utf-8", "replace")
        whole = self.prefix.decode() + written
        return whole if self.reader is None else self.reader(whole)

    def __post_init__(self) -> None:
        if self.on_budget not in ("finish", "cut"):
            raise GenerationError(f"on_budget={self.on_budget!r} is unknown", 'Use "finish" or "cut".')
        if not self.vocabulary.eos_ids:
            raise TokenizerError(
                "the vocabulary has no end-of-sequence token, so no text could ever end",
                "Give eos_ids=[...], or model=, whose generation_config names them.",
            )
        matcher = self.start()
        if self.prefix and not matcher.accept_bytes(self.prefix):
            raise GenerationError(
                f"no text of this constraint begins with the prefix {self.prefix.decode('utf-8', 'replace')!r}",
                "Give the part of the text that the prompt ends with, spelled as the constraint spells it.",
            )
        object.__setattr__(self, "_template", matcher)
        if self.budget is not None:
            row = np.zeros(self.vocabulary.words, dtype=np.int32)
            matcher.fill_mask(row, budget=self.budget)
            if not row.any():
                least = matcher.min_tokens() + 1
                raise BudgetExceeded(
                    "max_new_tokens",
                    self.budget,
                    least,
                    f"The shortest text takes {least} tokens with its EOS: give more, or on_budget='cut'.",
                )

    @property
    def budget(self) -> int | None:
        """Tokens of a whole generation within which the text must end, or None."""
        return self.max_new_tokens if self.on_budget == "finish" else None

    def begin(self) -> Cursor:
        """A new sequence, after the prefix."""
        return Cursor(self._template.copy(), self.vocabulary.size)  # type: ignore[attr-defined]


class ConstraintProcessor(LogitsProcessor):
    """Scores of banned tokens become -inf, in a copy. One constraint for all rows, or one (or None) for each prompt.

    Called by `generate` with input_ids int64 [rows, length] and scores [rows, width] of any float type on any device;
    row r belongs to prompt r // (rows / prompts). One object may serve any number of generations, also from several
    threads. Cost beside the mask itself: README of the benchmarks; about 10 µs a step for one row on the CPU.

    Errors: `UnsupportedGeneration` for 1-D input_ids (`generate_batch`, paged caches), `TokenizerError` when the scores
    cannot belong to the constraint's tokenizer, `GenerationError` when the rows are no multiple of the constraints,
    `DeadEnd` when no token can follow.
    """

    supports_continuous_batching = False
    stage = Stage.CONSTRAINT
    mask_transparent = True

    def __init__(self, constraints: Sequence[Constraint | None], *, per_prompt: bool = False) -> None:
        self.constraints = tuple(constraints)
        self.per_prompt = per_prompt
        given = [constraint for constraint in self.constraints if constraint is not None]
        if not given or (not per_prompt and len(self.constraints) != 1):
            raise CompositionError("a constraint processor needs at least one constraint (one, unless per prompt)")
        vocabulary = given[0].vocabulary
        for constraint in given[1:]:
            if constraint.vocabulary is not vocabulary and constraint.vocabulary.eos_ids != vocabulary.eos_ids:
                raise CompositionError(
                    "the constraints of one batch were built for different tokenizers",
                    "Give all of them the same tokenizer= and model=.",
                )
        self._vocabulary = vocabulary
        self._end_row = _packed(vocabulary.eos_ids, vocabulary.words)
        self._generations: list[Generation] = []  # the last used one first
        self._announced: set[int] = set()
        self._reader = IdsReader()
        self._warned = False
        self._lock = threading.Lock()

    def announce(self) -> None:
        """The next call of this thread is the first of a new generation."""
        self._announced.add(threading.get_ident())

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Masked copy of `scores`; `scores` itself when the call comes from an assistant with another tokenizer."""
        if input_ids.dim() != 2 or scores.dim() != 2:
            raise UnsupportedGeneration(
                f"input_ids have shape {tuple(input_ids.shape)}: a constraint needs whole sequences [rows, length]",
                "Continuous batching (generate_batch, paged caches) shows only the last tokens: use plain generate().",
            )
        with self._lock:
            generation = self._generation(self._reader.read(input_ids), scores.shape[1])
            if generation is None:
                return scores
            return self._mask(generation, scores)

    @property
    def words(self) -> int:
        """Length of a packed mask row, int32 words."""
        return self._vocabulary.words

    def branch(self, input_ids: torch.Tensor, rows: Sequence[int]) -> list[tuple[Cursor | None, int | None]]:
        """Where the given rows of input_ids [rows, length] stand, to go on from freely, for who looks ahead.

        input_ids are those of the last call of a generation. For each row a copy of its cursor (None: no constraint)
        and the tokens that its budget has left (None: no limit). Errors: `GenerationError` for other ids.
        """
        with self._lock:
            ids = self._reader.read(input_ids)
            for generation in self._generations:
                if np.array_equal(generation.ids[:, : generation.length], ids):
                    budgets, written = generation.workspace.budgets, generation.generated
                    found = [(generation.cursors[r], budgets[r]) for r in rows]
                    return [(c and c.copy(), None if b is None else max(b - written, 0)) for c, b in found]
        raise GenerationError("the constraint was not called with these ids", "Compose it with what looks ahead.")

    def _generation(self, ids: npt.NDArray[np.int64], width: int) -> Generation | None:
        """The generation that this call belongs to, moved to it; None for a call that is none of our business."""
        thread = threading.get_ident()
        announced = thread in self._announced
        if not announced and (generation := self._known(ids, width, thread)) is not None:
            return generation
        if called_by_foreign_assistant():
            return None
        if not announced:
            for generation in self._generations:
                if generation.workspace.width == width and generation.compare(ids) == LEAPS:
                    return self._follow(generation, ids, thread)
        self._check_width(width)
        generation = self._begin(ids)
        generation.workspace = self._workspace(generation, width)
        self._announced.discard(thread)
        self._generations.insert(0, generation)
        del self._generations[_REMEMBERED:]
        return generation

    def _known(self, ids: npt.NDArray[np.int64], width: int, thread: int) -> Generation | None:
        """The generation that `ids` go on from: one of this thread, one that loses nothing, the last used, in turn."""
        best, best_rank = None, -1
        for generation in self._generations:
            if generation.workspace.width == width:
                fit = generation.compare(ids)
                own = generation.thread == thread
                if own and fit == EXTENDS:
                    return self._follow(generation, ids, thread)
                if fit >= REVISITS and (rank := 2 * own + (fit == EXTENDS)) > best_rank:
                    best, best_rank = generation, rank
        return None if best is None else self._follow(best, ids, thread)

    def _follow(self, generation: Generation, ids: npt.NDArray[np.int64], thread: int) -> Generation:
        generation.follow(ids)
        generation.thread = thread
        if self._generations[0] is not generation:
            self._generations.remove(generation)
            self._generations.insert(0, generation)
        if generation.workspace.count != ids.shape[0]:
            generation.workspace = self._workspace(generation, generation.workspace.width)
        return generation

    def _check_width(self, width: int) -> None:
        """A head may be padded, or lack ids that the tokenizer added; but not by a half."""
        size = self._vocabulary.size
        if not size * 0.75 <= width <= size * 1.5 + 1024:
            raise TokenizerError(
                f"the scores are {width} wide, but the constraint's tokenizer has {size} tokens",
                "Build the constraint with the tokenizer of the model that generates.",
            )

    def _begin(self, ids: npt.NDArray[np.int64]) -> Generation:
        rows, prompts = ids.shape[0], len(self.constraints)
        if rows % prompts:
            raise GenerationError(
                f"{rows} rows for {prompts} constraints",
                "guided.batch() needs one constraint (or None) for each prompt of the batch.",
            )
        expand = rows // prompts
        owners = [self.constraints[row // expand] for row in range(rows)]
        cursors = [None if owner is None else owner.begin() for owner in owners]
        return Generation(ids, cursors, prompts)

    def _workspace(self, generation: Generation, width: int) -> _Workspace:
        rows, prompts = len(generation.cursors), len(self.constraints)
        owners = [self.constraints[row * prompts // rows] for row in range(rows)]
        return _Workspace(owners, width, self._vocabulary.words)

    def _mask(
        self, generation: Generation, scores: torch.Tensor, unlimited: frozenset[int] = frozenset()
    ) -> torch.Tensor:
        """Fill the mask rows and apply them; those of `unlimited` rows whatever their budgets are."""
        workspace: _Workspace = generation.workspace
        masker, budgets, written = workspace.masker, workspace.budgets, generation.generated
        if unlimited:
            budgets = [None if r in unlimited else limit for r, limit in enumerate(budgets)]
        masker.before_writing()
        for r, cursor in enumerate(generation.cursors):
            if cursor is None:
                continue
            row = masker.row[r]
            if cursor.legal < written:
                row[:] = self._end_row
            elif (limit := budgets[r]) is None or limit <= written:
                cursor.matcher.fill_mask(row)
            elif limit == written + 1 and cursor.matcher.is_accepting():
                row[:] = self._end_row  # the last token: nothing but the end
            else:
                cursor.matcher.fill_mask(row, budget=limit - written)
        out, worst = masker.apply(scores)
        if worst == MASKED:
            return out
        states = masker.states()
        if worst == EMPTY:
            empty = [r for r, state in enumerate(states) if state == EMPTY]
            over = [r for r in empty if budgets[r] is not None]
            if not over:
                self._dead_end(generation, empty[0])
            # Cut short is better than nothing. In this call only: the row may be behind a draft that is not taken.
            return self._mask(generation, scores, unlimited.union(over))
        if not self._warned:
            self._warn(generation, states)
        return out

    def _warn(self, generation: Generation, states: list[int]) -> None:
        """Rows that have ended, or left the language, are no news: their scores are thrown away or allow EOS only."""
        written = generation.generated
        for state, cursor in zip(states, generation.cursors, strict=False):
            if state == REVIVED and cursor is not None and cursor.legal == written and not cursor.matcher.is_finished():
                self._warned = True
                warnings.warn(
                    "an earlier processor (min_new_tokens, suppress_tokens, bad_words_ids, no_repeat_ngram_size, ...) "
                    "banned every token that the constraint allows; they were allowed again. Said once per constraint.",
                    ConstraintWarning,
                    stacklevel=4,
                )
                return

    def _dead_end(self, generation: Generation, row: int) -> None:
        written = generation.ids[row, generation.prompt_length : generation.length].tolist()
        spell = getattr(self._vocabulary, "token_bytes", lambda _: b"?")
        raise DeadEnd(
            row,
            b"".join(spell(token) for token in written if 0 <= token < self._vocabulary.size),
            "The vocabulary cannot spell this constraint, or its tokens lie beyond the scores' width.",
        )


# `generate` inspects the signature of every processor at every step; a prepared one saves 19 of 32 µs.
ConstraintProcessor.__call__.__signature__ = inspect.signature(ConstraintProcessor.__call__)  # type: ignore[attr-defined]


class _Workspace:
    """Mask rows and budgets for the rows of a generation."""

    __slots__ = ("budgets", "count", "masker", "width")

    def __init__(self, owners: Sequence[Constraint | None], width: int, words: int) -> None:
        self.count, self.width = len(owners), width
        self.budgets = [None if owner is None else owner.budget for owner in owners]
        self.masker = Masker(len(owners), width, words, untouched=[owner is None for owner in owners])


def _packed(tokens: Sequence[int], words: int) -> npt.NDArray[np.int32]:
    row = np.zeros(words, dtype=np.uint32)
    for token in tokens:
        row[token >> 5] |= np.uint32(1 << (token & 31))
    return row.view(np.int32)
