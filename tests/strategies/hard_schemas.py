"""Schemas that each stress one thing in the engine, by name: keys that share beginnings, counts, patterns, unions."""

from __future__ import annotations

from typing import Any

__all__ = ["HARD_SCHEMAS"]

NAMES = ("a", "b", "ab", "abc", "", "é", "😀", 'q"', "\\", "n\n", "/", "c", "ba")
TREE = {"type": "object", "properties": {"v": {"type": "integer"}, "l": {"$ref": "#"}, "r": {"$ref": "#"}}}
HARD_SCHEMAS: dict[str, dict[str, Any]] = {
    "anything": {},
    "tree": {**TREE, "required": ["v"], "additionalProperties": False},
    "open object": {"type": "object"},
    "open with declared": {
        "type": "object",
        "properties": {"a": {"const": 1}, "ab": {"type": "null"}, "b": {"enum": [1, "a"]}},
    },
    "open with forbidden": {
        "type": "object",
        "properties": {"a": False, "b": {}},
        "additionalProperties": {"type": "integer"},
    },
    "required among extras": {
        "type": "object",
        "properties": {"a": {}, "b": {}, "c": {}},
        "required": ["b"],
        "additionalProperties": {"const": 1},
        "minProperties": 2,
        "maxProperties": 3,
    },
    "patterns only": {
        "type": "object",
        "properties": {"foo": {"const": 1}, "é": {"const": 2}, "b": {"const": 3}},
        "patternProperties": {"^b": {"const": 0}},
        "additionalProperties": False,
    },
    "patterns that differ": {
        "type": "object",
        "patternProperties": {"^a": {"const": "x"}, "^b": {"const": "y"}, "é$": {"const": "z"}},
        "additionalProperties": {"const": None},
    },
    "few keys by pattern": {
        "type": "object",
        "patternProperties": {"^[ab]$": {"const": 1}},
        "additionalProperties": False,
    },
    "keys of one length": {
        "type": "object",
        "properties": {"ab": {"const": 1}, "c": {"const": 1}},
        "patternProperties": {"^[a-z]{2}$": {"const": 0}, "^x-": {"const": 0}},
        "additionalProperties": False,
    },
    "keys of one character": {
        "type": "object",
        "propertyNames": {"maxLength": 1},
        "additionalProperties": {"const": 1},
    },
    "keys by length": {
        "type": "object",
        "propertyNames": {"maxLength": 2, "minLength": 1},
        "additionalProperties": {"const": 1},
    },
    "exactly two": {
        "type": "object",
        "properties": {name: {"const": 1} for name in NAMES},
        "minProperties": 2,
        "maxProperties": 2,
    },
    "exactly two, closed": {
        "type": "object",
        "properties": {name: {"const": 1} for name in NAMES},
        "minProperties": 2,
        "maxProperties": 2,
        "additionalProperties": False,
    },
    "required at the limit": {
        "type": "object",
        "properties": {name: {} for name in NAMES},
        "required": ["b", "é"],
        "maxProperties": 2,
    },
    "escaped names": {
        "type": "object",
        "properties": {n: {"const": n} for n in ('"', "\\", "/", "\n", "\u0000", "\u007f", "😀", "é")},
        "additionalProperties": False,
    },
    "two objects": {
        "anyOf": [
            {"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 2}}, "required": ["a", "b"]},
            {
                "type": "object",
                "properties": {"a": {"const": 2}, "c": {}},
                "required": ["c"],
                "additionalProperties": False,
            },
        ]
    },
    "tagged": {
        "anyOf": [
            {"type": "object", "properties": {"t": {"const": t}, t: {"type": "integer"}}, "required": ["t", t]}
            for t in "abc"
        ]
    },
    "tuple": {
        "type": "array",
        "prefixItems": [{"const": 1}, {"type": "string"}],
        "items": {"type": "null"},
        "minItems": 1,
    },
    "closed tuple": {"type": "array", "prefixItems": [{"type": "integer"}] * 3, "items": False, "minItems": 2},
    "counted items": {"type": "array", "items": {"enum": [1, 12, "a"]}, "minItems": 2, "maxItems": 4},
    "nested arrays": {"type": "array", "items": {"$ref": "#"}, "maxItems": 2},
    "counted strings": {"type": "array", "items": {"type": "string", "minLength": 2, "maxLength": 3}},
    "long strings": {"type": "array", "items": {"type": "string", "minLength": 3, "maxLength": 300}},
    "classes counted": {"type": "array", "items": {"type": "string", "pattern": "^[aé😀]+$", "maxLength": 3}},
    "patterns": {"type": "array", "items": {"type": "string", "pattern": "^(a|ab)(c|bcd)$|é"}},
    "words": {"type": "array", "items": {"enum": list(NAMES)}},
    "numbers": {
        "type": "array",
        "items": {"anyOf": [{"type": "integer", "minimum": -3, "maximum": 17}, {"const": 1.5}]},
    },
    "text or number": {
        "type": "array",
        "items": {"anyOf": [{"type": "string"}, {"enum": ["ab", 1]}, {"type": "integer"}]},
    },
    "keys again inside": {
        "type": "object",
        "properties": {"a": {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}},
        "additionalProperties": {"type": "object", "additionalProperties": {"const": 1}},
    },
    "unique anything": {"type": "array", "uniqueItems": True},
    "unique words": {"type": "array", "items": {"enum": list(NAMES)}, "uniqueItems": True, "minItems": 2},
    "unique short strings": {"type": "array", "items": {"type": "string", "maxLength": 1}, "uniqueItems": True},
    "unique pattern": {
        "type": "array",
        "items": {"type": "string", "pattern": "^(a|ab|b(c|é)*)$"},
        "uniqueItems": True,
    },
    "unique numbers": {
        "type": "array",
        "items": {"anyOf": [{"type": "integer", "minimum": -3, "maximum": 17}, {"const": 1.5}, {"type": "null"}]},
        "uniqueItems": True,
    },
    "unique objects": {
        "type": "array",
        "items": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "maxProperties": 1},
        "uniqueItems": True,
    },
    "unique open objects": {"type": "array", "items": {"type": "object"}, "uniqueItems": True},
    "unique constants": {
        "type": "array",
        "items": {"enum": [{"a": 1, "b": [1]}, {"a": 1}, [1], [1, 2], "a", 1, 12, True, None]},
        "uniqueItems": True,
    },
    "unique in unique": {
        "type": "array",
        "items": {"type": "array", "uniqueItems": True, "maxItems": 2, "items": {"enum": [1, 12, "a"]}},
        "uniqueItems": True,
        "maxItems": 4,
    },
    "unique tuple": {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": ["string", "integer"]}],
        "items": {"type": ["integer", "object"], "properties": {"a": {"const": 1}}, "additionalProperties": False},
        "uniqueItems": True,
    },
    "contains": {"type": "array", "items": {"enum": [1, 12, "a"]}, "contains": {"type": "integer"}, "maxItems": 3},
    "contains a few": {"type": "array", "contains": {"const": 1}, "minContains": 2, "maxContains": 3},
    "contains two kinds": {
        "allOf": [{"contains": {"type": "integer"}}, {"contains": {"minimum": 5}}],
        "type": "array",
        "items": {"type": ["integer", "string"]},
        "uniqueItems": True,
    },
    "alternatives that nest": {
        "type": "object",
        "properties": {"a": {"$ref": "#"}, "b": {"const": 1}, "l": {"type": "array", "items": {"$ref": "#"}}},
        "additionalProperties": False,
        "anyOf": [{"required": ["b"]}, {"maxProperties": 1}],
    },
    "some undeclared key": {
        "type": "object",
        "properties": {"a": {"const": 1}, "ab": {}},
        "not": {"additionalProperties": {"type": "integer"}, "properties": {"a": {}, "ab": {}}},
        "maxProperties": 3,
    },
    "some key of two patterns": {
        "type": "object",
        "allOf": [
            {"not": {"propertyNames": {"not": {"pattern": "a"}}}},
            {"not": {"propertyNames": {"not": {"pattern": "b"}}}},
        ],
        "additionalProperties": {"type": "integer"},
        "maxProperties": 1,
    },
    "some key of a pattern": {
        "type": "object",
        "allOf": [
            {"not": {"patternProperties": {"^a": {"type": "integer"}}}},
            {"not": {"propertyNames": {"pattern": "b"}}},
        ],
        "additionalProperties": {"type": ["integer", "string"]},
    },
    "some key with a dear value": {
        "type": "object",
        "allOf": [
            {"not": {"propertyNames": {"not": {"pattern": "b7"}}}},
            {"not": {"propertyNames": {"not": {"pattern": "[a-z]5"}}}},
        ],
        "propertyNames": {"pattern": "^([a-z][0-9])+$"},
        "patternProperties": {"5": {"type": "array", "items": {"const": "dear"}, "minItems": 9}},
        "additionalProperties": {"type": "null"},
    },
}
