"""`PrefixTree`: every prefix that was ever looked at, scored once, in one shared cache.

Methods that sample a text several times meet the same prefixes again and again. Here a prefix is a `Node`; what the
model says there (the *row*: its legal tokens and their probabilities) is kept, and the keys and values of all nodes lie
in one cache of a single sequence, in which a node attends to the prompt and to its own ancestors only (tree attention,
as in tree-verified speculation). So any set of prefixes, of any lengths, is scored by one forward pass over just their
new tokens; particles are pointers to nodes, and resampling them moves no memory.

    slots of the cache:   prompt ............ | a  b  aa  ba  ab ...
    node "ab" attends to:  all of the prompt  | a        ab itself

Rows are bounded by memory and the cache by slots: what was dropped is computed again when needed, with the same result.
A model whose attention takes no mask of this kind (`tree_attention=False`) is shown whole sequences instead.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from guided.modelcalls import cache_keyword

__all__ = ["Node", "PrefixTree", "Row"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


class Row:
    """The model's law at a prefix, restricted to legal tokens (not renormalised).

    ids int64 [m] ascending, probs float64 [m] (may be 0 where the law is truncated), mass = sum of probs.
    """

    __slots__ = ("ids", "mass", "probs")

    def __init__(self, ids: Int64, probs: Float64) -> None:
        self.ids, self.probs = ids, probs
        self.mass = min(float(probs.sum()), 1.0)

    def index(self, token: int) -> int:
        """Where `token` stands in `ids`."""
        return int(np.searchsorted(self.ids, token))

    def prob(self, token: int) -> float:
        """R(token); 0 for an illegal token."""
        place = self.index(token)
        return float(self.probs[place]) if place < len(self.ids) and self.ids[place] == token else 0.0


class Node:
    """A prefix: its parent and last token. `bound` is ASAp's upper bound on the mass that ends in the language."""

    __slots__ = (
        "bound",
        "depth",
        "epoch",
        "kids",
        "log_prob",
        "mass",
        "parent",
        "row",
        "slot",
        "terminal",
        "token",
        "visits",
    )

    def __init__(self, parent: Node | None, token: int, terminal: bool, log_prob: float) -> None:
        self.parent, self.token, self.terminal, self.log_prob = parent, token, terminal, log_prob
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.kids: dict[int, Node] = {}
        self.bound = 1.0
        self.mass = -1.0  # of the row; kept when the row is dropped
        self.visits = 0
        self.row: Row | None = None
        self.slot = self.epoch = -1

    def path(self) -> list[int]:
        """Tokens from the prompt's end to here."""
        tokens: list[int] = []
        node: Node = self
        while node.parent is not None:
            tokens.append(node.token)
            node = node.parent
        return tokens[::-1]

    def line(self) -> list[Node]:
        """Nodes from the root to here."""
        nodes: list[Node] = []
        node: Node | None = self
        while node is not None:
            nodes.append(node)
            node = node.parent
        return nodes[::-1]


