"""Values while they are being written: a streamer of transformers that gives partial values instead of text."""

from __future__ import annotations

from typing import Any

from transformers import TextIteratorStreamer

from guided.parsing import partial_json

__all__ = ["PartialStreamer"]


class PartialStreamer(TextIteratorStreamer):
    """`for value in streamer`: the value so far, each time it has grown; see `partial_json`.

        streamer = guided.PartialStreamer(tokenizer, Person)
        thread = Thread(target=model.generate, kwargs={**inputs, "logits_processor": constraint, "streamer": streamer})
        thread.start()
        for person in streamer: ...

    `schema`: as in `guided.partial_json`; `prefix`: what the prompt already holds of the document. `timeout`: seconds
    to wait for the next token before `queue.Empty` is raised (None: no end).
    """

    def __init__(self, tokenizer: Any, schema: Any = None, *, prefix: str = "", timeout: float | None = None) -> None:
        super().__init__(tokenizer, skip_prompt=True, timeout=timeout, skip_special_tokens=True)
        self.schema = schema
        self.text = prefix
        self._last: Any = None

    def __next__(self) -> Any:
        while True:
            self.text += super().__next__()  # type: ignore[no-untyped-call]
            value = partial_json(self.text, self.schema)
            if value is not None and value != self._last:
                self._last = value
                return value
