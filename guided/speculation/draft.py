"""`Draft`: what one sequence may say next, as a tree; and the protocols of those who propose it.

Node 0 is the last committed token, whose successors the coming pass will score. Every other node is a token that some
drafter expects after its parent. Two kinds of proposals live in one tree:

- *deterministic* ones (look-ups, tables, forced text): nodes and nothing else. The verifier draws a token from the
  model's own distribution and goes to the child that carries it, if there is one.
- *draws* from a distribution `q` (draft models): `Draws` at the parent, in draw order, beside the nodes. The verifier
  needs them to accept more often than by chance and still be exact.

A drawn token that is not forwarded (illegal, over budget) keeps its place in `Draws`: hiding a draw from the verifier
would bend the distribution, while a draw without a node can still be accepted, because that takes its parent's scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch

__all__ = ["Draft", "Drafter", "Draws", "Rule", "Seen", "Session", "Setup", "View"]

Rule = Literal["recursive", "without_replacement", "k_sequential"]


@dataclass(frozen=True, eq=False, slots=True)
class Draws:
    """Tokens drawn from `q` (float [V], sums to 1: the very distribution that was sampled) at one node, in draw order.

    `recursive`: independent draws, tried one after the other (one draw: the classical rejection rule).
    `without_replacement`: each from `q` without the ones before it. `k_sequential`: independent, the rule of SpecTr.
    """

    rule: Rule
    q: torch.Tensor
    tokens: Sequence[int]


class Draft:
    """A tree of at most `room` nodes beside the root, none deeper than `depth_limit`; parents stand before children."""

    __slots__ = ("children", "depth", "depth_limit", "draws", "hints", "parents", "room", "sources", "tokens")

    def __init__(self, root: int, room: int = 16, depth_limit: int = 1 << 30) -> None:
        self.tokens = [root]
        self.parents = [-1]
        self.depth = [0]
        self.sources = [""]
        self.hints: list[Any] = [None]  # what a drafter wants to know again about a node
        self.children: list[dict[int, int]] = [{}]  # token -> node
        self.draws: dict[int, Draws] = {}
        self.room, self.depth_limit = room, depth_limit

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def left(self) -> int:
        """Nodes that may still be added."""
        return self.room + 1 - len(self.tokens)

    def add(self, parent: int, token: int, source: str, hint: Any = None) -> int:
        """The node of `token` under `parent`, an existing one if there is one; -1 where there is no room."""
        found = self.children[parent].get(token)
        if found is not None:
            return found
        depth = self.depth[parent] + 1
        if len(self.tokens) > self.room or depth > self.depth_limit:
            return -1
        node = len(self.tokens)
        self.tokens.append(token)
        self.parents.append(parent)
        self.depth.append(depth)
        self.sources.append(source)
        self.hints.append(hint)
        self.children.append({})
        self.children[parent][token] = node
        return node

    def chain(self, parent: int, tokens: Sequence[int], source: str, hint: Any = None) -> int:
        """Add tokens one under the other; the last node that found room (`parent` when none did)."""
        for token in tokens:
            node = self.add(parent, token, source, hint)
            if node < 0:
                break
            parent = node
        return parent

    def path(self, node: int) -> list[int]:
        """Tokens from below the root to `node`."""
        tokens = []
        while node > 0:
            tokens.append(self.tokens[node])
            node = self.parents[node]
        return tokens[::-1]

    def is_chain(self) -> bool:
        """Whether no node has two children."""
        return all(parent == node - 1 for node, parent in enumerate(self.parents))

    def keep(self, kept: Sequence[int]) -> Draft:
        """A draft of the nodes `kept` (ascending, closed under parents, root among them), with the draws at them."""
        if len(kept) == len(self.tokens):
            return self
        new = Draft(self.tokens[0], self.room, self.depth_limit)
        place = {0: 0}
        for node in kept[1:]:
            place[node] = new.add(place[self.parents[node]], self.tokens[node], self.sources[node], self.hints[node])
        new.draws = {place[node]: draws for node, draws in self.draws.items() if node in place}
        return new

    def first_path(self) -> Draft:
        """Only the path of first children: what a cache that cannot branch can check."""
        kept, node = [0], 0
        while self.children[node]:
            node = next(iter(self.children[node].values()))
            kept.append(node)
        return self.keep(kept)


@dataclass(slots=True)
class View:
    """Where a sequence stands: its ids, and a matcher at their end.

    `ids` are the tokens, prompt included and padding excluded, to the node that a drafter is to go on from: the first
    `committed` are fixed, the others are forced text that is drafted already. `matcher` (None without a constraint) has
    taken exactly the ids from `prompt_length` on. Both are the drafter's to look at: leave them as they were.
    """

    ids: list[int]
    prompt_length: int
    committed: int
    matcher: Any = None

    @property
    def written(self) -> list[int]:
        """The ids after the prompt."""
        return self.ids[self.prompt_length :]


@dataclass(slots=True)
class Seen:
    """What a pass showed: for a drafter to learn from.

    `draft` as it was checked; `path` its accepted nodes (without the root); `token` the last token emitted, which no
    node's key and value stand for yet; `ids` all ids since. `logits` float [nodes, V] before any processor, `hidden`
    [nodes, d], the final hidden states, each only if a drafter `needs` them; `prompt_hidden` [prompt, d] in the first.
    `seconds` the pass took: the processor's where the model is on one, else the clock's; 0 for the prompt's pass.
    """

    draft: Draft
    path: Sequence[int]
    token: int
    ids: list[int]
    logits: torch.Tensor | None = None
    hidden: torch.Tensor | None = None
    prompt_hidden: torch.Tensor | None = None
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Setup:
    """What holds for a whole generation. `temperature` is 0 for greedy decoding; `vocabulary` None if unknown."""

    model: Any
    generation_config: Any
    temperature: float
    width: int
    eos_ids: frozenset[int]
    vocabulary: Any = None
    tokenizer: Any = None
    rows: int = 1
    extra: dict[str, Any] = field(default_factory=dict)


class Session(Protocol):
    """One drafter at work on one sequence."""

    def propose(self, view: View, draft: Draft, node: int) -> None:
        """Add what may follow at `node` of `draft`, at which `view` stands."""

    def observe(self, seen: Seen) -> None:
        """Learn from a pass."""


class Drafter(Protocol):
    """A way of guessing. One object may serve many generations; what belongs to a sequence is in its sessions.

    `needs` names what `Seen` shall hold: "logits", "hidden", "prompt_hidden"; and "cache": `setup.extra["passes"]` is
    the target's `Passes`, whose cache a session may grow while it proposes, and must cut back. `name` appears in the
    statistics. Where a drafter's `overlap` is true, its session's `overlap(view, draft)` is called in a thread beside
    the target's pass; it may add `Draws` at the draft's nodes.
    """

    name: str
    needs: frozenset[str]

    def start(self, setup: Setup) -> Session: ...
