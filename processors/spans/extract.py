"""exact-extract: the most probable span of a passage as the answer to a prompt (Castel et al., AKBC 2022, arXiv
2108.05857).

    argmax over spans i..j   sum_k ln p(x_k | prompt, x_i..x_k-1)  +  ln p(end | prompt, x_i..x_j)

One teacher-forced row for each suffix of the passage scores all spans that begin there, so n rows do instead of n^2
spans. Greedy search under a substring constraint gives a span, too, but not the best: it cannot know where a promising
beginning leads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from processors.errors import GenerationError
from processors.spans.teacher import Teacher

__all__ = ["Span", "exact_extract"]


@dataclass(frozen=True, slots=True)
class Span:
    """passage[start:end], and the log-probability (nats) that the model writes just this."""

    text: str
    start: int
    end: int
    log_prob: float
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Suffix:
    start: int
    ids: list[int]
    ends: list[int]
    """ends[k]: where in the passage the k-th id ends"""


def exact_extract(
    model: Any,
    inputs: Any,
    passage: str,
    *,
    tokenizer: Any,
    n_best: int = 1,
    max_tokens: int = 32,
    boundaries: Literal["word", "token"] = "word",
    lead: str | Sequence[str] = "",
    end_ids: Sequence[int] | None = None,
    score: Literal["probability", "per_token"] = "probability",
    batch: int = 16,
) -> list[Span]:
    """The `n_best` most probable spans of `passage` that answer the prompt, best first; exact, not a search.

    `inputs`      the prompt, tokenized: input_ids [1, n] (with the passage and the question in it, usually)
    `max_tokens`  longest answer
    `boundaries`  "word": spans begin and end where words do; "token": anywhere between tokens
    `lead`        what stands between prompt and answer, often "" or " "; several forms compete
    `end_ids`     ids that end the answer, their probabilities are summed; default: the model's end of sequence
    `score`       "per_token" divides by the number of tokens, the end included

    A text that stands in the passage twice is reported once, at its first place. Cost: the prompt once, and one row of
    up to `max_tokens` for each place where a span may begin, `batch` rows a pass.

    Errors: `GenerationError` for settings out of range, without an end, and for a passage without any span.
    """
    leads = (lead,) if isinstance(lead, str) else tuple(lead)
    for name, value, fine, wanted in (
        ("n_best", n_best, n_best >= 1, "1 or more"),
        ("max_tokens", max_tokens, max_tokens >= 1, "1 or more"),
        ("boundaries", boundaries, boundaries in ("word", "token"), '"word" or "token"'),
        ("score", score, score in ("probability", "per_token"), '"probability" or "per_token"'),
        ("lead", lead, len(leads) > 0, "one text or more"),
    ):
        if not fine:
            raise GenerationError(f"exact_extract({name}={value!r})", f"{name} must be {wanted}.")
    ends = _end_ids(model) if end_ids is None else list(end_ids)
    if not ends:
        raise GenerationError("nothing ends an answer: the model names no end of sequence", "Give end_ids=[...].")
    suffixes = [
        suffix for form in leads for suffix in _suffixes(passage, tokenizer, max_tokens, boundaries == "word", form)
    ]
    best: dict[str, Span] = {}
    token, after = Teacher(model, inputs, batch=batch).score([suffix.ids for suffix in suffixes], ends)
    for suffix, each, ending in zip(suffixes, token, after, strict=True):
        totals = each.cumsum(dim=0) + ending[1:]
        if score == "per_token":
            totals = totals / torch.arange(2, len(totals) + 2)
        for k, (end, total) in enumerate(zip(suffix.ends, totals.tolist(), strict=True)):
            if end <= suffix.start or (boundaries == "word" and not _between_words(passage, end)):
                continue
            text = passage[suffix.start : end]
            known = best.get(text)
            if known is None or total > known.log_prob:
                start = suffix.start if known is None else known.start
                best[text] = Span(text, start, start + len(text), total, tuple(suffix.ids[: k + 1]))
    if not best:
        raise GenerationError("the passage has no span within max_tokens", "Give a longer max_tokens or a text.")
    return sorted(best.values(), key=lambda span: (-span.log_prob, span.start))[:n_best]


def _suffixes(passage: str, tokenizer: Any, max_tokens: int, words: bool, lead: str) -> list[_Suffix]:
    """What may be written from each place where a span may begin, tokenized as the model would write it there."""
    found = []
    for start, char in enumerate(passage):
        if char.isspace() or (words and not _between_words(passage, start)):
            continue
        text = lead + passage[start : start + 24 * max_tokens]
        read = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = read["input_ids"][:max_tokens], read["offset_mapping"][:max_tokens]
        found.append(_Suffix(start, list(ids), [start + end - len(lead) for _, end in offsets]))
    return found if words else _token_starts(found, passage, tokenizer)


def _token_starts(suffixes: list[_Suffix], passage: str, tokenizer: Any) -> list[_Suffix]:
    """Only those suffixes that begin where a token of the passage does."""
    offsets = tokenizer(passage, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    places = {start + len(passage[start:end]) - len(passage[start:end].lstrip()) for start, end in offsets}
    return [suffix for suffix in suffixes if suffix.start in places]


def _between_words(text: str, at: int) -> bool:
    return not 0 < at < len(text) or not (_in_word(text[at - 1]) and _in_word(text[at]))


def _in_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _end_ids(model: Any) -> list[int]:
    given = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
