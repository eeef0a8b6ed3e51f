"""VDGD on descriptions of scenes: does the answer take the word that the description has?

    python benchmarks/steering/grounding.py [--limit N] [--out FILE]

A scene of two coloured objects is described; the question asks for the colour of one of them, without the description
in the prompt and with it. Counted: the share of probability that the described colours have among all colour words at
the answer's first token, and whether the asked one is the best of them.
"""

from __future__ import annotations

from typing import Any

import torch
from common import arguments, chat_ids, load, report

import guided

COLOURS = [" red", " blue", " green", " yellow", " white", " black", " orange", " purple", " pink", " brown"]
OBJECTS = ["cube", "ball", "box", "cup", "car", "hat", "bird", "lamp", "chair", "book"]


def scenes() -> list[tuple[str, str, str, tuple[str, str]]]:
    """40 scenes: (description, object, its colour, both colours)."""
    found = []
    for n in range(40):
        first, second = OBJECTS[n % 10], OBJECTS[(n + 3 + n // 10) % 10]
        a, b = COLOURS[(3 * n + 1) % 10], COLOURS[(7 * n + 4 + n // 10) % 10]
        if a == b:
            b = COLOURS[(COLOURS.index(a) + 5) % 10]
        text = f"On the table there are a{a} {first} and a{b} {second}. The {first} is{a}, and the {second} is{b}."
        found.append((text, first, a, (a, b)))
    return found


@torch.no_grad()
def logits(model: Any, ids: list[int]) -> torch.Tensor:
    """[length, V]."""
    found: torch.Tensor = model(torch.tensor([ids], device=model.device)).logits[0].float()
    return found


def main() -> None:
    options = arguments(__doc__ or "")
    loaded = load(options.device)
    model, tokenizer = loaded.model, loaded.tokenizer
    token = {colour: tokenizer(colour)["input_ids"][0] for colour in COLOURS}
    assert len(set(token.values())) == len(COLOURS)
    described: dict[str, torch.Tensor] = {}
    for place in ("without the description in the prompt", "with it"):
        share: dict[str, list[float]] = {}
        right: dict[str, list[float]] = {}
        for text, thing, colour, both in scenes()[: options.limit]:
            before = text + " " if place == "with it" else "There is a table with things on it. "
            prompt = chat_ids(loaded, f"{before}Which colour has the {thing}?", f"The colour of the {thing} is")
            if text not in described:
                described[text] = logits(model, tokenizer(text)["input_ids"])[:-1]
            written = described[text]
            methods = {
                "plain": None,
                "vdgd": guided.vdgd(description_logits=written, alpha=0.001),
                "vdgd, mix 0.5": guided.vdgd(description_logits=written, alpha=0.001, mix=0.5),
                "vdgd, mean": guided.vdgd(description_logits=written, alpha=0.001, reduction="mean"),
            }
            plain = logits(model, prompt)[-1:]
            for name, steer in methods.items():
                ids = torch.tensor([prompt], device=plain.device)
                p = (plain if steer is None else steer(ids, plain)).softmax(-1)[0]
                words = {each: float(p[token[each]]) for each in COLOURS}
                total = sum(words.values())
                share.setdefault(name, []).append(sum(words[each] for each in both) / total if total else 0.0)
                right.setdefault(name, []).append(float(total > 0 and max(words, key=lambda w: words[w]) == colour))
        report(f"share of described colours among colours, {place}", share, options.out)
        report(f"the asked object's colour is the best, {place}", right, options.out)


if __name__ == "__main__":
    main()
