"""`SchemaLookup`: reads the automaton and expects what documents like this one write next.

The automaton forces the text between two choices; what a writer does at a choice can often be guessed:

- blanks: as after the same sign earlier in the document (or in the last one), else as `json.dumps` prints them
- inside a string or a number: that the value ends here, and the text that is forced after it
- after a value: a comma, or the bracket that closes
- before a key or a value with few legal tokens (enums, booleans, optional keys): each of them
- before any value: what stood under the same key the last time, as in the item before of an array
- where a string or a number begins: words or numbers of the prompt, those after the last that was copied first

Each guess is followed to the next choice and spelled as a whole, as the tokenizer spells it. Guesses share one tree.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from guided.speculation.draft import Draft, Seen, Session, Setup, View
from guided.speculation.spelling import Speller

__all__ = ["SchemaLookup"]

_FEW = 48  # legal tokens up to which each of them is followed
_BLANKS = b" \n\t\r"
_WORD = re.compile(rb"[^\s\"'`,;:!?()<>|\[\]{}]*[^\s\"'`,;:!?()<>|\[\]{}.]")
_NUMBER = re.compile(rb"[0-9]+(?:\.[0-9]+)?")

Marks = tuple[tuple[int, Any], ...]  # (offset in a guess, what is guessed from there on)
Guess = tuple[bytes, Marks]


class SchemaLookup:
    """Up to `guesses` guesses of at most `length` bytes each, over at most `choices` choices in a row.

    `words`: how many words of the prompt are offered where a value begins.
    Needs a constraint; proposes nothing without one. What it remembers of a document's style serves the next one.
    """

    needs: frozenset[str] = frozenset()
    name = "schema"

    def __init__(self, guesses: int = 4, length: int = 96, choices: int = 2, words: int = 5) -> None:
        self.guesses, self.length, self.choices, self.words = guesses, length, choices, words
        self.style: dict[tuple[int, int], Counter[bytes]] = {}

    def start(self, setup: Setup) -> Session:
        return _Schema(self, setup)


class Scanner:
    """What of a JSON text matters here: inside a string or not, how deep, which key, and what followed what."""

    def __init__(self, earlier: dict[tuple[int, int], Counter[bytes]]) -> None:
        self.style: dict[tuple[int, int], bytes] = {}  # (sign, depth) -> blanks after it, in this document
        self._earlier = earlier  # the same in all documents, counted
        self.values: dict[bytes, bytes] = {}  # key -> the value it had last
        self.followers: dict[bytes, bytes] = {}  # key -> the key after it
        self.in_string = self._escaped = False
        self.last = 0  # last byte that is no blank outside of strings
        self.sign = 0  # last byte outside of strings, blanks apart, and the blanks since
        self.blanks = bytearray()
        self.depth = 0
        self.key = b""  # whose value is being written
        self._keys: list[bytes] = []
        self._token = bytearray()  # the string or scalar under way, or last finished
        self._previous_key = b""

    @property
    def begins_string(self) -> bool:
        """Whether a string has just been opened."""
        return self.in_string and self._token == b'"'

    def feed(self, text: bytes) -> None:
        for byte in text:
            self._step(byte)

    def _step(self, byte: int) -> None:
        if self.in_string:
            self._token.append(byte)
            if self._escaped:
                self._escaped = False
            elif byte == 0x5C:
                self._escaped = True
            elif byte == 0x22:
                self.in_string, self.last = False, byte
            return
        if byte in _BLANKS:
            self.blanks.append(byte)
            return
        if self.last in b"{[,:":
            place = (self.last, self.depth)
            self.style[place] = bytes(self.blanks)
            self._earlier.setdefault(place, Counter())[bytes(self.blanks)] += 1
        self.blanks.clear()
        if byte == 0x22:
            self.in_string = True
            self._token = bytearray(b'"')
        elif byte in b"{[":
            self.depth += 1
            self._keys.append(self.key)
            self._token.clear()
            self._previous_key = b""
        elif byte in b"}]":
            self._end_value()
            self.depth -= 1
            self.key = self._keys.pop() if self._keys else b""
            self._token.clear()
        elif byte == 0x3A:
            self.key = bytes(self._token)
            if self._previous_key:
                self.followers[self._previous_key] = self.key
            self._previous_key = self.key
            self._token.clear()
        elif byte == 0x2C:
            self._end_value()
        else:
            if self.last in b"{[,:":
                self._token.clear()
            self._token.append(byte)
        self.last = byte

    def _end_value(self) -> None:
        if self.key and self._token:
            self.values.pop(self.key, None)  # the latest stands last
            self.values[self.key] = bytes(self._token)
        self._token.clear()

    def blanks_after(self, sign: int, depth: int) -> bytes:
        """What to expect: what stood there before, indented as deep as it must be."""
        known = self.style.get((sign, depth))
        if known is not None:
            return known
        for (other, level), blanks in reversed(self.style.items()):
            if other == sign:
                return indented(blanks, level, depth)
        if sign in b"{[,":  # another sign that begins a line has told how lines begin
            for (other, level), blanks in reversed(self.style.items()):
                if other in b"{[,":
                    if blanks.startswith(b"\n"):
                        return indented(blanks, level, depth)
                    break
        if (earlier := self._earlier.get((sign, depth))) is not None:
            return earlier.most_common(1)[0][0]
        return b" " if sign in b":," else b""


def indented(blanks: bytes, level: int, depth: int) -> bytes:
    """Blanks that stood at depth `level`, as they would be at `depth`."""
    if blanks.startswith(b"\n") and level:
        return b"\n" + b" " * ((len(blanks) - 1) // level * depth)
    return blanks


class _Prompt:
    """The words of a prompt, and how far they have been used."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._words = [found.span() for found in _WORD.finditer(text)]
        self._used = text.find(b":") + 1  # what is asked for stands before, what it is about after

    def follow(self, value: bytes) -> None:
        """A value was written: what comes next in the prompt stands after it."""
        plain = value.strip(b'"')
        at = self._text.find(plain, self._used) if len(plain) > 1 else -1
        if at < 0 and len(plain) > 1:
            at = self._text.find(plain)
        if at >= 0:
            self._used = at + len(plain)

    def guesses(self, count: int, numbers: bool) -> Iterator[bytes]:
        """Words that a value may begin with, with a few that follow; those after what was used first."""
        seen: set[bytes] = set()
        later = [span for span in self._words if span[0] >= self._used]
        for begin, end in later + [span for span in self._words if span[0] < self._used]:
            word = self._text[begin:end]
            if numbers:
                found = _NUMBER.fullmatch(word)
                word = found.group() if found else b""
            elif len(word) <= 3 and not word[:1].isupper() and not word[:1].isdigit():
                continue
            if word and word not in seen:
                seen.add(word)
                yield word if numbers else self._phrase(begin, end)
                if len(seen) >= count:
                    return

    def _phrase(self, begin: int, end: int) -> bytes:
        line = self._text[begin : begin + 40].split(b"\n")[0]
        stop = re.search(rb"[\"'`,;:!?()<>|\[\]{}]|\.\s|\.$", line)
        text = line[: stop.start()] if stop else line
        parts = text.split(b" ")[:3]
        return b" ".join(parts).rstrip() or self._text[begin:end]


