"""`CopyEdit`: where in the text before are we, if what is written is an edited copy of it?

Input-guided aggressive decoding (Ge et al. 2022) copies the source and, after a deviation, looks for the last tokens in
it. Here the place in the source is a hidden state: a few positions with weights, and the weight of "nowhere". Each new
token moves them (Bayes' rule, the forward algorithm of an alignment model): it is the next token of the source, or
stands for one or some of its tokens, or was put in, or follows after some that were left out, or the copy has ended;
and from "nowhere" a copy may begin wherever the token stands. So after an edit the copy goes on at once, at the
likeliest of the places where it may, and longer agreement counts for more by itself. With a tokenizer, the same word
in other letters or other tokens is known to stand for the source's. The draft is the tree of likely
continuations, best first, and each edge knows its chance.
"""

from __future__ import annotations

import bisect
import functools
import heapq
from collections.abc import Callable, Sequence
from typing import Any

from guided.speculation.draft import Draft, Seen, Session, Setup, View

__all__ = ["SHARES", "CopyEdit"]

SHARES = 16  # classes of edges, by their chance

# Chances of what may come next, chosen by the log-loss of the edges' chances on the texts of benchmarks/speculation.
# They need not be right: `Auto` counts how often edges of each class are, in general and in the text at hand.
_COPY = 0.92  # the next token of the source
_SPANS = (0.05, 0.02, 0.01)  # another token in the place of 1, 2, 3 of the source
_PUT_IN, _END = 0.006, 0.01  # another token, put in; another token, and the copy has ended
_LEFT_OUT, _FURTHER, _REACH = 0.01, 0.7, 10  # the token after the next; for each one further; how far
_OTHER = 0.12  # how likely a token is that was not copied: what one token of agreement is worth
_BEGIN = 0.4  # odds that a token begins a copy where it stands, shared by the places; learnt from the text:
_TRUST, _USUAL = 20.0, 0.25  # tokens that these odds count for, of which so many were copied
_SAME = 0.5  # the same word in other letters or tokens, instead of the share of its span
_NEAR = 0.5  # share of the first place behind the last one that is known
_DUST, _KEPT, _PLACES = 0.01, 10, 6  # least weight; places that are followed; that a token may begin at, the latest


class CopyEdit:
    """Drafts of at most `nodes` nodes, `depth` deep; paths less likely than `least` are left out.

    For outputs that repeat their input: corrections, rewrites, extraction, code edits. Goes on behind an edit without
    waiting for tokens to agree again, which `PromptLookup` does. About 20 µs a token and 10 µs a node.
    """

    needs: frozenset[str] = frozenset()
    name = "copy"

    def __init__(self, nodes: int = 24, depth: int = 20, least: float = 0.04) -> None:
        if nodes < 1 or depth < 1 or not 0 <= least < 1:
            raise ValueError("CopyEdit needs nodes >= 1, depth >= 1 and 0 <= least < 1")
        self.nodes, self.depth, self.least = nodes, depth, least

    def start(self, setup: Setup) -> Session:
        return _Copying(self, _letters(getattr(setup, "tokenizer", None)))


