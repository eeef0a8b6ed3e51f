"""`DraftModel`: a smaller model writes ahead.

    "chain"        one draft, token by token (Leviathan et al. 2023). It stops where the probability that all of it is
                   accepted falls below `1 - stop` (SpecDec++, Huang et al. 2024, with the draft's own confidence for a
                   trained head). `overlap=True` drafts on while the target checks (PEARL, Liu et al. 2024)
    "sequential"   `width` independent drafts (SpecTr, Sun et al. 2023)
    "tree"         `width` children a node without replacement, fewer with depth (RSD-C, Jeon et al. 2024)
    "beam"         stochastic beam of `width` nodes a level (RSD-S)

Draws come from the draft model under the target's temperature and constraint, and are recorded with their distribution,
so the verifier's rules are exact. In greedy decoding drafts are the draft model's best tokens, a chain or a tree.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import torch

from guided.speculation.branching import Branching
from guided.speculation.draft import Draft, Draws, Rule, Seen, Session, Setup, View

__all__ = ["DraftModel", "RecursiveDrafts", "SpecTr"]

Shape = Literal["chain", "sequential", "tree", "beam"]
_pool = ThreadPoolExecutor(1, thread_name_prefix="guided-draft")


class DraftModel:
    """`model` shares the target's vocabulary. `tokens` deep at most; `stop` in (0, 1]: how unsure a draft may get.

    `overlap`: while the target checks a chain, a thread drafts on from its end; worth it where the two models do not
    share their cores.
    """

    needs: frozenset[str] = frozenset()

    def __init__(
        self, model: Any, tokens: int = 6, *, shape: Shape = "chain", width: int = 3, stop: float = 0.7,
        overlap: bool = False, name: str = "model",
    ) -> None:  # fmt: skip
        if shape not in ("chain", "sequential", "tree", "beam"):
            raise ValueError(f"shape={shape!r} is unknown: chain, sequential, tree or beam")
        if overlap and shape != "chain":
            raise ValueError("overlap needs shape='chain': there must be one end to go on from")
        self.model, self.tokens, self.shape, self.width = model, tokens, shape, width
        self.stop, self.overlap, self.name = stop, overlap, name

    def start(self, setup: Setup) -> Session:
        return _Drafting(self, setup, Branching(self.model))


def SpecTr(model: Any, tokens: int = 4, width: int = 4) -> DraftModel:
    """Several independent drafts of a smaller model, verified by k-sequential selection."""
    return DraftModel(model, tokens, shape="sequential", width=width, name="spectr")


def RecursiveDrafts(model: Any, tokens: int = 4, width: int = 3, *, beam: bool = False) -> DraftModel:
    """Recursive Speculative Decoding: drafts without replacement, as a tree or (`beam`) a stochastic beam."""
    return DraftModel(model, tokens, shape="beam" if beam else "tree", width=width, name="rsd")


class Proposals:
    """q at a node: the draft model's scores under the target's temperature and constraint."""

    def __init__(self, setup: Setup) -> None:
        self.temperature, self.width = setup.temperature, setup.width
        self._row = None if setup.vocabulary is None else np.zeros(setup.vocabulary.words, np.int32)

    def q(self, logits: torch.Tensor, matcher: Any) -> torch.Tensor | None:
        """float [V]; None where nothing may follow."""
        scores = logits[: self.width].clone()
        if len(scores) < self.width:
            scores = torch.nn.functional.pad(scores, (0, self.width - len(scores)), value=-math.inf)
        if matcher is not None and self._row is not None:
            matcher.fill_mask(self._row)
            packed = self._row.view(np.uint8)
            bits = torch.from_numpy(np.unpackbits(packed, bitorder="little").astype(bool))[: self.width]
            allowed = torch.zeros(self.width, dtype=torch.bool)
            allowed[: len(bits)] = bits
            scores.masked_fill_(~allowed.to(scores.device), -math.inf)
        if not bool((scores > -math.inf).any()):
            return None
        return torch.softmax(scores / self.temperature if self.temperature > 0 else scores, -1)


class _Drafting:
    def __init__(self, owner: DraftModel, setup: Setup, machine: Branching) -> None:
        self._owner, self._setup, self._machine = owner, setup, machine
        self._proposals = Proposals(setup)
        self._greedy = setup.temperature == 0
        self._ahead: list[tuple[int, torch.Tensor]] = []  # drafted ahead: tokens and what they were drawn from
        self._ahead_at: list[int] = []  # the ids that they follow

    def propose(self, view: View, draft: Draft, node: int) -> None:
        if self._owner.shape == "chain":
            self._chain(view, draft, node)
        else:
            self._levels(view, draft, node)

    def observe(self, seen: Seen) -> None:
        pass

    # ------------------------------------------------------------------------------------------------ one draft

    def _chain(self, view: View, draft: Draft, node: int) -> None:
        drafted = self._drafted(view) if self._owner.overlap else self._write(view.ids, view.matcher)
        for token, q in drafted:
            if not self._greedy:
                draft.draws[node] = Draws("recursive", q, [token])
            node = draft.add(node, token, self._owner.name)
            if node < 0:
                return

    def _write(self, ids: list[int], matcher: Any) -> list[tuple[int, torch.Tensor]]:
        """Tokens with the distributions that they were drawn from, until unsure, ended, or long enough."""
        written: list[tuple[int, torch.Tensor]] = []
        ids, sure, moves = list(ids), 1.0, 0
        logits = self._machine.follow(ids)
        while len(written) < self._owner.tokens:
            q = self._proposals.q(logits, matcher)
            if q is None:
                break
            token = int(q.argmax()) if self._greedy else int(torch.multinomial(q, 1))
            written.append((token, q))
            sure *= float(q[token]) if self._greedy else float(q.max())
            if token in self._setup.eos_ids or 1 - sure > self._owner.stop:
                break  # after the token that was drawn: what is drawn is never hidden
            if matcher is not None:
                if not matcher.accept(token):
                    break
                moves += 1
            ids.append(token)
            if len(written) < self._owner.tokens:
                logits = self._machine.follow(ids)
        if matcher is not None:
            matcher.rollback(moves)
        return written

    # ------------------------------------------------------------------------------------------------ overlap

    def _drafted(self, view: View) -> list[tuple[int, torch.Tensor]]:
        """What was drafted ahead and has not been refuted."""
        if view.ids[: len(self._ahead_at)] != self._ahead_at:
            return []
        done = view.ids[len(self._ahead_at) :]
        if done != [token for token, _ in self._ahead[: len(done)]]:
            return []
        return self._ahead[len(done) :]

    def overlap(self, view: View, draft: Draft) -> None:
        """Beside the target's pass, in a thread: write on from the end of the draft, whose draw has no node yet."""
        if not self._owner.overlap:
            return
        node = len(draft) - 1
        if node in draft.draws:
            return  # its draw was cut (an end of text, or no room): drawing again would hide it
        tail = draft.path(node)
        matcher, moves = view.matcher, 0
        if matcher is not None:
            matcher = matcher.copy()
            moves = sum(1 for token in tail if matcher.accept(token))
        ids = [*view.ids, *tail]
        ahead = self._write(ids, matcher) if matcher is None or moves == len(tail) else []
        self._ahead_at, self._ahead = ids, ahead
        if ahead and not self._greedy:
            draft.draws[node] = Draws("recursive", ahead[0][1], [ahead[0][0]])

    # ------------------------------------------------------------------------------------------------ several

    def _levels(self, view: View, draft: Draft, node: int) -> None:
        """Level by level: every open node draws its children, all new nodes are forwarded together."""
        machine, matcher, owner = self._machine, view.matcher, self._owner
        level: list[_Open] = [_Open(node, -1, (), machine.follow(view.ids), owner.width, 0.0, 0.0)]
        for depth in range(owner.tokens):
            children: list[_Open] = []
            for place in level:
                q = self._q_at(place, matcher)
                if q is not None:
                    children += self._children(place, q, draft, depth)
            if owner.shape == "beam" and not self._greedy:
                children = self._beam(children, draft)
            else:
                children = self._placed(children, draft)
            children = [child for child in children if child.token not in self._setup.eos_ids]
            if not children or depth + 1 == owner.tokens:
                break
            base = len(machine._tree)
            logits = machine.grow([c.token for c in children], [c.slot for c in children])
            level = []
            for at, child in enumerate(children):
                child.slot, child.logits = base + at, logits[at]
                level.append(child)
        machine.drop()

    def _q_at(self, place: _Open, matcher: Any) -> torch.Tensor | None:
        if matcher is None:
            return self._proposals.q(place.logits, None)
        taken = 0
        for token in place.path:
            if not matcher.accept(token):
                break
            taken += 1
        q = self._proposals.q(place.logits, matcher) if taken == len(place.path) else None
        matcher.rollback(taken)
        return q

    def _children(self, place: _Open, q: torch.Tensor, draft: Draft, depth: int) -> list[_Open]:
        """Draw at a node, and note the draws in their order."""
        owner = self._owner
        support = int((q > 0).sum())
        if owner.shape == "sequential" and not self._greedy:
            tokens = torch.multinomial(q, place.count, replacement=True).tolist()
            draft.draws[place.node] = Draws("k_sequential", q, tokens)
            return [place.child(token, 0.0, 0.0, tokens.count(token)) for token in dict.fromkeys(tokens)]
        count = owner.width if owner.shape == "beam" else max(owner.width - depth, 1)
        count = min(count, support)
        logs = torch.log(q)
        if self._greedy:
            best = torch.topk(q, count)
            return [place.child(t, place.phi + float(logs[t]), 0.0, 1) for t in best.indices.tolist()]
        noise = -torch.log(-torch.log(torch.rand_like(logs).clamp_(1e-30, 1 - 1e-7)))
        perturbed = place.phi + logs + noise
        best = torch.topk(perturbed, count)
        tokens = best.indices.tolist()
        rule: Rule = "without_replacement"
        draft.draws[place.node] = Draws(rule, q, tokens)
        top = float(best.values[0])
        made = []
        for token, value in zip(tokens, best.values.tolist(), strict=True):
            v = place.g - value + math.log1p(-math.exp(min(value - top, -1e-12)))  # conditioned on the parent's G
            g = place.g - max(0.0, v) - math.log1p(math.exp(-abs(v)))
            made.append(place.child(token, place.phi + float(logs[token]), g, 1))
        return made

    def _beam(self, children: list[_Open], draft: Draft) -> list[_Open]:
        """The `width` greatest perturbed values of the level; draws that fall out stay draws without a node."""
        best = set(map(id, sorted(children, key=lambda child: -child.g)[: self._owner.width]))
        return self._placed([child for child in children if id(child) in best], draft)

    def _placed(self, children: list[_Open], draft: Draft) -> list[_Open]:
        if self._greedy:
            children = sorted(children, key=lambda child: -child.phi)[: self._owner.width]
        placed = []
        for child in children:
            child.node = draft.add(child.parent, child.token, self._owner.name)
            if child.node >= 0:
                placed.append(child)
        return placed


class _Open:
    """A node of a draft whose children are still to be drawn."""

    __slots__ = ("count", "g", "logits", "node", "parent", "path", "phi", "slot", "token")

    def __init__(
        self, node: int, slot: int, path: tuple[int, ...], logits: torch.Tensor, count: int, phi: float, g: float
    ) -> None:
        self.node, self.slot, self.path, self.logits, self.count = node, slot, path, logits, count
        self.phi, self.g = phi, g
        self.parent, self.token = -1, -1

    def child(self, token: int, phi: float, g: float, count: int) -> _Open:
        made = _Open(-1, self.slot, (*self.path, token), self.logits, count, phi, g)
        made.parent, made.token = self.node, token
        return made


def draft_pool() -> ThreadPoolExecutor:
    """The thread that drafts beside the target."""
    return _pool