class PrefixTree:
    """Prefixes of one prompt under one law and one constraint.

    `law(ids, logits)` maps one sequence [1, length] and its logits [1, V] to processed scores [1, V].
    `limit` is the number of tokens that a text may have, EOS included. `constraint` is a `processors.Constraint` or
    None: then everything is legal and texts are cut at the limit. Texts of a constraint end within it. A constraint
    with a budget of its own bans, near its limit, what could not be finished; else such prefixes just have no mass.

    `tree_attention`  use the shared cache; False: whole sequences, for models without 4-D masks
    `slots`           nodes in the cache before it is emptied (default 2,048; 46 kB each for SmolLM2-135M in float32)
    `memory`          bytes of rows that are kept (default 256 MB)
    """

    def __init__(
        self,
        model: Any,
        prompt: torch.Tensor,
        *,
        law: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        constraint: Any,
        limit: int,
        eos_ids: Sequence[int],
        tree_attention: bool = True,
        slots: int = 2048,
        memory: int = 256 << 20,
    ) -> None:
        self.model, self.prompt, self.limit = model, prompt.reshape(1, -1), limit
        self.root = Node(None, -1, False, 0.0)
        self.passes = self.scored = 0  # forward passes, and tokens in them
        self.nodes = 1
        self._law, self._eos = law, frozenset(int(token) for token in eos_ids)
        self._cursor = None if constraint is None else constraint.begin()
        self._written: list[int] = []  # the path at which the cursor stands
        self._budgeted = constraint is not None and constraint.budget is not None
        words = 0 if constraint is None else constraint.vocabulary.words
        self._mask = np.zeros(words, dtype=np.int32)
        self._tree_attention, self._slots, self._memory = tree_attention, slots, memory
        self._cache: Any = None
        self._used = 0  # slots taken by nodes
        self._epoch = 0
        self._rows: OrderedDict[Node, int] = OrderedDict()
        self._laws: OrderedDict[Node, Float64] = OrderedDict()  # what `full` was asked for, oldest first
        self._bytes = 0
        self._root_logits: torch.Tensor | None = None

    # ------------------------------------------------------------------------------------------------ growing

    def child(self, node: Node, token: int) -> Node:
        """The prefix one token longer; `node`'s row must be known."""
        kid = node.kids.get(token)
        if kid is None:
            assert node.row is not None
            kid = self.adopt(node, token, node.row.prob(token))
        return kid

    def adopt(self, node: Node, token: int, prob: float) -> Node:
        """As `child`, with R(token | prefix) given: for a law that was looked at by `full` and left no row."""
        kid = node.kids.get(token)
        if kid is None:
            last = token in self._eos or (self._cursor is None and node.depth + 1 >= self.limit)
            kid = node.kids[token] = Node(node, token, last, float(np.log(prob)))
            self.nodes += 1
        return kid

    def rows(self, nodes: Sequence[Node]) -> list[Row]:
        """The rows of some prefixes, with at most one forward pass for all of them."""
        missing = list(dict.fromkeys(node for node in nodes if node.row is None))
        for node, probs in zip(missing, self.full(missing), strict=True):
            self._laws.pop(node, None)  # from now on the row is enough
            legal = self.legal(node)
            ids = np.arange(len(probs), dtype=np.int64) if legal is None else legal[legal < len(probs)]
            self._keep(node, Row(ids, probs[ids]))
        found = [node.row for node in nodes]
        for node in nodes:
            if node in self._rows:
                self._rows.move_to_end(node)
        self._shrink(keep=len(set(nodes)))
        return found  # type: ignore[return-value]  # all of them have just been computed

    def full(self, nodes: Sequence[Node]) -> list[Float64]:
        """R(. | prefix), un-masked, float64 [V], for each of some different prefixes; at most one forward pass."""
        missing = [node for node in nodes if node not in self._laws]
        for node, logits in zip(missing, self._logits(missing), strict=True):
            ids = torch.cat([self.prompt, torch.tensor([node.path()], dtype=torch.int64, device=self.prompt.device)], 1)
            scores = self._law(ids, logits.float()[None])[0].double()
            self._laws[node] = scores.softmax(-1).cpu().numpy()
        found = [self._laws[node] for node in nodes]
        while len(self._laws) > 1 and len(self._laws) * found[-1].nbytes > self._memory:
            self._laws.popitem(last=False)
        return found

    def legal(self, node: Node) -> Int64 | None:
        """Tokens that may follow, ascending; None: all. The last token within the limit can only be EOS."""
        if self._cursor is None:
            return None
        self._move(node)
        left, matcher = self.limit - node.depth, self._cursor.matcher
        if left <= 1:
            return np.array(sorted(self._eos) if matcher.is_accepting() else [], dtype=np.int64)
        matcher.fill_mask(self._mask, budget=left if self._budgeted else None)
        bits = np.unpackbits(self._mask.view(np.uint8), bitorder="little")
        return np.flatnonzero(bits).astype(np.int64)

    def may_follow(self, node: Node, token: int) -> bool:
        """Whether one token is legal, without a mask of the vocabulary."""
        if self._cursor is None:
            return True
        self._move(node)
        left, matcher = self.limit - node.depth, self._cursor.matcher
        if token in self._eos or left <= 1:
            return token in self._eos and bool(matcher.is_allowed(token))
        if not (0 <= token < self._cursor.size and matcher.accept(token)):
            return False
        fits = not self._budgeted or matcher.min_tokens() + 1 <= left - 1
        matcher.rollback(1)
        return bool(fits)

    def _move(self, node: Node) -> None:
        path = node.path()
        common = 0
        for old, new in zip(self._written, path, strict=False):
            if old != new:
                break
            common += 1
        self._cursor.move(common, path[common:])  # type: ignore[union-attr]
        self._written = path

    # ------------------------------------------------------------------------------------------------ memory

    def _keep(self, node: Node, row: Row) -> None:
        node.row, node.mass = row, row.mass
        self._rows[node] = size = row.ids.nbytes + row.probs.nbytes
        self._bytes += size

    def _shrink(self, keep: int) -> None:
        while self._bytes > self._memory and len(self._rows) > keep:
            node, size = self._rows.popitem(last=False)
            node.row = None
            self._bytes -= size

    def forget(self, node: Node) -> None:
        """Cut off everything below `node`; its bound becomes what it was before anything was known."""
        waiting = list(node.kids.values())
        while waiting:
            gone = waiting.pop()
            waiting += gone.kids.values()
            self.nodes -= 1
            self._laws.pop(gone, None)
            if (size := self._rows.pop(gone, None)) is not None:
                self._bytes -= size
        node.kids = {}

    # ------------------------------------------------------------------------------------------------ forward passes

    def _logits(self, nodes: Sequence[Node]) -> list[torch.Tensor]:
        if not nodes:
            return []
        with torch.inference_mode():
            return self._whole(nodes) if not self._tree_attention else self._shared(nodes)

    def _whole(self, nodes: Sequence[Node]) -> list[torch.Tensor]:
        """Whole sequences, padded on the right (causal attention never looks there)."""
        paths = [node.path() for node in nodes]
        longest = max(len(path) for path in paths)
        device, length = self.prompt.device, self.prompt.shape[1]
        ids = torch.zeros(len(nodes), length + longest, dtype=torch.int64, device=device)
        ids[:, :length] = self.prompt
        for row, path in enumerate(paths):
            ids[row, length : length + len(path)] = torch.tensor(path, dtype=torch.int64, device=device)
        mask = torch.arange(ids.shape[1], device=device)[None] < torch.tensor(
            [[length + len(path)] for path in paths], device=device
        )
        logits = self.model(input_ids=ids, attention_mask=mask.long(), use_cache=False).logits
        self.passes += 1
        self.scored += int(mask.sum())
        return [logits[row, length + len(path) - 1] for row, path in enumerate(paths)]

    def _shared(self, nodes: Sequence[Node]) -> list[torch.Tensor]:
        if self._cache is None:
            self._prefill()
        new = self._absent(nodes)
        if new and self._used + len(new) > self._slots and self._used:
            self._cache.crop(-self._used)
            self._used, self._epoch = 0, self._epoch + 1
            new = self._absent(nodes)
        logits = self._extend(new) if new else None
        place = {node: number for number, node in enumerate(new)}
        found: list[torch.Tensor] = []
        for node in nodes:
            if node is self.root:
                assert self._root_logits is not None
                found.append(self._root_logits)
            elif node in place:
                assert logits is not None
                found.append(logits[place[node]])
            else:  # its keys are in the cache, its row was dropped: ask once more with the last token
                found.append(self._again(node))
        return found

    def _absent(self, nodes: Sequence[Node]) -> list[Node]:
        """The nodes that the cache lacks, ancestors first."""
        new: dict[Node, None] = {}
        for node in nodes:
            missing = []
            here: Node | None = node
            while here is not None and here.parent is not None and here.epoch != self._epoch and here not in new:
                missing.append(here)
                here = here.parent
            new.update(dict.fromkeys(reversed(missing)))
        return list(new)

    def _prefill(self) -> None:
        from transformers import DynamicCache

        self._cache = DynamicCache(config=self.model.config)
        if hasattr(self._cache, "activate_past_recording"):
            self._cache.activate_past_recording()
        out = self.model(
            input_ids=self.prompt, use_cache=True, logits_to_keep=1, **{cache_keyword(self.model): self._cache}
        )
        self._root_logits = out.logits[0, -1]
        self.passes += 1
        self.scored += self.prompt.shape[1]

    def _extend(self, new: Sequence[Node]) -> torch.Tensor:
        """One pass over new nodes; their logits [n, V]. They take the next slots of the cache."""
        for number, node in enumerate(new):
            node.slot, node.epoch = self._used + number, self._epoch
        logits = self._pass(new)
        self._used += len(new)
        return logits

    def _again(self, node: Node) -> torch.Tensor:
        logits = self._pass([node], seen=True)[0]
        self._cache.crop(-1)
        return logits

    def _pass(self, nodes: Sequence[Node], seen: bool = False) -> torch.Tensor:
        device, length = self.prompt.device, self.prompt.shape[1]
        ids = torch.tensor([[node.token for node in nodes]], dtype=torch.int64, device=device)
        positions = torch.tensor([[length - 1 + node.depth for node in nodes]], device=device)
        allowed = torch.zeros(len(nodes), length + self._used + len(nodes), dtype=torch.bool)
        allowed[:, :length] = True
        for number, node in enumerate(nodes):
            slots = [length + each.slot for each in node.line()[1:]]
            if seen:
                slots[-1] = length + self._used + number
            allowed[number, slots] = True
        mask: torch.Tensor = allowed[None, None].to(device)
        if getattr(self.model.config, "_attn_implementation", "sdpa") != "sdpa":
            floor = torch.finfo(self.model.dtype).min
            mask = torch.where(mask, 0.0, floor).to(self.model.dtype)
        out = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            **{cache_keyword(self.model): self._cache},
        )
        self.passes += 1
        self.scored += len(nodes)
        return out.logits[0]  # type: ignore[no-any-return]
