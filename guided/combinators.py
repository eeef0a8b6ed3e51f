"""Constraints out of constraints: `then`, `optional`, `repeat`, and `constrain`, which makes one of a grammar.

    guided.then("Total: ", guided.regex(r"[0-9]+"), "\\n", guided.json(schema) | "none")

The parts are constraints, compiled grammars (`guided.compile_regex(...)`), or strings, which stand for themselves. With
a constraint among them, or `tokenizer=`, the result is a constraint; of grammars and strings alone, a grammar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grammars import Grammar, combine
from guided.constraints import made_of
from guided.tokenizers import EosIds, resolve_vocabulary
from processors.combined import grammars_of, only_constraint
from processors.composition import ProcessorList
from processors.constraint import OnBudget

__all__ = ["constrain", "optional", "repeat", "then"]


def constrain(
    what: Grammar | ProcessorList,
    *,
    tokenizer: Any = None,
    model: Any = None,
    eos_ids: EosIds = None,
    max_new_tokens: int | None = None,
    on_budget: OnBudget = "finish",
    prefix: str | bytes = "",
    reader: Callable[[str], Any] | None = None,
    decode: Callable[[list[int]], str] | None = None,
) -> ProcessorList:
    """The output is a text of a compiled grammar, or of a constraint, which gets other options by that.

    `reader`: makes the value of a finished text, for `parse` (a constraint's own otherwise), and `decode` the text of
    ids. The other options are
    those of `guided.json`.

    >>> guided.constrain(guided.json(schema) | "none", max_new_tokens=60)  # doctest: +SKIP

    Errors: as `guided.json`; `CompositionError` for a list with other processors.
    """
    if isinstance(what, Grammar):
        grammar, vocabulary = what, resolve_vocabulary(tokenizer, model, eos_ids)
    else:
        constraint = only_constraint(what)
        grammar, reader, decode = constraint.grammar, reader or constraint.reader, decode or constraint.decode
        given = tokenizer is not None or model is not None or eos_ids is not None
        vocabulary = resolve_vocabulary(tokenizer, model, eos_ids) if given else constraint.vocabulary  # type: ignore[assignment]
    return made_of(grammar, vocabulary, prefix, max_new_tokens, on_budget, reader, decode)


def _build(build: Callable[..., Grammar], parts: tuple[Any, ...], options: dict[str, Any]) -> Any:
    grammars, vocabulary = grammars_of(parts)
    grammar = build(*grammars)
    if vocabulary is None and not options:
        return grammar
    if vocabulary is not None and not {"tokenizer", "model", "eos_ids"} & options.keys():
        options = options | {"tokenizer": vocabulary}
    return constrain(grammar, **options)


def then(*parts: Any, **options: Any) -> Any:
    """A text of each part in turn. The options are those of `guided.constrain`.

    Errors: `UnsupportedGrammar` for JSON parts that differ in `whitespace` or `spelling`, and for parts of a kind that
    cannot be combined; `CompositionError` for parts with a prefix or a limit of their own.
    """
    return _build(combine.then, parts, options)


def optional(one: Any, **options: Any) -> Any:
    """A text of the part, or nothing. The options are those of `guided.constrain`."""
    return _build(combine.optional, (one,), options)


def repeat(one: Any, low: int = 0, high: int | None = None, **options: Any) -> Any:
    """`low` to `high` (None: any number of) texts of the part in a row. The options are those of `guided.constrain`.

    Errors: `ValueError` for bounds that make no sense, `BudgetExceeded` for more than 10,000 copies.
    """
    return _build(lambda grammar: combine.repeat(grammar, low, high), (one,), options)
