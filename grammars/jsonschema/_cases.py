"""Many conditions on one property: "if kind is k1 then ..., if kind is k2 then ...", dozens of times.

Taken one by one, each condition doubles the cases before the next one rules most of them out. Taken together they have
as many cases as the property has values that some condition names, one for all others, and one for its absence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from grammars.jsonschema._atoms import FALSE, NUMBER, OBJECT, STRING, TRUE, Atom, Item, ObjectGroup, Or, Sid

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler

__all__ = ["Case", "cases"]

LEAST = 6
"""So many conditions on one property are taken together."""


class Case(NamedTuple):
    """What holds in one case: items that say so, the conditions that it settles, and what follows from them."""

    items: tuple[Item, ...]
    settled: tuple[Sid, ...]
    follows: tuple[Item, ...]


class _Condition(NamedTuple):
    choice: Or
    test: Sid
    name: str
    values: dict[Any, Any]
    wants_it: bool


def cases(choices: list[Or], compiler: SchemaCompiler) -> tuple[list[Or], list[Case]] | None:
    """(the choices that remain, the cases of the others); None where no property has many conditions."""
    if len(choices) < LEAST:
        return None
    by_name: dict[str, list[_Condition]] = {}
    for choice in choices:
        condition = _condition(choice, compiler)
        if condition is not None:
            by_name.setdefault(condition.name, []).append(condition)
    name = max(by_name, key=lambda one: len(by_name[one]), default=None)
    if name is None or len(by_name[name]) < LEAST:
        return None
    conditions = by_name[name]
    together = {id(condition.choice) for condition in conditions}
    where = conditions[0].choice.where
    truths: dict[tuple[bool, ...], list[Any]] = {}
    values = {key: value for condition in conditions for key, value in condition.values.items()}
    for key, value in values.items():
        truths.setdefault(tuple(key in condition.values for condition in conditions), []).append(value)
    present = Atom("required", name, where)
    found = [
        _case((present, Atom("value", (name, compiler.named(same)), where)), conditions, truth)
        for truth, same in truths.items()
    ]
    others = (present, Atom("value", (name, compiler.named(list(values.values())) ^ 1), where))
    found.append(_case(others, conditions, (False,) * len(conditions)))
    found.append(_case((Atom("absent", name, where),), conditions, tuple(not c.wants_it for c in conditions)))
    return [choice for choice in choices if id(choice) not in together], found


def _case(items: tuple[Item, ...], conditions: list[_Condition], truth: tuple[bool, ...]) -> Case:
    follows = tuple(
        item
        for condition, holds in zip(conditions, truth, strict=True)
        for item in condition.choice.branches[0 if holds else 1][1:]
        if item != TRUE
    )
    settled = tuple(condition.test ^ (not holds) for condition, holds in zip(conditions, truth, strict=True))
    return Case(items, settled, follows)


def _condition(choice: Or, compiler: SchemaCompiler) -> _Condition | None:
    """A choice between "the test holds and ..." and "it does not and ...", if the test names values of a property."""
    if len(choice.branches) != 2:
        return None
    test, other = choice.branches[0][0], choice.branches[1][0]
    if not isinstance(test, int) or not isinstance(other, int) or test & 1 or test <= FALSE or other != test ^ 1:
        return None
    facts = compiler.facts(test)
    if not facts.types & OBJECT:
        return None
    group: ObjectGroup | None = None
    wanted = set()
    for item in facts.items(OBJECT):
        if not isinstance(item, Atom):
            return None
        if item.kind == "required":
            wanted.add(item.value)
        elif item.kind == "group" and group is None and not item.value.patterns and item.value.additional == TRUE:
            group = item.value
        else:
            return None
    if group is None or len(group.properties) != 1:
        return None
    ((name, sid),) = group.properties.items()
    values = _values(sid, compiler)
    return None if values is None or wanted - {name} else _Condition(choice, test, name, values, name in wanted)


def _values(sid: Sid, compiler: SchemaCompiler) -> dict[Any, Any] | None:
    """All values of a schema that just names strings or numbers."""
    if sid & 1 or sid <= FALSE:
        return None
    facts = compiler.facts(sid)
    found: dict[Any, Any] = {}
    for bit in (STRING, NUMBER):
        if facts.types & bit:
            items = facts.items(bit)
            if len(items) != 1 or not isinstance(items[0], Atom) or items[0].kind != "in":
                return None
            found.update(items[0].value)
    return found if found and not facts.types & ~(STRING | NUMBER) else None
