"""How long the texts of a term can be: a quick sufficient test that an intersection with a length is not empty.

Beside `terms`, used by `chardfa` before it searches. A span (low, solid, high) promises texts of length `low` and of
every length from `solid` to `high` (None: no bound). Only terms that are live by their form have a span, so what is
promised exists; lengths that are not promised may exist as well.
"""

from __future__ import annotations

from grammars.regex.terms import ALT, AND, CAT, EMPTY, REP, SET, Term, Terms

__all__ = ["meets_length", "span"]

Span = tuple[int, int, int | None]


def meets_length(terms: Terms, term: Term) -> bool:
    """Is `term` surely non-empty, as the intersection of one live term with one `.{m,n}`?"""
    if term.op != AND or len(term.a) != 2:
        return False
    one, other = term.a
    if other.op == REP and other.a is terms.any_char:
        one, other = other, one
    if not (one.op == REP and one.a is terms.any_char and other.live) or other.ahead or other.behind:
        return False
    found = span(other)
    if found is None:
        return False
    low, solid, high = found
    least, most = one.b, one.c
    if low >= least and (most is None or low <= most):
        return True
    first = max(solid, least)
    return (high is None or first <= high) and (most is None or first <= most)


def span(term: Term) -> Span | None:
    """The span of a term; None when it has none."""
    if term.span is None:
        term.span = _span(term) or False
    return term.span or None


def _span(term: Term) -> Span | None:
    op = term.op
    if op == SET:
        return 1, 1, 1
    if op == EMPTY:
        return 0, 0, 0
    if op == CAT:
        low = solid = 0
        high: int | None = 0
        while True:
            part = span(term.a if term.op == CAT else term)
            if part is None:
                return None
            low, solid = low + part[0], solid + part[1]
            high = None if high is None or part[2] is None else high + part[2]
            if term.op != CAT:
                return low, solid, high
            term = term.b
    if op == ALT:
        found = [part for part in map(span, term.a) if part is not None]
        # The best promise of one alternative; that of several together is seldom better.
        return min(found, key=lambda s: (s[2] is not None, -(s[2] or 0), s[1]), default=None)
    if op == REP:
        return _repeated(span(term.a), term.b, term.c)
    return None


def _repeated(body: Span | None, least: int, most: int | None) -> Span | None:
    """n bodies fill [n solid, n high]; from some n on these intervals overlap."""
    if body is None or body[1] == 0:
        return (0, 0, 0) if least == 0 else None
    _, solid, high = body
    if most == least:
        return least * solid, least * solid, None if high is None else least * high
    if high is None:
        return least * solid, max(least, 1) * solid, None
    if high == solid:
        start = least if solid == 1 else None
    else:
        start = max(least, -(-(solid - 1) // (high - solid)))
    if start is None or (most is not None and start > most):
        return least * solid, least * solid, least * high
    return least * solid, start * solid, None if most is None else most * high
