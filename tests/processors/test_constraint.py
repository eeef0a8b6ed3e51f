"""What the processor answers to odd calls, and what it refuses."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch

from grammars.errors import BudgetExceeded, TokenizerError
from processors import (
    CompositionError,
    ConstraintProcessor,
    ConstraintWarning,
    DeadEnd,
    GenerationError,
    UnsupportedGeneration,
)
from tests.processors.tiny import llama
from tests.processors.toys import EOS, PAD, TEXTS, WIDTH, Lists, Words, spell, toy_constraint, toy_list, toy_vocabulary

WORDS = Words((b"abc", b"cab", b"12"))
PROMPT = [2, 20, 21]
TOKEN = {text: 6 + i for i, text in enumerate(TEXTS)}


def allowed(processor: Any, ids: list[int], scores: torch.Tensor | None = None) -> list[int]:
    out = processor(torch.tensor([ids]), torch.zeros(1, WIDTH) if scores is None else scores)
    assert not out.isnan().any()
    return list(out[0].isfinite().nonzero().flatten().tolist())


def test_own_loop_without_any_announcement() -> None:
    processor = toy_list(WORDS)
    ids = list(PROMPT)
    for expected, token in [({"a", "ab", "abc", "c", "cab", "1", "12"}, "ab"), ({"c"}, "c"), (set(), EOS)]:
        got = allowed(processor, ids)
        assert {TEXTS[t - 6] for t in got if t != EOS} == expected
        ids.append(token if isinstance(token, int) else TOKEN[token])
    assert allowed(processor, ids) == [EOS]


def test_illegal_prefixes_and_text_after_the_end_allow_eos_only() -> None:
    processor = toy_list(WORDS)
    allowed(processor, PROMPT)
    for token in (TOKEN["9"], PAD, 63, 1000):
        assert allowed(processor, [*PROMPT, token]) == [EOS]
        assert allowed(processor, [*PROMPT, token, TOKEN["a"]]) == [EOS]
    allowed(processor, [*PROMPT, TOKEN["cab"]])
    for tail in ([EOS], [EOS, PAD], [EOS, EOS], [EOS, TOKEN["a"]], [TOKEN["a"]]):
        for n in range(1, len(tail) + 1):
            assert allowed(processor, [*PROMPT, TOKEN["cab"], *tail[:n]]) == [EOS]
    assert TOKEN["ab"] in allowed(processor, PROMPT)  # and back


def test_going_back_and_on_again() -> None:
    processor = toy_list(Lists(3))
    seen: dict[int, list[int]] = {}
    sequence = [*PROMPT, *(TOKEN[t] for t in ("[[", "1,", "12", "],[", "]]"))]
    for length in [3, 4, 5, 6, 7, 8, 8, 5, 6, 3, 4, 5, 6, 7]:
        got = allowed(processor, sequence[:length])
        assert seen.setdefault(length, got) == got


def test_the_same_width_is_asked_for() -> None:
    """Another tokenizer's model is an error; a padded head, or one that lacks an added token, is not."""
    for width in (WIDTH + 400, WIDTH - 8):
        allowed(toy_list(WORDS), PROMPT, torch.zeros(1, width))
    with pytest.raises(TokenizerError, match=r"5000 wide.*64 tokens"):
        allowed(toy_list(WORDS), PROMPT, torch.zeros(1, 5000))
    with pytest.raises(TokenizerError, match="20 wide"):
        allowed(toy_list(WORDS), PROMPT, torch.zeros(1, 20))


def test_padding_of_the_head_is_banned() -> None:
    out = toy_list(WORDS)(torch.tensor([PROMPT]), torch.zeros(1, WIDTH + 37))
    assert out[0, WIDTH:].isinf().all() and out.shape == (1, WIDTH + 37)


def test_one_dimensional_ids_are_refused() -> None:
    """Continuous batching hands over the last token of each request, and nothing that tells them apart."""
    with pytest.raises(UnsupportedGeneration, match=r"\(3,\).*\n.*generate_batch"):
        toy_list(WORDS)(torch.tensor([1, 2, 3]), torch.zeros(3, WIDTH))
    assert toy_list(WORDS)[0].supports_continuous_batching is False


def test_rows_must_be_a_multiple_of_the_constraints() -> None:
    with pytest.raises(GenerationError, match="3 rows for 2 constraints"):
        toy_list(WORDS, None)(torch.tensor([PROMPT] * 3), torch.zeros(3, WIDTH))


