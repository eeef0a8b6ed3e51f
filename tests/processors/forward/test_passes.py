"""A pass's cached logits are those of a fresh forward call on the whole text, whatever happened to the rows before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import GenerationError
from processors.forward import ForwardPass, LogitLens, PassState, Prompt
from tests.processors.tiny import llama, t5
from tests.processors.toys import PAD, WIDTH

PROMPTS = [[2, 20, 21, 22, 23], [2, 30], [2, 9, 9]]


def fresh(model: Any, prompts: list[list[int]], generated: np.ndarray[Any, Any]) -> torch.Tensor:
    """Each row alone, without padding and cache."""
    rows = []
    with torch.no_grad():
        for prompt, tail in zip(prompts, generated.tolist(), strict=True):
            rows.append(model(torch.tensor([prompt + tail])).logits[0, -1])
    return torch.stack(rows).float()


@st.composite
def walks(draw: st.DrawFn) -> list[Any]:
    """What may happen to rows between calls."""
    step = st.one_of(
        st.tuples(st.just("extend"), st.integers(1, 3)),
        st.tuples(st.just("rollback"), st.integers(0, 3)),
        st.tuples(st.just("permute"), st.integers(0, 10**6)),
        st.tuples(st.just("rows"), st.integers(1, 5)),
        st.tuples(st.just("draft"), st.integers(1, 4)),
        st.tuples(st.just("again"), st.integers(0, 3)),
    )
    return draw(st.lists(step, min_size=3, max_size=8))


@settings(max_examples=12, deadline=None)
@given(walk=walks(), seed=st.integers(0, 10**6), own=st.booleans())
def test_cached_equals_fresh(walk: list[Any], seed: int, own: bool) -> None:
    """Rows of three prompts, expanded twofold: extended, cut, permuted, dropped, drafted ahead, visited again."""
    random = np.random.default_rng(seed)
    model = llama()
    main = Prompt.from_rows(PROMPTS)
    owner = np.repeat(np.arange(3), 2)
    ids = main.ids.numpy()[owner]
    start = ids.shape[1]
    seconds = PROMPTS if not own else [[2, 40], [2, 41, 42, 43], [7]]
    spec = ForwardPass(model, seconds if own else None, pad=PAD)
    state = spec.begin(ids, start)
    ids = np.concatenate([ids, random.integers(6, WIDTH, (len(ids), 1))], axis=1)
    for what, size in walk:
        if what in ("extend", "draft"):
            ids = np.concatenate([ids, random.integers(6, WIDTH, (len(ids), size))], axis=1)
            if what == "draft":
                state.prefetch(ids)
                before = state.forwards
                for length in range(ids.shape[1] - size, ids.shape[1]):
                    found = state.logits(ids[:, : length + 1])
                assert state.forwards == before
        elif what == "rollback":
            ids = ids[:, : max(start, ids.shape[1] - size)]
        elif what == "permute":
            within = random.permutation(len(ids))  # also across prompts: owners travel with the rows
            ids, owner = ids[within], owner[within]
        elif what == "rows":
            kept = random.integers(0, len(ids), size)
            ids, owner = ids[kept], owner[kept]
        found = state.logits(ids)
        if what == "again":
            assert torch.equal(found, state.logits(ids))
        expected = fresh(model, [seconds[o] for o in owner], ids[:, start:])
        torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-5)


def test_one_forward_call_a_step_and_none_for_known_positions() -> None:
    ids = np.array([[2, 20, 21]])
    state = ForwardPass(llama(), [2, 9]).begin(ids, 3)
    state.logits(ids)
    assert state.forwards == 1
    longer = np.array([[2, 20, 21, 8, 9, 10]])
    state.logits(longer)
    state.logits(longer)
    assert state.forwards == 2
    state.logits(ids)
    state.logits(longer[:, :4])
    assert state.forwards == 3, "the prompt's logits are remembered, those of a position that was skipped are not"


def test_prompts_are_run_once_for_all_their_rows() -> None:
    seen: list[int] = []
    model = llama()
    hook = model.register_forward_pre_hook(lambda m, a, k: seen.append(k["input_ids"].shape[0]), with_kwargs=True)
    try:
        ids = np.repeat(Prompt.from_rows(PROMPTS).ids.numpy(), 4, axis=0)
        for prompt in (PROMPTS, None):
            state = ForwardPass(model, prompt, pad=PAD).begin(ids, ids.shape[1])
            assert state.logits(ids).shape == (12, WIDTH)
    finally:
        hook.remove()
    assert seen == [3, 3]


def test_hidden_states_and_lens() -> None:
    model = llama()
    ids = np.array([[2, 20, 21, 22]])
    state = ForwardPass(model, layers=(0, 1, -1)).begin(ids, 4)
    lens = LogitLens(model)
    with torch.no_grad():
        out = model(torch.from_numpy(ids), output_hidden_states=True)
        for length in (4, 4):
            for layer, hidden in zip((0, 1, -1), state.hidden(ids[:, :length]), strict=True):
                torch.testing.assert_close(hidden, out.hidden_states[layer][:, length - 1], atol=1e-5, rtol=1e-5)
        by_hand = model.lm_head(model.model.norm(out.hidden_states[1][:, -1]))
    torch.testing.assert_close(lens.logits(state.hidden(ids)[1]), by_hand, atol=1e-5, rtol=1e-5)
    assert lens.layer(-2) == 1 and lens.layer(0) == 0
    with pytest.raises(GenerationError, match=r"from 0 .* to 1"):
        lens.layer(2)


def test_the_last_layer_read_before_the_norm_gives_the_models_logits() -> None:
    """The lens on what really enters the final norm is the head itself."""
    model, caught = llama(), []
    hook = model.model.norm.register_forward_pre_hook(lambda m, a: caught.append(a[0]))
    try:
        with torch.no_grad():
            logits = model(torch.tensor([[2, 20, 21]])).logits[:, -1]
    finally:
        hook.remove()
    torch.testing.assert_close(LogitLens(model).logits(caught[0][:, -1]), logits)


def test_forks_leave_the_state_alone() -> None:
    model = llama()
    ids = np.array([[2, 20, 21], [2, 8, 9]])
    state = ForwardPass(model).begin(ids, 3)
    before = state.logits(ids).clone()
    fork = state.fork(ids, 2)
    tokens = torch.tensor([[10, 11], [12, 13], [14, 15], [16, 17]])
    logits = fork.step(tokens)
    expected = fresh(model, [[2, 20, 21]] * 2 + [[2, 8, 9]] * 2, tokens.numpy())
    torch.testing.assert_close(logits, expected, atol=2e-4, rtol=1e-5)
    fork.keep(torch.tensor([3, 0]))
    logits = fork.step(torch.tensor([[30], [31]]))
    expected = fresh(model, [[2, 8, 9], [2, 20, 21]], np.array([[16, 17, 30], [10, 11, 31]]))
    torch.testing.assert_close(logits, expected, atol=2e-4, rtol=1e-5)
    assert torch.equal(state.logits(ids), before)
    after = np.array([[2, 20, 21, 40], [2, 8, 9, 41]])
    expected = fresh(model, after[:, :3].tolist(), after[:, 3:])
    torch.testing.assert_close(state.logits(after), expected, atol=2e-4, rtol=1e-5)


def test_encoder_decoder() -> None:
    """The second prompt goes to the encoder, all ids to the decoder."""
    model = t5()
    sources = [[20, 21, 22], [30]]
    state = ForwardPass(model, sources).begin(np.zeros((4, 1), dtype=np.int64), 1)

    def expected(owner: list[int], ids: np.ndarray[Any, Any]) -> torch.Tensor:
        with torch.no_grad():
            rows = [
                model(input_ids=torch.tensor([sources[o]]), decoder_input_ids=torch.from_numpy(row)[None]).logits[0, -1]
                for o, row in zip(owner, ids, strict=True)
            ]
        return torch.stack(rows)

    ids = np.array([[0, 9, 10], [0, 9, 11], [0, 12, 13], [0, 14, 15]])
    for owner, rows in (
        ([0, 0, 1, 1], ids[:, :1]),
        ([0, 0, 1, 1], ids),
        ([0, 0, 1, 1], ids[[1, 1, 3, 2]]),
        ([0, 0, 1, 1], ids[[1, 1, 3, 2], :2]),
    ):
        torch.testing.assert_close(state.logits(rows), expected(owner, rows), atol=2e-4, rtol=1e-5)
    fork = state.fork(ids[:, :1], 1)
    torch.testing.assert_close(
        fork.step(torch.from_numpy(ids[:, 1:])), expected([0, 0, 1, 1], ids), atol=2e-4, rtol=1e-5
    )


def test_positions_are_forgotten_and_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.forward.passes._POSITIONS", 2)
    ids = np.array([[2, 20, 21, 7, 8, 9, 10]])
    state: PassState = ForwardPass(llama(), [2, 9]).begin(ids, 3)
    for length in range(3, 8):
        state.logits(ids[:, :length])
    for length in (4, 3, 7):
        expected = fresh(llama(), [[2, 9]], ids[:, 3:length])
        torch.testing.assert_close(state.logits(ids[:, :length]), expected, atol=2e-4, rtol=1e-5)


def test_padding_on_either_side_is_one_prompt() -> None:
    right = {"input_ids": torch.tensor([[5, 6, 0], [7, 8, 9]]), "attention_mask": torch.tensor([[1, 1, 0], [1, 1, 1]])}
    left = {"input_ids": [[0, 5, 6], [7, 8, 9]], "attention_mask": [[0, 1, 1], [1, 1, 1]]}
    for given_ in (right, left, [[5, 6], [7, 8, 9]]):
        prompt = Prompt.of(given_)
        assert prompt.ids.tolist() == [[0, 5, 6], [7, 8, 9]] and prompt.mask.tolist() == [[0, 1, 1], [1, 1, 1]]
    assert Prompt.of_padded(torch.tensor([[0, 0, 5], [0, 7, 8]]), 0).mask.tolist() == [[0, 1, 1], [1, 1, 1]]
    for wrong in (
        "text",
        [],
        [[]],
        {"attention_mask": [[1]]},
        [[0.5]],
        {"input_ids": [[1, 2]], "attention_mask": [[1]]},
    ):
        with pytest.raises(GenerationError):
            Prompt.of(wrong)
