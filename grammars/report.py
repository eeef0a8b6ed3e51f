"""What a compiled schema enforces, place by place: nothing is ignored without being named.

`report(schema)` says of every keyword of every sub-schema whether it is enforced and how, or an annotation, and of
every place whether it has an instance. It builds all of the automaton, so what would be refused later is named now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from grammars.automaton.lower_json import JsonLowering
from grammars.automaton.terminals import TerminalStore
from grammars.contents import ENCODINGS, MEDIA_TYPES
from grammars.errors import BudgetExceeded, UnsatisfiableSchema, UnsupportedSchema
from grammars.formats import FORMATS
from grammars.jsonschema._explain import unsatisfiable
from grammars.jsonschema._nodes import Scope, escape
from grammars.jsonschema._reader import keywords_of
from grammars.jsonschema.compiler import SchemaCompiler
from grammars.kernels.layout import OP_LAZY

__all__ = ["Finding", "Report", "report"]

Status = Literal["enforced", "annotation", "unsatisfiable", "unsupported"]

_HOW = {
    "type": "other types are not begun", "enum": "only the listed values are spelled", "const": "one value is spelled",
    "properties": "each name leads to its own sub-schema, whatever the order and spelling of keys",
    "patternProperties": "key automata, made disjoint; a key obeys each pattern that it matches",
    "additionalProperties": "keys outside properties and patternProperties", "propertyNames": "key automaton",
    "required": "the object closes only when they are there", "minProperties": "keys are counted",
    "maxProperties": "keys are counted; room is kept for required ones",
    "dependentRequired": "cases: absent, or present with what it needs", "dependencies": "cases: absent, or present",
    "dependentSchemas": "cases: absent, or present with the schema", "items": "each further item",
    "prefixItems": "item by item", "additionalItems": "items behind the tuple", "minItems": "items are counted",
    "maxItems": "items are counted", "uniqueItems": "values of finished items are compared",
    "contains": "item automaton that counts the matching items", "minContains": "see contains",
    "maxContains": "see contains", "unevaluatedProperties": "cases by what was evaluated beside it",
    "unevaluatedItems": "cases by what was evaluated beside it", "minLength": "characters are counted",
    "maxLength": "characters are counted; an escape is one", "pattern": "ECMA-262 automaton",
    "format": "automaton of the format", "contentEncoding": "automaton of the encoding",
    "contentMediaType": "automaton of JSON text, nested up to four deep",
    "minimum": "digit automaton", "maximum": "digit automaton",
    "exclusiveMinimum": "digit automaton", "exclusiveMaximum": "digit automaton",
    "multipleOf": "remainders in the digit automaton, in decimal", "allOf": "merged", "anyOf": "cases",
    "oneOf": "cases, each without the others", "not": "pushed inwards", "if": "cases: with then, without it with else",
    "then": "see if", "else": "see if", "$ref": "followed", "$dynamicRef": "followed in its dynamic scope",
    "$recursiveRef": "followed in its dynamic scope",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One keyword at one place (or, with keyword "", the place itself)."""

    pointer: str
    keyword: str
    status: Status
    how: str

    def __str__(self) -> str:
        place = self.pointer or "/"
        return f"{place}: {self.keyword + ' ' if self.keyword else ''}{self.status}: {self.how}"


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, in the order of the places."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether the schema compiles and each place has an instance."""
        return all(finding.status in ("enforced", "annotation") for finding in self.findings)

    def of(self, status: Status) -> tuple[Finding, ...]:
        """The findings of one status."""
        return tuple(finding for finding in self.findings if finding.status == status)


def report(
    schema: dict[str, Any] | bool, *, format: str = "assert", content: str = "annotate", registry: Any = None
) -> Report:
    """What is enforced, per JSON pointer. An unsatisfiable root is a finding here, not an error.

    Errors: `SchemaError` for a malformed schema.
    """
    try:
        compiler = SchemaCompiler(schema, format=format, content=content, registry=registry)
    except UnsatisfiableSchema as error:
        return Report((Finding(error.pointer, "", "unsatisfiable", _first_line(error)),))
    except (UnsupportedSchema, BudgetExceeded) as error:
        return Report((_refusal(error),))
    findings = list(_lower(compiler))
    for pointer, place, scope in _places(schema, compiler):
        findings.extend(_keywords(pointer, place, scope, compiler))
        findings.extend(_emptiness(pointer, place, scope, compiler))
    return Report(tuple(sorted(dict.fromkeys(findings), key=lambda finding: finding.pointer)))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _lower(compiler: SchemaCompiler) -> Iterator[Finding]:
    """Build the automaton of every part that a document can come to; what cannot be built becomes a finding."""
    try:
        modes: dict[str, Any] = {"property_order": "any", "whitespace": "any", "spelling": "any"}
        program = JsonLowering(compiler, TerminalStore(), **modes).program
    except (UnsupportedSchema, BudgetExceeded) as error:
        yield _refusal(error)
        return
    node = 0
    while 4 * node < program.node.n:  # grows while it is walked
        if program.node.data[4 * node] == OP_LAZY and program.expand is not None:
            try:
                program.expand(node)
            except (UnsupportedSchema, BudgetExceeded) as error:
                yield _refusal(error)
        node += 1


