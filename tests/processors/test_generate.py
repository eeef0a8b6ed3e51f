"""Every way to generate, with every kind of constraint: what is finished is in the language."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from processors import ConstraintWarning, ProcessorList
from tests.processors.tiny import llama, t5
from tests.processors.toys import EOS, PAD, WIDTH, Language, Lists, Words, spell, toy_list, toy_vocabulary

PROMPT = [2, 20, 21, 22]
LIMIT = 14


@dataclass(frozen=True)
class Mode:
    """One way to call `generate`; `prompts` rows go in, each gives `outputs` rows."""

    name: str
    options: dict[str, Any]
    prompts: int = 1
    outputs: int = 1
    model: Callable[[], Any] = llama
    inputs: str = "ids"
    may_be_illegal: bool = False  # beam sampling returns what it drew when it has nothing better
    extra: Callable[[], dict[str, Any]] = field(default=dict)


# Drafting leaves marks on an assistant (how many tokens it drafts): each run has one of its own.
MODES = [
    Mode("greedy", {}),
    Mode("sampling", {"do_sample": True}),
    Mode("sampling hot", {"do_sample": True, "temperature": 3.0, "top_k": 0}),
    Mode("batch", {}, prompts=4),
    Mode("left padding", {}, prompts=4, inputs="padded"),
    Mode("sampled batch", {"do_sample": True}, prompts=4, inputs="padded"),
    Mode("several sequences", {"do_sample": True, "num_return_sequences": 3}, prompts=2, outputs=3),
    Mode("beams", {"num_beams": 3}),
    Mode("beams of a batch", {"num_beams": 4}, prompts=4, inputs="padded"),
    Mode("beams, several returned", {"num_beams": 4, "num_return_sequences": 2}, prompts=2, outputs=2),
    Mode("beam sampling", {"num_beams": 3, "do_sample": True}, prompts=2, may_be_illegal=True),
    Mode("no cache", {"use_cache": False}, prompts=2),
    Mode("static cache", {"cache_implementation": "static", "disable_compile": True}),
    Mode("prompt lookup", {"prompt_lookup_num_tokens": 4}),
    Mode("sampled prompt lookup", {"prompt_lookup_num_tokens": 4, "do_sample": True}),
    Mode("assistant", {}, extra=lambda: {"assistant_model": copy.deepcopy(llama(7))}),
    Mode("assistant of equal mind", {}, extra=lambda: {"assistant_model": copy.deepcopy(llama())}),
    Mode("sampled assistant", {"do_sample": True}, extra=lambda: {"assistant_model": copy.deepcopy(llama(7))}),
    Mode("embeddings", {}, inputs="embeddings"),
    Mode("embeddings, beams", {"num_beams": 2}, inputs="embeddings"),
    Mode("encoder-decoder", {}, prompts=2, model=t5),
    Mode("encoder-decoder, beams", {"num_beams": 3}, prompts=2, model=t5),
    Mode("encoder-decoder, sampled", {"do_sample": True}, prompts=2, model=t5),
]
LANGUAGES: dict[str, Language] = {
    "words": Words((b"abc", b"abcab", b"cab", b"d12", b"12", b"1")),
    "one word": Words((b"cabcab12",)),
    "lists": Lists(3),
}


def prompts(mode: Mode) -> dict[str, Any]:
    ids = torch.tensor([[2, 20 + i, 21, 22] for i in range(mode.prompts)])
    if mode.inputs == "embeddings":
        return {"inputs_embeds": mode.model().get_input_embeddings()(ids).detach()}
    mask = torch.ones_like(ids)
    if mode.inputs == "padded":
        for row in range(1, mode.prompts):
            ids[row, : row % 4] = PAD
            mask[row, : row % 4] = 0
    return {"input_ids": ids, "attention_mask": mask}


def run(mode: Mode, processor: Any, **options: Any) -> torch.Tensor:
    torch.manual_seed(11)
    model = mode.model()
    given = {**prompts(mode), "max_new_tokens": LIMIT, **mode.options, **mode.extra(), **options}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="transformers")
        out = model.generate(**given, logits_processor=processor)
    start = {"embeddings": 0}.get(mode.inputs, 4) if mode.model is llama else 1
    return out[:, start:]


def check(mode: Mode, rows: torch.Tensor, languages: list[Language | None]) -> int:
    """Number of finished rows; each of them is in its prompt's language, every other one a beginning of a text."""
    vocabulary, finished = toy_vocabulary(), 0
    assert rows.shape[0] == mode.prompts * mode.outputs
    for r, ids in enumerate(rows.tolist()):
        language = languages[r // mode.outputs]
        text, ended = spell(vocabulary, ids)
        finished += ended
        if language is None or mode.may_be_illegal:
            continue
        assert language.complete(text) if ended else language.viable(text), (mode.name, r, text, ids)
        if ended:
            assert set(ids[ids.index(EOS) :]) <= {EOS, PAD}
    return finished


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_finished_outputs_are_in_the_language(mode: Mode, language: str) -> None:
    """Also with the same object a second time, which gives the same again where nothing is drawn."""
    processor = toy_list(LANGUAGES[language])
    first = run(mode, processor)
    finished = check(mode, first, [LANGUAGES[language]] * mode.prompts)
    if language != "lists" and not mode.may_be_illegal:
        assert finished == len(first)
    assert torch.equal(run(mode, processor), first)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_on_budget_finish_always_ends(mode: Mode) -> None:
    """Lists could go on for ever; within eight tokens they do not."""
    processor = toy_list(LANGUAGES["lists"], max_new_tokens=8)
    rows = run(mode, processor, max_new_tokens=8)
    finished = check(mode, rows, [LANGUAGES["lists"]] * mode.prompts)
    assert mode.may_be_illegal or finished == len(rows)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode.prompts == 4], ids=lambda mode: mode.name)
