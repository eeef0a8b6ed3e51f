"""`unevaluatedProperties` and `unevaluatedItems`: what the other schemas at the same place evaluate.

A schema object evaluates the names and indexes that its own keywords speak about, and whatever the schemas it applies
to the same instance evaluate, if these hold. Reading collects such parts with the conditions ("this branch of anyOf
holds"); nothing below properties and items is looked at. Once the splitter knows which conditions hold, the keyword is
an ordinary group like `additionalProperties` or `items`. A condition that stays open needs no exact decision: more that
is evaluated only allows more, so "it holds and this is evaluated" or "this is not evaluated" are all the cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from grammars.jsonschema._atoms import FALSE, OBJECT, TRUE, ArrayGroup, Atom, Item, KeySpec, ObjectGroup, Sid
from grammars.jsonschema._nodes import Node, Scope, escape

if TYPE_CHECKING:
    from grammars.jsonschema._dialects import Dialect

__all__ = ["Part", "Unevaluated", "collect", "denied", "merged", "settled"]


class Part(NamedTuple):
    """What is evaluated when all of `when` hold: names, key patterns, or the items before `prefix` and `matching`."""

    when: tuple[Item, ...]
    names: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    prefix: int = 0
    matching: frozenset[Sid] = frozenset()
    everything: bool = False

    def within(self, other: Part) -> bool:
        """Is all of this evaluated by `other` too?"""
        return other.everything or (
            not self.everything
            and self.names <= other.names
            and self.patterns <= other.patterns
            and self.prefix <= other.prefix
            and self.matching <= other.matching
        )


class Unevaluated(NamedTuple):
    """Whatever is in none of `parts` must satisfy `sid`. The first part has no conditions."""

    bit: int
    sid: Sid
    parts: tuple[Part, ...]

    def keeps(self, parts: Iterable[Part]) -> Unevaluated:
        """The same over other parts."""
        return self._replace(parts=tuple(parts))


class Nodes(Protocol):
    """What collecting needs from the compiler."""

    def node(self, schema: Any, pointer: str, scope: Scope) -> Sid:
        """The number of a sub-schema."""
        ...

    def place(self, sid: Sid) -> Node:
        """The schema object of a number."""
        ...

    def refer(self, ref: str, scope: Scope, pointer: str) -> Sid:
        """The number of the sub-schema that a reference names."""
        ...

    def refer_dynamically(self, ref: str, scope: Scope, pointer: str) -> Sid:
        """The same for a reference that may name a dynamic anchor."""
        ...

    def any_of(self, sids: Iterable[Sid], pointer: str) -> Sid:
        """The number of "at least one of these holds"."""
        ...


def merged(when: tuple[Item, ...], parts: Iterable[Part]) -> Part:
    """All of `parts` together, under the condition `when`."""
    parts = list(parts)
    return Part(
        when,
        frozenset().union(*(part.names for part in parts)),
        frozenset().union(*(part.patterns for part in parts)),
        max((part.prefix for part in parts), default=0),
        frozenset().union(*(part.matching for part in parts)),
        any(part.everything for part in parts),
    )


def settled(value: Unevaluated, where: str, nodes: Nodes) -> Atom | None:
    """The group that the keyword amounts to when only the first part counts; None: nothing is asked."""
    done = value.parts[0]
    if done.everything:
        return None
    if value.bit == OBJECT:
        names, patterns = dict.fromkeys(sorted(done.names), TRUE), tuple((key, TRUE) for key in sorted(done.patterns))
        return Atom("group", ObjectGroup(names, patterns, value.sid, where), where)
    return Atom("group", ArrayGroup((TRUE,) * done.prefix, _rest(value, where, nodes), where), where)


def denied(value: Unevaluated, where: str, nodes: Nodes) -> Item:
    """The contrary: something outside the first part does not satisfy `sid`."""
    done = value.parts[0]
    if done.everything:
        return FALSE
    if value.bit == OBJECT:
        spec = KeySpec(None, tuple(sorted(done.names)), tuple(sorted(done.patterns)))
        return Atom("somekey", (spec, value.sid ^ 1), where)
    return Atom("someitem", (done.prefix, _rest(value, where, nodes) ^ 1), where)


def _rest(value: Unevaluated, where: str, nodes: Nodes) -> Sid:
    return nodes.any_of((value.sid, *sorted(value.parts[0].matching)), where)


def collect(
    node: Node, keyword: str, bit: int, nodes: Nodes, knows: Callable[[Dialect, str], bool]
) -> tuple[Part, ...]:
    """What the schema object evaluates beside `keyword`; the first part is what it evaluates without a condition."""
    by_condition: dict[tuple[Item, ...], list[Part]] = {(): []}
    for part in _Collector(bit, nodes, knows).parts(node, (), keyword):
        by_condition.setdefault(part.when, []).append(part)
    parts = [merged(when, same) for when, same in by_condition.items()]
    return (parts[0], *(part for part in parts[1:] if not part.within(parts[0])))


class _Collector:
    def __init__(self, bit: int, nodes: Nodes, knows: Callable[[Dialect, str], bool]) -> None:
        self._bit, self._nodes, self._knows = bit, nodes, knows
        self._path: set[int] = set()

    def parts(self, node: Node, when: tuple[Item, ...], besides: str = "") -> Iterator[Part]:
        """What a schema object evaluates."""
        if id(node) in self._path or not isinstance(node.schema, dict):
            return  # a schema that refers to itself on the spot adds nothing
        self._path.add(id(node))
        dialect = node.scope.dialect
        if "$ref" in node.schema and dialect.ref_alone:
            known = {"$ref": node.schema["$ref"]}
        else:
            known = {
                keyword: value
                for keyword, value in node.schema.items()
                if keyword != besides and (self._knows(dialect, keyword) or keyword == "additionalItems")
            }
        own = self._keys(known) if self._bit == OBJECT else self._items(known, node)
        if own != _NOTHING:
            yield own._replace(when=when)
        for sid, conditions in self._beside(known, node):
            if sid > FALSE:
                yield from self.parts(self._nodes.place(sid), when + tuple(c for c in conditions if c not in when))
        self._path.discard(id(node))

    def _keys(self, known: dict[str, Any]) -> Part:
        return Part(
            (),
            frozenset(known.get("properties", ())),
            frozenset(known.get("patternProperties", ())),
            everything="additionalProperties" in known or "unevaluatedProperties" in known,
        )

    def _items(self, known: dict[str, Any], node: Node) -> Part:
        items, modern = known.get("items"), node.scope.dialect.year >= 2020
        everything = "unevaluatedItems" in known
        prefix = known.get("prefixItems", ())
        if isinstance(items, list):
            prefix, everything = items, everything or "additionalItems" in known
        elif "items" in known:
            everything = True
        matching = frozenset([self._sub(node, "contains")]) if modern and "contains" in known else frozenset[Sid]()
        return Part((), frozenset(), frozenset(), len(prefix), matching, everything)

    def _sub(self, node: Node, *path: str) -> Sid:
        schema: Any = node.schema
        for token in path:
            schema = schema[int(token)] if isinstance(schema, list) else schema[token]
        pointer = "/".join((node.pointer, *map(escape, path)))
        return self._nodes.node(schema, pointer, node.scope)

    def _beside(self, known: dict[str, Any], node: Node) -> Iterator[tuple[Sid, tuple[Item, ...]]]:
        """The schemas that apply to the same instance, each with the conditions under which it does."""
        nodes, scope = self._nodes, node.scope
        if "$ref" in known:
            yield nodes.refer(known["$ref"], scope, f"{node.pointer}/$ref"), ()
        for keyword in ("$dynamicRef", "$recursiveRef"):
            if keyword in known:
                yield nodes.refer_dynamically(known[keyword], scope, f"{node.pointer}/{keyword}"), ()
        for index in range(len(known.get("allOf", ()))):
            yield self._sub(node, "allOf", str(index)), ()
        for keyword in ("anyOf", "oneOf"):
            for index in range(len(known.get(keyword, ()))):
                sid = self._sub(node, keyword, str(index))
                yield sid, (sid,)
        if "if" in known:
            test = self._sub(node, "if")
            yield test, (test,)
            for keyword, condition in (("then", test), ("else", test ^ 1)):
                if keyword in node.schema and condition != FALSE:
                    yield self._sub(node, keyword), (condition,) if condition != TRUE else ()
        if self._bit == OBJECT:
            for keyword in ("dependentSchemas", "dependencies"):
                for name, needs in known.get(keyword, {}).items():
                    if isinstance(needs, (dict, bool)):
                        where = f"{node.pointer}/{keyword}/{escape(name)}"
                        yield self._sub(node, keyword, name), (Atom("required", name, where),)


_NOTHING = Part(())
