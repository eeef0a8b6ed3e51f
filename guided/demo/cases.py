"""What the demonstration asks for: six schemas of different kinds, with hand-written prompts.

A model of 135 million parameters knows little, so each prompt holds the facts; the point is the form of the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["CASES", "Case"]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to ask: `name` for the command line, `title` and `shows` for the reader."""

    name: str
    title: str
    shows: str
    schema: dict[str, Any]
    prompt: str


PERSON: dict[str, Any] = {
    # as pydantic prints `class Person(BaseModel)` with four annotated fields
    "title": "Person",
    "type": "object",
    "properties": {
        "name": {"title": "Name", "type": "string", "minLength": 1, "maxLength": 40},
        "age": {"title": "Age", "type": "integer", "minimum": 0, "maximum": 130},
        "occupation": {"title": "Occupation", "anyOf": [{"type": "string", "maxLength": 30}, {"type": "null"}]},
        "is_member": {"title": "Is Member", "type": "boolean"},
    },
    "required": ["name", "age", "occupation", "is_member"],
    "additionalProperties": False,
}

SHOPPING: dict[str, Any] = {
    "type": "object",
    "properties": {
        "shops": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {
                "type": "object",
                "properties": {
                    "shop": {"type": "string", "minLength": 2, "maxLength": 16},
                    "items": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 3,
                        "items": {
                            "type": "array",
                            "prefixItems": [
                                {"type": "integer", "minimum": 1, "maximum": 12},
                                {"type": "string", "minLength": 2, "maxLength": 16},
                            ],
                            "minItems": 2,
                            "maxItems": 2,
                        },
                    },
                },
                "required": ["shop", "items"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["shops"],
    "additionalProperties": False,
}

TICKET: dict[str, Any] = {
    "type": "object",
    "properties": {
        "category": {"enum": ["billing", "delivery", "login", "other"]},
        "priority": {"enum": [1, 2, 3]},
        "mood": {"enum": ["angry", "neutral", "happy", None]},
        "schema_version": {"const": "2.1"},
        "summary": {"type": "string", "minLength": 10, "maxLength": 80},
    },
    "required": ["category", "priority", "mood", "schema_version", "summary"],
    "additionalProperties": False,
}

FOLDER: dict[str, Any] = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,11}(\\.[a-z]{1,4})?$"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 3},
            },
            "required": ["name"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}

TOOLS: dict[str, Any] = {
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "name": {"const": "get_weather"},
                "arguments": {
                    "type": "object",
                    "properties": {
                        "city": {"type": "string", "minLength": 2, "maxLength": 30},
                        "days": {"type": "integer", "minimum": 1, "maximum": 14},
                        "unit": {"enum": ["celsius", "fahrenheit"]},
                    },
                    "required": ["city", "days", "unit"],
                    "additionalProperties": False,
                },
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "name": {"const": "send_message"},
                "arguments": {
                    "type": "object",
                    "properties": {
                        "to": {"type": "string", "minLength": 2, "maxLength": 30},
                        "text": {"type": "string", "maxLength": 100},
                    },
                    "required": ["to", "text"],
                    "additionalProperties": False,
                },
            },
            "required": ["name", "arguments"],
            "additionalProperties": False,
        },
    ]
}

PARCEL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order": {"type": "string", "pattern": "^ORD-[0-9]{6}$"},
        "shipped": {"type": "string", "format": "date"},
        "contact": {"type": "string", "format": "email", "maxLength": 32},
        "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
        "weight_kg": {"type": "number", "exclusiveMinimum": 0, "maximum": 30},
    },
    "required": ["order", "shipped", "contact", "country", "weight_kg"],
    "additionalProperties": False,
}

CASES: tuple[Case, ...] = (
    Case(
        name="record",
        title="A record",
        shows="the fields of a pydantic model, bounds included",
        schema=PERSON,
        prompt="Write as JSON: Maria Lopez is 34 years old, works as a carpenter and is a member of our library.",
    ),
    Case(
        name="nested",
        title="Nested arrays",
        shows="objects in arrays in objects, and pairs [count, article] inside",
        schema=SHOPPING,
        prompt="Write as JSON, with count and article: at the bakery 2 bread and 6 rolls, at the market 3 apples.",
    ),
    Case(
        name="enums",
        title="Enums and a constant",
        shows="closed lists of strings, numbers and null; a constant costs no decision",
        schema=TICKET,
        prompt="Classify this message as JSON: 'My parcel is a week late and nobody answers my calls. I am furious!'",
    ),
    Case(
        name="recursion",
        title="Recursion",
        shows="a tree as deep as the model likes, and still finished in time",
        schema=FOLDER,
        prompt="Write as a JSON tree: a folder 'project' with the file 'readme.md' and a folder 'src' with 'main.py'.",
    ),
    Case(
        name="call",
        title="A function call",
        shows="one of two tools, each with its own arguments",
        schema=TOOLS,
        prompt="You can call get_weather(city, days, unit) or send_message(to, text). Answer with one call as JSON: "
        "what will the weather be in Paris for the next 3 days, in celsius?",
    ),
    Case(
        name="formats",
        title="Formats and patterns",
        shows="a date that exists, an e-mail address, two regular expressions",
        schema=PARCEL,
        prompt="Write as JSON: order ORD-204417 for eva@example.org was shipped to Spain (ES) on 4 March 2025, 2.5 kg.",
    ),
)
