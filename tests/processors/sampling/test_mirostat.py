"""Mirostat: closed forms, the telescoping identity, and feedback that follows the prefix."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from processors.errors import GenerationError
from processors.sampling.mirostat import MirostatProcessor, MirostatWarning, zipf_exponent, zipf_rank
from tests.processors.tiny import llama
from tests.processors.toys import WIDTH, Lists, Words, spell, toy_list, toy_vocabulary

PROMPT = torch.tensor([[2, 20, 21]])
FORCED: tuple[Any, ...] = (("skip", False), ("count", True))
PLAIN: dict[str, Any] = {"do_sample": True, "top_k": 0}


def bits(scores: np.ndarray) -> np.ndarray:
    """Surprise in bits, plainly."""
    with np.errstate(divide="ignore"):
        p = np.exp(scores - scores.max(-1, keepdims=True))
        return -np.log2(p / p.sum(-1, keepdims=True))


@pytest.mark.parametrize(
    ("s", "mu", "k"),
    [(1.1, 6, 7.8759), (1.1, 10, 97.9385), (1.5, 6, 10.1095), (1.5, 10, 64.1915), (0.8, 6, 1.8859), (0.8, 10, 60.3477),
     (1.0, 6, 5.9151), (1.0, 10, 94.6415)],
)  # fmt: skip
def test_zipf_law_is_read_back_and_gives_the_rank(s: float, mu: float, k: float) -> None:
    p = np.arange(1, 50_001) ** -s
    scores = torch.tensor(-np.log2(p / p.sum()))[None]
    assert zipf_exponent(scores[:, :100]).item() == pytest.approx(s, abs=1e-9)
    assert zipf_rank(s, mu, 50_000) == pytest.approx(k, abs=6e-5)


def test_odd_distributions_have_ranks() -> None:
    assert zipf_rank(0.0, 5, 100) == math.inf and zipf_rank(0.5, 1e4, 100) == math.inf
    assert zipf_rank(1.2, -1e4, 100) == 0.0 and zipf_rank(2.0, 3, 1) == 1.0
    one = torch.tensor([[0.0, math.inf, math.inf]])
    assert zipf_exponent(one).tolist() == [0.0]
    assert zipf_rank(1 + 1e-13, 6, 1000) == pytest.approx(zipf_rank(1 + 1e-6, 6, 1000), rel=1e-4)


def kept(processor: MirostatProcessor, p: list[float]) -> int:
    return int(processor(PROMPT, torch.tensor([p]).log()).isfinite().sum())


@pytest.mark.parametrize(("mu", "count"), [(2.001, 2), (3.001, 4), (0.5, 1), (-3.0, 1), (math.inf, 4)])
def test_version_2_keeps_what_is_no_more_surprising_than_mu(mu: float, count: int) -> None:
    assert kept(MirostatProcessor(mu=mu), [0.5, 0.25, 0.125, 0.125]) == count


def test_surprise_is_in_bits() -> None:
    assert kept(MirostatProcessor(tau=1.0), [0.8, 0.2]) == 1  # 2.32 bits > 2, 1.61 nats would not be


@pytest.mark.parametrize("version", [1, 2])
def test_a_step_equals_the_formula_in_numpy(version) -> None:
    """Two calls by the definition: what is kept, and mu after the chosen token."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        scores = rng.normal(size=(2, 50)) * 3
        scores[:, rng.random(50) < 0.3] = -np.inf
        processor = MirostatProcessor(tau=2.5, eta=0.3, version=version, temperature=1.5, m=20)
        out = processor(PROMPT.repeat(2, 1), torch.tensor(scores)).numpy()
        surprise = bits(scores / 1.5)
        for r in range(2):
            order = np.argsort(surprise[r])
            if version == 2:
                expected = set(np.flatnonzero(surprise[r] <= 5.0)) | {order[0]}
            else:
                p = np.exp2(-surprise[r][order[:20]])
                p = p[p > 0]
                i = np.arange(1, len(p))
                t, b = np.log((i + 1) / i), np.log(p[:-1] / p[1:])
                s = (t * b).sum() / (t * t).sum()
                k = ((s - 1) * 2**5.0 / (1 - 50 ** (1 - s))) ** (1 / s)
                expected = set(order[: max(1, round(k))]) & set(np.flatnonzero(np.isfinite(scores[r])))
            assert set(np.flatnonzero(np.isfinite(out[r]))) == expected
            np.testing.assert_array_equal(out[r][sorted(expected)], (scores[r] / 1.5)[sorted(expected)])
        chosen = [int(np.flatnonzero(np.isfinite(row))[-1]) for row in out]
        ids = torch.cat([PROMPT.repeat(2, 1), torch.tensor(chosen)[:, None]], 1)
        expected_mu = [5.0 - 0.3 * (surprise[r, token] - 2.5) for r, token in enumerate(chosen)]
        assert processor.mu(ids) == pytest.approx(expected_mu, abs=1e-12)


