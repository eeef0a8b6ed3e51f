"""Transfer Q*, ARGS and controlled decoding: a decision process by enumeration, rollouts inside a constraint."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from guided.alignment import VocabularyDecoder, args, controlled_decoding, transfer_q
from processors import ProcessorList
from processors.errors import GenerationError
from processors.value.reward import TextReward
from processors.value.transfer_q import TransferQ
from tests.processors.tiny import llama
from tests.processors.toys import EOS, PAD, WIDTH, Lists, Words, spell, toy_list, toy_vocabulary
from tests.processors.value.worlds import Letters, bigram

DECODER = VocabularyDecoder(toy_vocabulary())
AB = Letters("ab")
START = torch.tensor([[2]])  # tokens: 0 a, 1 b, 2 the beginning, 3 the end
REWARD = {"aa": 0.0, "ab": 1.0, "ba": 2.0, "bb": 0.0}


def mdp(first: list[float], after_a: list[float], after_b: list[float]) -> Any:
    """A policy over two letters, by its probabilities."""
    table = torch.full((4, 4), -30.0)
    for last, p in ((2, first), (0, after_a), (1, after_b)):
        table[last, :2] = torch.tensor(p).log()
    return bigram(table, eos=3)


def r(texts: list[str]) -> list[float]:
    return [REWARD[text[:2]] for text in texts]


def p_of(scores: torch.Tensor) -> list[float]:
    return torch.softmax(scores[0], -1)[:2].tolist()


DIRECT = ([0.307110, 0.692890], [0.268941, 0.731059], [0.880797, 0.119203])
INDIRECT = ([0.349755, 0.650245], [0.5, 0.5], [0.731059, 0.268941])
Q_STAR = [0.731059, 1.761594]


def test_bigram_model_is_what_it_says() -> None:
    with torch.no_grad():
        logits = mdp(*DIRECT)(torch.tensor([[2, 0, 1]])).logits[0]
    torch.testing.assert_close(logits[:, :2].softmax(-1), torch.tensor(DIRECT), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("alpha", "expected"), [(1.0, [0.136555, 0.863445]), (0.5, [0.053417, 0.946583]), (2.0, [0.209336, 0.790664])]
)
def test_the_formula_on_exact_values(alpha: float, expected: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    (processor,) = transfer_q(policy=mdp(*DIRECT), reward=r, tokenizer=AB, top_k=2, alpha=alpha)
    monkeypatch.setattr(TransferQ, "values", lambda self, call, candidates: torch.tensor(Q_STAR)[candidates.tokens])
    scores = torch.tensor([[*np.log(DIRECT[0]), -torch.inf, -torch.inf]], dtype=torch.float32)
    assert p_of(processor(START, scores)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("indirect", [False, True])
def test_rollouts_converge_to_the_exact_values(indirect: bool) -> None:
    """4000 rollouts a candidate: within four standard errors of the enumerated Q, direct and self-normalised."""
    n, found = 4000, []
    tables = INDIRECT if indirect else DIRECT
    options: dict[str, Any] = {"top_k": 2, "max_rollout": 1, "rollouts": n}
    if indirect:
        options["baseline_reward"] = lambda texts: [float(text[:2] == "ba") for text in texts]
    (processor,) = transfer_q(policy=mdp(*tables), reward=r, tokenizer=AB, **options)
    values = processor.values

    def noted(call: Any, candidates: Any) -> torch.Tensor:
        found.append((candidates.tokens, values(call, candidates)))
        return found[-1][1]

    processor.values = noted
    state = torch.get_rng_state()
    scores = torch.tensor([[*np.log(tables[0]), -torch.inf, -torch.inf]], dtype=torch.float32)
    out = processor(START, scores)
    assert torch.equal(torch.get_rng_state(), state)  # generate's own draws are left alone
    tokens, q = found[0]
    spread = 4 * 1.2 / math.sqrt(n)  # rewards lie in [0, 2], weights of the indirect form in [1, e]
    assert q.tolist() == pytest.approx([Q_STAR[token] for token in tokens], abs=spread)
    assert p_of(out) == pytest.approx([0.136555, 0.863445] if not indirect else p_of(torch.tensor(
        [[math.log(tables[0][0]) + Q_STAR[0], math.log(tables[0][1]) + Q_STAR[1]]])), abs=0.02)  # fmt: skip


def reward_of_ids(text: str) -> float:
    """Some number that any change of a text changes."""
    return sum((i % 7 + 1) * ord(char) % 13 for i, char in enumerate(text)) / 10


def some_reward(texts: list[str]) -> list[float]:
    return [reward_of_ids(text) for text in texts]


@torch.no_grad()
def naive(
    model: Any, ids: list[int], start: int, scores: torch.Tensor, k: int, length: int, alpha: float, weight: float = 0
) -> Any:
    """Greedy rollouts (ARGS with a weight) without caches, one candidate at a time, in numpy where it is arithmetic."""
    logp = scores.double() - scores.double().logsumexp(-1)
    out = np.full(len(scores), -np.inf)
    for z in logp.topk(k).indices.tolist():
        text = [*ids, z]
        while len(text) < len(ids) + 1 + length and text[-1] != EOS:
            values = model(torch.tensor([text])).logits[0, -1].tolist()
            best = sorted(range(len(values)), key=lambda token: -values[token])[: k if weight else 1]
            judged = {
                y: values[y] + weight * reward_of_ids(DECODER.decode(torch.tensor([*text[start:], y]))) for y in best
            }
            text.append(max(judged, key=judged.__getitem__))
        out[z] = float(logp[z]) + reward_of_ids(DECODER.decode(torch.tensor(text[start:]))) / alpha
    out -= np.log(np.exp(out).sum())
    return torch.tensor(out)


PROMPTS = torch.tensor([[2, 20, 21, 22], [PAD, PAD, 2, 30], [PAD, 2, 9, 9]])
MASK = (PROMPTS != PAD).long()


def transfer(policy: Any = None, **options: Any) -> ProcessorList:
    given = {"reward": some_reward, "tokenizer": DECODER, "top_k": 4, "max_rollout": 5, "alpha": 0.5, **options}
    return transfer_q(policy=policy or llama(), **given)


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_greedy_rollouts_equal_the_definition_in_batches_and_with_padding(weight: float) -> None:
    """Three calls of a batch with left padding against rollouts of each row alone, without caches or padding."""
    processor = transfer(rollout_weight=weight)
    rows = PROMPTS
    generator = torch.Generator().manual_seed(0)
    for step in range(4):
        scores = torch.randn(3, WIDTH, generator=generator) * 3
        out = processor(rows, scores)
        for r_, (row, mask) in enumerate(zip(rows.tolist(), MASK.tolist(), strict=True)):
            real = row[mask.index(1) :]
            expected = naive(llama(), real, len(real) - step, scores[r_], 4, 5, 0.5, weight)
            torch.testing.assert_close(out[r_].double(), expected, atol=1e-5, rtol=0)
        rows = torch.cat([rows, torch.randint(6, 30, (3, 1), generator=generator)], 1)


@pytest.mark.parametrize("rollouts", [1, 3])
def test_state_follows_the_prefix(rollouts: int) -> None:
    """Rows that swap, copy and go back are answered as by a fresh object; draws depend on the text alone."""
    processor = transfer(rollouts=rollouts, max_rollout=3)
    generator = torch.Generator().manual_seed(1)
    rows = PROMPTS[:1].repeat(3, 1)
    for step in range(8):
        scores = torch.randn(3, WIDTH, generator=generator)
        out = processor(rows, scores)
        for r_ in range(3):
            fresh = transfer(rollouts=rollouts, max_rollout=3)
            fresh(PROMPTS[:1], scores[:1])  # where the generation began
            own = slice(r_, r_ + 1)
            torch.testing.assert_close(out[own], fresh(rows[own], scores[own]), atol=1e-5, rtol=0)
        order = torch.randint(0, 3, (3,), generator=generator)
        rows = torch.cat([rows[order], torch.randint(6, 30, (3, 1), generator=generator)], 1)
        if step == 4:
            rows = rows[:, :-2]


def test_nothing_changes_at_infinite_alpha_and_only_the_top_k_stay_otherwise() -> None:
    scores = torch.randn(3, WIDTH)
    assert transfer(alpha=float("inf"))[0](PROMPTS, scores) is scores
    constant = transfer(reward=lambda texts: [7.0] * len(texts))(PROMPTS, scores)
    top = scores.topk(4).indices
    expected = torch.full_like(scores, -torch.inf).scatter(1, top, scores.gather(1, top).log_softmax(-1))
    torch.testing.assert_close(constant, expected, atol=1e-5, rtol=0)
    shifted = transfer(reward=lambda texts: [x + 100 for x in some_reward(texts)])(PROMPTS, scores)
    torch.testing.assert_close(shifted, transfer()(PROMPTS, scores), atol=1e-4, rtol=0)
    by_row = transfer(alpha=[0.5, float("inf"), 0.5])(PROMPTS, scores)
    assert torch.equal(by_row[1], scores[1]) and by_row[0].isfinite().sum() == 4


def test_one_candidate_is_greedy() -> None:
    out = llama().generate(input_ids=PROMPTS, attention_mask=MASK, max_new_tokens=8, logits_processor=transfer(top_k=1))
    assert out.tolist() == llama().generate(input_ids=PROMPTS, attention_mask=MASK, max_new_tokens=8).tolist()


def test_args_is_transfer_without_rollouts() -> None:
    scores = torch.randn(3, WIDTH)
    ours = args(some_reward, tokenizer=DECODER, weight=2.0, top_k=4)(PROMPTS, scores)
    assert torch.equal(ours, transfer(max_rollout=0)(PROMPTS, scores))
    logp = scores[0].double().log_softmax(-1)
    expected = np.full(WIDTH, -np.inf)
    for z in logp.topk(4).indices.tolist():
        expected[z] = float(logp[z]) + 2.0 * reward_of_ids(DECODER.decode(torch.tensor([z])))
    expected -= np.log(np.exp(expected).sum())
    np.testing.assert_allclose(ours[0].numpy(), expected, atol=1e-5)
    assert args(some_reward, tokenizer=DECODER, weight=0)[0](PROMPTS, scores) is scores


@pytest.mark.parametrize(("weight", "expected"), [(1.0, [0.377541, 0.622459]), (2.0, [0.268941, 0.731059])])
def test_controlled_decoding_numbers(weight: float, expected: list[float]) -> None:
    """Uniform reference, V(a) = .5, V(b) = 1: read off the state after each candidate, a unit vector of its token."""

    def value(hidden: torch.Tensor) -> torch.Tensor:
        return hidden @ torch.tensor([0.25, 0.5, 0.0, 0.0])  # states are unit vectors, two long

    processor = controlled_decoding(mdp(*INDIRECT), value, weight=weight, top_k=2)
    scores = torch.tensor([[0.0, 0.0, -torch.inf, -torch.inf]])
    assert p_of(processor(START, scores)) == pytest.approx(expected, abs=1e-5)


def test_rewards_of_full_texts_and_stride() -> None:
    seen: list[str] = []

    def note(texts: list[str]) -> list[float]:
        seen.extend(texts)
        return [0.0] * len(texts)

    processor = args(note, tokenizer=DECODER, top_k=2, text="full", stride=2)
    ids = torch.tensor([[20, 21, 22]])
    prompt = DECODER.decode(ids[0])
    for step in range(4):
        before = len(seen)
        scores = torch.randn(1, WIDTH)
        out = processor(ids, scores)
        assert (len(seen) > before) == (step % 2 == 0) and (out is scores) == (step % 2 == 1)
        ids = torch.cat([ids, torch.tensor([[23]])], 1)
    assert all(text.startswith(prompt) for text in seen)


def test_rows_that_have_ended_cost_nothing() -> None:
    asked: list[str] = []

    def note(texts: list[str]) -> list[float]:
        asked.extend(texts)
        return [0.0] * len(texts)

    processor = transfer(reward=note)
    processor(PROMPTS[:1], torch.randn(1, WIDTH))
    asked.clear()
    processor(torch.tensor([[2, 20, 21, 22, EOS, PAD]]), torch.randn(1, WIDTH))
    assert not asked


class Watch:
    """A reward that keeps the texts, and is only content with digits."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: list[str]) -> list[float]:
        self.texts += texts
        return [float(sum(char.isdigit() for char in text)) for text in texts]


