"""The machine of `layout` in the obvious way: what the kernels must agree with, bit for bit.

Where it sits: beside the kernels, over the same `Program`; only tests and debugging sessions run it. A state is a
frozenset of places, a frame a nested tuple, and a token is allowed if its bytes can be stepped one after the other:
no arena, no vocabulary trie, no tiers, no memo, no hashes of keys. The tables are read back into names and lists of
words (`ObjectRules`, `_words`), so that nothing here depends on how the kernels walk them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from grammars.automaton.hashes import hash_value
from grammars.automaton.program import Program
from grammars.kernels import layout as at
from grammars.kernels import reference_lr
from grammars.kernels.reference_spelling import begins, begins_canonically, decoded, from_symbols, is_among, may_differ

__all__ = ["Reference", "State"]

QUOTE = 34
NO_END = float("inf")


class Root(NamedTuple):
    """The document: node `after` follows its value."""

    after: int


class Object(NamedTuple):
    """An open object: offset of its table, the keys written so far, the duties that are not met yet."""

    table: int
    written: tuple[str, ...]
    duties: int
    parent: Frame


class Array(NamedTuple):
    """An open array: offset of its table, the number of items begun, the state of its automaton (or 0).

    Where items must differ: the finished ones (as text) and the text of the open one.
    """

    table: int
    items: int
    state: int
    used: tuple[str, ...]
    text: bytes
    parent: Frame


class Call(NamedTuple):
    """A called part: node `after` follows it."""

    after: int
    parent: Frame


class Parse(NamedTuple):
    """A parser: offset of its table, its stack of states."""

    table: int
    stack: tuple[int, ...]
    parent: Frame


Frame = Root | Object | Array | Call | Parse


class End(NamedTuple):
    """The document is complete."""


class Inside(NamedTuple):
    """In a terminal: the node that started it, the terminal's state, characters so far."""

    node: int
    q: int
    characters: int
    frame: Frame


class Text(NamedTuple):
    """In one of the words of a literal trie (its root), with `prefix` read."""

    trie: int
    prefix: bytes
    frame: Frame


class Word(NamedTuple):
    """In a key, or in a freely spelled word of a list: `content` read; q: the terminal of undeclared keys, or None."""

    node: int
    content: bytes
    q: int | None
    frame: Frame


Place = End | Inside | Text | Word
State = frozenset[Place]


@dataclass(frozen=True, slots=True)
class ObjectRules:
    """An object table read back: names in declared order; `values` holds the names that may be written."""

    names: tuple[str, ...]
    values: dict[str, int]
    required: frozenset[str]
    any_order: bool
    is_open: bool
    undeclared: int
    others: int
    low: int
    high: float
    need: tuple[int, ...]

    def completable(self, written: tuple[str, ...], due: int = 0) -> bool:
        """Whether keys can be added until the object may close, `due` undeclared ones among them."""
        missing = self.required - set(written)
        left = [name for name in self.values if name not in written]
        if not self.any_order:
            places = [self.names.index(key) if key in self.names else len(self.names) for key in written]
            cursor = max(places, default=-1)
            left = [name for name in left if self.names.index(name) > cursor]
        if not missing <= set(left) or len(written) + len(missing) + due > self.high:
            return False
        return self.is_open or len(written) + len(left) >= self.low

    def addable(self, written: tuple[str, ...], duties: int = 0) -> list[str]:
        """Declared names that may come next."""
        names = [name for name in self.values if name not in written]
        if not self.any_order:
            last = max((self.names.index(key) if key in self.names else len(self.names) for key in written), default=-1)
            names = [name for name in names if self.names.index(name) > last]
        return [name for name in names if self.completable((*written, name), self.need[duties])]

    def may_open(self, written: tuple[str, ...], duties: int = 0) -> bool:
        """Whether an undeclared key may come next (which name does not matter: a lone surrogate is never declared)."""
        return self.is_open and self.completable((*written, "\ud800"), max(0, self.need[duties] - 1))

    def may_close(self, written: tuple[str, ...], duties: int = 0) -> bool:
        """Whether the object is complete."""
        return self.required <= set(written) and len(written) >= self.low and not duties


