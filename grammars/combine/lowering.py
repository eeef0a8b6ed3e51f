"""Any tree of recipes -> one program: each part is lowered with the node that follows it.

Built from the end to the beginning, as a control node names what comes after it. What a kind of recipe needs is one
function in `_LOWERINGS`; a new front-end adds a line there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from grammars.automaton.free_text import FreeText
from grammars.automaton.lower_cfg import Lex, add_lexed, add_plain
from grammars.automaton.lower_json import JsonLowering
from grammars.automaton.program import Program, Word
from grammars.automaton.substrings import SubstringTerminal
from grammars.automaton.terminals import TerminalStore, current_store
from grammars.combine.regular import nullable, regular
from grammars.errors import BudgetExceeded, GrammarError, UnsupportedGrammar
from grammars.grammar import Grammar
from grammars.kernels.layout import OP_LAZY
from grammars.regex import ByteDfa, CharDfa, Regex
from grammars.vocabulary.vocabulary import special_bytes

__all__ = ["Assembly", "compile_recipe", "part"]

_MOST_COPIES = 10_000  # of a repeated part that is not regular

Recipe = dict[str, Any]
Lowering = Callable[["Assembly", Recipe, int], int]


def part(given: Any) -> Recipe:
    """The recipe of a part: a grammar's own, a string's as a literal.

    Errors: `TypeError` for anything else; `UnsupportedGrammar` for a grammar with options that are not known here.
    """
    if isinstance(given, Grammar):
        recipe = given.recipe
        if unknown := recipe.keys() - _OPTIONS.get(recipe["kind"], recipe.keys()) - {"kind", "source"}:
            raise UnsupportedGrammar(f"a part of the kind {recipe['kind']!r} with {', '.join(sorted(unknown))}")
        return recipe
    if isinstance(given, str):
        return {"kind": "choice", "source": [given]}
    raise TypeError(f"{given!r} is no grammar: combine compiled grammars and strings")


def compile_recipe(recipe: Recipe) -> Grammar:
    """The grammar of a tree of recipes.

    Errors: those of its parts; `GrammarError` where no text is left, `UnsupportedGrammar` where parts do not fit
    together; `BudgetExceeded` for too many copies.
    """
    assembly = Assembly(current_store())
    start = assembly.lower(recipe, assembly.program.end)
    return Grammar(assembly.finish(start), recipe)


class Assembly:
    """A program in the making."""

    def __init__(self, store: TerminalStore) -> None:
        self.store = store
        self.program = Program(store)
        self.program.expand = self._expand
        self._sources: list[JsonLowering] = []
        self._options: tuple[str, str] | None = None
        self._lexers: dict[int, Lex] = {}
        self._lowered: dict[tuple[int, int], tuple[Recipe, int]] = {}

    def _expand(self, node: int) -> None:
        with self.program.lock:
            op, owner = self.program.node.data[4 * node], self.program.node.data[4 * node + 3]
            if op == OP_LAZY:
                self._sources[owner].expand(node)

    def finish(self, start: int) -> Program:
        """The program, which begins at `start`."""
        program = self.program
        if not program.roots.n:
            program.roots.extend([program.end] * 18)
        program.roots.data[17] = start
        return program

    def loop(self, ways: Callable[[int], Sequence[int]]) -> int:
        """A node that goes any of some ways, of which some come back to it: `ways` gets the node."""
        node = self.program.fresh(OP_LAZY)  # nobody sees it lazy
        self.program.become(node, self.program.choice(ways(node)))
        return node

    def lower(self, recipe: Recipe, following: int) -> int:
        """A node that reads a text of `recipe` and goes on at `following`: of one recipe there, one node."""
        known = self._lowered.get((id(recipe), following))
        if known is not None:
            return known[1]
        lowering = _LOWERINGS.get(recipe["kind"])
        if lowering is None:
            raise UnsupportedGrammar(
                f"a grammar of the kind {recipe['kind']!r} cannot be part of another one",
                "Write the other parts as rules of that grammar.",
            )
        node = lowering(self, recipe, following)
        self._lowered[id(recipe), following] = recipe, node  # with the recipe, so that its id stays its own
        return node

    def language(self, language: Regex, following: int) -> int:
        """A regular language, as one terminal."""
        program = self.program
        bounds: tuple[int, int | None, int] | None = None
        counted = language.counted()
        if counted is not None:
            charset, low, high = counted
            language = Regex.chars(charset).repeat(0)
            bounds = None if low == 0 and high is None else (low, high, 4)
        elif language.is_empty():
            raise GrammarError(1, 1, "no text is left: its conditions exclude each other", "Drop one of them.")
        return program.terminal(self.store.start_of(ByteDfa(CharDfa(language), "utf8")), following, bounds)

    def words(self, words: list[bytes], following: int) -> int:
        """One of some byte strings."""
        listed: list[Word] = [(word, following, None) for word in sorted(set(words))]
        if listed == [(b"", following, None)]:
            return following
        return self.program.trie_node(listed)

    def json(self, recipe: Recipe, following: int) -> int:
        """A JSON document; all of a program share their blanks and spelling."""
        options = recipe["whitespace"], recipe["spelling"]
        if self._options not in (None, options):
            raise UnsupportedGrammar(
                "JSON parts with different whitespace= or spelling=", "Give all of them the same options."
            )
        self._options = options
        self.program.free_spelling = options[1] == "any"
        from grammars.jsonschema import SchemaCompiler

        source = SchemaCompiler(
            recipe["source"],
            format=recipe["format"],
            content=recipe["content"],
            registry=recipe.get("registry"),
            default_draft=recipe["default_draft"],
        )
        lowering = JsonLowering(
            source,
            self.store,
            property_order=recipe["property_order"],
            whitespace=options[0],
            spelling=options[1],
            literals=recipe.get("literals", "json"),
            program=self.program,
            part=len(self._sources),
        )
        self._sources.append(lowering)
        return lowering.document(following)

    def parser(self, made: tuple[int, Lex], following: int) -> int:
        """A context-free grammar: its root and lexer. Called, so that the end of its text is not that of the whole."""
        root, lex = made
        self._lexers[int(self.program.node.data[4 * root + 1])] = lex
        self.program.lex = lambda table, *rest: self._lexers[table](table, *rest)
        return self.program.call(root, following)


def _lark(assembly: Assembly, recipe: Recipe, following: int) -> int:
    from grammars.cfg.lark_grammar import read_lark

    options = {key: recipe[key] for key in ("start", "parser", "lexer", "regex_flags")}
    table, lexer = read_lark(recipe["source"], **options)
    made = add_lexed(assembly.program, table, lexer, assembly.store, empty=not recipe.get("written"))
    return assembly.parser(made, following)


def _gbnf(assembly: Assembly, recipe: Recipe, following: int) -> int:
    from grammars.cfg.gbnf import read_gbnf

    start = recipe["start"]
    parts = read_gbnf(recipe["source"]).reduced(start, start == "root")
    made = add_plain(assembly.program, *parts, assembly.store, empty=not recipe.get("written"))
    return assembly.parser(made, following)


def _ebnf(assembly: Assembly, recipe: Recipe, following: int) -> int:
    from grammars.cfg.ebnf import read_ebnf

    rules = read_ebnf(recipe["source"])
    parts = rules.reduced(recipe["start"] or next(iter(rules.bodies)), recipe["start"] is None)
    made = add_plain(assembly.program, *parts, assembly.store, empty=not recipe.get("written"))
    return assembly.parser(made, following)


def _regex(assembly: Assembly, recipe: Recipe, following: int) -> int:
    language = regular(recipe)
    assert language is not None
    return assembly.language(language, following)


def _choice(assembly: Assembly, recipe: Recipe, following: int) -> int:
    return assembly.words([word.encode() for word in recipe["source"]], following)


def _substring(assembly: Assembly, recipe: Recipe, following: int) -> int:
    key = ("substring", recipe["boundary"], recipe["source"])
    start = assembly.store.extras.get(key)
    if start is None:
        start = assembly.store.start_of(SubstringTerminal(recipe["source"], recipe["boundary"]))
        assembly.store.extras[key] = start
    assert isinstance(start, int)
    return assembly.program.terminal(start, following)


def _then(assembly: Assembly, recipe: Recipe, following: int) -> int:
    whole = regular(recipe)
    if whole is not None:
        return assembly.language(whole, following)
    pending: list[Regex] = []  # regular neighbours, in order, become one terminal
    for one in reversed(recipe["source"]):
        language = regular(one)
        if language is not None and not (one["kind"] == "choice" and not pending):
            pending.insert(0, language)
            continue
        if pending:
            following = assembly.language(Regex.sequence(pending), following)
            pending = []
        following = assembly.lower(one, following)
    return assembly.language(Regex.sequence(pending), following) if pending else following


def _either(assembly: Assembly, recipe: Recipe, following: int) -> int:
    whole = regular(recipe)
    if whole is not None:
        return assembly.language(whole, following)
    return assembly.program.choice([assembly.lower(one, following) for one in recipe["source"]])


def _both(assembly: Assembly, recipe: Recipe, following: int) -> int:
    language = regular(recipe, most_words=1 << 20)
    if language is None:
        raise UnsupportedGrammar("an intersection that is not of regular languages", "See `both`.")
    return assembly.language(language, following)


def _repeat(assembly: Assembly, recipe: Recipe, following: int) -> int:
    whole = regular(recipe)
    if whole is not None:
        return assembly.language(whole, following)
    inner, low, high = recipe["source"], recipe["low"], recipe["high"]
    if (high or low) > _MOST_COPIES:
        raise BudgetExceeded(
            "copies of a repeated part", _MOST_COPIES, high or low, "Repeat it without an upper bound."
        )
    program = assembly.program
    if high == 0 or only_empty(inner):
        return following
    if nullable(inner):
        inner, low = not_empty(inner), 0
    body = assembly.lower(inner, program.done)  # once, and called by each copy
    if high is None:
        node = assembly.loop(lambda loop: [program.call(body, loop), following])
    else:
        node = following
        for _ in range(high - low):
            node = program.choice([program.call(body, node), following])
    for _ in range(low):
        node = program.call(body, node)
    return node


def only_empty(recipe: Recipe) -> bool:
    """Whether the only text of a recipe is the empty one, as far as its form tells."""
    kind, source = recipe["kind"], recipe["source"]
    if kind == "choice":
        return not any(source)
    if kind in ("then", "either"):
        return all(only_empty(one) for one in source)
    return kind == "repeat" and (recipe["high"] == 0 or only_empty(source))


def not_empty(recipe: Recipe) -> Recipe:
    """The texts of a recipe without the empty one: a loop over it would not move."""
    if not nullable(recipe):
        return recipe
    kind, source = recipe["kind"], recipe["source"]
    if kind == "choice":
        return recipe | {"source": [word for word in source if word]}
    if kind == "either":
        return recipe | {"source": [not_empty(one) for one in source if not only_empty(one)]}
    if kind == "then":
        # the first part that is not empty, and what follows it
        source = [one for one in source if not only_empty(one)]
        cases = [{"kind": "then", "source": [not_empty(source[i]), *source[i + 1 :]]} for i in range(len(source))]
        return {"kind": "either", "source": cases}
    if kind == "repeat":
        if recipe["high"] == 0 or only_empty(source):
            return {"kind": "choice", "source": []}
        low = 1 if nullable(source) else max(1, recipe["low"])  # empty copies count towards the least number
        return recipe | {"source": not_empty(source), "low": low, "high": recipe["high"]}
    if kind in ("lark", "gbnf", "ebnf"):
        return recipe | {"written": True}
    if regular(recipe) is not None:
        return {"kind": "both", "source": [recipe, {"kind": "regex", "source": r"(.|\n)+"}]}
    raise UnsupportedGrammar(f"a repetition of {kind} that may be empty", "Repeat a part that writes something.")


def _tagged(assembly: Assembly, recipe: Recipe, following: int) -> int:
    from grammars.combine.tagged import lower_tagged  # below us: it lowers its regions here

    return lower_tagged(assembly, recipe, following)


def _until(assembly: Assembly, recipe: Recipe, following: int) -> int:
    """Free text up to and with a marker."""
    assembly.program.specials = True
    text = FreeText([(0, word) for word in marker_words(recipe["source"])], 0)
    return assembly.program.terminal(assembly.store.start_of(text), following)


def _free(assembly: Assembly, recipe: Recipe, following: int) -> int:
    """Any text at all."""
    assembly.program.specials = True
    return assembly.program.terminal(assembly.store.start_of(FreeText([])), following)


def _marker(assembly: Assembly, recipe: Recipe, following: int) -> int:
    assembly.program.specials = True
    return assembly.words(marker_words(recipe), following)


def marker_words(recipe: Recipe) -> list[bytes]:
    """The spellings of a marker: its text, and the tokens that stand for it."""
    spelled = [recipe["source"].encode()] if recipe["spelled"] else []
    return spelled + [special_bytes(token) for token in recipe["ids"]]


_OPTIONS: dict[str, set[str]] = {
    "regex": set(),
    "choice": set(),
    "json": {
        "property_order", "whitespace", "spelling", "format", "content", "registry", "default_draft", "literals",
    },
    "lark": {"start", "parser", "lexer", "regex_flags"},
    "gbnf": {"start"},
    "ebnf": {"start"},
}
"""What recipes of the other front-ends may say; another option is refused here, and not passed over."""

_LOWERINGS: dict[str, Lowering] = {
    "regex": _regex,
    "choice": _choice,
    "json": Assembly.json,
    "lark": _lark,
    "gbnf": _gbnf,
    "ebnf": _ebnf,
    "substring": _substring,
    "words": _regex,
    "strings": _regex,
    "then": _then,
    "either": _either,
    "both": _both,
    "repeat": _repeat,
    "tagged": _tagged,
    "until": _until,
    "free": _free,
    "marker": _marker,
}