@pytest.mark.parametrize(("rollouts", "weight"), [(1, 0.0), (2, 0.0), (1, 2.0), (2, 2.0)])
@pytest.mark.parametrize("options", [{}, {"do_sample": True}, {"num_beams": 2}, {"prompt_lookup_num_tokens": 3}])
def test_rollouts_stay_inside_the_constraint_and_end(options: dict[str, Any], rollouts: int, weight: float) -> None:
    """Each text that the reward sees is a whole text of the language, though it may always be cut short or go on; a
    beginning of one where rollouts follow the reward."""
    watch = Watch()
    aligned = transfer_q(policy=llama(), reward=watch, tokenizer=DECODER, top_k=3, max_rollout=6, rollouts=rollouts,
                         rollout_weight=weight)  # fmt: skip
    combined = aligned + toy_list(Lists(3), max_new_tokens=12)
    given = PROMPTS[:1] if "prompt_lookup_num_tokens" in options else PROMPTS
    out = llama().generate(input_ids=given, attention_mask=(given != PAD).long(), max_new_tokens=12,
                           logits_processor=combined, **options)  # fmt: skip
    for row in out[:, 4:].tolist():
        text, ended = spell(toy_vocabulary(), row)
        assert ended and Lists(3).complete(text)
    fine = Lists(3).viable if weight else Lists(3).complete
    assert len(watch.texts) > 5 and all(fine(text.encode()) for text in watch.texts)
    assert aligned[0].constraint is None  # composition binds a copy; the list itself can be used elsewhere


