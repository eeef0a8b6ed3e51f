"""Base64 of a language of bytes: an automaton that reads four characters for three bytes.

Beside `terms`, which derives it. A state is (state of the automaton over bytes, bits left over, how many): a character
adds six bits, and each eight are a byte. After "==" or "=" nothing may follow (None). The bits that a padded end leaves
over must be zero, as encoders write them.
"""

from __future__ import annotations

from typing import Any

from grammars.regex.charset import Charset

__all__ = ["CHARSETS", "Base64"]

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
CHARSETS: list[Charset] = [((ord(char), ord(char)),) for char in _ALPHABET]
"""One charset for each of the 64 digits, in their order, and one for the padding."""

State = tuple[int, int, int, bool]


class Base64:
    """Follows base64 text over the automaton of the bytes that it stands for."""

    def __init__(self, inner: Any, masks: list[int]) -> None:
        from grammars.regex.chardfa import CharDfa

        self._bytes = CharDfa(inner)
        self._digits, self._padding = masks[:64], masks[64]
        self._moves: dict[State, list[tuple[int, State | None]]] = {}
        self.start: State | None = (self._bytes.start, 0, 0, False) if self._bytes.start >= 0 else None

    def complete(self, state: State) -> bool:
        """Whole groups of four so far, and the bytes may end."""
        inner, _, count, padding = state
        return count == 0 and not padding and self._bytes.accepting(inner)

    def live(self, state: State) -> bool:
        """States of the bytes are live; what is begun of a byte may lead nowhere."""
        return state[2] == 0 or state[3]

    def moves(self, state: State) -> list[tuple[int, State | None]]:
        """(mask of classes, state after it)."""
        known = self._moves.get(state)
        if known is None:
            known = self._moves[state] = self._step(state)
        return known

    def _step(self, state: State) -> list[tuple[int, State | None]]:
        inner, bits, count, padding = state
        if padding:
            return [(self._padding, None)]
        out: dict[State | None, int] = {}
        for digit, mask in enumerate(self._digits):
            held = bits << 6 | digit
            target: State
            if count == 0:
                target = (inner, held, 6, False)
            else:
                after = self._bytes.step(inner, held >> count - 2)
                if after < 0:
                    continue
                target = (after, held & (1 << count - 2) - 1, count - 2, False)
            out[target] = out.get(target, 0) | mask
        if bits == 0 and count in (2, 4) and self._bytes.accepting(inner):
            out[None if count == 2 else (inner, 0, 0, True)] = self._padding
        return [(mask, target) for target, mask in out.items()]
