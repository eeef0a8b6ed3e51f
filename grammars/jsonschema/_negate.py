"""The complement of an item within its type, as branches: the item fails if and only if one branch holds."""

from __future__ import annotations

from grammars.jsonschema._atoms import FALSE, TRUE, ArrayGroup, Atom, Item, KeySpec, ObjectGroup, Or

__all__ = ["negate"]

Branches = tuple[tuple[Item, ...], ...]

_FLIPPED = {"min": "xmax", "max": "xmin", "xmin": "max", "xmax": "min"}
_TOGGLED = {
    "pattern": "npattern", "format": "nformat", "content": "ncontent", "multiple": "nmultiple", "integer": "ninteger",
    "in": "notin", "required": "absent", "unique": "nunique", "unevaluated": "nunevaluated",
}  # fmt: skip
_TOGGLED |= {after: before for before, after in _TOGGLED.items()}


def negate(item: Item) -> Branches:
    """`item` does not hold <=> at least one of the branches does."""
    if isinstance(item, int):
        return ((item ^ 1,),)
    if isinstance(item, Or):
        return (tuple(Or(tuple(b for part in branch for b in negate(part)), item.where) for branch in item.branches),)
    kind, value, where = item
    if kind in _FLIPPED:
        return ((Atom(_FLIPPED[kind], value, where),),)
    if kind in _TOGGLED:
        return ((Atom(_TOGGLED[kind], value, where),),)
    match kind:
        case "minlen" | "minitems" | "minprops":
            return ((Atom("max" + kind[3:], value - 1, where),),) if value > 0 else ()
        case "maxlen" | "maxitems" | "maxprops":
            return ((Atom("min" + kind[3:], value + 1, where),),)
        case "group" if isinstance(value, ObjectGroup):
            return _object_group(value, where)
        case "group":
            return _array_group(value, where)
        case "value":
            name, sid = value
            return ((Atom("required", name, where), Atom("value", (name, sid ^ 1), where)),)
        case "item":
            index, sid = value
            return ((Atom("minitems", index + 1, where), Atom("item", (index, sid ^ 1), where)),)
        case "names":
            return ((Atom("badname", (value, ()), where),),)
        case "contains":
            sid, low, high = value
            fewer = ((Atom("contains", (sid, 0, low - 1), where),),) if low > 0 else ()
            return fewer + (((Atom("contains", (sid, high + 1, None), where),),) if high is not None else ())
        case "unsupported":
            return ((Atom("unsupported", value, where),),)
    raise AssertionError(f"no complement of {kind}")


def _object_group(group: ObjectGroup, where: str) -> Branches:
    """Some property has a value that the group forbids."""
    branches: list[tuple[Item, ...]] = []
    for name, sid in group.properties.items():
        if sid == FALSE:
            branches.append((Atom("required", name, where),))
        elif sid != TRUE:
            branches.append((Atom("required", name, where), Atom("value", (name, sid ^ 1), where)))
    for pattern, sid in group.patterns:
        if sid != TRUE:
            branches.append((Atom("somekey", (KeySpec(pattern, (), ()), sid ^ 1), where),))
    if group.additional != TRUE:
        spec = KeySpec(None, tuple(group.properties), tuple(pattern for pattern, _ in group.patterns))
        branches.append((Atom("somekey", (spec, group.additional ^ 1), where),))
    return tuple(branches)


def _array_group(group: ArrayGroup, where: str) -> Branches:
    """Some item is one that the group forbids."""
    branches: list[tuple[Item, ...]] = []
    for index, sid in enumerate(group.prefix):
        if sid == FALSE:
            branches.append((Atom("minitems", index + 1, where),))
        elif sid != TRUE:
            branches.append((Atom("minitems", index + 1, where), Atom("item", (index, sid ^ 1), where)))
    if group.rest == FALSE:
        branches.append((Atom("minitems", len(group.prefix) + 1, where),))
    elif group.rest != TRUE:
        branches.append((Atom("someitem", (len(group.prefix), group.rest ^ 1), where),))
    return tuple(branches)
