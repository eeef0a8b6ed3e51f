"""LR tables: what to do in a state of the parser before a terminal. Of a grammar (all actions kept), or lark's own.

A cell may hold several actions; the machine follows them all. With one in every cell it is a deterministic parser.
"""

from __future__ import annotations

from dataclasses import dataclass

from grammars.cfg.cfg import Cfg, Symbol, nonterminal
from grammars.errors import BudgetExceeded

__all__ = ["LrTable", "build"]

_MOST_STATES = 20_000


@dataclass
class LrTable:
    """States, terminals and nonterminals by number; terminal `end` is the end of the text.

    `actions[s][t]`: a target state to shift to, or -1 - r to reduce by rule r. `accepting`: states in which the end of
    the text completes the parse. `rules[r]`: (symbols to take off, nonterminal). For costs: `rights[r]`, the symbols of
    a rule, then of the one that starts everything; `kernels[s]`: the items (rule, dot) of a state that are not begun
    there.
    """

    actions: list[dict[int, list[int]]]
    gotos: list[dict[int, int]]
    rules: list[tuple[int, int]]
    terminals: int
    nonterminals: int
    accepting: set[int]
    rights: list[tuple[Symbol, ...]]
    kernels: list[list[tuple[int, int]]]
    start: int = 0

    @property
    def end(self) -> int:
        """The number of the end of the text, after all terminals."""
        return self.terminals


Item = tuple[int, int]


def build(grammar: Cfg, empty: bool, terminals: int) -> LrTable:
    """LALR(1) tables of a grammar without empty rules; conflicts stay."""
    by_left: dict[int, list[int]] = {}
    for number, (left, _) in enumerate(grammar.rules):
        by_left.setdefault(left, []).append(number)
    rights = [right for _, right in grammar.rules]
    root = len(rights)  # the rule that starts everything
    rights.append((nonterminal(grammar.start),))

    def closed(kernel: frozenset[Item]) -> list[Item]:
        items = list(kernel)
        seen: set[int] = set()
        for rule, dot in items:
            if dot < len(rights[rule]) and rights[rule][dot] < 0:
                left = -1 - rights[rule][dot]
                if left not in seen:
                    seen.add(left)
                    items += [(r, 0) for r in by_left.get(left, ()) if (r, 0) not in kernel]
        return items

    kernels: list[frozenset[Item]] = [frozenset({(root, 0)})]
    numbers = {kernels[0]: 0}
    items_of: list[list[Item]] = []
    moves: list[dict[Symbol, int]] = []
    for kernel in kernels:
        items = closed(kernel)
        after: dict[Symbol, set[Item]] = {}
        for rule, dot in items:
            if dot < len(rights[rule]):
                after.setdefault(rights[rule][dot], set()).add((rule, dot + 1))
        targets = {}
        for symbol, advanced in after.items():
            following = frozenset(advanced)
            if following not in numbers:
                numbers[following] = len(kernels)
                kernels.append(following)
                if len(kernels) > _MOST_STATES:
                    raise BudgetExceeded("max_parser_states", _MOST_STATES, remedy="Split or simplify the grammar.")
            targets[symbol] = numbers[following]
        items_of.append(items)
        moves.append(targets)
    follow = _follow(grammar, kernels, items_of, moves, rights, root, by_left, terminals)
    actions: list[dict[int, list[int]]] = []
    gotos: list[dict[int, int]] = []
    for state, targets in enumerate(moves):
        cells: dict[int, list[int]] = {t: [target] for t, target in targets.items() if t >= 0}
        for rule, dot in items_of[state]:
            if dot == len(rights[rule]) and rule != root:
                for terminal in sorted(follow.get((state, rule), ())):
                    cells.setdefault(terminal, []).append(-1 - rule)
        actions.append(cells)
        gotos.append({-1 - s: target for s, target in targets.items() if s < 0})
    accepting = {moves[0][nonterminal(grammar.start)]} if nonterminal(grammar.start) in moves[0] else set()
    if empty:
        accepting.add(0)
    rules = [(len(right), left) for left, right in grammar.rules]
    listed = [sorted(kernel) for kernel in kernels]
    return LrTable(actions, gotos, rules, terminals, len(grammar.names), accepting, rights, listed)


def _follow(
    grammar: Cfg,
    kernels: list[frozenset[Item]],
    items_of: list[list[Item]],
    moves: list[dict[Symbol, int]],
    rights: list[tuple[Symbol, ...]],
    root: int,
    by_left: dict[int, list[int]],
    terminals: int,
) -> dict[tuple[int, int], set[int]]:
    """Terminals before which a state reduces by a rule (DeRemer and Pennello 1982, without nullable symbols)."""
    looks: dict[tuple[int, Symbol], set[int]] = {}
    for state, targets in enumerate(moves):
        for symbol, target in targets.items():
            if symbol < 0:
                looks[state, symbol] = {t for t in moves[target] if t >= 0}
    looks[0, nonterminal(grammar.start)] = looks.get((0, nonterminal(grammar.start)), set()) | {terminals}
    into: dict[tuple[int, Symbol], list[tuple[int, Symbol]]] = {}
    ends: dict[tuple[int, Symbol], list[tuple[int, int]]] = {}
    for state, symbol in looks:
        for rule in by_left.get(-1 - symbol, ()):
            at = state
            right = rights[rule]
            for part in right[:-1]:
                at = moves[at][part]
            if right[-1] < 0:
                into.setdefault((state, symbol), []).append((at, right[-1]))
            ends.setdefault((state, symbol), []).append((moves[at][right[-1]], rule))
    queue = list(looks)
    while queue:
        source = queue.pop()
        for longer in into.get(source, ()):
            if not looks[source] <= looks[longer]:
                looks[longer] |= looks[source]
                queue.append(longer)
    follow: dict[tuple[int, int], set[int]] = {}
    for key, found in looks.items():
        for place in ends.get(key, ()):
            follow.setdefault(place, set()).update(found)
    return follow