class _Schema:
    def __init__(self, owner: SchemaLookup, setup: Setup) -> None:
        self._owner = owner
        self._scanner = Scanner(owner.style)
        self._read = 0
        self._prompt: _Prompt | None = None
        self._last_value: tuple[bytes, bytes] = (b"", b"")
        self._speller = None if setup.vocabulary is None else Speller(setup.vocabulary, setup.tokenizer)
        self._row = None if setup.vocabulary is None else np.zeros(setup.vocabulary.words, np.int32)

    def propose(self, view: View, draft: Draft, node: int) -> None:
        if view.matcher is None or self._speller is None:
            return
        start = max(self._read, view.prompt_length)
        self._scanner.feed(self._speller.text_of(view.ids[start : view.committed]))
        self._read = view.committed
        if self._prompt is None:
            self._prompt = _Prompt(self._last_turn(view.ids[: view.prompt_length]))
        latest = next(reversed(self._scanner.values.items()), (b"", b""))
        if latest != self._last_value:
            self._last_value = latest
            self._prompt.follow(latest[1])
        ahead = self._speller.text_of(view.ids[view.committed :])
        found: list[Guess] = []
        self._explore(view.matcher, ahead, b"", ((0, "style"),), self._owner.choices, found)
        for text, marks in found:
            parent, offset, at, since = node, 0, 0, 0
            for token in self._speller.spell(view.ids, text):
                while at + 1 < len(marks) and marks[at + 1][0] <= offset:
                    at, since = at + 1, 0
                parent = draft.add(parent, token, self._owner.name, (marks[at][1], min(since, 2)))
                if parent < 0:
                    break
                offset += len(self._speller.text_of([token]))
                since += 1

    def _last_turn(self, ids: list[int]) -> bytes:
        """The text of a prompt's last long stretch between ids without text: in a chat, what the user said last."""
        assert self._speller is not None
        stretches: list[list[int]] = [[]]
        for token in ids:
            if self._speller.text_of([token]):
                stretches[-1].append(token)
            else:
                stretches.append([])
        longest = max(len(stretch) for stretch in stretches)
        return self._speller.text_of([each for each in stretches if len(each) >= min(longest, 8)][-1])

    # ------------------------------------------------------------------------------------------------ guessing

    def _explore(self, matcher: Any, ahead: bytes, text: bytes, marks: Marks, choices: int, found: list[Guess]) -> None:
        """Append guesses of what follows; `ahead` and `text` are what was assumed so far. The matcher comes back."""
        most = self._owner.guesses + self._owner.words
        moves = 0
        while len(text) < self._owner.length:
            forced = matcher.forced_bytes()
            step = forced or self._expected_blanks(ahead + text)
            if not step or not matcher.accept_bytes(step):
                break
            text += step
            moves += 1
        rest = self._choices(matcher, ahead + text) if choices > 0 and len(found) < most else []
        before = len(found)
        for piece, why in rest:
            if len(found) < most and len(text) + len(piece) < self._owner.length:
                if matcher.accept_bytes(piece):
                    further = (*marks, (len(text), why), (len(text) + len(piece), "style"))
                    self._explore(matcher, ahead, text + piece, further, choices - 1, found)
                    matcher.rollback(1)
        if len(found) == before and text:
            found.append((text, marks))
        matcher.rollback(moves)

    def _state(self, assumed: bytes) -> tuple[bool, int, int, bytes]:
        """(in a string, last sign, depth, blanks since) after what was assumed."""
        scanner = self._scanner
        inside, last, depth, blanks = scanner.in_string, scanner.last, scanner.depth, bytes(scanner.blanks)
        escaped = scanner._escaped
        for byte in assumed:
            if inside:
                if escaped:
                    escaped = False
                elif byte == 0x5C:
                    escaped = True
                elif byte == 0x22:
                    inside, last = False, byte
            elif byte in _BLANKS:
                blanks += bytes((byte,))
            else:
                inside = byte == 0x22
                depth += (byte in b"{[") - (byte in b"}]")
                last, blanks = byte, b""
        return inside, last, depth, blanks

    def _expected_blanks(self, assumed: bytes) -> bytes:
        inside, last, depth, blanks = self._state(assumed)
        if inside or not last or last not in b"{[,:":
            return b""
        expected = self._scanner.blanks_after(last, depth)
        return expected[len(blanks) :] if expected.startswith(blanks) else b""

    def _choices(self, matcher: Any, assumed: bytes) -> list[tuple[bytes, Any]]:
        """What may be chosen here, the likeliest first."""
        inside, last, depth, _ = self._state(assumed)
        few = self._few(matcher)
        if inside:
            begins = assumed.endswith(b'"') if assumed else self._scanner.begins_string
            if begins and not few:
                return list(self._words(False))
            return [*((text, "branch") for text in few), (b'"', "end")]
        found: list[tuple[bytes, Any]] = []
        if last and last in b":" and (value := self._scanner.values.get(self._key(assumed))):
            found.append((value, "memory"))
        if last and last in b"{,":
            follower = self._scanner.followers.get(self._scanner.key)
            if follower is not None and last in b",":
                found.append((follower, "memory"))
        found += [(text, "branch") for text in few]
        if last and last not in b"{[,:":
            newline = self._scanner.blanks_after(0x2C, depth - 1) if depth > 0 else b""
            close = newline if newline.startswith(b"\n") else b""
            found += [(b",", "next"), (close + b"}", "close"), (close + b"]", "close")]
        elif not few:
            if last and last in b":[,":
                found += self._words(True)
            found.append((b'"', "open"))
        return found

    def _words(self, numbers: bool) -> Iterator[tuple[bytes, Any]]:
        """Words of the prompt (or numbers), with their rank as class."""
        if self._prompt is not None:
            kind = "number" if numbers else "word"
            for rank, word in enumerate(self._prompt.guesses(2 if numbers else self._owner.words, numbers)):
                yield word, (kind, min(rank, 2))

    def _key(self, assumed: bytes) -> bytes:
        """The key whose value begins after what was assumed."""
        end = assumed.rfind(b'":')
        if end < 0:
            return self._scanner.key
        begin = assumed.rfind(b'"', 0, end)
        return assumed[begin : end + 1] if begin >= 0 else self._scanner.key

    def _few(self, matcher: Any) -> list[bytes]:
        """The texts of legal tokens where there are few: the longest of those that begin alike."""
        row = self._row
        assert row is not None and self._speller is not None
        matcher.fill_mask(row)
        words = np.flatnonzero(row)
        if not 0 < len(words) <= _FEW:
            return []
        tokens = [int(word) * 32 + bit for word in words for bit in range(32) if (int(row[word]) >> bit) & 1]
        if len(tokens) > _FEW:
            return []
        texts = sorted({self._speller.text_of([token]) for token in tokens}, key=lambda text: (-len(text), text))
        kept: list[bytes] = []
        for text in texts:
            if text.strip() and not any(other.startswith(text) for other in kept):
                kept.append(text)
        return kept if len(kept) <= self._owner.guesses else []

    def observe(self, seen: Seen) -> None:
        pass
