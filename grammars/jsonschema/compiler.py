"""SchemaCompiler: the sets of sub-schemas that apply at a place, as lazily resolved `schema_ir` references.

A `Ref` stands for a set of signed sub-schemas which must all hold. Sets are interned, so recursion through allOf and
$ref ends, and equal places share work. `resolve` splits a set by type, distributes anyOf/oneOf/if over the types,
merges what applies (`_scalars`, `_arrays`, `_objects`) and drops what is empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from grammars.errors import BudgetExceeded, SchemaError
from grammars.jsonschema._apart import Apart
from grammars.jsonschema._arrays import arrays, arrays_inhabited
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
from grammars.jsonschema._glance import only_ref, sharing_key, surely_inhabited
from grammars.jsonschema._holds import Judge
from grammars.jsonschema._languages import Languages
from grammars.jsonschema._nodes import Node, References, Scope, default_dialect
from grammars.jsonschema._objects import objects, objects_inhabited
from grammars.jsonschema._reader import Facts, read
from grammars.jsonschema._scalars import booleans, nulls, numbers, strings
from grammars.jsonschema._split import Splitter
from grammars.jsonschema._structure import structure
from grammars.jsonschema._values import Values
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

__all__ = ["SchemaCompiler"]


def _strings(atoms: list[Atom], compiler: SchemaCompiler) -> list[Alternative]:
    """`strings`, computed once: emptiness asks for the same before `resolve` does, and patterns take long."""
    if all(atom.kind in _QUICK for atom in atoms):
        return strings(atoms, compiler)
    known = compiler.plans.get(id(atoms))
    if known is None:
        known = compiler.plans[id(atoms)] = (atoms, strings(atoms, compiler))
    return known[1]


_QUICK = ("minlen", "maxlen", "in")
_BUILD: Any = {NULL: nulls, BOOLEAN: booleans, NUMBER: numbers, STRING: _strings, ARRAY: arrays, OBJECT: objects}
_INHABITED: Any = {**_BUILD, ARRAY: arrays_inhabited, OBJECT: objects_inhabited}


class SchemaCompiler:
    """A JSON Schema as a `schema_ir.SchemaSource`.

    `format`: "assert" (a known format is enforced, in each draft) or "annotate". `content`: the same for
    `contentEncoding` and `contentMediaType`, which annotate by default. `registry`: a `referencing.Registry`
    or a dict from address to schema, for references to other documents. `default_draft` holds where `$schema` is
    missing. `fuel` bounds the work of splitting and merging behind one reference (default 200,000 steps, about 150 a
    ms).
    """

    ANY: Final = Ref(0)
    NEVER: Final = Ref(1)

    def __init__(
        self,
        schema: dict[str, Any] | bool,
        *,
        format: str = "assert",
        content: str = "annotate",
        registry: Any = None,
        default_draft: str = "2020-12",
        fuel: int = 200_000,
    ) -> None:
        if not isinstance(schema, (dict, bool)):
            raise SchemaError("", f"a schema is an object, true or false, not {type(schema).__name__}", "Pass a dict.")
        if format not in ("assert", "annotate"):
            raise SchemaError("", f"format={format!r} is not known", 'Choose "assert" or "annotate".')
        if content not in ("assert", "annotate"):
            raise SchemaError("", f"content={content!r} is not known", 'Choose "assert" or "annotate".')
        self.assert_formats = format == "assert"
        self.assert_content = content == "assert"
        self.judge = Judge(self)
        self.apart = Apart(self)
        self.languages = Languages(self.spend)
        self.splitter = Splitter(self)
        self.values = Values(self)
        self._fuel = self._fuel_limit = fuel
        self.references = References(schema, default_dialect(default_draft), registry)
        self._nodes: list[Node | None] = [None]
        self._by_id: dict[tuple[int, int], Sid] = {}
        self._shared: dict[Any, Sid] = {}
        self._refers: dict[tuple[int, str], Sid] = {}
        self._aliases: set[tuple[int, str]] = set()
        self._sets: list[tuple[Sid, ...]] = [(), (FALSE,)]
        self._ref_of_one: dict[Sid, Ref] = {TRUE: self.ANY, FALSE: self.NEVER}
        self._structures: dict[int, Any] = {}
        self._unions: dict[frozenset[Sid], Sid] = {}
        self._ref_of_set: dict[frozenset[Sid], Ref] = {}
        self._conjuncts: dict[Ref, list[tuple[int, list[Atom]]]] = {}
        self.plans: dict[int, tuple[list[Atom], Any]] = {}  # conjuncts, merged: by identity of the list
        self._resolved: dict[Ref, Union] = {}
        self._empty: dict[Ref, bool] = {self.ANY: False, self.NEVER: True}
        self._active: dict[Ref, int] = {}
        self._low, self._nesting = _FAR, _NESTING
        self.root: Ref = self.ref_of_one(self.node(schema, "", self.references.root))
        if self.is_empty(self.root):
            from grammars.jsonschema._explain import unsatisfiable

            raise unsatisfiable(self, self.root)

    # ---------------------------------------------------------------------------------- the SchemaSource

    def resolve(self, ref: Ref) -> Union:
        """The alternatives of `ref`; computed on first use."""
        union = self._resolved.get(ref)
        if union is None:
            self._fuel = self._fuel_limit
            if ref == self.ANY:
                alternatives: list[Alternative] = list(_ANYTHING)
            else:
                alternatives = []
                try:
                    for bit, atoms in self.conjuncts(ref):
                        alternatives.extend(_BUILD[bit](atoms, self))
                except RecursionError:
                    raise BudgetExceeded("nesting", _NESTING_LIMIT, None, "Nest the schema less deeply.") from None
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
        own = (id(schema), id(scope.dynamic))
        known = self._by_id.get(own)
        if known is not None:
            return known
        if "$ref" in schema:
            alias = self._alias(schema, pointer, scope)
            if alias is not None:
                return alias
        key = sharing_key(schema, scope.dialect.year) if scope.dialect.vocabularies is None else None
        if key is not None:
            known = self._shared.get(key)
            if known is not None:
                return known
        elif scope.dialect.id_keyword in schema:
            scope = self.references.enter(schema, pointer, scope)
        sid = 2 * len(self._nodes) if key != () else TRUE
        if sid:
            self._nodes.append(Node(schema, pointer, scope))
        if key is not None:
            self._shared[key] = sid
        else:
            self._by_id[own] = sid
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
            sid = self._refers[key] = self.node(*self.references.find(ref, scope, pointer))
        return sid

    def refer_dynamically(self, ref: str, scope: Scope, pointer: str) -> Sid:
        """The number of the sub-schema that `$dynamicRef` or `$recursiveRef` names."""
        return self.node(*self.references.find_dynamic(ref, scope, pointer))

    def place(self, sid: Sid) -> Node:
        """The schema object of `sid`."""
        node = self._nodes[sid >> 1]
        assert node is not None
        return node

    def all_of(self, items: Iterable[Item], pointer: str) -> Sid:
        """A sub-schema that no document contains: all of `items` hold."""
        node = Node({}, pointer, self.references.constants)
        node.facts = Facts()
        node.facts.plain = False
        node.facts.common.extend(items)
        self._structures[len(self._nodes)] = None
        self._nodes.append(node)
        return 2 * len(self._nodes) - 2

    def any_of(self, sids: Iterable[Sid], pointer: str) -> Sid:
        """A sub-schema that no document contains: at least one of `sids` holds."""
        distinct = set(sids) - {FALSE}
        if TRUE in distinct or len(distinct) < 2:
            return TRUE if TRUE in distinct else distinct.pop() if distinct else FALSE
        key = frozenset(distinct)
        if key not in self._unions:
            self._unions[key] = self.all_of([Or(tuple((sid,) for sid in sorted(distinct)), pointer)], pointer)
        return self._unions[key]

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
        if ref is None and self._contradict(distinct):
            ref = self._ref_of_set[key] = self.NEVER
        if ref is None:
            ref = self._ref_of_set[key] = Ref(len(self._sets))
            self._sets.append(tuple(sorted(distinct)))
        return ref

    def _contradict(self, sids: set[Sid]) -> bool:
        """Is a schema among `sids` the same, word for word, as one that is denied?"""
        denied = [sid for sid in sids if sid & 1]
        if not denied or len(denied) == len(sids):
            return False
        denials = {self._structure(sid) for sid in denied} - {None}
        return any(not sid & 1 and self._structure(sid) in denials for sid in sids)

    def _structure(self, sid: Sid) -> Any:
        number = sid >> 1
        if number not in self._structures:
            node = self._nodes[number]
            assert node is not None
            self._structures[number] = structure(node.schema, node.scope, self)
        return self._structures[number]

    def constant(self, value: Any) -> Ref:
        """The reference of exactly this value."""
        return self.ref_of_one(self.node({"const": value}, "", self.references.constants))

    def named(self, values: list[Any]) -> Sid:
        """Exactly these values."""
        return self.node({"enum": values}, "", self.references.constants)

    def made(self, alternatives: list[Alternative], like: Ref, known: Ref | None = None) -> Ref:
        """A reference with these alternatives, standing where `like` does; `known`: one that was made before."""
        ref = Ref(len(self._sets)) if known is None else known
        if known is None:
            self._sets.append(())
        self._empty[ref] = False
        self._resolved[ref] = Union(tuple(alternatives), self.pointer(like))
        return ref

    def build(self, bit: int, atoms: list[Atom]) -> list[Alternative]:
        """The alternatives of one conjunct; references in it are decided on demand."""
        return _BUILD[bit](atoms, self)  # type: ignore[no-any-return]

    @property
    def searching(self) -> bool:
        """Is some emptiness being decided, so that others may rest on an assumption about it?"""
        return bool(self._active)

    def spelled_out(self, value: Any) -> Sid:
        """Exactly this array or object, in terms of its items or properties."""
        if isinstance(value, dict):
            properties = {name: {"const": item} for name, item in value.items()}
            schema = {"properties": properties, "required": list(value), "additionalProperties": False}
        else:
            count = len(value)
            schema = {"prefixItems": [{"const": item} for item in value], "minItems": count, "maxItems": count}
        return self.node(schema, "", self.references.constants)

    def lookup(self, group: ObjectGroup, name: str) -> list[Sid]:
        """The sub-schemas of `group` that apply to the property `name`."""
        own = group.properties.get(name)
        found = [] if own is None else [own]
        for pattern, sid in group.patterns:
            if self.languages.found(pattern, name, group.where):
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
            known = self._conjuncts[ref] = self._split(self._sets[ref])
        return known

    def _split(self, sids: tuple[Sid, ...]) -> list[tuple[int, list[Atom]]]:
        if len(sids) == 1 and not sids[0] & 1:
            facts = self.facts(sids[0])
            if facts.plain:
                types, items = facts.types, facts.items
                return [(bit, items(bit)) for bit in _BUILD if bit & types]  # type: ignore[misc]
        types = self.types(sids)
        return [(bit, atoms) for bit in _BUILD if bit & types for atoms in self.splitter.split(bit, sids)]

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
        if not self._active:
            return self._decide(ref)
        if len(self._active) > self._nesting:
            raise _TooDeep(ref)
        return self._search(ref)

    def _decide(self, ref: Ref) -> bool:
        """`is_empty` without deep recursion: what lies too deep is decided first, on its own."""
        waiting = [ref]
        try:
            while True:
                try:
                    empty = self._search(waiting[-1])
                except _TooDeep as deeper:
                    if deeper.ref in waiting:  # a recursion longer than the limit has to be seen as a whole
                        self._nesting += _NESTING
                        if self._nesting > _NESTING_LIMIT:
                            raise BudgetExceeded("nesting", _NESTING_LIMIT, None, "Shorten the recursion.") from None
                    else:
                        waiting.append(deeper.ref)
                    continue
                waiting.pop()
                if not waiting:
                    return empty
        finally:
            self._low, self._nesting = _FAR, _NESTING

    def _search(self, ref: Ref) -> bool:
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

    def none_inhabited(self, bit: int, items: Iterable[Item]) -> bool:
        """Do the items admit no instance of the type?"""
        return not any(_INHABITED[bit](atoms, self) for atoms in self.splitter.split(bit, items))

    def schema_of(self, sid: Sid) -> dict[str, Any]:
        """The schema object of a signed sub-schema."""
        node = self._nodes[sid >> 1]
        return node.schema if node is not None else {}

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


_FAR = 1 << 60
_NESTING, _NESTING_LIMIT = 24, 72


class _TooDeep(Exception):
    """The search for an instance of one reference has come to this one, too many levels down."""

    def __init__(self, ref: Ref) -> None:
        super().__init__(ref)
        self.ref = ref


_ALIAS_DEPTH = 50
_ANYTHING: list[Alternative] = [
    LiteralValue(None), LiteralValue(False), LiteralValue(True), NumberValue(), StringValue(),
    ArrayValue((), SchemaCompiler.ANY), ObjectValue((), (), SchemaCompiler.ANY),
]  # fmt: skip


def _distinct(alternatives: list[Alternative]) -> tuple[Alternative, ...]:
    """Without repetitions (true is not 1, 1 is 1.0)."""
    if len(alternatives) < 2 or len({alternative.__class__ for alternative in alternatives}) == len(alternatives):
        return tuple(alternatives)
    kept: dict[Any, Alternative] = {}
    for alternative in alternatives:
        boolean = isinstance(alternative, LiteralValue) and isinstance(alternative.value, bool)
        kept.setdefault((alternative, boolean), alternative)
    return tuple(kept.values())
