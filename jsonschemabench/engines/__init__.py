"""Engines to measure: one adapter file each, imported only when asked for.

An adapter is thin on purpose: it gives the loop two bound calls, `fill` and `accept`, as fast as the engine offers
them, so that what is timed is the engine. Add one: a module with a `create(tokenizer, options)` function; its dotted
name is its name on the command line (`--engines guided,my_package.my_engine`).

    guided          this project
    llguidance      guidance-ai/llguidance
    xgrammar        mlc-ai/xgrammar
    outlines_core   dottxt-ai/outlines-core
    lmfe            noamgat/lm-format-enforcer
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from grammars.errors import GuidedError

__all__ = [
    "AS_WRITTEN",
    "DRAFTS",
    "ENGINES",
    "PACKAGES",
    "Engine",
    "EngineFailure",
    "EngineMissing",
    "Reading",
    "Session",
    "Unsatisfiable",
    "Walk",
    "create_engine",
]

ENGINES = ("guided", "llguidance", "xgrammar", "outlines_core", "lmfe")

PACKAGES = {
    "llguidance": ("llguidance", "llguidance"),
    "xgrammar": ("xgrammar", "xgrammar"),
    "outlines_core": ("outlines_core", "outlines-core"),
    "lmfe": ("lmformatenforcer", "lm-format-enforcer"),
}
"""For each engine that is not ours: the module it needs, and the name that installs it."""

Row = npt.NDArray[np.int32]


class EngineMissing(GuidedError):
    """An engine that is not installed or does not exist."""


class EngineFailure(Exception):
    """An engine gave up on a schema or in the middle of a document; the text is its own."""


class Unsatisfiable(EngineFailure):
    """An engine says that no document satisfies the schema: a verdict rather than a refusal."""


DRAFTS = {
    "3": "http://json-schema.org/draft-03/schema#",
    "4": "http://json-schema.org/draft-04/schema#",
    "6": "http://json-schema.org/draft-06/schema#",
    "7": "http://json-schema.org/draft-07/schema#",
    "2019-09": "https://json-schema.org/draft/2019-09/schema",
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
    "v1": "https://json-schema.org/v1",
}
"""What `$schema` says for each draft."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a schema is meant where it does not say so itself.

    `draft` "" leaves it to the engine; `formats` "annotate" means that `format` asserts nothing, `contents` the same of
    `contentEncoding` and `contentMediaType`; `remotes` are the
    documents that references to other addresses mean. An engine honours what it can.
    """

    draft: str = ""
    formats: str = "assert"
    contents: str = "annotate"
    remotes: Mapping[str, Any] = field(default_factory=dict)

    def stated(self, schema: Any) -> Any:
        """The schema with the draft written into it, for engines that have no other way to be told."""
        if not self.draft or not isinstance(schema, dict) or "$schema" in schema:
            return schema
        return {"$schema": DRAFTS[self.draft], **schema}


AS_WRITTEN = Reading()


@dataclass(frozen=True, slots=True)
class Walk:
    """One sequence from its start: `fill()` writes the mask into the engine's row, `accept(token)` advances."""

    fill: Callable[[], object]
    accept: Callable[[int], bool]


class Session(Protocol):
    """One compiled schema."""

    def start(self) -> Walk:
        """A fresh sequence. Earlier walks of this session are no longer used."""
        ...


class Engine(Protocol):
    """An engine bound to a tokenizer. `row` is int32[ceil(V/32)]: bit t % 32 of row[t // 32] = token t is allowed."""

    name: str
    version: str
    row: Row

    def compile(self, schema: Any, reading: Reading = AS_WRITTEN) -> Session:
        """Compile a JSON Schema; raises `EngineFailure`, or whatever the engine raises, when it refuses."""
        ...


def create_engine(name: str, tokenizer: Any, options: Mapping[str, str]) -> Engine:
    """The engine of that name for a tokenizer. Raises `EngineMissing` with the line that installs it."""
    if name not in ENGINES and "." not in name:
        raise EngineMissing(f"no engine {name!r}.\n  There are: {', '.join(ENGINES)}, or a module's dotted name.")
    where = name if "." in name else f"jsonschemabench.engines.{name}_engine"
    try:
        module = importlib.import_module(where)
    except ImportError as error:
        raise EngineMissing(f"the engine {name} is not installed ({error}).\n  pip install 'guided[bench]'") from error
    engine: Engine = module.create(tokenizer, dict(options))
    return engine