def test_free_rows_are_not_touched() -> None:
    """Not even one in which everything is banned already, or which holds NaN."""
    processor = toy_list(WORDS, None, None)
    scores = torch.randn(3, WIDTH)
    scores[1] = float("-inf")
    scores[2, 3] = float("nan")
    out = processor(torch.tensor([PROMPT] * 3), scores)
    assert torch.equal(out[1], scores[1]) and torch.equal(out[2].view(torch.int32), scores[2].view(torch.int32))


def test_no_warning_for_rows_that_have_ended(recwarn: pytest.WarningsRecorder) -> None:
    processor = toy_list(WORDS)
    scores = torch.zeros(1, WIDTH)
    scores[0, EOS] = float("-inf")
    allowed(processor, PROMPT)
    allowed(processor, [*PROMPT, TOKEN["9"]])
    assert allowed(processor, [*PROMPT, TOKEN["9"]], scores) == [EOS]
    assert not recwarn.list
    with pytest.warns(ConstraintWarning, match="min_new_tokens"):
        allowed(processor, PROMPT)
        allowed(processor, [*PROMPT, TOKEN["cab"]], scores)


def test_a_vocabulary_that_cannot_spell_the_text_is_a_dead_end() -> None:
    processor = toy_list(Words((b"abX",)))
    allowed(processor, PROMPT)
    with pytest.raises(DeadEnd, match=r"row 0: no token.*ab"):
        allowed(processor, [*PROMPT, TOKEN["ab"]])


def test_budget_at_the_start() -> None:
    with pytest.raises(BudgetExceeded, match=r"max_new_tokens = 2 .*3 asked for") as caught:
        toy_constraint(Lists(2), max_new_tokens=2)
    assert caught.value.limit == 2 and caught.value.given == 3
    toy_constraint(Lists(2), max_new_tokens=2, on_budget="cut")
    with pytest.raises(GenerationError, match="finish"):
        toy_constraint(Lists(2), on_budget="later")


def test_budget_bans_what_cannot_be_finished() -> None:
    """Four tokens with EOS: "[" may be followed by another "[", "[[" not by a third."""
    processor = toy_list(Lists(3), max_new_tokens=5)
    first = allowed(processor, PROMPT)
    assert TOKEN["["] in first and TOKEN["[["] in first
    second = allowed(processor, [*PROMPT, TOKEN["[["]])
    assert TOKEN["["] not in second and TOKEN["]"] in second and TOKEN["1,"] not in second
    assert allowed(processor, [*PROMPT, TOKEN["[["], TOKEN["]"]]) == [TOKEN["]"]]
    assert allowed(processor, [*PROMPT, TOKEN["[["], TOKEN["]"], TOKEN["]"]]) == [EOS]
    for n in range(1, 5):  # beyond the limit, where drafts may look
        assert allowed(processor, [*PROMPT, TOKEN["[["], TOKEN["]"], TOKEN["]"], *[EOS, PAD, PAD, PAD][:n]]) == [EOS]


def test_a_draft_beyond_the_budget_does_not_lift_it() -> None:
    """Behind a token that the budget bans no mask fits; what is there is not taken, and the limit holds as before."""
    processor = toy_list(Lists(3), max_new_tokens=5)
    allowed(processor, PROMPT)
    before = allowed(processor, [*PROMPT, TOKEN["[["]])
    assert TOKEN["1,"] not in before
    beyond = allowed(processor, [*PROMPT, TOKEN["[["], TOKEN["1,"]])
    assert TOKEN["1"] in beyond and TOKEN["12,3"] in beyond, "cut short is better than nothing"
    assert allowed(processor, [*PROMPT, TOKEN["[["]]) == before
    assert allowed(processor, [*PROMPT, TOKEN["[["], TOKEN["]"]]) == [TOKEN["]"]]


def test_a_row_beyond_its_budget_lifts_no_other_rows() -> None:
    processor = toy_list(Lists(3), Lists(3), Lists(3), max_new_tokens=5)
    processor(torch.tensor([PROMPT] * 3), torch.zeros(3, WIDTH))
    ends = [[TOKEN["[["], TOKEN["1,"]], [TOKEN["[["], TOKEN["12,3"]], [TOKEN["[["], TOKEN["]"]]]
    for k in range(2):
        out = processor(torch.tensor([[*PROMPT, *end[: k + 1]] for end in ends]), torch.zeros(3, WIDTH))
    rows = [row.isfinite().nonzero().flatten().tolist() for row in out]
    assert TOKEN["12,3"] in rows[0]
    assert rows[1:] == [[TOKEN["]"], TOKEN["]]"]], [TOKEN["]"]]]


