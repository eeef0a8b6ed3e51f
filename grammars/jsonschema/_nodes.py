"""Places in a schema: which schema object, where it stands, and what its references are relative to.

A `$ref` of the form `#` or `#/...` is a walk through dictionaries. Everything else (anchors, other resources, the
user's registry) goes through `referencing`, which is imported only then.

`$dynamicRef` and `$recursiveRef` depend on the way that led to them: on the resources entered so far. All they need of
it is which resource was the first to declare an anchor, so a scope carries that table (nearly always empty).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from grammars.errors import SchemaError, shorten
from grammars.jsonschema._dialects import DIALECTS, Dialect, dialect_of

__all__ = ["Dynamic", "Node", "References", "Scope", "escape"]


def escape(token: str) -> str:
    """A key as a JSON pointer token."""
    if "~" in token or "/" in token:
        return token.replace("~", "~0").replace("/", "~1")
    return token


class Dynamic:
    """Dynamic anchors in scope: name -> (schema, its pointer, its scope) in the outermost resource that has it.

    The name of `$recursiveAnchor` is empty. There is one object for equal tables.
    """

    __slots__ = ("anchors",)

    def __init__(self, anchors: dict[str, tuple[Any, str, Scope]]) -> None:
        self.anchors = anchors


class Scope:
    """A schema resource: the object that `#` means, its address, its draft, and what was entered before it."""

    __slots__ = ("dialect", "dynamic", "pointer", "root", "uri")

    def __init__(self, root: Any, pointer: str, uri: str, dialect: Dialect, dynamic: Dynamic) -> None:
        self.root, self.pointer, self.uri, self.dialect, self.dynamic = root, pointer, uri, dialect, dynamic


class Node:
    """One schema object. `facts` is what `_reader` made of it, on first use."""

    __slots__ = ("facts", "pointer", "schema", "scope")

    def __init__(self, schema: dict[str, Any], pointer: str, scope: Scope) -> None:
        self.schema, self.pointer, self.scope = schema, pointer, scope
        self.facts: Any = None


class References:
    """Resolves `$ref`s of one document; never fetches anything."""

    def __init__(self, document: Any, default: Dialect, registry: Any = None) -> None:
        self._document = document
        self._default = default
        self._user_registry = registry
        self._registry: Any = None
        self._still = Dynamic({})
        self._dynamics: dict[frozenset[tuple[str, int]], Dynamic] = {frozenset(): self._still}
        self._anchors: dict[int, tuple[tuple[str, Any, str], ...]] = {}
        self._scopes: dict[tuple[int, int], Scope] = {}
        self._dialects: dict[str, Dialect] = {}
        self._pointers: dict[int, str] | None = None
        dialect = self.dialect_of(document, default)
        uri = document.get(dialect.id_keyword, "") if isinstance(document, dict) else ""
        self.root = self._scope(document, "", uri if isinstance(uri, str) else "", dialect, self._still)
        self.constants = Scope({}, "", "", DIALECTS["2020-12"], self._still)

    def dialect_of(self, schema: Any, default: Dialect) -> Dialect:
        """The draft of a schema resource, with the vocabularies of its metaschema if the registry has that."""
        uri = schema.get("$schema") if isinstance(schema, dict) else None
        if not isinstance(uri, str):
            return dialect_of(schema, default)
        if uri not in self._dialects:
            found = dialect_of(schema, default, self._metaschema)
            if found is default:
                return default
            self._dialects[uri] = found
        return self._dialects[uri]

    def _metaschema(self, uri: str) -> Any:
        user = self._user_registry
        if user is None or isinstance(user, dict):
            return None if user is None else user.get(uri, user.get(uri.rstrip("#")))
        import referencing.exceptions

        try:
            return user.contents(uri.rstrip("#"))
        except referencing.exceptions.NoSuchResource:
            return None

    # ------------------------------------------------------------------------------------------------- scopes

    def _scope(self, root: Any, pointer: str, uri: str, dialect: Dialect, before: Dynamic) -> Scope:
        """The scope of a resource that is entered with the anchors of `before` known."""
        dynamic = before
        if dialect.year >= 2019 and isinstance(root, dict):
            new = self._anchors_of(root, pointer, dialect)
            if any(name not in before.anchors for name, _, _ in new):
                home = Scope(root, pointer, uri, dialect, before)
                anchors = {name: (schema, place, home) for name, schema, place in new} | before.anchors
                key = frozenset((name, id(entry[0])) for name, entry in anchors.items())
                dynamic = self._dynamics.setdefault(key, Dynamic(anchors))
        known = (id(root), id(dynamic))
        if known not in self._scopes:
            self._scopes[known] = Scope(root, pointer, uri, dialect, dynamic)
        return self._scopes[known]

    def _anchors_of(self, root: dict[str, Any], pointer: str, dialect: Dialect) -> tuple[tuple[str, Any, str], ...]:
        """The dynamic anchors of a resource: (name, schema, pointer)."""
        known = self._anchors.get(id(root))
        if known is None:
            if dialect.year == 2019:
                known = (("", root, pointer),) if root.get("$recursiveAnchor") is True else ()
            else:
                known = tuple(_dynamic_anchors(root, pointer))
            self._anchors[id(root)] = known
        return known

    def enter(self, schema: dict[str, Any], pointer: str, scope: Scope, before: Dynamic | None = None) -> Scope:
        """The scope inside `schema`, which carries an `$id` of its own or not."""
        uri = schema.get(scope.dialect.id_keyword)
        if not isinstance(uri, str) or schema is scope.root or uri.startswith("#"):
            return scope
        if scope.dialect.ref_alone and "$ref" in schema:
            return scope
        dialect = self.dialect_of(schema, scope.dialect)
        return self._scope(schema, pointer, urljoin(scope.uri, uri), dialect, before or scope.dynamic)

    def find(self, ref: str, scope: Scope, pointer: str) -> tuple[Any, str, Scope]:
        """(schema, its pointer, its scope) of what `ref`, standing at `pointer`, refers to."""
        if ref == "#":
            return scope.root, scope.pointer, scope
        if ref.startswith("#/"):
            return self._walk(ref, scope, pointer)
        return self._look_up(ref, scope, pointer)

    def find_dynamic(self, ref: str, scope: Scope, pointer: str) -> tuple[Any, str, Scope]:
        """The same for a `$dynamicRef` or `$recursiveRef`: the outermost schema with that anchor goes first."""
        schema, place, inside = self.find(ref, scope, pointer)
        name = ref.partition("#")[2]
        if isinstance(schema, dict) and (schema.get("$dynamicAnchor") == name or _recurses(schema, name)):
            outermost = inside.dynamic.anchors.get(name)
            if outermost is not None:
                schema, place, home = outermost
                return schema, place, self._scope(home.root, home.pointer, home.uri, home.dialect, inside.dynamic)
        return schema, place, inside

    def _walk(self, ref: str, scope: Scope, pointer: str) -> tuple[Any, str, Scope]:
        here, place, before = scope.root, scope.pointer, scope.dynamic
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
                scope = self.enter(here, place, scope, before)
        return here, place, scope

    def _look_up(self, ref: str, scope: Scope, pointer: str) -> tuple[Any, str, Scope]:
        import referencing.exceptions

        resolver = self._with_document().resolver(base_uri=scope.uri or _NAMELESS)
        try:
            found = resolver.lookup(ref)
            root = found.resolver.lookup("#").contents
        except (referencing.exceptions.Unresolvable, referencing.exceptions.NoSuchAnchor, ValueError) as error:
            raise _nowhere(ref, pointer) from error
        uri = urldefrag(urljoin(scope.uri, ref)).url
        place = self._pointer_of(found.contents, urljoin(scope.uri, ref))
        if root is self._document:
            return found.contents, place, self._scope(root, "", self.root.uri, self.root.dialect, scope.dynamic)
        dialect = self.dialect_of(root, scope.dialect)
        own = root.get(dialect.id_keyword) if isinstance(root, dict) else None
        if isinstance(own, str) and not uri.endswith(own):  # else it was found under its own address
            uri = urldefrag(urljoin(uri, own)).url
        inside = self._scope(root, self._pointer_of(root, uri), uri, dialect, scope.dynamic)
        return found.contents, place, inside

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
        year = self.dialect_of(contents, self._default).year if isinstance(contents, dict) else 2020
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


def _recurses(schema: dict[str, Any], name: str) -> bool:
    return not name and schema.get("$recursiveAnchor") is True


def _dynamic_anchors(root: dict[str, Any], pointer: str) -> Iterator[tuple[str, Any, str]]:
    """Each `$dynamicAnchor` below `root`, other resources left out."""
    stack: list[tuple[Any, str]] = [(root, pointer)]
    while stack:
        here, place = stack.pop()
        if isinstance(here, list):
            stack.extend((item, f"{place}/{index}") for index, item in enumerate(here) if item.__class__ is not str)
        elif isinstance(here, dict) and (here is root or not isinstance(here.get("$id"), str)):
            if isinstance(here.get("$dynamicAnchor"), str):
                yield here["$dynamicAnchor"], here, place
            stack.extend(
                (item, f"{place}/{escape(key)}")
                for key, item in here.items()
                if (item.__class__ is dict or item.__class__ is list) and key not in _DATA
            )


_DATA = frozenset(["enum", "const", "default", "examples", "required"])
_NAMELESS = "urn:guided:schema"


def _nowhere(ref: str, pointer: str) -> SchemaError:
    return SchemaError(
        pointer,
        f'"{pointer.rsplit("/", 1)[-1]}": "{shorten(ref)}" refers to nothing in this schema',
        "Correct it, or pass the schema it names in `registry`; nothing is fetched from the network.",
    )


def default_dialect(name: str) -> Dialect:
    """The draft called `name` ("4", "6", "7", "2019-09", "2020-12")."""
    try:
        return DIALECTS[name]
    except KeyError:
        raise SchemaError("", f"no draft {name!r}", f"Choose one of {', '.join(DIALECTS)}.") from None
