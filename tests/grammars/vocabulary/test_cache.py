"""Vocabularies kept in the process and on disk: found again, noticed when stale, never trusted when damaged."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grammars.vocabulary import Vocabulary, vocabulary
from grammars.vocabulary._cache import PerObject, cache_dir, load_arrays, save_arrays

tokenizers = pytest.importorskip("tokenizers")


def byte_tokenizer(extra: int = 0) -> Any:
    """256 byte tokens, an EOS, and some words."""
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    names = [*letters, *(f"w{i}" for i in range(extra)), "<eos>"]
    made = tokenizers.Tokenizer(tokenizers.models.BPE({name: i for i, name in enumerate(names)}, []))
    made.decoder = tokenizers.decoders.ByteLevel()
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.add_special_tokens(["<eos>"])
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache on disk, and none in the process."""
    monkeypatch.setenv("GUIDED_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(vocabulary, "_WORTH_A_FILE", 1)
    forget()
    return tmp_path / "vocabularies"


def forget() -> None:
    """As a new process would find it."""
    vocabulary._of_digest.clear()
    vocabulary._of_tokenizer._entries.clear()


def test_same_tokenizer_same_object(folder: Path) -> None:
    """Repeated calls give the object of the first; other options give another."""
    tokenizer = byte_tokenizer()
    first = Vocabulary.from_tokenizer(tokenizer, eos_ids=256)
    assert Vocabulary.from_tokenizer(tokenizer, eos_ids=[256]) is first
    assert Vocabulary.from_tokenizer(tokenizer, eos_ids=256, size=300) is not first
    assert Vocabulary.from_tokenizer(tokenizer, eos_ids=[255, 256]) is not first


def test_equal_tokenizers_share_a_vocabulary(folder: Path) -> None:
    """A tokenizer loaded twice has one vocabulary."""
    one, other = byte_tokenizer(), byte_tokenizer()
    assert Vocabulary.from_tokenizer(one, eos_ids=256) is Vocabulary.from_tokenizer(other, eos_ids=256)


def test_added_tokens_are_noticed(folder: Path) -> None:
    """A tokenizer edited after the first call gets a new vocabulary."""
    tokenizer = byte_tokenizer()
    first = Vocabulary.from_tokenizer(tokenizer, eos_ids=256)
    tokenizer.add_tokens(["<tool_call>"])
    second = Vocabulary.from_tokenizer(tokenizer, eos_ids=256)
    assert (first.size, second.size) == (257, 258)
    assert second.token_bytes(257) == b"<tool_call>"


def test_nothing_keeps_a_tokenizer_alive(folder: Path) -> None:
    """Entries go away with the tokenizer."""
    tokenizer = byte_tokenizer()
    Vocabulary.from_tokenizer(tokenizer, eos_ids=256)
    assert len(vocabulary._of_tokenizer._entries) == 1
    del tokenizer
    gc.collect()
    assert not vocabulary._of_tokenizer._entries
    assert not vocabulary._of_digest


def test_file_is_read_by_the_next_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process builds no trie, and has the same arrays."""
    tokenizer = byte_tokenizer(50)
    first = Vocabulary.from_tokenizer(tokenizer, eos_ids=306)
    assert len(list(folder.iterdir())) == 1
    forget()
    with monkeypatch.context() as patch:
        patch.delattr(vocabulary, "build_trie")
        second = Vocabulary.from_tokenizer(tokenizer, eos_ids=306)
    assert second is not first
    assert second.fingerprint == first.fingerprint
    for name, array in first._arrays().items():
        np.testing.assert_array_equal(second._arrays()[name], array)
        assert second._arrays()[name].dtype == array.dtype


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text", "other arrays"])
def test_damaged_file_is_built_again(folder: Path, damage: str) -> None:
    """A file that cannot be read, or does not hold what it should, is replaced."""
    tokenizer = byte_tokenizer(50)
    first = Vocabulary.from_tokenizer(tokenizer, eos_ids=306)
    (file,) = folder.iterdir()
    good = file.read_bytes()
    middle = len(good) // 2
    if damage == "other arrays":
        np.savez(file, numbers=np.arange(3))
    else:
        flipped = good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]
        file.write_bytes({"empty": b"", "cut": good[:middle], "flipped": flipped, "text": b"x" * 999}[damage])
    forget()
    assert Vocabulary.from_tokenizer(tokenizer, eos_ids=306).fingerprint == first.fingerprint
    forget()
    assert load_arrays(file.name.split("-")[0]) is not None


def test_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only place means no file, no error and no rest."""
    (tmp_path / "file").write_text("a file where a folder should be")
    monkeypatch.setenv("GUIDED_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(vocabulary, "_WORTH_A_FILE", 1)
    forget()
    assert Vocabulary.from_tokenizer(byte_tokenizer(), eos_ids=256).size == 257
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_failed_write_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: the temporary file is removed."""

    def full(*args: Any, **arrays: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", full)
    save_arrays("0" * 32, {"a": np.arange(3)})
    assert list(folder.iterdir()) == []


def test_place_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """GUIDED_CACHE_DIR, then XDG_CACHE_HOME, then the platform's folder; empty switches the disk cache off."""
    monkeypatch.setenv("GUIDED_CACHE_DIR", "/somewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_dir() == "/somewhere"
    monkeypatch.setenv("GUIDED_CACHE_DIR", "")
    assert cache_dir() is None
    assert load_arrays("0" * 32) is None
    save_arrays("0" * 32, {})
    monkeypatch.delenv("GUIDED_CACHE_DIR")
    assert Path(cache_dir() or "") == Path("/xdg/guided")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert Path(cache_dir() or "").name == "guided"


def test_objects_without_weak_references_are_not_kept() -> None:
    """They are served, only not remembered."""
    cache: PerObject[int] = PerObject()
    cache.put((1, 2), "key", "stamp", 7)
    assert cache.get((1, 2), "key", "stamp") is None
