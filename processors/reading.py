"""Ids of a CUDA tensor as an array on the host, without waiting for the forward pass that is under way.

`generate` hands a processor ids that were written before it launched the forward pass whose scores come with them. A
plain copy to the host stands behind that pass in the stream: the host would sleep until the pass is over, compute the
mask while the device idles, and only then launch what is left of the step. So the copy goes through a stream of its
own, behind an event that was recorded when the pass began. The mask is then computed while the pass runs, and the host
is back ahead of the device before the pass is over.

Who can tell when a pass begins? A forward pre-hook on the model that `generate` runs; it records the event (2 µs) and
takes itself away when nobody asks any more. Only within transformers' own sampling and greedy loop (`_sample`), where
the order of things is known; anywhere else, and where the forward is compiled (with the hook it would be compiled
anew), the copy waits as any copy does.
"""

from __future__ import annotations

import sys
import threading
import weakref
from types import FrameType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers.generation.utils import GenerationMixin

from processors.callers import local

__all__ = ["IdsReader"]

_LOOP = GenerationMixin._sample.__code__  # the loop of greedy search and sampling
_LOOK_UP = 12  # frames between a processor and that loop, at most


class _Beginnings:
    """The pre-hook of a model: when did its last pass begin, by thread."""

    def __init__(self, model: Any, device: torch.device) -> None:
        self.device = device  # where the ids are
        self._events: dict[int, tuple[torch.cuda.Stream, torch.cuda.Event]] = {}  # by thread
        self._fresh: set[int] = set()
        self.readers: weakref.WeakSet[IdsReader] = weakref.WeakSet()
        self._handle = model.register_forward_pre_hook(self)

    def __call__(self, model: Any, arguments: Any) -> None:
        if torch.compiler.is_compiling():
            return
        if not self.readers:
            self._handle.remove()
            _known.pop(model, None)
            return
        thread, stream = threading.get_ident(), torch.cuda.current_stream(self.device)
        known = self._events.get(thread)
        event = known[1] if known is not None and known[0] == stream else torch.cuda.Event()
        event.record(stream)
        self._events[thread] = stream, event
        self._fresh.add(thread)

    def take(self, stream: torch.cuda.Stream) -> torch.cuda.Event | None:
        """The event of this thread's last pass; None if that was taken before, or ran in another stream."""
        thread = threading.get_ident()
        if thread not in self._fresh:
            return None
        self._fresh.discard(thread)
        known, event = self._events[thread]
        return event if known == stream else None  # device and stream: the default stream is 0 on every device

    def __deepcopy__(self, memo: Any) -> Any:
        return _nothing  # a copy of the model is another model

    def __reduce__(self) -> Any:
        return _nothing_again, ()


def _is_compiled(model: Any, forward: Any) -> bool:
    """Whether a new hook would have the model's forward compiled anew."""
    if getattr(model, "_compiled_call_impl", None) is not None:
        return True
    return forward is not None and forward != model.__call__


def _nothing(model: Any, arguments: Any) -> None:
    """The hook in copies of a model."""


def _nothing_again() -> Any:
    return _nothing


_known: weakref.WeakKeyDictionary[Any, _Beginnings] = weakref.WeakKeyDictionary()


class IdsReader:
    """Reads `input_ids` of one processor. The array that `read` gives is good until the next `read`."""

    def __init__(self) -> None:
        self._host: torch.Tensor | None = None
        self._streams: dict[torch.device, torch.cuda.Stream] = {}
        self._models: dict[int, weakref.ref[Any]] = {}  # thread -> the model of its last generation
        self.early = 0  # how often it did not have to wait for a pass

    def read(self, input_ids: torch.Tensor) -> npt.NDArray[np.int64]:
        """int64 [rows, length], contiguous."""
        if input_ids.device.type == "cuda" and input_ids.dtype == torch.int64:
            input_ids = self._from_device(input_ids)
        elif not input_ids.is_cpu:
            input_ids = input_ids.to("cpu")
        array: npt.NDArray[np.int64] = input_ids.numpy()
        if array.dtype != np.int64 or not array.flags.c_contiguous:
            array = np.ascontiguousarray(array, dtype=np.int64)
        return array

    def _from_device(self, ids: torch.Tensor) -> torch.Tensor:
        if self._host is None or self._host.numel() < ids.numel():
            self._host = torch.empty(2 * ids.numel() + 1024, dtype=torch.int64, pin_memory=True)
        target = self._host[: ids.numel()].view(ids.shape)
        event = self._began(ids.device)
        if event is None:
            target.copy_(ids)
            return target
        side = self._streams.get(ids.device)
        if side is None:
            side = self._streams[ids.device] = torch.cuda.Stream(ids.device)
        side.wait_event(event)
        with torch.cuda.stream(side):
            target.copy_(ids, non_blocking=True)
        side.synchronize()
        self.early += 1
        return target

    def _began(self, device: torch.device) -> torch.cuda.Event | None:
        """When the pass under way began, if the caller is the loop whose order of things is known."""
        frame: FrameType | None = sys._getframe(2)
        for _ in range(_LOOK_UP):
            if frame is None or frame.f_code is _LOOP:
                break
            frame = frame.f_back
        if frame is None or frame.f_code is not _LOOP:
            return None
        stream, thread = torch.cuda.current_stream(device), threading.get_ident()
        last = self._models.get(thread)
        model = None if last is None else last()
        if model is not None and model in _known and (event := _known[model].take(stream)) is not None:
            return event
        model = local(frame, "self")  # the first step with this model: from the next one on its hook will have been run
        if _is_compiled(model, local(frame, "model_forward")):
            return None
        if model not in _known:
            _known[model] = _Beginnings(model, device)
        _known[model].device = device
        _known[model].readers.add(self)
        self._models[thread] = weakref.ref(model)
        return _known[model].take(stream)
