"""`guided.json` and its siblings on a small random model: the real engine, the real processor."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
import torch

import guided
from guided.tokenizers import resolve_vocabulary
from tests.processors.tiny import llama

WIDTH = 320
EOS = 257
PROMPT = torch.tensor([[300, 301, 302]])
PAIRS = ['{"', '": ', '", "', "true", "false", "null", ', "', '"}', "[[", "]]", "12", "34", "ab", "the", " a", "}, {"]


@pytest.fixture(scope="module")
def vocabulary() -> guided.Vocabulary:
    """All bytes, an unused id, EOS, some common pairs; the head is wider."""
    tokens = [*(bytes([value]) for value in range(256)), None, None, *(pair.encode() for pair in PAIRS)]
    return guided.Vocabulary.from_bytes(tokens, eos_ids=[EOS])


def write(vocabulary: guided.Vocabulary, processor: Any, limit: int = 60, rows: int = 1, **options: Any) -> list[Any]:
    """Texts of all rows, or None for a row that did not end."""
    torch.manual_seed(4)
    ids = PROMPT.repeat(rows, 1)
    out = llama(width=WIDTH).generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=limit, eos_token_id=EOS, pad_token_id=256,
        logits_processor=processor, **options,
    )  # fmt: skip
    texts: list[Any] = []
    for row in out[:, PROMPT.shape[1] :].tolist():
        ended = EOS in row
        written = row[: row.index(EOS)] if ended else row
        data = b"".join(vocabulary.token_bytes(token) for token in written if token < vocabulary.size)
        texts.append(data.decode(errors="replace") if ended else None)
    return texts


SCHEMAS: list[Any] = [
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 50}, "b": {"enum": ["x", "y"]}},
     "required": ["a", "b"], "additionalProperties": False},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 4},
    {"anyOf": [{"const": "yes"}, {"type": "null"}, {"type": "integer", "multipleOf": 5, "minimum": 0, "maximum": 95}]},
    {"type": "string", "maxLength": 5},
]  # fmt: skip
MODES: list[dict[str, Any]] = [
    {},
    {"do_sample": True, "top_k": 0},
    {"num_beams": 3},
    {"do_sample": True, "num_return_sequences": 4},
    {"rows": 3, "do_sample": True},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=["record", "array", "union", "string"])
@pytest.mark.parametrize("mode", MODES, ids=["greedy", "sampled", "beams", "several", "batch"])
def test_outputs_are_valid(vocabulary: guided.Vocabulary, schema: Any, mode: dict[str, Any]) -> None:
    processor = guided.json(schema, tokenizer=vocabulary, whitespace="compact")
    for _ in range(2):
        for text in write(vocabulary, processor, **mode):
            jsonschema.validate(json.loads(text), schema)


def test_regex_and_choice(vocabulary: guided.Vocabulary) -> None:
    (text,) = write(vocabulary, guided.regex("[a-f]{2,4}-(x|yy)+z", tokenizer=vocabulary), limit=200, do_sample=True)
    assert text is None or re.fullmatch("[a-f]{2,4}-(x|yy)+z", text)
    options = [f"option {number}" for number in range(200)]
    (text,) = write(vocabulary, guided.choice(options, tokenizer=vocabulary), do_sample=True)
    assert text in options


def test_a_batch_of_constraints(vocabulary: guided.Vocabulary) -> None:
    mixed = guided.batch(
        [guided.json(SCHEMAS[0], tokenizer=vocabulary), None, guided.choice(["red", "blue"], tokenizer=vocabulary)]
    )
    first, _, third = write(vocabulary, mixed, rows=3)
    jsonschema.validate(json.loads(first), SCHEMAS[0])
    assert third in ("red", "blue")
    with pytest.raises(guided.CompositionError, match="not one constraint"):
        guided.batch([mixed])


def test_prefix(vocabulary: guided.Vocabulary) -> None:
    processor = guided.json(SCHEMAS[0], tokenizer=vocabulary, prefix='{"a": 4')
    (text,) = write(vocabulary, processor)
    jsonschema.validate(json.loads('{"a": 4' + text), SCHEMAS[0])
    with pytest.raises(guided.GenerationError, match="begins with"):
        guided.json(SCHEMAS[0], tokenizer=vocabulary, prefix='{"c')


def test_text_types_and_functions(vocabulary: guided.Vocabulary) -> None:
    def search(kind: bool, page: None) -> None: ...

    (text,) = write(vocabulary, guided.json(search, tokenizer=vocabulary))
    assert set(json.loads(text)) == {"kind", "page"}
    (text,) = write(vocabulary, guided.json('{"const": 3}', tokenizer=vocabulary))
    assert text == "3"


def test_the_default_tokenizer(vocabulary: guided.Vocabulary) -> None:
    with pytest.raises(guided.TokenizerError, match="use_tokenizer"):
        guided.json(True)
    guided.use_tokenizer(vocabulary)
    try:
        assert write(vocabulary, guided.choice(["a"])) == ["a"]
    finally:
        guided.use_tokenizer(None)
    with pytest.raises(guided.TokenizerError, match="no tokenizer"):
        guided.any_json()


def test_a_grammar_is_compiled_once(vocabulary: guided.Vocabulary) -> None:
    """Masks live with the grammar: a server that builds its constraint for each request keeps them."""
    from guided import constraints

    kept, grammar = constraints._Grammars(), guided.compile_choice(["a"])
    assert kept.get("key", lambda: grammar) is grammar
    assert kept.get("key", lambda: guided.compile_choice(["b"])) is grammar
    first, second = (guided.json(SCHEMAS[0], tokenizer=vocabulary)[0].constraints[0].start for _ in range(2))
    assert first().grammar is second().grammar


class Config:
    eos_token_id = (EOS, 256)


class Head:
    weight = torch.zeros(WIDTH, 4)


class Model:
    generation_config = Config

    @staticmethod
    def get_output_embeddings() -> Any:
        return Head


def byte_tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    rust = Tokenizer(models.BPE({char: i for i, char in enumerate(alphabet)} | {"<pad>": 256, "</s>": 257}, []))
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    rust.add_special_tokens(["<pad>", "</s>"])
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=rust, eos_token="</s>", pad_token="<pad>")


def test_what_ends_a_text() -> None:
    """`eos_ids` before the model's list before the tokenizer's one; the model also tells the width."""
    tokenizer = byte_tokenizer()
    assert resolve_vocabulary(tokenizer).eos_ids == (257,)
    assert resolve_vocabulary(tokenizer, Model).eos_ids == (256, 257)
    assert resolve_vocabulary(tokenizer, Model, [257]).eos_ids == (257,)
    assert resolve_vocabulary(tokenizer, Model).size == WIDTH


def test_a_tokenizer_of_transformers() -> None:
    tokenizer = byte_tokenizer()
    (text,) = write(resolve_vocabulary(tokenizer), guided.json(SCHEMAS[0], tokenizer=tokenizer, whitespace="compact"))
    jsonschema.validate(json.loads(text), SCHEMAS[0])


@pytest.mark.parametrize("mode", MODES, ids=["greedy", "sampled", "beams", "several", "batch"])
@pytest.mark.parametrize(
    ("schema", "limit"),
    [(SCHEMAS[0], 30), ({"type": "array", "items": {"$ref": "#"}}, 12), ({"type": "string"}, 8), (True, 20)],
    ids=["record", "recursion", "string", "any"],
)
def test_on_budget_finish_always_ends(vocabulary: guided.Vocabulary, schema: Any, limit: int, mode: Any) -> None:
    """Blanks, strings and recursion could go on for ever; with `max_new_tokens` told, every document is complete."""
    processor = guided.json(schema, tokenizer=vocabulary, max_new_tokens=limit)
    for text in write(vocabulary, processor, limit=limit, **mode):
        assert text is not None
        jsonschema.validate(json.loads(text), schema)


def test_a_budget_that_nothing_fits_into(vocabulary: guided.Vocabulary) -> None:
    with pytest.raises(guided.BudgetExceeded, match="max_new_tokens = 5"):
        guided.json(SCHEMAS[0], tokenizer=vocabulary, max_new_tokens=5)
    (text,) = write(
        vocabulary, guided.json(SCHEMAS[0], tokenizer=vocabulary, max_new_tokens=5, on_budget="cut"), limit=5
    )
    assert text is None
