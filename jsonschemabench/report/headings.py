"""What stands above a report: what ran, when, on what, with which versions and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["facts_of"]


def facts_of(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of what a reader must know to repeat the run."""
    header = summary["header"]
    machine = header["machine"]
    facts = [
        ("date", header["date"]),
        (
            "machine",
            f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python {header['python']}",
        ),
        ("versions", ", ".join(f"{name} {version}" for name, version in header["versions"].items())),
    ]
    for name, value in header["options"].items():
        if isinstance(value, dict):
            value = {inner: setting for inner, setting in value.items() if setting}
        if value not in (None, False, {}, [], ""):
            facts.append(
                (name.replace("_", " "), str(value) if not isinstance(value, list) else ", ".join(map(str, value)))
            )
    return facts
