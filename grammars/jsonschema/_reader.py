"""One schema object -> `Facts`: the types it admits and, per type, the items an instance must satisfy.

Reading is shallow: sub-schemas become signed node numbers, nothing below them is looked at. Each keyword is a function
of this file; which of them a draft knows stands in `_TABLES`. Keywords a draft does not know are annotations, as the
standard says. Keyword values of the wrong type are `SchemaError`s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from typing import Any, NoReturn, Protocol

from grammars.errors import SchemaError, shorten
from grammars.jsonschema import _unevaluated as unevaluated
from grammars.jsonschema._atoms import (
    ALL_TYPES,
    ARRAY,
    BOOLEAN,
    FALSE,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    TRUE,
    TYPE_BITS,
    ArrayGroup,
    Atom,
    Item,
    ObjectGroup,
    Or,
    Sid,
    type_bit,
    value_key,
)
from grammars.jsonschema._dialects import Dialect
from grammars.jsonschema._nodes import Node, escape
from grammars.jsonschema._unevaluated import Unevaluated, collect, settled

__all__ = ["Facts", "Nodes", "keywords_of", "read"]


class Facts:
    """`types`: bit set of admitted types; `common`: items for each type; `by_type`: items for one type.

    `plain`: there are atoms only, and none that has to be spelled out: nothing to split.
    """

    __slots__ = ("by_type", "common", "plain", "types")

    def __init__(self) -> None:
        self.types = ALL_TYPES
        self.plain = True
        self.common: list[Item] = []
        self.by_type: dict[int, list[Item]] = {}

    def add(self, bit: int, item: Item) -> None:
        """`item` holds for instances of the type `bit`."""
        items = self.by_type.get(bit)
        if items is None:
            self.by_type[bit] = [item]
        else:
            items.append(item)

    def items(self, bit: int) -> list[Item]:
        """All items for instances of the type `bit`."""
        own = self.by_type.get(bit)
        if own is None:
            return self.common
        return self.common + own if self.common else own


class Nodes(unevaluated.Nodes, Protocol):
    """What reading needs from the compiler."""

    assert_formats: bool
    assert_content: bool


class _Reading:
    """The node being read; handed to each keyword's function."""

    __slots__ = ("facts", "node", "nodes", "pointer", "schema", "scope")

    def __init__(self, node: Node, nodes: Nodes) -> None:
        self.facts, self.node = Facts(), node
        self.schema, self.pointer, self.scope, self.nodes = node.schema, node.pointer, node.scope, nodes

    def sub(self, schema: Any, *path: str) -> Sid:
        if schema is True:
            return TRUE
        if schema is False:
            return FALSE
        return self.nodes.node(schema, "/".join((self.pointer, *path)), self.scope)

    def subs(self, keyword: str, value: Any) -> list[Sid]:
        if not isinstance(value, list):
            self.wrong(keyword, "an array of schemas", value)
        return [self.sub(item, keyword, str(index)) for index, item in enumerate(value)]

    def where(self, keyword: str) -> str:
        return f"{self.pointer}/{keyword}"

    def wrong(self, keyword: str, wanted: str, value: Any) -> NoReturn:
        raise SchemaError(
            f"{self.pointer}/{keyword}",
            f'"{keyword}" must be {wanted}, not {shorten(repr(value))}',
            "Correct the schema.",
        )


Keyword = Callable[[_Reading, Any], None]


def keywords_of(schema: dict[str, Any], dialect: Dialect) -> Set[str]:
    """The keywords that assert something in a schema object of this draft."""
    return {"$ref"} if "$ref" in schema and dialect.ref_alone else _table(dialect).keys()


def read(node: Node, nodes: Nodes) -> Facts:
    """The facts of one schema object."""
    reading = _Reading(node, nodes)
    schema = node.schema
    table = _table(node.scope.dialect)
    if "$ref" in schema and node.scope.dialect.ref_alone:
        _ref(reading, schema["$ref"])
        reading.facts.plain = False
        return reading.facts
    for keyword, value in schema.items():
        keyword_reader = table.get(keyword)
        if keyword_reader is not None:
            keyword_reader(reading, value)
            if keyword in _NOT_PLAIN:
                reading.facts.plain = False
    return reading.facts