def test_a_constraint_for_each_prompt(mode: Mode) -> None:
    languages = [LANGUAGES["words"], None, LANGUAGES["one word"], LANGUAGES["lists"]]
    rows = run(mode, toy_list(*languages))
    check(mode, rows, languages)
    if not mode.options.get("do_sample"):  # the row without a constraint is what it is without any processor
        free = run(mode, None)
        width = min(free.shape[1], rows.shape[1])
        assert rows[1, :width].tolist() == free[1, :width].tolist()


def test_beam_sampling_returns_legal_texts_where_there_are_enough() -> None:
    mode = next(mode for mode in MODES if mode.name == "beam sampling")
    rows = run(mode, toy_list(LANGUAGES["lists"], max_new_tokens=12), max_new_tokens=12)
    for ids in rows.tolist():
        text, ended = spell(toy_vocabulary(), ids)
        assert ended and LANGUAGES["lists"].complete(text)


@pytest.mark.parametrize("name", ["prompt lookup", "assistant", "assistant of equal mind"])
def test_speculation_writes_what_greedy_writes(name: str) -> None:
    mode = next(mode for mode in MODES if mode.name == name)
    for language in (LANGUAGES["one word"], LANGUAGES["lists"]):
        plain = run(MODES[0], toy_list(language))
        assert run(mode, toy_list(language)).tolist() == plain.tolist()


def test_sampled_texts_have_the_exact_distribution() -> None:
    """Chi-square of 2,000 samples, 3 degrees of freedom: one false alarm in 1,000; fixed seed."""
    language, count = Words((b"ab", b"abc", b"cab", b"d")), 2000
    torch.manual_seed(3)
    ids = torch.tensor([PROMPT])
    options = {"max_new_tokens": 5, "do_sample": True, "top_k": 0, "num_return_sequences": count}
    out = llama().generate(input_ids=ids, attention_mask=torch.ones_like(ids),
                           logits_processor=toy_list(language), **options)  # fmt: skip
    draws = Counter(spell(toy_vocabulary(), row)[0] for row in out[:, 4:].tolist())
    exact = distribution(language)
    assert set(draws) <= set(exact)
    assert sum((draws[text] - count * p) ** 2 / (count * p) for text, p in exact.items()) < 16.3, (draws, exact)