class _Copying:
    def __init__(self, owner: CopyEdit, text: Callable[[int], str] | None = None) -> None:
        self._owner, self._text = owner, text  # a token's letters and digits, small; None where that is not known
        self._ids: list[int] = []  # the source: all that stands before the place that is looked for
        self._places: dict[int, list[int]] = {}  # token -> positions behind it, the latest last
        self._at: dict[int, float] = {}  # position of the token that would be copied next -> weight; the rest: nowhere
        self._last = 0  # the likeliest position, when one was last known
        self._copied, self._fresh, self._begin = 0.0, 0.0, _BEGIN  # tokens of this text, and the odds that they give

    def propose(self, view: View, draft: Draft, node: int) -> None:
        self._read(view.ids[: view.committed], view.prompt_length)
        owner, at = self._owner, self._at
        for token in view.ids[view.committed :]:
            at = self._moved(at, token)
        order, added = 0, 0
        heap: list[tuple[float, int, int, int, dict[int, float]]] = [(-1.0, order, 0, node, at)]
        while heap and added < owner.nodes:
            chance, _, depth, place, at = heapq.heappop(heap)
            for token, p in self._next(at):
                if -chance * p < owner.least or added >= owner.nodes:
                    break
                child = draft.add(place, token, owner.name, (int(p * SHARES), min(depth, 1)))
                if child < 0:
                    break
                added, order = added + 1, order + 1
                if depth + 1 < owner.depth:
                    heapq.heappush(heap, (chance * p, order, depth + 1, child, self._moved(at, token)))

    def _next(self, at: dict[int, float]) -> list[tuple[int, float]]:
        """Tokens that a copy would go on with, and how likely they come, the likeliest first."""
        chances: dict[int, float] = {}
        ids, end = self._ids, len(self._ids)
        for position, weight in at.items():
            if position < end:
                token = ids[position]
                chances[token] = chances.get(token, 0.0) + _COPY * weight
        return sorted(chances.items(), key=lambda item: -item[1])

    def _moved(self, at: dict[int, float], token: int) -> dict[int, float]:
        """Weights after a token."""
        ids, end = self._ids, len(self._ids)
        new: dict[int, float] = {}
        nowhere = (1.0 - sum(at.values())) * _OTHER
        for position, weight in at.items():
            if position < end and ids[position] == token:
                new[position + 1] = new.get(position + 1, 0.0) + _COPY * weight
            other = weight * _OTHER
            same = self._spelled(position, token) if weight > 0.05 else 0
            for span, share in enumerate(_SPANS, position + 1):
                new[span] = new.get(span, 0.0) + (_SAME if span == same else share) * other
            new[position] = new.get(position, 0.0) + _PUT_IN * other
            nowhere += _END * other
            share = _LEFT_OUT * weight
            for behind in range(position + 1, min(position + _REACH, end)):
                if ids[behind] == token:
                    new[behind + 1] = new.get(behind + 1, 0.0) + share
                    break
                share *= _FURTHER
        places = self._places.get(token)
        if places:
            begun = nowhere * self._begin
            ahead = bisect.bisect_right(places, self._last)
            if ahead < len(places) and self._last > 0:
                new[places[ahead]] = new.get(places[ahead], 0.0) + _NEAR * begun
                begun *= 1 - _NEAR
            begun /= len(places)
            for position in places[-_PLACES:]:
                new[position] = new.get(position, 0.0) + begun
        total = nowhere + sum(new.values())
        least = _DUST * total
        kept = {position: weight / total for position, weight in new.items() if weight > least}
        return kept if len(kept) <= _KEPT else dict(heapq.nlargest(_KEPT, kept.items(), key=lambda item: item[1]))

    def _spelled(self, position: int, token: int) -> int:
        """Behind which position the source has spelled the word of `token` in other letters or tokens; 0: nowhere."""
        if self._text is None or self._ids[position : position + 1] == [token]:
            return 0
        wanted, text = self._text(token), ""
        for end in range(position, min(position + len(_SPANS), len(self._ids))):
            text += self._text(self._ids[end])
            if len(text) >= len(wanted):
                return end + 1 if text == wanted != "" else 0
        return 0

    def _read(self, ids: Sequence[int], prompt_length: int) -> None:
        """Follow what was written since; of the prompt, which is the source, the last token."""
        for place in range(len(self._ids), len(ids)):
            token = ids[place]
            if place >= prompt_length - 1:  # a copy may begin behind the prompt's last token
                self._at = self._moved(self._at, token)
                known = sum(self._at.values())
                self._copied += known
                self._fresh += 1 - known
                self._begin = _BEGIN * (_TRUST + self._copied / _USUAL) / (_TRUST + self._fresh / (1 - _USUAL))
                if known > 0.5:
                    self._last = max(self._at.items(), key=lambda item: item[1])[0]
            self._ids.append(token)
            self._places.setdefault(token, []).append(place + 1)

    def observe(self, seen: Seen) -> None:
        pass


def _letters(tokenizer: Any) -> Callable[[int], str] | None:
    """A token's letters and digits, in small letters."""
    if not hasattr(tokenizer, "decode"):
        return None

    @functools.cache
    def letters(token: int) -> str:
        return "".join(filter(str.isalnum, tokenizer.decode([token]))).lower()

    return letters