class Kept(TextReward):
    """A reward without an opinion, that keeps the tokens of what it judged."""

    def __init__(self) -> None:
        super().__init__(lambda texts: [0.0] * len(texts), DECODER)
        self.responses: list[list[int]] = []

    def texts(self, prompts: torch.Tensor, responses: Any) -> list[str]:
        self.responses += [each.tolist() for each in responses]
        return super().texts(prompts, responses)


@torch.no_grad()
def free_then_ended(language: Any, prompt: list[int], z: int, length: int, given: int) -> list[int]:
    """Greedy, without caches: a token may come if the text can still be ended within `length` tokens and those that its
    shortest end took, or `given` tokens if these are fewer. Without a language: `length` tokens."""
    written, vocabulary = [z], toy_vocabulary()
    if language is None:
        left = length
    else:
        left = min(length + language.shortest(spell(vocabulary, [z])[0]) + 1, given - 1)
    while left > 0 and written[-1] != EOS:
        logits = llama()(torch.tensor([prompt + written])).logits[0, -1]
        for token in range(WIDTH) if language is not None else []:
            data = vocabulary.token_bytes(token) or b""
            text = spell(vocabulary, written)[0] + data
            fits = language.viable(text) and data and language.shortest(text) + 2 <= left
            if not (fits if token != EOS else language.complete(text)):
                logits[token] = -torch.inf
        written.append(int(logits.argmax()))
        left -= 1
    return written


