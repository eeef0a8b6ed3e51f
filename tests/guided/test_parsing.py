"""Python types: what is written under their schema reads back as a value of them; partial values grow towards it."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import random
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar

import numpy as np
import pytest
from pydantic import BaseModel, Field

import guided
from guided.parsing import reader

VOCABULARY = guided.Vocabulary.from_bytes([*(bytes((byte,)) for byte in range(128)), None], eos_ids=128)
Item = TypeVar("Item")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Point(NamedTuple):
    x: int
    y: float = 0.5


@dataclasses.dataclass
class Basket:
    count: int
    names: list[str] = dataclasses.field(default_factory=list)


class Row(TypedDict):
    a: int
    b: NotRequired[str]


class Person(BaseModel):
    name: str = Field(min_length=1, max_length=5)
    age: Annotated[int, Field(ge=0, lt=150)]
    color: Color | None = None


class Box(BaseModel, Generic[Item]):
    item: Item


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


def order(amount: int, day: datetime.date, *, note: str = "") -> str:
    return f"{amount} on {day.isoformat()}{note}"


KINDS: list[tuple[Any, Any]] = [
    (int, int), (float, (int, float)), (bool, bool), (str, str), (None, type(None)), (Color, Color), (Size, Size),
    (Point, Point), (Basket, Basket), (Row, dict), (Person, Person), (Box[int], Box[int]), (Tree, Tree),
    (list[int], list), (dict[str, int], dict), (tuple[int, str], tuple), (tuple[int, ...], tuple), (set[int], set),
    (frozenset[str], frozenset), (datetime.datetime, datetime.datetime), (datetime.date, datetime.date),
    (datetime.time, datetime.time), (datetime.timedelta, datetime.timedelta), (uuid.UUID, uuid.UUID),
    (decimal.Decimal, decimal.Decimal), (Literal["a", 1], (str, int)), (int | str | None, (int, str, type(None))),
    (Person | None, (Person, type(None))), (Annotated[str, Field(pattern="^a+$")], str), (list[Person], list),
    (Annotated[decimal.Decimal, Field(ge=0, le=10, decimal_places=2)], decimal.Decimal), (Sequence[int], list),
    (Annotated[decimal.Decimal, Field(max_digits=4, decimal_places=1)], decimal.Decimal), (order, guided.Call),
    (dict[Color, int], dict),
]  # fmt: skip


def walk(constraint: Any, rng: random.Random, spare: int = 16) -> str:
    """A random text under the mask, finished within a budget."""
    matcher = constraint.parts[0].constraints[0].start()
    row = np.zeros(VOCABULARY.words, dtype=np.int32)
    left, text = matcher.min_tokens() + spare, b""
    while not matcher.is_finished():
        matcher.fill_mask(row, budget=left)
        token = rng.choice([t for t in range(VOCABULARY.size) if row[t >> 5] >> (t & 31) & 1])
        assert matcher.accept(token)
        text, left = text + VOCABULARY.token_bytes(token), left - 1
    return text.decode()


@pytest.mark.parametrize(("kind", "instance"), KINDS, ids=lambda kind: getattr(kind, "__name__", str(kind)))
def test_walks_read_back_as_values_of_the_type(kind: Any, instance: Any) -> None:
    constraint, rng = guided.json(kind, tokenizer=VOCABULARY), random.Random(5)
    for _ in range(5):
        assert isinstance(constraint.parse(walk(constraint, rng)), instance)


def test_values_are_typed_all_the_way_down() -> None:
    assert guided.parse(Person, '{"name": "Ada", "age": 36, "color": "red"}') == Person(
        name="Ada", age=36, color=Color.RED
    )
    assert guided.parse(tuple[datetime.date, set[int]], '["2024-02-29", [1, 2]]') == (
        datetime.date(2024, 2, 29),
        {1, 2},
    )
    assert guided.parse(Point, "[1, 2.5]") == Point(1, 2.5)
    assert guided.parse({"type": "array"}, "[1, null]") == [1, None]
    call = guided.parse(order, '{"amount": 3, "day": "2024-02-29"}')
    assert call.arguments == {"amount": 3, "day": datetime.date(2024, 2, 29)} and call() == "3 on 2024-02-29"


def test_decimals_are_numbers_or_strings_of_digits() -> None:
    text = '"3.14159265358979323846264338327950288"'
    constraint = guided.json(decimal.Decimal, tokenizer=VOCABULARY)
    assert constraint.parse(text) == decimal.Decimal(text[1:-1])
    for written, fits in ((text, True), ("-0.5", True), ('"x"', False), ('"1e5"', False), ('".5"', False)):
        matcher = constraint.parts[0].constraints[0].start()  # type: ignore[attr-defined]
        assert (matcher.accept_bytes(written.encode()) and matcher.is_accepting()) == fits
    assert guided.json_schema(Annotated[decimal.Decimal, Field(ge=0)]) == {"type": "number", "minimum": 0}


def test_a_constraint_reads_text_and_ids_and_goes_on_from_its_prefix() -> None:
    constraint = guided.json(Basket, tokenizer=VOCABULARY, prefix='{"count":')
    assert constraint.parse('4,"names":["a"]}') == Basket(4, ["a"])
    assert constraint.parse([*b"4}", 128, 128]) == Basket(4)
    several = guided.batch([guided.json(int, tokenizer=VOCABULARY), None, guided.choice(["a"], tokenizer=VOCABULARY)])
    assert [several.parse("1", prompt) for prompt in range(3)] == [1, "1", "1"]
    with pytest.raises(guided.CompositionError, match="no constraint"):
        guided.ProcessorList([]).parse("1")


def test_unfit_texts_are_typed_errors() -> None:
    with pytest.raises(guided.ParseError, match="at /age: "):
        guided.parse(Person, '{"name": "Ada", "age": 200}')
    with pytest.raises(guided.ParseError, match="no JSON"):
        guided.parse({}, '{"name')
    with pytest.raises(guided.ParseError, match="argument day"):
        guided.parse(order, '{"amount": 1, "day": "soon"}')
    with pytest.raises(TypeError, match="nothing to call"):
        guided.Call("f", {})()


def test_partial_values() -> None:
    text = '{"name": "Ada", "age": 36, "color": "blue"}'
    seen = [guided.partial_json(text[:size], Person) for size in range(len(text) + 1)]
    assert seen[0] is None and seen[-1] == Person(name="Ada", age=36, color=Color.BLUE)
    assert seen[len('{"name": "A')].name == "A" and "age" not in seen[len('{"name": "A')].model_fields_set
    assert all(one.color is None for one in seen[1:-3])
    assert guided.partial_json('{"a": [1, {"b": "x') == {"a": [1, {"b": "x"}]}
    assert guided.partial_json('{"count": 2, "names": ["a', Basket) == Basket(2, ["a"])
    assert not hasattr(guided.partial_json('{"cou', Basket), "count")
    assert guided.partial_json('["2024-02-29", "2024-0', list[datetime.date]) == [datetime.date(2024, 2, 29)]
    assert guided.partial_json('{"value": 1, "children": [{"value": 2', Tree).children[0].value == 2
    assert guided.partial_json('{"a": 1, "b": "', Row) == {"a": 1, "b": ""}
    with pytest.raises(guided.ParseError, match="no beginning"):
        guided.partial_json("{1")


@pytest.mark.parametrize("kind", [Person, Basket, Tree, list[Person], dict[str, Point], tuple[int, str], Row])
def test_partial_values_end_as_the_whole_value(kind: Any) -> None:
    constraint, read, rng = guided.json(kind, tokenizer=VOCABULARY), reader(kind), random.Random(2)
    for _ in range(4):
        text = walk(constraint, rng)
        for size in range(len(text)):
            guided.partial_json(text[:size], kind)
        assert guided.partial_json(text, kind) == read(text)


def test_the_streamer_gives_growing_values() -> None:
    pieces = ['{"na', 'me": "A', 'da"', ', "age": 3', "6}"]

    class Tokenizer:
        def decode(self, tokens: list[int], **_: Any) -> str:
            return "".join(pieces[int(token)] for token in tokens)

    streamer = guided.PartialStreamer(Tokenizer(), Person, timeout=5)
    streamer.put(np.array([0]))  # the prompt
    for token in range(len(pieces)):
        streamer.put(np.array([token]))
    streamer.end()
    values = list(streamer)
    assert values[-1] == Person(name="Ada", age=36) and len(values) > 1
    assert json.loads(values[-1].model_dump_json())["name"] == "Ada"
