"""Composition: any number of processors become one, in the one right order; a list of length one holds it.

`generate` inspects each processor's signature at each step (30 µs each), refuses lists within lists, and drops
processors that compare equal. So `a + b` makes one `FusedProcessor` with the parts inside, ordered by stage, and every
constructor of `guided` gives a `ProcessorList`, which is a `LogitsProcessorList` of length one.

A part may only re-weight what is allowed. Parts of this project keep that rule by themselves (`mask_transparent`);
behind a constraint every other one is watched: tokens that it revives are banned again, and where it bans all that is
left, the row keeps the scores it had.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, SupportsIndex

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from processors.constraint import ConstraintProcessor
from processors.errors import CompositionError
from processors.paged import guard_continuous_batching
from processors.stage import Stage

__all__ = ["FusedProcessor", "ProcessorList", "compose", "stage_of"]

Processor = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def stage_of(processor: Processor) -> Stage:
    """A processor's stage; those that declare none (all of transformers') belong to sampling."""
    return Stage(getattr(processor, "stage", Stage.SAMPLING))


def compose(*processors: Any) -> ProcessorList:
    """One list of one processor from processors and (nested) lists of them; the same as adding them up."""
    return ProcessorList(processors)


class FusedProcessor(LogitsProcessor):
    """Several processors as one. `parts` are ordered by stage, and within a stage as the user wrote them."""

    supports_continuous_batching = False

    def __init__(self, parts: Iterable[Processor]) -> None:
        self.parts = tuple(sorted(parts, key=stage_of))
        constraints = [part for part in self.parts if stage_of(part) is Stage.CONSTRAINT]
        if len(constraints) > 1:
            raise CompositionError(
                "two constraints cannot be joined token by token: they may agree on every next token and on no text",
                'Write one that means both, such as {"allOf": [first, second]}.',
            )
        guarded = bool(constraints)
        if constraints and isinstance(constraints[0], ConstraintProcessor):
            self.parts = tuple(_bound(part, constraints[0]) for part in self.parts)
        self._steps = [(part, guarded and not getattr(part, "mask_transparent", False)) for part in self.parts]

    @property
    def stage(self) -> Stage:
        """The first part's."""
        return stage_of(self.parts[0])

    def announce(self) -> None:
        """Pass on that a new generation begins."""
        for part in self.parts:
            if (hear := getattr(part, "announce", None)) is not None:
                hear()

    def prefetch(self, input_ids: torch.Tensor, new: int) -> None:
        """Tell the parts of a draft, the last `new` ids, whose positions come next (`SteeringProcessor`)."""
        for part in self.parts:
            if (hear := getattr(part, "prefetch", None)) is not None:
                hear(input_ids, new)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """All parts in order; input_ids [rows, length], scores [rows, width]."""
        for part, guarded in self._steps:
            scores = _keep_banned(scores, part(input_ids, scores.clone())) if guarded else part(input_ids, scores)
        return scores

    def __repr__(self) -> str:
        return f"FusedProcessor({', '.join(type(part).__name__ for part in self.parts)})"


FusedProcessor.__call__.__signature__ = inspect.signature(FusedProcessor.__call__)  # type: ignore[attr-defined]


def _bound(part: Any, constraint: ConstraintProcessor) -> Any:
    """A part that looks ahead is told what it may look at: it gives itself, bound to the constraint."""
    bind = getattr(part, "under", None)
    return part if bind is None else bind(constraint)


def _keep_banned(before: Any, after: Any) -> Any:
    """`after`, except that what was banned stays banned, and rows without anything left are as before."""
    banned = torch.full((), float("-inf"), dtype=after.dtype, device=after.device)
    after = torch.where(before == banned, banned, after)
    return torch.where((after == banned).all(dim=-1, keepdim=True), before.to(after.dtype), after)


def _holds_ours(argument: Any) -> bool:
    """Whether a `logits_processor` argument is, or contains, a list or processor made here."""
    if isinstance(argument, (ProcessorList, ConstraintProcessor, FusedProcessor)):
        return True
    return isinstance(argument, (list, tuple)) and any(_holds_ours(item) for item in argument)


