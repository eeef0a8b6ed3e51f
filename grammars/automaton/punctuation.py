"""What stands between values: braces, commas, colons and blanks, as small terminals, one set per whitespace mode.

"compact": none. "default": what json.dumps prints, compact, with default separators or indented (a new line and up
to 64 spaces or 16 tabs), so that a model cannot loop on blanks. "any": RFC 8259.
Labels of the object and array terminals: 0 the container closes, 1 a key's first quote was read or an item begins.
"""

from __future__ import annotations

from dataclasses import dataclass

from grammars.automaton.terminals import TableTerminal, TerminalStore

__all__ = ["MODES", "Punctuation", "punctuation"]

MODES = ("default", "compact", "any")
_SPACES, _TABS = 64, 16
_NEWLINE, _SPACE, _TAB = 10, 32, 9
CLOSE, ADD = 1, 2


@dataclass(frozen=True, slots=True)
class Punctuation:
    """Start states in a store; the lists are indexed by flags (CLOSE | ADD)."""

    object_first: tuple[int, ...]
    object_next: tuple[int, ...]
    array_first: tuple[int, ...]
    array_next: tuple[int, ...]
    colon: int
    blanks: int | None


class _Builder:
    def __init__(self) -> None:
        self.edges: list[dict[int, int]] = []
        self.labels: dict[int, int] = {}

    def state(self, label: int = -1) -> int:
        self.edges.append({})
        if label >= 0:
            self.labels[len(self.edges) - 1] = label
        return len(self.edges) - 1


def _blanks(b: _Builder, at: int, leaves: dict[int, int], mode: str, nullable: int, gap: bool) -> None:
    """Blanks at state `at`, after each of which the bytes of `leaves` may come (or nothing, with label `nullable`).

    `gap`: a single space may stand here under "default" (after a comma).
    """
    b.edges[at].update(leaves)
    if nullable >= 0:
        b.labels[at] = nullable
    if mode == "any":
        for byte in (_SPACE, _TAB, _NEWLINE, 13):
            b.edges[at][byte] = at
    elif mode == "default":
        line = b.state(nullable)
        b.edges[line].update(leaves)
        b.edges[at][_NEWLINE] = line
        for byte, most in ((_SPACE, _SPACES), (_TAB, _TABS)):
            last = line
            for _ in range(most):
                following = b.state(nullable)
                b.edges[following].update(leaves)
                b.edges[last][byte] = following
                last = following
        if gap:
            single = b.state(nullable)
            b.edges[single].update(leaves)
            b.edges[at][_SPACE] = single


def _container(
    mode: str, close: int, flags: int, opening: bool, is_object: bool
) -> tuple[list[dict[int, int]], dict[int, int]]:
    """Terminal before the first (`opening`) or a further entry of a container that may close or go on by `flags`."""
    b = _Builder()
    start = b.state()
    end = b.state(0) if flags & CLOSE else -1
    leaves = {close: end} if flags & CLOSE else {}
    added: dict[int, int] = {}
    nullable = -1
    if flags & ADD:
        if is_object:
            added = {34: b.state(1)}
        else:
            nullable = 1
    if opening:
        _blanks(b, start, leaves | added, mode, nullable, gap=False)
        return b.edges, b.labels
    if leaves or mode == "any":  # json.dumps puts blanks before a closing bracket, never before a comma
        _blanks(b, start, leaves, mode, -1, gap=False)
    if flags & ADD:
        comma = b.state()
        b.edges[start][44] = comma
        _blanks(b, comma, added, mode, nullable, gap=True)
    return b.edges, b.labels


def _colon(mode: str) -> tuple[list[dict[int, int]], dict[int, int]]:
    b = _Builder()
    start = b.state()
    colon = b.state(0)
    b.edges[start][58] = colon
    if mode == "any":
        for byte in (_SPACE, _TAB, _NEWLINE, 13):
            b.edges[start][byte] = start
            b.edges[colon][byte] = colon
    elif mode == "default":
        b.edges[colon][_SPACE] = b.state(0)
    return b.edges, b.labels


def punctuation(store: TerminalStore, mode: str) -> Punctuation:
    """The terminals of one whitespace mode in `store` (kept there)."""
    known = store.extras.get(("punctuation", mode))
    if known is not None:
        assert isinstance(known, Punctuation)
        return known

    def four(close: int, opening: bool, is_object: bool) -> tuple[int, ...]:
        starts = [0]
        for flags in (CLOSE, ADD, CLOSE | ADD):
            edges, labels = _container(mode, close, flags, opening, is_object)
            name = ("punctuation", mode, close, opening, flags)
            starts.append(store.start_of(TableTerminal(name, edges, labels)))
        return tuple(starts)

    blanks = None
    if mode == "any":
        loop: dict[int, int] = dict.fromkeys((_SPACE, _TAB, _NEWLINE, 13), 0)
        blanks = store.start_of(TableTerminal(("blanks",), [loop], {0: 0}))
    made = Punctuation(
        object_first=four(125, True, True),
        object_next=four(125, False, True),
        array_first=four(93, True, False),
        array_next=four(93, False, False),
        colon=store.start_of(TableTerminal(("colon", mode), *_colon(mode))),
        blanks=blanks,
    )
    # each walk comes to these; asked for one by one they would cost a new walk each
    for q in (*made.object_first, *made.object_next, *made.array_first, *made.array_next, made.colon):
        if q:
            store.fill_near(q)
    store.extras[("punctuation", mode)] = made
    return made
