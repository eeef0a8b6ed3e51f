"""Sets of schemas -> conjuncts: for one JSON type, the ways in which all of them can hold, each a list of atoms.

Depth-first, with what keeps it from multiplying out:
- a choice with one branch left is no choice (unit propagation), a branch that holds anyway removes its choice;
- once enum or const names the values, everything else just filters them;
- a denial (`not`, the other branches of `oneOf`) waits until all that is positive is known. If the denied schema
  visibly clashes with that, the denial says nothing. Otherwise its branches are combined with those of the other
  denials, and combinations that contain another one are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from grammars.jsonschema._atoms import ARRAY, FALSE, OBJECT, TRUE, Atom, Item, Or, Sid
from grammars.jsonschema._cases import cases, telling, told_apart
from grammars.jsonschema._negate import negate
from grammars.jsonschema._objects import expand_somekey, spell_out_keys
from grammars.jsonschema._unevaluated import denied as denied_unevaluated
from grammars.jsonschema._unevaluated import merged, settled

if TYPE_CHECKING:
    from grammars.jsonschema.compiler import SchemaCompiler

__all__ = ["Splitter"]

_UNEVALUATED = ("unevaluated", "nunevaluated")
_OPPOSITE = {"required": "absent", "absent": "required"}


class Splitter:
    """Splits the sets of one compiler."""

    def __init__(self, compiler: SchemaCompiler) -> None:
        self._compiler = compiler
        self._unsettled = False  # has any unevaluated keyword been met?

    def split(self, bit: int, sids: Iterable[Item]) -> list[list[Atom]]:
        """The instances of one type that satisfy all of `sids`, as lists of atoms."""
        found: list[list[Atom]] = []
        self._run(bit, list(sids)[::-1], [], set(), [], [], [], found)
        if bit == OBJECT:
            return [atoms for one in found for atoms in expand_somekey(one, self._compiler)]
        return found

    def _run(
        self,
        bit: int,
        todo: list[Item],
        atoms: list[Atom],
        seen: set[Sid],
        choices: list[Or],
        denied: list[Sid],
        context: list[Atom],
        found: list[list[Atom]],
    ) -> None:
        """Add to `found`. The lists belong to this call; `context` holds as well, but is not repeated in the result."""
        while True:
            if not self._take(bit, todo, atoms, seen, choices, denied):
                return
            if choices or denied:
                values = next((atom for atom in atoms if atom.kind == "in"), None)
                if values is not None:
                    self._filter(values, [*choices, *denied], atoms, found)
                    return
            if choices:
                choices = self._narrow_all(choices, bit, context + atoms, seen, todo)
                if todo:
                    continue
                together = cases(choices, self._compiler) if bit == OBJECT else None
                if together is not None:
                    for case in together:
                        self._compiler.spend(1 + len(case.left))
                        if not self._compiler.apart.visibly_empty(bit, context + atoms, case.items, 1):
                            known, left = seen.union(case.settled), [*case.left[::-1], *case.items[::-1]]
                            self._run(bit, left, atoms[:], known, [], denied[:], context, found)
                    return
                if choices:
                    choice = min(choices, key=_breadth)
                    choices.remove(choice)
                    for branch in choice.branches:
                        self._compiler.spend(1 + len(atoms))
                        if choices and self._compiler.apart.visibly_empty(bit, context + atoms, branch, 2):
                            continue  # would multiply with what else is to choose, for nothing
                        self._run(bit, list(branch[::-1]), atoms[:], set(seen), choices[:], denied[:], context, found)
                    return
            if self._unsettled and self._settle_unevaluated(bit, atoms, context, seen, choices, todo):
                continue
            if denied:
                found.extend(atoms + list(more) for more in self._deny(bit, context + atoms, seen, denied))
            else:
                found.append(atoms)
            return

    def _take(
        self, bit: int, todo: list[Item], atoms: list[Atom], seen: set[Sid], choices: list[Or], denied: list[Sid]
    ) -> bool:
        """Sort all of `todo` into the other lists; False where nothing can satisfy it."""
        compiler = self._compiler
        while todo:
            item = todo.pop()
            if isinstance(item, int):
                if item == TRUE or item in seen:
                    continue
                if item == FALSE or item ^ 1 in seen:
                    return False
                seen.add(item)
                facts = compiler.facts(item)
                if item & 1:
                    if facts.types & bit:
                        parts = facts.items(bit)
                        if not parts:
                            return False
                        ways = negate(parts[0]) if len(parts) == 1 else ()
                        if len(ways) == 1:  # there is one way to fail only: no need to wait
                            todo.extend(ways[0][::-1])
                        else:
                            denied.append(item)
                elif facts.types & bit:
                    todo.extend(facts.items(bit)[::-1])
                else:
                    return False
            elif isinstance(item, Or):
                choices.append(item)
            elif item.kind == "notin" and bit & (ARRAY | OBJECT):
                todo.extend(compiler.spelled_out(value) ^ 1 for value in item.value.values())
            else:
                self._unsettled = self._unsettled or item.kind in _UNEVALUATED
                atoms.append(item)
        return True

    def _filter(self, values: Atom, others: list[Item], atoms: list[Atom], found: list[list[Atom]]) -> None:
        holds = self._compiler.judge.holds
        left = {key: value for key, value in values.value.items() if all(holds(other, value) for other in others)}
        if left:
            found.append([Atom("in", left, values.where), *(atom for atom in atoms if atom is not values)])

    # ----------------------------------------------------------------------------------------- choices

    def _narrow_all(self, choices: list[Or], bit: int, atoms: list[Atom], seen: set[Sid], todo: list[Item]) -> list[Or]:
        """What is left to choose; what must hold now goes to `todo` (FALSE there when a choice has no branch left)."""
        names = _presence(atoms)
        kept = []
        for choice in choices:
            branches = self._narrow(choice, bit, seen, names)
            if branches is None:
                continue
            if not branches:
                todo.append(FALSE)
            elif len(branches) == 1:
                todo.extend(branches[0][::-1])
            else:
                kept.append(Or(branches, choice.where))
        return kept

    def _narrow(
        self, choice: Or, bit: int, seen: set[Sid], names: set[tuple[str, str]]
    ) -> tuple[tuple[Item, ...], ...] | None:
        """The branches that can hold; None if one of them holds anyway."""
        kept: dict[Any, tuple[Item, ...]] = {}
        for branch in choice.branches:
            left = []
            for item in branch:
                if isinstance(item, int):
                    known = self._known(item, bit, seen)
                    if known:
                        continue
                    if known is False:
                        break
                elif isinstance(item, Atom) and item.kind in _OPPOSITE:
                    if (item.kind, item.value) in names:
                        continue
                    if (_OPPOSITE[item.kind], item.value) in names:
                        break
                left.append(item)
            else:
                if not left:
                    return None
                kept[left[0] if len(left) == 1 and isinstance(left[0], int) else id(branch)] = tuple(left)
        return tuple(kept.values())

    def _known(self, sid: Sid, bit: int, seen: set[Sid]) -> bool | None:
        """Whether a sub-schema holds for each or for no instance of the type; None: it depends."""
        if sid <= FALSE:
            return sid == TRUE
        if sid in seen:
            return True
        if sid ^ 1 in seen:
            return False
        facts = self._compiler.facts(sid)
        if not facts.types & bit:
            return bool(sid & 1)
        if not facts.items(bit):
            return not sid & 1
        return None

    # --------------------------------------------------------------------------------- unevaluated keywords

    def _settle_unevaluated(
        self, bit: int, atoms: list[Atom], context: list[Atom], seen: set[Sid], choices: list[Or], todo: list[Item]
    ) -> bool:
        """Replace one `unevaluated` atom by what it amounts to now, or by a choice; False if there is none."""
        place = next((place for place, atom in enumerate(atoms) if atom.kind in _UNEVALUATED), None)
        if place is None or any(atom.kind == "in" for atom in atoms):
            return False
        kind, value, where = atoms.pop(place)
        known = context + atoms
        names = _presence(known)
        first, open_parts = value.parts[0], []
        for part in value.parts[1:]:
            left = [item for item in part.when if self._holds_now(item, bit, seen, names) is not True]
            if not left:
                first = merged((), (first, part))
            elif any(self._holds_now(item, bit, seen, names) is False for item in left):
                continue
            elif not self._compiler.apart.visibly_empty(bit, known, left, 2):
                open_parts.append(part._replace(when=tuple(left)))
        open_parts = [part for part in open_parts if not part.within(first)]
        self._compiler.spend(1 + len(open_parts))
        value = value.keeps((first, *open_parts))
        if not open_parts:
            item = (settled if kind == "unevaluated" else denied_unevaluated)(value, where, self._compiler)
            todo.extend(() if item is None else (item,))
            return True
        part = open_parts[0]
        with_it = Atom(kind, value.keeps((merged((), (first, part)), *open_parts[1:])), where)
        without = Atom(kind, value.keeps((first, *open_parts[1:])), where)
        if kind == "unevaluated":  # more that is evaluated only allows more: the second branch need not deny anything
            choices.append(Or(((*part.when, with_it), (without,)), where))
        else:
            ways = tuple((*way, without) for item in part.when for way in negate(item))
            choices.append(Or(((with_it,), *ways), where))
        return True

    def _holds_now(self, item: Item, bit: int, seen: set[Sid], names: set[tuple[str, str]]) -> bool | None:
        """Whether an item holds for each or for no instance that is left; None: it depends."""
        if isinstance(item, int):
            return self._known(item, bit, seen)
        if isinstance(item, Atom) and item.kind in _OPPOSITE:
            if (item.kind, item.value) in names:
                return True
            return False if (_OPPOSITE[item.kind], item.value) in names else None
        return None

    # ----------------------------------------------------------------------------------------- denials

    def _deny(
        self, bit: int, atoms: list[Atom], seen: set[Sid], denied: list[Sid], told: frozenset[str] = frozenset()
    ) -> list[tuple[Atom, ...]]:
        """What must hold beside `atoms` so that none of the denied schemas does: alternatives.

        `told`: properties by whose values the cases have been told apart already.
        """
        apart, spend = self._compiler.apart, self._compiler.spend
        ways: list[tuple[Atom, ...]] = [()]
        tags = apart.tags(atoms) if bit == OBJECT else {}
        denied = [
            sid
            for sid in denied
            if not (tags and apart.tags_differ(tags, sid ^ 1)) and not apart.visibly_empty(bit, atoms, (sid ^ 1,))
        ]
        if bit == OBJECT and len(denied) > 1:
            name = telling(denied, atoms, told, self._compiler)
            if name is not None:
                found: list[tuple[Atom, ...]] = []
                for extra, left in told_apart(name, denied, self._compiler):
                    spend(1 + len(extra))
                    together = [*atoms, *extra]
                    if not apart.visibly_empty(bit, together, (), 1):
                        further = self._deny(bit, together, seen, left, told | {name})
                        found.extend((*extra, *way) for way in further)
                return found
        for sid in denied:
            branches = self._branches(bit, sid, atoms, seen)
            if branches is None:
                continue
            following: dict[frozenset[Any], tuple[Atom, ...]] = {}
            for way in ways:
                spend(2 + len(branches))
                together = [*atoms, *way]
                if way and apart.visibly_empty(bit, together, (sid ^ 1,)):
                    following[_keys(way)] = way
                    continue
                have = _keys(together)
                for branch in branches:
                    new = tuple(atom for atom in branch if _key(atom) not in have)
                    if not new or not apart.visibly_empty(bit, together + list(new), ()):
                        more = way + new
                        following[_keys(more)] = more
            ways = _absorb(following)
            spend(len(ways))
        return ways

    def _branches(self, bit: int, sid: Sid, atoms: list[Atom], seen: set[Sid]) -> list[list[Atom]] | None:
        """The ways in which one denied schema fails, given `atoms`; None if it fails anyway."""
        items = self._compiler.facts(sid).items(bit)
        choice = Or(tuple(branch for item in items for branch in negate(item)), "")
        narrowed = self._narrow(choice, bit, seen, _presence(atoms))
        if narrowed is None:
            return None
        if bit == OBJECT:
            narrowed = _absent_or_other(narrowed)
        result: list[list[Atom]] = []
        for branch in narrowed:
            self._run(bit, list(branch[::-1]), [], set(seen), [], [], atoms, result)
        if bit == OBJECT:
            result = [spelled for branch in result for spelled in spell_out_keys(branch, atoms, self._compiler)]
        return result


def _absent_or_other(branches: tuple[tuple[Item, ...], ...]) -> tuple[tuple[Item, ...], ...]:
    """ "No p" and "p with another value" as one branch: "if there is p, it has another value"."""
    absent = {
        branch[0].value: place
        for place, branch in enumerate(branches)
        if len(branch) == 1 and isinstance(branch[0], Atom) and branch[0].kind == "absent"
    }
    if not absent:
        return branches
    merged: list[tuple[Item, ...] | None] = list(branches)
    for place, branch in enumerate(branches):
        last = branch[-1]
        if len(branch) == 2 and isinstance(last, Atom) and last.kind == "value":
            other = absent.pop(last.value[0], None)
            if other is not None:
                merged[other] = None
                merged[place] = (last,)
    return tuple(branch for branch in merged if branch is not None)


def _breadth(choice: Or) -> int:
    return len(choice.branches)


def _presence(atoms: list[Atom]) -> set[tuple[str, str]]:
    return {(atom.kind, atom.value) for atom in atoms if atom.kind in _OPPOSITE}


def _key(atom: Atom) -> tuple[str, Any]:
    """Equal keys say the same thing."""
    return (atom.kind, id(atom.value) if atom.kind in _BY_IDENTITY else atom.value)


_BY_IDENTITY = frozenset(["in", "notin", "group"])


def _keys(atoms: Iterable[Atom]) -> frozenset[Any]:
    return frozenset(map(_key, atoms))


def _absorb(ways: dict[frozenset[Any], tuple[Atom, ...]]) -> list[tuple[Atom, ...]]:
    """Without the ways that ask for more than another one does."""
    if len(ways) > _ABSORB_LIMIT:
        return list(ways.values())
    kept: list[tuple[frozenset[Any], tuple[Atom, ...]]] = []
    for keys, way in sorted(ways.items(), key=lambda entry: len(entry[0])):
        if not any(smaller <= keys for smaller, _ in kept):
            kept.append((keys, way))
    return [way for _, way in kept]


_ABSORB_LIMIT = 1000
