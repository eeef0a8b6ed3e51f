"""Context-free grammars over numbered terminals, and the rewriting that keeps their parsers finite and quick.

No rule of the result is empty and none derives itself alone, so every chain of reductions ends. Language-preserving:

  - rules that derive nothing, or that the start never reaches, are dropped (and reported);
  - empty rules are eliminated: each rule gets variants without its nullable parts (long ones are cut up first, since
    n nullable parts would make 2^n variants);
  - nonterminals that derive each other alone are one;
  - E -> E op E | E post | pre E | ... is read as a list of operands: E -> E op U | U, U -> pre U | W, W -> W post | ...
    The texts are the same and each has one parse, where the first form has exponentially many.

Rejected: rewriting into Greibach or left-corner form for a machine without reductions (squares the grammar, and every
level of operators costs a frame); graph-structured stacks (frames would change after they were made; with the operators
rewritten and equal stacks merged, the sets stay small on all grammars that we measured).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Cfg", "Symbol", "nonterminal", "normalise"]

Symbol = int
"""A terminal (its number, from 0), or a nonterminal (-1 - its number)."""

Rule = tuple[int, tuple[Symbol, ...]]


def nonterminal(number: int) -> Symbol:
    """The symbol of a nonterminal."""
    return -1 - number


@dataclass
class Cfg:
    """Rules (nonterminal, symbols) over `names` of nonterminals; `start` is one of them."""

    names: list[str] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    start: int = 0

    def new(self, name: str) -> int:
        """A further nonterminal."""
        self.names.append(name)
        return len(self.names) - 1

    def productive(self) -> set[int]:
        """Nonterminals that derive some sequence of terminals."""
        found: set[int] = set()
        changed = True
        while changed:
            changed = False
            for left, right in self.rules:
                if left not in found and all(s >= 0 or -1 - s in found for s in right):
                    found.add(left)
                    changed = True
        return found

    def reachable(self, rules: Sequence[Rule] | None = None) -> set[int]:
        """Nonterminals that the start leads to."""
        of: dict[int, list[tuple[Symbol, ...]]] = {}
        for left, right in self.rules if rules is None else rules:
            of.setdefault(left, []).append(right)
        found, stack = {self.start}, [self.start]
        while stack:
            for right in of.get(stack.pop(), ()):
                for symbol in right:
                    if symbol < 0 and -1 - symbol not in found:
                        found.add(-1 - symbol)
                        stack.append(-1 - symbol)
        return found

    def nullable(self) -> set[int]:
        """Nonterminals that derive the empty sequence."""
        found: set[int] = set()
        changed = True
        while changed:
            changed = False
            for left, right in self.rules:
                if left not in found and all(s < 0 and -1 - s in found for s in right):
                    found.add(left)
                    changed = True
        return found


def normalise(grammar: Cfg) -> tuple[Cfg, bool]:
    """The grammar without empty rules and unit cycles, and whether the start may be empty."""
    productive = grammar.productive()
    rules = [(a, r) for a, r in grammar.rules if a in productive and all(s >= 0 or -1 - s in productive for s in r)]
    kept = grammar.reachable(rules)
    work = Cfg(list(grammar.names), [(a, r) for a, r in rules if a in kept], grammar.start)
    empty = work.start in work.nullable()
    _cut_up(work)
    _without_empty(work)
    _merge_units(work)
    _operators(work)
    reachable = work.reachable()
    work.rules = [(a, r) for a, r in dict.fromkeys(work.rules) if a in reachable]
    return work, empty


def _cut_up(work: Cfg) -> None:
    """Rules with more than three nullable parts become chains of short ones."""
    nullable = work.nullable()
    done: list[Rule] = []
    queue = list(work.rules)
    while queue:
        left, right = queue.pop()
        places = [i for i, s in enumerate(right) if s < 0 and -1 - s in nullable]
        if len(places) <= 3 or len(right) <= 3:
            done.append((left, right))
            continue
        cut = places[2]
        rest = work.new(f"{work.names[left]}...")
        done.append((left, (*right[:cut], nonterminal(rest))))
        queue.append((rest, right[cut:]))
    work.rules = done[::-1]


def _without_empty(work: Cfg) -> None:
    nullable = work.nullable()
    full = {left for left, right in work.rules if right}
    changed = True
    found: dict[Rule, None] = {}
    for left, right in work.rules:
        variants: list[tuple[Symbol, ...]] = [()]
        for symbol in right:
            longer = [(*v, symbol) for v in variants]
            variants = longer + variants if symbol < 0 and -1 - symbol in nullable else longer
        for variant in variants:
            if variant:
                found[left, variant] = None
    # what could only be empty derives nothing now
    while changed:
        changed = False
        full = {left for left, _ in found}
        for rule in list(found):
            if any(s < 0 and -1 - s not in full for s in rule[1]):
                del found[rule]
                changed = True
    work.rules = list(found)


def _merge_units(work: Cfg) -> None:
    """One nonterminal for those that derive each other alone."""
    units: dict[int, set[int]] = {}
    for left, right in work.rules:
        if len(right) == 1 and right[0] < 0:
            units.setdefault(left, set()).add(-1 - right[0])
    reach: dict[int, set[int]] = {}
    for left in units:
        seen, stack = set[int](), [left]
        while stack:
            for other in units.get(stack.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    stack.append(other)
        reach[left] = seen
    into: dict[int, int] = {}
    for left in sorted(reach):
        if left in reach[left]:
            into[left] = min(other for other in reach[left] if left in reach.get(other, ()))
    if not into:
        return

    def renamed(symbol: Symbol) -> Symbol:
        return symbol if symbol >= 0 else nonterminal(into.get(-1 - symbol, -1 - symbol))

    rules = [(into.get(left, left), tuple(map(renamed, right))) for left, right in work.rules]
    work.rules = [rule for rule in dict.fromkeys(rules) if rule[1] != (nonterminal(rule[0]),)]
    work.start = into.get(work.start, work.start)


def _operators(work: Cfg) -> None:
    """Lists of operands for nonterminals with a rule that both begins and ends with themselves."""
    of: dict[int, list[tuple[Symbol, ...]]] = {}
    for left, right in work.rules:
        of.setdefault(left, []).append(right)
    rules: list[Rule] = []
    for left, rights in of.items():
        own = nonterminal(left)
        doubled = [r for r in rights if len(r) >= 2 and r[0] == own and r[-1] == own]
        if not doubled:
            rules += [(left, right) for right in rights]
            continue
        prefix = [r for r in rights if len(r) >= 2 and r[-1] == own and r[0] != own]
        postfix = [r for r in rights if len(r) >= 2 and r[0] == own and r[-1] != own]
        others = [r for r in rights if r[0] != own and r[-1] != own]
        operand, inner = work.new(f"{work.names[left]} operand"), work.new(f"{work.names[left]} inner")
        u, w = nonterminal(operand), nonterminal(inner)
        rules.append((left, (u,)))
        rules += [(left, (*r[:-1], u)) for r in doubled]
        rules.append((operand, (w,)))
        rules += [(operand, (*r[:-1], u)) for r in prefix]
        rules += [(inner, (w, *r[1:])) for r in postfix]
        rules += [(inner, r) for r in others]
    work.rules = rules


def describe(work: Cfg, terminals: Sequence[str]) -> Iterable[str]:
    """The rules as text, for debugging."""
    for left, right in work.rules:
        shown = " ".join(terminals[s] if s >= 0 else work.names[-1 - s] for s in right)
        yield f"{work.names[left]} -> {shown}"
