"""Texts back to values: the typed result of what a constraint made a model write.

    value = guided.parse(Person, text)          # a finished text
    value = guided.partial_json(text, Person)   # what has been written so far

Dicts, bools and JSON text are schemas, and give plain Python values; types give instances of themselves, through
pydantic; a function gives a `Call`, its arguments ready to be called with.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Callable
from typing import Any

from grammars.errors import GuidedError, shorten
from guided.schemas import is_schema, readable

__all__ = ["Call", "ParseError", "parse", "partial_json", "reader"]


class ParseError(GuidedError, ValueError):
    """A text that is no value of the type: cut short, or refused by a validator that no schema can express."""

    def __init__(self, problem: str, written: str, remedy: str = "") -> None:
        super().__init__(problem, written, remedy)
        self.problem, self.written, self.remedy = problem, written, remedy

    def text(self) -> str:
        remedy = f"\n  {self.remedy}" if self.remedy else ""
        return f"{self.problem}\n  {shorten(self.written)}{remedy}"


@dataclasses.dataclass(frozen=True)
class Call:
    """A function and the arguments to call it with, which `call()` does; no `function`: a tool that runs elsewhere.

    `id`: what an API calls it by, where the format of the calls has such names.
    """

    name: str
    arguments: dict[str, Any]
    function: Callable[..., Any] | None = None
    id: str | None = None

    def __call__(self) -> Any:
        """What the function returns.

        Errors: `TypeError` where the tool was given as a definition only.
        """
        if self.function is None:
            raise TypeError(f"the tool {self.name!r} was given as a definition, so there is nothing to call")
        return self.function(**self.arguments)


def parse(schema: Any, text: str) -> Any:
    """The value of a finished JSON text under what `guided.json` was given.

    `schema`: a dict, a bool or JSON text give plain values; a type an instance of it (model, dataclass, TypedDict,
    NamedTuple, Enum, any annotation), a function the `Call` of it.

    >>> parse({"type": "array"}, "[1, 2]")
    [1, 2]
    >>> parse(tuple[int, str], '[1, "a"]')
    (1, 'a')

    Errors: `ParseError` for a text that is no JSON, or no value of the type.
    """
    return reader(schema)(text)


def reader(schema: Any) -> Callable[[str], Any]:
    """`parse` for one schema: made once, called often."""
    if is_schema(schema):
        return _plain
    import inspect

    if inspect.isfunction(schema) or inspect.ismethod(schema) or inspect.isbuiltin(schema):
        return _call_reader(schema)
    from pydantic import TypeAdapter, ValidationError

    adapter: TypeAdapter[Any] = TypeAdapter(readable(schema))

    def read(text: str) -> Any:
        try:
            return adapter.validate_json(text)
        except ValidationError as error:
            raise ParseError(_first_problem(error), text, _CUT) from error

    return read


_CUT = "Was the output cut short? guided.json(..., max_new_tokens=...) finishes within the limit."


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ParseError(f"the text is no JSON: {error}", text, _CUT) from error


def _first_problem(error: Any) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = "".join(f"/{part}" for part in first["loc"])
    return f"at {place or 'the root'}: {first['msg']}"


def _call_reader(function: Callable[..., Any]) -> Callable[[str], Call]:
    """Arguments of a function, each of its annotated type."""
    import inspect

    from pydantic import TypeAdapter, ValidationError

    hints = typing.get_type_hints(function, include_extras=True)
    adapters = {
        name: TypeAdapter(readable(hints.get(name, Any)))
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }

    def read(text: str) -> Call:
        given = _plain(text)
        if not isinstance(given, dict):
            raise ParseError("the arguments are no object", text)
        arguments = {}
        for name, value in given.items():
            try:
                arguments[name] = adapters[name].validate_json(json.dumps(value)) if name in adapters else value
            except ValidationError as error:
                raise ParseError(f"argument {name}: {_first_problem(error)}", text) from error
        return Call(function.__name__, arguments, function)

    return read


def partial_json(text: str, schema: Any = None) -> Any:
    """The value that a JSON text holds so far: what is begun is there, what has not been written is missing.

    `schema`: as in `parse`. A type gives its instances as they grow: of models and dataclasses the fields that have
    been written (others are missing, or have their defaults), of what cannot be half (a date, an enum) nothing until
    it is whole. None while nothing has been written. Takes pydantic.

    >>> partial_json('{"name": "Ada", "tags": ["a", "b')
    {'name': 'Ada', 'tags': ['a', 'b']}

    Errors: `ParseError` for a text that no JSON begins with; `SchemaError` where pydantic is missing.
    """
    if not text.strip():
        return None
    try:
        from pydantic_core import from_json
    except ImportError as error:
        from grammars.errors import SchemaError

        raise SchemaError("", "partial JSON takes pydantic", "pip install pydantic") from error
    try:
        value = from_json(text, allow_partial="trailing-strings")
    except ValueError as error:
        raise ParseError(f"the text is no beginning of JSON: {error}", text) from error
    if schema is None or is_schema(schema):
        return value
    found = _grown(readable(schema), value)
    return None if found is _MISSING else found


_MISSING: Any = object()


def _grown(kind: Any, value: Any) -> Any:
    """A value so far as an instance of its type; _MISSING where it cannot be one yet."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _grown(arguments[0], value)
    if isinstance(value, dict) and isinstance(kind, type):
        fields = _fields(kind)
        if fields is not None:
            return _instance(kind, fields, value)
    if isinstance(value, list) and origin in (list, set, frozenset, tuple, typing.Sequence):
        items = [_grown(_item_type(origin, arguments, i), item) for i, item in enumerate(value)]
        kept = [item for item in items if item is not _MISSING]
        return kept if origin in (list, typing.Sequence) else origin(kept)
    if isinstance(value, dict) and origin is dict:
        grown = {key: _grown(arguments[1], item) for key, item in value.items()}
        return {key: item for key, item in grown.items() if item is not _MISSING}
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_json(json.dumps(value))
    except ValidationError:
        pass
    for other in arguments if _is_union(origin) else ():
        found = _grown(other, value)
        if found is not _MISSING:
            return found
    return _MISSING


