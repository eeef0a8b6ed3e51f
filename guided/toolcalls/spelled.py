"""Formats that spell arguments out one by one instead of writing one JSON object: Python calls, and a tag for each.

name         who                             a call
pythonic     Llama 3.2 and 4, and others     [name(city="Bern", days=2), other(flag=True)]
qwen3_coder  Qwen 3 Coder                    <tool_call>\\n<function=name>\\n<parameter=city>\\nBern\\n</parameter>...

The schema of a tool's arguments must be an object with declared properties; what each of them may be is any schema.
Arguments are written in declared order.
"""

from __future__ import annotations

import ast
import json
import keyword
import re
from collections.abc import Iterable, Sequence
from typing import Any

from grammars import Grammar, Tag, compile_choice, compile_json_schema
from grammars.combine import Field, as_python, bare_strings, compile_fields, either, kinds_of, repeat, then
from grammars.errors import SchemaError, UnsatisfiableSchema, UnsupportedGrammar, UnsupportedSchema
from guided.markers import Markers
from guided.toolcalls.definitions import Tool

__all__ = [
    "PARAMETER_END", "calls_opened", "pythonic_tags", "read_pythonic", "read_tagged", "tagged_call", "tagged_values",
]  # fmt: skip

Calls = list[tuple[str, Any]]
Options = dict[str, Any]

_PLAIN = {
    "type", "properties", "required", "additionalProperties", "unevaluatedProperties", "$defs", "definitions", "title",
    "description", "$schema", "$id", "$comment", "$anchor", "default", "examples", "deprecated", "readOnly",
    "writeOnly",
}  # fmt: skip


def _arguments(tool: Tool, index: int) -> list[tuple[str, dict[str, Any], bool]]:
    """Name, schema and whether it is required, of each argument that can be written.

    Errors: `UnsupportedSchema` for arguments that depend on each other, or are not declared.
    """
    whole = tool.parameters
    address, inner, prefix = whole.get("$id", f"urn:guided:tool-{index}"), whole, "#"
    while "$ref" in inner:
        target = inner["$ref"]
        if not target.startswith("#/") or inner.keys() - {"$ref"} - _PLAIN:
            raise UnsupportedSchema("/$ref", "$ref", "the arguments of a call in this format must be declared in place")
        prefix, inner = target, whole
        for step in target[2:].split("/"):
            inner = inner[step.replace("~1", "/").replace("~0", "~")]
    for key in sorted(inner.keys() - _PLAIN):
        raise UnsupportedSchema(
            f"{prefix[1:]}/{key}",
            key,
            f"the format writes arguments one by one; {tool.name!r} restricts them as a whole",
        )
    declared, required = inner.get("properties", {}), inner.get("required", [])
    for name in required:
        if name not in declared:
            raise UnsupportedSchema(f"{prefix[1:]}/required", "required", f"{name!r} is not among the properties")
    found = []
    for name in declared:
        escaped = name.replace("~", "~0").replace("/", "~1").replace("%", "%25")
        schema = {
            "allOf": [{"$ref": f"{address}{prefix}/properties/{escaped}"}],
            "definitions": {"arguments": {**whole, "$id": address}},
        }
        if "$schema" in whole:
            schema["$schema"] = whole["$schema"]
        if kinds_of(schema):
            found.append((name, schema, name in required))
        elif name in required:
            raise UnsatisfiableSchema(f"{prefix[1:]}/properties/{name}", "a required argument has no valid value")
    return found


def _in_order(options: Options, format: str) -> Options:
    if options["property_order"] != "schema" or options["spelling"] != "canonical":
        raise UnsupportedGrammar(
            f"tool calls of the format {format!r} in another order or spelling",
            'Leave property_order="schema" and spelling="canonical".',
        )
    return options


# ------------------------------------------------------------------------------------------------------- Python calls


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _python_call(tool: Tool, index: int, options: Options) -> Grammar:
    """What follows `name(`, the closing parenthesis included."""
    if not all(_is_name(step) for step in tool.name.split(".")):
        raise SchemaError(f"/{index}", f"{tool.name!r} is no name in Python", 'Rename it, or use format="fenced".')
    fields = []
    for name, schema, required in _arguments(tool, index):
        if not _is_name(name):
            place = f"/{index}/parameters/properties/{name}"
            raise SchemaError(place, f"{name!r} is no name in Python", 'Rename it, or use format="fenced".')
        fields.append(Field(f"{name}=", as_python(compile_json_schema(schema, **options)), required=required))
    return then(compile_fields(fields, _COMMA), ")")


_COMMA = compile_choice([", ", ","])


