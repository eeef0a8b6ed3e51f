"""Vocabularies kept between calls, and between processes.

In the process: one entry a tokenizer object (weakly held) with a stamp of what can change about it cheaply, so that
generation code may ask for the vocabulary at each call (30 µs). On disk: one uncompressed .npz a vocabulary, 7 MB for
128k tokens, named by the digest of all that decides its content. A file is written under a temporary name and then
renamed, so readers see all of it or nothing; whatever goes wrong with a file means that the vocabulary is built.

Place: $GUIDED_CACHE_DIR (empty: no disk cache), else $XDG_CACHE_HOME/guided, else the platform's cache folder.
"""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

import numpy as np

__all__ = ["FORMAT", "PerObject", "cache_dir", "load_arrays", "save_arrays"]

FORMAT = 1  # part of every name: raise it when the content of a file, or the reading of a tokenizer, changes

T = TypeVar("T")


class PerObject(Generic[T]):
    """A value per (object, key), valid as long as its stamp is; objects that allow no weak reference get none."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[Any], dict[Hashable, tuple[Hashable, T]]]] = {}

    def get(self, owner: object, key: Hashable, stamp: Hashable) -> T | None:
        """The value, unless the object has changed since."""
        entry = self._entries.get(id(owner))
        if entry is None or entry[0]() is not owner:
            return None
        found = entry[1].get(key)
        return found[1] if found is not None and found[0] == stamp else None

    def put(self, owner: object, key: Hashable, stamp: Hashable, value: T) -> None:
        """Keep `value` as long as `owner` lives."""
        entry = self._entries.get(id(owner))
        if entry is None or entry[0]() is not owner:
            number = id(owner)
            try:
                entry = (weakref.ref(owner, lambda _: self._entries.pop(number, None)), {})
            except TypeError:
                return
            self._entries[number] = entry
        entry[1][key] = (stamp, value)


def cache_dir() -> str | None:
    """Where vocabularies are kept; None when the user switched the disk cache off, or has no home."""
    own = os.environ.get("GUIDED_CACHE_DIR")
    if own is not None:
        return os.path.expanduser(own) or None
    base = os.environ.get("XDG_CACHE_HOME")
    if not base and sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    if not base:
        base = os.path.expanduser("~/Library/Caches" if sys.platform == "darwin" else "~/.cache")
    return os.path.join(base, "guided") if os.path.isabs(base) else None


def _path(digest: str) -> str | None:
    folder = cache_dir()
    return None if folder is None else os.path.join(folder, "vocabularies", f"{digest}-{FORMAT}.npz")


def load_arrays(digest: str) -> dict[str, Any] | None:
    """The arrays saved under `digest`; None when there are none, or the file is damaged (the zip checks a CRC)."""
    import zipfile  # 9 ms, and numpy itself imports it only here

    path = _path(digest)
    if path is None:
        return None
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:  # numpy leaks a damaged file
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return None


def save_arrays(digest: str, arrays: dict[str, Any]) -> None:
    """Save for later processes; in vain, silently, where nothing can be written."""
    import tempfile  # 8 ms, needed once in the life of a tokenizer

    path = _path(digest)
    if path is None:
        return
    folder, temporary = os.path.dirname(path), ""
    try:
        os.makedirs(folder, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".new-", suffix=".npz")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
