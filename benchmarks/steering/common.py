"""What the steering measurements share: the model, prompts in its template, answers, and intervals.

Everything is greedy and seeded, on SmolLM2-135M-Instruct in float32, so that a run can be repeated exactly.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from intervals import interval

from guided.demo.model import LoadedModel, load_smollm2

__all__ = ["Answers", "answer_all", "arguments", "chat_ids", "load", "padded", "report"]

Make = Callable[[list[int]], Any]  # steering for the items with these numbers, or None


def load(device: str = "cpu") -> LoadedModel:
    torch.manual_seed(0)
    loaded = load_smollm2(device)
    loaded.tokenizer.padding_side = "left"
    return loaded


def chat_ids(loaded: LoadedModel, user: str, opening: str = "") -> list[int]:
    """One user turn in the model's markup, without the system prompt, and the beginning of the assistant's."""
    text = f"<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n{opening}"
    return list(loaded.tokenizer(text, add_special_tokens=False)["input_ids"])


def padded(loaded: LoadedModel, prompts: Sequence[list[int]]) -> dict[str, torch.Tensor]:
    return dict(loaded.tokenizer.pad({"input_ids": list(prompts)}, return_tensors="pt").to(loaded.model.device))


Answers = list[str]


def answer_all(
    loaded: LoadedModel, prompts: list[list[int]], make: Make, *, max_new_tokens: int = 5, batch: int = 16
) -> Answers:
    """Greedy answers, in batches of prompts of similar length; `make` gives a batch's steering, by item number."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    found: list[str] = [""] * len(prompts)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        inputs = padded(loaded, [prompts[i] for i in rows])
        out = loaded.model.generate(
            **inputs, max_new_tokens=max_new_tokens, do_sample=False, logits_processor=make(rows) or []
        )
        for row, ids in zip(rows, out[:, inputs["input_ids"].shape[1] :], strict=True):
            found[row] = loaded.text(ids)
    return found


def arguments(description: str, **more: str) -> argparse.Namespace:
    """The options that all measurements have, and `more` of them (name: help)."""
    parser = argparse.ArgumentParser(description=description)
    for name, text in more.items():
        parser.add_argument(f"--{name}", default=None, help=text)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ...")
    parser.add_argument("--limit", type=int, default=None, help="use only the first N items")
    parser.add_argument("--out", type=Path, default=None, help="write the figures there as JSON")
    return parser.parse_args()


def report(title: str, rows: dict[str, Sequence[float]], out: Path | None = None, unit: str = "%") -> None:
    """Print mean and interval of each row of items, and of its difference from the first."""
    scale = 100.0 if unit == "%" else 1.0
    first = next(iter(rows.values()))
    print(f"\n{title} (n = {len(first)})")
    figures = {}
    for name, values in rows.items():
        mean, low, high = interval(values)
        gain = interval([a - b for a, b in zip(values, first, strict=True)])
        figures[name] = {"mean": mean, "interval": [low, high], "gain": gain[0], "gain_interval": list(gain[1:])}
        print(
            f"  {name:34s} {mean * scale:7.2f}{unit} [{low * scale:.2f}, {high * scale:.2f}]"
            f"   gain {gain[0] * scale:+.2f} [{gain[1] * scale:+.2f}, {gain[2] * scale:+.2f}]"
        )
    if out is not None:
        known = json.loads(out.read_text()) if out.exists() else {}
        out.write_text(json.dumps({**known, title: {"n": len(first), "rows": figures}}, indent=1))
