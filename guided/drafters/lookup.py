"""`PromptLookup`: what followed the last few tokens when they stood there before.

Input-guided aggressive decoding (Ge et al. 2022; Yang et al. 2023) and prompt lookup (Saxena 2023) in one: the source
of drafts is the whole sequence, prompt first, and after a deviation the text is found again by its last tokens. Made
for outputs that repeat their input: corrections, rewrites, extraction, code edits.

Where the last tokens stand nowhere else, a copy has just been left: one token was exchanged (go on after the one that
was expected), put in (go on with it), or the expected one left out (which the last tokens find by themselves).
"""

from __future__ import annotations

from guided.speculation.draft import Draft, Seen, Session, Setup, View

__all__ = ["PromptLookup"]

_SIDE = 4  # tokens of the guesses beside the first


class PromptLookup:
    """Copy `tokens` tokens from where the last `longest` (or fewer, down to `shortest`) tokens stood before.

    The longest match wins, the latest of several where the last token is the same; up to `ways` places that go on
    differently are offered, the first at full length. Deterministic; costs microseconds.
    """

    needs: frozenset[str] = frozenset()

    def __init__(
        self, tokens: int = 16, longest: int = 4, shortest: int = 1, *, ways: int = 3, name: str = "lookup"
    ) -> None:
        if not 1 <= shortest <= longest or tokens < 1 or ways < 1:
            raise ValueError("PromptLookup needs tokens >= 1, ways >= 1 and 1 <= shortest <= longest")
        self.tokens, self.longest, self.shortest, self.ways, self.name = tokens, longest, shortest, ways, name

    def start(self, setup: Setup) -> Session:
        return _Lookup(self)


class Index:
    """Where each n-gram of a growing sequence ended, the latest first, at most `kept` places that go on differently."""

    def __init__(self, longest: int, shortest: int, kept: int = 1) -> None:
        self.sizes = range(longest, shortest - 1, -1)
        self._kept = kept
        self._ends: dict[tuple[int, ...], list[int]] = {}
        self._known = 0

    def grow(self, ids: list[int]) -> None:
        """Take in `ids` but for their end: an n-gram that ends there has no continuation yet."""
        for end in range(max(self._known, 1), len(ids)):
            for size in self.sizes:
                if end >= size:
                    ends = self._ends.setdefault(tuple(ids[end - size : end]), [])
                    ends[:] = [end, *(other for other in ends if ids[other] != ids[end])][: self._kept]
        self._known = max(self._known, len(ids))

    def find(self, tail: list[int]) -> list[tuple[int, int]]:
        """Where what follows the end of `tail` begins, and the size of the n-gram, longest first."""
        found: list[tuple[int, int]] = []
        for size in self.sizes:
            if len(tail) >= size:
                known = {end for end, _ in found}
                found += [(end, size) for end in self._ends.get(tuple(tail[-size:]), ()) if end not in known]
        return found


class _Lookup:
    def __init__(self, options: PromptLookup) -> None:
        self._options = options
        self._index = Index(options.longest, options.shortest, options.ways)
        self._expected = -1  # where the token stands that was expected next
        self._read = 0

    def propose(self, view: View, draft: Draft, node: int) -> None:
        self._index.grow(view.ids[: view.committed])
        self._follow(view.ids[: view.committed], view.prompt_length)
        places: list[tuple[int, object]] = list(self._index.find(view.ids))
        if self._expected >= 0 and len(view.ids) == view.committed and (not places or places[0][1] == 1):
            places = [(self._expected, "exchanged"), *places, (self._expected - 1, "put in")]
        seen: set[int] = set()
        for begin, kind in places:
            if begin >= view.committed or view.ids[begin] in seen or len(seen) >= self._options.ways:
                continue
            length = _SIDE if seen else self._options.tokens
            seen.add(view.ids[begin])
            parent = node
            for place, token in enumerate(view.ids[begin : min(begin + length, view.committed)]):
                parent = draft.add(parent, token, self._options.name, (kind, len(seen) - 1, min(place, 3)))
                if parent < 0:
                    return

    def _follow(self, ids: list[int], prompt_length: int) -> None:
        """Keep the place in the prompt that a copy has come to, over one token that was exchanged."""
        for at in range(max(self._read, prompt_length), len(ids)):
            matches = self._index.find(ids[: at + 1])
            inside = [(end, size) for end, size in matches if end < prompt_length and size > 1]
            if inside:
                self._expected, self._left = inside[0][0], 2
            elif self._expected >= 0:
                self._left -= 1
                self._expected = self._expected + 1 if self._left >= 0 and self._expected + 1 < prompt_length else -1
        self._read = len(ids)

    def observe(self, seen: Seen) -> None:
        pass
