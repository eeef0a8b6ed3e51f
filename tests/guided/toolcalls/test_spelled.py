"""Formats that spell arguments out: what may be written is what the schema allows, and is read back as it was meant."""

from __future__ import annotations

import ast
import json
import random
from typing import Any

import jsonschema
import numpy as np
import pytest

import guided
from guided.toolcalls import FORMATS

EOS = 256
VOCABULARY = guided.Vocabulary.from_bytes(
    [*(bytes((b,)) for b in range(256)), None, b'="', b")]", b", ", b"\n</", b"parameter", b"True", b"\n<parameter="],
    eos_ids=EOS,
)
PARAMETERS = {
    "type": "object",
    "properties": {
        "unit": {"enum": ["C", "F", "12", None]},
        "place": {"$ref": "#/$defs/place"},
        "days": {"type": "integer", "minimum": 1, "maximum": 9},
        "exact": {"type": "boolean"},
        "tags": {"type": "array", "items": {"enum": ["a", "</parameter>", True, None]}, "maxItems": 2},
        "more": {"type": "object", "properties": {"k": {"type": "null"}}, "additionalProperties": False},
        "note": {"type": ["string", "null", "number"], "maxLength": 3},
    },
    "required": ["place", "tags"],
    "$defs": {"place": {"type": "string", "pattern": "^[A-Z][a-z]{1,3}$"}},
}
FORECAST = {"type": "function", "function": {"name": "forecast", "parameters": PARAMETERS}}


def ping() -> str:
    return "pong"


def constraint(format: str, tools: Any = (FORECAST, ping), **options: Any) -> Any:
    return guided.tools(tools, format=format, tokenizer=VOCABULARY, **options)


def accepts(processors: Any, text: str) -> bool:
    matcher = processors.parts[0].constraints[0].start()
    return bool(matcher.accept_bytes(text.encode()) and matcher.is_accepting())


def tagged(name: str, **arguments: str) -> str:
    inner = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items())
    return f"<tool_call>\n<function={name}>\n{inner}</function>\n</tool_call>"


@pytest.mark.parametrize("name", ["pythonic", "qwen3_coder"])
def test_walks_are_valid_calls(name: str) -> None:
    processors, rng = constraint(name, tool_choice="required"), random.Random(5)
    row = np.zeros(VOCABULARY.words, np.int32)
    begin = "[forecast(" if name == "pythonic" else "<tool_call>\n<function=forecast>\n"
    seen = set()
    for _ in range(6):
        matcher = processors.parts[0].constraints[0].start()
        assert matcher.accept_bytes(b"So: " + begin.encode())
        ids, left = [], matcher.min_tokens() + 40
        while not matcher.is_finished():
            matcher.fill_mask(row, budget=left)
            ids.append(rng.choice([t for t in range(VOCABULARY.size) if row[t >> 5] >> (t & 31) & 1]))
            assert matcher.accept(ids[-1])
            left -= 1
        written = b"".join(VOCABULARY.token_bytes(t) for t in ids).decode("utf8", "replace")
        reply = processors.parse("So: " + begin + written)
        assert reply.text.startswith("So: ")
        first = reply.calls[0]
        jsonschema.validate(first.arguments, PARAMETERS | {"additionalProperties": False})
        seen |= set(first.arguments)
        assert all(call.name == "forecast" or call() == "pong" for call in reply.calls)
    assert seen >= {"place", "tags"} and len(seen) > 3


def test_python_calls() -> None:
    processors = constraint("pythonic")
    good = '[forecast(place="Bern", days=2, exact=True, tags=["a", None], more={"k": None}), ping()]'
    assert accepts(processors, good) and accepts(processors, "no call") and accepts(processors, "[x] and [ping()] then")
    for wrong in (
        '[forecast(place="Bern")]', '[forecast(place="bern", tags=[])]', '[forecast(tags=[], place="Bern")]',
        '[forecast(place="Bern", tags=[true])]', '[forecast(place="Bern", tags=[], other=1)]', "[ping(x=1)]",
        '[forecast(, place="Bern", tags=[])]', "[ping(), other()]", "[ping()", "[ping(),]",
    ):  # fmt: skip
        assert not accepts(processors, wrong), wrong
    reply = processors.parse("Well: " + good + ".")
    assert reply.text == "Well: ." and [call.name for call in reply.calls] == ["forecast", "ping"]
    assert reply.calls[0].arguments == {
        "place": "Bern", "days": 2, "exact": True, "tags": ["a", None], "more": {"k": None},
    }  # fmt: skip
    assert processors.parse("[1, 2] of [other(x=1)]").calls == ()
    assert processors.parse("[ping(), forecast(place='Bern', tags=['](\\''])]").calls[1].arguments["tags"] == ["]('"]
    with pytest.raises(guided.ParseError, match="pythonic"):
        processors.parse('[forecast(place="Be')
    assert not accepts(constraint("pythonic", parallel=False), "[ping(), ping()]")


