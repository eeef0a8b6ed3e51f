"""`CharDfa`: the automaton of a `Regex` over characters, built state by state on demand.

A state is an interned term (see `terms`); its number is the order in which it was first reached. Only live states get
a number, so each of them can reach acceptance. For most terms that is plain from their form; where intersections,
complements or assertions are involved it is decided by a search for the nearest accepting term, best (shortest
possible rest) first, within `max_states`.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from heapq import heappop, heappush
from threading import Lock

from grammars.errors import BudgetExceeded
from grammars.regex.horizon import ENDLESS, Freely, agreement, endless, free, longest
from grammars.regex.language import Alphabet, Regex, alphabet_for, collect, lower
from grammars.regex.lengths import meets_length
from grammars.regex.terms import AND, Term, Terms

__all__ = ["CharDfa", "char_dfa", "is_empty", "start_term"]


def start_term(regex: Regex) -> tuple[Terms, Alphabet, Term]:
    """Arena, alphabet and term of `regex`."""
    sets: set[tuple[tuple[int, int], ...]] = set()
    collect(regex.node, sets)
    alphabet = alphabet_for(frozenset(sets))
    terms = Terms(alphabet.full)
    return terms, alphabet, lower(regex.node, terms, alphabet.mask_of)


_spare: OrderedDict[Regex, CharDfa] = OrderedDict()
_lock = Lock()


@lru_cache(maxsize=4096)
def is_empty(regex: Regex, budget: int) -> bool:
    """No text at all? A verdict that took a search is remembered, and its automaton kept for `char_dfa`."""
    dfa = CharDfa(regex, max_states=budget)
    if len(dfa._alive) > 50:
        with _lock:
            _spare[regex] = dfa
            while len(_spare) > 16:
                _spare.popitem(last=False)
    return dfa.start < 0


def char_dfa(regex: Regex) -> CharDfa:
    """The automaton, with the search done if `is_empty` was asked before; it belongs to the caller alone."""
    with _lock:
        found = _spare.pop(regex, None)
    return found or CharDfa(regex)


class CharDfa:
    """Lazy DFA; states are ints, -1 is dead, and `start` is -1 when the language is empty."""

    def __init__(self, regex: Regex, *, max_states: int = 50_000) -> None:
        self.regex = regex
        self.max_states = max_states
        self.terms, self.alphabet, term = start_term(regex)
        self._states: list[Term] = []
        self._number: dict[Term, int] = {}
        self._moves: list[list[tuple[int, int]] | None] = []
        self._alive: dict[Term, bool] = {}
        self._nearest: dict[int, int] = {}
        self._endless: dict[int, int] = {}
        self.start = self._state(term)

    def _state(self, term: Term) -> int:
        number = self._number.get(term)
        if number is None:
            if not (term.live or term.nullable or self._is_alive(term)):
                number = -1
            else:
                number = len(self._states)
                if number >= self.max_states:
                    raise BudgetExceeded("max_states", self.max_states, None, "Simplify the pattern.")
                self._states.append(term)
                self._moves.append(None)
            self._number[term] = number
        return number

    def moves(self, state: int) -> list[tuple[int, int]]:
        """(mask of classes, target) of a state: disjoint masks, live targets."""
        moves = self._moves[state]
        if moves is None:
            moves = []
            for mask, term in self.terms.derive(self._states[state]):
                target = self._state(term)
                if target >= 0:
                    moves.append((mask, target))
            self._moves[state] = moves
        return moves

    def is_universal(self, state: int) -> bool:
        """Whether all strings may follow (as far as simplification sees it)."""
        return self._states[state] is self.terms.all

    def shortest(self, state: int) -> int:
        """No text that may follow is shorter than this."""
        return self._states[state].shortest

    def longest(self, state: int) -> int:
        """No text that may follow is longer than this; `horizon.ENDLESS` where that is not known."""
        return longest(self._states[state])

    def agreement(self, state: int) -> int:
        """Characters up to which texts fare the same from here and from `endless`; -1: not known."""
        return agreement(self.terms, self._states[state])

    def endless(self, state: int) -> int:
        """A state of the same pattern without upper counts: one for many states that are nearly alike."""
        known = self._endless.get(state)
        if known is None:
            known = self._state(endless(self.terms, self._states[state]))
            known = self._endless[state] = state if known < 0 else known
        return known

    def free(self, state: int) -> Freely:
        """Characters that lead to no dead end in any order, and what is known of texts of them; see `horizon.free`."""
        return free(self.terms, self._states[state], self._least)

    def free_of(self, term: Term) -> Freely:
        """`free` of a term."""
        return free(self.terms, term, self._least)

    def number(self, term: Term) -> int:
        """The state of a term, -1 where it is empty."""
        return self._state(term)

    def term(self, state: int) -> Term:
        """The term of a state."""
        return self._states[state]

    def is_alive(self, term: Term) -> bool:
        """Whether the term has a text."""
        return term.live or term.nullable or self._is_alive(term)

    def least(self, term: Term) -> int:
        """Length of the shortest text of a term, exactly."""
        return term.shortest if term.plain else self.nearest(self._state(term))

    def _least(self, term: Term) -> int:
        """Length of the shortest text of a term; not less than that where it would take long to find."""
        try:
            return term.shortest if term.plain else self.nearest(self._state(term), 2000)
        except BudgetExceeded:
            return ENDLESS

    def loops(self, state: int) -> int:
        """Mask of the classes that leave the state as it is."""
        return next((mask for mask, target in self.moves(state) if target == state), 0)

    def nearest(self, state: int, limit: int = 20_000) -> int:
        """Characters of the shortest text that may follow, exactly. Looks at most at `limit` states."""
        term = self._states[state]
        if term.plain:
            return term.shortest
        known = self._nearest
        if state not in known:
            self._search_nearest(state, limit)
        return known[state]

    def _search_nearest(self, start: int, limit: int) -> None:
        """A*: `shortest` never says too much. All states on the way found are remembered."""
        known, states = self._nearest, self._states
        before, steps = {start: -1}, {start: 0}
        heap = [(states[start].shortest, 0, start)]
        while heap:
            least, done, state = heappop(heap)
            if done > steps[state]:
                continue
            if known.get(state, 0 if self.accepting(state) else -1) == least - done:
                while state >= 0:
                    known[state] = least - steps[state]
                    state = before[state]
                return
            for _, target in self.moves(state):
                if done + 1 < steps.get(target, limit):
                    if len(steps) >= limit:
                        raise BudgetExceeded("max_states", limit, None, "Simplify the pattern.")
                    before[target], steps[target] = state, done + 1
                    rest = known.get(target, 0 if self.accepting(target) else max(1, states[target].shortest))
                    heappush(heap, (done + 1 + rest, done + 1, target))
        raise AssertionError("a live state reaches acceptance")

    def accepting(self, state: int) -> bool:
        """May the text end here?"""
        return self._states[state].nullable

    def step(self, state: int, code: int) -> int:
        """The state after one more character, -1 when no text of the language begins so."""
        if state < 0:
            return -1
        number = self.alphabet.class_at(code)
        if number >= 0:
            for mask, target in self.moves(state):
                if mask >> number & 1:
                    return target
        return -1

    def ranges(self, state: int) -> list[tuple[int, int, int]]:
        """(low, high, target) of a state: sorted, disjoint, only live targets."""
        target_of: dict[int, int] = {}
        for mask, target in self.moves(state):
            while mask:
                bit = mask & -mask
                target_of[bit.bit_length() - 1] = target
                mask ^= bit
        out: list[tuple[int, int, int]] = []
        alphabet = self.alphabet
        for low, high, number in zip(alphabet.starts, alphabet.ends, alphabet.classes, strict=True):
            target = target_of.get(number, -1)
            if target < 0:
                continue
            if out and out[-1][2] == target and out[-1][1] == low - 1:
                out[-1] = (out[-1][0], high, target)
            else:
                out.append((low, high, target))
        return out

    def words(self, most: int) -> list[str] | None:
        """All strings of the language in code point order; None if they are more than `most` (or infinitely many)."""
        found: list[str] = []
        path: set[int] = set()

        def visit(state: int, text: str) -> bool:
            if state in path:
                return False
            path.add(state)
            if self.accepting(state):
                found.append(text)
            for low, high, target in self.ranges(state):
                if high - low >= most or len(found) > most:
                    return False
                for code in range(low, high + 1):
                    if not visit(target, text + chr(code)):
                        return False
            path.discard(state)
            return len(found) <= most

        if self.start < 0:
            return []
        return found if visit(self.start, "") else None

    def matches(self, text: str) -> bool:
        """Is `text` in the language?"""
        state = self.start
        for char in text:
            state = self.step(state, ord(char))
            if state < 0:
                return False
        return state >= 0 and self.accepting(state)

    def example(self) -> str:
        """A short text of the language; ValueError when it is empty."""
        if self.start < 0:
            raise ValueError("the language is empty, it has no example")
        came: dict[int, tuple[int, int]] = {self.start: (-1, 0)}
        heap = [(self._states[self.start].shortest, 0, self.start)]
        while heap:
            _, depth, state = heappop(heap)
            if self.accepting(state):
                return self._spell(state, came)
            for mask, target in self.moves(state):
                if target not in came:
                    if len(came) >= self.max_states:
                        raise BudgetExceeded("max_states", self.max_states)
                    came[target] = (state, mask)
                    heappush(heap, (self._states[target].shortest, depth + 1, target))
        raise AssertionError("a live state reaches acceptance")

    def _spell(self, state: int, came: dict[int, tuple[int, int]]) -> str:
        chars: list[str] = []
        while True:
            before, mask = came[state]
            if before < 0:
                return "".join(reversed(chars))
            chars.append(self._char_in(mask))
            state = before

    def _char_in(self, mask: int) -> str:
        alphabet = self.alphabet
        best = -1
        for low, high, number in zip(alphabet.starts, alphabet.ends, alphabet.classes, strict=True):
            if number < 0 or not mask >> number & 1:
                continue
            for wanted in (0x61, 0x30, 0x41, 0x21):
                if low <= wanted <= high:
                    return chr(wanted)
            if high >= 0x21 and best < 0x21:
                best = max(low, 0x21)
            elif best < 0:
                best = low
        return chr(best)

    # --- liveness -----------------------------------------------------------------------------------------------

    def _is_alive(self, term: Term) -> bool:
        """Can `term` reach a nullable term? Memoised; what is found marks every term on the way."""
        alive = self._alive
        known = alive.get(term)
        if known is not None:
            return known
        derive = self.terms.derive
        before: dict[Term, list[Term]] = {term: []}
        heap: list[tuple[int, int, int, Term]] = []
        count = 0
        current: Term | None = term
        while current is not None:
            if current.nullable or current.live or alive.get(current) or meets_length(self.terms, current):
                self._mark_alive(current, before)
                return True
            if alive.get(current) is None:
                for _, target in derive(current):
                    sources = before.get(target)
                    if sources is not None:
                        sources.append(current)
                        continue
                    before[target] = [current]
                    count += 1
                    if count > self.max_states:
                        raise BudgetExceeded(
                            "max_states", self.max_states, None, "Simplify the patterns that have to hold together."
                        )
                    # Of several languages that must hold together the longest says how far it is; progress in the
                    # others decides among equals. Then newest first: a deep walk ends sooner than a broad one.
                    others = sum(t.shortest for t in target.a) if target.op == AND else target.shortest
                    heappush(heap, (target.shortest, others, -count, target))
            current = heappop(heap)[3] if heap else None
        for dead in before:
            alive[dead] = False
        return False

    def _mark_alive(self, found: Term, before: dict[Term, list[Term]]) -> None:
        stack = [found]
        while stack:
            term = stack.pop()
            if self._alive.get(term):
                if term is not found:
                    continue
            self._alive[term] = True
            stack.extend(t for t in before.get(term, ()) if not self._alive.get(t))
