"""One term of `terms`: its constructors, what is kept with it, and what follows from its parts."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = [
    "AHEAD", "ALT", "AND", "BEHIND", "CAT", "CLOSED", "EMPTY", "ENCODED", "FEW", "NEVER", "NOT", "REP", "SET",
    "Encoded", "Term", "facts",
]  # fmt: skip

NEVER, EMPTY, SET, CAT, ALT, REP, AND, NOT, AHEAD, BEHIND, CLOSED, ENCODED = range(12)

_MUST = 32  # `must` of so many says enough
_NOTHING: frozenset[int] = frozenset()

FEW = 8
"""Upper counts up to it are never taken away: they make few states."""


class Encoded(Protocol):
    """What follows a text that encodes another one; a state is hashable, None the end of all.

    It may have `shortest(state)`: characters to the nearest end, exactly; and `may`: mask of all classes that it reads.
    """

    def moves(self, state: Any) -> list[tuple[int, Any]]:
        """(mask of classes, next state): disjoint masks."""
        ...

    def complete(self, state: Any) -> bool:
        """May the text end here?"""
        ...

    def live(self, state: Any) -> bool:
        """True: surely some text follows or it may end; False: to be decided by search."""
        ...


class Term:
    """One interned term; compare by identity.

    op         which constructor; a, b, c hold its arguments
    nullable   the empty text is in the language (for a term that looks ahead: at the end of the text)
    ahead      contains an open look-ahead: derive with `_derive_open` only
    behind     contains an open look-behind: must be advanced with every character
    live       True: surely non-empty, False: decide by search
    may_empty  may match the empty text somewhere, assertions willing
    shortest   no text in the language is shorter than this (a heuristic for searches)
    plain      without intersections, complements and assertions: `shortest` is exact
    counts     contains an upper count above `FEW` and the lower one, not below a complement (see `horizon`)
    may        mask of the classes that can occur in a text, no fewer
    must       masks of which each text surely has a character; not all that there are
    pieces, advanced, span   memos of `derive`, `advance` and `lengths.span`
    """

    __slots__ = (
        "a", "advanced", "ahead", "b", "behind", "c", "counts", "live", "may", "may_empty", "must", "nullable", "op",
        "pieces", "plain", "shortest", "span", "uid",
    )  # fmt: skip

    op: int
    a: Any
    b: Any
    c: Any
    nullable: bool
    ahead: bool
    behind: bool
    live: bool
    may_empty: bool
    shortest: int
    plain: bool
    counts: bool
    may: int
    must: frozenset[int]
    uid: int
    pieces: list[tuple[int, Term]] | None
    advanced: list[tuple[int, Term]] | None
    span: Any


def facts(full: int, op: int, one: Any, other: Any, high: int | None) -> tuple[bool, int, frozenset[int]]:
    """counts, may and must of a new term over an alphabet of the classes in `full`."""
    if op == SET:
        return False, one, frozenset((one,))
    if op == CAT:
        must = one.must | other.must if len(other.must) < _MUST else other.must
        return one.counts or other.counts, one.may | other.may, must
    if op == REP:
        counts = one.counts or (high is not None and high > max(FEW, other))
        return counts, one.may, one.must if other else _NOTHING
    if op == ALT:
        may = 0
        for item in one:
            may |= item.may
        return any(item.counts for item in one), may, _NOTHING
    if op == AND:
        may = full
        for item in one:
            may &= item.may
        return any(item.counts for item in one), may, frozenset().union(*(item.must for item in one))
    if op == ENCODED:
        return False, full if not hasattr(one, "may") else one.may, _NOTHING
    if op == CLOSED:
        return False, one.may, one.must
    return False, full if op == NOT else 0, _NOTHING
