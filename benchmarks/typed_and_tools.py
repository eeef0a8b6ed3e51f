"""Typed values and tool calls by a small real model: `python benchmarks/typed_and_tools.py [--tokens N]`.

Types: SmolLM2 is asked for a value of each Python type, under its constraint; the output must read back as an
instance. Tools: free text with a required call in each format, sampled; each call must be valid, and at every step
outside of a call the scores must equal the model's logits bit for bit (except EOS while the call is due, and where the
limit of tokens is what bans something: the mask under it is another one than without).
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar

import jsonschema
import numpy as np
import torch
from pydantic import BaseModel, Field, field_validator
from rich.console import Console
from rich.table import Table

import guided
from guided.demo.model import load_smollm2
from guided.toolcalls.formats import FORMATS
from processors.combined import only_constraint

Item = TypeVar("Item")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(NamedTuple):
    x: float
    y: float


@dataclasses.dataclass
class Book:
    title: str
    year: int
    tags: list[str] = dataclasses.field(default_factory=list)


class Row(TypedDict):
    name: str
    score: NotRequired[float]


class Person(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=30)]
    age: Annotated[int, Field(ge=0, lt=150)]
    favourite: Color | None = None

    @field_validator("name")
    @classmethod
    def tidy(cls, name: str) -> str:
        return name.strip()


class Box(BaseModel, Generic[Item]):
    item: Item


class Tree(BaseModel):
    label: str
    children: list[Tree] = Field(default=[], max_length=2)


def book_table(name: str, guests: int, day: datetime.date, *, quiet: bool = False) -> str:
    return f"{name}: {guests} on {day}, quiet: {quiet}"


TYPES: dict[str, tuple[Any, Any]] = {
    "pydantic model": (Person, Person),
    "generic model": (Box[list[int]], Box[list[int]]),
    "recursive model": (Tree, Tree),
    "dataclass": (Book, Book),
    "TypedDict": (Row, dict),
    "NamedTuple": (Point, Point),
    "Enum": (Color, Color),
    "Literal": (Literal["yes", "no", 7], (str, int)),
    "Union": (int | bool | Literal["none"], (int, str)),
    "Optional": (Person | None, (Person, type(None))),
    "Annotated": (Annotated[str, Field(pattern=r"^[A-Z]{3}-[0-9]{4}$")], str),
    "list": (list[Book], list),
    "dict": (dict[str, int], dict),
    "dict by Enum": (dict[Color, int], dict),
    "tuple": (tuple[int, str, bool], tuple),
    "tuple of any length": (tuple[float, ...], tuple),
    "set": (set[int], set),
    "frozenset": (frozenset[str], frozenset),
    "Sequence": (Sequence[str], list),
    "datetime": (datetime.datetime, datetime.datetime),
    "date": (datetime.date, datetime.date),
    "time": (datetime.time, datetime.time),
    "timedelta": (datetime.timedelta, datetime.timedelta),
    "UUID": (uuid.UUID, uuid.UUID),
    "Decimal": (decimal.Decimal, decimal.Decimal),
    "price": (Annotated[decimal.Decimal, Field(ge=0, le=1000, decimal_places=2)], decimal.Decimal),
    "int": (int, int),
    "float": (float, (int, float)),
    "bool": (bool, bool),
    "str": (str, str),
    "None": (None, type(None)),
    "callable": (book_table, guided.Call),
}


def types(loaded: Any, tokens: int, seeds: int) -> tuple[Table, int]:
    """Each type greedily and sampled; how many outputs were no instance."""
    table = Table("type", "read back", "an example", title="Python types through SmolLM2-135M")
    failures = 0
    for name, (kind, instance) in TYPES.items():
        constraint = guided.json(kind, tokenizer=loaded.tokenizer, model=loaded.model, max_new_tokens=tokens)
        inputs = loaded.chat(f"Give an example of a {name}, as JSON.")
        good, example = 0, None
        for seed in range(seeds + 1):
            torch.manual_seed(seed)
            out = guided.generate(
                loaded.model, inputs, constraint, max_new_tokens=tokens, do_sample=seed > 0, temperature=1.0
            )
            value = out.parsed
            good += isinstance(value, instance)
            example = value if example is None else example
        failures += seeds + 1 - good
        table.add_row(name, f"{good}/{seeds + 1}", repr(example)[:70])
        print(name, good, seeds + 1, repr(example)[:90], flush=True)
    return table, failures


SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string", "maxLength": 40}, "limit": {"type": "integer", "minimum": 1}},
            "required": ["query"],
        },
    },
}


def tools(loaded: Any, tokens: int, seeds: int, formats: Sequence[str] = ()) -> tuple[Table, int]:
    """A required call in each format; invalid calls and touched steps."""
    table = Table("format", "valid calls", "free steps", "untouched", "text", title="Free text, a call, free text")
    failures = 0
    for name, one in FORMATS.items():
        if formats and name not in formats:
            continue
        calls = valid = steps = untouched = 0
        shown = ""
        # the model comes to a call by itself, or late because it must; or the prompt has begun one, and text follows it
        for begin in ("", one.trigger):
            constraint = guided.tools(
                [SEARCH, book_table], format=name, tool_choice="required", tokenizer=loaded.tokenizer,
                model=loaded.model, max_new_tokens=tokens, prefix=begin,
            )  # fmt: skip
            inputs = _begun(loaded, begin)
            for seed in range(seeds):
                torch.manual_seed(seed)
                out = loaded.model.generate(
                    **inputs, logits_processor=constraint, do_sample=True, top_k=0, max_new_tokens=tokens,
                    output_scores=True, output_logits=True, return_dict_in_generate=True,
                )  # fmt: skip
                written = out.sequences[0, inputs["input_ids"].shape[1] :].tolist()
                reply = constraint.parse(written)
                shown = shown or reply.text.strip()
                for call in reply.calls:
                    calls += 1
                    if call.name == "search":
                        jsonschema.validate(call.arguments, SEARCH["function"]["parameters"])  # type: ignore[index]
                        valid += set(call.arguments) <= {"query", "limit"}
                    else:
                        valid += isinstance(call(), str)
                free, same = _free_steps(loaded, constraint, one, begin, written, out, tokens)
                steps, untouched = steps + free, untouched + same
                failures += not reply.calls
        failures += calls - valid + steps - untouched
        table.add_row(name, f"{valid}/{calls}", str(steps), str(untouched), shown[:40])
        print(name, valid, calls, steps, untouched, repr(shown[:60]), flush=True)
    return table, failures


def _begun(loaded: Any, begin: str) -> dict[str, Any]:
    inputs = loaded.chat("Book a table for three on the second of May, and say what you do.")
    ids = torch.tensor([loaded.tokenizer.encode(begin, add_special_tokens=False)], dtype=torch.int64)
    inputs["input_ids"] = torch.cat([inputs["input_ids"], ids], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    return inputs


def _free_steps(
    loaded: Any, constraint: Any, one: Any, begin: str, written: list[int], out: Any, tokens: int
) -> tuple[int, int]:
    """Steps outside of calls and not within a trigger, where the limit does not bite; those with the model's scores."""
    free = same = 0
    eos = loaded.model.generation_config.eos_token_id
    starts = [start for start in (one.trigger, one.bare) if start]
    inner = only_constraint(constraint)
    matcher = guided.Matcher(inner.grammar, inner.vocabulary)
    assert not begin or matcher.accept_bytes(begin.encode())
    plain, timely = (np.zeros(matcher.vocab.words, np.int32) for _ in range(2))
    for at, (scores, logits) in enumerate(zip(out.scores, out.logits, strict=True)):
        matcher.fill_mask(plain)
        matcher.fill_mask(timely, budget=tokens - at)
        limited = bool((plain != timely).any())
        assert matcher.accept(written[at])
        text = loaded.tokenizer.decode(written[:at])
        partly = any(text.endswith(start[:size]) for start in starts for size in range(1, len(start)))
        called = any(start in begin + text for start in starts)
        try:
            inside = called and not constraint.parse(text).calls
        except guided.ParseError:
            inside = True
        if not inside and not partly and not limited:
            due = logits.clone()
            due[:, eos] = scores[:, eos]
            free, same = free + 1, same + bool(torch.equal(scores, due))
    return free, same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=160)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", choices=["types", "tools"])
    parser.add_argument("--formats", nargs="*", default=[], help="tool formats; all where none is given")
    options = parser.parse_args()
    loaded, console, failures = load_smollm2(), Console(width=130), 0
    for part in (types, tools):
        if options.only in (None, part.__name__):
            rest = (options.formats,) if part is tools else ()
            table, failed = part(loaded, options.tokens, options.seeds, *rest)
            console.print(table)
            failures += failed
    console.print(json.dumps({"failures": failures}))
    raise SystemExit(failures > 0)


if __name__ == "__main__":
    main()
