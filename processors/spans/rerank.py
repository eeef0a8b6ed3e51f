"""CODEC's second opinion: candidates for a projected span, ranked by the way back and by their spelling.

The n best places of the marks differ little in probability. What tells them apart is the span itself: does it translate
back to the entity that was marked, and does it look like it? (Le et al., ICLR 2024, section 3.3 and their code.)

    similarity(s)  the best ratio of matching characters of s with the entity, or with its translation on its own
    cost(s)        -ln p(entity | s), by a model of the other direction
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from processors.errors import GenerationError
from processors.spans.codec import Projection
from processors.spans.teacher import Teacher

__all__ = ["ReverseScore", "rerank_projections", "similarity"]

SIMILAR, ALIKE, CHEAP = 0.5, 0.9, 5.0  # as the authors' code has them; CHEAP in nats


def similarity(text: str, other: str) -> float:
    """2 m / (len(text) + len(other)), m the characters in matching blocks (Ratcliff and Obershelp); case is ignored."""
    return difflib.SequenceMatcher(None, text.casefold(), other.casefold(), autojunk=False).ratio()


class ReverseScore:
    """ln p(entity | span) for spans: a model that translates back, or any that is told to by `prompt`.

    `prompt` with {} where the span goes; `chat=True` puts it into the chat template. `end_ids` end the entity; default:
    the model's end of sequence; []: the end does not count.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        entity: str,
        *,
        prompt: str = "{}",
        chat: bool = False,
        end_ids: Sequence[int] | None = None,
    ) -> None:
        if "{}" not in prompt:
            raise GenerationError(f"prompt={prompt!r} has no place for the span", "Write {} where it goes.")
        self.model, self.tokenizer, self.prompt, self.chat = model, tokenizer, prompt, chat
        self._target = list(tokenizer(entity, add_special_tokens=False)["input_ids"])
        given = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
        own = [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
        self._ends = own if end_ids is None else list(end_ids)

    def __call__(self, spans: list[str]) -> list[float]:
        """One pass for each span."""
        return [self._score(span) for span in spans]

    def _score(self, span: str) -> float:
        text = self.prompt.replace("{}", span)
        if self.chat:
            inputs = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
        else:
            inputs = self.tokenizer(text, return_tensors="pt")
        (token,), (end,) = Teacher(self.model, inputs).score([self._target], self._ends)
        return float(token.sum()) + (float(end[-1]) if self._ends else 0.0)


def rerank_projections(
    found: Sequence[Projection],
    entity: str,
    *,
    translation: str | None = None,
    reverse: Callable[[list[str]], Sequence[float]] | None = None,
) -> list[Projection]:
    """The candidates of `project_label(n_best=...)`, best first by what they say instead of by their probability.

    `entity`       the marked span of the source; `translation`: how it is translated on its own
    `reverse`      ln p(entity | span) for a list of spans, such as `ReverseScore`; default: the projection's own
                   probability ranks, and only the spelling tells

    1. Candidates that neither look like the entity or its translation (similarity above 0.5) nor lead back to it (cost
       below 5 nats) come last, in the order in which they were given. 2. Of the rest those come first that are nearly
    equal to one of the two (0.9 or more), then by the way back. 3. If a shorter span within the first one leads back
    better, it takes the first place.

    Errors: `GenerationError` when `reverse` does not give a number for each span.
    """
    spans = [each.span for each in found]
    scores = [each.log_prob for each in found] if reverse is None else [float(score) for score in reverse(spans)]
    if len(scores) != len(spans):
        raise GenerationError(f"reverse gave {len(scores)} numbers for {len(spans)} spans", "Give one for each.")
    like = [max(similarity(span, other) for other in (entity, translation or entity)) for span in spans]
    fits = [k for k in range(len(spans)) if like[k] > SIMILAR or (reverse is not None and -scores[k] < CHEAP)]
    fits.sort(key=lambda k: (like[k] < ALIKE, -scores[k]))
    if fits and reverse is not None:
        inner = [k for k in fits if _within(found[k], found[fits[0]]) and scores[k] > scores[fits[0]]]
        if inner:
            best = max(inner, key=lambda k: scores[k])
            fits.remove(best)
            fits.insert(0, best)
    return [found[k] for k in [*fits, *(k for k in range(len(spans)) if k not in fits)]]


def _within(inner: Projection, outer: Projection) -> bool:
    """Whether one span is a proper part of the other."""
    return outer.start <= inner.start and inner.end <= outer.end and inner.span != outer.span
