"""`FreeText`: any text at all, special tokens included, up to one of some triggers, as a byte automaton.

The automaton of Aho and Corasick (1975) over the triggers, written out. It works on the spellings of
`Vocabulary.with_specials`: an id without text is 0xff and three digits, a raw byte 0xff is 0xff 0x00; so a trigger may
be text, which may straddle tokens, or one special token. Bytes that are not UTF-8 are text like any other: models do
write broken characters, and free text is not ours to correct.

A terminal (see `terminals`) that waits for trigger `wanted` accepts right after it and goes on over everything but
another trigger; with `wanted` -1 it accepts everywhere and goes on over everything but a trigger. Where two triggers
end at one place the longer one counts.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence

__all__ = ["FreeText"]

_SPECIAL = 0xFF


class FreeText:
    """Free text until `triggers[wanted]`, a pair of index and bytes each; several may share an index."""

    def __init__(self, triggers: Sequence[tuple[int, bytes]], wanted: int = -1) -> None:
        self.key: Hashable = ("free text", tuple(triggers), wanted)
        self.start = 0
        self._wanted = wanted
        texts = [(index, word) for index, word in triggers if word[0] != _SPECIAL]
        specials = {word: index for index, word in triggers if word[0] == _SPECIAL}
        children: list[dict[int, int]] = [{}]
        ends: list[int] = [-1]
        for index, word in texts:
            node = 0
            for byte in word:
                if byte not in children[node]:
                    children[node][byte] = len(children)
                    children.append({})
                    ends.append(-1)
                node = children[node][byte]
            ends[node] = index
        self._texts = len(children)
        self._accept = self._texts
        # places within the spelling of an id: the digits so far; those that lead to no trigger are one for each length
        self._places: list[bytes] = [b""]
        self._within: dict[bytes, int] = {}
        self._specials = specials
        self._complete(children, ends)

    def _complete(self, children: list[dict[int, int]], ends: list[int]) -> None:
        """All transitions: by the child, else as the longest proper suffix that is a node (failure links)."""
        fail = [0] * len(children)
        order = [0]
        rows: dict[int, list[int]] = {}
        for node in order:
            row = [0] * 256 if node == 0 else rows[fail[node]][:]
            for byte, child in children[node].items():
                fail[child] = 0 if node == 0 else row[byte]
                if ends[child] < 0:
                    ends[child] = ends[fail[child]]
                row[byte] = child
                order.append(child)
            rows[node] = row
        enter = self._place(b"")
        self._rows: dict[int, list[int]] = {}
        for node in order:
            if ends[node] < 0:
                found = [target if ends[target] < 0 else self._ending(ends[target]) for target in rows[node]]
                found[_SPECIAL] = enter
                self._rows[node] = found

    def _ending(self, index: int) -> int:
        return self._accept if index == self._wanted else -1

    def _place(self, digits: bytes) -> int:
        """The state within the spelling of an id."""
        known = self._within.get(digits)
        if known is None:
            known = self._within[digits] = self._texts + len(self._places)
            self._places.append(digits)
        return known

    def row(self, state: int) -> Sequence[int]:
        """256 targets."""
        if state < self._texts:
            return self._rows[state]
        if state == self._accept:
            return [-1] * 256
        return self._within_id(self._places[state - self._texts])

    def _within_id(self, digits: bytes) -> list[int]:
        row = [-1] * 256
        if not digits:
            row[0] = 0  # a raw byte 0xff
        for digit in range(0x80, 0x100):
            longer = digits + bytes((digit,))
            if len(longer) == 3:
                index = self._specials.get(b"\xff" + longer, -1)
                row[digit] = 0 if index < 0 else self._ending(index)
            elif any(word.startswith(b"\xff" + longer) for word in self._specials):
                row[digit] = self._place(longer)
            else:
                row[digit] = self._place(b"?" * len(longer))
        return row

    def following(self, state: int) -> Collection[int]:
        """The targets of a state."""
        return {target for target in self.row(state) if target >= 0}

    def label(self, state: int) -> int:
        """0 where the text may end."""
        if self._wanted >= 0:
            return 0 if state == self._accept else -1
        return 0 if state < self._texts else -1

    def boundary(self, state: int) -> bool:
        """Never: free text is not counted."""
        return False
