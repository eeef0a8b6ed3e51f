"""Engines to measure: one adapter file each, imported only when asked for.

An adapter is thin on purpose: it gives the loop two bound calls, `fill` and `accept`, as fast as the engine offers
them, so that what is timed is the engine. Add one: a file with a `create(tokenizer, options)` function, and its name
in `ENGINES`.

    guided       this project
    llguidance   guidance-ai/llguidance
    xgrammar     mlc-ai/xgrammar
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from grammars.errors import GuidedError

__all__ = ["ENGINES", "Engine", "EngineFailure", "EngineMissing", "Session", "Walk", "create_engine"]

ENGINES = ("guided", "llguidance", "xgrammar")

Row = npt.NDArray[np.int32]


class EngineMissing(GuidedError):
    """An engine that is not installed or does not exist."""


class EngineFailure(Exception):
    """An engine gave up on a schema or in the middle of a document; the text is its own."""


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

    def compile(self, schema: Any) -> Session:
        """Compile a JSON Schema; raises `EngineFailure`, or whatever the engine raises, when it refuses."""
        ...


def create_engine(name: str, tokenizer: Any, options: Mapping[str, str]) -> Engine:
    """The engine of that name for a tokenizer. Raises `EngineMissing` with the line that installs it."""
    if name not in ENGINES:
        raise EngineMissing(f"no engine {name!r}.\n  There are: {', '.join(ENGINES)}")
    try:
        module = importlib.import_module(f"jsonschemabench.engines.{name}_engine")
    except ImportError as error:
        raise EngineMissing(f"the engine {name} is not installed ({error}).\n  pip install 'guided[bench]'") from error
    engine: Engine = module.create(tokenizer, dict(options))
    return engine
