"""Token healing: the prompt's text is continued, in whatever tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import guided
from guided.drafters import PromptLookup
from guided.generation import generate
from guided.speculation.healing import HealedMatcher, _tokens, heal, surplus
from tests.processors.tiny import llama
from tests.processors.toys import EOS, toy_vocabulary

VOCABULARY = toy_vocabulary()
ID = {VOCABULARY.token_bytes(token): token for token in range(VOCABULARY.size) if VOCABULARY.token_bytes(token)}


def ids_of(*texts: str) -> list[int]:
    return [ID[text.encode()] for text in texts]


def test_what_could_be_a_longer_token_is_taken_back() -> None:
    assert surplus(ids_of("d", "[", "1"), VOCABULARY) == 1  # "1," and "12" begin with it
    assert surplus(ids_of("d", "1", "2"), VOCABULARY) == 2  # "12,3"
    assert surplus(ids_of("d", "e"), VOCABULARY) == 0
    assert surplus(ids_of("a"), VOCABULARY) == 0  # never the whole prompt
    assert surplus([0, *ids_of("a")], VOCABULARY) == 1
    assert surplus([*ids_of("a"), 0], VOCABULARY) == 0  # never across special tokens


@pytest.mark.parametrize("pattern", [None, "b(c|1)*", "2,3|c+"])
@pytest.mark.parametrize("lead", [b"a", b"1", b"ca", b"12"])
def test_masks_are_the_definition(pattern: str | None, lead: bytes) -> None:
    """A token may come next if its text agrees with what is left of the lead, and the rest begins the constraint."""
    inner = None if pattern is None else guided.Matcher(guided.compile_regex(pattern), VOCABULARY)
    matcher = HealedMatcher(inner, lead, VOCABULARY, _tokens(VOCABULARY))
    row = np.zeros(VOCABULARY.words, np.int32)

    def viable(text: bytes) -> bool:
        if len(text) <= len(lead):
            return lead.startswith(text)
        if not text.startswith(lead):
            return False
        fresh = None if pattern is None else guided.Matcher(guided.compile_regex(pattern), VOCABULARY)
        return fresh is None or fresh.accept_bytes(text[len(lead) :])

    written = b""
    random = torch.Generator().manual_seed(len(lead))
    for _ in range(5):
        matcher.fill_mask(row)
        allowed = {t for t in range(VOCABULARY.size) if (int(row[t >> 5]) >> (t & 31)) & 1}
        expected = {token for text, token in _tokens(VOCABULARY) if viable(written + text)}
        assert {token for token in allowed if VOCABULARY.token_bytes(token)} == expected
        for token in range(VOCABULARY.size):
            if VOCABULARY.token_bytes(token):
                assert matcher.accept(token) == (token in expected)
                if token in expected:
                    matcher.rollback(1)
        if not expected:
            break
        token = sorted(expected)[int(torch.randint(0, len(expected), (), generator=random))]
        assert matcher.accept(token)
        assert matcher.copy().n_tokens == matcher.n_tokens
        written += VOCABULARY.token_bytes(token)


def test_nothing_to_heal_changes_nothing() -> None:
    ids = torch.tensor([ids_of("d", "e", "f")])
    inputs, processors, leads = heal({"input_ids": ids}, None, VOCABULARY)
    assert torch.equal(inputs["input_ids"], ids) and not processors and leads == [b""]


def test_generate_heals_and_keeps_the_constraint() -> None:
    ids = torch.tensor([ids_of("d", "e", "a"), ids_of("d", "e", "e")])
    options: dict[str, Any] = {"max_new_tokens": 12, "do_sample": False, "heal": True}
    constraint = guided.regex("b(c|1){2}", tokenizer=VOCABULARY)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    out = generate(llama(), inputs, constraint, PromptLookup(), **options)
    texts = [b"".join(map(VOCABULARY.token_bytes, row)) for row in out.new_tokens.tolist()]
    grammar = guided.compile_regex("b(c|1){2}")
    for text, lead in zip(texts, out.healed, strict=True):
        matcher = guided.Matcher(grammar, VOCABULARY)
        assert text.startswith(lead) and matcher.accept_bytes(text[len(lead) :]) and matcher.is_accepting()
    assert out.healed == [b"a", b""]
    assert EOS in out.new_tokens[0].tolist()
