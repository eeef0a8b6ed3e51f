"""The drafts: which keywords exist, and how `$ref` and `$id` behave, from `$schema`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from grammars.errors import SchemaError

__all__ = ["DIALECTS", "Dialect", "dialect_of"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One draft, or a metaschema made from its vocabularies. `year` orders the drafts: 4, 6, 7, 2019, 2020.

    `vocabularies`: the last parts of the addresses in `$vocabulary`; None: all that the draft's own metaschema has.
    """

    name: str
    year: int
    uri: str
    id_keyword: str = "$id"
    vocabularies: frozenset[str] | None = None

    @property
    def ref_alone(self) -> bool:
        """Up to draft 7 a `$ref` makes its siblings void."""
        return self.year <= 7

    @property
    def asserts_formats(self) -> bool:
        """The metaschema asks for formats to be enforced."""
        return self.vocabularies is not None and not self.vocabularies.isdisjoint(("format", "format-assertion"))


DIALECTS = {
    "4": Dialect("4", 4, "http://json-schema.org/draft-04/schema", "id"),
    "6": Dialect("6", 6, "http://json-schema.org/draft-06/schema"),
    "7": Dialect("7", 7, "http://json-schema.org/draft-07/schema"),
    "2019-09": Dialect("2019-09", 2019, "https://json-schema.org/draft/2019-09/schema"),
    "2020-12": Dialect("2020-12", 2020, "https://json-schema.org/draft/2020-12/schema"),
}
_BY_URI = {dialect.uri.split("://")[1]: dialect for dialect in DIALECTS.values()}


def dialect_of(schema: Any, default: Dialect, metaschema: Callable[[str], Any] | None = None) -> Dialect:
    """What `$schema` of a schema resource says; `default` where it is missing or names nothing that is known.

    `metaschema` finds a metaschema by its address (None: there is none).
    """
    uri = schema.get("$schema") if isinstance(schema, dict) else None
    if uri is None:
        return default
    if not isinstance(uri, str):
        raise SchemaError("/$schema", f'"$schema" must be a string, not {uri!r}', "Write the address of a draft.")
    known = _BY_URI.get(uri.rstrip("#").split("://")[-1])
    if known is not None or metaschema is None:
        return known or default
    found = metaschema(uri)
    if not isinstance(found, dict) or found.get("$schema") == uri:
        return default
    dialect = dialect_of(found, default)  # a metaschema's own metaschema is a draft's
    vocabularies = found.get("$vocabulary")
    if dialect.year < 2019 or not isinstance(vocabularies, dict):
        return dialect
    used = frozenset(
        address.rsplit("/", 1)[-1] for address, asserted in vocabularies.items() if asserted or address[-6:] != "format"
    )
    return replace(dialect, vocabularies=used)
