"""What of a term matters to short texts: counts that they cannot use up, characters that they can be made of freely.

Beside `terms`, for the engine: most states of a pattern that counts differ only in counts which no token reaches.
"""

from __future__ import annotations

from collections.abc import Callable

from grammars.regex.terms import ALT, AND, CAT, CLOSED, EMPTY, REP, SET, Term, Terms

__all__ = ["ENDLESS", "capped", "endless", "free", "longest"]

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


def capped(terms: Terms, term: Term, characters: int) -> Term:
    """A term with the same beginnings of texts, and the same texts, up to so many characters, and fewer counts.

    An upper count that they cannot use up is taken away. Only in plain terms: below an intersection or a complement
    a count decides also whether anything is left at all.
    """
    return _capped(terms, term, characters) if term.plain else term


def endless(terms: Terms, term: Term) -> Term:
    """A term without upper counts, of a larger language: what many terms, of other counts, nearly are."""
    return _capped(terms, term, -1)


def _capped(terms: Terms, term: Term, characters: int) -> Term:
    if term.op == CAT:
        parts = []
        while term.op == CAT:
            parts.append(_capped(terms, term.a, characters))
            term = term.b
        result = _capped(terms, term, characters)
        for part in reversed(parts):
            result = terms.cat(part, result)
        return result
    if term.op == ALT:
        return terms.alt([_capped(terms, item, characters) for item in term.a])
    if term.op == AND and characters < 0:
        return terms.both([_capped(terms, item, characters) for item in term.a])
    if term.op == REP:
        high = term.c
        if high is not None and high > max(characters // max(1, term.a.shortest), 1 if characters < 0 else 0):
            high = None
        return terms.rep(_capped(terms, term.a, characters), term.b, high)
    return term


def free(terms: Terms, term: Term, least: Callable[[Term], int]) -> tuple[int, int, int]:
    """(mask of classes, most, due): each text of at most `most` characters of these classes begins some text of the
    term, and can be finished with `due` more. `least`: length of the shortest text of a term, exactly.
    """
    nothing = 0, 0, 0
    if term.ahead or term.behind:
        return nothing
    if term.op == ALT:
        return max((free(terms, item, least) for item in term.a), key=lambda f: (f[1] >= 24, f[0].bit_count()))
    if term.op == AND:
        if len(term.a) != 2:
            return nothing
        one, other = term.a
        if one.op == REP and one.a is terms.any_char:
            one, other = other, one
        if not (other.op == REP and other.a is terms.any_char and one.plain):
            return nothing
        mask, most, due = free(terms, one, least)
        low, high = other.b, other.c
        if low > 0 and most < ENDLESS:
            return nothing  # it may have to go on longer than it can
        due = max(due, low + one.shortest)
        most = most if high is None else min(most, high - due)
        return (mask, most, due) if most > 0 else nothing
    if term.op == CAT:
        if not term.b.live or term.b.behind:
            return nothing
        if term.a.op == AND:
            mask, most, due = free(terms, term.a, least)
            return (mask, most, due + least(term.b)) if mask else nothing
    head = term.a if term.op == CAT else term
    if head.op != REP or not term.live:
        return nothing
    mask = 0
    for item in head.a.a if head.a.op == ALT else (head.a,):
        if item.op == SET:
            mask |= item.a
    if not mask:
        return nothing
    return mask, ENDLESS if head.c is None else head.c, head.shortest + (least(term.b) if term.op == CAT else 0)
