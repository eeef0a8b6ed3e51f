"""References that depend on the way that led to them, and metaschemas made of vocabularies."""

from __future__ import annotations

from typing import Any

from grammars.jsonschema import SchemaCompiler
from grammars.jsonschema.membership import contains

TREE = {
    "$id": "https://example.org/tree",
    "$dynamicAnchor": "node",
    "type": "object",
    "properties": {"data": True, "children": {"type": "array", "items": {"$dynamicRef": "#node"}}},
}
STRICT = {"$id": "https://example.org/strict", "$dynamicAnchor": "node", "$ref": "tree", "unevaluatedProperties": False}
REGISTRY = {"https://example.org/tree": TREE, "https://example.org/strict": STRICT}


def holds(schema: Any, instance: Any, **options: Any) -> bool:
    return contains(SchemaCompiler(schema, registry=REGISTRY, **options), instance)


def test_a_dynamic_reference_goes_to_the_outermost_anchor() -> None:
    misspelt = {"children": [{"daat": 1}]}
    assert holds(TREE, misspelt)
    assert not holds(STRICT, misspelt)
    assert holds(STRICT, {"children": [{"data": 1, "children": []}]})


def test_the_same_schema_means_different_things_on_different_ways() -> None:
    schema = {"properties": {"loose": {"$ref": "https://example.org/tree"}, "tight": {"$ref": STRICT["$id"]}}}
    misspelt = {"children": [{"daat": 1}]}
    assert holds(schema, {"loose": misspelt})
    assert not holds(schema, {"tight": misspelt})
    assert not holds(schema, {"loose": {"children": [1]}})


def test_without_a_dynamic_anchor_it_is_a_plain_reference() -> None:
    schema = {"$defs": {"s": {"$anchor": "s", "type": "string"}}, "items": {"$dynamicRef": "#s"}}
    assert holds(schema, ["a"]) and not holds(schema, [1])


def test_a_recursive_reference_goes_to_the_outermost_recursive_anchor() -> None:
    draft = "https://json-schema.org/draft/2019-09/schema"
    tree = {
        "$schema": draft,
        "$id": "https://example.org/old-tree",
        "$recursiveAnchor": True,
        "properties": {"children": {"items": {"$recursiveRef": "#"}}},
    }
    strict = {
        "$schema": draft,
        "$id": "https://example.org/old-strict",
        "$recursiveAnchor": True,
        "$ref": "old-tree",
        "unevaluatedProperties": False,
    }
    registry = {tree["$id"]: tree}
    misspelt = {"children": [{"x": 1}]}
    assert contains(SchemaCompiler(tree), misspelt)
    assert not contains(SchemaCompiler(strict, registry=registry), misspelt)
    del strict["$recursiveAnchor"]
    assert contains(SchemaCompiler(strict, registry=registry), misspelt)


def test_keywords_of_a_vocabulary_that_the_metaschema_lacks_are_annotations() -> None:
    base = "https://json-schema.org/draft/2020-12/"
    uri = "https://example.org/meta"
    meta = {"$id": uri, "$schema": base + "schema"}
    schema = {"$schema": uri, "properties": {"a": {"minimum": 3}, "b": False, "c": {"format": "date"}}}

    def verdicts(*vocabularies: str) -> list[bool]:
        registry = {uri: {**meta, "$vocabulary": {f"{base}vocab/{name}": True for name in vocabularies}}}
        source = SchemaCompiler(schema, registry=registry, format="annotate")
        return [contains(source, instance) for instance in ({"a": 1}, {"b": 1}, {"c": "x"})]

    assert verdicts("core", "applicator", "validation") == [False, False, True]
    assert verdicts("core", "applicator") == [True, False, True]
    assert verdicts("core", "validation") == [True, True, True]
    assert verdicts("core", "applicator", "format-assertion") == [True, False, False]
