"""Tool calls in each format: walks under the mask are valid calls, and are read back as they were written."""

from __future__ import annotations

import dataclasses
import json
import random
from typing import Any

import jsonschema
import numpy as np
import pytest

import guided
from guided.toolcalls.definitions import read_tools
from guided.toolcalls.formats import FORMATS, detect

MARKS = ["<tool_call>", "</tool_call>", "<|python_tag|>", "[TOOL_CALLS]", "[ARGS]", "<|tool_call|>", "<|/tool_call|>"]
MARKS += [
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
]
EOS = 128 + len(MARKS)


class Added:
    def __init__(self, content: str) -> None:
        self.content = content


class Tokenizer:
    """What is read of a tokenizer for its special tokens."""

    def __init__(self) -> None:
        self.added_tokens_decoder = {128 + i: Added(text) for i, text in enumerate(MARKS)}

    chat_template = "{{ '<tool_call>' }}"


VOCABULARY = guided.Vocabulary.from_bytes(
    [*(bytes((b,)) for b in range(128)), *([None] * (len(MARKS) + 1))], eos_ids=EOS
)
SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "parameters": {
            "type": "object",
            "properties": {"q": {"$ref": "#/$defs/q"}, "n": {"type": "integer", "minimum": 1, "maximum": 9}},
            "required": ["q"],
            "$defs": {"q": {"enum": ["a", "b"]}},
        },
    },
}


def weather(city: str, days: int = 1) -> str:
    return f"{city}: {days}"