def test_truncated_surprise_is_of_what_is_left() -> None:
    processor = MirostatProcessor(mu=2.001, tau=1.0, eta=1.0, surprise="truncated")
    processor(PROMPT, torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log())
    ids = torch.cat([PROMPT, torch.tensor([[1]])], 1)
    assert processor.mu(ids) == pytest.approx([2.001 - (-math.log2(1 / 3) - 1.0)])


def steps(model, ids, processor, count, **options):
    """A generation, and mu and surprise at each of its steps, recomputed from its logits."""
    torch.manual_seed(0)
    out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, min_new_tokens=count,
                         logits_processor=[processor], output_logits=True, return_dict_in_generate=True,
                         **PLAIN, **options)  # fmt: skip
    logits = torch.stack(out.logits, 1).double()
    logits[..., 1] = -torch.inf  # min_new_tokens bans EOS
    surprise = torch.log_softmax(logits, -1) / -math.log(2)
    chosen = out.sequences[:, ids.shape[1] :]
    return out.sequences, surprise.gather(2, chosen[..., None])[..., 0]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("rows", [1, 3])
def test_telescoping_identity(version, rows: int) -> None:
    """mean(S) = tau + (mu_0 - mu_T) / (eta T), whatever the model: every surprise was counted once, in its own row."""
    processor = MirostatProcessor(tau=3.0, eta=0.2, version=version)
    ids = torch.tensor([[2, 20 + r, 21] for r in range(rows)])
    sequences, surprise = steps(llama(), ids, processor, 30)
    mu = torch.tensor(processor.mu(sequences), dtype=torch.float64)
    torch.testing.assert_close(surprise.mean(1), 3.0 + (6.0 - mu) / (0.2 * 30), atol=1e-5, rtol=0)


def test_warmup_lets_mu_run_to_its_place() -> None:
    """The rate falls from 1 to eta; nothing else changes, and a text shorter than the warmup is no special case."""
    scores = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    processor, ids, mu = MirostatProcessor(tau=2.0, eta=0.2, warmup=4), PROMPT, 4.0
    for rate, token in zip([1.0, 0.8, 0.6, 0.4, 0.2, 0.2], [1, 0, 0, 1, 0, 1], strict=True):
        processor(ids, scores)
        ids = torch.cat([ids, torch.tensor([[token]])], 1)
        mu -= rate * ([1.0, 2.0][token] - 2.0)
        assert processor.mu(ids) == pytest.approx([mu], abs=1e-6)


