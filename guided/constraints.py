"""The constraints: what a user writes into `generate(logits_processor=...)`.

Each function compiles a grammar (kept for the next call with the same arguments, masks included), reads the tokenizer
(kept as well) and gives a `ProcessorList` with one `ConstraintProcessor`. `a + b` composes it with other processors.
"""

from __future__ import annotations

import functools
import json as _json
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Literal

from grammars import (
    Grammar,
    Matcher,
    Vocabulary,
    compile_choice,
    compile_json_schema,
    compile_regex,
    compile_substring,
    compile_words,
)
from guided.parsing import reader
from guided.schemas import json_schema
from guided.tokenizers import EosIds, resolve_vocabulary
from processors.combined import only_constraint
from processors.composition import ProcessorList
from processors.constraint import Constraint, ConstraintProcessor, OnBudget

__all__ = ["any_json", "batch", "choice", "json", "regex", "substring", "words"]

_KEPT = 128  # compiled grammars of each kind


class _Grammars:
    """The last grammars, so that a constraint made anew for each request finds its masks again."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Grammar] = {}

    def get(self, key: Hashable, compile_it: Callable[[], Grammar]) -> Grammar:
        grammar = self._kept.pop(key, None) or compile_it()
        self._kept[key] = grammar  # the newest stands last
        if len(self._kept) > _KEPT:
            self._kept.pop(next(iter(self._kept)), None)
        return grammar


_grammars = _Grammars()


def json(
    schema: Any,
    *,
    tokenizer: Any = None,
    model: Any = None,
    eos_ids: EosIds = None,
    property_order: Literal["schema", "any"] = "schema",
    whitespace: Literal["default", "compact", "any"] = "default",
    spelling: Literal["canonical", "any"] = "canonical",
    format: Literal["assert", "annotate"] = "assert",
    content: Literal["assert", "annotate"] = "annotate",
    registry: Any = None,
    max_new_tokens: int | None = None,
    on_budget: OnBudget = "finish",
    prefix: str | bytes = "",
) -> ProcessorList:
    """The output is a JSON document that is valid under `schema`.

    `schema`           dict, bool, JSON text, or (with pydantic) a model, dataclass, TypedDict, Enum, annotation, or a
                       function, for its arguments
    `tokenizer`        of the model that generates; default: `guided.use_tokenizer`. A `Vocabulary` will do
    `model`            if given, its generation config says which ids end a text (else the tokenizer's, or `eos_ids`)
    `property_order`   "schema": keys in declared order, as models are trained to write them; "any": in every order
    `whitespace`       "default": what json.dumps prints, compact, plain or indented; "compact"; "any": RFC 8259
    `spelling`         "canonical": values as json.dumps(..., ensure_ascii=False) prints them; "any": every legal form
    `format`           "assert": known formats are enforced; "annotate": as the standard's default, they are not
    `content`          "annotate", the standard's default, or "assert": `contentEncoding` (base64 and its kin) and
                       `contentMediaType: application/json` are enforced
    `registry`         a `referencing.Registry` for remote references
    `max_new_tokens`   tell the constraint the limit that `generate` gets, and the document is complete within it: near
                       the limit only what can still be completed is allowed (`on_budget="cut"`: do not)
    `prefix`           the prompt already ends with this much of the document

    `guided.json(Person).parse(text)` gives the typed value of what was written, see `guided.parse`.

    Errors: `SchemaError`, `UnsatisfiableSchema`, `UnsupportedSchema` with a JSON pointer; `BudgetExceeded` when not
    even the shortest document fits into `max_new_tokens`; `GenerationError` when no document begins with `prefix`;
    `TokenizerError` without a tokenizer, or when its bytes cannot be read.
    """
    specification = json_schema(schema)
    options: dict[str, Any] = {
        "property_order": property_order,
        "whitespace": whitespace,
        "spelling": spelling,
        "format": format,
        "content": content,
    }
    compile_it = functools.partial(compile_json_schema, specification, registry=registry, **options)
    text = _text(specification) if registry is None else None
    grammar = compile_it() if text is None else _grammars.get(("json", text, *options.values()), compile_it)
    return _constrain(grammar, tokenizer, model, eos_ids, max_new_tokens, on_budget, prefix, reader(schema))


def any_json(**options: Any) -> ProcessorList:
    """The output is a JSON document, any; the options are those of `guided.json`."""
    return json(True, **options)


def regex(
    pattern: str,
    *,
    tokenizer: Any = None,
    model: Any = None,
    eos_ids: EosIds = None,
    max_new_tokens: int | None = None,
    on_budget: OnBudget = "finish",
    prefix: str | bytes = "",
) -> ProcessorList:
    """The whole output matches `pattern`: what Python's `re` and ECMA-262 share; Unicode as UTF-8.

    Errors: `RegexError` with the offset, also for what is not regular (lookaround, back-references); the others are
    those of `guided.json`.
    """
    grammar = _grammars.get(("regex", pattern), lambda: compile_regex(pattern))
    return _constrain(grammar, tokenizer, model, eos_ids, max_new_tokens, on_budget, prefix)


def choice(
    options: Iterable[str],
    *,
    tokenizer: Any = None,
    model: Any = None,
    eos_ids: EosIds = None,
    max_new_tokens: int | None = None,
    on_budget: OnBudget = "finish",
    prefix: str | bytes = "",
) -> ProcessorList:
    """The output is one of some strings; thousands of them are fine.

    Errors: `GrammarError` when there is none; the others are those of `guided.json`.
    """
    given = (options,) if isinstance(options, str) else tuple(options)
    grammar = _grammars.get(("choice", given), lambda: compile_choice(given))
    return _constrain(grammar, tokenizer, model, eos_ids, max_new_tokens, on_budget, prefix)


def substring(
    text: str,
    *,
    boundary: Literal["characters", "words"] = "characters",
    tokenizer: Any = None,
    model: Any = None,
    eos_ids: EosIds = None,
    max_new_tokens: int | None = None,
    on_budget: OnBudget = "finish",
    prefix: str | bytes = "",
) -> ProcessorList:
    """The output is a span of `text`, copied letter by letter; thousands of words are fine.

    `boundary`: "words": a span neither begins nor ends inside a word. A span may begin with the space before a word,
    as most tokens do. The other options are those of `guided.json`.

    Errors: `GrammarError` for an empty text; the others are those of `guided.json`.
    """
    grammar = _grammars.get(("substring", boundary, text), lambda: compile_substring(text, boundary=boundary))
    return _constrain(grammar, tokenizer, model, eos_ids, max_new_tokens, on_budget, prefix)


def words(
    required: Iterable[str | Sequence[str]] = (),
    forbidden: Iterable[str] = (),
    *,
    whole_words: bool = True,
    ignore_case: bool = False,
    within: str | Grammar | None = None,
    tokenizer: Any = None,
    model: Any = None,
    eos_ids: EosIds = None,
    max_new_tokens: int | None = None,
    on_budget: OnBudget = "finish",
    prefix: str | bytes = "",
) -> ProcessorList:
    """The output holds all `required` words and no `forbidden` one; it may end once the required ones have occurred.

    `required`      words or phrases; a list among them holds forms of which one must occur
    `whole_words`   "cat" does not occur in "concatenate"
    `ignore_case`   simple case mappings
    `within`        a pattern, or a regular grammar, that the output matches as well
    `max_new_tokens` lets the missing words be written in time; the other options are those of `guided.json`

    >>> guided.words(["river", ["swim", "swims", "swam"]], ["very"], tokenizer=tokenizer)  # doctest: +SKIP

    Errors: `GrammarError` for empty words, and for conditions that exclude each other; `UnsupportedGrammar` for a
    `within` that is not regular; the others are those of `guided.json`.
    """
    grammar = compile_words(required, forbidden, whole_words=whole_words, ignore_case=ignore_case)
    if within is not None:
        grammar = grammar & (compile_regex(within) if isinstance(within, str) else within)
    return _constrain(grammar, tokenizer, model, eos_ids, max_new_tokens, on_budget, prefix)


def batch(constraints: Sequence[ProcessorList | None]) -> ProcessorList:
    """Another constraint for each prompt of a batch; None leaves a prompt's output free.

    With `num_return_sequences` or beams every row of a prompt is under the prompt's constraint.

    >>> guided.batch([guided.json(first), None, guided.regex("[a-z]+")])  # doctest: +SKIP

    Errors: `CompositionError` for items that are not plain constraints of one tokenizer. Compose the batch instead:
    `guided.batch([...]) + other`.
    """
    owners = [None if item is None else only_constraint(item) for item in constraints]
    return ProcessorList([ConstraintProcessor(owners, per_prompt=True)])


def _constrain(
    grammar: Grammar,
    tokenizer: Any,
    model: Any,
    eos_ids: EosIds,
    max_new_tokens: int | None,
    on_budget: OnBudget,
    prefix: str | bytes,
    read: Callable[[str], Any] | None = None,
) -> ProcessorList:
    vocabulary = resolve_vocabulary(tokenizer, model, eos_ids)
    return made_of(grammar, vocabulary, prefix, max_new_tokens, on_budget, read)


def made_of(
    grammar: Grammar,
    vocabulary: Vocabulary,
    prefix: str | bytes,
    max_new_tokens: int | None,
    on_budget: OnBudget,
    read: Callable[[str], Any] | None = None,
    decode: Callable[[list[int]], str] | None = None,
) -> ProcessorList:
    """The constraint of a compiled grammar; for what the others mean see `guided.constrain`."""
    constraint = Constraint(
        functools.partial(Matcher, grammar, vocabulary),
        vocabulary,
        prefix=prefix.encode() if isinstance(prefix, str) else bytes(prefix),
        max_new_tokens=max_new_tokens,
        on_budget=on_budget,
        grammar=grammar,
        reader=read,
        decode=decode,
    )
    return ProcessorList([ConstraintProcessor([constraint])])


def _text(specification: dict[str, Any] | bool) -> str | None:
    """A schema as a key, the order of its keys included; None for one with values that are no JSON."""
    try:
        return _json.dumps(specification)
    except (TypeError, ValueError):
        return None
