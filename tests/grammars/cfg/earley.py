"""An Earley recogniser over characters, and a reader of GBNF for it: an oracle that shares nothing with the engine."""

from __future__ import annotations

import re
from random import Random
from typing import Any

__all__ = ["Earley"]

_TOKEN = re.compile(
    r'\s+|#[^\n]*|(?P<name>[\w-]+)(?=\s*::=)|(?P<define>::=)|(?P<literal>"(?:\\.|[^"\\])*")|(?P<set>\[(?:\\.|[^\]\\])*\])'
    r"|(?P<call>[\w-]+)|(?P<mark>[()|.])|(?P<repeat>[*+?]|\{\d*,?\d*\})"
)


class Earley:
    """Rules as {name: [[symbol, ...], ...]}; a symbol is a name or a compiled pattern of one character."""

    def __init__(self, text: str, start: str = "root") -> None:
        self.start = start
        self.rules: dict[str, list[list[Any]]] = {}
        tokens = [(m.lastgroup, m[0]) for m in _TOKEN.finditer(text) if m.lastgroup]
        self.tokens, self.at = tokens, 0
        while self.at < len(tokens):
            name = self.tokens[self.at][1]
            self.at += 2
            self.rules[name] = self.choice()
        self.nullable: set[str] = set()
        size = -1
        while size != len(self.nullable):
            size = len(self.nullable)
            for name, rights in self.rules.items():
                if any(all(isinstance(s, str) and s in self.nullable for s in right) for right in rights):
                    self.nullable.add(name)

    def fresh(self, rights: list[list[Any]]) -> str:
        name = f"#{len(self.rules)}"
        self.rules[name] = rights
        return name

    def choice(self) -> list[list[Any]]:
        rights = [self.sequence()]
        while self.at < len(self.tokens) and self.tokens[self.at][1] == "|":
            self.at += 1
            rights.append(self.sequence())
        return rights

    def sequence(self) -> list[Any]:
        right: list[Any] = []
        while self.at < len(self.tokens):
            kind, text = self.tokens[self.at]
            if kind == "name" or text in "|)":
                break
            self.at += 1
            if kind == "literal":
                item: list[Any] = [re.compile(re.escape(c)) for c in _unescaped(text[1:-1])]
            elif kind == "set":
                item = [re.compile(text, re.DOTALL)]
            elif text == ".":
                item = [re.compile(".", re.DOTALL)]
            elif text == "(":
                item = [self.fresh(self.choice())]
                self.at += 1
            else:
                item = [text]
            while self.at < len(self.tokens) and self.tokens[self.at][0] == "repeat":
                item = [self.repeated(item, self.tokens[self.at][1])]
                self.at += 1
            right += item
        return right

    def repeated(self, item: list[Any], mark: str) -> str:
        low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(mark, (None, None))
        if low is None:
            first, comma, second = mark[1:-1].partition(",")
            low = int(first or 0)
            high = low if not comma else int(second) if second else None
        if high is None:
            loop = self.fresh([[]])
            self.rules[loop].append([loop, *item])
            return self.fresh([[*item * low, loop]])
        return self.fresh([item * n for n in range(low, high + 1)])

    def accepts(self, text: str) -> bool:
        """Whether the rules derive the text."""
        columns: list[dict[tuple[str, int, int, int], None]] = [{} for _ in range(len(text) + 1)]
        columns[0] = dict.fromkeys((self.start, k, 0, 0) for k in range(len(self.rules[self.start])))
        for i, column in enumerate(columns):
            queue = list(column)
            for name, k, dot, begin in queue:
                right = self.rules[name][k]
                new: list[tuple[str, int, int, int]] = []
                if dot == len(right):
                    new = [
                        (n, j, d + 1, b)
                        for n, j, d, b in list(columns[begin])
                        if d < len(self.rules[n][j]) and self.rules[n][j][d] == name
                    ]
                elif isinstance(right[dot], str):
                    new = [(right[dot], j, 0, i) for j in range(len(self.rules[right[dot]]))]
                    if right[dot] in self.nullable:
                        new.append((name, k, dot + 1, begin))
                elif i < len(text) and right[dot].match(text[i]):
                    columns[i + 1][name, k, dot + 1, begin] = None
                for item in new:
                    if item not in column:
                        column[item] = None
                        queue.append(item)
        ends = [(self.start, k, len(right), 0) for k, right in enumerate(self.rules[self.start])]
        return any(end in columns[-1] for end in ends)

    def derive(self, random: Random, depth: int, pool: str) -> str | None:
        """A text derived at random, None where it grew too deep."""

        steps = 0

        def go(name: str, left: int) -> str | None:
            nonlocal steps
            steps += 1
            if left < 0 or steps > 500:
                return None
            rights = list(self.rules[name])
            random.shuffle(rights)
            if left < 4:
                rights.sort(key=lambda right: sum(isinstance(s, str) for s in right))
            out = ""
            for symbol in rights[0]:
                if isinstance(symbol, str):
                    part = go(symbol, left - 1)
                    if part is None:
                        return None
                else:
                    fitting = [c for c in pool if symbol.match(c)]
                    part = random.choice(fitting or [c for c in map(chr, range(1, 0x250)) if symbol.match(c)])
                out += part
            return out

        return go(self.start, depth)


def _unescaped(text: str) -> str:
    simple = {"n": "\n", "r": "\r", "t": "\t"}

    def one(found: re.Match[str]) -> str:
        body = found[1]
        return chr(int(body[1:], 16)) if body[0] in "xuU" else simple.get(body, body)

    return re.sub(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", one, text, flags=re.DOTALL)
