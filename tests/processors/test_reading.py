"""Frames are asked without leaving traces; ids arrive as they are. What needs a device: `tests/test_devices.py`."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from processors import reading
from processors.callers import local
from processors.reading import IdsReader

MODULE_LEVEL = "here = __import__('sys')._getframe(0)\nfound = local(here, 'known')\nafter = known\n"


def test_a_local_variable_is_found_and_nothing_is_kept_alive() -> None:
    class Big:
        pass

    def caller() -> tuple[Any, bool]:
        big, wanted = Big(), 7
        kept = weakref.ref(big)
        found = local(sys._getframe(0), "wanted")
        assert local(sys._getframe(0), "unknown") is None and wanted == 7
        del big
        gc.collect()
        return found, kept() is None

    assert caller() == (7, True)


def test_globals_of_a_module_are_left_alone() -> None:
    space: dict[str, Any] = {"local": local, "known": 3}
    exec(MODULE_LEVEL, space)
    assert space["found"] == space["after"] == 3


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_ids_on_the_host_are_read_as_they_are(dtype: torch.dtype) -> None:
    ids = torch.arange(24, dtype=dtype).reshape(4, 6)
    for given in (ids, ids[:, 1:4], ids.T):
        array = IdsReader().read(given)
        assert array.dtype == np.int64 and array.flags.c_contiguous and array.tolist() == given.tolist()


class FakeStream:
    def __init__(self, stream: int = 0, device: int = 0) -> None:
        self.key = (stream, device)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FakeStream) and self.key == other.key


class FakeEvent:
    def record(self, stream: Any) -> None:
        self.stream = stream


def test_the_event_of_a_pass_is_taken_once_and_by_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: FakeStream())
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    model, stream, reader = torch.nn.Linear(2, 2), FakeStream(), IdsReader()
    beginnings = reading._known[model] = reading._Beginnings(model, torch.device("cpu"))
    beginnings.readers.add(reader)
    assert beginnings.take(stream) is None  # type: ignore[arg-type]
    model(torch.zeros(1, 2))
    elsewhere: list[Any] = []
    thread = threading.Thread(target=lambda: elsewhere.append(beginnings.take(stream)))  # type: ignore[arg-type]
    thread.start()
    thread.join()
    assert elsewhere == [None]
    assert beginnings.take(stream) is not None  # type: ignore[arg-type]
    assert beginnings.take(stream) is None  # type: ignore[arg-type]
    for other in (FakeStream(6), FakeStream(0, device=1)):
        model(torch.zeros(1, 2))
        assert beginnings.take(other) is None  # type: ignore[arg-type]


def test_the_hook_leaves_the_model_when_nobody_reads_and_copies_do_without() -> None:
    model, reader = torch.nn.Linear(2, 2), IdsReader()
    beginnings = reading._known[model] = reading._Beginnings(model, torch.device("cpu"))
    beginnings.readers.add(reader)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin not in reading._known
        twin(torch.zeros(1, 2))
    del reader
    gc.collect()
    model(torch.zeros(1, 2))
    assert not model._forward_pre_hooks and model not in reading._known


def test_compiled_models_get_no_hook() -> None:
    model = torch.nn.Linear(2, 2)
    assert not reading._is_compiled(model, model.__call__) and not reading._is_compiled(model, None)
    assert reading._is_compiled(model, torch.compile(model.__call__))
    model.compile()
    assert reading._is_compiled(model, model.__call__)
