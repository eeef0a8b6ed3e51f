"""What users call a schema, as JSON Schema: dicts and JSON text as they are, Python types through pydantic.

Types describe what may be written, so an object made from declared fields is closed: a key that the class does not know
would be dropped or refused when the text is read back. `extra="allow"` opens it. JSON Schemas are taken at their word.
"""

from __future__ import annotations

import json
import sys
import typing
from typing import TYPE_CHECKING, Any

from grammars.errors import SchemaError

if TYPE_CHECKING:
    from grammars.report import Report

__all__ = ["check", "json_schema"]

_DECIMAL = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"


def json_schema(schema: Any) -> dict[str, Any] | bool:
    """The JSON Schema that `guided.json(schema)` compiles.

    `schema`: a dict, a bool, JSON text, or - with pydantic installed - a pydantic model, dataclass, TypedDict, Enum,
    any annotation such as `list[int | None]`, or a function, which stands for the object of its arguments.

    Errors: `SchemaError` for text that is no JSON, and for types that have no JSON form.

    >>> json_schema('{"type": "integer"}')
    {'type': 'integer'}
    """
    if isinstance(schema, dict | bool):
        return schema
    if isinstance(schema, str):
        return _parsed(schema)
    return _from_type(schema)


def is_schema(schema: Any) -> bool:
    """Whether it is a JSON Schema itself, and no Python type."""
    return isinstance(schema, dict | bool | str)


def check(schema: Any, *, format: str = "assert", content: str = "annotate", registry: Any = None) -> Report:
    """What of a schema is enforced, per JSON pointer: each keyword, how, and which places have no instance.

    Takes what `json_schema` takes. `Report.ok`: it compiles and each place can be satisfied; `Report.findings` holds
    pointer, keyword, status ("enforced", "annotation", "unsatisfiable", "unsupported") and how or why.

    Errors: `SchemaError` for a malformed schema.

    >>> [str(finding) for finding in check({"type": "integer", "title": "A count"}).findings]
    ['/: type enforced: other types are not begun', '/: title annotation: asserts nothing here']
    """
    from grammars.report import report

    return report(json_schema(schema), format=format, content=content, registry=registry)


def _parsed(text: str) -> dict[str, Any] | bool:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise SchemaError("", f"the schema is not JSON: {error}", "Pass a dict, or valid JSON text.") from error
    if not isinstance(value, dict | bool):
        raise SchemaError("", f"a schema is an object or a boolean, not {text[:40]!r}", "Pass a JSON Schema.")
    return value


def _from_type(annotation: Any) -> dict[str, Any]:
    try:
        from pydantic import TypeAdapter
        from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError
    except ImportError as error:
        raise SchemaError(
            "", f"{annotation!r} is a Python type, which takes pydantic", "pip install pydantic, or pass a dict."
        ) from error
    try:
        return TypeAdapter(readable(annotation)).json_schema(schema_generator=_closed_generator())
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError) as error:
        first = str(error).splitlines()[0]
        raise SchemaError(
            "", f"{annotation!r} has no JSON Schema: {first}", "Use types that JSON can write, or pass a dict."
        ) from error


def readable(annotation: Any) -> Any:
    """Before Python 3.12 pydantic cannot read `typing.TypedDict`; the same one from typing_extensions it can."""
    if sys.version_info >= (3, 12) or type(annotation) is not typing._TypedDictMeta:  # type: ignore[attr-defined]
        return annotation
    from typing_extensions import TypedDict  # pydantic depends on it

    hints = typing.get_type_hints(annotation, include_extras=True)
    fields = {
        name: kind if name in annotation.__required_keys__ else typing.NotRequired[_bare(kind)]
        for name, kind in hints.items()
    }
    return TypedDict(annotation.__name__, fields)  # type: ignore[operator]


def _bare(kind: Any) -> Any:
    """Without the Required or NotRequired around it."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) in (typing.Required, typing.NotRequired) else kind


def _closed_generator() -> Any:
    from pydantic.json_schema import GenerateJsonSchema

    class Closed(GenerateJsonSchema):
        """Objects with declared fields take no others, unless their class says so; and what pydantic refuses when it
        reads a value, though its own schema of the type allows it, is ruled out."""

        def model_schema(self, schema: Any) -> Any:
            made = super().model_schema(schema)
            return made if schema.get("root_model") else _close(made)

        def dataclass_schema(self, schema: Any) -> Any:
            return _close(super().dataclass_schema(schema))

        def typed_dict_schema(self, schema: Any) -> Any:
            return _close(super().typed_dict_schema(schema))

        def date_schema(self, schema: Any) -> Any:
            return super().date_schema(schema) | {"pattern": "^(?!0000)"}

        def datetime_schema(self, schema: Any) -> Any:
            return super().datetime_schema(schema) | {"pattern": "^(?!0000)(?!.*:60)"}  # nor a leap second

        def time_schema(self, schema: Any) -> Any:
            return super().time_schema(schema) | {"pattern": "^(?!.*:60)"}

        def timedelta_schema(self, schema: Any) -> Any:
            return super().timedelta_schema(schema) | {"pattern": "^[^0-9]*([0-9]{1,5}[^0-9]+)*$"}

        def decimal_schema(self, schema: Any) -> Any:
            """A number, or, where there are no conditions, which would not hold for it, a string of digits: pydantic
            reads all of those, and of a number what a double holds. Its own schema lets the string be anything."""
            made = super().decimal_schema(schema)
            conditions = ("ge", "gt", "le", "lt", "multiple_of", "decimal_places", "max_digits")
            if all(schema.get(name) is None for name in conditions):
                return {"anyOf": [{"type": "number"}, {"type": "string", "pattern": _DECIMAL}]}
            number = next(branch for branch in made.get("anyOf", [made]) if branch.get("type") == "number")
            places, digits = schema.get("decimal_places"), schema.get("max_digits")
            if places is not None:
                number["multipleOf"] = float(f"1e-{places}")
            if digits is not None:
                most = 10 ** (digits - (places or 0))
                number.setdefault("exclusiveMaximum", most)
                number.setdefault("exclusiveMinimum", -most)
                number.setdefault("multipleOf", 1)
            return number

    return Closed


def _close(made: dict[str, Any]) -> dict[str, Any]:
    if made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made