class ProcessorList(LogitsProcessorList):
    """What goes into `generate(logits_processor=...)`: a list of at most one processor.

    `a + b`, `[x] + a`, `a.append(x)` compose; the operands may be processors of transformers, plain callables and lists
    of them. Compared by identity. Reading the list from inside `generate` tells the processor that a generation begins.
    """

    def __init__(self, processors: Iterable[Any] = ()) -> None:
        super().__init__()
        guard_continuous_batching(_holds_ours)
        self._fuse(processors)

    def _fuse(self, processors: Iterable[Any]) -> None:
        parts = list(_flat(processors))
        list.__setitem__(self, slice(None), parts if len(parts) < 2 else [FusedProcessor(parts)])

    @property
    def parts(self) -> tuple[Processor, ...]:
        """The processors inside, in the order in which they run."""
        return tuple(_flat([self]))

    def __iter__(self) -> Iterator[Any]:
        if sys._getframe(1).f_globals.get("__name__", "").startswith("transformers.generation"):
            for processor in list.__iter__(self):
                if (hear := getattr(processor, "announce", None)) is not None:
                    hear()
        return list.__iter__(self)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Apply the processor: input_ids [rows, length], scores [rows, width]. So a list may stand in another list."""
        for processor in list.__iter__(self):
            scores = processor(input_ids, scores)
        return scores

    def __add__(self, other: Any) -> ProcessorList:
        return ProcessorList([self, other])

    def __radd__(self, other: Any) -> ProcessorList:
        return ProcessorList([other, self])

    def __iadd__(self, other: Any) -> ProcessorList:
        self._fuse([*list.__iter__(self), other])
        return self

    def __or__(self, other: Any) -> ProcessorList:
        """Texts of either constraint; both lists hold just a constraint, or one operand is a string."""
        from grammars.combine import either
        from processors.combined import combine

        return combine(either, [self, other])

    def __ror__(self, other: Any) -> ProcessorList:
        from grammars.combine import either
        from processors.combined import combine

        return combine(either, [other, self])

    def __and__(self, other: Any) -> ProcessorList:
        """Texts of both constraints, see `grammars.combine.both`: exact, or `UnsupportedGrammar`."""
        from grammars.combine import both
        from processors.combined import combine

        return combine(both, [self, other])

    def parse(self, written: str | Iterable[int], prompt: int = 0) -> Any:
        """The value of a finished output under the constraint in this list (of prompt `prompt` of a batch).

        `written`: what was generated, without the prompt, as text or as ids (a list, or a row of a tensor). Ids are the
        safer ones where special tokens have a meaning, as in tool calls.

        Errors: `CompositionError` without a constraint; what its reader raises (`ParseError`) for other texts.
        """
        for part in self.parts:
            if isinstance(part, ConstraintProcessor):
                constraint = part.constraints[prompt if part.per_prompt else 0]
                return written if constraint is None else constraint.parse(written)
        raise CompositionError(f"{self!r} has no constraint to read a text by", "Call parse of guided.json(...) or so.")

    def append(self, other: Any) -> None:
        """Compose with `other` in place."""
        self._fuse([*list.__iter__(self), other])

    def extend(self, others: Iterable[Any]) -> None:
        """Compose with `others` in place."""
        self._fuse([*list.__iter__(self), *others])

    def insert(self, index: SupportsIndex, other: Any) -> None:
        """As `append`, in front when `index` is 0; across stages the order is fixed anyway."""
        own = list(list.__iter__(self))
        self._fuse([other, *own] if index.__index__() == 0 else [*own, other])

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def __repr__(self) -> str:
        return f"ProcessorList({', '.join(type(part).__name__ for part in self.parts)})"


ProcessorList.__call__.__signature__ = inspect.signature(ProcessorList.__call__)  # type: ignore[attr-defined]


def _flat(processors: Iterable[Any]) -> Iterator[Processor]:
    for processor in processors:
        if isinstance(processor, FusedProcessor):
            yield from processor.parts
        elif isinstance(processor, list | tuple):
            yield from _flat(list.__iter__(processor) if isinstance(processor, list) else processor)
        elif callable(processor) and not isinstance(processor, type):
            _check_signature(processor)
            yield processor
        else:
            raise CompositionError(
                f"{processor!r} is not a logits processor",
                "A processor is called with (input_ids, scores) and gives scores.",
            )


def _check_signature(processor: Any) -> None:
    """What `generate` would refuse at the first step is refused here, where the user can see which one it is."""
    if isinstance(processor, ConstraintProcessor):
        return
    try:
        parameters = inspect.signature(processor).parameters.values()
    except (TypeError, ValueError):
        return
    needed = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    starred = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(needed) > 2 or (len(needed) < 2 and not starred and len(parameters) < 2):
        raise CompositionError(
            f"{type(processor).__name__} does not take exactly (input_ids, scores)",
            "Bind the other arguments first, with functools.partial or in __init__.",
        )