@pytest.mark.parametrize("given", [24, 7])
def test_the_policy_is_free_for_the_length_of_a_rollout_and_then_ends_the_text(given: int) -> None:
    """An end that takes longer than the rollout costs the policy nothing of its own tokens; rows differ in length."""
    languages = [Lists(3), None, Words((b"abcabcabcdefgh", b"abhgfedcba", b"cab"))]
    kept = Kept()
    aligned = transfer(reward=kept, top_k=5, max_rollout=2)
    scores = torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(3))
    masked = toy_list(*languages, max_new_tokens=given)(PROMPTS, scores)
    (toy_list(*languages, max_new_tokens=given) + aligned)(PROMPTS, scores)
    expected = []
    for language, row, mask, own in zip(languages, PROMPTS.tolist(), MASK.tolist(), masked, strict=True):
        candidates = [z for z in own.topk(5).indices.tolist() if own[z] > -torch.inf]
        for z in candidates if len(candidates) > 1 else []:
            expected.append(free_then_ended(language, row[mask.index(1) :], z, 2, given))
    assert kept.responses == expected
    longest = max(map(len, expected))
    assert longest > 3 + 1 if given == 24 else longest <= given


def test_an_end_without_a_choice_takes_no_pass() -> None:
    """After the first token each word is settled: the policy is never asked."""
    forwards: list[Any] = []
    model = llama()
    handle = model.register_forward_hook(lambda *_: forwards.append(1))
    kept = Kept()
    words = Words((b"defgh", b"fed", b"h"))
    combined = toy_list(words) + transfer(policy=model, reward=kept, max_rollout=4)
    combined(PROMPTS[:1], torch.zeros(1, WIDTH))
    handle.remove()
    texts = {spell(toy_vocabulary(), each) for each in kept.responses}
    assert not forwards and len(texts) > 1 and all(words.complete(text) and ended for text, ended in texts)