def test_warmup_takes_away_the_bias_of_the_start() -> None:
    """On one fixed distribution the mean is off by (mu_0 - mu_T) / (eta T) without it."""
    random = torch.Generator().manual_seed(0)
    scores = torch.randn(1, 200, generator=random) * 1.5
    surprise = torch.log_softmax(scores, -1)[0] / -math.log(2)

    def mean(**options: Any) -> float:
        processor, ids, total = MirostatProcessor(tau=4.0, **options), PROMPT, 0.0
        for _ in range(150):
            token = torch.multinomial(processor(ids, scores).softmax(-1), 1, generator=random)
            total += float(surprise[token])
            ids = torch.cat([ids, token], 1)
        return total / 150

    assert mean(mu=0.0) < 3.8 and abs(mean(mu=0.0, warmup=20) - 4) < 0.15


def test_heat_reaches_a_target_above_the_models_own_surprise() -> None:
    """A cut alone cannot; mu then grows without end."""
    random = torch.Generator().manual_seed(1)
    scores = torch.randn(1, 200, generator=random) * 4
    surprise = torch.log_softmax(scores, -1)[0] / -math.log(2)
    own = float((torch.softmax(scores[0], -1) * surprise).sum())

    def mean(**options: Any) -> tuple[float, float]:
        processor, ids, found = MirostatProcessor(tau=own + 1.5, eta=0.3, **options), PROMPT, []
        for _ in range(400):
            token = torch.multinomial(processor(ids, scores).softmax(-1), 1, generator=random)
            found.append(float(surprise[token]))
            ids = torch.cat([ids, token], 1)
        return sum(found[100:]) / 300, processor.mu(ids)[0]

    reached, mu = mean(heat=True)
    assert abs(reached - own - 1.5) < 0.25 and mu < 25
    reached, mu = mean()
    assert reached < own + 0.5 and mu > 40


def test_heat_divides_by_mu_over_the_log_of_the_width() -> None:
    scores = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
    hot = MirostatProcessor(mu=5.0, heat=True)(PROMPT, scores)
    torch.testing.assert_close(hot, scores / 2.5)
    assert torch.equal(MirostatProcessor(mu=2.001, heat=True)(PROMPT, scores)[0, :2], scores[0, :2] / 1.0005)
    assert torch.equal(MirostatProcessor(mu=1.5, heat=True)(PROMPT, scores)[0, :1], scores[0, :1])


def test_beams_and_rollback_follow_the_prefix() -> None:
    """Rows that swap, copy and go back give what an own processor gives that sees only their prefix."""
    generator = torch.Generator().manual_seed(4)
    table = torch.randn(WIDTH, WIDTH, generator=generator) * 2  # logits depend on the last token
    shared = MirostatProcessor(tau=2.0, eta=0.5)
    rows = torch.tensor([[2, 20, 21], [2, 21, 20], [2, 22, 22]])
    for step in range(25):
        out = shared(rows, table[rows[:, -1]])
        for r in range(3):
            alone = MirostatProcessor(tau=2.0, eta=0.5)
            for end in range(3, rows.shape[1] + 1):
                expected = alone(rows[r : r + 1, :end], table[rows[r, end - 1]][None])
            assert torch.equal(out[r : r + 1], expected)
        order = torch.randint(0, 3, (3,), generator=generator)
        tokens = torch.multinomial(torch.softmax(out[order], -1), 1, generator=generator)
        rows = torch.cat([rows[order], tokens], 1)
        if step % 6 == 5:
            rows = rows[:, :-2]


def test_assisted_generation_counts_accepted_tokens_once() -> None:
    processor = MirostatProcessor(tau=3.0, eta=0.2)
    torch.manual_seed(1)
    out = llama().generate(input_ids=PROMPT, attention_mask=torch.ones_like(PROMPT), max_new_tokens=20,
                           logits_processor=[processor], assistant_model=llama(seed=7), **PLAIN)  # fmt: skip
    with torch.no_grad():
        logits = llama()(out).logits[0, 2:-1]
    alone = MirostatProcessor(tau=3.0, eta=0.2)
    for end in range(3, out.shape[1]):
        alone(out[:, :end], logits[end - 3][None])
    assert processor.mu(out[:, :-1]) == pytest.approx(alone.mu(out[:, :-1]), abs=1e-3)