def _refusal(error: UnsupportedSchema | BudgetExceeded) -> Finding:
    if isinstance(error, UnsupportedSchema):
        return Finding(error.pointer, error.keyword, "unsupported", _first_line(error))
    return Finding("", "", "unsupported", _first_line(error))


def _places(schema: Any, compiler: SchemaCompiler) -> Iterator[tuple[str, dict[str, Any], Scope]]:
    """Each schema object of the document, with its pointer and the resource that it belongs to."""
    references = compiler.references
    stack: list[tuple[Any, str, Scope]] = [(schema, "", references.root)]
    while stack:
        place, pointer, scope = stack.pop()
        if not isinstance(place, dict):
            continue
        scope = references.enter(place, pointer, scope)
        yield pointer, place, scope
        below: list[tuple[Any, str, Scope]] = []
        for keyword, value in place.items():
            where = f"{pointer}/{escape(keyword)}"
            if keyword in _MAPS and isinstance(value, dict):
                below.extend((item, f"{where}/{escape(name)}", scope) for name, item in value.items())
            elif keyword in _LISTS and isinstance(value, list):
                below.extend((item, f"{where}/{index}", scope) for index, item in enumerate(value))
            elif keyword in _SINGLES:
                below.append((value, where, scope))
        stack.extend(reversed(below))


def _emptiness(pointer: str, place: dict[str, Any], scope: Scope, compiler: SchemaCompiler) -> Iterator[Finding]:
    try:
        ref = compiler.ref_of_one(compiler.node(place, pointer, scope))
        if compiler.is_empty(ref):
            yield Finding(pointer, "", "unsatisfiable", _first_line(unsatisfiable(compiler, ref)))
    except (UnsupportedSchema, BudgetExceeded) as error:
        yield _refusal(error)


def _keywords(pointer: str, place: dict[str, Any], scope: Scope, compiler: SchemaCompiler) -> Iterator[Finding]:
    known = keywords_of(place, scope.dialect)
    for keyword, value in place.items():
        if keyword == "format" and keyword in known and not (compiler.assert_formats and value in FORMATS):
            reason = "not a format of the standard" if compiler.assert_formats else 'format="annotate" was chosen'
            yield Finding(pointer, keyword, "annotation", f"{value!r}: {reason}")
        elif keyword in _CONTENT and keyword in known and (reason := _unasserted(place, value, compiler)):
            yield Finding(pointer, keyword, "annotation", f"{value!r}: {reason}")
        elif keyword in known or _BESIDE.get(keyword) in known & place.keys():
            yield Finding(pointer, keyword, "enforced", _HOW.get(keyword, "enforced"))
        else:
            yield Finding(pointer, keyword, "annotation", "asserts nothing here")


def _unasserted(place: dict[str, Any], value: Any, compiler: SchemaCompiler) -> str:
    """Why a content keyword asserts nothing; "" if it does."""
    if not compiler.assert_content:
        return 'content="annotate" was chosen'
    encoding = place.get("contentEncoding")
    if value == encoding:
        return "" if value in ENCODINGS else "not an encoding that is known"
    if value not in MEDIA_TYPES:
        return "not a media type that is known"
    return "" if encoding in (None, "base64") else "not decoded from this encoding"


_CONTENT = ("contentEncoding", "contentMediaType")
_BESIDE = {"then": "if", "else": "if", "minContains": "contains", "maxContains": "contains", "additionalItems": "items"}
_MAPS = frozenset("properties patternProperties dependentSchemas dependencies $defs definitions".split())
_LISTS = frozenset("allOf anyOf oneOf prefixItems items".split())
_SINGLES = frozenset(
    """items additionalItems additionalProperties propertyNames contains not if then else unevaluatedItems
    unevaluatedProperties""".split()
)
