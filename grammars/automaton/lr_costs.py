"""What the terminals of a parser cost in tokens, and from them the cost tables of its stacks (`kernels.lrcosts`).

A terminal of a lexer may take more after some obligations than after others: a name after a name needs a blank between
them. Obligations fall into classes, by what they do to the terminals that the grammar puts after them; of a class the
dearest counts, so that costs are never too low and each class is at least as dear as the one before it:

    0  nothing costs more than without an obligation        2  it may: an ignored terminal may have to come between
    1  that of an ignored terminal, where it may            3  the text cannot end under it

What cannot be written at all after an obligation (two names where nothing is ignored) is left out: no text has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from grammars.automaton.lower_cfg import LEXED_CLASSES, Lexer, Parser, item_bases
from grammars.cfg.lr import LrTable
from grammars.kernels.layout import LC_DUTIES, LC_DUTY, LC_END, LC_EXITS, LC_HEAD, LC_REST, LC_TOTAL
from grammars.kernels.lrcosts import NEVER, solve_parser

__all__ = ["parser_costs"]

Ends = Callable[[int], dict[int, int]]
"""Tokens from a terminal state to each of its labels."""

_MOST = 300  # components under an obligation: what is not looked at counts as class 2


def parser_costs(parser: Parser, ends: Ends) -> tuple[list[int], int]:
    """The block of a parser for LRCOST, and how many tokens a terminal can add to what is due at most."""
    table = parser.table
    if parser.lexer is None:
        term = np.full((1, max(1, table.terminals), 1), NEVER, np.int32)
        for number in range(table.terminals):
            term[0, number, 0] = min(ends(parser.start_of(number, 0)[0]).values(), default=NEVER)
        classes, end = [0], [0]
    else:
        term, classes, end = _Lexing(parser, parser.lexer, ends).result()
    return _block(table, term, classes, end)


class _Lexing:
    """Costs of the terminals of a lexer by class of obligation.

    Only obligations that the cheapest texts leave are followed up, each terminal in the component with most
    competitors: what else a text may leave counts as class 2.
    """

    def __init__(self, parser: Parser, lexer: Lexer, ends: Ends) -> None:
        self.parser, self.lexer, self.ends = parser, lexer, ends
        self.after = _followers(parser.table)
        for number in lexer.ignored:
            self.after[number] = set(range(parser.table.terminals))
        for listed in self.after.values():
            listed |= lexer.ignored
        self.owners: dict[int, set[int]] = {}  # obligation -> terminals that leave it
        self.options: dict[int, dict[int, list[list[tuple[int, int]]]]] = {}
        """Obligation -> terminal -> for each component the cheapest (tokens, obligation left) of each obligation."""

    def result(self) -> tuple[npt.NDArray[np.int32], list[int], list[int]]:
        self._explore()
        lexicon, ignored = self.lexer.lexicon, self.lexer.ignored
        kind: dict[int, int] = {}
        for duty in self.options:
            if not lexicon.holds_at_end(duty):
                kind[duty] = 3
            elif duty and any(self._least(duty, t) > self._least(0, t) for t in self._next(duty) - ignored):
                kind[duty] = 1 if self.owners[duty] <= ignored else 2
            else:
                kind[duty] = 0
        count = LEXED_CLASSES
        term = np.full((count, max(1, self.parser.table.terminals), count), NEVER, np.int32)
        for number in range(count):
            if number:
                term[number] = term[number - 1]
            for duty in (d for d, k in kind.items() if k == number):
                wanted = self._next(duty) if duty else set(range(self.parser.table.terminals))
                for t in wanted - ignored:
                    self._cost(term, number, duty, t, kind)
        classes = [2 if lexicon.holds_at_end(duty) else 3 for duty in range(lexicon.obligations)]
        for duty, number in kind.items():
            classes[duty] = number
        return term, classes, [0, 0, 0, NEVER]

    def _cost(self, term: npt.NDArray[np.int32], number: int, duty: int, terminal: int, kind: dict[int, int]) -> None:
        """Raise the costs of a terminal after a class to those after one of its obligations."""
        ways = self.options[duty].get(terminal, [])
        for left in range(len(term)):
            cost = max(
                (min((c for c, after in way if kind.get(after, 2) <= left), default=NEVER) for way in ways),
                default=NEVER,
            )
            for blank in self.lexer.ignored:
                for between, after in (option for way in self.options[duty].get(blank, []) for option in way):
                    if kind.get(after, 2) < number:  # what was reckoned in must not be needed again after it
                        cost = min(cost, between + int(term[kind[after], terminal, left]))
            before = int(term[number, terminal, left]) if number or duty else NEVER
            if cost < NEVER:
                term[number, terminal, left] = cost if before == NEVER else max(before, cost)

    def _least(self, duty: int, terminal: int) -> int:
        return max((way[0][0] if way else NEVER for way in self.options[duty].get(terminal, [])), default=NEVER)

    def _next(self, duty: int) -> set[int]:
        """Terminals that the grammar puts after those which leave the obligation."""
        return set().union(*(self.after.get(owner, ()) for owner in self.owners.get(duty, ())))

    def _explore(self) -> None:
        keys: list[Any] = sorted(self.parser.keys, key=lambda key: -len(_terminals(key)))
        done: set[tuple[int, Any]] = set()
        queue = [0]
        for duty in queue:
            self.options.setdefault(duty, {})
            wanted = self._next(duty) if duty else set(range(self.parser.table.terminals)) | self.lexer.ignored
            wanted -= {t for key in keys if (duty, key) in done for t in _terminals(key)}
            for key in keys:
                if wanted & _terminals(key) and len(done) < _MOST:
                    wanted -= _terminals(key)
                    done.add((duty, key))
                    queue += self._component(key, duty)

    def _component(self, key: Any, duty: int) -> list[int]:
        """Note what the terminals of a component take under an obligation; what they leave, where that is new."""
        q, piece = self.parser.start_of(key, duty)
        assert piece is not None
        reach = piece.lexicon.automaton.reach[piece.lexicon.component(*key)]
        found: dict[int, dict[int, int]] = {t: {} for t in range(reach.bit_length()) if reach >> t & 1}
        for label, cost in (self.ends(q) if q >= 0 else {}).items():
            for terminal, left in piece.labels[label]:
                if terminal in found:
                    found[terminal][left] = min(cost, found[terminal].get(left, NEVER))
        new = []
        for terminal, lefts in found.items():
            least = min(lefts.values(), default=0)
            way = sorted((cost, left) for left, cost in lefts.items() if cost == least)[:4]
            self.options[duty].setdefault(terminal, []).append(way)
            for _, left in way:
                owners = self.owners.setdefault(left, set())
                if terminal not in owners:
                    owners.add(terminal)
                    new.append(left)
        return new


def _terminals(key: Any) -> set[int]:
    """The terminals of a component, by its key."""
    return {*key[0], *(word for _, words in key[1] for word in words)}


def _followers(table: LrTable) -> dict[int, set[int]]:
    """Terminals that stand directly after each terminal in some derivation."""
    lefts = [left for _, left in table.rules]
    empty: set[int] = set()
    first: list[set[int]] = [set() for _ in range(table.nonterminals)]
    last: list[set[int]] = [set() for _ in range(table.nonterminals)]
    changed = True
    while changed:
        changed = False
        for left, right in zip(lefts, table.rights, strict=False):
            if left not in empty and all(s < 0 and -1 - s in empty for s in right):
                empty.add(left)
                changed = True
            for sets, symbols in ((first, right), (last, right[::-1])):
                before = len(sets[left])
                for symbol in symbols:
                    sets[left] |= {symbol} if symbol >= 0 else sets[-1 - symbol]
                    if symbol >= 0 or -1 - symbol not in empty:
                        break
                changed = changed or len(sets[left]) != before
    after: dict[int, set[int]] = {t: set() for t in range(table.terminals)}
    for right in table.rights:
        for place, symbol in enumerate(right):
            ending = {symbol} if symbol >= 0 else last[-1 - symbol]
            for other in right[place + 1 :]:
                begun = {other} if other >= 0 else first[-1 - other]
                for terminal in ending:
                    after[terminal] |= begun
                if other >= 0 or -1 - other not in empty:
                    break
    return after


def _block(
    table: LrTable, term: npt.NDArray[np.int32], classes: list[int], end: list[int]
) -> tuple[list[int], int]:
    size = len(term)
    lefts = np.array([left for _, left in table.rules], np.int32)
    starts = np.cumsum([0, *map(len, table.rights)]).astype(np.int32)
    rights = np.array([symbol for right in table.rights for symbol in right] or [0], np.int32)
    rules_of = np.argsort(lefts, kind="stable").astype(np.int32)
    by_left = np.searchsorted(lefts[rules_of], np.arange(table.nonterminals + 1)).astype(np.int32)
    bases = np.array(item_bases(table), np.int32)
    kernels = np.array([bases[rule] + dot for kernel in table.kernels for rule, dot in kernel], np.int32)
    kernel_at = np.cumsum([0, *map(len, table.kernels)]).astype(np.int32)
    room = 1 << 14
    while True:
        nt = np.full((table.nonterminals, size, size), NEVER, np.int32)
        rest = np.full((int(bases[-1]), size, size), NEVER, np.int32)
        place = np.zeros((len(table.kernels), table.nonterminals), np.int32)
        out = np.zeros(room, np.int32)
        used = int(
            solve_parser(
                size, lefts, starts, rights, term.reshape(-1), by_left, rules_of, kernel_at, kernels,
                bases[:-1].copy(), nt.reshape(-1), rest.reshape(-1), place.reshape(-1),
                np.zeros(2 * table.nonterminals + 2, np.int32), out,
            )
        )  # fmt: skip
        if used >= 0:
            break
        room = -used
    total = int(rest[bases[len(table.rules)], 0][np.array(end) < NEVER].min())
    block = [0] * LC_HEAD
    for slot, values in (
        (LC_DUTY, classes),
        (LC_END, end),
        (LC_REST, rest.reshape(-1).tolist()),
    ):
        block[slot] = len(block)
        block += values
    block[LC_DUTIES], block[LC_TOTAL] = len(classes), total
    block[LC_EXITS] = len(block)
    exits = len(block) + place.size
    block += np.where(place > 0, place + exits, 0).reshape(-1).tolist()
    block += out[:used].tolist()
    dearest = int(rest[rest < NEVER].max(initial=0)) + int(out[:used][out[:used] < NEVER].max(initial=0))
    return block, dearest