def test_plain_sampling_with_endless_mu_and_greedy_with_none() -> None:
    scores = torch.randn(2, WIDTH)
    ids = PROMPT.repeat(2, 1)
    assert torch.equal(MirostatProcessor(mu=math.inf, eta=0)(ids, scores), scores)
    cold = MirostatProcessor(tau=0.0, eta=0.1)
    assert cold(ids, scores).isfinite().sum(1).tolist() == [1, 1]
    assert torch.equal(cold(ids, scores).argmax(-1), scores.argmax(-1))


def test_the_same_object_starts_anew() -> None:
    from guided.sampling import mirostat

    processor = mirostat(tau=3.0)
    ids = PROMPT
    first, second = (
        (torch.manual_seed(3), llama().generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12,
                                                 logits_processor=processor, **PLAIN))[1]
        for _ in range(2)
    )  # fmt: skip
    assert torch.equal(first, second)


def test_forced_text_does_not_wind_mu_up() -> None:
    constraint = toy_list(Words((b"abcabcabcabc1", b"abcabcabcabc2")))
    for forced, grows in FORCED:
        processor = MirostatProcessor(tau=3.0, eta=1.0, forced=forced)
        ids = PROMPT
        for token in [9 + 10, 9 + 11, 9 + 12] * 4:  # a b c; always forced once the word has begun, but for "ab", "abc"
            only = torch.full((1, WIDTH), -torch.inf).index_fill(1, torch.tensor([token]), 0.0)
            processor(ids, only)
            ids = torch.cat([ids, torch.tensor([[token]])], 1)
        assert (processor.mu(ids)[0] > 6.0) == grows
    combined = constraint + MirostatProcessor(tau=1.0)
    torch.manual_seed(0)
    out = llama().generate(input_ids=PROMPT, attention_mask=torch.ones_like(PROMPT), max_new_tokens=20,
                           logits_processor=combined, **PLAIN)  # fmt: skip
    assert spell(toy_vocabulary(), out[0, 3:].tolist()) in [(b"abcabcabcabc1", True), (b"abcabcabcabc2", True)]


@pytest.mark.parametrize("options", [{}, {"do_sample": True, "top_k": 0}, {"num_beams": 3}])
@pytest.mark.parametrize("version", [1, 2])
def test_constraint_and_mirostat_stay_in_the_language(options: dict, version) -> None:
    from guided.sampling import mirostat

    combined = mirostat(tau=4.0, version=version) + toy_list(Lists(3), max_new_tokens=10)
    ids = PROMPT.repeat(2, 1)
    torch.manual_seed(0)
    out = llama().generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=10,
                           logits_processor=combined, **options)  # fmt: skip
    for row in out[:, 3:].tolist():
        text, ended = spell(toy_vocabulary(), row)
        assert ended and Lists(3).complete(text)


def test_says_what_generate_would_cut_afterwards() -> None:
    from guided.sampling import mirostat

    options = {"input_ids": PROMPT, "attention_mask": torch.ones_like(PROMPT), "max_new_tokens": 2}
    with pytest.warns(MirostatWarning, match="top_k=50, top_p=0.9"):
        llama().generate(**options, do_sample=True, top_p=0.9, logits_processor=toy_list(Lists(2)) + mirostat())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        llama().generate(**options, **PLAIN, logits_processor=mirostat())
        llama().generate(**options, logits_processor=mirostat())


@pytest.mark.parametrize(
    "wrong", [{"tau": -1}, {"eta": -0.1}, {"version": 3}, {"temperature": 0}, {"surprise": "nats"}, {"m": 1},
              {"forced": "never"}, {"warmup": -1}, {"mu": float("inf"), "heat": True}]
)  # fmt: skip
def test_settings_out_of_range(wrong: dict) -> None:
    with pytest.raises(GenerationError, match=next(iter(wrong))):
        MirostatProcessor(**wrong)