def test_masked_rows_of_an_assistant_are_kept_apart() -> None:
    """The assistant's `generate` stacks its processed scores at its end; one shared buffer would make all the last."""
    seen: list[torch.Tensor] = []
    stack = torch.stack

    def spy(tensors: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        if isinstance(tensors, tuple) and tensors[0].shape == (1, WIDTH):
            seen.append(stack(tensors, dim=1))
        return stack(tensors, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "stack", spy)
        mode = next(mode for mode in MODES if mode.name == "assistant of equal mind")
        run(mode, toy_list(LANGUAGES["one word"]))
    drafts = [scores for scores in seen if scores.shape[1] > 1]
    assert drafts
    for scores in drafts:
        assert not torch.equal(scores[0, 0].isinf(), scores[0, 1].isinf())


def distribution(language: Words) -> dict[bytes, float]:
    """Exact probabilities of all texts under token-wise masking, by walking all token sequences."""
    vocabulary, model = toy_vocabulary(), llama()
    found: dict[bytes, float] = {}

    def walk(ids: list[int], text: bytes, p: float) -> None:
        allowed = [t for t in range(6, WIDTH) if vocabulary.token_bytes(t)]
        allowed = [t for t in allowed if language.viable(text + vocabulary.token_bytes(t))]
        allowed += [EOS] * language.complete(text)
        with torch.no_grad():
            weights = model(torch.tensor([PROMPT + ids])).logits[0, -1, allowed].float().softmax(-1).tolist()
        for token, weight in zip(allowed, weights, strict=True):
            if token == EOS:
                found[text] = found.get(text, 0.0) + p * weight
            else:
                walk([*ids, token], text + vocabulary.token_bytes(token), p * weight)

    walk([], b"", 1.0)
    return found


def test_output_logits_are_raw_and_output_scores_are_not() -> None:
    options = {"max_new_tokens": 6, "return_dict_in_generate": True, "output_logits": True, "output_scores": True}
    given = prompts(MODES[0])
    out = llama().generate(**given, **options, logits_processor=toy_list(LANGUAGES["one word"]))
    assert all(torch.isfinite(step).all() for step in out.logits)
    banned = [int(torch.isinf(step).sum()) for step in out.scores]
    assert all(count >= WIDTH - 4 for count in banned)
    for logits, scores, token in zip(out.logits, out.scores, out.sequences[0, 4:].tolist(), strict=True):
        assert scores[0, token] == logits[0, token]  # each step kept its own scores


def test_prompt_lookup_drafts_are_not_cut_by_earlier_masks() -> None:
    """The trimmer passes one tensor of ones again and again; a mask written into it would pile up."""
    processor = toy_list(Words((b"cabcabcabcabcabcab",)))
    forwards = []
    hook = llama().register_forward_hook(lambda *_: forwards.append(1))
    try:
        ids = torch.tensor([[2, 21, 19, 20] + [21, 19, 20] * 4])  # ... c a b c a b
        out = llama().generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, prompt_lookup_num_tokens=10,
            logits_processor=processor,
        )  # fmt: skip
    finally:
        hook.remove()
    text, ended = spell(toy_vocabulary(), out[0, ids.shape[1] :].tolist())
    assert ended and text == b"cab" * 6
    assert len(forwards) <= out.shape[1] - ids.shape[1]


def test_second_generation_whose_prompt_extends_the_first_output() -> None:
    """A prompt that is the first output, the first output and more, or a piece of it: always a new document."""
    language = LANGUAGES["one word"]
    processor = toy_list(language)
    model, ids = llama(), torch.tensor([PROMPT])
    first = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=3,
                           logits_processor=processor)  # fmt: skip
    for prompt in (first, first[:, :-1], torch.cat([first, torch.tensor([[20]])], 1), first[:, :2], ids):
        out = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=LIMIT,
                             logits_processor=processor)  # fmt: skip
        text, ended = spell(toy_vocabulary(), out[0, prompt.shape[1] :].tolist())
        assert ended and language.complete(text)


