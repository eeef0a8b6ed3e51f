"""Definitions: schemas with labelled instances, in splits, wherever they come from (`sources.py` reads them)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from grammars.errors import GuidedError

__all__ = ["CORE_SPLITS", "SPELLINGS", "DataMissing", "Definition", "Instance", "Source", "keywords_of", "sample"]

CORE_SPLITS = ("Github_trivial", "Github_easy", "Glaiveai2K", "BFCL")
"""The splits that stay within the core of the language: the default everywhere."""

SPELLINGS: dict[str, dict[str, Any]] = {
    "compact": {"separators": (",", ":"), "ensure_ascii": False},
    "default": {"ensure_ascii": False},
    "ascii": {},
}
"""How an instance is written out, as options of `json.dumps`; the benchmark's protocol has the first two."""


class DataMissing(GuidedError):
    """The benchmark's data is not where it was looked for."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One document with its label."""

    valid: bool
    data: Any
    description: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """One schema of one split with its instances."""

    split: str
    name: str
    schema: Any
    instances: tuple[Instance, ...] = ()
    features: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return self.split, self.name

    @classmethod
    def from_record(cls, split: str, record: dict[str, Any]) -> Definition:
        tests = (Instance(test["valid"], test["data"], test.get("description", "")) for test in record.get("tests", ()))
        schema = record["schema"]
        return cls(split, record["name"], schema, tuple(tests), tuple(keywords_of(schema)))


class Source(Protocol):
    """Where definitions come from."""

    def names(self) -> list[str]:
        """Its splits."""
        ...

    def load(self, split: str) -> Iterator[Definition]:
        """The definitions of one split, in order. Raises `DataMissing` for a split that is not there."""
        ...


def keywords_of(schema: Any) -> list[str]:
    """Keywords that a schema uses, at any depth, and its formats, sorted. Names of properties and values are none."""
    found: set[str] = set()
    formats: set[str] = set()
    stack = [schema]
    while stack:
        schema = stack.pop()
        if not isinstance(schema, dict):
            continue
        for keyword, value in schema.items():
            found.add(keyword)
            if keyword == "format" and isinstance(value, str):
                formats.add(f"format: {value}")
            if keyword in _MAPS and isinstance(value, dict):
                stack.extend(value.values())
            elif keyword not in _VALUES:
                stack.extend(value if isinstance(value, list) else [value])
    return sorted(found & KEYWORDS | formats)


_MAPS = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"))
_VALUES = frozenset(("enum", "const", "default", "examples", "example", "required", "type"))
KEYWORDS = frozenset(
    "$anchor $defs $dynamicRef $id $recursiveRef $ref additionalItems additionalProperties allOf anyOf const contains "
    "contentEncoding contentMediaType default definitions dependencies dependentRequired dependentSchemas enum "
    "exclusiveMaximum exclusiveMinimum format if items maxContains maxItems maxLength maxProperties maximum "
    "minContains minItems minLength minProperties minimum multipleOf not oneOf pattern patternProperties prefixItems "
    "properties propertyNames required type unevaluatedItems unevaluatedProperties uniqueItems".split()
)
"""Keywords worth a row in a report."""


def sample(source: Source, splits: Iterable[str], *, limit: int | None = None, seed: int = 0) -> list[Definition]:
    """All definitions of the splits; with a limit, that many of each split, chosen by the seed, in file order."""
    chosen: list[Definition] = []
    for split in splits:
        definitions = list(source.load(split))
        if limit is not None and limit < len(definitions):
            picks = random.Random(f"{seed}/{split}").sample(range(len(definitions)), limit)
            definitions = [definitions[i] for i in sorted(picks)]
        chosen += definitions
    return chosen
