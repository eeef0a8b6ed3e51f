"""The drafts: which keywords exist, and how `$ref` and `$id` behave, from `$schema`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grammars.errors import SchemaError

__all__ = ["DIALECTS", "Dialect", "dialect_of"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One draft. `year` orders the drafts: 4, 6, 7, 2019, 2020."""

    name: str
    year: int
    uri: str
    id_keyword: str = "$id"

    @property
    def ref_alone(self) -> bool:
        """Up to draft 7 a `$ref` makes its siblings void."""
        return self.year <= 7


DIALECTS = {
    "4": Dialect("4", 4, "http://json-schema.org/draft-04/schema", "id"),
    "6": Dialect("6", 6, "http://json-schema.org/draft-06/schema"),
    "7": Dialect("7", 7, "http://json-schema.org/draft-07/schema"),
    "2019-09": Dialect("2019-09", 2019, "https://json-schema.org/draft/2019-09/schema"),
    "2020-12": Dialect("2020-12", 2020, "https://json-schema.org/draft/2020-12/schema"),
}
_BY_URI = {dialect.uri.split("://")[1]: dialect for dialect in DIALECTS.values()}


def dialect_of(schema: Any, default: Dialect) -> Dialect:
    """What `$schema` of a schema resource says; `default` where it is missing or names none of the drafts."""
    uri = schema.get("$schema") if isinstance(schema, dict) else None
    if uri is None:
        return default
    if not isinstance(uri, str):
        raise SchemaError("/$schema", f'"$schema" must be a string, not {uri!r}', "Write the address of a draft.")
    return _BY_URI.get(uri.rstrip("#").split("://")[-1], default)
