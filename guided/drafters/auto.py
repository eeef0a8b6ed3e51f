"""`Auto`: several drafters, one tree, and only the nodes that are worth their time.

Each drafter proposes into one scratch tree. What a drafter says of an edge has a class (who says it, and how sure it
is), and for every class the share of edges that turned out right is counted, whether or not they were sent: what was
emitted tells which proposals would have been accepted. So nothing has to be tried out to be learnt. An edge's chance
comes from the shares of all that is said of it, put right by how each drafter does in this text; the chance of a node
is the product of those of its edges; and of all nodes, sorted by chance, as many are sent as maximise

    (1 + sum of chances) / cost of the pass, in passes of one token

Where several drafters expect the same token under a constraint, they know it from different things (the automaton, the
text, the model's own habits), and all of them must be wrong for it to be wrong. In free text they repeat each other,
and the best of them counts. A trigram table as a fourth drafter (`Trigram`) was tried: it knows what `CopyEdit` and
`Recall` know, and cost more time than it saved on every kind of text.

Sending none is one of the candidates, and where drafting has not paid for a while, it rests. What is sent is decided
before the model is asked, so any rule of verification stays exact; all proposals are deterministic, so no draw is
hidden.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Hashable, Sequence
from typing import Any

from guided.drafters.copyedit import SHARES, CopyEdit
from guided.drafters.recall import Recall
from guided.drafters.schema import SchemaLookup
from guided.speculation.costs import PassCosts, costs_of
from guided.speculation.draft import Draft, Drafter, Seen, Session, Setup, View
from guided.speculation.trim import trim

__all__ = ["Auto", "auto_for"]

_SCHEMA = {"style": 0.75, "open": 0.6, "memory": 0.7, "end": 0.35, "branch": 0.3, "next": 0.4, "close": 0.5}
_MATCH = {1: 0.2, 2: 0.5, 3: 0.6, 4: 0.75, "exchanged": 0.3, "put in": 0.1}
_UNKNOWN = 0.05
_TRUST = 16.0  # edges that what is expected beforehand counts for
_WORTH = 1.05  # a draft must promise this much over none: shares and costs are estimates
_NAP, _LONGEST_NAP = 8, 64  # rounds without drafting after drafting has not paid
_STOCK, _LEAST_STOCK = 32, 24  # rounds over which it is judged, and the fewest
_FORGET = 0.995
_HERE, _FADE = 3.0, 0.97  # edges that the long run counts for beside this text; how this text's own are forgotten

_shared: weakref.WeakKeyDictionary[Any, Auto] = weakref.WeakKeyDictionary()


class Auto:
    """Merges what `parts` propose (default: what the schema says, a copy of the text so far, the model's runners-up).

    `more` drafters beside those, deterministic ones: `Auto(more=[Heads("heads.safetensors", beam=1)])`. Shares and
    tables stay with the object: the more it has seen, the better it chooses. `most` nodes at most.
    """

    name = "auto"

    def __init__(self, parts: Sequence[Drafter] | None = None, *, more: Sequence[Drafter] = (), most: int = 48) -> None:
        own: list[Drafter] = [SchemaLookup(), CopyEdit(), Recall()]
        self.parts = [*(own if parts is None else parts), *more]
        self.needs = frozenset().union(*(part.needs for part in self.parts))
        self.most = most
        self.shares: dict[Hashable, list[float]] = {}  # class of edge -> [right, seen]

    def start(self, setup: Setup) -> Session:
        return _Auto(self, setup, [part.start(setup) for part in self.parts])

    def share(self, source: str, hint: Any) -> float:
        """How often edges of a class are right; what drafters like it usually achieve stands in for what is unseen."""
        right, seen = self.shares.get((source, hint), (0.0, 0.0))
        return (right + _TRUST * expected(source, hint[1], hint[0])) / (seen + _TRUST)

    def count(self, source: str, hint: Any, right: bool) -> None:
        """An edge's parent was reached, and the edge was right or not."""
        found = self.shares.setdefault((source, hint), [0.0, 0.0])
        found[0] = _FORGET * found[0] + right
        found[1] = _FORGET * found[1] + 1


def expected(source: str, hint: Any, free: bool) -> float:
    """What share of a class of edges is right on texts of many kinds, before anything was seen of this model.

    Measured once on texts of a small model; from then on what is seen counts.
    """
    if source == "schema" and isinstance(hint, tuple):
        kind, place = hint
        if isinstance(kind, tuple):  # words of the prompt, by rank
            return (0.12, 0.12, 0.06)[kind[1]] if place == 0 else 0.6
        return _SCHEMA.get(kind, 0.4) if place == 0 else 0.8
    if source == "lookup" and isinstance(hint, tuple):
        kind, way, place = hint
        first = _MATCH.get(kind, 0.3) * (1.0 if way == 0 else 0.4)
        return first if place == 0 else (0.65, 0.75, 0.85)[place - 1]
    if source == "copy" and isinstance(hint, tuple):
        return float(((hint[0] + 0.5) / SHARES) ** 1.15)
    if source == "heads" and isinstance(hint, tuple):
        return float((hint[0] + 0.5) / 8)
    if source == "recall" and isinstance(hint, tuple):
        known, eighths, _ = hint
        again = (0.65 if known == 2 else 0.25) if free else (0.8 if known == 2 else 0.4)
        return float((eighths + 0.5) / 8 * again)
    return _UNKNOWN


class _Scratch(Draft):
    """A draft whose hints are all that was said about an edge: ((source, hint), ...)."""

    __slots__ = ()

    def add(self, parent: int, token: int, source: str, hint: Any = None) -> int:
        known = len(self)
        node = super().add(parent, token, source, ((source, hint),))
        if 0 <= node < known and all(source != other for other, _ in self.hints[node]):
            self.hints[node] += ((source, hint),)
        return node


class _Auto:
    def __init__(self, owner: Auto, setup: Setup, sessions: list[Session]) -> None:
        self._owner, self._setup, self._sessions = owner, setup, sessions
        self._costs: PassCosts = costs_of(setup.model, setup.extra.get("products"))
        self._scratch: Draft | None = None
        self._base = 0  # tokens between the root and the scratch tree's
        self._seconds = 0.0  # of a proposal, smoothed
        self._profit = 0.0  # of drafting, seconds a round, smoothed
        self._rounds = self._asleep = 0
        self._free = True
        self._nap = _NAP
        self._here: dict[str, list[float]] = {}  # source -> [edges that were right in this text, that should have been]

    def propose(self, view: View, draft: Draft, node: int) -> None:
        self._base = draft.depth[node]
        self._scratch = None
        if self._asleep > 0:
            self._asleep -= 1
            return
        if self._costs.wants_single() and self._base == 0 and self._setup.rows == 1:
            return
        start = time.thread_time()
        scratch: Draft = _Scratch(view.ids[-1], 160, draft.depth_limit - self._base)
        for session in self._sessions:
            session.propose(view, scratch, 0)
        self._free = view.matcher is None
        scratch = trim(scratch, view.matcher, self._setup.eos_ids, self._setup.width)
        self._scratch = scratch
        chances = [1.0]
        for child in range(1, len(scratch)):
            chances.append(chances[scratch.parents[child]] * self._chance(scratch.hints[child]))
        order = sorted(range(1, len(scratch)), key=lambda child: (-chances[child], child))
        placed = {0: node}
        for child in order[: self._worth(chances, order, len(draft))]:
            parent = placed.get(scratch.parents[child], -1)
            if parent >= 0:
                source = scratch.sources[child]
                placed[child] = draft.add(parent, scratch.tokens[child], source, scratch.hints[child])
        self._seconds += 0.1 * (time.thread_time() - start - self._seconds)

    def _worth(self, chances: list[float], order: list[int], sent: int) -> int:
        """How many of the likeliest nodes to send beside `sent` ones (root and forced text), which count as sure."""
        rows, seconds, one = self._setup.rows, self._costs.seconds, self._costs.seconds(1)
        best, most = _WORTH * sent * one / seconds(sent * rows), 0
        gained = float(sent)
        for count, child in enumerate(order[: self._owner.most], 1):
            gained += chances[child]
            rate = gained * one / seconds((sent + count) * rows)
            if rate > best:
                best, most = rate, count
        return most

    def observe(self, seen: Seen) -> None:
        if seen.seconds and self._setup.rows == 1:
            self._costs.note(len(seen.draft), seen.seconds)
        self._take_stock(seen)
        self._judge(seen)
        for session in self._sessions:
            session.observe(seen)

    def _take_stock(self, seen: Seen) -> None:
        """Where drafting has cost more than it brought for a while, leave it for some rounds, each time for longer."""
        if self._scratch is None or self._setup.rows != 1:
            return
        one = self._costs.seconds(1)
        own = max(len(seen.path) - self._base, 0)  # tokens that need no pass of their own now
        extra = self._costs.seconds(len(seen.draft)) - self._costs.seconds(self._base + 1)
        self._rounds += 1
        self._profit += (own * one - extra - self._seconds - self._profit) / min(self._rounds, _STOCK)
        if self._rounds >= _LEAST_STOCK and self._profit < 0:
            self._asleep, self._nap = self._nap, min(2 * self._nap, _LONGEST_NAP)
            self._rounds, self._profit = _LEAST_STOCK // 2, 0.0
        elif self._profit > 0:
            self._nap = _NAP

    def _chance(self, said: Sequence[tuple[str, Any]]) -> float:
        """How likely an edge is right, by the shares of all classes that it belongs to."""
        best, wrong = 0.0, 1.0
        for source, hint in said:
            right, expected_right = self._here.get(source, (0.0, 0.0))
            share = self._owner.share(source, (self._free, hint)) * (right + _HERE) / (expected_right + _HERE)
            best, wrong = max(best, share), wrong * max(1 - share, 0.0)
        return min(best if self._free else 1 - wrong, 0.98)

    def _judge(self, seen: Seen) -> None:
        """Which of the scratch tree's edges were right, as far as what was emitted tells."""
        scratch, self._scratch = self._scratch, None
        if scratch is None:
            return
        emitted = seen.ids[len(seen.ids) - len(seen.path) - 1 :]
        if len(seen.path) < self._base:
            return  # the forced text in front was spelled otherwise
        node = 0
        for token in emitted[self._base :]:
            for candidate, child in scratch.children[node].items():
                for source, hint in scratch.hints[child]:
                    here = self._here.setdefault(source, [0.0, 0.0])
                    here[0] = _FADE * here[0] + (candidate == token)
                    here[1] = _FADE * here[1] + self._owner.share(source, (self._free, hint))
                    self._owner.count(source, (self._free, hint), candidate == token)
            following = scratch.children[node].get(token)
            if following is None:
                return
            node = following


def auto_for(model: Any) -> Auto:
    """The `Auto` that serves a model in this process."""
    found = _shared.get(model)
    if found is None:
        found = _shared[model] = Auto()
    return found