def _is_union(origin: Any) -> bool:
    import types

    return origin in (typing.Union, types.UnionType)


def _item_type(origin: Any, arguments: tuple[Any, ...], index: int) -> Any:
    if not arguments:
        return Any
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        return arguments[index] if index < len(arguments) else Any
    return arguments[0]


def _fields(kind: type) -> dict[str, tuple[str, Any]] | None:
    """Of a model, dataclass or TypedDict: name in JSON -> (attribute, type)."""
    models = getattr(kind, "model_fields", None)
    if isinstance(models, dict):
        return {field.alias or name: (name, field.annotation) for name, field in models.items()}
    if dataclasses.is_dataclass(kind) or typing.is_typeddict(kind) or hasattr(kind, "__required_keys__"):
        hints = typing.get_type_hints(kind)
        return {name: (name, hint) for name, hint in hints.items()}
    return None


def _instance(kind: Any, fields: dict[str, tuple[str, Any]], value: dict[str, Any]) -> Any:
    grown = {}
    for key, item in value.items():
        name, hint = fields.get(key, (key, Any))
        found = _grown(hint, item)
        if found is not _MISSING:
            grown[name] = found
    if hasattr(kind, "model_construct"):
        return kind.model_construct(**grown)
    if not isinstance(kind, type) or not dataclasses.is_dataclass(kind):
        return grown
    made: Any = object.__new__(kind)  # not __init__: it would ask for the fields that have not come yet
    for field in dataclasses.fields(kind):
        if field.name in grown:
            object.__setattr__(made, field.name, grown[field.name])
        elif field.default is not dataclasses.MISSING:
            object.__setattr__(made, field.name, field.default)
        elif field.default_factory is not dataclasses.MISSING:
            object.__setattr__(made, field.name, field.default_factory())
    return made