def test_prefix_is_what_the_prompt_ends_with() -> None:
    processor = toy_list(WORDS, prefix=b"ab")
    assert allowed(processor, PROMPT) == [TOKEN["c"]]
    assert allowed(processor, [*PROMPT, TOKEN["c"]]) == [EOS]
    assert allowed(processor, PROMPT) == [TOKEN["c"]]
    with pytest.raises(GenerationError, match="'xy'"):
        toy_constraint(WORDS, prefix=b"xy")


def test_no_eos_is_an_error_at_once() -> None:
    class NoEnd:
        size, words, eos_ids = WIDTH, 2, ()

    with pytest.raises(TokenizerError, match="eos_ids="):
        toy_constraint(WORDS, vocabulary=NoEnd())  # type: ignore[arg-type]


def test_constraints_of_two_tokenizers_do_not_mix() -> None:
    other = toy_constraint(WORDS, vocabulary=toy_vocabulary(eos_ids=(4,)))
    with pytest.raises(CompositionError, match="different tokenizers"):
        ConstraintProcessor([toy_constraint(WORDS), other], per_prompt=True)
    with pytest.raises(CompositionError):
        ConstraintProcessor([None], per_prompt=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_type(dtype: torch.dtype) -> None:
    out = toy_list(WORDS)(torch.tensor([PROMPT]), torch.ones(1, WIDTH, dtype=dtype))
    assert out.dtype == dtype and out[0].isfinite().sum() == 7


def test_ids_of_any_layout() -> None:
    """Slices of a longer tensor, and int32 from own loops."""
    whole = torch.tensor([[*PROMPT, TOKEN["ab"], 0, 0]] * 2)
    for ids in (whole[:, :4], whole.to(torch.int32)[:, :4], whole.t().contiguous().t()[:, :4]):
        processor = toy_list(WORDS)
        processor(ids[:, :3], torch.zeros(2, WIDTH))
        out = processor(ids, torch.zeros(2, WIDTH))
        assert out[1].isfinite().nonzero().flatten().tolist() == [TOKEN["c"]]


def test_two_loops_on_one_object_and_two_threads() -> None:
    """Interleaved prompts, and two generations at a time: each row follows its own text."""
    processor = toy_list(Lists(3))
    one, other = [2, 20], [2, 22, 22]
    for token in ("[", "1,", "12", "]"):
        allowed(processor, one)
        allowed(processor, other)
        one, other = [*one, TOKEN[token]], [*other, TOKEN["["], TOKEN["]"]][: len(other) + 1]
    assert allowed(processor, one) == [EOS]

    found: dict[int, tuple[bytes, bool]] = {}

    def work(number: int) -> None:
        ids = torch.tensor([[2, 20 + number % 3]])
        for _ in range(3):
            out = llama().generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=10,
                                   logits_processor=limited)  # fmt: skip
            found[number] = spell(toy_vocabulary(), out[0, 2:].tolist())

    limited = toy_list(Lists(3), max_new_tokens=10)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(ended and Lists(3).complete(text) for text, ended in found.values())


class AssistedCandidateGeneratorDifferentTokenizers:
    """Stands for the one in transformers: its name and its method are what the processor looks for."""

    def get_candidates(self, processor: Any, ids: list[int], scores: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = processor(torch.tensor([ids]), scores)
        return out


@pytest.mark.parametrize("width", [48, WIDTH, 9000])
def test_calls_of_a_foreign_assistant_pass_through(width: int) -> None:
    """Before the first call of the target, and between its calls; they leave no trace."""
    assistant, processor = AssistedCandidateGeneratorDifferentTokenizers(), toy_list(WORDS)
    processor[0].announce()
    scores = torch.randn(1, width)
    assert assistant.get_candidates(processor, [30, 31], scores) is scores
    assert len(allowed(processor, PROMPT)) == 7
    assert assistant.get_candidates(processor, [30, 31, 33, 34], scores) is scores
    assert allowed(processor, [*PROMPT, TOKEN["ab"]]) == [TOKEN["c"]]


def test_generations_that_are_remembered_are_few() -> None:
    processor = toy_list(WORDS)
    for number in range(50):
        allowed(processor, [2, number])
    assert len(processor[0]._generations) <= 8


def test_packed_row_of_end_tokens() -> None:
    vocabulary = toy_vocabulary(eos_ids=(EOS, 31, 32, 63))
    processor = toy_list(WORDS, vocabulary=vocabulary)
    allowed(processor, PROMPT)
    assert allowed(processor, [*PROMPT, TOKEN["9"]]) == [EOS, 31, 32, 63]
    assert processor[0]._end_row.dtype == np.int32
