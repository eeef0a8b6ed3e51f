"""`guided.generate` writes what `model.generate` writes, in fewer passes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM, TextStreamer

import guided
from guided.drafters import PromptLookup
from guided.generation import generate, speculative
from tests.processors.tiny import llama, t5
from tests.processors.toys import EOS, PAD, toy_vocabulary

VOCABULARY = toy_vocabulary()
PATTERN = r"(\[(1|2|12)*\],?){1,6}abcabc\[\[(a|b|cab)+\]\]"


def constraint() -> Any:
    return guided.regex(PATTERN, tokenizer=VOCABULARY)


def prompts(rows: int, seed: int, padded: bool = False) -> dict[str, torch.Tensor]:
    ids = torch.randint(6, 30, (rows, 9), generator=torch.Generator().manual_seed(seed))
    mask = torch.ones_like(ids)
    if padded:
        mask[0, :4] = 0
        mask[-1, :1] = 0
        ids[mask == 0] = PAD
    return {"input_ids": ids, "attention_mask": mask}


class Wild:
    """Guesses badly and at length: wrong, illegal and impossible tokens, trees of them; `right` adds the true one."""

    name = "wild"
    needs: frozenset[str] = frozenset({"logits"})

    def __init__(self, seed: int, right: list[int] | None = None) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self.right = right

    def start(self, setup: Any) -> Wild:
        return self

    def propose(self, view: Any, draft: Any, node: int) -> None:
        for _ in range(int(torch.randint(0, 9, (), generator=self.random))):
            parent = int(torch.randint(0, len(draft), (), generator=self.random))
            draft.add(parent, int(torch.randint(0, 80, (), generator=self.random)), "wild")
        if self.right is not None:
            draft.chain(node, self.right[len(view.ids) :][:5], "right")

    def observe(self, seen: Any) -> None:
        assert seen.logits is not None and len(seen.logits) == len(seen.draft)


@pytest.mark.parametrize("seed", range(4))
def test_greedy_is_token_identical(seed: int) -> None:
    inputs = prompts(1, seed)
    options: dict[str, Any] = {"max_new_tokens": 50, "do_sample": False}
    plain = llama().generate(**inputs, logits_processor=constraint(), **options)
    for drafter in (None, PromptLookup(), Wild(seed), Wild(seed, plain[0].tolist()), "auto"):
        out = generate(llama(), inputs, constraint(), drafter, **options)
        assert torch.equal(out.sequences, plain), drafter
        assert out.stats.tokens == plain.shape[1] - 9
    through = llama().generate(
        **inputs, logits_processor=constraint(), custom_generate=speculative(PromptLookup()), **options
    )
    assert torch.equal(through, plain)


@pytest.mark.filterwarnings("ignore:an earlier processor")
@pytest.mark.parametrize(
    "extra",
    [{}, {"repetition_penalty": 1.3}, {"no_repeat_ngram_size": 3}, {"encoder_repetition_penalty": 1.2}],
    ids=["", "penalty", "ngrams", "batch-wise"],
)
@pytest.mark.parametrize("which", ["none", "one", "each"])
def test_batches_with_left_padding(extra: dict[str, Any], which: str) -> None:
    def processors() -> Any:
        if which == "each":
            return guided.batch([constraint(), None, guided.regex("(1|2|ab)*", tokenizer=VOCABULARY)])
        return constraint() if which == "one" else None

    inputs = prompts(3, 5, padded=True)
    options = {"max_new_tokens": 30, "do_sample": False, **extra}
    given = {} if which == "none" else {"logits_processor": processors()}
    plain = llama().generate(**inputs, **given, **options)
    for drafter in (PromptLookup(), Wild(1)):
        out = generate(llama(), inputs, processors(), drafter, **options)
        assert torch.equal(out.sequences, plain)


def test_sliding_windows() -> None:
    """A cache that forgets: no trees, no holes, cut at its end only."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads: dict[str, Any] = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 6}
    config = MistralConfig(**sizes, **heads, eos_token_id=EOS, pad_token_id=PAD)
    model = MistralForCausalLM(config).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(20)
    options: dict[str, Any] = {"max_new_tokens": 30, "do_sample": False}
    for rows in (1, 3):
        inputs = prompts(rows, 4, padded=rows > 1)
        plain = model.generate(**inputs, logits_processor=constraint(), **options)
        for drafter in (PromptLookup(), Wild(2, plain[0].tolist())):
            out = generate(model, inputs, constraint(), drafter, **options)
            assert torch.equal(out.sequences, plain)