@pytest.fixture(autouse=True)
def known_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vocabulary is given by hand; the special tokens are those of the default tokenizer."""
    monkeypatch.setattr("guided.tokenizers._default", {"vocabulary": VOCABULARY, "tokenizer": Tokenizer()})


def constraint_of(processors: Any) -> Any:
    return processors.parts[0].constraints[0]


def walk(processors: Any, rng: random.Random, begin: list[int], spare: int = 30) -> list[int]:
    matcher = constraint_of(processors).start()
    row = np.zeros(VOCABULARY.words, dtype=np.int32)
    for token in begin:
        assert matcher.accept(token), token
    ids, left = list(begin), matcher.min_tokens() + spare
    while not matcher.is_finished():
        matcher.fill_mask(row, budget=left)
        ids.append(rng.choice([t for t in range(VOCABULARY.size) if row[t >> 5] >> (t & 31) & 1]))
        assert matcher.accept(ids[-1])
        left -= 1
    return ids


@pytest.mark.parametrize("name", FORMATS)
def test_walks_are_calls_and_are_read_back(name: str) -> None:
    processors, rng = guided.tools([weather, SEARCH], format=name, tool_choice="required"), random.Random(3)
    trigger = FORMATS[name].trigger
    begin = [128 + MARKS.index(trigger)] if trigger in MARKS else list(trigger.encode())
    for _ in range(6):
        ids = walk(processors, rng, [*b"Well. ", *begin])
        reply = processors.parse(ids)
        assert reply.text.startswith("Well. ") and reply.calls
        for call in reply.calls:
            if call.name == "search":
                jsonschema.validate(call.arguments, SEARCH["function"]["parameters"])  # type: ignore[index]
                assert set(call.arguments) <= {"q", "n"}
            else:
                assert call().startswith(call.arguments["city"])


def test_calls_side_by_side() -> None:
    processors = guided.tools([weather, SEARCH], format="hermes")
    text = 'I look. <tool_call>\n{"name": "search", "arguments": {"q": "a"}}\n</tool_call>\n'
    text += '<tool_call>\n{"name": "weather", "arguments": {"city": "</tool_call>", "days": 2}}\n</tool_call>'
    matcher = constraint_of(processors).start()
    assert not matcher.accept_bytes(text.encode())  # the end is one special token in this tokenizer
    reply = processors.parse(text)
    assert reply.text == "I look. \n" and [call.name for call in reply.calls] == ["search", "weather"]
    assert reply.calls[1]() == "</tool_call>: 2"
    assert guided.tools([weather], format="hermes").parse("no call") == guided.ToolReply("no call")


def test_a_call_may_be_begun_without_the_tag() -> None:
    processors = guided.tools([weather, SEARCH], format="llama3")
    matcher = constraint_of(processors).start()
    text = '{"name": "search", "parameters": {"q": "a"}}'
    assert (
        not matcher.accept_bytes(b'{"name": "find') and matcher.accept_bytes(text.encode()) and matcher.is_accepting()
    )
    assert processors.parse(text).calls[0].arguments == {"q": "a"}


def test_tool_choice_and_parallel() -> None:
    named = constraint_of(
        guided.tools([weather, SEARCH], format="hermes", tool_choice="search", parallel=False)
    ).start()
    assert not named.is_accepting() and named.accept(128) and not named.accept_bytes(b'{"name":"weather')
    assert named.accept_bytes(b'{"name":"search","arguments":{"q":"a"}}') and named.accept(129) and named.is_accepting()
    assert not named.accept(128)
    free = constraint_of(guided.tools([weather], format="auto")).start()
    assert free.is_accepting()


def test_the_format_by_the_chat_template() -> None:
    templates = {
        "hermes": "<tool_call>\n{...}\n</tool_call>",
        "mistral": "[TOOL_CALLS] [",
        "mistral_v11": "[TOOL_CALLS]name[ARGS]",
        "llama3": """'{"name": "' + name + '", ' + '"parameters": '""",
        "deepseek": "<｜tool▁calls▁begin｜>...```json",
        "deepseek_v31": "<｜tool▁calls▁begin｜>",
        "granite": "<|tool_call|>",
        "phi4": "<|tool_call|><|/tool_call|>",
    }
    for name, template in templates.items():
        found = detect(template)
        assert found is not None and found.name == name
    assert detect("{{ messages }}") is None


def test_definitions() -> None:
    @dataclasses.dataclass
    class Move:
        """Fields are arguments."""

        x: int
        y: int = 0

    tools = read_tools([weather, SEARCH, Move, {"name": "ping", "input_schema": {"properties": {}}}, {"name": "bare"}])
    assert [tool.name for tool in tools] == ["weather", "search", "Move", "ping", "bare"]
    assert all(tool.parameters["additionalProperties"] is False for tool in tools)
    assert tools[2].call({"x": 1})() == Move(1) and tools[3].call({}).arguments == {}
    assert json.dumps(tools[4].parameters) == '{"type": "object", "additionalProperties": false}'


def test_what_is_refused() -> None:
    with pytest.raises(guided.SchemaError, match="no tools"):
        guided.tools([])
    with pytest.raises(guided.SchemaError, match="/1: a second tool"):
        guided.tools([weather, weather])
    with pytest.raises(guided.SchemaError, match="needs a name"):
        guided.tools([{"type": "function", "function": {}}])
    with pytest.raises(guided.SchemaError, match="no object of arguments"):
        guided.tools([int])
    with pytest.raises(guided.SchemaError, match="names none"):
        guided.tools([weather], tool_choice="search")
    with pytest.raises(ValueError, match="is none of auto"):
        guided.tools([weather], format="mine")
    with pytest.raises(guided.ParseError, match="not whole"):
        guided.tools([weather], format="hermes").parse('<tool_call>{"name": "weather", "argum')


def test_special_tokens_of_a_real_tokenizer(llama_tokenizer: Any) -> None:
    """A format of one's own, whose markers are ids without text: they count, and so does the trigger spelled out."""
    names = "<|reserved_special_token_5|>", "<|reserved_special_token_6|>"
    mine = dataclasses.replace(FORMATS["hermes"], name="mine", trigger=names[0], end=names[1])
    processors = guided.tools([weather], format=mine, tokenizer=llama_tokenizer)
    begin, end = (llama_tokenizer.convert_tokens_to_ids(name) for name in names)
    call = llama_tokenizer.encode('{"name": "weather", "arguments": {"city": "Bern"}}', add_special_tokens=False)
    pieces = ["<|", "reserved", "_special", "_token", "_", "5", "|>"]
    spelled = [token for piece in pieces for token in llama_tokenizer.encode(piece, add_special_tokens=False)]
    for trigger in ([begin], spelled):
        matcher = constraint_of(processors).start()
        written = [*trigger, *call, end]
        assert all(matcher.accept(token) for token in written) and matcher.is_accepting()
        assert processors.parse([*written, *matcher.vocab.eos_ids]).calls[0]() == "Bern: 1"
    row = np.zeros(matcher.vocab.words, dtype=np.int32)
    constraint_of(processors).start().fill_mask(row)
    assert np.unpackbits(row.view(np.uint8), bitorder="little")[: matcher.vocab.size].all()
