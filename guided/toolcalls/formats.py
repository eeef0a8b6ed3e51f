"""How families of models write tool calls: the markers around them, the grammar of a call, and reading it back.

A format is a record of functions. `regions` gives the regions of `guided.tagged`: trigger, body, end; `read` gives
(name, arguments) of each call of a region. Markers are written as the tokenizer has them: as one
special token where it has one of that text.

name          who                                     a call
hermes        Hermes, Qwen 2.5 and 3, SmolLM 3        <tool_call>\\n{"name": ..., "arguments": ...}\\n</tool_call>
llama3        Llama 3.1 to 3.3 (JSON)                 {"name": ..., "parameters": ...}, also behind <|python_tag|>
mistral       Mistral before v11 (2024)               [TOOL_CALLS] [{"name": ..., "arguments": ...}, ...]
mistral_v11   Mistral from v11 on                     [TOOL_CALLS]name[ARGS]{...}
deepseek      DeepSeek V3, R1                         <begin><one>function<sep>name\\n```json\\n{...}\\n```<end>...
deepseek_v31  DeepSeek V3.1                           <begin><one>name<sep>{...}<end>...
granite       Granite 3                               <|tool_call|>[{"name": ..., "arguments": ...}, ...]
phi4          Phi-4 mini                              <|tool_call|>[...]<|/tool_call|>
pythonic      Llama 3.2 and 4, and others             [name(city="Bern", days=2), ...]             (`spelled`)
qwen3_coder   Qwen 3 Coder                            <tool_call>\\n<function=name>\\n<parameter=...  (`spelled`)
fenced        any model that is told to               ```json\\n[{"name": ..., "arguments": ...}, ...]\\n```
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from grammars import Grammar, Tag, compile_choice, compile_json_schema, compile_regex
from grammars.combine import either, repeat, then
from guided.markers import Markers
from guided.toolcalls.definitions import Tool
from guided.toolcalls.spelled import (
    calls_opened,
    pythonic_tags,
    read_pythonic,
    read_tagged,
    tagged_call,
    tagged_values,
)

__all__ = ["FORMATS", "ToolFormat", "detect", "read_reply"]

Calls = list[tuple[str, Any]]
Options = dict[str, Any]


@dataclass(frozen=True)
class ToolFormat:
    """One way to write calls.

    `trigger`, `end`: texts around a region. `body(tools, markers, parallel, options)`: what stands between them, one
    call or a list of them; `read(text)`: the calls of such a body. `several`: a region holds several calls, so
    that at most one region is written. `signs`: texts in a chat template that tell of the format; the most wins.
    `regions` makes all regions where there is no body, and `opens(names)` is the pattern of the
    places at which they begin. `values(tool, arguments)` makes values of arguments that are read as texts.
    """

    name: str
    trigger: str
    body: Callable[[Sequence[Tool], Markers, bool, Options], Grammar] | None  # None: see `regions`
    read: Callable[[str, int], tuple[Calls, int]]
    end: str = ""
    several: bool = False
    signs: tuple[str, ...] = ()
    bare: str = ""  # text with which a call may begin without the trigger; part of the body
    regions: Callable[[Sequence[Tool], Markers, bool, Options], list[Tag]] | None = None
    opens: Callable[[Iterable[str]], str] | None = None
    values: Callable[[Tool, dict[str, str]], dict[str, Any]] | None = None

    def tags(self, tools: Sequence[Tool], markers: Markers, parallel: bool, options: Options) -> list[Tag]:
        """The regions of the format."""
        if self.body is None:
            assert self.regions is not None
            return self.regions(tools, markers, parallel, options)
        body = self.body(tools, markers, parallel, options)
        end = markers.end(self.end) if self.end else None
        tags = [Tag(markers.marker(self.trigger), body, end)]
        if self.bare:
            tags.append(Tag(self.bare, _bare_call(tools, options)))
        return tags


def _envelope(tool: Tool, key: str, index: int) -> dict[str, Any]:
    parameters = tool.parameters
    if re.search(r'"\$(ref|dynamicRef)":', json.dumps(parameters)) and "$id" not in parameters:
        if "$ref" in parameters:
            rest = {name: value for name, value in parameters.items() if name != "$ref"}
            parameters = rest | {"allOf": [*rest.get("allOf", ()), {"$ref": parameters["$ref"]}]}
        parameters = {"$id": f"urn:guided:tool-{index}"} | parameters
    return {
        "type": "object",
        "properties": {"name": {"const": tool.name}, key: parameters},
        "required": ["name", key],
        "additionalProperties": False,
    }


def _object(tools: Sequence[Tool], key: str, options: Options) -> Grammar:
    """One call as an object."""
    return compile_json_schema({"anyOf": [_envelope(tool, key, i) for i, tool in enumerate(tools)]}, **options)


def _array(tools: Sequence[Tool], key: str, parallel: bool, options: Options) -> Grammar:
    """A list of calls."""
    items = {"anyOf": [_envelope(tool, key, i) for i, tool in enumerate(tools)]}
    most = {} if parallel else {"maxItems": 1}
    return compile_json_schema({"type": "array", "items": items, "minItems": 1} | most, **options)


def _named(tool: Tool, before: str, between: Grammar | str, after: str, options: Options) -> Grammar:
    """The name outside of the JSON, which holds the arguments alone."""
    return then(before, tool.name, between, compile_json_schema(tool.parameters, **options), after)


_LINE = compile_regex(r"\n?")


def _hermes(tools: Sequence[Tool], markers: Markers, parallel: bool, options: Options) -> Grammar:
    return then(_LINE, _object(tools, "arguments", options), _LINE)


def _llama(tools: Sequence[Tool], markers: Markers, parallel: bool, options: Options) -> Grammar:
    call = _object(tools, "parameters", options)
    return then(call, repeat(then(compile_choice(["; ", ";"]), call))) if parallel else call


_BARE = '{"name": "'


def _bare_call(tools: Sequence[Tool], options: Options) -> Grammar:
    """Llama 3 often leaves the tag out: what follows `{"name": "`."""
    calls = [_named(tool, "", '", "parameters": ', "}", options) for tool in tools]
    return either(*calls)


def _list(tools: Sequence[Tool], markers: Markers, parallel: bool, options: Options) -> Grammar:
    return then(compile_regex(r"[ \n]?"), _array(tools, "arguments", parallel, options))


def _mistral_v11(tools: Sequence[Tool], markers: Markers, parallel: bool, options: Options) -> Grammar:
    return either(*(_named(tool, "", markers.text("[ARGS]"), "", options) for tool in tools))


_BEGIN, _FINISH = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
_ONE, _SEP, _DONE = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"


def _deepseek(tools: Sequence[Tool], markers: Markers, parallel: bool, options: Options) -> Grammar:
    call = then(
        markers.text(f"{_ONE}function{_SEP}"),
        either(*(_named(tool, "", "\n```json\n", "\n```", options) for tool in tools)),
        markers.text(_DONE),
    )
    return then(call, repeat(then(_LINE, call))) if parallel else call


def _deepseek_v31(tools: Sequence[Tool], markers: Markers, parallel: bool, options: Options) -> Grammar:
    call = then(
        markers.text(_ONE),
        either(*(_named(tool, "", markers.text(_SEP), "", options) for tool in tools)),
        markers.text(_DONE),
    )
    return repeat(call, 1) if parallel else call


# ------------------------------------------------------------------------------------------------------- reading


_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"\s*")
_NEXT = re.compile(r"\s*;\s*(?=\{)")


def _value(text: str, at: int) -> tuple[Any, int]:
    """The JSON value at `at`, blanks before it skipped, and where it ends."""
    match = _BLANKS.match(text, at)
    return _DECODER.raw_decode(text, match.end() if match else at)


def _calls(value: Any) -> Calls:
    """Of an object or a list of objects."""
    items = value if isinstance(value, list) else [value]
    return [(item["name"], item["arguments"] if "arguments" in item else item["parameters"]) for item in items]


def _read_json(text: str, at: int) -> tuple[Calls, int]:
    value, at = _value(text, at)
    found = _calls(value)
    while (match := _NEXT.match(text, at)) is not None:
        value, at = _value(text, match.end())
        found += _calls(value)
    return found, at


def _read_mistral_v11(text: str, at: int) -> tuple[Calls, int]:
    split = text.index("[ARGS]", at)
    value, end = _value(text, split + len("[ARGS]"))
    return [(text[at:split], value)], end


def _read_named(before: str, between: str, after: str) -> Callable[[str, int], tuple[Calls, int]]:
    """Calls of the form before name between {...} after, one after another."""

    def read(text: str, at: int) -> tuple[Calls, int]:
        found = []
        while text.startswith(before, match.end() if (match := _BLANKS.match(text, at)) else at):
            at = text.index(before, at) + len(before)
            split = text.index(between, at)
            value, end = _value(text, split + len(between))
            found.append((text[at:split], value))
            at = text.index(after, end) + len(after)
        return found, at

    return read


_read_deepseek = _read_named(f"{_ONE}function{_SEP}", "\n```json\n", f"\n```{_DONE}")
_read_deepseek_v31 = _read_named(_ONE, _SEP, _DONE)


def read_reply(one: ToolFormat, text: str, names: Iterable[str] = ()) -> tuple[str, Calls]:
    """The text outside of the calls, and the calls. `names`: of the tools.

    Errors: `ValueError` or `KeyError` for a call that is not whole.
    """
    outside, found, at = "", [], 0
    starts = [re.escape(start) for start in (one.trigger, one.bare) if start]
    opening = re.compile(one.opens(names) if one.opens else "|".join(starts))
    while (match := opening.search(text, at)) is not None:
        bare = bool(one.bare) and match.group() == one.bare
        outside += text[at : match.start()]
        calls, at = one.read(text, match.start() if bare else match.end())
        found += calls
        if one.end and not bare:
            blanks = _BLANKS.match(text, at)
            at = text.index(one.end.strip(), blanks.end() if blanks else at) + len(one.end.strip())
    return outside + text[at:], found


FORMATS: dict[str, ToolFormat] = {
    one.name: one
    for one in (
        ToolFormat("hermes", "<tool_call>", _hermes, _read_json, "</tool_call>", signs=("<tool_call>",)),
        ToolFormat("llama3", "<|python_tag|>", _llama, _read_json, several=True, signs=('"parameters":',), bare=_BARE),
        ToolFormat("mistral", "[TOOL_CALLS]", _list, _read_json, several=True, signs=("[TOOL_CALLS]",)),
        ToolFormat("mistral_v11", "[TOOL_CALLS]", _mistral_v11, _read_mistral_v11, signs=("[TOOL_CALLS]", "[ARGS]")),
        ToolFormat("deepseek", _BEGIN, _deepseek, _read_deepseek, _FINISH, True, signs=(_BEGIN, "```json")),
        ToolFormat("deepseek_v31", _BEGIN, _deepseek_v31, _read_deepseek_v31, _FINISH, True, signs=(_BEGIN,)),
        ToolFormat("granite", "<|tool_call|>", _list, _read_json, several=True, signs=("<|tool_call|>",)),
        ToolFormat(
            "phi4", "<|tool_call|>", _list, _read_json, "<|/tool_call|>", True, ("<|tool_call|>", "<|/tool_call|>")
        ),
        ToolFormat(
            "pythonic",
            "[",
            None,
            read_pythonic,
            several=True,
            signs=("func_name1(params_name1=",),
            regions=pythonic_tags,
            opens=calls_opened,
        ),
        ToolFormat(
            "qwen3_coder",
            "<tool_call>",
            tagged_call,
            read_tagged,
            "</tool_call>",
            signs=("<tool_call>", "<function=", "<parameter="),
            values=tagged_values,
        ),
        ToolFormat("fenced", "```json", _list, _read_json, "\n```", several=True),
    )
}
"""By name; add to it for a model that is not here."""


def detect(template: str) -> ToolFormat | None:
    """The format that a chat template writes calls in: all its signs are there, and it has the most of them."""
    found = [one for one in FORMATS.values() if one.signs and all(sign in template for sign in one.signs)]
    return max(found, key=lambda one: (len(one.signs), len("".join(one.signs))), default=None)
