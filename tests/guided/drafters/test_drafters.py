"""What every drafter owes: greedy output stays the model's, sampled output stays legal; and what each is for."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import guided
from guided.drafters import (
    Auto,
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
    for size in range(5):
        for place in range(4):
            drafter.shares["lookup", (True, (size, place))] = [10.0, 100.0]
    model = llama(7)
    costs = costs_of(model)
    for tokens in [1, 2, 4, 8] * 30:
        costs.note(tokens, 0.01 * tokens)
    costs._last_single = costs.count
    out = generate(model, inputs(1), None, drafter, max_new_tokens=30, do_sample=False)
    assert out.stats.drafted <= 5
