"""The texts of this folder by name, with what each accepts and refuses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from grammars.cfg.compile import compile_gbnf, compile_lark
from grammars.grammar import Grammar
from grammars.library._examples import EXAMPLES

__all__ = ["LibraryGrammar", "load", "names"]


@dataclass(frozen=True, slots=True)
class LibraryGrammar:
    """A grammar of the library: its language ("lark" or "gbnf"), its text, and examples."""

    name: str
    language: str
    text: str
    accepted: tuple[str, ...]
    refused: tuple[str, ...]

    @property
    def description(self) -> str:
        """The comment that the text begins with."""
        mark = "#" if self.language == "gbnf" else "//"
        lines = []
        for line in self.text.splitlines():
            if not line.startswith(mark):
                break
            lines.append(line.removeprefix(mark).strip())
        return " ".join(lines)

    def compile(self) -> Grammar:
        """The compiled grammar, made anew."""
        return compile_gbnf(self.text) if self.language == "gbnf" else compile_lark(self.text)


def names() -> tuple[str, ...]:
    """The names of the grammars, sorted."""
    return tuple(sorted(EXAMPLES))


@lru_cache(maxsize=64)
def load(name: str) -> LibraryGrammar:
    """A grammar by name. `KeyError` for an unknown one, with the names there are."""
    if name not in EXAMPLES:
        raise KeyError(f"no grammar {name!r} in the library; there are {', '.join(names())}")
    accepted, refused = EXAMPLES[name]
    folder = resources.files("grammars.library")
    for language in ("lark", "gbnf"):
        file = folder / f"{name}.{language}"
        if file.is_file():
            return LibraryGrammar(name, language, file.read_text(encoding="utf-8"), accepted, refused)
    raise KeyError(f"the text of {name!r} is missing from the installation")