def test_everything_allowed_was_banned_before() -> None:
    """`suppress_tokens` takes the only way; the constraint gives it back and says so once."""
    processor = toy_list(Words((b"cab",)))
    ids = torch.tensor([PROMPT])
    with pytest.warns(ConstraintWarning, match="allowed again") as caught:
        out = llama().generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=8,
            suppress_tokens=list(range(6, WIDTH)),
            do_sample=True,
            logits_processor=processor,
        )
    assert spell(toy_vocabulary(), out[0, 4:].tolist()) == (b"cab", True)
    assert len([w for w in caught if w.category is ConstraintWarning]) == 1


def test_several_eos_ids_all_end_a_text() -> None:
    vocabulary = toy_vocabulary(eos_ids=(EOS, 5))
    processor = toy_list(Words((b"cab",)), vocabulary=vocabulary)
    scores = torch.zeros(1, WIDTH)
    list_out = processor(torch.tensor([PROMPT]), scores)
    assert torch.isinf(list_out[0, EOS])
    ids = [*PROMPT, TOKEN[b"cab"]]
    out = processor(torch.tensor([ids]), scores)
    assert out[0].isfinite().nonzero().flatten().tolist() == [EOS, 5]


TOKEN = {toy_vocabulary().token_bytes(i): i for i in range(6, WIDTH) if toy_vocabulary().token_bytes(i)}


def test_head_wider_than_the_tokenizer() -> None:
    """Rows of padding in the head are banned, whatever their scores."""
    vocabulary = toy_vocabulary(size=40)
    processor = toy_list(LANGUAGES["words"], vocabulary=vocabulary)
    ids = torch.tensor([PROMPT])
    out = llama().generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=LIMIT,
                           logits_processor=processor)  # fmt: skip
    text, ended = spell(vocabulary, [t if t < 40 else -1 for t in out[0, 4:].tolist()])
    assert ended and LANGUAGES["words"].complete(text)


def test_pipeline() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, TextGenerationPipeline

    texts_of = {i: text.decode() for text, i in TOKEN.items()}
    words = {texts_of.get(i, f"<{i}>"): i for i in range(WIDTH)}
    rust = Tokenizer(models.WordLevel(words, unk_token="<3>"))
    rust.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=rust, pad_token="<0>", eos_token="<1>", unk_token="<3>")
    tokenizer.padding_side = "left"
    pipe = TextGenerationPipeline(model=llama(), tokenizer=tokenizer)
    processor = toy_list(LANGUAGES["words"])
    texts = pipe(["a b", "c"], max_new_tokens=LIMIT, do_sample=False, batch_size=2, return_full_text=False,
                 logits_processor=processor)  # fmt: skip
    for (result,) in texts:
        assert LANGUAGES["words"].complete(result["generated_text"].replace(" ", "").encode())
    again = TextGenerationPipeline(model=llama(), tokenizer=tokenizer, logits_processor=processor, do_sample=False)
    (result,) = again("a b", max_new_tokens=LIMIT, return_full_text=False)
    assert LANGUAGES["words"].complete(result["generated_text"].replace(" ", "").encode())


def test_custom_processors_of_the_user_stay_possible() -> None:
    """A plain list around ours, and ours inside a `LogitsProcessorList`."""
    from transformers import LogitsProcessorList, TemperatureLogitsWarper

    ids = torch.tensor([PROMPT])
    for wrap in (lambda p: [*p], lambda p: LogitsProcessorList([p, TemperatureLogitsWarper(0.7)]), ProcessorList):
        for prompt in (ids, torch.cat([ids, ids], 1)):
            out = llama().generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=LIMIT,
                                   logits_processor=wrap(toy_list(LANGUAGES["words"])))  # fmt: skip
            text, ended = spell(toy_vocabulary(), out[0, prompt.shape[1] :].tolist())
            assert ended and LANGUAGES["words"].complete(text)
