"""`Heads` in the loop: greedy output is the model's, whatever the heads say; and what they say is worth something."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import guided
from guided.drafters.auto import Auto
from guided.drafters.heads import DraftHeads, Heads, HeadsConfig
from guided.speculation.costs import costs_of
from guided.speculation.draft import Draft, Seen, View
from tests.processors.toys import EOS, Lists, ToyMatcher, toy_list, toy_vocabulary

PROMPT = torch.tensor([[7, 8, 30, 12]])


def plain(model: Any, limit: int = 50, **options: Any) -> torch.Tensor:
    out = model.generate(PROMPT, attention_mask=torch.ones_like(PROMPT), max_new_tokens=limit, **options)
    assert isinstance(out, torch.Tensor)
    return out


def speculative(model: Any, drafter: Any, limit: int = 50, constraint: Any = None) -> Any:
    return guided.generate(
        model, {"input_ids": PROMPT, "attention_mask": torch.ones_like(PROMPT)}, constraint, drafter,
        max_new_tokens=limit, do_sample=False,
    )  # fmt: skip


def test_greedy_output_is_the_models(model: Any, trained: Any) -> None:
    for options in ({}, {"nodes": 30, "beam": 6, "least": 0.0}, {"nodes": 3, "beam": 1, "branch": 1}):
        out = speculative(model, Heads(trained[0], **options))
        assert torch.equal(out.sequences, plain(model, do_sample=False))
        assert out.stats.drafted > 0


def test_trained_heads_save_passes(model: Any, trained: Any) -> None:
    out = speculative(model, Heads(trained[0], nodes=20, beam=5))
    assert out.stats.by_drafter["heads"][1] > 0.2 * out.stats.passes


def test_under_a_constraint(model: Any, trained: Any) -> None:
    expected = plain(model, do_sample=False, logits_processor=toy_list(Lists()))
    out = speculative(model, Heads(trained[0], least=0.0), constraint=toy_list(Lists()))
    assert torch.equal(out.sequences, expected)


def test_auto_takes_from_heads_what_is_worth_its_pass(model: Any, trained: Any) -> None:
    drafter = Auto([], more=[Heads(trained[0], nodes=20, beam=1, least=0.0)])
    costs = costs_of(model, None)
    for tokens in [1, 2, 4, 8, 16] * 20:
        costs.note(tokens, 0.01 + 0.004 * tokens)  # a node must be right three times of ten
    out = speculative(model, drafter)
    assert torch.equal(out.sequences, plain(model, do_sample=False))
    hints: set[Any] = {key[1][1] for key in drafter.shares if key[0] == "heads"}  # type: ignore[index]
    assert hints and all(0 <= eighths <= 8 and 1 <= place <= 3 for eighths, place in hints)
    everything = speculative(model, Heads(trained[0], nodes=20, beam=1, least=0.0))
    assert out.stats.drafted < 0.7 * everything.stats.drafted


class Knowing(DraftHeads):
    """Heads that know the text: whatever token came last, its successor in the text is certain."""

    def __init__(self, text: list[int]) -> None:
        super().__init__(HeadsConfig("feature", 16, depth=4), torch.arange(64))
        self.text = text
        self.at = 0

    @property
    def steps(self) -> int | None:
        return None

    def begin(self, hidden: torch.Tensor) -> Any:
        return (torch.zeros(len(hidden), 1),)

    def step(self, state: Any, tokens: torch.Tensor, number: int) -> Any:
        out = torch.full((len(tokens), 64), -20.0)
        follows = self.at + number
        if follows < len(self.text):
            out[:, self.text[follows]] = 20.0
        return out, state


def test_heads_that_know_the_answer_take_a_pass_for_five_tokens(model: Any) -> None:
    expected = plain(model, limit=41, do_sample=False, eos_token_id=None)
    text = expected[0, 4:].tolist()

    class Following(Heads):
        def start(self, setup: Any) -> Any:
            session = super().start(setup)
            before = session.observe

            def observe(seen: Seen) -> None:
                heads.at = len(seen.ids) - 4
                before(seen)

            session.observe = observe  # type: ignore[method-assign]
            return session

    heads = Knowing(text)
    out = guided.generate(
        model, {"input_ids": PROMPT, "attention_mask": torch.ones_like(PROMPT)}, None, Following(heads),
        max_new_tokens=41, do_sample=False, eos_token_id=None,
    )  # fmt: skip
    assert torch.equal(out.sequences, expected)
    assert out.stats.passes == 1 + 40 // 5


def session_of(heads: Any, model: Any, **options: Any) -> Any:
    class Given:
        pass

    setup: Any = Given()
    setup.model = model
    session = Heads(heads, **options).start(setup)
    hidden = torch.randn(1, 16, generator=torch.Generator().manual_seed(3))
    session.observe(Seen(Draft(9), [], 9, [7, 9], hidden=hidden))
    return session, hidden


def test_the_tree_holds_the_likeliest_paths(model: Any, trained: Any) -> None:
    """Wide open, against brute force over all paths of two tokens."""
    heads = trained[0]
    session, hidden = session_of(heads, model, nodes=10, depth=2, beam=64, branch=64, least=0.0)
    draft = Draft(9, 64)
    session.propose(View([7, 9], 1, 2), draft, 0)
    size = len(heads.vocabulary)
    with torch.no_grad():
        first = heads.unroll(hidden, torch.tensor([[9]]))[0][0].log_softmax(-1)[0]
        pairs = torch.stack([torch.full((size,), 9), heads.vocabulary], dim=1)
        second = heads.unroll(hidden.repeat(size, 1), pairs)[0][1].log_softmax(-1)
    scores: dict[tuple[int, ...], float] = {(int(heads.vocabulary[a]),): float(first[a]) for a in range(size)}
    scores |= {
        (int(heads.vocabulary[a]), int(heads.vocabulary[b])): float(first[a] + second[a, b])
        for a in range(size) for b in range(size)
    }  # fmt: skip
    best = sorted(scores.values(), reverse=True)[:10]
    found = sorted((scores[tuple(draft.path(node))] for node in range(1, len(draft))), reverse=True)
    assert found == pytest.approx(best, abs=1e-4)


def test_only_legal_tokens_are_drafted_and_the_matcher_stays(model: Any, trained: Any) -> None:
    session, _ = session_of(trained[0], model, nodes=12, branch=8, least=0.0)
    matcher = ToyMatcher(Lists(), toy_vocabulary())
    draft = Draft(9, 64)
    session.propose(View([7, 9], 2, 2, matcher), draft, 0)
    assert matcher.texts == [b""]
    for node in range(1, len(draft)):
        probe = ToyMatcher(Lists(), toy_vocabulary())
        assert all(probe.accept(token) for token in draft.path(node) if token != EOS)


def test_forced_tokens_are_read_first(model: Any, trained: Any) -> None:
    """After one forced token the draft is what the heads say two steps ahead; after too many there is none."""
    heads = trained[0]
    session, hidden = session_of(heads, model, nodes=1, depth=3, beam=1, branch=1, least=0.0)
    draft = Draft(9, 64)
    forced = draft.chain(0, [30], "forced")
    session.propose(View([7, 9, 30], 1, 2), draft, forced)
    with torch.no_grad():
        logits = heads.unroll(hidden, torch.tensor([[9, 30]]))[0][1]
    assert draft.path(2) == [30, int(heads.vocabulary[logits.argmax()])]
    if heads.steps is not None:
        late = Draft(9, 64)
        node = late.chain(0, [30, 31, 32], "forced")
        session.propose(View([7, 9, 30, 31, 32], 1, 2), late, node)
        assert len(late) == 4


@pytest.mark.parametrize("options", [{"nodes": 0}, {"beam": 0}, {"least": 1.0}, {"depth": 0}])
def test_useless_options_are_refused(trained: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="least"):
        Heads(trained[0], **options)
