"""Regular languages as interned terms with symbolic derivatives.

The middle of `grammars.regex`: syntax trees are lowered to terms over an `Alphabet`, and a DFA state *is* a term.
The idea is Brzozowski's (1964): the derivative of a language by a character is the language of what may follow it.
A derivative is computed for all characters at once, as a list of pieces (mask of alphabet classes, term); classes in
no piece lead to the empty language. A bounded repetition r{m,n} derives to d(r) r{m-1,n-1}, so a bound of 10,000
costs one state a step and nothing up front. Intersection and complement are ordinary terms.

Assertions are exact, inside loops too:
  - look-behind, ^ and \\b carry the term of "what has been read so far", and *advance* it with every character, even
    in parts of the term that are not reached yet (`advance`);
  - look-ahead and $ are derived with the continuation at hand (`_derive_open`): (?=x) k becomes an intersection of
    the derivatives of x.* and of k. So a term that looks ahead always stretches to the end of the text; `closed`
    fences it where it is only a part of a longer one.

Rejected: a Thompson NFA with subset construction: counters would have to be unrolled, and complement determinised
before use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from grammars.errors import BudgetExceeded
from grammars.regex.term import (
    AHEAD,
    ALT,
    AND,
    BEHIND,
    CAT,
    CLOSED,
    EMPTY,
    ENCODED,
    FEW,
    NEVER,
    NOT,
    REP,
    SET,
    Encoded,
    Term,
    facts,
)  # fmt: skip

__all__ = [
    "AHEAD", "ALT", "AND", "BEHIND", "CAT", "CLOSED", "EMPTY", "ENCODED", "FEW", "NEVER", "NOT", "REP", "SET",
    "Encoded", "Term", "Terms",
]  # fmt: skip

Pieces = list[tuple[int, Term]]


class Terms:
    """Arena: builds, interns and derives terms over an alphabet of `full.bit_length()` classes."""

    def __init__(self, full: int, *, fuel: int = 2_000_000) -> None:
        self.full = full
        self.fuel = self.limit = fuel
        self._table: dict[tuple[object, ...], Term] = {}
        self.never = self._new((NEVER, None, None, None), False, live=False, may_empty=False)
        self.empty = self._new((EMPTY, None, None, None), True)
        self.any_char = self.chars(full)
        self.all = self._new((REP, self.any_char, 0, None), True)

    # --- constructors -------------------------------------------------------------------------------------------

    def _new(
        self,
        key: tuple[int, Any, Any, Any],
        nullable: bool,
        *,
        ahead: bool = False,
        behind: bool = False,
        live: bool = True,
        may_empty: bool | None = None,
        shortest: int = 0,
    ) -> Term:
        term = Term()
        term.op, term.a, term.b, term.c = key
        term.nullable = nullable
        term.ahead = ahead
        term.behind = behind
        term.live = live
        term.may_empty = nullable if may_empty is None else may_empty
        term.shortest = shortest
        op, one, other, _ = key
        term.plain = (
            all(item.plain for item in one)
            if op == ALT
            else one.plain and other.plain
            if op == CAT
            else one.plain
            if op == REP
            else op in (SET, EMPTY, NEVER) or (op == ENCODED and hasattr(one, "shortest"))
        )
        term.counts, term.may, term.must = facts(self.full, *key)
        term.uid = len(self._table)
        term.pieces = term.advanced = term.span = None
        self._table[key] = term
        return term

    def chars(self, mask: int) -> Term:
        """One character of the classes in `mask`."""
        if not mask:
            return self.never
        key = (SET, mask, None, None)
        return self._table.get(key) or self._new(key, False, shortest=1)

    def cat(self, head: Term, tail: Term) -> Term:
        """Concatenation, nested to the right; neighbouring repetitions of one body are added up."""
        never, empty = self.never, self.empty
        if head is never or tail is never:
            return never
        if head is empty:
            return tail
        if tail is empty:
            return head
        if head.op == CAT:
            parts = []
            while head.op == CAT:
                parts.append(head.a)
                head = head.b
            tail = self.cat(head, tail)
            for part in reversed(parts):
                tail = self.cat(part, tail)
            return tail
        if head is self.all:
            if tail.nullable and not tail.ahead and not tail.behind:
                return head
        elif tail is self.all and head.nullable and not head.ahead and not head.behind:
            return tail
        if head.op == REP:
            follower = tail.a if tail.op == CAT else tail
            body, low, high = head.a, head.b, head.c
            if isinstance(follower, Term) and follower.op == REP and follower.a is body:
                high = None if high is None or follower.c is None else high + follower.c
                joined = self.rep(body, low + follower.b, high)
                return self.cat(joined, tail.b) if tail.op == CAT else joined
        key = (CAT, head, tail, None)
        found = self._table.get(key)
        if found is None:
            found = self._new(
                key,
                head.nullable and tail.nullable,
                ahead=head.ahead or tail.ahead,
                behind=head.behind or tail.behind,
                live=head.live and tail.live,
                may_empty=head.may_empty and tail.may_empty,
                shortest=head.shortest + tail.shortest,
            )
        return found

    def alt(self, items: Iterable[Term]) -> Term:
        """Union, as a set: flattened, without duplicates, single characters and overlapping repetitions merged."""
        flat: set[Term] = set()
        for item in items:
            if item.op == ALT:
                flat.update(item.a)
            else:
                flat.add(item)
        flat.discard(self.never)
        if len(flat) > 1:
            if self.all in flat:
                return self.all
            self._merge(flat)
        if len(flat) < 2:
            return flat.pop() if flat else self.never
        key = (ALT, frozenset(flat), None, None)
        found = self._table.get(key)
        if found is None:
            self.spend(len(flat))
            found = self._new(
                key,
                any(t.nullable for t in flat),
                ahead=any(t.ahead for t in flat),
                behind=any(t.behind for t in flat),
                live=any(t.live for t in flat),
                may_empty=any(t.may_empty for t in flat),
                shortest=min(t.shortest for t in flat),
            )
        return found

    def _merge(self, flat: set[Term]) -> None:
        """Merge what a union holds twice: character sets, and r{a,b}k with r{c,d}k when the counts meet."""
        mask, sets = 0, 0
        by_loop: dict[tuple[Term, Term | None], list[Term]] | None = None
        for item in flat:
            if item.op == SET:
                mask |= item.a
                sets += 1
            else:
                head, tail = (item.a, item.b) if item.op == CAT else (item, None)
                if isinstance(head, Term) and head.op == REP:
                    by_loop = {} if by_loop is None else by_loop
                    by_loop.setdefault((head.a, tail), []).append(item)
        if sets > 1:
            flat -= {item for item in flat if item.op == SET}
            flat.add(self.chars(mask))
        if by_loop:
            for (body, tail), same in by_loop.items():
                if len(same) > 1:
                    self._merge_loops(flat, body, tail, same)
        if self.empty in flat and any(t.nullable and not t.ahead and not t.behind for t in flat if t is not self.empty):
            flat.discard(self.empty)

    def _merge_loops(self, flat: set[Term], body: Term, tail: Term | None, same: list[Term]) -> None:
        loops: list[Term] = [t.a if t.op == CAT else t for t in same]
        spans = sorted((loop.b, float("inf") if loop.c is None else loop.c) for loop in loops)
        merged: list[list[float]] = []
        for low, high in spans:
            if merged and low <= merged[-1][1] + 1:
                merged[-1][1] = max(merged[-1][1], high)
            else:
                merged.append([low, high])
        if len(merged) == len(same):
            return
        flat.difference_update(same)
        for low, high in merged:
            loop = self.rep(body, int(low), None if high == float("inf") else int(high))
            flat.add(loop if tail is None else self.cat(loop, tail))

    def rep(self, body: Term, low: int, high: int | None) -> Term:
        """`body` repeated `low` to `high` times (None: without bound)."""
        if high == 0 or body is self.empty:
            return self.empty
        if body is self.never:
            return self.empty if low == 0 else body
        if low == 1 and high == 1:
            return body
        plain = not body.ahead and not body.behind
        if plain and body.nullable:
            low = 0
            if body.op == REP and body.b == 0 and body.c in (1, None):
                # (r?){0,n} = r{0,n} and (r*){0,n} = r*
                return self.rep(body.a, 0, None if body.c is None else high)
        elif plain and body.op == REP and body.b == 1 and body.c is None and high is None:
            return self.rep(body.a, low, None)
        key = (REP, body, low, high)
        found = self._table.get(key)
        if found is None:
            found = self._new(
                key,
                low == 0 or body.nullable,
                ahead=body.ahead,
                behind=body.behind,
                live=body.live or low == 0,
                may_empty=low == 0 or body.may_empty,
                shortest=low * body.shortest,
            )
        return found

    def both(self, items: Iterable[Term]) -> Term:
        """Intersection."""
        flat: set[Term] = set()
        for item in items:
            if item.op == AND:
                flat.update(item.a)
            else:
                flat.add(item)
        flat.discard(self.all)
        if self.never in flat:
            return self.never
        if len(flat) < 2:
            return flat.pop() if flat else self.all
        known = self._table.get((AND, frozenset(flat), None, None))
        if known is not None:
            return known
        if self.empty in flat:
            return self.empty if all(t.nullable for t in flat) else self.never
        loops = [t for t in flat if t.op == REP and t.a is self.any_char]
        if len(loops) > 1:
            flat.difference_update(loops)
            highs: list[int] = [t.c for t in loops if t.c is not None]
            low, high = max(t.b for t in loops), min(highs, default=None)
            if high is not None and low > high:
                return self.never
            return self.both([*flat, self.rep(self.any_char, low, high)])
        if loops and loops[0].c is not None and any(t.shortest > loops[0].c for t in flat):
            return self.never
        for item in flat:
            if item.op == NOT and item.a in flat:
                return self.never
        may = self.full
        for item in flat:
            may &= item.may
        if may != self.full and any(not mask & may for item in flat for mask in item.must):
            return self.never
        key = (AND, frozenset(flat), None, None)
        found = self._table.get(key)
        if found is None:
            self.spend(len(flat))
            found = self._new(
                key,
                all(t.nullable for t in flat),
                ahead=any(t.ahead for t in flat),
                behind=any(t.behind for t in flat),
                live=False,
                shortest=max(t.shortest for t in flat),
            )
        return found

    def negate(self, item: Term) -> Term:
        """Complement with respect to all texts."""
        if item is self.never:
            return self.all
        if item is self.all:
            return self.never
        if item.op == NOT:
            inner: Term = item.a
            return inner
        key = (NOT, item, None, None)
        found = self._table.get(key)
        if found is None:
            found = self._new(
                key, not item.nullable, ahead=item.ahead, behind=item.behind, live=False, shortest=int(item.nullable)
            )
        return found

    def ahead(self, rest: Term, negated: bool) -> Term:
        """Assertion: the text from here to the end is (not) in `rest`."""
        if rest is self.all or rest is self.never:
            return self.empty if (rest is self.all) != negated else self.never
        key = (AHEAD, rest, negated, None)
        found = self._table.get(key)
        if found is None:
            nullable = rest.nullable != negated
            found = self._new(key, nullable, ahead=True, behind=rest.behind, live=False, may_empty=True)
        return found

    def behind(self, read: Term, negated: bool) -> Term:
        """Assertion: the text from the beginning to here is (not) in `read`, which is advanced as we go."""
        if read is self.all or read is self.never:
            return self.empty if (read is self.all) != negated else self.never
        key = (BEHIND, read, negated, None)
        found = self._table.get(key)
        if found is None:
            found = self._new(key, read.nullable != negated, behind=True, live=False, may_empty=True)
        return found

    def closed(self, item: Term) -> Term:
        """`item` as a part of something longer: its assertions see only the text that it matches itself."""
        if not item.ahead and not item.behind:
            return item
        key = (CLOSED, item, None, None)
        return self._table.get(key) or self._new(key, item.nullable, live=False, shortest=item.shortest)

    def encoded(self, reader: Encoded, state: Any) -> Term:
        """The rest of an encoded text (see `encoded`), which `reader` follows; None: nothing may follow."""
        if state is None:
            return self.empty
        key = (ENCODED, reader, state, None)
        found = self._table.get(key)
        if found is None:
            exact = getattr(reader, "shortest", None)
            shortest = 0 if exact is None else exact(state)
            found = self._new(key, reader.complete(state), live=reader.live(state), shortest=shortest)
        return found

    # --- derivatives --------------------------------------------------------------------------------------------

    def spend(self, amount: int) -> None:
        """Count work; a regex whose derivatives explode stops here instead of hanging."""
        self.fuel -= amount
        if self.fuel < 0:
            raise BudgetExceeded("regex_work", self.limit, None, "Simplify the pattern or bound its repetitions.")

    def derive(self, term: Term) -> Pieces:
        """Disjoint pieces (mask, what may follow a character of mask); the rest leads nowhere."""
        pieces = term.pieces
        if pieces is None:
            pieces = term.pieces = self._derive(term)
            self.spend(1 + len(pieces))
        return pieces

    def _derive(self, term: Term) -> Pieces:
        op = term.op
        if op == SET:
            return [(term.a, self.empty)]
        if op == AND:
            return self._derive_both(list(term.a))
        if op == NOT:
            return self._complement(self.derive(term.a))
        if op == ALT:
            return self._union([self.derive(item) for item in term.a])
        if op == CLOSED:
            return [(mask, self.closed(rest)) for mask, rest in self.derive(term.a)]
        if op == ENCODED:
            return [(mask, self.encoded(term.a, state)) for mask, state in term.a.moves(term.b)]
        if term.ahead:
            return self._derive_open(term, self.empty, [])
        if op == CAT:
            return self._derive_cat(term)
        if op == REP:
            # A body that only asserts (behind) and holds here may be used up any number of times before it reads.
            body, low, high = term.a, term.b, term.c
            rest = self.rep(body, 0 if body.nullable else max(low - 1, 0), None if high is None else high - 1)
            return self._then(self.derive(body), rest)
        return []

    def _derive_cat(self, term: Term) -> Pieces:
        parts: list[Pieces] = []
        while term.op == CAT and not term.ahead:
            head, tail = term.a, term.b
            parts.append(self._then(self.derive(head), tail))
            if not head.nullable:
                break
            term = tail
        else:
            parts.append(self.derive(term))
        return parts[0] if len(parts) == 1 else self._union(parts)

    def _derive_both(self, items: list[Term]) -> Pieces:
        """All items at once: terms for some of them together would never be used again."""
        items.sort(key=lambda t: t.uid)
        parts: list[tuple[int, tuple[Term, ...]]] = [(self.full, ())]
        for item in items:
            pieces = self.derive(item)
            parts = [
                (common, (*targets, target))
                for mask, targets in parts
                for own, target in pieces
                if (common := mask & own)
            ]
        out: dict[Term, int] = {}
        for mask, targets in parts:
            term = self.both(targets)
            if term is not self.never:
                out[term] = out.get(term, 0) | mask
        self.spend(len(parts))
        return [(mask, target) for target, mask in out.items()]

    def _derive_open(self, term: Term, after: Term, on_empty: Pieces) -> Pieces:
        """Derivative of `term` followed by `after`, where `on_empty` is that of `after` alone.

        Taking what happens when `term` matches nothing as an argument is what keeps loops finite: an iteration that
        only asserts and reads nothing adds nothing to the loop, so it is derived with no pieces at all.
        """
        op = term.op
        if not term.ahead:
            pieces = self._then(self.derive(term), after)
            return self._union([pieces, on_empty]) if term.nullable and on_empty else pieces
        if op == CAT:
            head, tail = term.a, term.b
            beyond = self._derive_open(tail, after, on_empty) if head.may_empty else []
            return self._derive_open(head, self.cat(tail, after), beyond)
        if op == ALT:
            return self._union([self._derive_open(item, after, on_empty) for item in term.a])
        if op == AHEAD:
            seen = self.derive(term.a)
            return self._intersect(self._complement(seen) if term.b else seen, on_empty)
        if op == REP:
            body, low, high = term.a, term.b, term.c
            rest = self.rep(body, max(low - 1, 0), None if high is None else high - 1)
            if low == 0:
                return self._union([on_empty, self._derive_open(body, self.cat(rest, after), [])])
            beyond = self._derive_open(rest, after, on_empty) if body.may_empty else []
            return self._derive_open(body, self.cat(rest, after), beyond)
        assert after is self.empty and not on_empty, "intersections and complements stretch to the end of the text"
        return self.derive(term)

    def advance(self, term: Term) -> Pieces:
        """`term` after one more character has been read before it: a partition of the alphabet."""
        if not term.behind:
            return [(self.full, term)]
        if term.advanced is None:
            term.advanced = self._advance(term)
        return term.advanced

    def _advance(self, term: Term) -> Pieces:
        op = term.op
        if op == BEHIND:
            negated: bool = term.b
            read = self.derive(term.a)
            rest = self.full
            for mask, _ in read:
                rest &= ~mask
            out = [(mask, self.behind(target, negated)) for mask, target in read]
            return [*out, (rest, self.behind(self.never, negated))] if rest else out
        if op == CAT:
            return self._combine(self.advance(term.a), self.advance(term.b), self.cat)
        if op in (ALT, AND):
            join = self.alt if op == ALT else self.both
            items: list[Term] = sorted(term.a, key=lambda t: t.uid)
            out = self.advance(items[0])
            for item in items[1:]:
                out = self._combine(out, self.advance(item), lambda x, y: join((x, y)))
            return out
        inner = self.advance(term.a)
        if op == REP:
            return [(mask, self.rep(t, term.b, term.c)) for mask, t in inner]
        if op == NOT:
            return [(mask, self.negate(t)) for mask, t in inner]
        return [(mask, self.ahead(t, term.b)) for mask, t in inner]

    # --- pieces -------------------------------------------------------------------------------------------------

    def _then(self, pieces: Pieces, tail: Term) -> Pieces:
        if tail.behind:
            return self._intersect(pieces, self.advance(tail), self.cat)
        cat = self.cat
        return [(mask, cat(target, tail)) for mask, target in pieces]

    def _combine(self, one: Pieces, other: Pieces, join: Callable[[Term, Term], Term]) -> Pieces:
        out: dict[Term, int] = {}
        for mask, left in one:
            for other_mask, right in other:
                common = mask & other_mask
                if common:
                    target = join(left, right)
                    out[target] = out.get(target, 0) | common
        self.spend(len(out))
        return [(mask, target) for target, mask in out.items()]

    def _intersect(self, one: Pieces, other: Pieces, join: Callable[[Term, Term], Term] | None = None) -> Pieces:
        pairs = self._combine(one, other, join or (lambda x, y: self.both((x, y))))
        return [(mask, target) for mask, target in pairs if target is not self.never]

    def _complement(self, pieces: Pieces) -> Pieces:
        rest = self.full
        out = []
        for mask, target in pieces:
            rest &= ~mask
            if target is not self.all:
                out.append((mask, self.negate(target)))
        return [*out, (rest, self.all)] if rest else out

    def _union(self, parts: list[Pieces]) -> Pieces:
        """Pieces of a union. Equal masks are grouped first, so that a thousand literals cost a thousand steps."""
        groups: dict[int, list[Term]] = {}
        for pieces in parts:
            for mask, target in pieces:
                groups.setdefault(mask, []).append(target)
        split: list[tuple[int, list[Term]]] = []
        seen = 0
        for mask, targets in groups.items():
            if mask & seen:
                new: list[tuple[int, list[Term]]] = []
                left = mask
                for other, others in split:
                    common = left & other
                    if not common:
                        new.append((other, others))
                        continue
                    if other != common:
                        new.append((other ^ common, others))
                    new.append((common, others + targets))
                    left ^= common
                if left:
                    new.append((left, targets))
                split = new
            else:
                split.append((mask, targets))
            seen |= mask
        out: dict[Term, int] = {}
        for mask, targets in split:
            target = targets[0] if len(targets) == 1 else self.alt(targets)
            out[target] = out.get(target, 0) | mask
        self.spend(len(split))
        return [(mask, target) for target, mask in out.items()]