def test_a_draft_that_knows_the_answer_takes_few_passes() -> None:
    inputs = prompts(1, 2)
    options: dict[str, Any] = {"max_new_tokens": 48, "do_sample": False}
    plain = llama().generate(**inputs, **options)
    oracle = Wild(0, plain[0].tolist())
    oracle.random = torch.Generator().manual_seed(0)
    out = generate(llama(), inputs, None, oracle, **options)
    assert torch.equal(out.sequences, plain)
    assert out.stats.passes <= 2 + 48 // 6


def test_scores_and_logits_are_those_of_plain_generate() -> None:
    inputs = prompts(1, 3)
    options: dict[str, Any] = {
        "max_new_tokens": 20, "do_sample": False, "return_dict_in_generate": True, "output_scores": True,
        "output_logits": True,
    }  # fmt: skip
    plain = llama().generate(**inputs, logits_processor=constraint(), **options)
    out = generate(llama(), inputs, constraint(), PromptLookup(), **options)
    assert torch.equal(out.raw.sequences, plain.sequences)
    for name in ("scores", "logits"):
        ours, theirs = torch.cat(getattr(out.raw, name)), torch.cat(getattr(plain, name))
        assert torch.allclose(ours, theirs, atol=1e-4)


def test_end_of_text_inside_a_draft_ends_the_text() -> None:
    short = guided.choice(["abc", "abcabc"], tokenizer=VOCABULARY)
    for seed in range(4):
        inputs = prompts(1, seed)
        plain = llama().generate(**inputs, logits_processor=short, max_new_tokens=20, do_sample=False)
        oracle = Wild(seed, [*plain[0].tolist(), 7, 7])
        out = generate(llama(), inputs, short, oracle, max_new_tokens=20, do_sample=False)
        assert torch.equal(out.sequences, plain)
        assert plain[0, -1] == EOS


def test_every_limit_cuts_where_plain_generate_cuts() -> None:
    for limit in range(1, 12):
        inputs = prompts(1, 1)
        plain = llama().generate(**inputs, max_new_tokens=limit, do_sample=False)
        right = llama().generate(**inputs, max_new_tokens=20, do_sample=False)[0].tolist()
        out = generate(llama(), inputs, None, Wild(limit, right), max_new_tokens=limit, do_sample=False)
        assert torch.equal(out.sequences, plain)


def test_the_end_is_written_without_a_pass() -> None:
    only = guided.choice(["1", "2"], tokenizer=VOCABULARY)
    out = generate(llama(), prompts(1, 0), only, None, max_new_tokens=20, do_sample=False)
    assert out.new_tokens.shape == (1, 2) and out.sequences[0, -1] == EOS
    assert (out.stats.passes, out.stats.forced) == (1, 1)  # the prompt's pass gives the digit; only the end may follow


def test_stop_strings_need_a_tokenizer() -> None:
    with pytest.raises(ValueError, match="tokenizer"):
        generate(llama(), prompts(1, 0), None, None, stop_strings="a", max_new_tokens=4)


def test_a_streamer_gets_all_tokens() -> None:
    class Collector(TextStreamer):
        def __init__(self) -> None:
            self.ids: list[int] = []
            self.ended = False

        def put(self, value: torch.Tensor) -> None:
            self.ids += value.flatten().tolist()

        def end(self) -> None:
            self.ended = True

    collector = Collector()
    out = generate(llama(), prompts(1, 0), constraint(), PromptLookup(), max_new_tokens=30, streamer=collector)
    assert collector.ids == out.sequences[0].tolist()
    assert collector.ended


def test_what_is_not_speculated_about_runs_plainly_and_says_so() -> None:
    inputs = prompts(1, 0)
    with pytest.warns(guided.SpeculationWarning, match="beam"):
        out = generate(llama(), inputs, constraint(), PromptLookup(), num_beams=2, do_sample=False, max_new_tokens=12)
    plain = llama().generate(**inputs, logits_processor=constraint(), num_beams=2, do_sample=False, max_new_tokens=12)
    assert torch.equal(out.sequences, plain)
    assert out.stats.fallback
    with pytest.warns(guided.SpeculationWarning, match="encoder-decoder"):
        generate(t5(), inputs, None, PromptLookup(), max_new_tokens=5, do_sample=False)
