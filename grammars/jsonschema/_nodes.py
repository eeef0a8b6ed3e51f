"""Places in a schema: which schema object, where it stands, and what its references are relative to.

A `$ref` of the form `#` or `#/...` is a walk through dictionaries. Everything else (anchors, other resources, the
user's registry) goes through `referencing`, which is imported only then.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from grammars.errors import SchemaError, shorten
from grammars.jsonschema._dialects import DIALECTS, Dialect, dialect_of

__all__ = ["Node", "References", "Scope", "escape"]


def escape(token: str) -> str:
    """A key as a JSON pointer token."""
    if "~" in token or "/" in token:
        return token.replace("~", "~0").replace("/", "~1")
    return token


class Scope:
    """A schema resource: the object that `#` means, its address, its draft."""

    __slots__ = ("dialect", "pointer", "root", "uri")

    def __init__(self, root: Any, pointer: str, uri: str, dialect: Dialect) -> None:
        self.root, self.pointer, self.uri, self.dialect = root, pointer, uri, dialect


class Node:
    """One schema object. `facts` is what `_reader` made of it, on first use."""

    __slots__ = ("facts", "pointer", "schema", "scope")

    def __init__(self, schema: dict[str, Any], pointer: str, scope: Scope) -> None:
        self.schema, self.pointer, self.scope = schema, pointer, scope
        self.facts: Any = None


class References:
    """Resolves `$ref`s of one document; never fetches anything."""

    def __init__(self, document: Any, default: Dialect, registry: Any = None) -> None:
        dialect = dialect_of(document, default)
        uri = document.get(dialect.id_keyword, "") if isinstance(document, dict) else ""
        self.root = Scope(document, "", uri if isinstance(uri, str) else "", dialect)
        self.constants = Scope({}, "", "", DIALECTS["2020-12"])
        self._document = document
        self._default = default
        self._user_registry = registry
        self._registry: Any = None
        self._scopes: dict[int, Scope] = {id(document): self.root}
        self._pointers: dict[int, str] | None = None

    def enter(self, schema: dict[str, Any], pointer: str, scope: Scope) -> Scope:
        """The scope inside `schema`, which carries an `$id` of its own or not."""
        uri = schema.get(scope.dialect.id_keyword)
        if not isinstance(uri, str) or schema is scope.root or uri.startswith("#"):
            return scope
        if scope.dialect.ref_alone and "$ref" in schema:
            return scope
        known = self._scopes.get(id(schema))
        if known is None:
            known = Scope(schema, pointer, urljoin(scope.uri, uri), dialect_of(schema, scope.dialect))
            self._scopes[id(schema)] = known
        return known

    def find(self, ref: str, scope: Scope, pointer: str) -> tuple[Any, str, Scope]:
        """(schema, its pointer, its scope) of what `ref`, standing at `pointer`, refers to."""
        if ref == "#":
            return scope.root, scope.pointer, scope
        if ref.startswith("#/"):
            return self._walk(ref, scope, pointer)
        return self._look_up(ref, scope, pointer)

    def _walk(self, ref: str, scope: Scope, pointer: str) -> tuple[Any, str, Scope]:
        here, place = scope.root, scope.pointer
        for token in ref[2:].split("/"):
            if "%" in token:
                token = unquote(token)
            key = token.replace("~1", "/").replace("~0", "~") if "~" in token else token
            if isinstance(here, dict) and key in here:
                here = here[key]
            elif isinstance(here, list) and key.isdigit() and int(key) < len(here):
                here = here[int(key)]
            else:
                raise _nowhere(ref, pointer)
            place = f"{place}/{token}"
            if isinstance(here, dict):
                scope = self.enter(here, place, scope)
        return here, place, scope

    def _look_up(self, ref: str, scope: Scope, pointer: str) -> tuple[Any, str, Scope]:
        import referencing.exceptions

        resolver = self._with_document().resolver(base_uri=scope.uri or _NAMELESS)
        try:
            found = resolver.lookup(ref)
            root = found.resolver.lookup("#").contents
        except (referencing.exceptions.Unresolvable, referencing.exceptions.NoSuchAnchor, ValueError) as error:
            raise _nowhere(ref, pointer) from error
        inside = self._scopes.get(id(root))
        if inside is None:
            uri = urldefrag(urljoin(scope.uri, ref)).url
            dialect = dialect_of(root, scope.dialect)
            own = root.get(dialect.id_keyword) if isinstance(root, dict) else None
            if isinstance(own, str) and not uri.endswith(own):  # else it was found under its own address
                uri = urldefrag(urljoin(uri, own)).url
            inside = Scope(root, self._pointer_of(root, uri), uri, dialect)
            self._scopes[id(root)] = inside
        return found.contents, self._pointer_of(found.contents, urljoin(scope.uri, ref)), inside

    def _with_document(self) -> Any:
        if self._registry is None:
            from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

            registry = REGISTRY
            user = self._user_registry
            if isinstance(user, dict):
                for uri, contents in user.items():
                    registry = registry.with_resource(uri, self._checked(uri, contents))
            elif user is not None:
                registry = user.combine(registry)
            resource = self._resource(self._document)
            registry = registry.with_resource(self.root.uri or _NAMELESS, resource)
            self._registry = registry.crawl()
        return self._registry

    def _checked(self, uri: str, contents: Any) -> Any:
        """A schema of the user's registry; without its inner `$id`s where these cannot be read."""
        import referencing

        resource = self._resource(contents)
        try:
            referencing.Registry().with_resource(uri, resource).crawl()
        except (TypeError, AttributeError, ValueError):  # e.g. written for another draft than the one in force
            return referencing.Resource.opaque(contents)
        return resource

    def _resource(self, contents: Any) -> Any:
        import referencing.jsonschema

        specifications = {
            4: referencing.jsonschema.DRAFT4, 6: referencing.jsonschema.DRAFT6, 7: referencing.jsonschema.DRAFT7,
            2019: referencing.jsonschema.DRAFT201909, 2020: referencing.jsonschema.DRAFT202012,
        }  # fmt: skip
        year = dialect_of(contents, self._default).year if isinstance(contents, dict) else 2020
        specification: Any = specifications[year]
        return specification.create_resource(contents)

    def _pointer_of(self, schema: Any, otherwise: str) -> str:
        if self._pointers is None:
            self._pointers = {}
            stack: list[tuple[Any, str]] = [(self._document, "")]
            while stack:
                value, pointer = stack.pop()
                if isinstance(value, dict):
                    self._pointers[id(value)] = pointer
                    stack.extend((item, f"{pointer}/{escape(key)}") for key, item in value.items())
                elif isinstance(value, list):
                    stack.extend((item, f"{pointer}/{index}") for index, item in enumerate(value))
        return self._pointers.get(id(schema), otherwise)


_NAMELESS = "urn:guided:schema"


def _nowhere(ref: str, pointer: str) -> SchemaError:
    return SchemaError(
        pointer,
        f'"$ref": "{shorten(ref)}" refers to nothing in this schema',
        "Correct it, or pass the schema it names in `registry`; nothing is fetched from the network.",
    )


def default_dialect(name: str) -> Dialect:
    """The draft called `name` ("4", "6", "7", "2019-09", "2020-12")."""
    try:
        return DIALECTS[name]
    except KeyError:
        raise SchemaError("", f"no draft {name!r}", f"Choose one of {', '.join(DIALECTS)}.") from None
