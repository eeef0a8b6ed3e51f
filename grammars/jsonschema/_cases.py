"""Many choices that hang on one property: "if kind is k1 then ..., if kind is k2 then ...", dozens of times.

Taken one by one, each choice doubles the cases before the next one rules most of them out. Taken together they have as
many cases as the property has values that the choices tell apart, one for all others, and one for its absence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from grammars.jsonschema._atoms import FALSE, NUMBER, OBJECT, STRING, TRUE, Atom, Item, ObjectGroup, Or, Sid

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler

__all__ = ["Case", "cases", "telling", "told_apart"]

LEAST = 6
"""So many choices on one property are taken together."""


class Case(NamedTuple):
    """What holds in one case: items that say so, the tests that it settles, and what is left to satisfy."""

    items: tuple[Item, ...]
    settled: tuple[Sid, ...]
    left: tuple[Item, ...]


class _Test(NamedTuple):
    """A sub-schema that asks just this: `name`, if it is there or `wanted`, has one of `values`."""

    sid: Sid
    name: str
    values: dict[Any, Any]
    wanted: bool


def cases(choices: list[Or], compiler: SchemaCompiler) -> list[Case] | None:
    """All choices, case by case; None where no property has many of them."""
    if len(choices) < LEAST:
        return None
    by_name: dict[str, dict[Sid, _Test]] = {}
    count: dict[str, int] = {}
    for choice in choices:
        sids = dict.fromkeys(item & ~1 for branch in choice.branches for item in branch if isinstance(item, int))
        tests = [test for sid in sids if (test := _test(sid, compiler)) is not None]
        for name in {test.name for test in tests}:
            count[name] = count.get(name, 0) + 1
        for test in tests:
            by_name.setdefault(test.name, {})[test.sid] = test
    if max(count.values(), default=0) < LEAST:
        return None
    name = max(count, key=lambda one: count[one])
    tests = list(by_name[name].values())
    where = choices[0].where
    values = {key: value for test in tests for key, value in test.values.items()}
    alike: dict[tuple[bool, ...], list[Any]] = {}
    for key, value in values.items():
        alike.setdefault(tuple(key in test.values for test in tests), []).append(value)
    present = Atom("required", name, where)
    told: list[tuple[tuple[Item, ...], tuple[bool, ...]]] = [
        ((present, Atom("value", (name, compiler.named(same)), where)), truth) for truth, same in alike.items()
    ]
    others = Atom("value", (name, compiler.named(list(values.values())) ^ 1), where)
    if all(test.wanted for test in tests):
        told.append(((others,), (False,) * len(tests)))
    else:
        told.append(((present, others), (False,) * len(tests)))
        told.append(((Atom("absent", name, where),), tuple(not test.wanted for test in tests)))
    return [case for items, truth in told if (case := _case(items, choices, tests, truth)) is not None]


def telling(denied: list[Sid], atoms: list[Atom], told: frozenset[str], compiler: SchemaCompiler) -> str | None:
    """A property whose values several of the denied schemas list: its value denies most of them."""
    count: dict[str, int] = {}
    for sid in denied:
        for name in compiler.apart.enums(sid ^ 1):
            count[name] = count.get(name, 0) + 1
    absent = {atom.value for atom in atoms if atom.kind == "absent"}
    names = [name for name, several in count.items() if several > 1 and name not in told and name not in absent]
    return max(names, key=lambda one: count[one], default=None)


def told_apart(name: str, denied: list[Sid], compiler: SchemaCompiler) -> list[tuple[tuple[Atom, ...], list[Sid]]]:
    """What must not hold, by the values of one property: (atoms that say so, the schemas that are still to deny).

    A schema that lists the values of the property is denied by any other; way by way, the denials would multiply.
    """
    listed = {sid: compiler.apart.enums(sid ^ 1).get(name) for sid in denied}
    where = compiler.place(denied[0]).pointer
    values = dict.fromkeys(value for entry in listed.values() if entry for value in sorted(entry[0], key=str))
    alike: dict[tuple[Sid, ...], list[Any]] = {}
    for value in values:
        left = tuple(sid for sid, entry in listed.items() if entry is None or value in entry[0])
        alike.setdefault(left, []).append(value)
    present = Atom("required", name, where)
    told: list[tuple[tuple[Atom, ...], list[Sid]]] = [
        ((present, Atom("value", (name, compiler.named(same)), where)), list(left)) for left, same in alike.items()
    ]
    unlisted = [sid for sid, entry in listed.items() if entry is None]
    optional = [sid for sid, entry in listed.items() if entry is None or not entry[1]]
    others = Atom("value", (name, compiler.named(list(values)) ^ 1), where)
    if optional == unlisted:
        return [*told, ((others,), unlisted)]
    return [*told, ((present, others), unlisted), ((Atom("absent", name, where),), optional)]


def _case(items: tuple[Item, ...], choices: list[Or], tests: list[_Test], truth: tuple[bool, ...]) -> Case | None:
    known = {test.sid: holds for test, holds in zip(tests, truth, strict=True)}
    left: list[Item] = []
    for choice in choices:
        branches = _left(choice, known)
        if branches is None:
            continue
        if not branches:
            return None
        left.extend(branches[0] if len(branches) == 1 else (Or(tuple(branches), choice.where),))
    return Case(items, tuple(sid ^ (not holds) for sid, holds in known.items()), tuple(left))


def _left(choice: Or, known: dict[Sid, bool]) -> list[tuple[Item, ...]] | None:
    """The branches that can hold, without what is known; None where one of them holds, or one of two opposites."""
    kept: list[tuple[Item, ...]] = []
    for branch in choice.branches:
        left: list[Item] = []
        for item in branch:
            if isinstance(item, int) and item & ~1 in known:
                if known[item & ~1] == bool(item & 1):
                    break
            elif item != TRUE:
                left.append(item)
        else:
            if not left:
                return None
            kept.append(tuple(left))
    if len(kept) == 2 and len(kept[0]) == len(kept[1]) == 1:
        one, other = kept[0][0], kept[1][0]
        if isinstance(one, Atom) and isinstance(other, Atom) and {one.kind, other.kind} == {"absent", "required"}:
            return None if one.value == other.value else kept
    return kept


def _test(sid: Sid, compiler: SchemaCompiler) -> _Test | None:
    if sid <= FALSE:
        return None
    facts = compiler.facts(sid)
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
    ((name, inner),) = group.properties.items()
    values = _values(inner, compiler)
    return None if values is None or wanted - {name} else _Test(sid, name, values, name in wanted)


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
