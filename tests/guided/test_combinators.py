"""Combined constraints and tagged text: on grammars, and inside `generate`."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
import torch

import guided
from tests.guided.test_constraints import EOS, WIDTH, write
from tests.processors.tiny import llama

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["a"],
    "additionalProperties": False,
}
TAG = guided.Tag("<t>", guided.compile_json_schema(SCHEMA, whitespace="compact"), "</t>")


@pytest.fixture(scope="module")
def vocabulary() -> guided.Vocabulary:
    pieces = ["<t", '>{"a', '": ', "}</", "t>", "the", " a", "<"]
    tokens = [*(bytes([value]) for value in range(256)), None, None, *(piece.encode() for piece in pieces)]
    return guided.Vocabulary.from_bytes(tokens, eos_ids=[EOS], size=WIDTH)


MODES: list[dict[str, Any]] = [
    {},
    {"num_beams": 3},
    {"rows": 3, "do_sample": True},
    {"prompt_lookup_num_tokens": 3, "do_sample": True},
]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_generate_under_combinations(vocabulary: guided.Vocabulary, mode: dict[str, Any]) -> None:
    whole = guided.then(
        "a: ",
        guided.regex("[xyz]{2}", tokenizer=vocabulary),
        guided.json(SCHEMA, tokenizer=vocabulary) | "none",
        guided.repeat(guided.substring("<< of the hill", boundary="words", tokenizer=vocabulary), 1, 2),
        max_new_tokens=50,
    )
    for text in write(vocabulary, whole, limit=50, **mode):
        match = re.fullmatch(r'a: [xyz]{2}(none|\{\s*"a": ?[0-9]\s*\})([<< ofthehil]+)', text)
        assert match, text


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_generate_with_a_required_region(vocabulary: guided.Vocabulary, mode: dict[str, Any]) -> None:
    constraint = guided.tagged(TAG, at_least=1, at_most=2, tokenizer=vocabulary, max_new_tokens=50)
    for text in write(vocabulary, constraint, limit=50, **mode):
        found = re.findall("<t>(.*?)</t>", text, re.DOTALL)
        assert 1 <= len(found) <= 2 and all(json.loads(one)["a"] < 10 for one in found), text
        assert [region.text for region in constraint.parse(text).regions] == found


def test_scores_outside_of_regions_are_untouched(vocabulary: guided.Vocabulary) -> None:
    """Every score of every step in free text is the model's own, EOS and ids without text included."""
    constraint = guided.tagged(TAG, tokenizer=vocabulary)
    torch.manual_seed(1)
    prompt = torch.tensor([[300, 301, 302]])
    out = llama(width=WIDTH).generate(
        input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=True, top_k=0, max_new_tokens=40,
        eos_token_id=EOS, pad_token_id=256, logits_processor=constraint, output_scores=True, output_logits=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    written = out.sequences[0, 3:].tolist()
    text = b""
    for token, scores, logits in zip(written, out.scores, out.logits, strict=True):
        if not re.search(rb"<(t)?$|<t>", text):
            assert torch.equal(scores, logits)
        text += vocabulary.token_bytes(token)


def test_the_scores_of_a_wider_head(vocabulary: guided.Vocabulary) -> None:
    processor = guided.tagged(TAG, tokenizer=vocabulary).parts[0]
    scores = torch.randn(1, WIDTH)
    assert torch.equal(processor(torch.tensor([[1]]), scores), scores)


def test_operands(vocabulary: guided.Vocabulary) -> None:
    assert isinstance(guided.then("a", guided.compile_regex("b")), guided.Grammar)
    number = guided.json(int, tokenizer=vocabulary)
    either = number | guided.json(list[int], tokenizer=vocabulary) | "none"
    assert [either.parse(text) for text in ("3", "[1,2]", "none")] == [3, [1, 2], "none"]
    both = guided.regex("[a-c]+", tokenizer=vocabulary) & guided.regex(".{2}", tokenizer=vocabulary)
    assert len(write(vocabulary, both)[0]) == 2
    limited = guided.constrain("maybe" | number, max_new_tokens=4)
    assert limited.parts[0].constraints[0].max_new_tokens == 4  # type: ignore[attr-defined]
    assert guided.constrain(guided.compile_choice(["a"]), tokenizer=vocabulary, reader=len).parse("a") == 1
    with pytest.raises(guided.CompositionError, match="prefix="):
        guided.then("a", guided.json(int, tokenizer=vocabulary, prefix="1"))
    with pytest.raises(guided.CompositionError, match="not one constraint"):
        guided.optional(guided.batch([number, None]))
    other = guided.Vocabulary.from_bytes([b"1", None], eos_ids=1)
    with pytest.raises(guided.CompositionError, match="different tokenizers"):
        number | guided.json(int, tokenizer=other)


def test_words(vocabulary: guided.Vocabulary) -> None:
    constraint = guided.words(["the", ["hill", "hills"]], ["a"], tokenizer=vocabulary, max_new_tokens=40)
    for text in write(vocabulary, constraint, limit=40, do_sample=True, rows=3):
        assert re.search(r"\bthe\b", text) and re.search(r"\bhills?\b", text) and not re.search(r"\ba\b", text)
    within = guided.words(["b"], within="[a-c ]{5}", tokenizer=vocabulary)
    text = write(vocabulary, within)[0]
    assert re.fullmatch("[a-c ]{5}", text) and re.search(r"\bb\b", text)


def test_think_then_answer(vocabulary: guided.Vocabulary) -> None:
    constraint = guided.think(guided.json(list[int], tokenizer=vocabulary), max_new_tokens=60)
    text = write(vocabulary, constraint, limit=60, do_sample=True)[0]
    assert text.startswith("<think>") and "</think>" in text and isinstance(constraint.parse(text), list)
    opened = guided.think(guided.json(int, tokenizer=vocabulary), opened=True)
    matcher = opened.parts[0].constraints[0].start()  # type: ignore[attr-defined]
    assert matcher.accept_bytes(b"so </think>\n\n12") and matcher.is_accepting()
    assert opened.parse("so </think>\n\n12") == 12
    short = guided.think(guided.json(int, tokenizer=vocabulary), max_thinking_tokens=30, max_new_tokens=60)
    for mode in MODES:
        for text in write(vocabulary, short, limit=60, **mode):
            assert "</think>" in text and isinstance(short.parse(text), int)
    with pytest.raises(guided.BudgetExceeded, match="max_thinking_tokens"):
        guided.think("a", tokenizer=vocabulary, opened=True, max_thinking_tokens=3)
    with pytest.raises(ValueError, match="required"):
        guided.think("a", tokenizer=vocabulary, required=False, max_thinking_tokens=30)
    lazy = guided.think(guided.json(int, tokenizer=vocabulary), required=False)
    assert lazy.parse("12") == 12 and lazy.parse("<think>x</think>7") == 7

    class Template:
        chat_template = "x"

        def apply_chat_template(self, *_: Any, **__: Any) -> str:
            return "<|user|>?<|assistant|>\n<think>\n"

    from guided.tagging import _opens

    assert _opens(Template(), "<think>") and not _opens(object(), "<think>")


def test_masks_of_free_text_are_all_ones(vocabulary: guided.Vocabulary) -> None:
    matcher = guided.tagged(TAG, tokenizer=vocabulary).parts[0].constraints[0].start()  # type: ignore[attr-defined]
    row = np.zeros(vocabulary.words, dtype=np.int32)
    matcher.fill_mask(row)
    assert np.unpackbits(row.view(np.uint8), bitorder="little")[: vocabulary.size].all()


def test_the_typed_results_of_generate(vocabulary: guided.Vocabulary) -> None:
    number = guided.json(int, tokenizer=vocabulary, max_new_tokens=12)
    several = guided.batch([number, guided.choice(["yes", "no"], tokenizer=vocabulary), number])
    prompt = torch.tensor([[300, 301, 302]])
    options: dict[str, Any] = {"max_new_tokens": 12, "eos_token_id": EOS, "pad_token_id": 256}
    out = guided.generate(llama(width=WIDTH), prompt, number, **options)
    assert isinstance(out.parsed, int)
    out = guided.generate(llama(width=WIDTH), prompt.repeat(3, 1), several, **options)
    first, word, last = out.parsed
    assert isinstance(first, int) and word in ("yes", "no") and isinstance(last, int)
    with pytest.raises(guided.CompositionError, match="no constraint"):
        guided.generate(llama(width=WIDTH), prompt, **options).parsed  # noqa: B018
