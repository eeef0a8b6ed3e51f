"""`guided.tools`: the constraint of a model that may, or must, call tools."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from grammars import compile_tagged
from grammars.errors import SchemaError, TokenizerError
from guided.combinators import constrain
from guided.markers import markers_of, tokenizer_meant
from guided.parsing import ParseError
from guided.tokenizers import EosIds, resolve_vocabulary
from guided.toolcalls.definitions import Tool, read_tools
from guided.toolcalls.formats import FORMATS, ToolFormat, detect, read_reply
from guided.toolcalls.reply import ToolReply
from processors.composition import ProcessorList
from processors.constraint import OnBudget

__all__ = ["tools"]


def tools(
    tools: Iterable[Any],
    *,
    format: str | ToolFormat = "auto",
    tool_choice: str = "auto",
    parallel: bool = True,
    property_order: Literal["schema", "any"] = "schema",
    whitespace: Literal["default", "compact", "any"] = "default",
    spelling: Literal["canonical", "any"] = "canonical",
    tokenizer: Any = None,
    model: Any = None,
    eos_ids: EosIds = None,
    max_new_tokens: int | None = None,
    on_budget: OnBudget = "finish",
    prefix: str | bytes = "",
) -> ProcessorList:
    """The output is free text with tool calls in it, each of which is valid: a known name, arguments of its schema.

    `tools`         OpenAI-style definitions, functions, or pydantic models, mixed as you like
    `format`        how this model writes a call: a name of `guided.toolcalls.FORMATS`, or "auto", by the chat template
    `tool_choice`   "auto": calls or none; "required": one at least; the name of a tool: that one, once at least
    `parallel`      False: one call at most

    Outside of calls nothing is changed: the scores are those of the model, bit for bit, except that a token which would
    begin a call and go on wrongly is banned, and EOS while a call is due. Give `model=` where its head is wider than
    the tokenizer. The other options are those of `guided.json`.

    `parse(ids)` of the result gives a `ToolReply`: `text`, and `calls`, with typed arguments where the tool is a
    function or a model. `call()` runs a function.

    Errors: `SchemaError` for what is no tool, and for a `tool_choice` that names none; `TokenizerError` where the chat
    template does not tell the format; the others are those of `guided.json`.
    """
    known = read_tools(tools)
    vocabulary = resolve_vocabulary(tokenizer, model, eos_ids)
    chosen = _format(format, tokenizer_meant(tokenizer, vocabulary))
    if tool_choice not in ("auto", "required"):
        known = [tool for tool in known if tool.name == tool_choice]
        if not known:
            raise SchemaError("", f"tool_choice={tool_choice!r} names none of the tools", "Use a name of the list.")
    markers = markers_of(tokenizer, vocabulary)
    options = {"property_order": property_order, "whitespace": whitespace, "spelling": spelling}
    grammar = compile_tagged(
        chosen.tags(known, markers, parallel, options),
        at_least=0 if tool_choice == "auto" else 1,
        at_most=None if parallel and not chosen.several else 1,
    )
    by_name = {tool.name: tool for tool in known}
    return constrain(
        grammar,
        tokenizer=vocabulary,
        max_new_tokens=max_new_tokens,
        on_budget=on_budget,
        prefix=prefix,
        reader=lambda text: _read(chosen, by_name, text),
        decode=lambda ids: markers.decode(ids, vocabulary),
    )


def _format(given: str | ToolFormat, tokenizer: Any) -> ToolFormat:
    if isinstance(given, ToolFormat):
        return given
    if given in FORMATS:
        return FORMATS[given]
    listed = ", ".join(FORMATS)
    if given != "auto":
        raise ValueError(f"format={given!r} is none of auto, {listed}")
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):  # several templates: one of them is for tools
        template = template.get("tool_use") or template.get("default")
    found = detect(template) if isinstance(template, str) else None
    if found is None:
        raise TokenizerError(
            "the chat template does not tell how this model writes tool calls", f"Give format=: {listed}."
        )
    return found


def _read(chosen: ToolFormat, known: dict[str, Tool], text: str) -> ToolReply:
    try:
        outside, found = read_reply(chosen, text, known)
        if chosen.values is not None:
            found = [(name, chosen.values(known[name], arguments)) for name, arguments in found]
        return ToolReply(outside, tuple(known[name].call(arguments) for name, arguments in found))
    except (ValueError, KeyError, SyntaxError) as error:
        if isinstance(error, ParseError):
            raise
        raise ParseError(f"a tool call of the format {chosen.name!r} is not whole", text) from error
