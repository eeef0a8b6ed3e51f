"""What users call a schema."""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pydantic
import pytest

from grammars.errors import SchemaError
from guided.schemas import json_schema


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Owner(pydantic.BaseModel):
    name: str
    age: Annotated[int, pydantic.Field(ge=0, le=120)] = 0


class Car(pydantic.BaseModel):
    colour: Colour
    owners: list[Owner] = []
    properties: dict[str, int] = {}


class Open(pydantic.BaseModel, extra="allow"):
    name: str


@dataclasses.dataclass
class Point:
    x: float
    y: float


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


def search(query: str, limit: int = 10, kind: Literal["web", "news"] = "web") -> list[str]:
    return []


@pytest.mark.parametrize("schema", [{"type": "integer"}, True, False, {}])
def test_schemas_are_taken_at_their_word(schema: Any) -> None:
    assert json_schema(schema) is schema


def test_json_text_is_parsed() -> None:
    assert json_schema(' {"type": "string"}') == {"type": "string"}
    assert json_schema("true") is True


@pytest.mark.parametrize(
    ("text", "complaint"), [('{"a": ', "not JSON"), ("[1]", "object or a boolean"), ("", "not JSON")]
)
def test_other_text_is_an_error(text: str, complaint: str) -> None:
    with pytest.raises(SchemaError, match=complaint):
        json_schema(text)


def test_a_model_is_closed_and_its_parts_are() -> None:
    made = json_schema(Car)
    assert isinstance(made, dict)
    assert made["additionalProperties"] is False and list(made["properties"]) == ["colour", "owners", "properties"]
    assert made["$defs"]["Owner"]["additionalProperties"] is False
    assert made["$defs"]["Colour"]["enum"] == ["red", "blue"]
    assert made["properties"]["properties"]["additionalProperties"] == {"type": "integer"}
    assert json_schema(Open)["additionalProperties"] is True  # type: ignore[index]


@pytest.mark.parametrize("kind", [Point, Movie, search], ids=lambda kind: kind.__name__)
def test_objects_of_all_kinds_are_closed(kind: Any) -> None:
    made = json_schema(kind)
    assert isinstance(made, dict) and made["type"] == "object" and made["additionalProperties"] is False


def test_keys_of_a_typed_dict_may_be_optional() -> None:
    assert json_schema(Movie)["required"] == ["title"]  # type: ignore[index]


def test_a_function_stands_for_its_arguments() -> None:
    made = json_schema(search)
    assert (
        isinstance(made, dict)
        and made["required"] == ["query"]
        and list(made["properties"]) == ["query", "limit", "kind"]
    )


def test_annotations() -> None:
    assert json_schema(int) == {"type": "integer"}
    assert json_schema(list[int | None]) == {
        "type": "array",
        "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    }
    assert json_schema(dict[str, Any])["type"] == "object"  # type: ignore[index]


def test_types_without_a_json_form_are_an_error() -> None:
    for kind in (object(), type("Opaque", (), {})):
        with pytest.raises(SchemaError):
            json_schema(kind)


def test_without_pydantic_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(SchemaError, match="pip install pydantic"):
        json_schema(int)
