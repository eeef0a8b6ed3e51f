"""CODEC: where do the marks of a label go in a given text? (Le et al., ICLR 2024, arXiv 2402.03131)

The prompt holds a sentence with a marked span, the template T = t_1..t_n is its translation without marks. Among all

    y(i, j) = t_1..t_i-1  [  t_i..t_j  ]  t_j+1..t_n

the most probable is looked for: O(n^2) texts, but log-probabilities only fall as a text grows, so what has been read
of a text bounds the whole (branch and bound). A queue holds, best bound first,

    openings   bound: ln p of T up to i and of the opening mark       read for all i in one row
    spans      bound: ln p up to the closing mark                     read for all j in one row for each opening i
    texts      the score itself                                       one row for each

and the search ends when n texts are no worse than any bound left. It is exact; with neutral marks it degenerates to all
texts.

`look_ahead` is the authors' faster bound. A text begun is compared not with the whole of the n-th best text, but with
as much of that one as is written `look_ahead` tokens further on, its closing mark at least: what both still have to
write of the template counts as equal. The search then goes depth first, or there would be nothing to compare with. It
may lose the optimum.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from processors.errors import GenerationError
from processors.spans.teacher import Teacher

__all__ = ["Projection", "marked_texts", "project_label"]


@dataclass(frozen=True, slots=True)
class Projection:
    """template[start:end] is the span; `text` the template with its marks; `log_prob` in nats."""

    span: str
    start: int
    end: int
    text: str
    log_prob: float


@dataclass(frozen=True, slots=True)
class _Node:
    """A text begun: g = ln p of its first `length` tokens; `place` (i,) once it is open, (i, j) once it is closed."""

    g: float
    length: int
    place: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Text:
    """A whole text: `score` with its end, sums[k] = ln p of its first k tokens, of which `closed` hold the marks."""

    score: float
    i: int
    j: int
    sums: npt.NDArray[np.float64]
    closed: int

    def until(self, length: int) -> float:
        """ln p of the first `length` tokens, of those up to the closing mark at least."""
        length = max(length, self.closed)
        return self.score if length >= len(self.sums) else float(self.sums[length])


class _Search:
    """The queue, and the three kinds of rows that feed it."""

    def __init__(
        self,
        teacher: Teacher,
        ids: list[int],
        opening: list[int],
        closing: list[int],
        ends: list[int],
        places: list[int],
        look_ahead: int | None = None,
    ) -> None:
        self.teacher, self.ids, self.opening, self.closing, self.ends = teacher, ids, opening, closing, ends
        self.places = places  # token positions where a mark may stand
        self.look_ahead = look_ahead
        self.queue: list[tuple[tuple[float, ...], tuple[int, ...], _Node]] = []
        self.found: list[_Text] = []

    def run(self, n_best: int) -> None:
        self._read_openings()
        while part := self._next(n_best):
            if len(part[0].place) == 1:
                self._read_spans([node.place[0] for node in part])
            else:
                self._read_texts([(node.place[0], node.place[1]) for node in part])

    def _next(self, n_best: int) -> list[_Node]:
        """The most promising nodes, all of one kind; those that cannot win are dropped."""
        part: list[_Node] = []
        worst = self.found[n_best - 1] if len(self.found) >= n_best else None
        # depth first: a single opening, as long as there is no text to compare others with
        hasty = self.look_ahead is not None and worst is None
        while self.queue and len(part) < self.teacher.batch:
            node = self.queue[0][2]
            if part and (len(node.place) != len(part[0].place) or (hasty and len(node.place) == 1)):
                break
            heapq.heappop(self.queue)
            if worst is None or node.g > self._bound(worst, node):
                part.append(node)
        return part

    def _bound(self, worst: _Text, node: _Node) -> float:
        return worst.score if self.look_ahead is None else worst.until(node.length + self.look_ahead)

    def _push(self, g: float, length: int, place: tuple[int, ...]) -> None:
        depth = () if self.look_ahead is None else (-len(place),)
        heapq.heappush(self.queue, ((*depth, -g), place, _Node(g, length, place)))

    def _read_openings(self) -> None:
        (token,), (mark,) = self.teacher.score([self.ids], self.opening[:1])
        before = 0.0
        sums = [before := before + each for each in token.tolist()]
        for i in self.places[:-1]:
            self._push((sums[i - 1] if i else 0.0) + float(mark[i]), i + 1, (i,))

    def _read_spans(self, openings: list[int]) -> None:
        size = len(self.opening)
        rows = [self.ids[:i] + self.opening + self.ids[i:] for i in openings]
        token, mark = self.teacher.score(rows, self.closing[:1])
        for i, each, closes in zip(openings, token, mark, strict=True):
            sums = each.cumsum(dim=0)
            for j in (place for place in self.places if place > i):
                self._push(float(sums[j + size - 1] + closes[j + size]), j + size + 1, (i, j))

    def _read_texts(self, spans: list[tuple[int, int]]) -> None:
        rows = [self.ids[:i] + self.opening + self.ids[i:j] + self.closing + self.ids[j:] for i, j in spans]
        token, after = self.teacher.score(rows, self.ends)
        for (i, j), each, ending in zip(spans, token, after, strict=True):
            sums = np.concatenate([[0.0], each.double().cumsum(dim=0).numpy()])
            score = float(sums[-1]) + (float(ending[-1]) if self.ends else 0.0)
            self.found.append(_Text(score, i, j, sums, j + len(self.opening) + len(self.closing)))
        self.found.sort(key=lambda text: (-text.score, text.i, text.j))


def project_label(
    model: Any,
    inputs: Any,
    template: str,
    *,
    tokenizer: Any,
    opening: str = " [",
    closing: str = " ]",
    n_best: int = 1,
    boundaries: Literal["word", "token"] = "word",
    end_ids: Sequence[int] | None = None,
    look_ahead: int | None = None,
    batch: int = 16,
) -> list[Projection]:
    """The `n_best` most probable ways to put one pair of marks into `template`, best first; exact unless told to hurry.

    `inputs`      the prompt, tokenized: input_ids [1, n], with the marked sentence; or an encoder's, for translation
                  models
    `opening`, `closing`  the marks as they are tokenized between two tokens of the template (hence the blanks)
    `boundaries`  "word": marks stand between words; "token": between any two tokens
    `end_ids`     ids that end the text; default: the model's end of sequence; []: the end does not count

    `look_ahead`  None: exact; a number of tokens: the authors' faster bound, which may lose the optimum (they use 1
                  to 5; the more, the safer)

    Cost: one pass for the openings, then rows of the template's length, `batch` a pass, as many as bounds demand:
    about one for each promising opening, at most O(n^2).

    Errors: `GenerationError` for a template with no word or with a mark.
    """
    if n_best < 1:
        raise GenerationError(f"project_label(n_best={n_best!r})", "n_best must be 1 or more.")
    if look_ahead is not None and look_ahead < 0:
        raise GenerationError(f"project_label(look_ahead={look_ahead!r})", "look_ahead must be 0 or more, or None.")
    if boundaries not in ("word", "token"):
        raise GenerationError(f"project_label(boundaries={boundaries!r})", 'boundaries must be "word" or "token".')
    for mark in (opening, closing):
        if not mark.strip() or mark.strip() in template:
            raise GenerationError(f"the mark {mark!r} stands in the template, or is empty", "Choose another one.")
    read = tokenizer(template, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = list(read["input_ids"]), list(read["offset_mapping"])
    cuts = _cuts(template, offsets)
    places = [k for k, at in enumerate(cuts) if boundaries == "token" or _between_words(template, at)]
    if len(places) < 2:
        raise GenerationError("the template has no word to mark", "Give a text.")
    marks = [list(tokenizer(mark, add_special_tokens=False)["input_ids"]) for mark in (opening, closing)]
    ends = _end_ids(model) if end_ids is None else list(end_ids)
    search = _Search(Teacher(model, inputs, batch=batch), ids, marks[0], marks[1], ends, places, look_ahead)
    search.run(n_best)
    return [_projection(template, cuts, opening, closing, each.score, each.i, each.j) for each in search.found[:n_best]]


def marked_texts(template: str, opening: str = " [", closing: str = " ]") -> list[str]:
    """All texts with one pair of marks between words: for a choice constraint, the cheap, local version.

    O(n^2) texts for n words; 1,275 for 50.
    """
    words = [at for at in range(len(template) + 1) if _between_words(template, at)]
    starts = [at for at in words if at < len(template) and not template[at].isspace()]
    ends = [at for at in words if at > 0 and not template[at - 1].isspace()]
    cuts = [(len(template[:i].rstrip()), i) for i in starts]  # the blank before a word belongs to it
    return [
        template[:cut] + opening + template[cut:j] + closing + template[j:] for cut, i in cuts for j in ends if j > i
    ]


def _cuts(template: str, offsets: list[tuple[int, int]]) -> list[int]:
    """cuts[k]: where the template is cut before its k-th token; blanks belong to the token after them."""
    return [0, *(end for _, end in offsets)]


def _projection(
    template: str, cuts: list[int], opening: str, closing: str, log_prob: float, i: int, j: int
) -> Projection:
    start, end = cuts[i], cuts[j]
    text = template[:start] + opening + template[start:end] + closing + template[end:]
    start += len(template[start:end]) - len(template[start:end].lstrip())
    return Projection(template[start:end], start, end, text, log_prob)


def _between_words(text: str, at: int) -> bool:
    return not 0 < at < len(text) or not (text[at - 1].isalnum() and text[at].isalnum())


def _end_ids(model: Any) -> list[int]:
    given = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
