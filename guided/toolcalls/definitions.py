"""Tools as users have them -> `Tool`: a name, a JSON Schema of the arguments, and how to read them back.

A definition is what the OpenAI API takes: {"type": "function", "function": {"name", "parameters"}}, or the inner part
alone; `input_schema` stands for `parameters` as in Anthropic's API. A function is its own definition, a pydantic model
(or dataclass) one whose arguments are its fields.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from grammars.errors import SchemaError
from guided.parsing import Call, reader
from guided.schemas import json_schema

__all__ = ["Tool", "read_tools"]


@dataclass(frozen=True)
class Tool:
    """One tool. `parameters` is closed at the top: an argument that is not declared could not be passed on."""

    name: str
    parameters: dict[str, Any]
    read: Callable[[str], Any]
    function: Callable[..., Any] | None = None

    def call(self, arguments: Any, id: str | None = None) -> Call:
        """The call with arguments as JSON gives them, made typed where the tool is a function or a type."""
        value = self.read(json.dumps(arguments))
        if isinstance(value, Call):
            return Call(self.name, value.arguments, self.function, id)
        return Call(self.name, value if isinstance(value, dict) else {"value": value}, self.function, id)


def read_tools(given: Iterable[Any]) -> list[Tool]:
    """The tools of a list, in order.

    Errors: `SchemaError`, whose pointer begins with the tool's place in the list, for what is no definition, and for
    names that are used twice.
    """
    tools = [_read(one, f"/{index}") for index, one in enumerate(given)]
    if not tools:
        raise SchemaError("", "there are no tools", "Give at least one.")
    for index, tool in enumerate(tools):
        if tool.name in [other.name for other in tools[:index]]:
            raise SchemaError(f"/{index}", f"a second tool is named {tool.name!r}", "Give each its own name.")
    return tools


def _read(given: Any, place: str) -> Tool:
    if isinstance(given, Tool):
        return given
    if isinstance(given, dict):
        return _definition(given, place)
    schema = json_schema(given)
    assert isinstance(schema, dict)
    if schema.get("type") != "object" and "$ref" not in schema:
        raise SchemaError(place, f"{given!r} is no object of arguments", "Give a function, a model or a definition.")
    if inspect.isroutine(given):
        return Tool(given.__name__, _closed(schema), reader(given), given)
    return Tool(getattr(given, "__name__", place), _closed(schema), _instance_reader(given), given)


def _instance_reader(kind: Any) -> Callable[[str], Any]:
    """A model as a tool: its fields are the arguments, each of its type."""
    read = reader(kind)

    def arguments(text: str) -> Any:
        value = read(text)
        return dict(value) if hasattr(value, "__iter__") else dict(vars(value))

    return arguments


def _definition(given: dict[str, Any], place: str) -> Tool:
    inner = given.get("function", given)
    name = inner.get("name") if isinstance(inner, dict) else None
    if not isinstance(name, str) or not name:
        raise SchemaError(place, "a tool needs a name", 'Give {"type": "function", "function": {"name": ...}}.')
    parameters = inner.get("parameters", inner.get("input_schema", {}))
    if not isinstance(parameters, dict):
        raise SchemaError(f"{place}/parameters", "the parameters of a tool are no JSON Schema", "Give an object.")
    return Tool(name, _closed({"type": "object"} | parameters), reader(True))


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    says = ("additionalProperties", "patternProperties", "unevaluatedProperties", "$ref", "allOf", "anyOf", "oneOf")
    if schema.get("type") == "object" and not any(key in schema for key in says):
        return schema | {"additionalProperties": False}
    return schema