def test_rollouts_leave_the_constraint_where_it_was() -> None:
    """Masks with and without a look-ahead are the same, step by step."""
    plain, aligned = toy_list(Lists(3)), toy_list(Lists(3)) + transfer(alpha=1e9, top_k=WIDTH, max_rollout=4)
    rows = PROMPTS[:1]
    for _ in range(8):
        scores = torch.randn(1, WIDTH)
        masked, out = plain(rows, scores).clone(), aligned(rows, scores)
        assert torch.equal(masked.isfinite(), out.isfinite())
        rows = torch.cat([rows, masked.argmax(-1, keepdim=True)], 1)


def test_a_constraint_for_each_prompt_and_none() -> None:
    watch = Watch()
    aligned = transfer_q(policy=llama(), reward=watch, tokenizer=DECODER, top_k=3, max_rollout=6)
    languages = [Words((b"abc", b"abcab", b"cab")), None, Lists(2)]
    combined = toy_list(*languages, max_new_tokens=9) + aligned
    out = llama().generate(input_ids=PROMPTS, attention_mask=MASK, max_new_tokens=9, logits_processor=combined)
    for language, row in zip(languages, out[:, 4:].tolist(), strict=True):
        text, ended = spell(toy_vocabulary(), row)
        assert language is None or (ended and language.complete(text))


def test_the_reward_rises_as_alpha_falls() -> None:
    def digits(texts: list[str]) -> list[float]:
        return [float(sum(char.isdigit() for char in text)) for text in texts]

    means = []
    for alpha in (float("inf"), 1.0, 0.1):
        torch.manual_seed(0)
        combined = toy_list(Lists(3), max_new_tokens=12) + transfer(reward=digits, alpha=alpha, top_k=6, max_rollout=12)
        out = llama().generate(input_ids=PROMPTS.repeat(6, 1), attention_mask=MASK.repeat(6, 1), max_new_tokens=12,
                               do_sample=True, top_k=0, logits_processor=combined)  # fmt: skip
        means.append(np.mean(digits([DECODER.decode(row[4:]) for row in out])))
    assert means[0] < means[1] < means[2]


@pytest.mark.parametrize(
    ("wrong", "match"),
    [({"alpha": 0}, "alpha"), ({"top_k": 0}, "top_k"), ({"stride": 0}, "stride"), ({"max_rollout": -1}, "max_rollout"),
     ({"rollouts": 0}, "rollouts"), ({"rollout_weight": -1}, "rollout_w"),
     ({"beta": 0}, "beta"), ({"normalize": "max"}, "normalize"),
     ({"text": "all"}, "text"),
     ({"baseline_reward": some_reward}, "2 or more"), ({"rollout_temperature": 0}, "rollout_temperature")],
)  # fmt: skip
def test_settings_out_of_range(wrong: dict[str, Any], match: str) -> None:
    with pytest.raises(GenerationError, match=match):
        transfer(**wrong)


def test_zscores() -> None:
    scaled = transfer(normalize="zscore", alpha=1.0)
    stretched = transfer(normalize="zscore", alpha=1.0, reward=lambda texts: [50 * x - 3 for x in some_reward(texts)])
    scores = torch.randn(3, WIDTH)
    torch.testing.assert_close(scaled(PROMPTS, scores), stretched(PROMPTS, scores), atol=1e-4, rtol=0)
