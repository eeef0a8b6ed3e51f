"""Beams: transformers' own where the additions are off, exact enumeration of a tiny model where they are on."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from guided.search import conditional_beam_search, diverse_beam_search, not_degenerate
from guided.search.beams import BeamSearch
from processors.errors import GenerationError
from tests.guided.search.worlds import enumerate_texts, tiny_llama
from tests.processors.tiny import llama
from tests.processors.toys import PAD, Lists, Words, spell, toy_list, toy_vocabulary

PROMPTS = torch.tensor([[2, 20, 21, 22], [PAD, PAD, 2, 30], [PAD, 2, 9, 9]])
MASK = (PROMPTS != PAD).long()
ENDS = [PAD, 1, 17, 30, 40]


def told(sequences: torch.Tensor, start: int = 4) -> list[list[int]]:
    """Generated ids without what pads them (transformers' beams pad with EOS where the pad id is 0)."""
    rows = [row[start:] for row in sequences.tolist()]
    for row in rows:
        while len(row) > 1 and row[-1] in ENDS and row[-2] in ENDS:
            del row[-1]
    return rows


def beam(ids=PROMPTS, mask=MASK, model=None, **options):
    return (model or llama()).generate(
        input_ids=ids, attention_mask=mask, return_dict_in_generate=True, output_scores=True, **options
    )


@pytest.mark.parametrize(
    "options", [{}, {"length_penalty": 0.3}, {"early_stopping": True}, {"eos_token_id": [1, 17, 30, 40]}]
)
@pytest.mark.parametrize("language", [None, Lists(3)])
def test_plain_beams_are_those_of_transformers(options: dict, language) -> None:
    given = {"max_new_tokens": 12, **options}
    if language is not None:
        given["eos_token_id"] = 1

    def processor():
        return None if language is None else toy_list(language, max_new_tokens=12)

    theirs = beam(num_beams=4, num_return_sequences=2, logits_processor=processor(), **given)
    strategy = BeamSearch("beam_search", 4, num_return_sequences=2)
    ours = beam(custom_generate=strategy, logits_processor=processor(), **given)
    assert told(ours.sequences) == told(theirs.sequences)
    torch.testing.assert_close(ours.sequences_scores, theirs.sequences_scores, atol=1e-5, rtol=1e-5)


def test_without_penalty_all_groups_are_one_small_beam_search() -> None:
    small = beam(num_beams=2, max_new_tokens=10)
    groups = beam(custom_generate=diverse_beam_search(6, 3, 0.0), max_new_tokens=10)
    assert told(groups.sequences) == told(small.sequences)


@pytest.mark.parametrize(("penalty", "leaves"), [(0.50, False), (0.52, True)])
def test_second_group_leaves_where_the_penalty_outweighs_the_odds(penalty: float, leaves: bool) -> None:
    """p = .5, .3, .2: the second group takes another first token iff lambda > ln(5/3) = 0.5108."""
    model = llama()
    p = torch.tensor([0.5, 0.3, 0.2]).log()

    def fixed(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return torch.full_like(scores, -torch.inf).index_copy_(1, torch.tensor([20, 21, 22]), p.expand(len(ids), 3))

    out = beam(PROMPTS[:1], MASK[:1], model, max_new_tokens=1, logits_processor=[fixed],
               custom_generate=diverse_beam_search(2, 2, penalty, num_return_sequences=2))  # fmt: skip
    assert out.sequences[0, 4] == 20
    if leaves:
        assert out.sequences[1, 4] == 21
        assert out.sequences_scores.tolist() == pytest.approx([math.log(0.5), math.log(0.3)], abs=1e-6)
    else:
        assert out.sequences_scores[1] == -1e9  # both groups say the same


def diverse_by_definition(model, prompt, eos, groups, size, penalty, length):
    """Groups in turn, by the definition, without caches or finished lists: the live beams after `length` steps."""
    beams: list[list[tuple[tuple[int, ...], float]]] = [[((), 0.0)] for _ in range(groups)]
    for _ in range(length):
        counts: dict[int, int] = {}
        for g in range(groups):
            options = []
            for text, rank in beams[g]:
                with torch.no_grad():
                    logp = torch.log_softmax(model(torch.tensor([[*prompt, *text]])).logits[0, -1], -1).tolist()
                for v, each in enumerate(logp):
                    if v != eos:
                        options.append((rank + each - penalty * counts.get(v, 0), (*text, v)))
            options.sort(key=lambda each: -each[0])
            beams[g] = [(text, rank) for rank, text in options[:size]]
            for text, _ in beams[g]:
                counts[text[-1]] = counts.get(text[-1], 0) + 1
    return {text for own in beams for text, _ in own}


@pytest.mark.parametrize("penalty", [0.4, 1.5, 50.0])
def test_diverse_groups_by_definition(penalty: float) -> None:
    eos, prompt = 0, [3, 4]
    model = tiny_llama(6, eos, scale=5.0)

    def no_end(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return scores.index_fill(1, torch.tensor([eos]), -torch.inf)

    out = beam(torch.tensor([prompt]), torch.ones(1, 2).long(), model, max_new_tokens=4, logits_processor=[no_end],
               custom_generate=diverse_beam_search(4, 2, penalty, num_return_sequences=4))  # fmt: skip
    real = {tuple(row[2:]) for row, score in zip(out.sequences.tolist(), out.sequences_scores.tolist(), strict=True)
            if score > -1e8}  # fmt: skip
    assert real == diverse_by_definition(model, prompt, eos, 2, 2, penalty, 4)


def test_groups_start_with_different_tokens_under_an_endless_penalty() -> None:
    search = diverse_beam_search(5, 5, 1e6, num_return_sequences=5)
    out = beam(PROMPTS[:1], MASK[:1], max_new_tokens=5, custom_generate=search)
    assert len(set(out.sequences[:, 4].tolist())) == 5


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("least", [1, 3, 4])
def test_wide_conditional_beams_find_the_conditional_mode(seed: int, least: int) -> None:
    """argmax p(y | at least so many tokens before the end, no repeated bigram), over all texts of up to 5 tokens."""
    eos, prompt = 0, [1, 2]
    model = tiny_llama(4, eos, seed, scale=8.0)
    attribute = not_degenerate(min_new_tokens=least, no_repeat_ngram=2, eos_ids=[eos])

    def has_it(text: tuple[int, ...]) -> bool:
        bigrams = list(itertools.pairwise(text))
        return len(set(bigrams)) == len(bigrams) and (text[-1] != eos or len(text) > least)

    texts = {text: p for text, p in enumerate_texts(model, prompt, eos, 5).items() if has_it(text)}
    best = max(texts, key=lambda text: texts[text])
    out = beam(torch.tensor([prompt]), torch.ones(1, 2).long(), model, max_new_tokens=5,
               custom_generate=conditional_beam_search(attribute, 4**4, candidates=4))  # fmt: skip
    assert tuple(out.sequences[0, 2:].tolist()) == best
    assert out.sequences_scores[0].item() == pytest.approx(texts[best], abs=1e-4)


def test_a_constant_attribute_changes_nothing() -> None:
    plain = beam(num_beams=4, max_new_tokens=10)
    same = beam(max_new_tokens=10, custom_generate=conditional_beam_search(
        lambda generated: [-2.5] * len(generated), 4, candidates=64, length_penalty=1.0))  # fmt: skip
    assert told(same.sequences) == told(plain.sequences)
    torch.testing.assert_close(same.sequences_scores, plain.sequences_scores - 2.5, atol=1e-5, rtol=1e-5)


def test_a_soft_attribute_steers() -> None:
    """ln p(a|y) = the number of tokens 21 in y: texts are full of them; the score is the sum."""
    strategy = conditional_beam_search(lambda generated: 100.0 * (generated == 21).sum(-1), 4, candidates=64)
    out = beam(PROMPTS[:1], MASK[:1], max_new_tokens=6, custom_generate=strategy, eos_token_id=None)
    assert out.sequences[0, 4:].tolist() == [21] * 6
    with torch.no_grad():
        logp = torch.log_softmax(llama()(out.sequences).logits[0, 3:-1], -1)[:, 21].sum()
    assert out.sequences_scores[0].item() == pytest.approx(logp.item() + 600, abs=1e-3)


@pytest.mark.parametrize("language", [Lists(3), Words((b"abc", b"abcab", b"cab"))])
@pytest.mark.parametrize(
    "strategy",
    [
        diverse_beam_search(4, 2, 0.7, num_return_sequences=3),
        conditional_beam_search(not_degenerate(no_repeat_ngram=3, eos_ids=[1]), 3, num_return_sequences=3),
    ],
)
def test_beams_stay_in_the_language(strategy, language) -> None:
    out = beam(max_new_tokens=10, custom_generate=strategy, logits_processor=toy_list(language, max_new_tokens=10))
    assert len(out.sequences) == 9
    for row in out.sequences[:, 4:].tolist():
        text, ended = spell(toy_vocabulary(), row)
        assert ended and language.complete(text)


def test_settings_out_of_range() -> None:
    for match, wrong in (
        ("num_beam_groups", lambda: diverse_beam_search(5, 2)),
        ("diversity_penalty", lambda: diverse_beam_search(4, 2, -1)),
        ("num_return_sequences", lambda: diverse_beam_search(4, 2, num_return_sequences=5)),
        ("num_beams", lambda: conditional_beam_search(lambda y: [0.0] * len(y), 0)),
        ("candidates", lambda: conditional_beam_search(lambda y: [0.0] * len(y), 2, candidates=0)),
    ):
        with pytest.raises(GenerationError, match=match):
            wrong()
