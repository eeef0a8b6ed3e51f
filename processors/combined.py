"""Constraints made out of constraints: the grammars of the parts are combined, and one matcher follows the result.

What `a | b` and `a & b` of two lists do, and `guided.then` and its like use. (`a + b` is something else: processors
that run one after another, of which only one can be a constraint.)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from grammars import Grammar, Matcher
from processors.composition import ProcessorList
from processors.constraint import Constraint, ConstraintProcessor
from processors.errors import CompositionError

__all__ = ["combine", "grammars_of", "only_constraint"]


def only_constraint(item: Any) -> Constraint:
    """The constraint of a list that holds just one.

    Errors: `CompositionError` for anything else.
    """
    parts = item.parts if isinstance(item, ProcessorList) else (item,)
    if len(parts) == 1 and isinstance(parts[0], ConstraintProcessor) and len(parts[0].constraints) == 1:
        constraint = parts[0].constraints[0]
        if constraint is not None:
            return constraint
    raise CompositionError(
        f"{item!r} is not one constraint",
        "Give guided.json(...), guided.regex(...) or the like; compose with other processors after that.",
    )


def grammars_of(parts: Sequence[Any]) -> tuple[list[Grammar | str], Any]:
    """Grammars and strings as they are, those of constraints, and the vocabulary of the latter (None: no constraint).

    Errors: `CompositionError` for constraints of several tokenizers, or with a prefix or a limit of their own.
    """
    found: list[Grammar | str] = []
    vocabulary: Any = None
    for one in parts:
        if isinstance(one, (Grammar, str)):
            found.append(one)
            continue
        constraint = only_constraint(one)
        if constraint.grammar is None:
            raise CompositionError(f"{one!r} does not say which grammar it follows", "Set Constraint(grammar=...).")
        if constraint.prefix or constraint.max_new_tokens is not None:
            raise CompositionError(
                "a part of a combination has a prefix= or max_new_tokens= of its own",
                "Give them to the whole: guided.constrain(a | b, max_new_tokens=...).",
            )
        if vocabulary is not None and constraint.vocabulary is not vocabulary:
            raise CompositionError("the parts were built for different tokenizers", "Give all of them the same one.")
        vocabulary = constraint.vocabulary
        found.append(constraint.grammar)
    return found, vocabulary


def combine(
    build: Callable[..., Grammar], parts: Sequence[Any], *, reader: Callable[[str], Any] | None = None
) -> ProcessorList:
    """The constraint of `build(*grammars of the parts)`. Texts are read as the part that accepts them would."""
    grammars, vocabulary = grammars_of(parts)
    if vocabulary is None:
        raise CompositionError("no constraint among the operands", "Combine grammars by grammars.combine.")
    grammar = build(*grammars)
    if reader is None:
        readers = [(only_constraint(one).reader if isinstance(one, ProcessorList) else None) for one in parts]
        if any(readers):
            reader = functools.partial(_read, list(zip(grammars, readers, strict=True)), vocabulary)
    start = functools.partial(Matcher, grammar, vocabulary)
    constraint = Constraint(start, vocabulary, grammar=grammar, reader=reader)
    return ProcessorList([ConstraintProcessor([constraint])])


def _read(parts: list[tuple[Grammar | str, Callable[[str], Any] | None]], vocabulary: Any, text: str) -> Any:
    """The text, read by the first part with a reader that accepts it as a whole."""
    for grammar, reader in parts:
        if reader is not None and isinstance(grammar, Grammar):
            matcher = Matcher(grammar, vocabulary)
            if matcher.accept_bytes(text.encode()) and matcher.is_accepting():
                return reader(text)
    return text