# ----------------------------------------------------------------------------------------------- any type


def _type(r: _Reading, value: Any) -> None:
    bits = 0
    integer = number = False
    for name in value if isinstance(value, list) else (value,):
        bit = TYPE_BITS.get(name) if isinstance(name, str) else None
        if bit is None:
            r.wrong("type", "one of " + ", ".join(TYPE_BITS) + ", or a list of them", value)
        bits |= bit
        integer |= name == "integer"
        number |= name == "number"
    r.facts.types &= bits
    if integer and not number:
        r.facts.add(NUMBER, Atom("integer", r.scope.dialect.year == 4, r.where("type")))


def _values(r: _Reading, keyword: str, values: list[Any]) -> None:
    split: dict[int, dict[Any, Any]] = {}
    for value in values:
        bit = type_bit(value)
        if not bit:
            r.wrong(keyword, "a JSON value", value)
        split.setdefault(bit, {}).setdefault(value_key(value), value)
    r.facts.types &= sum(split)
    where = r.where(keyword)
    for bit, known in split.items():
        if bit != NULL and not (bit == BOOLEAN and len(known) == 2):
            r.facts.add(bit, Atom("in", known, where))


def _enum(r: _Reading, value: Any) -> None:
    if not isinstance(value, list):
        r.wrong("enum", "an array", value)
    _values(r, "enum", value)


def _const(r: _Reading, value: Any) -> None:
    _values(r, "const", [value])


def _ref(r: _Reading, value: Any) -> None:
    if not isinstance(value, str):
        r.wrong("$ref", "a string", value)
    r.facts.common.append(r.nodes.refer(value, r.scope, r.where("$ref")))


def _dynamic_ref(keyword: str) -> Keyword:
    def reader(r: _Reading, value: Any) -> None:
        if not isinstance(value, str):
            r.wrong(keyword, "a string", value)
        r.facts.common.append(r.nodes.refer_dynamically(value, r.scope, r.where(keyword)))

    return reader


def _all_of(r: _Reading, value: Any) -> None:
    r.facts.common.extend(r.subs("allOf", value))


def _any_of(r: _Reading, value: Any) -> None:
    branches = dict.fromkeys(r.subs("anyOf", value))
    r.facts.common.append(Or(tuple((sid,) for sid in branches), r.where("anyOf")))


def _one_of(r: _Reading, value: Any) -> None:
    sids = r.subs("oneOf", value)
    branches = tuple(
        (sid, *(other ^ 1 for place, other in enumerate(sids) if place != index)) for index, sid in enumerate(sids)
    )
    r.facts.common.append(Or(branches, r.where("oneOf")))


def _not(r: _Reading, value: Any) -> None:
    r.facts.common.append(r.sub(value, "not") ^ 1)


def _if(r: _Reading, value: Any) -> None:
    then = r.sub(r.schema["then"], "then") if "then" in r.schema else TRUE
    other = r.sub(r.schema["else"], "else") if "else" in r.schema else TRUE
    if then == other == TRUE:
        return
    test = r.sub(value, "if")
    r.facts.common.append(Or(((test, then), (test ^ 1, other)), r.where("if")))


# ------------------------------------------------------------------------------------------------- numbers


