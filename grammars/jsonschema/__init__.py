"""JSON Schema (drafts 4 to 2020-12) as a `schema_ir.SchemaSource`.

schema --(read one node)--> Facts --(distribute anyOf, push `not` inwards)--> conjuncts --(merge)--> schema_ir

_dialects    the drafts
_nodes       places in a schema, `$id` scopes, references, dynamic anchors
_atoms       assertions about one type, the alphabet of everything below
_reader      one schema object -> Facts: its types and its atoms
_negate      the complement of an atom within its type
_holds       an atom evaluated on an instance (enum and const are filtered with it)
_unevaluated what a schema object evaluates beside its `unevaluated...` keyword, under which conditions
_split       sets of sub-schemas -> conjuncts of atoms; _cases: many choices on one property at once
_apart, _structure   cheap looks that keep the splitting small
_scalars, _arrays, _objects   conjunct of one type -> schema_ir, with exact emptiness
_items       arrays that count what their items match; _distinct, _values: arrays whose items differ
compiler     SchemaCompiler: sets of sub-schemas <-> Ref, laziness, memo, fuel
membership   `contains(source, instance)`: a plain interpreter of schema_ir, the tests' oracle
"""

from __future__ import annotations

from grammars.jsonschema.compiler import SchemaCompiler

__all__ = ["SchemaCompiler"]
