"""The terminals of a grammar as one lexer: which of them a text begins with, and how long it is.

Lark's lexers match with `re`: the terminals of a context are tried in order, and what a pattern prefers (greedy, lazy,
first branch) decides its length. An automaton does that with an ordered list of threads (as in Rust's and RE2's
"leftmost first" matchers): a thread that matches cuts off those behind it, and those before it may still win later.

The one idea here: where a thread matches, the token may end, under an *obligation*: what follows must not let a
thread win that stands before it. So a lexer that looks ahead becomes a machine that guesses the end of a token and is
held to its guess. Look-ahead in a pattern is an obligation as well. An obligation is a small automaton of its own; it
is discharged after a character or two nearly always.

    Lexicon      the automaton of all threads over one alphabet, obligations
    Component    terminals that compete with each other (their first characters meet): a state to start in

The contexts of a parser try different terminals, but a character later they mostly do the same. So all components of a
lexicon are states of one automaton, in which what has the same threads is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from grammars.cfg.patterns import Ahead, Alt, Behind, Cat, Chars, Rep, Tree, least_width
from grammars.errors import BudgetExceeded, GrammarError
from grammars.regex.charset import Charset
from grammars.regex.language import Alphabet

__all__ = ["BLOCKED", "Automaton", "Label", "Lexicon"]

BLOCKED = -1
_MOST_STATES = 20_000
_AHEAD = 40  # characters that are looked ahead for duties that forbid the same

Looks = frozenset[tuple[bool, frozenset[int]]]
"""Pending look-aheads of a thread: (negated, threads of its body)."""
Thread = tuple[int, Looks]
Place = tuple[tuple[Thread, ...], frozenset[int]]
"""Threads in order of preference; beside them what look-behinds and keywords have seen."""
Label = tuple[tuple[int, int], ...]
"""Ways in which a token can end in a state: (terminal, obligation); only one of them will hold."""

_NONE: Looks = frozenset()


def _sets(tree: Tree) -> Iterable[Charset]:
    if isinstance(tree, Chars):
        yield tree.charset
    elif isinstance(tree, Cat | Alt):
        for item in tree.items:
            yield from _sets(item)
    else:
        yield from _sets(tree.body)


@dataclass
class Automaton:
    """Deterministic, over classes of characters; grows by components."""

    places: list[Place] = field(default_factory=list)
    moves: list[list[tuple[int, int]]] = field(default_factory=list)  # (mask of classes, state)
    ends: list[Label] = field(default_factory=list)
    reach: list[int] = field(default_factory=list)  # terminals that some text from here on ends with, as bits


class Lexicon:
    """Terminals over one alphabet; numbers of terminals are places in `trees`."""

    def __init__(self, trees: Sequence[Tree], names: Sequence[str]) -> None:
        self.names = list(names)
        self.alphabet = Alphabet(sorted({charset for tree in trees for charset in _sets(tree)}))
        self._mask: list[int] = []  # of a node that reads a character
        self._next: list[int] = []
        self._ways: list[tuple[int, ...]] = []  # of a node that reads none, in order of preference
        self._check: list[tuple[str, bool, int] | None] = []
        self._match: dict[int, int] = {}  # node -> terminal
        self._behinds: dict[int, int] = {}  # start of a look-behind -> the node where it has matched
        self._at_end: set[int] = set()  # nodes that have matched where the text ends
        self.starts: list[int] = []
        self._obligations: dict[frozenset[tuple[object, ...]], int] = {frozenset(): 0}
        self._duties: list[frozenset[tuple[object, ...]]] = [frozenset()]
        self._duty_moves: list[list[tuple[int, int]] | None] = [[(self.alphabet.full, 0)]]
        self._alike: dict[tuple[object, ...], int] = {(True, frozenset({(0, self.alphabet.full)})): 0}
        self._pending: set[frozenset[tuple[object, ...]]] = set()
        self._dead: dict[int, bool] = {}
        self.automaton = Automaton()
        self._components: dict[tuple[object, ...], int] = {}
        self._states: dict[tuple[Place, tuple[object, ...]], int] = {}
        for number, tree in enumerate(trees):
            end = self._node()
            self._match[end] = number
            self.starts.append(self._build(tree, end, 0, names[number]))

    # ------------------------------------------------------------------------------------------ threads

    def _node(self) -> int:
        self._mask.append(0)
        self._next.append(-1)
        self._ways.append(())
        self._check.append(None)
        return len(self._mask) - 1

    def _build(self, tree: Tree, after: int, read: int, name: str) -> int:
        """Node that matches `tree` and goes on at `after`; `read`: characters that were read before it at least."""
        if isinstance(tree, Chars):
            node = self._node()
            self._mask[node], self._next[node] = self.alphabet.mask_of[tree.charset], after
            return node
        if isinstance(tree, Cat):
            widths = [least_width(item) for item in tree.items]
            for place in range(len(tree.items) - 1, -1, -1):
                after = self._build(tree.items[place], after, read + sum(widths[:place]), name)
            return after
        if isinstance(tree, Alt):
            node = self._node()
            self._ways[node] = tuple(self._build(item, after, read, name) for item in tree.items)
            return node
        if isinstance(tree, Rep):
            return self._build_repetition(tree, after, read, name)
        node = self._node()
        end = self._node()
        self._match[end] = -1
        if isinstance(tree, Ahead):
            body, tail = _without_tail(tree.body)
            if any(isinstance(part, Ahead | Behind) for part in _parts(body)):
                raise GrammarError(1, 1, f"terminal {name} has an assertion within another", "Write the cases out.")
            if tail is not None:
                last = self._node()
                mask = self.alphabet.mask_of[tail.charset]
                self._mask[last], self._next[last] = self.alphabet.full & ~mask, end
                self._at_end.add(last)
                end = last
            start = self._build(body, end, read, name)
            self._check[node] = ("ahead", tree.negated, start)
        else:
            width = least_width(tree.body)
            if width > read:
                raise GrammarError(
                    1, 1, f"terminal {name} looks behind its own start",
                    "A look-behind, ^ or \\b can only see characters of the terminal itself.",
                )  # fmt: skip
            if any(isinstance(part, Ahead | Behind) for part in _parts(tree.body)):
                raise GrammarError(1, 1, f"terminal {name} has an assertion within another", "Write the cases out.")
            start = self._build(tree.body, end, read, name)
            self._behinds[start] = end
            self._check[node] = ("behind", tree.negated, end)
        self._next[node] = after
        return node

    def _build_repetition(self, tree: Rep, after: int, read: int, name: str) -> int:
        def either(body: int, out: int) -> tuple[int, ...]:
            return (out, body) if tree.lazy else (body, out)

        width = least_width(tree.body)
        if tree.most is None:
            loop = self._node()
            start = self._build(tree.body, loop, read + tree.least * width, name)
            self._ways[loop] = either(start, after)
            node = loop
        else:
            node = after
            for done in range(tree.most - 1, tree.least - 1, -1):
                choice = self._node()
                self._ways[choice] = either(self._build(tree.body, node, read + done * width, name), after)
                node = choice
        for done in range(tree.least - 1, -1, -1):
            node = self._build(tree.body, node, read + done * width, name)
        return node

    def _leaves(self, seeds: Iterable[int]) -> frozenset[int]:
        """Nodes that read a character or have matched, from nodes without preference (bodies of assertions)."""
        found, stack = set(), list(seeds)
        seen = set(stack)
        while stack:
            node = stack.pop()
            if self._mask[node] or node in self._match:
                found.add(node)
            for way in self._ways[node]:
                if way not in seen:
                    seen.add(way)
                    stack.append(way)
        return frozenset(found)

    def _stepped(self, leaves: frozenset[int], bit: int) -> frozenset[int]:
        return self._leaves([self._next[node] for node in leaves if self._mask[node] & bit])

    def _close(self, seeds: Iterable[Thread], beside: frozenset[int]) -> tuple[Thread, ...]:
        """The threads that the seeds lead to, in order, cut after the first that has matched for certain."""
        order: list[Thread] = []
        seen: set[Thread] = set()
        stack = list(seeds)[::-1]
        while stack:
            thread = stack.pop()
            if thread in seen:
                continue
            seen.add(thread)
            node, looks = thread
            check = self._check[node]
            if check is not None:
                kind, negated, at = check
                if kind == "behind":
                    if (at in beside) == negated:
                        continue
                else:
                    body = self._leaves((at,))
                    if any(self._match.get(leaf) == -1 for leaf in body):
                        if negated:
                            continue
                    else:
                        looks = looks | {(negated, body)}
                stack.append((self._next[node], looks))
            elif self._mask[node] or node in self._match:
                order.append((node, looks))
            else:
                stack.extend((way, looks) for way in reversed(self._ways[node]))
        kept: list[Thread] = []
        flipped: set[tuple[bool, frozenset[int]]] = set()
        for node, looks in order:
            held = looks | flipped
            if any((not negated, body) in held for negated, body in held):
                continue
            kept.append((node, held))
            if node in self._match:
                own = looks - flipped
                if not own:
                    break
                if len(own) > 1:
                    raise GrammarError(
                        1, 1, "a terminal ends under several look-aheads at once", "Combine them into one."
                    )
                ((negated, body),) = own
                flipped.add((not negated, body))
        return tuple(kept)

    def _step_threads(self, threads: Iterable[Thread], bit: int) -> list[Thread]:
        seeds = []
        for node, looks in threads:
            if self._mask[node] & bit:
                held = self._step_looks(looks, bit)
                if held is not None:
                    seeds.append((self._next[node], held))
        return seeds

    def _step_looks(self, looks: Looks, bit: int) -> Looks | None:
        """Look-aheads after a character; None: one of them has failed."""
        if not looks:
            return looks
        held = []
        for negated, body in looks:
            after = self._stepped(body, bit)
            if any(node in self._match for node in after):
                if negated:
                    return None
            elif not after:
                if not negated:
                    return None
            else:
                held.append((negated, after))
        return frozenset(held)

    def _classes(self, masks: Iterable[int]) -> list[int]:
        """The coarsest partition of all classes that respects the masks."""
        parts = [self.alphabet.full]
        for mask in set(masks):
            split = []
            for part in parts:
                split += [piece for piece in (part & mask, part & ~mask) if piece]
            parts = split
        return parts

    # ------------------------------------------------------------------------------------------ obligations

    def obligation(self, duties: Iterable[tuple[object, ...]]) -> int:
        """Number of a set of duties; 0: none.

        Duties that forbid the same are one: after each letter of a keyword a name leaves other threads behind, all of
        which only say that no letter may follow. So tokens end with few labels, and are followed by few nodes.
        """
        key = frozenset(duties)
        number = self._obligations.get(key)
        if number is None:
            moves = self._moves_ahead(key)
            alike = None if moves is None else (self._holds(key), frozenset((target, mask) for mask, target in moves))
            number = None if alike is None else self._alike.get(alike)
            if number is None:
                number = self._obligations.get(key, len(self._duties))  # it may be one of those that followed
            if number == len(self._duties):
                self._duties.append(key)
                self._duty_moves.append(moves)
            self._obligations[key] = number
            if moves is not None and alike is not None:
                self._alike.setdefault(alike, number)
                if not alike[0] and all(target == BLOCKED for _, target in moves):
                    self._dead[number] = True
        return number

    def _moves_ahead(self, key: frozenset[tuple[object, ...]]) -> list[tuple[int, int]] | None:
        """As `duty_moves`, where all that follows is over after a few characters; else None."""
        if len(self._pending) >= _AHEAD or key in self._pending:
            return None
        self._pending.add(key)
        try:
            moves = self._find_moves(key)
        finally:
            self._pending.discard(key)
        return None if any(target > 0 and self._duty_moves[target] is None for _, target in moves) else moves

    @property
    def obligations(self) -> int:
        """How many there are so far: numbers below."""
        return len(self._duties)

    def both(self, one: int, other: int) -> int:
        """Two obligations at once."""
        return one if not other else self.obligation(self._duties[one] | self._duties[other])

    def holds_at_end(self, number: int) -> bool:
        """Whether the text may end under an obligation."""
        return self._holds(self._duties[number])

    def _holds(self, duties: Iterable[tuple[object, ...]]) -> bool:
        for kind, what, *_ in duties:
            if kind != "never" and (kind == "must") == self._at_end.isdisjoint(what):  # type: ignore[arg-type]
                return False
        return True

    def is_dead(self, number: int) -> bool:
        """Whether no text fulfils an obligation: "not as, so it must go on" and "it must not go on"."""
        known = self._dead.get(number)
        if known is None:
            stack, seen = [number], {number}
            known = True
            while stack and known:
                one = stack.pop()
                if not one or self.holds_at_end(one):
                    known = False
                    break
                for _, after in self.duty_moves(one):
                    if after != BLOCKED and after not in seen:
                        seen.add(after)
                        stack.append(after)
            self._dead[number] = known
        return known

    def _never(self, threads: Iterable[Thread], beside: frozenset[int]) -> list[tuple[object, ...]]:
        """The duty that none of the threads ever matches."""
        running = [thread for thread in threads if thread[0] not in self._match]
        if not running:
            return []
        seen = self._only_behind(beside)
        if all(not looks for _, looks in running):
            return [("never", tuple(sorted(running, key=lambda thread: thread[0])), seen)]
        return [("never", tuple(running), seen)]

    def _look_duties(self, looks: Looks) -> list[tuple[object, ...]]:
        return [("must not" if negated else "must", body) for negated, body in looks]

    def _only_behind(self, beside: frozenset[int]) -> frozenset[int]:
        return frozenset(node for node in beside if node in self._in_behinds())

    def _in_behinds(self) -> frozenset[int]:
        if not hasattr(self, "_behind_nodes"):
            found: set[int] = set()
            stack = list(self._behinds)
            while stack:
                node = stack.pop()
                if node not in found and node >= 0:
                    found.add(node)
                    stack += [*self._ways[node], self._next[node]]
            self._behind_nodes = frozenset(found)
        return self._behind_nodes

    def _beside_after(self, beside: frozenset[int], bit: int) -> frozenset[int]:
        if not beside and not self._behinds:
            return beside
        again = [start for start in self._behinds]
        return self._leaves([*(self._next[node] for node in beside if self._mask[node] & bit), *again])

    def duty_moves(self, number: int) -> list[tuple[int, int]]:
        """(mask of classes, obligation afterwards or BLOCKED): disjoint, all classes."""
        moves = self._duty_moves[number]
        if moves is None:
            moves = self._duty_moves[number] = self._find_moves(self._duties[number])
        return moves

    def _find_moves(self, duties: frozenset[tuple[object, ...]]) -> list[tuple[int, int]]:
        masks: list[int] = []
        for kind, what, *rest in duties:
            if kind == "never":
                masks += [self._mask[node] for node, _ in what]  # type: ignore[attr-defined]
                bodies = [body for _, looks in what for _, body in looks]  # type: ignore[attr-defined]
                masks += [self._mask[node] for body in bodies for node in body]
                masks += [self._mask[node] for node in rest[0]]  # type: ignore[attr-defined]
                masks += [self._mask[node] for node in self._leaves(self._behinds)]
            else:
                masks += [self._mask[node] for node in what]  # type: ignore[attr-defined]
        by_target: dict[int, int] = {}
        for part in self._classes(masks):
            target = self._duty_step(duties, part & -part)
            by_target[target] = by_target.get(target, 0) | part
        return [(mask, target) for target, mask in by_target.items()]

    def _duty_step(self, given: frozenset[tuple[object, ...]], bit: int) -> int:
        duties: list[tuple[object, ...]] = []
        for kind, what, *rest in given:
            if kind == "never":
                beside = self._beside_after(rest[0], bit)  # type: ignore[arg-type]
                threads = self._close(self._step_threads(what, bit), beside)  # type: ignore[arg-type]
                for node, looks in threads:
                    if node in self._match:
                        if not looks:
                            return BLOCKED
                        if len(looks) > 1:
                            raise GrammarError(1, 1, "a terminal ends under several look-aheads", "Combine them.")
                        duties += self._look_duties(frozenset((not negated, body) for negated, body in looks))
                duties += self._never(threads, beside)
            else:
                after = self._stepped(what, bit)  # type: ignore[arg-type]
                matched = any(node in self._match for node in after)
                if kind == "must":
                    if not matched:
                        if not after:
                            return BLOCKED
                        duties.append((kind, after))
                elif matched:
                    return BLOCKED
                elif after:
                    duties.append((kind, after))
        number = self.obligation(duties)
        return BLOCKED if self._dead.get(number) else number

    # ------------------------------------------------------------------------------------------ components

    def first(self, terminal: int) -> int:
        """Mask of the classes that a terminal begins with (no look-ahead considered)."""
        mask = 0
        seen, stack = set(), [self.starts[terminal]]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            mask |= self._mask[node]
            stack += self._ways[node]
            if self._check[node] is not None:
                stack.append(self._next[node])
        return mask

    def component(
        self, order: tuple[int, ...], instead: tuple[tuple[int, tuple[int, ...]], ...], every: frozenset[int]
    ) -> int:
        """State in which a token begins, of terminals tried in `order`. `instead`: texts of a terminal that are another
        one (keywords). `every`: may end wherever they match, not only where `re` would end them."""
        key = (order, instead, every)
        found = self._components.get(key)
        if found is None:
            found = self._components[key] = self._explore(order, dict(instead), every)
        return found

    def _explore(self, order: tuple[int, ...], instead: dict[int, tuple[int, ...]], every: frozenset[int]) -> int:
        automaton, numbers = self.automaton, self._states
        words = [word for listed in instead.values() for word in listed]
        beside = self._leaves([*(self.starts[word] for word in words), *self._behinds])
        full: tuple[object, ...] = (tuple(sorted(instead.items())), every)
        plain: tuple[object, ...] = ((), every)
        behind = self._in_behinds()

        def number(place: Place) -> int:
            # which texts are keywords matters as long as one is under way
            key = place, plain if place[1] <= behind else full
            found = numbers.get(key)
            if found is None:
                found = numbers[key] = len(automaton.places)
                automaton.places.append(place)
            return found

        first = len(automaton.places)
        start = number((self._close([(self.starts[t], _NONE) for t in order], beside), beside))
        state = first
        while state < len(automaton.places):
            if state - first > _MOST_STATES:
                raise BudgetExceeded("max_states", _MOST_STATES, remedy="Simplify the terminals, or rename some apart.")
            place = automaton.places[state]
            threads, beside = place
            masks = [self._mask[node] for node, _ in threads] + [self._mask[node] for node in beside]
            masks += [self._mask[node] for _, looks in threads for _, body in looks for node in body]
            by_target: dict[int, int] = {}
            live = 0
            for node, _ in threads:
                live |= self._mask[node]
            for part in self._classes(masks):
                if not part & live:
                    continue
                bit = part & -part
                after = self._beside_after(beside, bit)
                target: Place = (self._close(self._step_threads(threads, bit), after), after)
                if target[0]:
                    to = number(target)
                    by_target[to] = by_target.get(to, 0) | part
            automaton.moves.append([(mask, t) for t, mask in by_target.items()])
            automaton.ends.append(self._ends(place, instead, every))
            state += 1
        _reach(automaton, first)
        return start

    def _ends(self, place: Place, instead: dict[int, tuple[int, ...]], every: frozenset[int]) -> Label:
        threads, beside = place
        found: list[tuple[int, int]] = []
        for index, (node, looks) in enumerate(threads):
            terminal = self._match.get(node)
            if terminal is None:
                continue
            for word in instead.get(terminal, ()):
                if any(self._match.get(seen) == word for seen in beside):
                    number = word
                    break
            else:
                number = terminal
            duties = self._look_duties(looks)
            if terminal not in every:
                duties += self._never(threads[:index], beside)
            obligation = self.obligation(duties)
            if not self.is_dead(obligation):
                found.append((number, obligation))
        return tuple(found)


def _without_tail(tree: Tree) -> tuple[Tree, Chars | None]:
    """The body of a look-ahead, and the characters that must not follow it (as in `(?!if\\b)`)."""
    if isinstance(tree, Cat) and tree.items:
        last = tree.items[-1]
        if isinstance(last, Ahead) and last.negated and isinstance(last.body, Chars):
            return Cat(tree.items[:-1]), last.body
    return tree, None


def _parts(tree: Tree) -> Iterable[Tree]:
    yield tree
    if isinstance(tree, Cat | Alt):
        for item in tree.items:
            yield from _parts(item)
    elif not isinstance(tree, Chars):
        yield from _parts(tree.body)


def _reach(automaton: Automaton, first: int) -> None:
    """Reach of the states from `first` on; that of those before is known, and they lead to none of these."""
    reach = automaton.reach
    for label in automaton.ends[first:]:
        found = 0
        for terminal, _ in label:
            found |= 1 << terminal
        reach.append(found)
    before: list[list[int]] = [[] for _ in reach[first:]]
    for state in range(first, len(reach)):
        for _, target in automaton.moves[state]:
            if target >= first:
                before[target - first].append(state)
            reach[state] |= reach[target]
    queue = list(range(first, len(reach)))
    while queue:
        state = queue.pop()
        for previous in before[state - first]:
            if reach[state] & ~reach[previous]:
                reach[previous] |= reach[state]
                queue.append(previous)
