"""LR parsers in the obvious way, for the reference machine: a stack is a tuple of states, each terminal is tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from grammars.kernels import layout as at

__all__ = ["may_end", "shifted", "viable"]

Stack = tuple[int, ...]


def _actions(lr: Any, table: int, state: int, terminal: int) -> Iterator[int]:
    columns = int(lr[table + at.L_TERMINALS])
    place = int(lr[table + int(lr[table + at.L_ACT]) + state * columns + terminal])
    if place:
        count = int(lr[table + place])
        yield from lr[table + place + 1 : table + place + 1 + count].tolist()


def _reduced(lr: Any, table: int, stack: Stack, rule: int) -> Stack:
    rules = table + int(lr[table + at.L_RULES]) + 2 * rule
    size, left = int(lr[rules]), int(lr[rules + 1])
    below = stack[: len(stack) - size]
    goto = table + int(lr[table + at.L_GOTO]) + below[-1] * int(lr[table + at.L_NONTERMINALS]) + left
    return (*below, int(lr[goto]))


def _tops(lr: Any, table: int, stack: Stack, terminal: int) -> set[Stack]:
    """The stack, and all that reductions before a terminal make of it."""
    found, queue = {stack}, [stack]
    for current in queue:
        for action in _actions(lr, table, current[-1], terminal):
            if action < 0:
                after = _reduced(lr, table, current, -1 - action)
                if after not in found:
                    found.add(after)
                    queue.append(after)
    return found


def shifted(lr: Any, table: int, stack: Stack, terminal: int) -> set[Stack]:
    """The stacks after a terminal."""
    return {
        (*top, action)
        for top in _tops(lr, table, stack, terminal)
        for action in _actions(lr, table, top[-1], terminal)
        if action >= 0
    }


def may_end(lr: Any, table: int, stack: Stack) -> bool:
    """Whether the text may end here."""
    end = int(lr[table + at.L_TERMINALS]) - 1
    words = int(lr[table + at.L_WORDS])
    for top in _tops(lr, table, stack, end):
        place = table + int(lr[table + at.L_SHIFTS]) + 2 * (top[-1] * words + end // 60)
        if (int(lr[place]) | int(lr[place + 1]) << 30) >> end % 60 & 1:
            return True
    return False


def viable(lr: Any, table: int, stack: Stack) -> int:
    """The terminals that can come, the end of the text among them, as bits."""
    end = int(lr[table + at.L_TERMINALS]) - 1
    found = sum(1 << t for t in range(end) if shifted(lr, table, stack, t))
    return found | may_end(lr, table, stack) << end