def pythonic_tags(tools: Sequence[Tool], markers: Markers, parallel: bool, options: Options) -> list[Tag]:
    """A list of calls, which the name of its first one tells from other text."""
    options = _in_order(options, "pythonic")
    calls = [_python_call(tool, index, options) for index, tool in enumerate(tools)]
    rest: Grammar | str = "]"
    if parallel:
        named = either(*(then(f"{tool.name}(", call) for tool, call in zip(tools, calls, strict=True)))
        rest = then(repeat(then(_COMMA, named)), "]")
    return [Tag(f"[{tool.name}(", then(call, rest)) for tool, call in zip(tools, calls, strict=True)]


def calls_opened(names: Iterable[str]) -> str:
    """Pattern of a place where a list of calls begins."""
    return r"\[(?=(?:" + "|".join(map(re.escape, names)) + r")\()"


_TOKEN = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\[\](){}]|[^"'\[\](){}]+""", re.DOTALL)


def read_pythonic(text: str, at: int) -> tuple[Calls, int]:
    """The calls of the list that begins before `at`, and where it ends."""
    depth, end = 1, at
    while depth:
        match = _TOKEN.match(text, end)
        if match is None:
            raise ValueError("the list of calls has no end")
        depth += (match.group() in "[({") - (match.group() in "])}")
        end = match.end()
    tree = ast.parse(text[at - 1 : end], mode="eval").body
    found: Calls = []
    for call in tree.elts if isinstance(tree, ast.List) else ():
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError("an item of the list is no call with named arguments")
        arguments = {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
        found.append((ast.unparse(call.func), arguments))
    return found, end


# ------------------------------------------------------------------------------------------------------- tags

PARAMETER_END = "\n</parameter>"
_TAGS = ("</parameter>", "<parameter=", "</function>", "<function=", "<tool_call>", "</tool_call>")


def tagged_call(tools: Sequence[Tool], markers: Markers, parallel: bool, options: Options) -> Grammar:
    """A function, and a tag with bare text for each argument; what is no string stands there as JSON."""
    options = _in_order(options, "qwen3_coder")
    calls = []
    for index, tool in enumerate(tools):
        for name in (tool.name, *tool.parameters.get("properties", ())):
            if re.search(r"[<>\s]", name):
                raise SchemaError(
                    f"/{index}", f"{name!r} does not fit into a tag", 'Rename it, or use format="hermes".'
                )
        fields = [
            Field(f"<parameter={name}>\n", _bare(schema, options), f"{PARAMETER_END}\n", required)
            for name, schema, required in _arguments(tool, index)
        ]
        calls.append(then(f"\n<function={tool.name}>\n", compile_fields(fields), "</function>\n"))
    return either(*calls)


def _bare(schema: dict[str, Any], options: Options) -> Grammar:
    """A value: strings as they stand, apart from those that the other values would be taken for."""
    kinds = kinds_of(schema)
    others = sorted(kinds - {"string"})
    if "string" not in kinds:
        return compile_json_schema(schema, **options)
    words = bare_strings(schema, without=_TAGS, apart=others)
    if not others:
        return words
    rest = {**schema, "allOf": [*schema["allOf"], {"not": {"type": "string"}}]}
    return either(words, compile_json_schema(rest, **options))


# an end stands at the beginning of a line, where no JSON string and none of our bare ones can have it
_FUNCTION = re.compile(r"\s*<function=([^>]*)>(.*?)\n</function>\s*", re.DOTALL)
_PARAMETER = re.compile(r"\s*<parameter=([^>]*)>\n?(.*?)\n</parameter>", re.DOTALL)


def read_tagged(text: str, at: int) -> tuple[Calls, int]:
    """The call at `at`, its arguments as texts, and where it ends."""
    match = _FUNCTION.match(text, at)
    if match is None:
        raise ValueError("the function has no end")
    arguments: dict[str, str] = {}
    place = match.start(2)
    while text[place : match.end(2)].strip():
        found = _PARAMETER.match(text, place, match.end(2))
        if found is None:
            raise ValueError("a parameter has no end")
        arguments[found.group(1)] = found.group(2)
        place = found.end()
    return [(match.group(1), arguments)], match.end()


def tagged_values(tool: Tool, arguments: dict[str, str]) -> dict[str, Any]:
    """The values of arguments that were read as texts, by the tool's schema."""
    schemas = {name: schema for name, schema, _ in _arguments(tool, 0)}
    return {name: _value_of(schemas[name], text) for name, text in arguments.items()}


_WORDS = {"True": True, "False": False, "None": None}


def _value_of(schema: dict[str, Any], text: str) -> Any:
    kinds = kinds_of(schema)
    if kinds == {"string"}:
        return text
    try:
        value = _WORDS[text.strip()] if text.strip() in _WORDS else json.loads(text, parse_constant=_no_number)
    except ValueError:
        if "string" in kinds:
            return text
        raise
    names = {bool: "boolean", type(None): "null", int: "number", float: "number", list: "array", dict: "object"}
    return text if "string" in kinds and names.get(type(value), "string") not in kinds else value


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
