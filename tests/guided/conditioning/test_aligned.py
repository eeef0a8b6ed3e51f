"""`guided.aligned` through `model.generate`."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import guided
from guided.conditioning import AlignmentWarning
from tests.guided.conditioning import worlds

METHODS: list[dict[str, Any]] = [
    {"method": "rejection"},
    {"method": "asap"},
    {"method": "smc", "particles": 24},
    {"method": "smc", "particles": 24, "proposal": "awrs"},
]


def write(sampler: Any, processor: Any, rows: int = 1, prompts: int = 1, **options: Any) -> Any:
    ids = torch.tensor([worlds.PROMPT] * prompts)
    given: dict[str, Any] = {"do_sample": True, "top_k": 0, "return_dict_in_generate": True, **options}
    mask = given.pop("attention_mask", torch.ones_like(ids))
    return worlds.model().generate(
        given.pop("ids", ids), attention_mask=mask, max_new_tokens=given.pop("limit", worlds.LIMIT),
        num_return_sequences=rows, logits_processor=processor, custom_generate=sampler, eos_token_id=worlds.EOS,
        pad_token_id=worlds.PAD, **given,
    )  # fmt: skip


def texts(out: Any) -> list[tuple[int, ...]]:
    return [tuple(row[: row.index(worlds.EOS)]) for row in out.sequences[:, len(worlds.PROMPT) :].tolist()]


@pytest.mark.parametrize("options", METHODS, ids=["rejection", "asap", "smc", "awrs"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_law_is_the_conditional_one(options: dict[str, Any], temperature: float) -> None:
    """600 samples (250 of particles) of a language on which masking is off by more than what is allowed here."""
    torch.manual_seed(5)
    name, rows = "corner", 250 if options["method"] == "smc" else 600
    exact, mass = worlds.exact_law(name, temperature)
    out = write(guided.aligned(**options), worlds.constraint(name), rows, temperature=temperature)
    allowed = 0.1  # noise of 600 draws is about 0.03, of 250 0.045; 24 particles are off by about 0.02
    assert worlds.distance(worlds.frequencies(texts(out)), exact) < allowed
    assert worlds.distance(worlds.masked_law(name, temperature), exact) > allowed
    assert all(out.exact) == (options["method"] == "rejection")
    if options["method"] != "smc":
        assert out.language_mass[0] == pytest.approx(mass, rel=0.05)
    else:
        assert out.language_mass.mean() == pytest.approx(mass, rel=0.25)


def test_the_report_is_the_models_own(name: str = "star") -> None:
    """legal_mass and log_probs of each token, against whole-sequence evaluation."""
    torch.manual_seed(1)
    out = write(guided.aligned(), worlds.constraint(name), 5)
    law = worlds.exact_law(name)[0]
    for row, text in enumerate(texts(out)):
        written = (*text, worlds.EOS)
        for place, token in enumerate(written):
            probs = worlds.law_after([text[:place]])[0]
            legal = {(*other, worlds.EOS)[place] for other in law if other[:place] == text[:place]}
            assert out.log_probs[row, place].exp() == pytest.approx(float(probs[token]), abs=1e-5)
            assert out.legal_mass[row, place] == pytest.approx(float(sum(probs[other] for other in legal)), abs=1e-5)
        assert out.legal_mass[row, len(written) :].isnan().all()

    class Letters:
        def decode(self, ids: list[int]) -> str:
            return "EOS" if ids[0] == worlds.EOS else worlds.TEXTS[ids[0] - 2]

    lines = out.report(Letters()).splitlines()
    assert len(lines) == 1 + len(texts(out)[0]) + 1 and "'EOS'" in lines[-1]


def test_other_processors_belong_to_the_law() -> None:
    """A penalty of transformers and a plain function: samples never use what they ban."""

    def no_b(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.clone()
        scores[:, 3] = float("-inf")  # "b"
        return scores

    torch.manual_seed(0)
    out = write(guided.aligned(), worlds.constraint("star") + no_b, 20, suppress_tokens=[5])  # 5: "ab"
    assert not {token for text in texts(out) for token in text} & {3, 5}
    assert len(set(texts(out))) > 1


def test_truncation_that_leaves_nothing_is_an_error() -> None:
    with pytest.raises(guided.GenerationError, match="top_k=0"):
        write(guided.aligned(), guided.regex("ccc", tokenizer=worlds.vocabulary()), top_k=1)
    with pytest.raises(guided.GenerationError, match="top_k=0"):
        write(guided.aligned("smc"), guided.regex("ccc", tokenizer=worlds.vocabulary()), top_k=1)


def test_batches_padding_and_free_rows() -> None:
    """Three prompts, one padded, one without a constraint; rows of one prompt share a tree."""
    torch.manual_seed(2)
    ids = torch.tensor([[*worlds.PROMPT], [worlds.PAD, *worlds.PROMPT[1:]], [*worlds.PROMPT]])
    mask = torch.tensor([[1, 1, 1], [0, 1, 1], [1, 1, 1]])
    processor = guided.batch([worlds.constraint("corner"), worlds.constraint("star"), None])
    sampler = guided.aligned()
    out = write(sampler, processor, 2, ids=ids, attention_mask=mask)
    law = {0: "corner", 1: "corner", 2: "star", 3: "star"}
    for row, name in law.items():
        written = out.sequences[row, 3:].tolist()
        assert tuple(written[: written.index(worlds.EOS)]) in worlds.exact_law(name)[0]
    assert out.sequences.shape[0] == 6 and all(out.exact)
    free = out.legal_mass[4:]
    assert torch.allclose(free[~free.isnan()], torch.ones(()).double())
    again = write(sampler, processor, 2, ids=ids, attention_mask=mask)
    assert again.stats.passes <= out.stats.passes  # what was learnt is kept


def test_through_guided_generate() -> None:
    torch.manual_seed(0)
    ids = torch.tensor([worlds.PROMPT])
    common: dict[str, Any] = {"max_new_tokens": worlds.LIMIT, "eos_token_id": worlds.EOS, "pad_token_id": worlds.PAD}
    processor = worlds.constraint("corner")
    out = guided.generate(worlds.model(), ids, processor, sampling="aligned", num_return_sequences=4, **common)
    assert out.sequences.shape[0] == 4 and all(out.raw.exact)
    assert out.stats.passes == out.raw.stats.passes > 0 and out.stats.tokens == out.raw.tokens
    particles = guided.aligned("smc", particles=3)
    assert not any(guided.generate(worlds.model(), ids, processor, sampling=particles, **common).raw.exact)
    with pytest.raises(ValueError, match="sampling"):
        guided.generate(worlds.model(), ids, processor, sampling="exact", **common)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="drafter"):
        drafter = guided.drafters.PromptLookup()
        guided.generate(worlds.model(), ids, processor, drafter, sampling="aligned", **common)


def test_plain_output_without_a_dictionary() -> None:
    torch.manual_seed(0)
    out = write(guided.aligned(), worlds.constraint("corner"), 3, return_dict_in_generate=False)
    assert isinstance(out, torch.Tensor) and out.shape[0] == 3


def test_other_temperatures_learn_apart() -> None:
    sampler = guided.aligned("asap")
    for temperature in (0.7, 1.4, 0.7):
        write(sampler, worlds.constraint("corner"), 2, temperature=temperature)
    assert len(sampler._trees) == 2


def test_used_up_passes_warn() -> None:
    torch.manual_seed(0)
    with pytest.warns(AlignmentWarning, match="max_passes=1"):
        out = write(guided.aligned(max_passes=1), worlds.constraint("corner"), 30)
    assert not all(out.exact)


@pytest.mark.parametrize("options", [{"do_sample": False}, {"stop_strings": ["b"]}])
def test_what_cannot_be_conditioned_on_is_refused(options: dict[str, Any]) -> None:
    if "stop_strings" in options:
        from transformers import StoppingCriteria

        class Never(StoppingCriteria):
            def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
                return torch.zeros(input_ids.shape[0], dtype=torch.bool)

        options = {"stopping_criteria": [Never()]}
    with pytest.raises(guided.UnsupportedGeneration):
        write(guided.aligned(), worlds.constraint("corner"), **options)


@pytest.mark.parametrize(
    "options",
    [
        {"method": "exact"},
        {"proposal": "awrs"},
        {"method": "smc", "proposal": "lazy"},
        {"method": "smc", "estimator": "geometric"},
        {"width": 0},
        {"method": "smc", "threshold": 2.0},
    ],
)
def test_useless_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"method|proposal|estimator|width"):
        guided.aligned(**options)
