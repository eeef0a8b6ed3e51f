"""Lowering of context-free grammars: LR tables as arrays, and nodes that read the terminals of a parser's state.

The nodes are made when a parser first comes to a state in which just these terminals can follow (`Program.lex`): for
plain terminals one OP_TERM each; for a lexer one for each of its components, under the obligation that the token before
left. What follows a terminal is OP_SHIFT, and then OP_LEX again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from grammars.automaton.program import Program
from grammars.automaton.terminals import TerminalStore
from grammars.cfg.lexicon import Lexicon
from grammars.cfg.lr import LrTable
from grammars.cfg.terminals import LexTerminal, Piece, PlainTerminal
from grammars.errors import BudgetExceeded
from grammars.kernels.layout import (
    L_ACT,
    L_CLASSES,
    L_CONTEXT,
    L_GOTO,
    L_HEAD,
    L_KERNELS,
    L_NUMBER,
    L_REDS,
    L_RULES,
    L_SHIFTS,
    OP_ALT,
    OP_LEX,
    OP_PARSE,
    OP_SHIFT,
)
from grammars.regex import CharDfa, Regex

__all__ = ["LEXED_CLASSES", "Lexer", "Parser", "add_lexed", "add_parser", "add_plain", "lower_lexed", "lower_plain"]

Lex = Callable[[int, int, int, int], int]

LEXED_CLASSES = 4
"""Classes of the obligations of a lexer, see `lr_costs`."""

_WORD = 60
_MOST_TERMINALS = 240
_HALF = (1 << 30) - 1


@dataclass
class Lexer:
    """What a lexer does in each context of a parser.

    `contexts[c]`: the components to run, as (order, instead, every), see `Lexicon.component`; `context_of[s]`: the
    context of a state; `ignored`: terminals that the parser never sees.
    """

    lexicon: Lexicon
    contexts: list[list[tuple[tuple[int, ...], tuple[tuple[int, tuple[int, ...]], ...], frozenset[int]]]]
    context_of: list[int]
    ignored: frozenset[int]


@dataclass
class Parser:
    """A parser in a program, and how its terminals are made: what `lr_costs` needs."""

    table: LrTable
    number: int
    lexer: Lexer | None
    start_of: Callable[[object, int], tuple[int, Piece | None]]
    """Of a terminal (plain), or of the key of a component under an obligation: state, -1 where nothing fits."""
    keys: list[object] = field(default_factory=list)


def _halves(mask: int, words: int) -> list[int]:
    out = []
    for _ in range(words):
        out += [mask & _HALF, mask >> 30 & _HALF]
        mask >>= _WORD
    return out


def add_parser(program: Program, table: LrTable, context_of: Sequence[int], classes: int) -> int:
    """Write the tables of a parser, with classes of obligations; their offset."""
    states, terminals = len(table.actions), table.terminals + 1
    if terminals > _MOST_TERMINALS:
        raise BudgetExceeded("max_terminals", _MOST_TERMINALS, terminals, "Join terminals, or split the grammar.")
    words = (terminals + _WORD - 1) // _WORD
    flat = [states, terminals, table.nonterminals, words, table.start] + [0] * (L_HEAD - 5)
    flat[L_ACT] = len(flat)
    flat += [0] * (states * terminals)
    for state, cells in enumerate(table.actions):
        for terminal, actions in cells.items():
            flat[flat[L_ACT] + state * terminals + terminal] = len(flat)
            flat += [len(actions), *actions]
    flat[L_GOTO] = len(flat)
    for gotos in table.gotos:
        flat += [gotos.get(n, -1) for n in range(table.nonterminals)]
    flat[L_RULES] = len(flat)
    for size, left in table.rules:
        flat += [size, left]
    flat[L_SHIFTS] = len(flat)
    for state, cells in enumerate(table.actions):
        shifted = sum(1 << t for t, actions in cells.items() if any(action >= 0 for action in actions))
        shifted |= (state in table.accepting) << table.end
        flat += _halves(shifted, words)
    flat[L_REDS] = len(flat)
    flat += [0] * states
    for state, cells in enumerate(table.actions):
        reduced: dict[int, int] = {}
        for terminal, actions in cells.items():
            for action in actions:
                if action < 0:
                    reduced[-1 - action] = reduced.get(-1 - action, 0) | 1 << terminal
        flat[flat[L_REDS] + state] = len(flat)
        flat.append(len(reduced))
        for rule, mask in reduced.items():
            flat += [rule, *_halves(mask, words)]
    flat[L_CONTEXT] = len(flat)
    flat += context_of
    bases = item_bases(table)
    lefts = [left for _, left in table.rules] + [-1]
    flat[L_KERNELS] = len(flat)
    flat += [0] * states
    for state, kernel in enumerate(table.kernels):
        flat[flat[L_KERNELS] + state] = len(flat)
        flat.append(len(kernel))
        for rule, dot in kernel:
            flat += [bases[rule] + dot, lefts[rule]]
    flat[L_CLASSES], flat[L_NUMBER] = classes, len(program.parsers)
    return program.lr.extend(flat)


def item_bases(table: LrTable) -> list[int]:
    """Number of the first item of each rule, the starting one included; then of all items."""
    bases = [0]
    for right in table.rights:
        bases.append(bases[-1] + len(right) + 1)
    return bases


def _start(program: Program, table: int, empty: bool) -> int:
    """The root node of a parser. Not `empty`: the text must not end before a terminal (none is empty)."""
    return program.add(OP_PARSE, table, lex_node(program, 0, empty))


def lex_node(program: Program, duty: int, may_end: bool) -> int:
    """Read what can come under an obligation; `may_end`: the obligation holds at the end of the text."""
    return program.add(OP_LEX, duty, int(may_end), program.done)


def _whole(program: Program, root: int) -> Program:
    program.roots.extend((*([program.end] * 16), program.end, root))
    program.parsed_only = True
    return program


def _nothing(program: Program) -> int:
    return program.add(OP_ALT, 0, 0)


def lower_plain(table: LrTable, terminals: Sequence[Regex], store: TerminalStore) -> Program:
    """A parser over regular expressions, each of which may end wherever it matches."""
    program = Program(store)
    root, program.lex = add_plain(program, table, terminals, store)
    return _whole(program, root)


def add_plain(
    program: Program, table: LrTable, terminals: Sequence[Regex], store: TerminalStore, empty: bool = True
) -> tuple[int, Lex]:
    """As `lower_plain`, as a part of a program: its root, and what `Program.lex` does for its table.

    `empty`: whether the empty text counts, if it is one.
    """
    offset = add_parser(program, table, [0] * len(table.actions), 1)
    again = lex_node(program, 0, True)
    starts: dict[int, int] = {}

    def terminal(number: int) -> int:
        if number not in starts:
            q = store.start_of(PlainTerminal(CharDfa(terminals[number])))
            starts[number] = program.terminal(q, program.add(OP_SHIFT, number, again))
        return starts[number]

    def start_of(number: object, _duty: int) -> tuple[int, None]:
        assert isinstance(number, int)
        return int(program.node.data[4 * terminal(number) + 1]), None

    program.parsers.append(Parser(table, len(program.parsers), None, start_of, list(range(len(terminals)))))

    def lex(_table: int, _context: int, _duty: int, possible: int) -> int:
        nodes = [terminal(t) for t in range(len(terminals)) if possible >> t & 1]
        return program.choice(nodes) if nodes else _nothing(program)

    return _start(program, offset, empty), lex


def lower_lexed(table: LrTable, lexer: Lexer, store: TerminalStore) -> Program:
    """A parser over a lexer that decides where tokens end."""
    program = Program(store)
    root, program.lex = add_lexed(program, table, lexer, store, alone=True)
    return _whole(program, root)


def add_lexed(
    program: Program, table: LrTable, lexer: Lexer, store: TerminalStore, alone: bool = False, empty: bool = True
) -> tuple[int, Lex]:
    """As `lower_lexed`, as a part of a program: its root, and what `Program.lex` does for its table.

    `alone`: no text follows that of the parser. `empty`: whether the empty text counts, if it is one.
    """
    offset = add_parser(program, table, lexer.context_of, LEXED_CLASSES)
    return _start(program, offset, empty), _lexing(program, table, lexer, store, alone)


def _lexing(program: Program, table: LrTable, lexer: Lexer, store: TerminalStore, alone: bool) -> Lex:
    lexicon = lexer.lexicon
    piece = Piece(lexicon, alone)
    ignored = sum(1 << number for number in lexer.ignored)
    endings: list[int] = []
    blocks: dict[int, int] = {}
    last = -1, 0  # the latest block, and of how many labels
    components: dict[int, int] = {}  # by the identity of a key: to hash one takes longer than what else a node takes

    def block_for(start: int) -> int:
        """What follows each label that can come from a state on; what the parser cannot take it leaves out itself."""
        nonlocal last
        if start not in blocks:
            for label in piece.labels[len(endings) :]:
                endings.append(make_ending(label))
            if last[0] < 0 or last[1] != len(endings):
                last = program.block(endings), len(endings)
            blocks[start] = last[0]
        return blocks[start]

    def make_ending(label: tuple[tuple[int, int], ...]) -> int:
        nodes = []
        for terminal, duty in label:
            again = lex_node(program, duty, lexicon.holds_at_end(duty))
            nodes.append(again if terminal in lexer.ignored else program.add(OP_SHIFT, terminal, again))
        return program.choice(nodes) if nodes else _nothing(program)

    def start_of(key: Any, duty: int) -> tuple[int, Piece | None]:
        start = piece.start(lexicon.component(*key), duty)
        if start < 0:
            return -1, piece
        return store.start_of(LexTerminal(piece, piece.become(start), start)), piece

    keys = list(dict.fromkeys(key for context in lexer.contexts for key in context))
    for key in keys:  # tens of milliseconds at most, which the first masks would take otherwise
        components[id(key)] = lexicon.component(*key)
    program.parsers.append(Parser(table, len(program.parsers), lexer, start_of, keys))  # type: ignore[arg-type]

    def lex(_table: int, context: int, duty: int, possible: int) -> int:
        viable = possible & (1 << table.terminals) - 1 | ignored
        nodes = []
        for key in lexer.contexts[context]:
            component = components.get(id(key))
            if component is None:
                component = components[id(key)] = lexicon.component(*key)
            start = piece.start(component, duty)
            here = viable & piece.become(start) if start >= 0 else 0
            if here:
                q = store.start_of(LexTerminal(piece, here, start))
                nodes.append(program.terminal(q, block_for(start)))
        return program.choice(nodes) if nodes else _nothing(program)

    return lex