def _number(kind: str, keyword: str) -> Keyword:
    def reader(r: _Reading, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            r.wrong(keyword, "a number", value)
        r.facts.add(NUMBER, Atom(kind, value, r.where(keyword)))

    return reader


def _bound_draft4(kind: str, keyword: str, exclusive: str) -> Keyword:
    plain, strict = _number(kind, keyword), _number("x" + kind, keyword)

    def reader(r: _Reading, value: Any) -> None:
        (strict if r.schema.get(exclusive) is True else plain)(r, value)

    return reader


def _exclusive_draft4(keyword: str) -> Keyword:
    def reader(r: _Reading, value: Any) -> None:
        if not isinstance(value, bool):
            r.wrong(keyword, "true or false in draft 4", value)

    return reader


def _multiple_of(r: _Reading, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        r.wrong("multipleOf", "a number above 0", value)
    r.facts.add(NUMBER, Atom("multiple", value, r.where("multipleOf")))


# ------------------------------------------------------------------------------------------------- strings


def _whole(r: _Reading, keyword: str, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        r.wrong(keyword, "an integer of 0 or more", value)
    return value


def _count(bit: int, kind: str, keyword: str) -> Keyword:
    def reader(r: _Reading, value: Any) -> None:
        value = _whole(r, keyword, value)
        if value or kind[:3] == "max":
            r.facts.add(bit, Atom(kind, value, r.where(keyword)))

    return reader


def _pattern(r: _Reading, value: Any) -> None:
    if not isinstance(value, str):
        r.wrong("pattern", "a string", value)
    words = _words(value)
    if words is None:
        r.facts.add(STRING, Atom("pattern", value, r.where("pattern")))
    else:
        r.facts.add(STRING, Atom("in", {word: word for word in words}, r.where("pattern")))


_WORDS = re.compile(r"\^(?:([\w ,:/-]*)|\(([\w ,:/-]*(?:\|[\w ,:/-]*)*)\))\$", re.ASCII)


def _words(pattern: str) -> list[str] | None:
    """The strings of a pattern such as `^word$` or `^(one|other)$`, which is an enum in disguise."""
    found = _WORDS.fullmatch(pattern)
    if found is None:
        return None
    return [found[1]] if found[1] is not None else found[2].split("|")


def _format(r: _Reading, value: Any) -> None:
    if not isinstance(value, str):
        r.wrong("format", "a string", value)
    if r.nodes.assert_formats or r.scope.dialect.asserts_formats:
        r.facts.add(STRING, Atom("format", value, r.where("format")))


def _content(r: _Reading, keyword: str) -> None:
    """Both keywords together, at the first of them."""
    given = [r.schema.get(name) for name in ("contentEncoding", "contentMediaType")]
    for name, value in zip(("contentEncoding", "contentMediaType"), given, strict=True):
        if value is not None and not isinstance(value, str):
            r.wrong(name, "a string", value)
    if r.nodes.assert_content and (keyword == "contentEncoding" or given[0] is None):
        r.facts.add(STRING, Atom("content", tuple(given), r.where(keyword)))


def _content_keyword(keyword: str) -> Keyword:
    return lambda r, value: _content(r, keyword)


# -------------------------------------------------------------------------------------------------- arrays


def _items_2020(r: _Reading, value: Any) -> None:
    prefix = r.subs("prefixItems", r.schema.get("prefixItems", []))
    if isinstance(value, list):
        r.wrong("items", 'a schema (tuples are "prefixItems" since 2020-12)', value)
    r.facts.add(ARRAY, Atom("group", ArrayGroup(tuple(prefix), r.sub(value, "items"), r.where("items")), r.pointer))


def _prefix_items(r: _Reading, value: Any) -> None:
    if "items" not in r.schema:
        prefix = tuple(r.subs("prefixItems", value))
        r.facts.add(ARRAY, Atom("group", ArrayGroup(prefix, TRUE, r.where("prefixItems")), r.pointer))


def _items_old(r: _Reading, value: Any) -> None:
    if isinstance(value, list):
        rest = r.sub(r.schema["additionalItems"], "additionalItems") if "additionalItems" in r.schema else TRUE
        group = ArrayGroup(tuple(r.subs("items", value)), rest, r.where("items"))
    else:
        group = ArrayGroup((), r.sub(value, "items"), r.where("items"))
    r.facts.add(ARRAY, Atom("group", group, r.pointer))


def _unique_items(r: _Reading, value: Any) -> None:
    if not isinstance(value, bool):
        r.wrong("uniqueItems", "true or false", value)
    if value:
        r.facts.add(ARRAY, Atom("unique", None, r.where("uniqueItems")))


def _contains(r: _Reading, value: Any) -> None:
    low, high = 1, None
    if "minContains" in _table(r.scope.dialect):
        low = _whole(r, "minContains", r.schema.get("minContains", 1))
        if "maxContains" in r.schema:
            high = _whole(r, "maxContains", r.schema["maxContains"])
    if low > 0 or high is not None:
        r.facts.add(ARRAY, Atom("contains", (r.sub(value, "contains"), low, high), r.where("contains")))


def _beside_contains(r: _Reading, value: Any) -> None:
    """Read with `contains`; alone it asserts nothing."""


def _unevaluated(bit: int, keyword: str) -> Keyword:
    def reader(r: _Reading, value: Any) -> None:
        sid = r.sub(value, keyword)
        if sid == TRUE:
            return
        parts = collect(r.node, keyword, bit, r.nodes, knows)
        value, where = Unevaluated(bit, sid, parts), r.where(keyword)
        if len(parts) > 1 and not parts[0].everything:
            r.facts.add(bit, Atom("unevaluated", value, where))
            r.facts.plain = False
        elif (group := settled(value, where, r.nodes)) is not None:
            r.facts.add(bit, group)

    return reader


def knows(dialect: Dialect, keyword: str) -> bool:
    """Does the dialect assert `keyword`?"""
    return keyword in _table(dialect)


# ------------------------------------------------------------------------------------------------- objects


def _object_group(r: _Reading, leader: str) -> None:
    """Read the three keywords that go together, at the first of them that the schema has."""
    schema = r.schema
    for keyword in _GROUP:
        if keyword in schema:
            if keyword != leader:
                return
            break
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        r.wrong("properties", "an object of schemas", properties)
    nodes, scope, place = r.nodes, r.scope, r.pointer + "/properties/"
    declared = {name: nodes.node(value, place + escape(name), scope) for name, value in properties.items()}
    patterns: tuple[tuple[str, Sid], ...] = ()
    if "patternProperties" in schema:
        given = schema["patternProperties"]
        if not isinstance(given, dict):
            r.wrong("patternProperties", "an object of schemas", given)
        patterns = tuple((key, r.sub(value, "patternProperties", escape(key))) for key, value in given.items())
    additional = r.sub(schema.get("additionalProperties", True), "additionalProperties")
    r.facts.add(OBJECT, Atom("group", ObjectGroup(declared, patterns, additional, r.pointer), r.pointer))


_GROUP = ("properties", "patternProperties", "additionalProperties")


def _group_keyword(keyword: str) -> Keyword:
    return lambda r, value: _object_group(r, keyword)


def _names(r: _Reading, keyword: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        r.wrong(keyword, "an array of property names", value)
    return value


def _required(r: _Reading, value: Any) -> None:
    where = r.where("required")
    for name in dict.fromkeys(_names(r, "required", value)):
        r.facts.add(OBJECT, Atom("required", name, where))


def _property_names(r: _Reading, value: Any) -> None:
    r.facts.add(OBJECT, Atom("names", r.sub(value, "propertyNames"), r.where("propertyNames")))


def _dependent(r: _Reading, keyword: str, name: str, needs: tuple[Item, ...]) -> None:
    where = f"{r.where(keyword)}/{escape(name)}"
    absent, present = Atom("absent", name, where), Atom("required", name, where)
    if needs:
        r.facts.add(OBJECT, Or(((absent,), (present, *needs)), where))


def _dependent_required(r: _Reading, value: Any) -> None:
    _dependencies_of("dependentRequired", r, value)


def _dependent_schemas(r: _Reading, value: Any) -> None:
    _dependencies_of("dependentSchemas", r, value)


def _dependencies(r: _Reading, value: Any) -> None:
    _dependencies_of("dependencies", r, value)


def _dependencies_of(keyword: str, r: _Reading, value: Any) -> None:
    if not isinstance(value, dict):
        r.wrong(keyword, "an object", value)
    for name, needs in value.items():
        where = f"{r.where(keyword)}/{escape(name)}"
        if isinstance(needs, list) and keyword != "dependentSchemas":
            names = dict.fromkeys(_names(r, keyword, needs))
            _dependent(r, keyword, name, tuple(Atom("required", need, where) for need in names if need != name))
        elif keyword == "dependencies" and isinstance(needs, str):  # draft 3's spelling, still found
            _dependent(r, keyword, name, (Atom("required", needs, where),))
        elif keyword == "dependentRequired":
            r.wrong(keyword, "an object of arrays of property names", value)
        else:
            sid = r.sub(needs, keyword, escape(name))
            if sid != TRUE:
                _dependent(r, keyword, name, (sid,))


# ---------------------------------------------------------------------------------------- which draft has which

_CORE: dict[str, Keyword] = {
    "$ref": _ref,
    "type": _type,
    "enum": _enum,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "minLength": _count(STRING, "minlen", "minLength"),
    "maxLength": _count(STRING, "maxlen", "maxLength"),
    "pattern": _pattern,
    "format": _format,
    "multipleOf": _multiple_of,
    "minItems": _count(ARRAY, "minitems", "minItems"),
    "maxItems": _count(ARRAY, "maxitems", "maxItems"),
    "uniqueItems": _unique_items,
    "properties": _group_keyword("properties"),
    "patternProperties": _group_keyword("patternProperties"),
    "additionalProperties": _group_keyword("additionalProperties"),
    "required": _required,
    "minProperties": _count(OBJECT, "minprops", "minProperties"),
    "maxProperties": _count(OBJECT, "maxprops", "maxProperties"),
}
_DRAFT4 = {
    **_CORE,
    "items": _items_old,
    "dependencies": _dependencies,
    "minimum": _bound_draft4("min", "minimum", "exclusiveMinimum"),
    "maximum": _bound_draft4("max", "maximum", "exclusiveMaximum"),
    "exclusiveMinimum": _exclusive_draft4("exclusiveMinimum"),
    "exclusiveMaximum": _exclusive_draft4("exclusiveMaximum"),
}
_DRAFT6 = {
    **_CORE,
    "items": _items_old,
    "dependencies": _dependencies,
    "minimum": _number("min", "minimum"),
    "maximum": _number("max", "maximum"),
    "exclusiveMinimum": _number("xmin", "exclusiveMinimum"),
    "exclusiveMaximum": _number("xmax", "exclusiveMaximum"),
    "const": _const,
    "contains": _contains,
    "propertyNames": _property_names,
}
_DRAFT7 = {
    **_DRAFT6,
    "if": _if,
    "contentEncoding": _content_keyword("contentEncoding"),
    "contentMediaType": _content_keyword("contentMediaType"),
}
_DRAFT2019 = {
    **_DRAFT7,  # with `dependencies`: split in two by then, but who writes it means it, and the standard allows it
    "dependentRequired": _dependent_required,
    "dependentSchemas": _dependent_schemas,
    "unevaluatedItems": _unevaluated(ARRAY, "unevaluatedItems"),
    "unevaluatedProperties": _unevaluated(OBJECT, "unevaluatedProperties"),
    "minContains": _beside_contains,
    "maxContains": _beside_contains,
    "$recursiveRef": _dynamic_ref("$recursiveRef"),
}
_DRAFT2020 = {
    **{keyword: reader for keyword, reader in _DRAFT2019.items() if keyword != "$recursiveRef"},
    "items": _items_2020,
    "prefixItems": _prefix_items,
    "$dynamicRef": _dynamic_ref("$dynamicRef"),
}
_TABLES: dict[int, dict[str, Keyword]] = {
    4: _DRAFT4, 6: _DRAFT6, 7: _DRAFT7, 2019: _DRAFT2019, 2020: _DRAFT2020,
}  # fmt: skip
_VOCABULARIES = {
    "validation": """type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength
        pattern maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required
        dependentRequired""".split(),
    "applicator": """prefixItems items contains properties patternProperties additionalProperties dependentSchemas
        propertyNames if allOf anyOf oneOf not dependencies""".split(),
}


def _table(dialect: Dialect) -> dict[str, Keyword]:
    table = _TABLES[dialect.year]
    if dialect.vocabularies is None:
        return table
    missing = [_VOCABULARIES[name] for name in _VOCABULARIES.keys() - dialect.vocabularies]
    if dialect.vocabularies.isdisjoint(("unevaluated",) if dialect.year >= 2020 else ("applicator",)):
        missing.append(["unevaluatedItems", "unevaluatedProperties"])
    return {keyword: reader for keyword, reader in table.items() if not any(keyword in gone for gone in missing)}


_NOT_PLAIN = frozenset(
    """$ref $recursiveRef $dynamicRef allOf anyOf oneOf not if contains dependencies dependentRequired
    dependentSchemas""".split()
)
ASSERTIONS = frozenset().union(*_TABLES.values())
"""Every keyword that some draft asserts."""
