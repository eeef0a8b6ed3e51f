"""What every drafter owes: greedy output stays the model's, sampled output stays legal; and what each is for."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

import guided
from guided.drafters import (
    Auto,
    CopyEdit,
    DraftModel,
    Jacobi,
    LayerSkip,
    PromptLookup,
    Recall,
    RecursiveDrafts,
    SchemaLookup,
    SpecTr,
    TokenRecycling,
    Trigram,
)
from guided.drafters.layers import find_layers, skipping
from guided.drafters.recall import likeliest
from guided.generation import generate
from guided.speculation.costs import PassCosts, costs_of
from guided.speculation.draft import Draft, Seen, Setup, View
from tests.processors.tiny import llama
from tests.processors.toys import toy_vocabulary

VOCABULARY = toy_vocabulary()
PATTERN = r"(\[(1|2|12)*\],?){1,6}abcabc\[\[(a|b|cab)+\]\]"

MADE: dict[str, Any] = {
    "auto": Auto,
    "chain": lambda: DraftModel(llama(3)),
    "copy": CopyEdit,
    "overlap": lambda: DraftModel(llama(3), 3, overlap=True),
    "itself": lambda: DraftModel(llama(0), stop=1.0),
    "spectr": lambda: SpecTr(llama(3), 3, 3),
    "rsd tree": lambda: RecursiveDrafts(llama(3), 3, 3),
    "rsd beam": lambda: RecursiveDrafts(llama(3), 3, 3, beam=True),
    "jacobi": lambda: Jacobi(5),
    "layers": lambda: LayerSkip(0.3, 4, stop=0.1, search=2),
    "lookup": PromptLookup,
    "recall": Recall,
    "recycling": TokenRecycling,
    "schema": SchemaLookup,
    "trigram": Trigram,
}


def inputs(seed: int) -> dict[str, torch.Tensor]:
    ids = torch.randint(6, 30, (1, 9), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@pytest.mark.parametrize("name", MADE)
def test_greedy_output_is_the_models(name: str) -> None:
    drafter = MADE[name]()
    for constrained in (False, True):
        given = {"logits_processor": guided.regex(PATTERN, tokenizer=VOCABULARY)} if constrained else {}
        plain = llama().generate(**inputs(1), **given, max_new_tokens=30, do_sample=False)
        out = generate(
            llama(), inputs(1), given.get("logits_processor"), drafter, max_new_tokens=30, do_sample=False
        )
        assert torch.equal(out.sequences, plain)
        assert out.stats.passes <= plain.shape[1] - 9


@pytest.mark.parametrize("name", MADE)
def test_sampled_output_is_legal(name: str) -> None:
    torch.manual_seed(0)
    constraint = guided.regex(PATTERN, tokenizer=VOCABULARY, max_new_tokens=40)
    out = generate(llama(), inputs(2), constraint, MADE[name](), max_new_tokens=40, do_sample=True, temperature=1.2)
    matcher = guided.Matcher(guided.compile_regex(PATTERN), VOCABULARY)
    new = out.new_tokens[0].tolist()
    assert matcher.count_valid(new) == len(new)


def test_a_model_drafting_for_itself_is_always_accepted() -> None:
    out = generate(llama(), inputs(1), None, DraftModel(llama(0), 5, stop=1.0), max_new_tokens=30, do_sample=False)
    assert out.stats.accepted == out.stats.drafted > 0
    torch.manual_seed(0)
    options: dict[str, Any] = {"max_new_tokens": 31, "do_sample": True, "top_k": 0}
    out = generate(llama(), inputs(1), None, DraftModel(llama(0), 5, stop=1.0), **options)
    assert out.stats.accepted == out.stats.drafted > 0


def test_skipping_nothing_is_the_model_and_the_model_comes_back() -> None:
    out = generate(llama(), inputs(1), None, LayerSkip(0.0, 4, stop=0.0, search=0), max_new_tokens=30, do_sample=False)
    assert out.stats.accepted == out.stats.drafted > 0
    layers = find_layers(llama())
    before = [layer.mlp for layer in layers]
    with skipping(layers, frozenset({(1, "mlp"), (1, "attention")})):
        assert layers[1].mlp is not before[1]
    assert [layer.mlp for layer in layers] == before


def test_lookup_copies_what_followed() -> None:
    session = PromptLookup(4).start(None)  # type: ignore[arg-type]
    draft = Draft(2)
    session.propose(View([1, 2, 3, 4, 5, 9, 1, 2], 6, 8), draft, 0)
    assert draft.tokens == [2, 3, 4, 5, 9]


SOURCE = list(range(10, 30))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ([10, 11, 12, 13], 14),
        ([10, 11, 12, 99], 14),  # 13 was exchanged
        ([10, 11, 12, 16], 17),  # 13 to 15 were left out
        ([10, 11, 12, 99, 15], 16),  # 13 and 14 were exchanged for one
        ([10, 11, 12, 99, 98, 13], 14),  # two were put in
        ([20, 21, 22, 12, 13], 14),  # another place
    ],
)
def test_a_copy_goes_on_after_an_edit(written: list[int], expected: int) -> None:
    session = CopyEdit().start(None)  # type: ignore[arg-type]
    ids = [*SOURCE, 5, *written]
    draft = Draft(ids[-1])
    session.propose(View(ids, len(SOURCE) + 1, len(ids)), draft, 0)
    assert draft.tokens[1] == expected
    assert draft.path(len(draft) - 1)


def test_a_copy_is_followed_over_forced_text_and_offers_both_places_behind_an_edit() -> None:
    session = CopyEdit().start(None)  # type: ignore[arg-type]
    ids = [*SOURCE, 5, 10, 11, 12, 13, 14, 99]
    draft = Draft(ids[-1])
    session.propose(View(ids, len(SOURCE) + 1, len(ids) - 2), draft, 0)
    assert draft.tokens[1] == 16 and {16, 17} <= set(draft.children[0])
    assert draft.path(draft.children[draft.children[0][16]][17]) == [16, 17]


def test_a_word_in_other_tokens_is_known_for_the_same() -> None:
    words = {10: "Meet", 11: " on", 12: " thurs", 13: "day", 14: " or", 15: " later", 16: ".", 99: " Thursday"}

    class Tokenizer:
        def decode(self, ids: list[int]) -> str:
            return words.get(ids[0], "")

    source = [1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16]
    ids = [*source, 5, 10, 11, 99]
    found = {}
    for tokenizer in (None, Tokenizer()):
        session = CopyEdit().start(Setup(None, None, 0.0, 100, frozenset(), tokenizer=tokenizer))
        draft = Draft(ids[-1])
        session.propose(View(ids, len(source) + 1, len(ids)), draft, 0)
        found[tokenizer is None] = draft.tokens[1]
    assert found == {True: 13, False: 14}


def test_the_likeliest_tokens_are_found_by_blocks() -> None:
    for width in (6_400, 6_399, 70):
        scores = 3 * torch.randn((3, width), generator=torch.Generator().manual_seed(width))
        tokens, weights = likeliest(scores, 5)
        assert torch.equal(tokens, scores.topk(5).indices)
        assert torch.allclose(weights, scores.softmax(-1).topk(5).values)


def test_recycling_follows_its_tree() -> None:
    owner = TokenRecycling(k=2, tree=[(0,), (1,), (0, 1)])
    owner.table = {1: [4, 5], 4: [6, 7]}
    draft = Draft(1)
    owner.start(None).propose(View([1], 1, 1), draft, 0)  # type: ignore[arg-type]
    assert (draft.tokens, draft.parents) == ([1, 4, 5, 7], [-1, 0, 0, 1])
    with pytest.raises(ValueError, match="parent"):
        TokenRecycling(tree=[(0, 0)])


def test_a_second_run_over_the_same_text_is_short() -> None:
    drafter = TokenRecycling()
    first = generate(llama(), inputs(4), None, drafter, max_new_tokens=40, do_sample=False)
    second = generate(llama(), inputs(4), None, drafter, max_new_tokens=40, do_sample=False)
    assert second.stats.passes < first.stats.passes <= 40


def test_trigram_learns_an_order_two_chain() -> None:
    drafter = Trigram(nodes=6, depth=3)
    session = drafter.start(None)  # type: ignore[arg-type]
    logits = torch.full((1, 10), -9.0)
    logits[0, 7] = 9.0
    session.observe(Seen(Draft(2), [], 7, [1, 2, 7], logits))
    draft = Draft(2)
    session.propose(View([1, 2], 2, 2), draft, 0)
    assert draft.tokens[1] == 7


def test_schema_lookup_reads_the_automaton() -> None:
    tokens: list[bytes | None] = [bytes((byte,)) for byte in range(256)]
    vocabulary = guided.Vocabulary.from_bytes([*tokens, b'", "', b'": "', None], eos_ids=[258])
    schema = {
        "type": "object", "properties": {"one": {"type": "string"}, "two": {"enum": ["left", "right"]}},
        "required": ["one", "two"], "additionalProperties": False,
    }  # fmt: skip
    grammar = guided.compile_json_schema(schema, property_order="schema", whitespace="default")
    matcher = guided.Matcher(grammar, vocabulary)
    ids = list(b'{"one": "x')
    for token in ids:
        assert matcher.accept(token)
    setup = Setup(None, None, 0.0, 259, frozenset({258}), vocabulary)
    draft = Draft(ids[-1], 200)
    SchemaLookup().start(setup).propose(View(ids, 0, len(ids), matcher), draft, 0)
    texts = [b"".join(map(vocabulary.token_bytes, draft.path(node))) for node in range(len(draft))]
    assert b'", "two": "' in texts
    assert any(text.endswith(b'left"') for text in texts) and any(text.endswith(b'right"') for text in texts)
    assert matcher.n_tokens == len(ids)


def test_costs_are_learnt() -> None:
    costs = PassCosts()
    for tokens in [1, 8, 16, 1, 4, 12] * 20:
        costs.note(tokens, 0.05 + 0.01 * (tokens - 1))
    assert costs.cost(1) == pytest.approx(1.0, rel=0.02)
    assert costs.cost(16) == pytest.approx(4.0, rel=0.1)


def test_auto_sends_nothing_where_passes_are_dear() -> None:
    """A model whose passes cost as much as their tokens gains nothing by drafts that are often wrong."""
    drafter = Auto([PromptLookup()])
    for kind, way, place in itertools.product([1, 2, 3, 4, "exchanged", "put in"], range(3), range(4)):
        drafter.shares["lookup", (True, (kind, way, place))] = [10.0, 100.0]
    model = llama(7)
    costs = costs_of(model)
    for tokens in [1, 2, 4, 8] * 30:
        costs.note(tokens, 0.01 * tokens)
    costs._last_single = costs.count
    out = generate(model, inputs(1), None, drafter, max_new_tokens=30, do_sample=False)
    assert out.stats.drafted <= 5


class Says:
    """Expects one token, with a hint of its own."""

    needs: frozenset[str] = frozenset()

    def __init__(self, name: str, token: int) -> None:
        self.name, self.token = name, token

    def start(self, setup: Setup) -> Says:
        return self

    def propose(self, view: View, draft: Draft, node: int) -> None:
        draft.add(node, self.token, self.name, self.name)

    def observe(self, seen: Seen) -> None:
        pass


def test_auto_hears_all_that_is_said_of_a_token_and_counts_it() -> None:
    drafter = Auto([Says("one", 7), Says("two", 7), Says("three", 8)])
    for name, right in (("one", 50.0), ("two", 50.0), ("three", 60.0)):
        drafter.shares[name, (True, name)] = drafter.shares[name, (False, name)] = [right, 100.0]
    model = llama(8)
    for _ in range(2):
        costs_of(model).note(1, 0.01)
    session: Any = drafter.start(Setup(model, None, 0.0, 30, frozenset({2})))
    seen = Draft(5)
    session.propose(View([4, 5], 2, 2), seen, 0)
    scratch = session._scratch
    assert [source for source, _ in scratch.hints[1]] == ["one", "two"]
    assert session._chance(scratch.hints[1]) < session._chance(scratch.hints[2])  # the better of two that agree
    session._free = False
    assert session._chance(scratch.hints[1]) > session._chance(scratch.hints[2])  # both must be wrong
    session._free = True
    session.observe(Seen(Draft(5), [], 7, [4, 5, 7]))
    counted = {name: drafter.shares[name, (True, name)] for name in ("one", "two", "three")}
    assert counted["one"] == counted["two"] == [pytest.approx(50.75), pytest.approx(100.5)]
    assert counted["three"] == [pytest.approx(59.7), pytest.approx(100.5)]
