"""Free text around constrained regions: `guided.tagged`, and `guided.think`, reason first and answer in a form."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grammars import Grammar, Marker, Matcher, Tag, Vocabulary, compile_regex, compile_tagged
from grammars.combine import compile_until, either, marker_grammar
from grammars.combine import then as in_turn
from grammars.limited import LimitedMatcher
from guided.combinators import constrain
from guided.markers import markers_of, tokenizer_meant
from guided.parsing import ParseError
from guided.tokenizers import EosIds, resolve_vocabulary
from processors.combined import grammars_of, only_constraint
from processors.composition import ProcessorList
from processors.constraint import Constraint, ConstraintProcessor, OnBudget
from processors.errors import CompositionError

__all__ = ["Region", "TaggedText", "tagged", "think"]


@dataclass(frozen=True)
class Region:
    """A region of a text: its trigger, what stands in it, and the value of that."""

    trigger: str
    text: str
    value: Any


@dataclass(frozen=True)
class TaggedText:
    """A text with regions: what stands outside of them, and they."""

    text: str
    regions: tuple[Region, ...] = ()


def tagged(
    tags: Tag | Sequence[Tag],
    *,
    at_least: int = 0,
    at_most: int | None = None,
    tokenizer: Any = None,
    model: Any = None,
    eos_ids: EosIds = None,
    max_new_tokens: int | None = None,
    on_budget: OnBudget = "finish",
    prefix: str | bytes = "",
) -> ProcessorList:
    """The output is free text until a trigger, then a text of that tag's body, its end, and free text again.

    `tags`      `guided.Tag(trigger, body, end)`, one or several: `body` is a constraint, a compiled grammar or a
                string. Trigger and end are texts; a special token of that text counts as well, if there is one
    `at_least`, `at_most`   how many regions (None: any number)

    >>> block = guided.Tag("```json\\n", guided.json(schema), "\\n```")  # doctest: +SKIP
    >>> guided.tagged(block, at_least=1, at_most=1)  # doctest: +SKIP

    A trigger need not begin with a token: what of it was written by the end of one token counts. In free text the
    scores are the model's own, bit for bit, except that a token which would complete a trigger and go on wrongly is
    banned, and EOS while a region is due. Give `model=` where its head is wider than the tokenizer.
    The other options are those of `guided.json`.

    `parse(ids)` gives a `TaggedText`: the text outside, and the regions with their values.

    Errors: `GrammarError` for triggers that are empty, equal or never reached; `CompositionError` for bodies that
    are no constraint; the others are those of `guided.json`.
    """
    listed = [tags] if isinstance(tags, Tag) else list(tags)
    grammars, found = grammars_of([tag.body for tag in listed])
    vocabulary = _vocabulary(tokenizer, model, eos_ids, found)
    markers = markers_of(tokenizer, vocabulary)
    made = [
        Tag(
            markers.marker(tag.trigger) if isinstance(tag.trigger, str) else tag.trigger,
            body,
            markers.end(tag.end) if tag.end and isinstance(tag.end, str) else tag.end or None,
        )
        for tag, body in zip(listed, grammars, strict=True)
    ]
    readers = [only_constraint(tag.body).reader if isinstance(tag.body, ProcessorList) else None for tag in listed]
    parts = [
        (_text(tag.trigger), body if isinstance(body, Grammar) else in_turn(body), _text(tag.end), read)
        for tag, body, read in zip(listed, grammars, readers, strict=True)
    ]
    return constrain(
        compile_tagged(made, at_least=at_least, at_most=at_most),
        tokenizer=vocabulary,
        max_new_tokens=max_new_tokens,
        on_budget=on_budget,
        prefix=prefix,
        reader=lambda text: _read(parts, vocabulary, text),
        decode=lambda ids: markers.decode(ids, vocabulary),
    )


def _text(marker: Marker | str | None) -> str:
    return marker.text if isinstance(marker, Marker) else marker or ""


def _vocabulary(tokenizer: Any, model: Any, eos_ids: EosIds, found: Any) -> Vocabulary:
    if tokenizer is None and model is None and eos_ids is None and found is not None:
        return found  # type: ignore[no-any-return]
    vocabulary = resolve_vocabulary(tokenizer, model, eos_ids)
    if found is not None and found is not vocabulary and found.fingerprint != vocabulary.fingerprint:
        raise CompositionError("the bodies were built for another tokenizer", "Give all of them the same one.")
    return vocabulary


def _read(parts: list[tuple[str, Grammar, str, Any]], vocabulary: Vocabulary, text: str) -> TaggedText:
    outside, at = "", 0
    regions: list[Region] = []
    while True:
        places = [
            (text.index(part[0], at) + len(part[0]), -len(part[0]), part) for part in parts if part[0] in text[at:]
        ]
        if not places:
            return TaggedText(outside + text[at:], tuple(regions))
        start, _, (trigger, body, end, read) = min(places, key=lambda place: place[:2])
        outside += text[at : start - len(trigger)]
        stop = _stop(Matcher(body, vocabulary), text, start, end)
        if stop is None:
            raise ParseError(f"the region after {trigger!r} is not whole", text[start:])
        inner = text[start:stop]
        regions.append(Region(trigger, inner, inner if read is None else read(inner)))
        at = stop + len(end)


def _stop(matcher: Matcher, text: str, start: int, end: str) -> int | None:
    """Where the region ends that begins at `start`: at the first end after a whole body, or as late as it can."""
    last = None
    for at in range(start, len(text) + 1):
        if matcher.is_accepting() and text.startswith(end, at):
            last = at
            if end:
                return last
        if at == len(text) or not matcher.accept_bytes(text[at].encode()):
            break
    return last


def think(
    answer: Any,
    *,
    start: str = "<think>",
    end: str = "</think>",
    opened: bool | None = None,
    required: bool = True,
    max_thinking_tokens: int | None = None,
    tokenizer: Any = None,
    model: Any = None,
    eos_ids: EosIds = None,
    max_new_tokens: int | None = None,
    on_budget: OnBudget = "finish",
    prefix: str | bytes = "",
) -> ProcessorList:
    """Reason freely first, then answer in a form: `start`, free text, `end`, up to two new lines, a text of `answer`.

    `answer`     a constraint, a compiled grammar or a string
    `opened`     whether the prompt ends with `start` already, as with many chat templates; None: see what the
                 tokenizer's chat template does
    `required`   False: the answer may come at once (only where the prompt has not opened it)

    `max_thinking_tokens`   by then `end` has been written, wherever the thinking stands

    The other options are those of `guided.json`; with `max_new_tokens` the thinking ends in time for the answer.
    `parse` gives the value of the answer.

    Errors: those of `guided.json`; `CompositionError` for an `answer` that is none of these; `BudgetExceeded` for
    `max_thinking_tokens` that do not suffice for `end`; `ValueError` for them where thinking may be left out.
    """
    (body,), found = grammars_of([answer])
    vocabulary = _vocabulary(tokenizer, model, eos_ids, found)
    markers = markers_of(tokenizer, vocabulary)
    if opened is None:
        opened = _opens(tokenizer_meant(tokenizer, vocabulary), start)
    until = markers.marker(end)
    grammar = in_turn(compile_until(until), compile_regex("\\n{0,2}"), body)
    if not opened:
        grammar = in_turn(marker_grammar(markers.marker(start)), grammar)
        if not required:
            grammar = either(body, grammar)
    read = only_constraint(answer).reader if isinstance(answer, ProcessorList) else None

    def parse(text: str) -> Any:
        rest = text.partition(end)[2].lstrip("\n") if end in text and (opened or text.startswith(start)) else text
        return rest if read is None else read(rest)

    options: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "on_budget": on_budget,
        "prefix": prefix,
        "reader": parse,
        "decode": lambda ids: markers.decode(ids, vocabulary),
    }
    if max_thinking_tokens is None:
        return constrain(grammar, tokenizer=vocabulary, **options)
    if not required:
        raise ValueError("max_thinking_tokens needs required=True: the first token must tell that there is thinking")
    part = compile_until(until, rest=True)
    begin = functools.partial(LimitedMatcher, grammar, part, max_thinking_tokens, vocabulary)
    options["prefix"] = prefix.encode() if isinstance(prefix, str) else bytes(prefix)
    return ProcessorList([ConstraintProcessor([Constraint(begin, vocabulary, **options)])])


def _opens(tokenizer: Any, start: str) -> bool:
    """Whether the chat template ends a prompt with `start`."""
    if not getattr(tokenizer, "chat_template", None):
        return False
    try:
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": "?"}], add_generation_prompt=True, tokenize=False
        )
    except Exception:  # templates may raise what they like
        return False
    return str(prompt).rstrip().endswith(start)
