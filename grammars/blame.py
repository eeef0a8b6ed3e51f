"""Which keyword of a schema bans a continuation: found by leaving keywords out, when somebody asks.

Beside `matcher`, whose `explain` calls it; nothing is recorded while a schema is compiled, so it costs nothing before.
The text so far says which sub-schemas apply to the value at its end and to the containers around it. Their keywords are
left out, the innermost first, until the continuation is possible; then they are put back one at a time where it stays
possible. What remains is a smallest set of keywords each of which is needed for the ban. Branches of anyOf and oneOf
count as one keyword, unless the text has left a single branch: then the search goes on inside it. JSON itself is asked
first, then the options of the grammar (order of keys, blanks, spelling).

Rejected: keeping with every alternative the keywords that it came from. Merging and splitting would have to carry them,
for each schema, and an intersection of automata is not the work of one of its parts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from grammars.errors import GuidedError, shorten
from grammars.jsonschema._nodes import References, Scope, default_dialect, escape
from grammars.jsonschema._reader import keywords_of

__all__ = ["Ban", "bans", "position"]

Step = str | int
Edit = tuple[str, ...]
Place = tuple[Any, str, Scope]


@dataclass(frozen=True, slots=True)
class Ban:
    """What forbids a continuation: a "keyword" (at `pointer`), an "option" of the grammar, or "json" itself."""

    kind: Literal["keyword", "option", "json"]
    keyword: str = ""
    pointer: str = ""
    value: str = ""

    def __str__(self) -> str:
        if self.kind == "json":
            return "no JSON text goes on so"
        if self.kind == "option":
            return f"{self.keyword}={self.value!r}"
        return f'"{self.keyword}": {self.value} at {self.pointer}' if self.keyword else f"false at {self.pointer}"


def bans(recipe: dict[str, Any], text: bytes, more: bytes | None) -> tuple[Ban, ...]:
    """Why `more` cannot follow `text` (None: why the text cannot end there) under the grammar of `recipe`.

    Several: each is needed for the ban, alone or because it bans as well. Empty where it could not be found out.
    """
    options = {key: value for key, value in recipe.items() if key not in ("kind", "source")}
    return _Search(recipe["source"], options, text, more).answer()


@cache
def _bytes() -> Any:
    from grammars.vocabulary import Vocabulary

    return Vocabulary.from_bytes([*(bytes([value]) for value in range(256)), None], eos_ids=[256])


_FULL = {"property_order": "any", "whitespace": "any", "spelling": "any"}
_MOST_BRANCHES = 40


class _Search:
    def __init__(self, schema: Any, options: dict[str, Any], text: bytes, more: bytes | None) -> None:
        self._schema, self._options, self._text, self._more = schema, options, text, more
        self._references = References(schema, default_dialect(options["default_draft"]), options["registry"])

    def answer(self) -> tuple[Ban, ...]:
        if not self._possible(True, {**self._options, **_FULL}):
            return (Ban("json"),)
        strict = [name for name, full in _FULL.items() if self._options[name] != full]
        to_blame = _needed(strict, lambda left: self._possible(self._schema, self._without_options(left)))
        if to_blame is not None:
            return tuple(Ban("option", name, value=self._options[name]) for name in to_blame)
        self._options |= _FULL
        chosen: dict[str, int] = {}
        found = self._keywords(chosen)
        while found and len(found) == 1 and (branch := self._only_branch(found[0])) is not None:
            chosen[_pointer(found[0])] = branch
            inner = self._keywords(chosen)
            if not inner:
                break
            found = inner
        return tuple(map(self._named, found or ()))

    def _without_options(self, names: Iterable[str]) -> dict[str, Any]:
        return {**self._options, **{name: _FULL[name] for name in names}}

    def _possible(self, schema: Any, options: dict[str, Any]) -> bool:
        """Is the text, with its continuation, the beginning of a document of `schema`?"""
        from grammars.grammar import compile_json_schema
        from grammars.matcher import Matcher

        try:
            matcher = Matcher(compile_json_schema(schema, **options), _bytes())
            if not matcher.accept_bytes(self._text + (self._more or b"")):
                return False
            return self._more is not None or matcher.is_accepting()
        except GuidedError:
            return False

    # ------------------------------------------------------------------------------------------- keywords

    def _keywords(self, chosen: dict[str, int]) -> list[Edit] | None:
        """The keywords to blame; None where leaving all of them out does not help."""
        candidates: list[Edit] = []
        for level in self._levels(chosen):
            fresh = [edit for edit in dict.fromkeys(level) if edit not in candidates and _pointer(edit) not in chosen]
            candidates.extend(fresh)
            if fresh:  # else this level adds nothing
                found = _needed(candidates, lambda left: self._possible(_edited(self._schema, left), self._options))
                if found is not None:
                    return found
        return None

    def _only_branch(self, edit: Edit) -> int | None:
        """The one branch of an anyOf or oneOf that the text so far satisfies; None if there are several."""
        branches = _at(self._schema, edit)
        if edit[-1] not in ("anyOf", "oneOf") or not isinstance(branches, list) or len(branches) > _MOST_BRANCHES:
            return None
        so_far = _Search(self._schema, self._options, self._text, b"")
        left = []
        for index, branch in enumerate(branches):
            if so_far._possible(_replaced(self._schema, edit, [branch]), self._options):
                left.append(index)
        return left[0] if len(left) == 1 else None

    def _named(self, edit: Edit) -> Ban:
        value = _at(self._schema, edit)
        name, parent = edit[-1], _at(self._schema, edit[:-1])
        pointer = _pointer(edit)
        if value is False and (isinstance(parent, list) or (len(edit) > 1 and edit[-2] in _MAPS)):
            return Ban("keyword", "", pointer)
        return Ban("keyword", name, pointer, shorten(json.dumps(value, default=str), 60))

    # --------------------------------------------------------------------------------------------- places

    def _levels(self, chosen: dict[str, int]) -> Iterator[list[Edit]]:
        """The keywords that may matter, from the end of the text outwards."""
        path, key = position(self._text)
        rows = [self._here([(self._schema, "", self._references.root)], chosen)]
        for step in path:
            rows.append(self._here([child for place in rows[-1] for child in self._below(place, step)], chosen))
        if key is not None:
            begun = key + (self._more or b"")[:1].decode("latin-1").strip('"')
            yield [
                edit
                for place in rows[-1]
                for child in self._declared(place, begun)
                for inner in self._here([child], chosen)
                for edit in self._edits(inner)
            ]
        for row in reversed(rows):
            yield [edit for place in row for edit in self._edits(place)]

    def _here(self, places: list[Place], chosen: dict[str, int]) -> list[Place]:
        """These schemas and what must hold with them: targets of references, parts of allOf, branches chosen."""
        found: list[Place] = []
        seen: set[str] = set()
        todo = places[::-1]
        while todo:
            schema, pointer, scope = todo.pop()
            if pointer in seen:
                continue
            seen.add(pointer)
            if not isinstance(schema, dict):
                found.append((schema, pointer, scope))
                continue
            scope = self._references.enter(schema, pointer, scope)
            found.append((schema, pointer, scope))
            known = keywords_of(schema, scope.dialect)
            if "$ref" in known and isinstance(schema.get("$ref"), str):
                todo.append(self._references.find(schema["$ref"], scope, pointer + "/$ref"))
            for keyword in ("$dynamicRef", "$recursiveRef"):
                if keyword in known and keyword in schema:
                    todo.append(self._references.find_dynamic(schema[keyword], scope, f"{pointer}/{keyword}"))
            if "allOf" in known:
                todo.extend((part, f"{pointer}/allOf/{i}", scope) for i, part in enumerate(schema.get("allOf", ())))
            for keyword in ("anyOf", "oneOf"):
                index = chosen.get(f"{pointer}/{keyword}")
                if index is not None:
                    todo.append((schema[keyword][index], f"{pointer}/{keyword}/{index}", scope))
        return found

    def _below(self, place: Place, step: Step) -> Iterator[Place]:
        """The sub-schemas for a property or an item."""
        schema, pointer, scope = place
        if not isinstance(schema, dict):
            return
        if isinstance(step, str):
            matched = False
            if step in schema.get("properties", {}):
                matched = True
                yield schema["properties"][step], f"{pointer}/properties/{escape(step)}", scope
            for pattern, part in schema.get("patternProperties", {}).items():
                if _found(pattern, step):
                    matched = True
                    yield part, f"{pointer}/patternProperties/{escape(pattern)}", scope
            if not matched and "additionalProperties" in schema:
                yield schema["additionalProperties"], f"{pointer}/additionalProperties", scope
            return
        prefix = "prefixItems" if scope.dialect.year >= 2020 else "items"
        listed = schema.get(prefix)
        rest = "items" if prefix == "prefixItems" or not isinstance(listed, list) else "additionalItems"
        if isinstance(listed, list) and step < len(listed):
            yield listed[step], f"{pointer}/{prefix}/{step}", scope
        elif rest in schema:
            yield schema[rest], f"{pointer}/{rest}", scope

    def _declared(self, place: Place, begun: str) -> Iterator[Place]:
        """The declared properties whose names begin so."""
        schema, pointer, scope = place
        if isinstance(schema, dict):
            for name, part in schema.get("properties", {}).items():
                if name.startswith(begun):
                    yield part, f"{pointer}/properties/{escape(name)}", scope

    def _edits(self, place: Place) -> Iterator[Edit]:
        """What can be left out of one schema object."""
        schema, pointer, scope = place
        edit = _tokens(pointer)
        if edit is None:
            return
        if schema is False:
            yield edit
        elif isinstance(schema, dict):
            known = keywords_of(schema, scope.dialect) | {"then", "else", "minContains", "maxContains"}
            for keyword, value in schema.items():
                if keyword == "$ref" and _tokens(self._references.find(value, scope, pointer)[1]) is None:
                    yield (*edit, keyword)
                elif keyword in known and keyword not in _DESCENDED and not (keyword == "if" and len(schema) > 1):
                    yield (*edit, keyword)


_DESCENDED = frozenset("$ref $dynamicRef $recursiveRef allOf properties patternProperties prefixItems".split())
_MAPS = ("properties", "patternProperties", "$defs", "definitions")


def _needed(candidates: Sequence[Any], possible: Callable[[list[Any]], bool]) -> list[Any] | None:
    """A smallest part of `candidates` that helps when left out; None where all of them together do not."""
    left = list(candidates)
    if not left or not possible(left):
        return None
    for candidate in reversed(candidates):  # the outermost are put back first
        fewer = [other for other in left if other != candidate]
        if len(left) > 1 and possible(fewer):
            left = fewer
    return left


def _found(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # what only ECMA-262 reads
        return False


# ------------------------------------------------------------------------------------------------- documents


def _tokens(pointer: str) -> Edit | None:
    """A JSON pointer's tokens; None where it leads out of the document."""
    if pointer and not pointer.startswith("/"):
        return None
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def _pointer(edit: Edit) -> str:
    return "".join(f"/{escape(token)}" for token in edit)


