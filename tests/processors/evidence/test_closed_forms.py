"""Cases whose answer is known by hand: models are replaced by tables of logits."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import DynamicCache

import guided
from processors import GenerationError
from processors.collaborative import ConsultProcessor, ContrastiveProcessor, ProxyTuningProcessor, RapidProcessor
from processors.collaborative.adaptive import Switch, decide
from processors.collaborative.routing import entropy_bits
from processors.evidence import (
    AdaCADProcessor,
    CADProcessor,
    ICDProcessor,
    LOLProcessor,
    VDGDProcessor,
    jensen_shannon,
    plausible,
)
from processors.forward import ForwardPass
from tests.processors.tiny import llama, t5
from tests.processors.toys import WIDTH

IDS = torch.tensor([[2, 3]])


class Table(torch.nn.Module):
    """A model that always answers with the same logits."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.config = SimpleNamespace(is_encoder_decoder=False)
        self.generation_config = SimpleNamespace(pad_token_id=0)
        self.logits = torch.tensor(logits)
        self.calls = 0

    def get_input_embeddings(self) -> Any:
        return SimpleNamespace(weight=torch.zeros(len(self.logits), 1))

    def forward(self, input_ids: torch.Tensor, attention_mask: Any, cache: Any, use_cache: bool, **_: Any) -> Any:
        self.calls += 1
        return SimpleNamespace(logits=self.logits.expand(*input_ids.shape, -1))


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables keep no keys and values."""
    monkeypatch.setattr(
        "processors.forward.passes._new_cache",
        lambda model: NoCache() if isinstance(model, Table) else DynamicCache(),
    )


class NoCache:
    layers: tuple[()] = ()

    def crop(self, length: int) -> None: ...

    def batch_select_indices(self, index: torch.Tensor) -> None: ...


def probabilities(processor: Any, scores: list[float]) -> list[float]:
    return [round(p, 6) for p in processor(IDS, torch.tensor([scores])).softmax(-1)[0].tolist()]


def test_cad() -> None:
    null = Table([0.0, 1.0, 2.0])
    for alpha, expected in (
        (1.0, [0.950330, 0.047314, 0.002356]),
        (0.5, [0.866813, 0.117310, 0.015876]),
        (0.0, [0.665241, 0.244728, 0.090031]),
    ):
        for shift in (0.0, 7.0):  # a constant changes nothing
            found = probabilities(CADProcessor(null, [2], alpha=alpha), [2.0 + shift, 1.0 + shift, shift])
            assert found == pytest.approx(expected, abs=2e-6)


def test_cad_with_the_same_prompt_is_the_model() -> None:
    scores = [2.0, 1.0, 0.0]
    assert probabilities(CADProcessor(Table(scores), [2], alpha=3.0), scores) == pytest.approx(
        [0.665241, 0.244728, 0.090031], abs=2e-6
    )


def test_adacad() -> None:
    p, q = torch.tensor([[2.0, 1.0, 0.0]]).log_softmax(-1), torch.tensor([[0.0, 1.0, 2.0]]).log_softmax(-1)
    assert jensen_shannon(p, q).item() == pytest.approx(0.247588, abs=1e-6)
    assert jensen_shannon(q, p).item() == pytest.approx(0.247588, abs=1e-6)
    assert jensen_shannon(p, p).item() == 0
    one, other = torch.tensor([[0.0, -math.inf]]), torch.tensor([[-math.inf, 0.0]])
    assert jensen_shannon(one, other).item() == pytest.approx(math.log(2))
    alpha = 0.247588
    expected = torch.softmax((1 + alpha) * p - alpha * q, -1)[0].tolist()
    found = probabilities(AdaCADProcessor(Table([0.0, 1.0, 2.0]), [2]), [2.0, 1.0, 0.0])
    assert found == pytest.approx(expected, abs=2e-6)


def test_icd() -> None:
    theta, amateur = np.log([0.5, 0.3, 0.15, 0.05]).tolist(), np.log([0.2, 0.6, 0.15, 0.05]).tolist()
    found = probabilities(ICDProcessor(Table(theta), Table(amateur), plausibility=0), theta)
    assert found == pytest.approx([0.5, 0.1, 0.2, 0.2], abs=2e-6)
    found = probabilities(ICDProcessor(Table(theta), Table(amateur), plausibility=0.4), theta)
    assert found == pytest.approx([0.833333, 0.166667, 0, 0], abs=2e-6)
    same = probabilities(ICDProcessor(Table(theta), Table(theta), plausibility=0.5), theta)
    assert same == pytest.approx([0.5, 0.5, 0, 0], abs=2e-6)  # the model is its own amateur: uniform on the head
    twice = probabilities(ICDProcessor(Table(theta), Table(theta), beta=2, plausibility=0.5), theta)
    assert twice == pytest.approx([0.625, 0.375, 0, 0], abs=2e-6)  # beta 2: the model itself on the head


def test_lol_is_icd_without_its_parts() -> None:
    scores = torch.randn(1, WIDTH, generator=torch.Generator().manual_seed(1))
    ids = torch.tensor([[2, 20, 21]])
    lol = LOLProcessor(llama(), llama(7), layers=1, omega=0, gamma=0)
    assert torch.equal(lol(ids, scores), ICDProcessor(llama(), llama(7))(ids, scores))
    assert lol.forwards == 1  # the layers are not read for nothing


def test_vdgd() -> None:
    logits = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.05, 0.05, 0.6, 0.3]]).log()
    scores = [-9.0, 1.0, 1.0, 1.0]  # candidates 1, 2, 3
    for options, expected in (
        ({}, [0, 0.1, 0.6, 0.3]),
        ({"reduction": "mean"}, [0, 0.144643, 0.501057, 0.354301]),
        ({"scale": 1 / 32000}, [0, 0.333323, 0.333342, 0.333335]),
        ({"mix": 0}, [0, 0.333333, 0.333333, 0.333333]),
    ):
        found = probabilities(VDGDProcessor(description_logits=logits, **options), scores)
        assert found == pytest.approx(expected, abs=2e-6)
    one = {name: VDGDProcessor(description_logits=logits[:1], reduction=name) for name in ("min", "mean", "sum")}
    assert len({tuple(probabilities(each, scores)) for each in one.values()}) == 1
    more = VDGDProcessor(description_logits=torch.cat([logits, torch.randn(1, 4)]))
    assert (more.grounding >= VDGDProcessor(description_logits=logits).grounding).all()
    by_torch = torch.stack([
        torch.nn.functional.kl_div(row, torch.eye(4), reduction="none").sum(-1) for row in logits
    ]).amin(0)  # fmt: skip
    torch.testing.assert_close(VDGDProcessor(description_logits=logits).grounding[0], -by_torch)


def test_contrastive_decoding() -> None:
    large, small = [2.0, 1.0, 0.0], [1.0, 1.0, 1.0]
    mixed = ConsultProcessor(Table(large), router="always", beta=0.5, plausibility=0.1)
    assert probabilities(mixed, small) == pytest.approx(torch.tensor([1.5, 1, 0.5]).softmax(0).tolist(), abs=2e-6)
    cut = ConsultProcessor(Table(large), router="always", beta=0.5, plausibility=0.2)
    assert probabilities(cut, small)[2] == 0
    oracle = ConsultProcessor(Table(large), router="always")
    assert probabilities(oracle, small) == pytest.approx(torch.tensor(large).softmax(0).tolist(), abs=2e-6)
    nothing_new = ContrastiveProcessor(Table(large), beta=3, plausibility=0)
    assert probabilities(nothing_new, large) == pytest.approx(torch.tensor(large).softmax(0).tolist(), abs=2e-6)


def test_proxy_tuning_identities() -> None:
    large, small, tuned = [2.0, 1.0, 0.0], [2.0, 1.0, 0.0], [0.0, 3.0, 1.0]
    same = ProxyTuningProcessor(Table(small), Table(small))
    assert probabilities(same, large) == pytest.approx(torch.tensor(large).softmax(0).tolist(), abs=2e-6)
    all_tuned = ProxyTuningProcessor(Table(tuned), Table(small))
    assert probabilities(all_tuned, large) == pytest.approx(torch.tensor(tuned).softmax(0).tolist(), abs=2e-6)


def test_rapid() -> None:
    p, q = np.log([0.6, 0.3, 0.1]).tolist(), np.log([0.2, 0.7, 0.1]).tolist()
    for eta, expected in (
        (1, [0.423476, 0.471232, 0.105292]),
        (5, [0.033863, 0.924434, 0.041703]),
        (10, [0.000666, 0.993269, 0.006064]),
    ):
        assert probabilities(RapidProcessor(Table(q), [2], eta=eta), p) == pytest.approx(expected, abs=3e-6)
    assert probabilities(RapidProcessor(Table(p), [2], eta=9), p) == pytest.approx([0.6, 0.3, 0.1], abs=2e-6)


def test_rapid_is_a_gradient_step_of_the_distillation_loss() -> None:
    t, eta = 0.7, 2.0
    z, zq = torch.tensor([[2.0, 1.0, 0.0]], requires_grad=True), torch.tensor([0.0, 1.0, 3.0])
    q = (zq / t).softmax(-1)
    loss = t**2 * (q * (q.log() - (z / t).log_softmax(-1))).sum()
    loss.backward()
    assert z.grad is not None
    stepped = (z - eta * z.grad).detach()
    found = RapidProcessor(Table(zq.tolist()), [2], eta=eta, temperature=t)(IDS, z.detach())
    torch.testing.assert_close(found, stepped.log_softmax(-1))


def test_entropy_in_bits() -> None:
    for p, bits in (([0.5, 0.5], 1), ([0.25] * 4, 2), ([0.5, 0.25, 0.125, 0.125], 1.75), ([1.0, 0.0], 0)):
        assert entropy_bits(torch.tensor([p]).log()).item() == pytest.approx(bits)


def test_entropy_adaptive_switches() -> None:
    entropies = [0.5, 0.5, 0.5, 3, 3, 3, 3, 0.1, 0.1, 0.1, 0.1]
    state, active = Switch(), ""
    for entropy in entropies:
        state = decide(state, entropy, tau=1.5, window=3, stay=2)
        active += "SL"[state.large]
        state = Switch(state.large, state.since + 1, state.window)
    assert active == "SSSSLLLLSSS"


def test_entropy_adaptive_extremes_are_the_two_models() -> None:
    ids = torch.tensor([[2, 20, 21]])
    options = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "max_new_tokens": 8}
    small, large = llama().generate(**options), llama(7).generate(**options)
    assert torch.equal(llama().generate(**options, logits_processor=guided.ead(llama(7), tau=1e9)), small)
    assert torch.equal(llama().generate(**options, logits_processor=guided.ead(llama(7), tau=-1, stay=0)), large)
    for tau in (0.5, 2.0, 4.0):  # both models the same: plain decoding, however often it switches
        steered = guided.ead(llama(), tau=tau, window=1, stay=1)
        assert torch.equal(llama().generate(**options, logits_processor=steered), small)


def test_routers() -> None:
    large = Table([0.0, 9.0])
    even = torch.tensor([[0.0, 0.0]])
    for processor, asks in (
        (ConsultProcessor(large, limit=0.5), False),  # strictly below
        (ConsultProcessor(large, limit=0.51), True),
        (ConsultProcessor(large, router="margin", limit=0.01), True),
        (ConsultProcessor(large, router="entropy", limit=1.1), False),
        (ConsultProcessor(large, router="entropy", limit=0.9), True),
    ):
        before = large.calls
        out = processor(IDS, even)
        assert (out is not even) == asks == (large.calls > before)
        assert (processor.steps, processor.consulted) == (1, int(asks))
    forced = torch.tensor([[0.0, -math.inf]])
    always = ConsultProcessor(large, router="always")
    before = large.calls
    assert always(IDS, forced) is forced and large.calls == before  # nothing to decide: nobody is asked


def test_forced_tokens_cost_no_pass() -> None:
    null = Table([0.0, 1.0, 2.0])
    processor = CADProcessor(null, [2], alpha=1)
    out = processor(IDS, torch.tensor([[-math.inf, 3.0, -math.inf]]))
    assert null.calls == 0 and out[0].tolist() == [-math.inf, 0.0, -math.inf]


def test_plausibility_is_relative_to_the_best_allowed() -> None:
    logp = torch.tensor([[-math.inf, -5.0, -5.5, -9.0]])
    assert plausible(logp, 0.5).tolist() == [[False, True, True, False]]
    assert plausible(logp, 0.0).tolist() == [[False, True, True, True]]
    assert plausible(logp, 1.0).tolist() == [[False, True, False, False]]


def test_encoder_decoder_cad() -> None:
    """The summarisation case: a second encoder pass; equals scores computed whole."""
    model = t5()
    source, bare = torch.tensor([[20, 21, 22, 23]]), torch.tensor([[20]])
    out = model.generate(input_ids=source, max_new_tokens=6, output_scores=True, output_logits=True,
                         return_dict_in_generate=True, num_beams=1, do_sample=False,
                         logits_processor=guided.cad(model, bare, alpha=0.8))  # fmt: skip
    for step, (scores, logits) in enumerate(zip(out.scores, out.logits, strict=True)):
        with torch.no_grad():
            null = model(input_ids=bare, decoder_input_ids=out.sequences[:, : step + 1]).logits[:, -1].log_softmax(-1)
        lp = logits.log_softmax(-1)
        torch.testing.assert_close(scores, (lp + 0.8 * (lp - null)).log_softmax(-1), atol=1e-4, rtol=1e-4)


def test_cad_is_classifier_free_guidance() -> None:
    """The built-in of transformers, with guidance 1 + alpha, writes the same: one row, greedy, twelve prompts."""
    for seed in range(12):
        random = torch.Generator().manual_seed(seed)
        ids = torch.randint(6, WIDTH, (1, 4 + seed % 3), generator=random)
        bare = ids[:, -2:]
        options = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "max_new_tokens": 10}
        theirs = llama().generate(**options, guidance_scale=1.6, negative_prompt_ids=bare)
        assert torch.equal(llama().generate(**options, logits_processor=guided.cad(llama(), bare, alpha=0.6)), theirs)


untyped: Any = guided
WRONG: list[Any] = [
    lambda: untyped.cad(llama(), [], alpha=1),
    lambda: untyped.cad(llama(), [2], alpha=-2),
    lambda: untyped.cad(llama(), [2], plausibility=1.5),
    lambda: untyped.cad(llama(), [[2], [3]], alpha=[1, 2, 3]),
    lambda: untyped.cad("model", [2]),
    lambda: untyped.adacad(llama(), [2], base="hartleys"),
    lambda: untyped.icd(llama(), None),
    lambda: untyped.icd(llama(), [2], amateur_inputs=[3]),
    lambda: untyped.dola(llama(), layers="middle"),
    lambda: untyped.dola(llama(), layers=2),
    lambda: untyped.dola(llama(), layers=()),
    lambda: untyped.lol(llama(), llama(7), layers=1, gamma=0.5),
    lambda: untyped.vdgd(llama()),
    lambda: untyped.vdgd(llama(), [2]),
    lambda: untyped.vdgd(description=[2, 3]),
    lambda: untyped.vdgd(llama(), [2, 3], reduction="max"),
    lambda: untyped.vdgd(llama(), [2, 3], top_p=0),
    lambda: untyped.vdgd(description_logits=torch.zeros(2, 4), context=[2]),
    lambda: untyped.contrastive_decoding(llama(), form="sum"),
    lambda: untyped.contrastive_decoding(llama(), temperature=0),
    lambda: untyped.consult(llama(), router="svm"),
    lambda: untyped.consult(llama(), router="always", limit=1),
    lambda: untyped.ead(llama(), window=0),
    lambda: untyped.rapid(llama(), [2], temperature=0),
    lambda: ForwardPass(t5()),
    lambda: ForwardPass(t5(), [2], layers=(1,)),
]  # fmt: skip


@pytest.mark.parametrize("wrong", range(len(WRONG)))
def test_wrong_settings_are_refused_when_made(wrong: int) -> None:
    with pytest.raises(GenerationError):
        WRONG[wrong]()


def test_rows_that_fit_no_batch() -> None:
    with pytest.raises(GenerationError, match="3 rows for 2 prompts"):
        CADProcessor(llama(), [[2], [3]])(torch.full((3, 2), 2), torch.zeros(3, WIDTH))
