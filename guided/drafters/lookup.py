"""`PromptLookup`: what followed the last few tokens when they stood there before.

Input-guided aggressive decoding (Ge et al. 2022; Yang et al. 2023) and prompt lookup (Saxena 2023) in one: the source
of drafts is the whole sequence, prompt first, and after a deviation the text is found again by its last tokens. Made
for outputs that repeat their input: corrections, rewrites, extraction, code edits.
"""

from __future__ import annotations

from guided.speculation.draft import Draft, Seen, Session, Setup, View

__all__ = ["PromptLookup"]


class PromptLookup:
    """Copy `tokens` tokens from where the last `longest` (or fewer, down to `shortest`) tokens stood before.

    The longest match wins, the latest of several where the last token is the same. Deterministic; costs microseconds.
    """

    needs: frozenset[str] = frozenset()

    def __init__(self, tokens: int = 12, longest: int = 4, shortest: int = 1, *, name: str = "lookup") -> None:
        if not 1 <= shortest <= longest or tokens < 1:
            raise ValueError("PromptLookup needs tokens >= 1 and 1 <= shortest <= longest")
        self.tokens, self.longest, self.shortest, self.name = tokens, longest, shortest, name

    def start(self, setup: Setup) -> Session:
        return _Lookup(self)


class Index:
    """Where each n-gram of a growing sequence ended last, and the time before that."""

    def __init__(self, longest: int, shortest: int) -> None:
        self.sizes = range(longest, shortest - 1, -1)
        self._last: dict[tuple[int, ...], int] = {}
        self._known = 0

    def grow(self, ids: list[int]) -> None:
        """Take in `ids` but for their end: an n-gram that ends there has no continuation yet."""
        for end in range(max(self._known, 1), len(ids)):
            for size in self.sizes:
                if end >= size:
                    self._last[tuple(ids[end - size : end])] = end
        self._known = len(ids)

    def find(self, tail: list[int]) -> tuple[int, int]:
        """Where what follows the end of `tail` begins, and the size of the n-gram; (-1, 0) if it never stood there."""
        for size in self.sizes:
            if len(tail) >= size:
                end = self._last.get(tuple(tail[-size:]), -1)
                if end >= 0:
                    return end, size
        return -1, 0


class _Lookup:
    def __init__(self, options: PromptLookup) -> None:
        self._options = options
        self._index = Index(options.longest, options.shortest)

    def propose(self, view: View, draft: Draft, node: int) -> None:
        self._index.grow(view.ids[: view.committed])
        end, size = self._index.find(view.ids)
        if end >= 0:
            for place, token in enumerate(view.ids[end : end + self._options.tokens]):
                node = draft.add(node, token, self._options.name, (size, min(place, 3)))
                if node < 0:
                    return

    def observe(self, seen: Seen) -> None:
        pass
