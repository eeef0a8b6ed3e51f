"""Budgets: whoever obeys the masks finishes in time, and nothing is banned that fits easily."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grammars import BudgetExceeded, Grammar, Matcher, UnsatisfiableSchema, UnsupportedSchema, Vocabulary
from grammars.automaton.terminals import current_store
from tests.grammars.kernels.walking import mask_of
from tests.strategies.grammars import (
    Case,
    Modes,
    byte_vocabulary,
    cases,
    json_vocabularies,
    rich_vocabulary,
    schema_case,
    unpacked,
)
from tests.strategies.hard_schemas import HARD_SCHEMAS

BYTES = byte_vocabulary()


def follow(grammar: Grammar, vocab: Vocabulary, extra: int, random: Random, greedy: bool) -> None:
    """A walk with the least budget plus `extra`; `greedy`: among the longest ways."""
    matcher = Matcher(grammar, vocab)
    budget = matcher.min_tokens() + 1 + extra
    text = b""
    while not matcher.is_finished():
        assert budget > 0, f"no token is left after {text!r}"
        row = mask_of(matcher, budget)
        plain = mask_of(matcher)
        assert not (row & ~plain).any(), "a budget allows nothing new"
        np.testing.assert_array_equal(mask_of(matcher, 1 << 40), plain)
        tokens = unpacked(row).nonzero()[0].tolist()
        assert tokens, f"no token is allowed after {text!r} with {budget} to go, {matcher.min_tokens()} needed"
        inner = [token for token in tokens if token not in vocab.eos_ids]
        token = random.choice(inner if inner and greedy else tokens)
        assert matcher.accept(token)
        text += vocab.token_bytes(token)
        budget -= 1
        if not matcher.is_finished():
            assert matcher.min_tokens() + 1 <= budget, f"after {text!r}"


def check_masks(case: Case, vocab: Vocabulary, picks: list[int]) -> None:
    """At each place and for each budget: what is allowed is what leaves enough for the rest."""
    matcher = Matcher(case.build(current_store()), vocab)
    text = b""
    for pick in picks:
        plain = [token for token in unpacked(mask_of(matcher)).nonzero()[0].tolist() if token not in vocab.eos_ids]
        if not plain:
            return
        needed = {}
        for token in plain:
            assert matcher.accept(token)
            needed[token] = matcher.min_tokens() + 1
            matcher.rollback(1)
        needed = {token: rest for token, rest in needed.items() if rest < 1 << 28}  # the vocabulary can write the rest
        if not needed:
            return
        least, most = min(needed.values()), max(needed.values())
        for budget in {least + 1, least + 2, least + 3, least + 1 + pick % 9, max(most, 2), most + 1}:
            found = set(unpacked(mask_of(matcher, budget)).nonzero()[0].tolist()) - set(vocab.eos_ids)
            expected = {token for token, rest in needed.items() if rest < budget}
            if not expected:
                continue  # too small a budget: what is nearest to it is allowed
            # which items are still new is only estimated: a little may be banned early
            differ = found - expected if "uniqueItems" in repr(case) else found ^ expected
            wrong = [(vocab.token_bytes(token), needed[token]) for token in sorted(differ)]
            assert not wrong, (
                f"after {text!r} with {budget}: {len(found)} and {len(expected)} tokens differ in {wrong[:4]}"
            )
        token = plain[pick % len(plain)]
        assert matcher.accept(token)
        text += vocab.token_bytes(token)


picks = st.lists(st.integers(0, 1 << 16), max_size=8)


@given(st.data(), cases, picks)
def test_budgets_allow_what_leaves_enough_for_the_rest(data: st.DataObject, case: Case, picks: list[int]) -> None:
    vocab, _ = data.draw(json_vocabularies(case.words))
    try:
        check_masks(case, vocab, picks)
    except (UnsatisfiableSchema, UnsupportedSchema, BudgetExceeded):
        assume(False)


@pytest.mark.parametrize("name", HARD_SCHEMAS)
def test_budgets_allow_what_leaves_enough_for_the_rest_on_hard_schemas(name: str) -> None:
    random = Random(name)
    for chosen in (Modes(), Modes("any", "any", "any"), Modes("any", "compact")):
        case = schema_case(HARD_SCHEMAS[name], chosen)
        check_masks(case, rich_vocabulary(case.words)[0], [random.randrange(1 << 16) for _ in range(8)])


def check(case: Case, seed: int, walks: int) -> None:
    random = Random(seed)
    grammar = case.build(current_store())
    for vocab in (BYTES, rich_vocabulary(case.words)[0]):
        for _ in range(walks):
            follow(grammar, vocab, random.choice((0, 0, 1, 2, 5, 20)), random, random.random() < 0.7)


@given(cases, st.integers(0, 1 << 16))
def test_walks_within_a_budget_finish(case: Case, seed: int) -> None:
    try:
        check(case, seed, 2)
    except (UnsatisfiableSchema, UnsupportedSchema, BudgetExceeded):
        assume(False)


VALUES = [{"const": 1}, {"const": "longer"}, {"type": "array", "items": {"const": 2}, "minItems": 4}, {"$ref": "#"}, {}]


@given(st.data(), st.integers(0, 1 << 16))
def test_walks_within_a_budget_fill_objects_up(data: st.DataObject, seed: int) -> None:
    """Enough optional keys, of very different costs, some of which hold another such object."""
    names = data.draw(st.lists(st.sampled_from(["a", "b", "long name", "d", "n"]), unique=True))
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: data.draw(st.sampled_from(VALUES)) for name in names},
        "required": data.draw(st.lists(st.sampled_from(names), unique=True, max_size=2)) if names else [],
        "minProperties": data.draw(st.integers(1, 4)),
        "additionalProperties": data.draw(st.sampled_from([False, True, {"const": "x"}])),
    }
    modes = data.draw(st.sampled_from([Modes(), Modes("any", "compact"), Modes("any", "any", "any")]))
    case = schema_case(schema, modes)
    try:
        check(case, seed, 2)
        check_masks(case, rich_vocabulary(case.words)[0], [seed * k % 9973 for k in range(6)])
    except UnsatisfiableSchema:
        assume(False)


def test_what_a_remembered_mask_needs_depends_on_the_keys_that_are_left() -> None:
    """Behind "a" and behind "b" the same tokens may come, but after the comma one cheap key is left, or a dear one."""
    schema = {
        "type": "object",
        "properties": {"a": {"const": 1}, "b": {"const": 1}, "dear": {"const": "a rather long text"}},
        "additionalProperties": False,
    }
    comma = next(token for token in range(BYTES.size) if BYTES.token_bytes(token) == b",")
    for texts in ((b'{"a":1', b'{"b":1'), (b'{"b":1', b'{"a":1'), (b'{"a":1', b'{"b":1', b'{"a":1')):
        grammar = schema_case(schema, Modes()).build(current_store())
        for text in texts:
            matcher = Matcher(grammar, BYTES)
            assert matcher.accept_bytes(text) and matcher.accept(comma)
            needed = matcher.min_tokens() + 1
            matcher.rollback(1)
            for budget in range(2, 40):
                assert unpacked(mask_of(matcher, budget))[comma] == (needed < budget), (texts, text, budget)


# Where items must differ, a repetition costs more than the estimate knows: a reserve is kept back for it.
EXACT = [name for name in HARD_SCHEMAS if not name.startswith(("unique", "contains two"))]


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("chosen", [Modes(), Modes("any", "any", "any"), Modes("any", "compact")], ids=str)
def test_walks_within_a_budget_finish_on_hard_schemas(name: str, chosen: Modes) -> None:
    check(schema_case(HARD_SCHEMAS[name], chosen), 11, 4)


@pytest.mark.parametrize("name", ["unique words", "unique short strings", "unique numbers", "unique anything"])
def test_walks_within_a_budget_finish_where_items_must_differ(name: str) -> None:
    random = Random(name)
    case = schema_case(HARD_SCHEMAS[name], Modes("any", "compact"))
    for vocab in (BYTES, rich_vocabulary(case.words)[0]):
        for _ in range(20):
            matcher = Matcher(case.build(current_store()), vocab)
            budget = matcher.min_tokens() + 1 + random.randrange(20)
            while not matcher.is_finished():
                tokens = unpacked(mask_of(matcher, budget)).nonzero()[0].tolist()
                assert tokens and budget > 0
                assert matcher.accept(random.choice(tokens))
                budget -= 1


SHORTEST: tuple[tuple[Any, int], ...] = (
    ({"const": "abc"}, 5),
    ({"enum": ["abc", "a", 17]}, 2),
    ({"type": "array"}, 2),
    ({"type": "array", "items": {"const": 1}, "minItems": 3}, 7),
    ({"type": "array", "prefixItems": [{"const": 1}, {"const": 22}], "minItems": 2}, 6),
    ({"type": "object"}, 2),
    ({"type": "object", "properties": {"ab": {"const": 1}, "c": {}}, "required": ["ab"]}, 8),
    ({"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 2}}, "required": ["a", "b"]}, 13),
    ({"type": "string", "minLength": 3}, 5),
    ({"type": "string", "pattern": "^a{2,4}$"}, 4),
    ({"type": "integer", "minimum": 100}, 3),
    ({"anyOf": [{"const": "long text"}, {"type": "null"}, {"const": [[]]}]}, 4),
)


@pytest.mark.parametrize("schema, tokens", SHORTEST)
@pytest.mark.parametrize("order", ["schema", "any"])
def test_estimates_lie_close_above_the_shortest_document(schema: Any, tokens: int, order: str) -> None:
    """Where each byte is a token: never less than the bytes of the shortest document, and not much more."""
    matcher = Matcher(schema_case(schema, Modes(order, "compact")).grammar(), BYTES)
    assert tokens <= matcher.min_tokens() <= 2 * tokens + 2
    follow(matcher.grammar, BYTES, 0, Random(1), True)


def test_tokens_of_several_bytes_shorten_the_way() -> None:
    case = schema_case({"type": "object", "properties": {"name": {"const": "x"}}, "required": ["name"]})
    vocab, _ = rich_vocabulary((b'"name"', b'"x"'))
    assert 3 <= Matcher(case.grammar(), vocab).min_tokens() <= 8
    assert 12 <= Matcher(case.grammar(), BYTES).min_tokens() <= 14


@pytest.mark.parametrize("text", ["n\n", '"', "\\", "/", "é", "€", "😀", "\x01", "\x7f", "\ud7ff"])
def test_estimates_fall_by_one_a_byte(text: str) -> None:
    """Within a name and a word, however spelled: after each byte that the least budget allows, one less is needed."""
    schema = {"type": "object", "properties": {text: {"const": text}, text + "z": {}}, "required": [text]}
    for chosen in (Modes("any", "compact", "any"), Modes("any", "compact", "canonical")):
        for additional in (True, False):
            grammar = schema_case({**schema, "additionalProperties": additional}, chosen).build(current_store())
            for seed in range(6):
                follow(grammar, BYTES, seed % 3, Random(seed), False)


def test_recursion_costs_its_shortest_way_out() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#"}}, "additionalProperties": False}
    case = schema_case({"anyOf": [node, {"const": 1}]}, Modes("any", "compact"))
    matcher = Matcher(case.grammar(), BYTES)
    assert matcher.min_tokens() == 1
    assert matcher.accept_bytes(b'{"next":' * 5)
    assert matcher.min_tokens() == 6
    tokens = unpacked(mask_of(matcher, 7)).nonzero()[0].tolist()
    assert tokens == [ord("1")]
    assert set(unpacked(mask_of(matcher, 8)).nonzero()[0].tolist()) == {ord("1"), ord("{")}


def test_costs_prepared_late_hold_for_open_documents() -> None:
    """The first question may come in the middle: all frames are worked out then, and again after going back."""
    case = schema_case(HARD_SCHEMAS["tree"], Modes("any", "compact"))
    early, late = Matcher(case.grammar(), BYTES), Matcher(case.grammar(), BYTES)
    expected = [early.min_tokens()]
    text = b'{"l":{"r":{"l":{"v":1,"r":{'
    for byte in text:
        assert early.accept(byte) and late.accept(byte)
        expected.append(early.min_tokens())
    copy = late.copy()
    found = [late.min_tokens()]
    for _ in text:
        late.rollback(1)
        found.append(late.min_tokens())
    assert found[::-1] == expected
    assert copy.min_tokens() == expected[-1]


def test_a_finished_text_needs_nothing() -> None:
    matcher = Matcher(schema_case({"type": "integer"}).grammar(), BYTES)
    assert matcher.accept_bytes(b"1") and matcher.min_tokens() == 0
    assert unpacked(mask_of(matcher, 1)).nonzero()[0].tolist() == [256]
    assert matcher.accept(256) and matcher.min_tokens() == 0