class Reference:
    """The machine of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.store = program.store
        self._objects: dict[int, ObjectRules] = {}
        self._tries: dict[int, dict[tuple[int, ...], int]] = {}

    # ------------------------------------------------------------------------------------------ states

    def start(self) -> State:
        """The state before the first byte."""
        places: set[Place] = set()
        end, root = self.program.roots.data[16:18].tolist()
        self._close(root, Root(end), places)
        return frozenset(places)

    def step(self, state: State, byte: int) -> State:
        """The state after a byte; empty: it cannot come."""
        places: set[Place] = set()
        for place in state:
            if not isinstance(place, End):
                place = place._replace(frame=_with_byte(place.frame, byte)) if self.program.unique else place
            if isinstance(place, Text):
                self._step_text(place, byte, places)
            elif isinstance(place, Word):
                self._step_word(place, byte, places)
            elif isinstance(place, Inside):
                self._step_terminal(place, byte, places)
        return frozenset(places)

    def run(self, state: State, data: bytes) -> State:
        """The state after some bytes."""
        for byte in data:
            state = self.step(state, byte)
            if not state:
                break
        return state

    @staticmethod
    def accepting(state: State) -> bool:
        """Whether the document may end."""
        return End() in state

    def mask(self, state: State, tokens: Sequence[bytes], eos: Iterable[int]) -> list[bool]:
        """Which tokens may come next; those without bytes are never allowed, EOS ids where the document may end."""
        allowed = [bool(token) and bool(self.run(state, token)) for token in tokens]
        for i in eos:
            allowed[i] = self.accepting(state)
        return allowed

    def next_bytes(self, state: State) -> bytes:
        """The bytes that may come next."""
        return bytes(byte for byte in range(256) if self.step(state, byte))

    def forced(self, state: State, limit: int) -> bytes:
        """The only continuation, up to `limit` bytes: ends where there is a choice or where the document may end."""
        found = bytearray()
        while len(found) < limit and not self.accepting(state):
            following = self.next_bytes(state)
            if len(following) != 1:
                break
            state = self.step(state, following[0])
            found += following
        return bytes(found)

    # ------------------------------------------------------------------------------------------ closure

    def _node(self, n: int) -> tuple[int, int, int, int]:
        op, a, b, c = self.program.node.data[4 * n : 4 * n + 4].tolist()
        if op == at.OP_LAZY:
            assert self.program.expand is not None
            self.program.expand(n)
            return self._node(n)
        return op, a, b, c

    def _root(self, first: int, close: bool, add: bool) -> int:
        return int(self.program.roots.data[first + at.CLOSE * close + at.ADD * add])

    def _close(self, n: int, frame: Frame, places: set[Place]) -> None:
        """Add all places that node n leads to without reading a byte."""
        op, a, b, c = self._node(n)
        if op == at.OP_END:
            places.add(End())
        elif op == at.OP_TERM:
            if a != 0:  # the sink
                places.add(Inside(n, a, 0, frame))
            label = self._label(a)
            if label >= 0 and self._bounds(c)[0] == 0:
                self._close(b + label, frame, places)
        elif op == at.OP_TRIE:
            words = self._words(a)
            if any(words) and self._word_new(a, b"", frame):
                places.add(Text(a, b"", frame))
            if () in words:
                self._close(words[()], frame, places)
        elif op == at.OP_ALT:
            for i in range(b):
                self._close(int(self.program.alts.data[a + i]), frame, places)
        elif op == at.OP_OBJ:
            duties = (1 << int(self.program.ospec.data[a + at.O_DUTIES])) - 1
            self._enter_object(Object(a, (), duties, frame), 0, places)
        elif op == at.OP_ARR:
            state = int(self.program.aspec.data[a + at.A_STATES])
            self._enter_array(Array(a, 0, state, (), b"", frame), 8, places)
        elif op == at.OP_DONE:
            self._leave(frame, places)
        elif op == at.OP_POP:
            assert isinstance(frame, Object | Array)
            self._leave(frame.parent, places)
        elif op == at.OP_KEY:
            assert isinstance(frame, Object)
            rules = self._rules(frame.table)
            is_open = rules.may_open(frame.written, frame.duties)
            places.add(Word(n, b"", rules.undeclared if is_open else None, frame))
        elif op == at.OP_ITEM:
            assert isinstance(frame, Array)
            for item, state in self._items(frame):
                self._close(item, frame._replace(items=frame.items + 1, state=state, text=b""), places)
        elif op == at.OP_PAY:
            assert isinstance(frame, Object)
            paid = frame._replace(duties=frame.duties & ~a)
            rules = self._rules(frame.table)
            missing = len(rules.required - set(frame.written))
            if len(frame.written) + missing + rules.need[paid.duties] <= rules.high:
                self._close(b, paid, places)
        elif op == at.OP_FRESH:
            assert isinstance(frame, Array)
            if int(self.program.whash.data[a]) not in [_hash(used) for used in frame.used]:
                self._close(b, frame, places)
        elif op == at.OP_DTRIE:
            places.add(Word(n, b"", None, frame))
        elif op in (at.OP_PARSE, at.OP_LEX, at.OP_SHIFT):
            self._parse(op, (a, b, c), frame, places)
        else:
            assert op == at.OP_CALL
            self._close(a, Call(b, frame), places)

    def _parse(self, op: int, operands: tuple[int, int, int], frame: Frame, places: set[Place]) -> None:
        """A parser begins, reads a terminal, or has read one."""
        a, b, c = operands
        program = self.program
        if op == at.OP_PARSE:
            self._close(b, Parse(a, (int(program.lr.data[a + at.L_START]),), frame), places)
            return
        assert isinstance(frame, Parse)
        table, stack = frame.table, frame.stack
        if op == at.OP_SHIFT:
            for after in reference_lr.shifted(program.lr.data, table, stack, a):
                self._close(b, frame._replace(stack=after), places)
            return
        if b and reference_lr.may_end(program.lr.data, table, stack):
            self._close(c, frame.parent, places)
        place = table + int(program.lr.data[table + at.L_CONTEXT]) + stack[-1]
        assert program.lex is not None
        possible = reference_lr.viable(program.lr.data, table, stack)
        self._close(program.lex(table, int(program.lr.data[place]), a, possible), frame, places)

    def _leave(self, frame: Frame, places: set[Place]) -> None:
        """A value in `frame` is complete."""
        if isinstance(frame, Array) and self._is_unique(frame):
            text = frame.text.decode().strip()
            if is_among(text, frame.used):
                return
            frame = frame._replace(used=(*frame.used, text))
        if isinstance(frame, Object | Array) and self._repeats(frame):
            return
        if isinstance(frame, Object):
            self._enter_object(frame, 4, places)
        elif isinstance(frame, Array):
            self._enter_array(frame, 12, places)
        elif isinstance(frame, Call):
            self._close(frame.after, frame.parent, places)
        else:
            assert isinstance(frame, Root)
            self._close(frame.after, frame, places)

    def _enter_object(self, frame: Object, roots: int, places: set[Place]) -> None:
        self._close(self._root(roots, self._may_close(frame), self._may_add(frame)), frame, places)

    def _enter_array(self, frame: Array, roots: int, places: set[Place]) -> None:
        self._close(self._root(roots, self._may_close(frame), self._may_add(frame)), frame, places)

    def _may_close(self, frame: Object | Array) -> bool:
        if isinstance(frame, Object):
            return self._rules(frame.table).may_close(frame.written, frame.duties)
        if self._counts(frame):
            return bool(self.program.aspec.data[frame.state + at.AS_CLOSES])
        return frame.items >= int(self.program.aspec.data[frame.table + at.A_MIN])

    def _may_add(self, frame: Object | Array) -> bool:
        if isinstance(frame, Array):
            return bool(self._items(frame))
        rules = self._rules(frame.table)
        return bool(rules.addable(frame.written, frame.duties)) or rules.may_open(frame.written, frame.duties)

    # ------------------------------------------------------------------------------------------ items that differ

    def _is_unique(self, frame: Frame) -> bool:
        return isinstance(frame, Array) and bool(self.program.aspec.data[frame.table + at.A_FLAGS] & at.AF_UNIQUE)

    def _counts(self, frame: Array) -> bool:
        return bool(self.program.aspec.data[frame.table + at.A_FLAGS] & at.AF_STATES)

    def _repeats(self, frame: Frame) -> bool:
        """Whether nothing can be added up to an item that must be new, and that item is then an old one."""
        closers = b""
        first = True
        while isinstance(frame, Object | Array | Call):
            if not first and isinstance(frame, Array) and self._is_unique(frame):
                return bool(closers) and is_among((frame.text + closers).decode().strip(), frame.used)
            if isinstance(frame, Object | Array):
                if self._may_add(frame):
                    return False
                closers += b"}" if isinstance(frame, Object) else b"]"
            first = False
            frame = frame.parent
        return False

    def _word_new(self, trie: int, prefix: bytes, frame: Frame) -> bool:
        """Whether a listed word with this beginning has a value that the array does not have; many values: yes."""
        if not isinstance(frame, Array) or not self._is_unique(frame):
            return True
        used = {_hash(text) for text in frame.used}
        for word, number in self._numbers(trie).items():
            if bytes(word[: len(prefix)]) == prefix:
                first, count = self.program.words.data[2 * number : 2 * number + 2].tolist()
                hashes = set(self.program.whash.data[first : first + count].tolist())
                if not hashes or hashes - used:
                    return True
        return False

    def _numbers(self, trie: int) -> dict[tuple[int, ...], int]:
        """The words of a literal trie with their numbers: they are in order, from the root's first one on."""
        first = int(self.program.st.data[6 * trie + 3])
        return {word: first + place for place, word in enumerate(sorted(self._words(trie)))}

    def _term_new(self, node: int, q: int, characters: int, frame: Frame) -> bool:
        """Whether a canonically spelled item that stands in a terminal can still become new."""
        if not isinstance(frame, Array) or not self._is_unique(frame):
            return True
        text = frame.text.lstrip()
        if self.program.free_spelling:
            return may_differ(self._row, self._label, q, text, frame.used)
        used = [item.encode() for item in frame.used if item.encode().startswith(text)]
        return not used or self._new_below(node, q, characters, text, used)

    def _new_below(self, node: int, q: int, characters: int, text: bytes, used: list[bytes]) -> bool:
        if not used:
            return True
        _, _, _, index = self._node(node)
        low, high = self._bounds(index)
        for byte in range(256):
            following = self._row(q)[byte]
            if following < 0:
                continue
            count = characters
            final = not any(target >= 0 for target in self._row(following))
            if not final:
                count += self._boundary(following)
                if high < NO_END and count + self._due(following) > high:
                    continue
            ends = self._label(following) >= 0 and count >= low
            longer = text + bytes((byte,))
            if ends and longer not in used:
                return True
            left = [item for item in used if item.startswith(longer)]
            if not final and self._new_below(node, following, count, longer, left):
                return True
        return False

    # ------------------------------------------------------------------------------------------ steps

    def _step_text(self, place: Text, byte: int, places: set[Place]) -> None:
        words = self._words(place.trie)
        prefix = (*place.prefix, byte)
        longer = any(len(word) > len(prefix) and word[: len(prefix)] == prefix for word in words)
        if longer and self._word_new(place.trie, bytes(prefix), place.frame):
            places.add(Text(place.trie, bytes(prefix), place.frame))
        if prefix in words:
            self._close(words[prefix], place.frame, places)

    def _step_terminal(self, place: Inside, byte: int, places: set[Place]) -> None:
        _, _, following, index = self._node(place.node)
        low, high = self._bounds(index)
        q = self._row(place.q)[byte]
        if q < 0:
            return
        characters = place.characters
        if any(target >= 0 for target in self._row(q)):
            # still inside: the characters of the shortest way to an end must fit as well
            characters += self._boundary(q)
            if high < NO_END and characters + self._due(q) > high:
                return
            if self._term_new(place.node, q, characters, place.frame):
                places.add(Inside(place.node, q, characters if index >= 0 else 0, place.frame))
        label = self._label(q)
        if label >= 0 and characters >= low:
            self._close(following + label, place.frame, places)

    def _step_word(self, place: Word, byte: int, places: set[Place]) -> None:
        frame = place.frame
        words: dict[str, int] = {}
        if self._node(place.node)[0] == at.OP_KEY:
            assert isinstance(frame, Object)
            rules = self._rules(frame.table)
            words = {name: rules.values[name] for name in rules.addable(frame.written, frame.duties)}
        else:
            trie = self._node(place.node)[1]
            words = {from_symbols(word, True): n for word, n in self._words(trie).items()}
            if self._is_unique(frame):
                assert isinstance(frame, Array)
                words = {word: n for word, n in words.items() if not is_among(json.dumps(word), frame.used)}
        q = -1 if place.q is None else self._row(place.q)[byte]
        text = decoded(place.content)
        if byte == QUOTE and text is not None:
            if not isinstance(frame, Object) or self._node(place.node)[0] != at.OP_KEY:
                if text in words:
                    self._close(words[text], frame, places)
            elif text in words:
                self._close(words[text], frame._replace(written=(*frame.written, text)), places)
            elif q >= 0 and text not in rules.names and text not in frame.written:
                after = int(self.program.ospec.data[rules.others + self._label(q)])
                self._close(after, frame._replace(written=(*frame.written, text)), places)
            return
        content = place.content + bytes((byte,))
        if q >= 0 and isinstance(frame, Object) and decoded(content) in (*frame.written, *rules.names):
            # the same key again, or a declared one, unless it gets longer
            q = q if any(target >= 0 for other, target in enumerate(self._row(q)) if other != QUOTE) else -1
        spells = begins if self.program.free_spelling else begins_canonically
        if q >= 0 or any(spells(word, content) for word in words):
            places.add(Word(place.node, content, q if q >= 0 else None, frame))

    # ------------------------------------------------------------------------------------------ tables

    def _row(self, q: int) -> list[int]:
        self.store.fill(q)
        return self.store.trans.data[256 * q : 256 * q + 256].tolist()

    def _label(self, q: int) -> int:
        return (int(self.store.info.data[q]) & at.LABEL) - 1

    def _boundary(self, q: int) -> bool:
        return bool(int(self.store.info.data[q]) & at.BOUNDARY)

    def _bounds(self, index: int) -> tuple[int, float]:
        if index < 0:
            return 0, NO_END
        low, high = self.program.bounds.data[index : index + 2].tolist()
        return low, NO_END if high < 0 else high

    def _due(self, q: int) -> int:
        """Characters completed on the way from terminal state q to the nearest end of its terminal, level by level."""
        seen, level, steps = {q}, [q], 0
        while True:
            for state in level:  # grows by what is reached without completing a character
                if self._label(state) >= 0:
                    return steps
                inside = {t for t in self._row(state) if t >= 0 and not self._boundary(t)} - seen
                seen |= inside
                level.extend(sorted(inside))
            level = sorted({t for state in level for t in self._row(state) if t >= 0 and self._boundary(t)} - seen)
            seen |= set(level)
            steps += 1

    def _items(self, frame: Array) -> list[tuple[int, int]]:
        """Nodes of the next item, each with the automaton's state after it."""
        if not self._counts(frame):
            item = self._item(frame)
            return [] if item is None else [(item, 0)]
        state = self.program.aspec.data[frame.state :]
        edges = state[at.AS_HEAD : at.AS_HEAD + 2 * int(state[at.AS_EDGES])].tolist()
        return list(zip(edges[::2], edges[1::2], strict=True))

    def _item(self, frame: Array) -> int | None:
        table = self.program.aspec.data[frame.table :]
        prefix, items, high = int(table[at.A_PREFIX]), int(table[at.A_ITEMS]), int(table[at.A_MAX])
        if 0 <= high <= frame.items:
            return None
        if frame.items < prefix:
            return int(table[at.A_HEAD + frame.items])
        return items if items >= 0 else None

    def _words(self, trie: int) -> dict[tuple[int, ...], int]:
        """The words of a literal trie with what follows each."""
        if trie not in self._tries:
            found: dict[tuple[int, ...], int] = {}
            pending: list[tuple[int, tuple[int, ...]]] = [(trie, ())]
            while pending:
                s, word = pending.pop()
                edge, edges, following = self.program.st.data[6 * s : 6 * s + 3].tolist()
                if following >= 0:
                    found[word] = following
                for i in range(edge, edge + edges):
                    symbol, target = self.program.edge.data[2 * i : 2 * i + 2].tolist()
                    pending.append((target, (*word, symbol)))
            self._tries[trie] = found
        return self._tries[trie]

    def _need(self, duties: int, offset: int) -> tuple[int, ...]:
        return tuple(self.program.ospec.data[offset : offset + (1 << duties)].tolist()) if duties else (0,)

    def _rules(self, table: int) -> ObjectRules:
        if table not in self._objects:
            head = self.program.ospec.data[table : table + at.O_HEAD].tolist()
            n = head[at.O_N]
            columns = self.program.ospec.data[table + at.O_HEAD :]

            def column(k: int, i: int) -> int:
                return int(columns[k * n + i])

            words = self._words(head[at.O_TRIE]) if n else {}
            index = {from_symbols(word, self.program.free_spelling): i for word, i in words.items()}
            names = tuple(sorted(index, key=lambda name: column(at.P_POS, index[name])))
            self._objects[table] = ObjectRules(
                names,
                {name: column(at.P_VALUE, index[name]) for k, name in enumerate(names) if column(at.P_USABLE, k)},
                frozenset(name for name in names if column(at.P_REQ, index[name])),
                bool(head[at.O_FLAGS] & at.OF_ANY),
                bool(head[at.O_FLAGS] & at.OF_OPEN),
                head[at.O_Q],
                head[at.O_OTHER],
                head[at.O_MIN],
                float("inf") if head[at.O_MAX] < 0 else head[at.O_MAX],
                self._need(head[at.O_DUTIES], head[at.O_NEED]),
            )
        return self._objects[table]


def _with_byte(frame: Frame, byte: int) -> Frame:
    """The frame with one more byte in the open items around."""
    if isinstance(frame, Array):
        return frame._replace(text=frame.text + bytes((byte,)), parent=_with_byte(frame.parent, byte))
    if isinstance(frame, Root):
        return frame
    return frame._replace(parent=_with_byte(frame.parent, byte))


def _hash(text: str) -> int:
    return hash_value(json.loads(text, parse_float=Decimal))
