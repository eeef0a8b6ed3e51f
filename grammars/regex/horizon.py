"""What of a term matters to short texts: counts that they cannot use up, characters that they can be made of freely.

Beside `terms`, for the engine: most states of a pattern that counts differ only in counts which no token reaches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from grammars.regex.terms import ALT, AND, CAT, CLOSED, EMPTY, FEW, REP, SET, Term, Terms

__all__ = ["ENDLESS", "Freely", "agreement", "endless", "free", "longest"]

ENDLESS = 1 << 30


def longest(term: Term) -> int:
    """No text of the term is longer than this; ENDLESS where that is not known."""
    if term.op == SET:
        return 1
    if term.op == EMPTY:
        return 0
    total = 0
    while term.op == CAT:
        total = min(ENDLESS, total + longest(term.a))
        term = term.b
    if term.op == ALT:
        own = max(longest(item) for item in term.a)
    elif term.op == AND:
        own = min(longest(item) for item in term.a)
    elif term.op == REP:
        own = ENDLESS if term.c is None else longest(term.a) * int(term.c)
    elif term.op == CLOSED:
        own = longest(term.a)
    else:
        own = 1 if term.op == SET else 0 if term.op == EMPTY else ENDLESS
    return min(ENDLESS, total + own)


def endless(terms: Terms, term: Term) -> Term:
    """A term without upper counts, of a larger language: what many terms, of other counts, nearly are."""
    if not term.counts:
        return term
    if term.op == CAT:
        parts = []
        while term.op == CAT:
            parts.append(endless(terms, term.a))
            term = term.b
        result = endless(terms, term)
        for part in reversed(parts):
            result = terms.cat(part, result)
        return result
    if term.op in (ALT, AND):
        return (terms.alt if term.op == ALT else terms.both)([endless(terms, item) for item in term.a])
    if term.op == REP:
        return terms.rep(endless(terms, term.a), term.b, None if _is_dropped(term) else term.c)
    return term


def _used_up(loop: Term) -> int:
    """Characters that a loop takes at least before a count is used up that `endless` takes away."""
    return int(loop.c) * max(1, loop.a.shortest) if loop.c is not None and _is_dropped(loop) else ENDLESS


def _is_dropped(loop: Term) -> bool:
    """Whether `endless` takes the upper count of a repetition away."""
    return loop.c is not None and loop.c > max(FEW, loop.b)


def agreement(terms: Terms, term: Term) -> int:
    """Texts of up to so many characters fare the same in `term` and in its `endless`: they begin a text of both or of
    neither, end one of both or of neither, and need as many characters more. -1 where that is not known.

    A loop agrees as long as its count cannot be used up: each body takes a character at least. An intersection with a
    length, where what follows those characters can always be finished within it.
    """
    if not term.counts or term.op not in (CAT, ALT, AND, REP):
        return ENDLESS
    if term.ahead or term.behind:
        return -1
    if term.op == CAT:
        found = ENDLESS
        while term.op == CAT:
            found = min(found, agreement(terms, term.a))
            term = term.b
        return min(found, agreement(terms, term))
    if term.op == ALT:
        return min(agreement(terms, item) for item in term.a)
    if term.op == REP:
        return min(_used_up(term), agreement(terms, term.a))
    if len(term.a) != 2:
        return -1
    one, length = term.a
    if one.op == REP and one.a is terms.any_char:
        one, length = length, one
    if not (length.op == REP and length.a is terms.any_char and one.plain) or length.b > one.shortest:
        return -1
    if length.c is not None and not _is_dropped(length):
        return -1
    own: int = ENDLESS if length.c is None else length.c - _most_due(one)
    return max(-1, min(own, agreement(terms, one)))


def _most_due(term: Term) -> int:
    """After any beginning of a text of a plain term, some text can be finished with so many characters."""
    if term.op == SET:
        return 1
    if term.op == CAT:
        return max(_most_due(term.a) + int(term.b.shortest), _most_due(term.b))
    if term.op == ALT:
        return max(_most_due(item) for item in term.a)
    if term.op == REP:
        return max(term.shortest, _most_due(term.a) + max(0, int(term.b) - 1) * int(term.a.shortest))
    return 0 if term.op == EMPTY else ENDLESS


class Freely(NamedTuple):
    """What `free` says of a term; classes are masks."""

    mask: int = 0
    most: int = 0
    due: int = 0
    last: int = 0
    beyond: int = 0


def free(terms: Terms, term: Term, least: Callable[[Term], int]) -> Freely:
    """Each text of at most `most` characters of the classes in `mask` begins some text of the term, and can be finished
    with `due` more. Where none of them is in `last`, no longer text does, and what follows is in `mask` or `beyond`.

    `least`: length of the shortest text of a term, exactly.
    """
    if term.ahead or term.behind:
        return Freely()
    if term.op == ALT or (term.op == CAT and term.a.op == ALT):
        items = list(term.a) if term.op == ALT else [terms.cat(item, term.b) for item in term.a.a]
        found = [free(terms, item, least) for item in items]
        best = max(range(len(items)), key=lambda k: (found[k].most >= 24, found[k].mask.bit_count()))
        mask, most, due, last, beyond = found[best]
        if mask & ~last:
            for k, item in enumerate(items):
                if k != best:
                    beyond |= _first(terms, item)
            last |= mask & beyond
        return Freely(mask, most, due, last, beyond)
    if term.op == AND:
        return _free_both(terms, term, least)
    if term.op == CAT:
        if not term.b.live or term.b.behind:
            return Freely()
        if term.a.op == AND:
            mask, most, due, last, beyond = _free_both(terms, term.a, least)
            beyond |= _first(terms, term.b)
            return Freely(mask, most, due + least(term.b), last | mask & beyond, beyond) if mask else Freely()
    head = term.a if term.op == CAT else term
    if head.op != REP or not term.live:
        return Freely()
    rest, beyond = (least(term.b), _first(terms, term.b)) if term.op == CAT else (0, 0)
    body = head.a
    if head.b == 0 and body.op == CAT and body.a.op == REP and body.a.b == 0 and body.a.a.op == body.b.op == SET:
        # (s{0,n} t)?, as in labels of hosts: a text of s is within it, and a t ends it
        mask, most = body.a.a.a, ENDLESS if body.a.c is None else body.a.c
        beyond |= body.b.a
        return Freely(mask, most, 1 + rest, mask & beyond if head.c == 1 else mask, beyond)
    mask = 0
    for item in body.a if body.op == ALT else (body,):
        if item.op == SET:
            mask |= item.a
    if not mask:
        return Freely()
    last = mask & beyond if head.b == 0 and body.op == SET else mask
    return Freely(mask, ENDLESS if head.c is None else head.c, head.shortest + rest, last, beyond)


def _free_both(terms: Terms, term: Term, least: Callable[[Term], int]) -> Freely:
    """`free` of an intersection: of a plain term and a length."""
    if len(term.a) != 2:
        return Freely()
    one, other = term.a
    if one.op == REP and one.a is terms.any_char:
        one, other = other, one
    if not (other.op == REP and other.a is terms.any_char and one.plain):
        return Freely()
    mask, most, due, last, beyond = free(terms, one, least)
    low, high = other.b, other.c
    if low > 0:
        if most < ENDLESS:
            return Freely()  # it may have to go on longer than it can
        last = mask
    due = max(due, low + one.shortest)
    most = most if high is None else min(most, high - due)
    return Freely(mask, most, due, last, beyond) if most > 0 else Freely()


def _first(terms: Terms, term: Term) -> int:
    """Mask of the classes that a text of the term can begin with."""
    mask = 0
    for own, _ in terms.derive(term):
        mask |= own
    return mask
