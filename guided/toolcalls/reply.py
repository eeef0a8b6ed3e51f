"""What a model answered where it had tools: text, and calls."""

from __future__ import annotations

from dataclasses import dataclass

from guided.parsing import Call

__all__ = ["ToolReply"]


@dataclass(frozen=True)
class ToolReply:
    """The text outside of the calls, and the calls in their order."""

    text: str
    calls: tuple[Call, ...] = ()
