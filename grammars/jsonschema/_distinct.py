"""`uniqueItems`: where only finitely many values can stand at an index, arrays must not run out of them.

Without a prefix the number of values bounds the number of items. With one, values chosen early can leave none for later
indexes, so the choices are spelled out: one alternative for each way to fill the finite indexes. An index that can hold
endlessly many values has one of those that later indexes need, or any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from grammars.errors import UnsupportedSchema
from grammars.jsonschema._atoms import value_key
from grammars.jsonschema._items import Plain
from grammars.schema_ir import ArrayValue, Ref

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler

__all__ = ["distinct", "enough"]

_WAYS = 1_000
"""So many ways to fill the finite indexes of a prefix are spelled out."""
_COLUMNS = 200
"""So many items beside those of a prefix are matched with values one by one."""

_Columns = Sequence[Sequence[Any] | None]
"""For each index the values that can stand there; None: endlessly many."""


def enough(prefix: Sequence[Ref], items: Ref, low: int, where: str, compiler: SchemaCompiler) -> bool:
    """Are there different values for `low` items? Each index alone has some."""
    prefix = prefix[:low]
    rest = compiler.values.of(items) if low > len(prefix) else None
    more = 0 if rest is None else low - len(prefix)
    if rest is not None and more > len(rest):
        return False
    columns = [compiler.values.of(ref) for ref in prefix]
    if all(column is None for column in columns):
        return True
    if more > _COLUMNS:
        raise _too_many(where)
    columns += [rest] * more
    return _matched(columns)


def _matched(columns: _Columns) -> bool:
    """Can each column have a value of its own? Augmenting paths (Kuhn, 1955)."""
    owner: dict[Any, int] = {}
    keys = [[] if column is None else list(map(value_key, column)) for column in columns]

    def place(index: int, seen: set[Any]) -> bool:
        for key in keys[index]:
            if key not in seen:
                seen.add(key)
                if key not in owner or place(owner[key], seen):
                    owner[key] = index
                    return True
        return False

    return all(column is None or place(index, set()) for index, column in enumerate(columns))


def distinct(plain: Plain, where: str, compiler: SchemaCompiler) -> list[ArrayValue]:
    """The arrays of `plain` whose items differ: alternatives in which no choice of values leads to a dead end."""
    prefix, items, low, high = plain
    prefix = prefix if high is None else prefix[:high]
    values = compiler.values
    rest = [] if items is None else values.of(items)
    columns = [values.of(ref) for ref in prefix]
    if all(column is None or len(column) > index for index, column in enumerate(columns)):  # none can run out
        room, at_most = _room(columns, rest)
        if room is not None and at_most:
            high = room if high is None else min(high, room)
        if room is None or (high is not None and high <= room):
            spelled = values.spelled(items) if items is not None and (high is None or high > len(prefix)) else None
            return [ArrayValue(tuple(map(values.spelled, prefix)), spelled, low, high, high is None or high > 1)]
    later = _later(columns, rest)
    options = [
        _admitted(ref, needed, compiler) if column is None else [(value,) for value in column]
        for ref, column, needed in zip(prefix, columns, later, strict=True)
    ]
    result = []
    for chosen in _ways(options, where):
        refs = tuple(
            compiler.constant(entry[0]) if entry else values.spelled(_without(prefix[index], later[index], compiler))
            for index, entry in enumerate(chosen)
        )
        after, most = None, len(chosen)
        if len(chosen) == len(prefix) and items is not None and (high is None or high > most):
            if rest is None:
                result.append(ArrayValue(refs, values.spelled(items), low, high, True))
                continue
            used = {value_key(entry[0]) for entry in chosen if entry}
            left = [value for value in rest if value_key(value) not in used]
            after, most = (values.some(left, items) if left else None), most + len(left)
        if most >= low:
            most = most if high is None else min(most, high)
            differ = after is not None or _OTHER in chosen
            result.append(ArrayValue(refs, after, low, most, differ and most > 1))
    return result


_OTHER: tuple[Any, ...] = ()
"""Stands for a value that no later index needs; (value,) for a certain one."""


def _later(columns: _Columns, rest: Sequence[Any] | None) -> list[dict[Any, Any]]:
    """For each index the values that finite indexes after it hold."""
    needed = {value_key(value): value for value in rest or ()}
    result = []
    for column in reversed(columns):
        result.append(needed)
        needed = needed | {value_key(value): value for value in column or ()}
    return result[::-1]


def _admitted(ref: Ref, values: dict[Any, Any], compiler: SchemaCompiler) -> list[tuple[Any, ...]]:
    """Which of `values` are in `ref`, and whether it has others."""
    holds = compiler.judge.schema_holds
    found: list[tuple[Any, ...]] = [
        (value,) for value in values.values() if all(holds(sid, value) for sid in compiler.members(ref))
    ]
    return found if compiler.is_empty(_without(ref, values, compiler)) else [*found, _OTHER]


def _without(ref: Ref, values: dict[Any, Any], compiler: SchemaCompiler) -> Ref:
    if not values:
        return ref
    return compiler.ref_of((*compiler.members(ref), compiler.named(list(values.values())) ^ 1))


def _room(columns: _Columns, rest: Sequence[Any] | None) -> tuple[int | None, bool]:
    """Up to so many items can always be had (None: any number), whatever comes first; and are there never more?"""
    if rest is None:
        return None, True
    if not rest:
        return len(columns), True
    keys = set(map(value_key, rest))
    apart = all(column is not None and keys.isdisjoint(map(value_key, column)) for column in columns)
    return len(rest) + (len(columns) if apart else 0), apart


def _ways(options: Sequence[Sequence[tuple[Any, ...]]], where: str) -> list[list[tuple[Any, ...]]]:
    """Every way to choose different values, each as far as it goes."""
    size = 1
    for column in options:
        size *= len(column)
        if size > _WAYS:
            raise _too_many(where)
    done: list[list[tuple[Any, ...]]] = []

    def extend(chosen: list[tuple[Any, ...]], used: frozenset[Any]) -> None:
        column = options[len(chosen)] if len(chosen) < len(options) else ()
        free = [entry for entry in column if not entry or value_key(entry[0]) not in used]
        if not free:
            done.append(chosen)
        for entry in free:
            extend([*chosen, entry], used | {value_key(entry[0])} if entry else used)

    extend([], frozenset())
    return done


def _too_many(where: str) -> UnsupportedSchema:
    problem = "with items of few values at fixed indexes can be met in too many ways"
    return UnsupportedSchema(where, "uniqueItems", problem, "Remove it, or list the arrays in an enum.")
