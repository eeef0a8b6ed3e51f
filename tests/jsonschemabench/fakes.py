"""Engines that behave badly on purpose, in a module of their own so that worker processes can import them."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np

from jsonschemabench.engines import AS_WRITTEN, EngineFailure, Reading, Row, Walk


class Fake:
    """Accepts every text; a schema's `x-do` says when and how it misbehaves."""

    name = "fake"
    version = "1.2"

    def __init__(self, tokenizer: Any, options: dict[str, str]) -> None:
        self.obeys = options.get("obeys", "x-do")
        self.row: Row = np.full((len(tokenizer) + 31) // 32, -1, dtype=np.int32)

    def compile(self, schema: Any, reading: Reading = AS_WRITTEN) -> Session:
        what = schema.get(self.obeys, "") if isinstance(schema, dict) else ""
        if what.startswith("compile "):
            misbehave(what.partition(" ")[2])
        return Session(what.partition(" ")[2] if what.startswith("mask ") else "")


class Session:
    def __init__(self, what: str) -> None:
        self.what = what
        self.starts = 0

    def start(self) -> Walk:
        self.starts += 1  # the first is the first mask, within the compile
        return Walk(lambda: misbehave(self.what) if self.starts > 1 else None, lambda token: True)


def misbehave(what: str) -> None:
    if what == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif what == "memory":
        hoard = []
        while True:
            hoard.append(bytearray(1 << 26))
    elif what == "hang":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # as native code that never comes back to Python
        time.sleep(600)
    elif what == "exit":
        os.write(2, b"thread main panicked: at the disco\n")
        os._exit(3)
    elif what == "refuse":
        raise EngineFailure("not this one")


def create(tokenizer: Any, options: dict[str, str]) -> Fake:
    return Fake(tokenizer, options)