def test_strings_are_python_literals() -> None:
    """What JSON escapes, Python reads as JSON does."""
    texts = ['"', "\\", "\n\t\x00\x1f\x7f", "\u2028é😀", "'", "\\u0041"]
    tool = {"name": "say", "parameters": {"type": "object", "properties": {"x": {"enum": texts}}, "required": ["x"]}}
    processors = constraint("pythonic", [tool])
    for text in texts:
        written = f"[say(x={json.dumps(text, ensure_ascii=False)})]"
        assert accepts(processors, written)
        assert processors.parse(written).calls[0].arguments == {"x": text}
        assert ast.literal_eval(written[7:-2]) == text


def test_a_tag_for_each_argument() -> None:
    processors = constraint("qwen3_coder")
    good = tagged("forecast", place="Bern", days="2", exact="true", tags='["a"]', note="hi") + "\n" + tagged("ping")
    assert accepts(processors, good)
    reply = processors.parse("Well. " + good)
    assert reply.text == "Well. \n" and [call.name for call in reply.calls] == ["forecast", "ping"]
    assert reply.calls[0].arguments == {"place": "Bern", "days": 2, "exact": True, "tags": ["a"], "note": "hi"}
    for wrong in (
        tagged("forecast", place="Bern"), tagged("forecast", place="bern", tags="[]"), tagged("other"),
        tagged("forecast", place='"Bern"', tags="[]"), tagged("forecast", place="Bern", days="0", tags="[]"),
        tagged("forecast", place="Bern", tags="[]", note="true</parameter>"), tagged("ping", x="1"),
        tagged("forecast", place="Bern", tags="[]", note="long"),
    ):  # fmt: skip
        assert not accepts(processors, wrong), wrong
    tricky = tagged("forecast", place="Bern", tags='["</parameter>"]')
    assert accepts(processors, tricky) and processors.parse(tricky).calls[0].arguments["tags"] == ["</parameter>"]


def test_strings_that_read_as_something_else() -> None:
    """Where null or a number is valid too, "12" is the number; where only strings are, it is that string."""
    processors = constraint("qwen3_coder")
    for note, value in (("12", 12), ("null", None), ("a", "a"), ("a\n", "a\n"), ("", ""), ("\nb", "\nb"), ("[1", "[1")):
        text = tagged("forecast", place="Bern", tags="[]", note=note)
        assert accepts(processors, text), note
        assert processors.parse(text).calls[0].arguments["note"] == value
    unit = tagged("forecast", unit="12", place="Bern", tags="[]")
    assert accepts(processors, unit) and processors.parse(unit).calls[0].arguments["unit"] == "12"
    free = {"name": "say", "parameters": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}}
    only = constraint("qwen3_coder", [free])
    for text in ("12", "null", '{"a": "b"}', "two\n\nlines <b>"):
        written = tagged("say", x=text)
        assert accepts(only, written) and only.parse(written).calls[0].arguments == {"x": text}


def test_what_these_formats_cannot_say() -> None:
    def tool(**parameters: Any) -> Any:
        return [{"name": "t", "parameters": {"type": "object", **parameters}}]

    for name in ("pythonic", "qwen3_coder"):
        with pytest.raises(guided.UnsupportedSchema, match="anyOf"):
            constraint(name, tool(anyOf=[{}]))
        with pytest.raises(guided.UnsupportedSchema, match="not among the properties"):
            constraint(name, tool(required=["x"]))
        with pytest.raises(guided.UnsatisfiableSchema):
            constraint(name, tool(properties={"x": False}, required=["x"]))
        with pytest.raises(guided.GuidedError, match="another order"):
            constraint(name, property_order="any")
        assert constraint(name, tool(properties={"x": False, "y": {}}))
    with pytest.raises(guided.SchemaError, match="no name in Python"):
        constraint("pythonic", tool(properties={"a-b": {}}))
    with pytest.raises(guided.SchemaError, match="fit into a tag"):
        constraint("qwen3_coder", tool(properties={"a>b": {}}))


def test_detected() -> None:
    from guided.toolcalls.formats import detect

    assert detect("<tool_call>\n<function=x>\n<parameter=y>") is FORMATS["qwen3_coder"]
    assert detect("[func_name1(params_name1=params_value1)]") is FORMATS["pythonic"]
