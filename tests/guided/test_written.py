"""Grammars as constraints: a small model under each, and a real one under the ready ones."""

from __future__ import annotations

import functools
from typing import Any

import lark
import pytest
import torch

import guided
from grammars import library
from guided.demo.model import LoadedModel, ModelMissing, load_smollm2


@functools.cache
def real_model() -> LoadedModel:
    try:
        return load_smollm2()
    except ModelMissing as missing:
        pytest.skip(f"{missing}")


PROMPTS = {
    "json": "Write a JSON object for a person.",
    "json_lines": "Write two JSON lines.",
    "iso_date": "When did humans first land on the Moon? Answer with the date in the form YYYY-MM-DD.",
    "email": "Invent an e-mail address.",
    "url": "What is the address of Wikipedia?",
    "sql_select": "Write an SQL query for the names of all users.",
    "arithmetic": "Write the sum of three numbers.",
    "html_fragment": "Write a heading in HTML.",
    "csv_row": "Write a row of CSV with three fruits.",
    "python_expression": "Write a Python expression for the square of x.",
}


def begins_a_text(name: str, text: str) -> bool:
    """What lark says of the beginning of a text: it has no complaint before its end."""
    parser = lark.Lark(library.load(name).text, parser="lalr")
    try:
        parser.parse(text)
    except lark.exceptions.UnexpectedCharacters as error:
        return error.pos_in_stream is not None and len(text) - error.pos_in_stream < 40
    except lark.exceptions.UnexpectedToken as error:
        return error.token.type == "$END"
    return True


@pytest.mark.parametrize("name", library.names())
def test_a_real_model_writes_the_ready_grammars(name: str) -> None:
    loaded = real_model()
    inputs = loaded.chat(PROMPTS[name])
    constraint = guided.library(name, tokenizer=loaded.tokenizer, model=loaded.model)
    ids = loaded.model.generate(**inputs, logits_processor=constraint, max_new_tokens=8, do_sample=False)
    new = ids[0, inputs["input_ids"].shape[1] :]
    text = loaded.text(new)
    matcher = guided.Matcher(library.load(name).compile(), guided.Vocabulary.from_tokenizer(loaded.tokenizer))
    assert text and matcher.accept_bytes(text.encode())
    ended = int(new[-1]) in matcher.vocab.eos_ids
    assert matcher.is_accepting() or not ended
    if library.load(name).language == "lark":
        assert begins_a_text(name, text)


def test_the_kinds_of_constraints_on_random_scores() -> None:
    """Greedy steps on random scores stay in the language; EOS is forced where nothing can follow."""
    vocab = guided.Vocabulary.from_bytes([*(bytes((b,)) for b in range(128)), b""], eos_ids=[128])
    for constraint, expected in (
        (guided.lark('start: "a" | "b" start "c"', tokenizer=vocab), b"abc"),
        (guided.gbnf('root ::= "a" | "b" root "c"', tokenizer=vocab), b"abc"),
        (guided.ebnf("x ::= 'a' | 'b' x 'c'", tokenizer=vocab), b"abc"),
    ):
        ids: Any = torch.zeros((1, 1), dtype=torch.long)
        generator = torch.Generator().manual_seed(7)
        first = ids.shape[1]
        for _ in range(40):
            scores = torch.randn((1, 129), generator=generator)
            scores = constraint(ids, scores)
            ids = torch.cat([ids, scores.argmax(-1, keepdim=True)], dim=1)
            if int(ids[0, -1]) == 128:
                break
        text = bytes(t for t in ids[0, first:].tolist() if t < 128)
        assert set(text) <= set(expected) and text.count(b"b") == text.count(b"c")
        assert int(ids[0, -1]) != 128 or text.count(b"a") == 1


def test_a_limit_of_tokens_is_kept_by_grammars() -> None:
    """Scores that want to go on for ever are led to an end; a limit below the least is refused when it is asked for."""
    vocab = guided.Vocabulary.from_bytes([b"a", b"b", b"c", b""], eos_ids=[3])
    constraint = guided.gbnf('root ::= "a" | "b" root "c"', tokenizer=vocab, max_new_tokens=8)
    ids: Any = torch.zeros((1, 1), dtype=torch.long)
    for _ in range(8):
        scores = constraint(ids, torch.tensor([[0.0, 9.0, 1.0, 0.0]]))
        ids = torch.cat([ids, scores.argmax(-1, keepdim=True)], dim=1)
    assert ids[0, 1:].tolist() == [1, 1, 1, 0, 2, 2, 2, 3]


def test_an_unknown_ready_grammar() -> None:
    with pytest.raises(KeyError, match="sql_select"):
        guided.library("cobol")