def _at(document: Any, edit: Edit) -> Any:
    for token in edit:
        document = document[int(token)] if isinstance(document, list) else document[token]
    return document


def _edited(document: Any, edits: Iterable[Edit]) -> Any:
    """The document without these keywords; a schema `false` among them becomes `true`. Untouched parts are shared."""
    for edit in sorted(edits, key=len, reverse=True):  # what stands inside goes before what is around it
        value = _at(document, edit)
        schema_map = len(edit) > 1 and edit[-2] in _MAPS
        document = _replaced(document, edit, True if value is False and (schema_map or not edit) else _DROP)
    return document


_DROP: Any = object()


def _replaced(document: Any, edit: Edit, value: Any) -> Any:
    if not edit:
        return True if value is _DROP else value
    copy = document.copy()
    if isinstance(copy, list):
        place = int(edit[0])
        copy[place] = _replaced(copy[place], edit[1:], value)
    elif len(edit) == 1 and value is _DROP:
        del copy[edit[0]]
    else:
        copy[edit[0]] = _replaced(copy[edit[0]], edit[1:], value)
    return copy


_BLANK, _NUMBER_END = b" \t\n\r", b",]} \t\n\r"


def position(text: bytes) -> tuple[list[Step], str | None]:
    """Where the beginning of a JSON document ends: the way to the innermost value, and the key begun there, if one is.

    >>> position(b'{"a": [1, {"b')
    (['a', 1], 'b')
    """
    stack: list[list[Any]] = []
    i, expect, scalar = 0, "value", False
    while i < len(text):
        byte = text[i : i + 1]
        scalar = False
        if byte in (b'"',):
            end = _string_end(text, i)
            if end is None:
                if expect == "key":
                    return [step for _, step in stack[:-1]], _decoded(text[i + 1 :])
                return [step for _, step in stack], None
            if expect == "key":
                stack[-1][1], expect = _decoded(text[i + 1 : end]), "colon"
            else:
                expect = "after"
            i = end
        elif byte in (b"{", b"["):
            stack.append([byte, None if byte == b"{" else 0])
            expect = "key" if byte == b"{" else "value"
        elif byte in (b"}", b"]"):
            stack.pop()
            expect = "after"
        elif byte == b",":
            expect = "key" if stack[-1][0] == b"{" else "value"
            if stack[-1][0] == b"[":
                stack[-1][1] += 1
        elif byte == b":":
            expect = "value"
        elif byte not in (b" ", b"\t", b"\n", b"\r"):
            while i + 1 < len(text) and text[i + 1] not in _NUMBER_END:
                i += 1
            expect, scalar = "after", True
        i += 1
    if expect == "key":
        return [step for _, step in stack[:-1]], ""
    steps = [step for _, step in stack]
    return (steps if scalar or expect == "value" or not steps else steps[:-1]), None


def _string_end(text: bytes, start: int) -> int | None:
    i = start + 1
    while i < len(text):
        if text[i] == 0x5C:
            i += 1
        elif text[i] == 0x22:
            return i
        i += 1
    return None


def _decoded(inside: bytes) -> str:
    """What stands between the quotes; as far as it can be read, where it is cut off."""
    for end in range(len(inside), max(len(inside) - 12, -1), -1):
        try:
            return str(json.loads(b'"' + inside[:end] + b'"'))
        except ValueError:
            continue
    return ""
