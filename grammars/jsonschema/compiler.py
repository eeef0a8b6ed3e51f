"""SchemaCompiler: the sets of sub-schemas that apply at a place, as lazily resolved `schema_ir` references.

A `Ref` stands for a set of signed sub-schemas which must all hold. Sets are interned, so recursion through allOf and
$ref ends, and equal places share work. `resolve` splits a set by type, distributes anyOf/oneOf/if over the types,
merges what applies (`_scalars`, `_arrays`, `_objects`) and drops what is empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from grammars.errors import BudgetExceeded, SchemaError, UnsatisfiableSchema
from grammars.jsonschema._apart import Apart
from grammars.jsonschema._arrays import arrays, arrays_inhabited, expand_someitem
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
    Atom,
    Item,
    ObjectGroup,
    Or,
    Sid,
)
from grammars.jsonschema._glance import only_ref, plainly_inhabited, sharing_key, surely_inhabited
from grammars.jsonschema._holds import Judge
from grammars.jsonschema._negate import negate
from grammars.jsonschema._nodes import Node, References, Scope, default_dialect
from grammars.jsonschema._objects import expand_somekey, objects, objects_inhabited
from grammars.jsonschema._reader import Facts, read
from grammars.jsonschema._scalars import booleans, nulls, numbers, strings
from grammars.schema_ir import (
    Alternative,
    ArrayValue,
    LiteralValue,
    NumberValue,
    ObjectValue,
    Ref,
    StringValue,
    Union,
)

if TYPE_CHECKING:
    from grammars.regex import Regex

__all__ = ["SchemaCompiler"]

_BUILD: Any = {NULL: nulls, BOOLEAN: booleans, NUMBER: numbers, STRING: strings, ARRAY: arrays, OBJECT: objects}
_INHABITED: Any = {**_BUILD, ARRAY: arrays_inhabited, OBJECT: objects_inhabited}
_EXPAND: Any = {ARRAY: expand_someitem, OBJECT: expand_somekey}


class SchemaCompiler:
    """A JSON Schema as a `schema_ir.SchemaSource`.

    `format`: "assert" (a known format is enforced, in each draft) or "annotate". `registry`: a `referencing.Registry`
    or a dict from address to schema, for references to other documents. `default_draft` holds where `$schema` is
    missing. `fuel` bounds the work of splitting and merging (default 200,000 steps, some 500 a ms).
    """

    ANY: Final = Ref(0)
    NEVER: Final = Ref(1)

    def __init__(
        self,
        schema: dict[str, Any] | bool,
        *,
        format: str = "assert",
        registry: Any = None,
        default_draft: str = "2020-12",
        fuel: int = 200_000,
    ) -> None:
        if not isinstance(schema, (dict, bool)):
            raise SchemaError("", f"a schema is an object, true or false, not {type(schema).__name__}", "Pass a dict.")
        if format not in ("assert", "annotate"):
            raise SchemaError("", f"format={format!r} is not known", 'Choose "assert" or "annotate".')
        self.assert_formats = format == "assert"
        self.judge = Judge(self)
        self.apart = Apart(self)
        self._fuel = self._fuel_limit = fuel
        self._references = References(schema, default_dialect(default_draft), registry)
        self._nodes: list[Node | None] = [None]
        self._by_id: dict[int, Sid] = {}
        self._shared: dict[Any, Sid] = {}
        self._refers: dict[tuple[int, str], Sid] = {}
        self._aliases: set[tuple[int, str]] = set()
        self._sets: list[tuple[Sid, ...]] = [(), (FALSE,)]
        self._ref_of_one: dict[Sid, Ref] = {TRUE: self.ANY, FALSE: self.NEVER}
        self._ref_of_set: dict[frozenset[Sid], Ref] = {}
        self._conjuncts: dict[Ref, list[tuple[int, list[Atom]]]] = {}
        self._resolved: dict[Ref, Union] = {}
        self._empty: dict[Ref, bool] = {self.ANY: False, self.NEVER: True}
        self._active: dict[Ref, int] = {}
        self._low = _FAR
        self._regexes: dict[Any, Regex | None] = {}
        self._constants: dict[Any, Ref] = {}
        self.root: Ref = self.ref_of_one(self.node(schema, "", self._references.root))
        if self.is_empty(self.root):
            raise UnsatisfiableSchema("", "no document satisfies this schema")

    # ---------------------------------------------------------------------------------- the SchemaSource

    def resolve(self, ref: Ref) -> Union:
        """The alternatives of `ref`; computed on first use."""
        union = self._resolved.get(ref)
        if union is None:
            if ref == self.ANY:
                alternatives: list[Alternative] = list(_ANYTHING)
            else:
                alternatives = []
                for bit, atoms in self.conjuncts(ref):
                    alternatives.extend(_BUILD[bit](atoms, self))
            union = Union(_distinct(alternatives), self.pointer(ref))
            self._resolved[ref] = union
        return union

    def pointer(self, ref: Ref) -> str:
        """Where the (first) sub-schema of `ref` stands."""
        for sid in self._sets[ref]:
            node = self._nodes[sid >> 1]
            if node is not None:
                return node.pointer
        return ""

    # ------------------------------------------------------------------------------------ nodes and sets

    def node(self, schema: Any, pointer: str, scope: Scope) -> Sid:
        """The number of a sub-schema; equal simple ones share it."""
        if schema is True:
            return TRUE
        if schema is False:
            return FALSE
        if schema.__class__ is not dict and not isinstance(schema, dict):
            raise SchemaError(
                pointer, f"a schema is an object, true or false, not {type(schema).__name__}", "Correct the schema."
            )
        known = self._by_id.get(id(schema))
        if known is not None:
            return known
        if "$ref" in schema:
            alias = self._alias(schema, pointer, scope)
            if alias is not None:
                return alias
        key = sharing_key(schema, scope.dialect.year)
        if key is not None:
            known = self._shared.get(key)
            if known is not None:
                return known
        elif scope.dialect.id_keyword in schema:
            scope = self._references.enter(schema, pointer, scope)
        sid = 2 * len(self._nodes) if key != () else TRUE
        if sid:
            self._nodes.append(Node(schema, pointer, scope))
        if key is not None:
            self._shared[key] = sid
        else:
            self._by_id[id(schema)] = sid
        return sid

    def _alias(self, schema: dict[str, Any], pointer: str, scope: Scope) -> Sid | None:
        """The number of the target, where the schema object is a `$ref` and nothing else."""
        ref = schema["$ref"]
        if not isinstance(ref, str) or (not scope.dialect.ref_alone and not only_ref(schema)):
            return None
        key = (id(scope), ref)
        if key not in self._refers:
            if len(self._aliases) > _ALIAS_DEPTH or key in self._aliases:
                return None  # a circle of references, or a long chain: left to the worklist of `_split`
            self._aliases.add(key)
            try:
                self.refer(ref, scope, pointer + "/$ref")
            finally:
                self._aliases.discard(key)
        return self._refers[key]

    def refer(self, ref: str, scope: Scope, pointer: str) -> Sid:
        """The number of the sub-schema that `$ref` names."""
        key = (id(scope), ref)
        sid = self._refers.get(key)
        if sid is None:
            sid = self._refers[key] = self.node(*self._references.find(ref, scope, pointer))
        return sid

    def facts(self, sid: Sid) -> Facts:
        """What the schema object of `sid` (its sign does not matter) says."""
        node = self._nodes[sid >> 1]
        assert node is not None
        facts: Facts | None = node.facts
        if facts is None:
            facts = node.facts = read(node, self)
        return facts

    def ref_of_one(self, sid: Sid) -> Ref:
        """The reference of one sub-schema."""
        ref = self._ref_of_one.get(sid)
        if ref is None:
            ref = self._ref_of_one[sid] = Ref(len(self._sets))
            self._sets.append((sid,))
        return ref

    def ref_of(self, sids: Iterable[Sid]) -> Ref:
        """The reference of "all of these hold"."""
        distinct = set(sids)
        distinct.discard(TRUE)
        if len(distinct) == 1:
            return self.ref_of_one(distinct.pop())
        if not distinct:
            return self.ANY
        if any(sid ^ 1 in distinct for sid in distinct) or FALSE in distinct:
            return self.NEVER
        key = frozenset(distinct)
        ref = self._ref_of_set.get(key)
        if ref is None:
            ref = self._ref_of_set[key] = Ref(len(self._sets))
            self._sets.append(tuple(sorted(distinct)))
        return ref

    def constant(self, value: Any) -> Ref:
        """The reference of exactly this value."""
        return self.ref_of_one(self.node({"const": value}, "", self._references.constants))

    def lookup(self, group: ObjectGroup, name: str) -> list[Sid]:
        """The sub-schemas of `group` that apply to the property `name`."""
        own = group.properties.get(name)
        found = [] if own is None else [own]
        for pattern, sid in group.patterns:
            if self.pattern(pattern).matches(name):
                found.append(sid)
        return found or ([] if own is not None else [group.additional])

    # --------------------------------------------------------------------------------- splitting by type

    def members(self, ref: Ref) -> tuple[Sid, ...]:
        """The signed sub-schemas that must all hold at `ref`."""
        return self._sets[ref]

    def conjuncts(self, ref: Ref) -> list[tuple[int, list[Atom]]]:
        """`ref` as (type, atoms that must all hold) pairs: a document satisfies it iff it satisfies one of them."""
        known = self._conjuncts.get(ref)
        if known is None:
            sids = self._sets[ref]
            known = []
            types = self.types(sids)
            for bit in (NULL, BOOLEAN, NUMBER, STRING, ARRAY, OBJECT):
                if bit & types:
                    known.extend((bit, atoms) for atoms in self.split(bit, sids))
            self._conjuncts[ref] = known
        return known

    def types(self, sids: Iterable[Sid]) -> int:
        """Types that the schemas admit at first sight; saves splitting for the others."""
        types = ALL_TYPES
        stack, seen = list(sids), set()
        while stack:
            sid = stack.pop()
            if sid & 1:
                types &= ALL_TYPES if sid != FALSE else 0
            elif sid and sid not in seen:
                seen.add(sid)
                facts = self.facts(sid)
                types &= facts.types
                stack.extend(item for item in facts.common if item.__class__ is int)
        return types

    def split(self, bit: int, sids: Iterable[Item]) -> list[list[Atom]]:
        """The instances of one type that satisfy all of `sids`, as lists of atoms."""
        found: list[list[Atom]] = []
        self._split(bit, list(sids)[::-1], [], set(), [], [], found)
        expand = _EXPAND.get(bit)
        if expand is None:
            return found
        return [
            atoms for one in found for atoms in ([one] if any(atom.kind == "in" for atom in one) else expand(one, self))
        ]

    def _split(
        self,
        bit: int,
        todo: list[Item],
        atoms: list[Atom],
        seen: set[Sid],
        choices: list[Or],
        denied: list[Sid],
        found: list[list[Atom]],
    ) -> None:
        """Depth-first distribution; the lists belong to this call."""
        while True:
            while todo:
                item = todo.pop()
                if isinstance(item, int):
                    sid: Sid = item
                    if sid == TRUE or sid in seen:
                        continue
                    if sid == FALSE or sid ^ 1 in seen:
                        return
                    seen.add(sid)
                    facts = self.facts(sid)
                    if sid & 1:
                        if facts.types & bit:
                            if not facts.items(bit):
                                return
                            denied.append(sid)
                    elif facts.types & bit:
                        todo.extend(facts.items(bit)[::-1])
                    else:
                        return
                elif isinstance(item, Or):
                    choices.append(item)
                else:
                    atoms.append(item)
            if choices:
                choices = self._narrow_all(choices, bit, atoms, seen, todo)
                if todo:
                    continue
                if choices:
                    choice = min(choices, key=_breadth)
                    choices.remove(choice)
                    for branch in choice.branches:
                        self.spend(1 + len(atoms))
                        self._split(bit, list(branch[::-1]), atoms[:], set(seen), choices[:], denied[:], found)
                    return
            if denied:
                sid = denied.pop(0)
                if not self.apart.visibly_empty(bit, atoms, (sid ^ 1,)):
                    branches = tuple(b for item in self.facts(sid).items(bit) for b in negate(item))
                    choices.append(Or(branches, ""))
                continue
            found.append(atoms)
            return

    def _narrow_all(self, choices: list[Or], bit: int, atoms: list[Atom], seen: set[Sid], todo: list[Item]) -> list[Or]:
        """What is left to choose; what must hold now goes to `todo` (FALSE there when a choice has no branch left)."""
        names = {(atom.kind, atom.value): True for atom in atoms if atom.kind in _OPPOSITE}
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
        self, choice: Or, bit: int, seen: set[Sid], names: dict[tuple[str, str], bool]
    ) -> tuple[tuple[Item, ...], ...] | None:
        """The branches that can hold; None if one of them holds anyway."""
        kept = []
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
                kept.append(tuple(left))
        return tuple(kept)

    def _known(self, sid: Sid, bit: int, seen: set[Sid]) -> bool | None:
        """Whether a sub-schema holds for each or for no instance of the type; None: it depends."""
        if sid <= FALSE:
            return sid == TRUE
        if sid in seen:
            return True
        if sid ^ 1 in seen:
            return False
        facts = self.facts(sid)
        if not facts.types & bit:
            return bool(sid & 1)
        if not facts.items(bit):
            return not sid & 1
        return None

    # ----------------------------------------------------------------------------------------- emptiness

    def is_empty(self, ref: Ref) -> bool:
        """Does no document satisfy `ref`? Least fixpoint: a recursion that never ends holds no document."""
        known = self._empty.get(ref)
        if known is not None:
            return known
        if self._at_a_glance(ref):
            self._empty[ref] = False
            return False
        depth = self._active.get(ref)
        if depth is not None:
            self._low = min(self._low, depth)
            return True
        self.spend(1)
        depth = self._active[ref] = len(self._active)
        outer, self._low = self._low, _FAR
        try:
            empty = not any(_INHABITED[bit](atoms, self) for bit, atoms in self.conjuncts(ref))
        finally:
            del self._active[ref]
        low, self._low = self._low, outer
        if not empty or low >= depth:
            self._empty[ref] = empty  # else it rests on an assumption about a set still being decided
        else:
            self._low = min(outer, low)
        return empty

    def _at_a_glance(self, ref: Ref) -> bool:
        """Non-empty, as the keywords present show without reading their values?"""
        sids = self._sets[ref]
        if len(sids) != 1 or sids[0] & 1:
            return False
        node = self._nodes[sids[0] >> 1]
        return node is not None and node.facts is None and surely_inhabited(node.schema)

    def spend(self, steps: int) -> None:
        """Count work; BudgetExceeded when there is too much of it."""
        self._fuel -= steps
        if self._fuel < 0:
            raise BudgetExceeded(
                "fuel", self._fuel_limit, None, "Simplify the combination of anyOf/oneOf/allOf, or raise `fuel`."
            )

    # ------------------------------------------------------------------------------------------- regexes

    def pattern(self, pattern: str, where: str = "") -> Regex:
        """The language of an ECMA-262 `pattern` (found anywhere in the string)."""
        known = self._regexes.get(pattern)
        if known is None:
            from grammars.regex import parse

            known = self._regexes[pattern] = parse(pattern, dialect="ecma", search=True)
        return known

    def format(self, name: str, where: str = "") -> Regex | None:
        """The language of a format; None where the name is not known."""
        key = ("format", name)
        if key not in self._regexes:
            from grammars.formats import format_regex

            self._regexes[key] = format_regex(name)
        return self._regexes[key]

    def plainly_inhabited(self, pattern: str) -> bool:
        """Is the pattern of a kind that always matches something?"""
        return plainly_inhabited(pattern)

    def nothing(self) -> Regex:
        """The empty language."""
        from grammars.regex import Regex

        return ~Regex.any_string()

    def lengths(self, low: int, high: int | None) -> Regex:
        """All strings of `low` to `high` characters."""
        from grammars.regex import Regex

        return Regex.length(low, high)

    def one_of(self, values: list[str]) -> Regex:
        """Exactly these strings."""
        from grammars.regex import Regex

        result = self.nothing()
        for value in values:
            result = result | Regex.literal(value)
        return result

    def none_of(self, languages: list[Regex]) -> Regex:
        """All strings outside the languages."""
        from grammars.regex import Regex

        result = Regex.any_string()
        for language in languages:
            result = result - language
        return result

    def count_strings(self, language: Regex, besides: Iterable[str], enough: int) -> int:
        """How many strings of `language` there are besides the given ones; counting stops at `enough`."""
        from grammars.regex import CharDfa

        dfa = CharDfa(language)
        excluded, found = set(besides), 0
        layer = [("", dfa.start)]
        while layer and found < enough:
            following = []
            for text, state in layer:
                self.spend(1)
                if dfa.accepting(state) and text not in excluded:
                    found += 1
                for low, high, target in dfa.ranges(state):
                    for code in range(low, min(high, low + enough + len(excluded)) + 1):
                        following.append((text + chr(code), target))
            layer = following[: 4 * (enough + len(excluded)) + 64]
        return min(found, enough)


_FAR = 1 << 60
_ALIAS_DEPTH = 50
_OPPOSITE = {"required": "absent", "absent": "required"}


def _breadth(choice: Or) -> int:
    return len(choice.branches)


_ANYTHING: list[Alternative] = [
    LiteralValue(None), LiteralValue(False), LiteralValue(True), NumberValue(), StringValue(),
    ArrayValue((), SchemaCompiler.ANY), ObjectValue((), (), SchemaCompiler.ANY),
]  # fmt: skip


def _distinct(alternatives: list[Alternative]) -> tuple[Alternative, ...]:
    """Without repetitions (true is not 1, 1 is 1.0)."""
    if len(alternatives) < 2:
        return tuple(alternatives)
    kept: dict[Any, Alternative] = {}
    for alternative in alternatives:
        boolean = isinstance(alternative, LiteralValue) and isinstance(alternative.value, bool)
        kept.setdefault((alternative, boolean), alternative)
    return tuple(kept.values())
